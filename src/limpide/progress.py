"""A run folder in the making: locked, with a checkpoint to go on from after a crash.

The recipe is there from the start; `progress.safetensors` holds the state of the training as of some epoch's end. A
training is a function of its recipe and data, so going on from any checkpoint gives the same bits: how often one is
written decides only how much is done again. The folder is a finished run once `metrics.json` is in it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from limpide.checkpoint import check_free, free_folder, read_arrays, write_arrays, write_bytes
from limpide.errors import RunError, problem, reason_of
from limpide.i18n import _
from limpide.settings import number_setting

RECIPE, STATE, LOCK, DONE = "recipe.toml", "progress.safetensors", "lock", "metrics.json"
FORMAT = 1

SHARE = 0.02
"""Of the time, spent at most on checkpoints."""

State = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]


@dataclass(frozen=True)
class Ending:
    """What the training is to end with; kept with its state, so that one resumed ends as it was begun."""

    report: bool = True
    baselines: bool = True


class Progress:
    """The folder of one training at work: nobody else may work in it meanwhile.

    Leaving the `with` by an error before anything is worth keeping removes the folder; afterwards it says how to go on.
    """

    def __init__(self, folder: Path, is_new: bool, made: Sequence[Path] = ()) -> None:
        """made  the folders made for it, the innermost first"""
        self.folder = folder
        self.ending = Ending()
        self._made = made
        self._is_new = is_new
        self._pause = number_setting("LIMPIDE_CHECKPOINT_SECONDS")
        self._lock = _lock(folder / LOCK)
        self._written = time.monotonic()
        self._cost = 0.0

    @classmethod
    def start(cls, out: str | Path | None, name: str, recipe: str) -> Progress:
        """A new folder that holds the recipe.

        Raises  RunError when the folder is in use, or cannot be written; RecipeError for a bad setting
        """
        # a bad value is refused before there is a folder
        number_setting("LIMPIDE_CHECKPOINT_SECONDS")
        folder, made = _new_folder(out, name)
        progress = cls(folder, True, made)
        try:
            write_bytes(folder / RECIPE, recipe.encode())
        except OSError as error:
            progress.close(remove=True)
            raise _cannot_write(folder, error) from None
        return progress

    @classmethod
    def again(cls, folder: Path) -> Progress:
        """The folder of a training that did not end by itself.

        Raises  RunError: no run, one that is finished, one that another process is at work on
        """
        if not (folder / RECIPE).is_file():
            got = _("no folder") if not folder.exists() else _("one without {file}").format(file=RECIPE)
            raise RunError(problem(str(folder), _("the folder of a training"), got, _("name the folder of a run")))
        progress = cls(folder, is_new=False)
        if (folder / DONE).is_file() and not (folder / STATE).is_file():
            progress.close()
            raise RunError(
                problem(
                    str(folder),
                    _("a training that was killed or interrupted"),
                    _("one that is finished"),
                    _("train its recipe.toml anew, with more epochs or more patience"),
                )
            )
        return progress

    def offer(self, state: Callable[[], State]) -> None:
        """Keep the state if the last one kept is old enough."""
        if time.monotonic() - self._written >= max(self._pause, self._cost / SHARE if self._pause else 0.0):
            self.keep(*state())

    def keep(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write the state, and what the training is to end with.

        Raises  RunError when it cannot be written; the last state that was stays
        """
        started = time.monotonic()
        try:
            write_arrays(self.folder / STATE, arrays, {"format": FORMAT, "ending": asdict(self.ending), **facts})
        except OSError as error:
            raise _cannot_write(self.folder, error) from None
        self._is_new = False
        self._written = time.monotonic()
        self._cost = self._written - started

    def begin(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write the state before the first epoch: enough to begin again, not worth keeping the folder for an error."""
        is_new = self._is_new
        self.keep(arrays, facts)
        self._is_new = is_new

    def hold(self) -> None:
        """The epochs are done: whatever comes now, the last state kept goes on to the same run."""
        self._is_new = False

    def finish(self, write: Callable[[Path, bool], None], may_go_on: bool) -> None:
        """Write the run; the state is removed once all is there, unless the training may go on from it.

        Ctrl-C does not leave it half written: it takes two of them.

        Raises  RunError when the run cannot be written: what was kept stays
        """
        self.hold()
        try:
            (self.folder / DONE).unlink(missing_ok=True)
            try:
                write(self.folder, self.ending.report)
            except KeyboardInterrupt:
                write(self.folder, self.ending.report)
            if not may_go_on:
                (self.folder / STATE).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_write(self.folder, error) from None

    def close(self, remove: bool = False) -> None:
        """Give the folder free for others."""
        self._lock.close()
        with suppress(OSError):
            (self.folder / LOCK).unlink(missing_ok=True)
        if remove:
            for name in (RECIPE, STATE):
                (self.folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                for place in self._made:
                    place.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and not self._is_new:
            error.add_note(_go_on(self.folder))
        self.close(remove=kind is not None and self._is_new)


def last_state(folder: Path) -> State:
    """The last state kept in a folder.

    Raises  RunError when there is none, for a damaged file, or one of a newer version
    """
    place = folder / STATE
    if not place.is_file():
        mend = _("it was killed before it began: train its recipe.toml")
        raise RunError(problem(str(folder), _("a training to go on with"), _("no {file}").format(file=STATE), mend))
    return read_arrays(place, FORMAT)


def check_new(folder: Path) -> None:
    """RunError when the folder is in use; one that holds an unfinished training says how to go on with it."""
    if (folder / STATE).is_file():
        got = _("one with an unfinished training")
        raise RunError(problem(str(folder), _("a new or empty folder"), got, _go_on(folder)))
    check_free(folder)


def check_trained(folder: Path) -> None:
    """RunError when the folder is that of a training at work, or of one that was killed."""
    if (folder / STATE).is_file() and not (folder / DONE).is_file():
        raise RunError(problem(str(folder), _("a run folder"), _("one with an unfinished training"), _go_on(folder)))


def _go_on(folder: Path) -> str:
    return _("go on with it: limpide resume {folder}").format(folder=folder)


def unfinished(folder: str | Path = "runs") -> list[Path]:
    """The folders in a folder whose training did not end by itself."""
    return sorted(place.parent for place in Path(folder).glob(f"*/{STATE}"))


def _new_folder(out: str | Path | None, name: str) -> tuple[Path, list[Path]]:
    """The folder asked for, or the next free one, made here so that two processes never share it; and all that was
    made for it, the innermost first."""
    while True:
        folder = free_folder(name) if out is None else Path(out)
        check_new(folder)
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=out is not None)
        except FileExistsError:
            continue
        except OSError as error:
            raise _cannot_write(folder, error) from None
        return folder, made


def _lock(place: Path) -> IO[bytes]:
    """A lock that the system itself lifts when its holder dies.

    Raises  RunError when another process holds it
    """
    try:
        file = place.open("ab")
    except OSError as error:
        raise _cannot_write(place.parent, error) from None
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RunError(
            problem(
                str(place.parent),
                _("a folder nobody works in"),
                _("one that another process is training in"),
                _("wait for it, or name another folder"),
            )
        ) from None
    return file


def _cannot_write(folder: Path, error: OSError) -> RunError:
    mend = _("make room, or name another")
    return RunError(problem(str(folder), _("a folder that can be written"), reason_of(error), mend))
