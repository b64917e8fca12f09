"""What each training of an experiment was worth, and the folder that keeps it.

A score is taken on the validation rows; the test set stays shut. It is kept under the hash of its recipe, the data and
the version of limpide, in a record of its own that is there whole or not at all: whatever is killed loses nothing else.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import limpide
from limpide.checkpoint import check_free, read_json, write_file
from limpide.data.rows import Part
from limpide.errors import Diverged, RunError
from limpide.experiment.boards import Board, FolderBoard
from limpide.history import Epoch
from limpide.recipe import Recipe
from limpide.workers import Outcome

PLAN, RESULTS = "plan", "results"
FORMAT = 1
BEGINNING = 0.5
"""Seconds in which a process that began a folder has its plan in it."""


@dataclass(frozen=True)
class Score:
    """What a training was worth on the validation rows, with the weights it kept.

    metrics   by name; None where the rows leave one undefined
    loss      the lowest validation loss: that of the weights kept
    updates   made in all
    progress  (updates, validation loss) whenever the loss was lower than ever before
    diverged  where NaN or Inf came up after the weights kept; "" where they did not
    error     why there is no score; all else is then empty
    """

    metrics: dict[str, float | None] = field(default_factory=dict)
    loss: float | None = None
    epochs: int = 0
    updates: int = 0
    seconds: float = 0.0
    progress: list[tuple[int, float]] = field(default_factory=list)
    diverged: str = ""
    error: str = ""

    @classmethod
    def of(cls, outcome: Outcome, part: Part = "validation") -> Score:
        """What became of a training."""
        run = outcome.run
        if run is None:
            return cls(error=str(outcome.error))
        return cls(
            metrics={name: metric.value for name, metric in run.evaluations[part].metrics.items()},
            loss=run.stop.best_loss,
            epochs=len(run.history),
            updates=run.history[-1].updates,
            seconds=run.seconds,
            progress=_lowest_so_far(run.history),
            diverged=run.stop.place if run.stop.reason == "diverged" else "",
        )

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Score:
        """What `asdict` and JSON made of one."""
        return cls(**{**saved, "progress": [(int(updates), loss) for updates, loss in saved["progress"]]})

    def updates_to(self, loss: float) -> int | None:
        """The updates after which the validation loss was first at or below this; None when it never was."""
        return next((updates for updates, reached in self.progress if reached <= loss), None)


def _lowest_so_far(history: list[Epoch]) -> list[tuple[int, float]]:
    lowest: list[tuple[int, float]] = []
    for epoch in history:
        if not lowest or epoch.validation_loss < lowest[-1][1]:
            lowest.append((epoch.updates, epoch.validation_loss))
    return lowest


def score_key(recipe: Recipe, data: str, part: Part = "validation") -> str:
    """What a score is kept under: all that it depends on.

    data  the SHA-256 of the data
    """
    text = json.dumps([recipe.hash(), data, limpide.__version__, part])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Shelf:
    """Where scores are kept, and the plan of the experiment: on a board, or with None in this process alone.

    folder  of the report and what else is written for people; None where nothing is
    plan    JSON that outlives the process; `write_plan` keeps it
    """

    def __init__(self, folder: Path | None, board: Board | None = None) -> None:
        """board  where the scores are kept; None: in the folder

        Raises  RunError: the folder holds something else, is damaged, or of a newer version
        """
        self.folder = folder
        self.plan: dict[str, Any] = {"format": FORMAT}
        self._scores: dict[str, Score] = {}
        self._board = FolderBoard(folder) if board is None and folder is not None else board
        if board is not None:
            self.plan = json.loads(board.read(PLAN) or json.dumps(self.plan))
        elif folder is not None and (folder / f"{PLAN}.json").is_file():
            self.plan = read_json(folder / f"{PLAN}.json", FORMAT)
        elif folder is not None and not (folder / RESULTS).is_dir():
            _check_free(folder)

    def write_plan(self) -> None:
        """Keep the plan; the folder is made when it is not there.

        Raises  RunError when it cannot be written
        """
        if self._board is not None:
            self._board.write(PLAN, _as_json(self.plan))

    def write(self, name: str, content: bytes) -> None:
        """A file of the folder, whole or not at all.

        Raises  RunError when it cannot be written
        """
        assert self.folder is not None
        write_file(self.folder / name, content)

    def get(self, key: str) -> Score | None:
        """The score kept under a key; a damaged record is as good as none."""
        if key not in self._scores and self._board is not None:
            try:
                text = self._board.read(f"{RESULTS}/{key}") or ""
                self._scores[key] = Score.from_dict(json.loads(text)["score"])
            except (json.JSONDecodeError, KeyError, TypeError, ValueError):
                return None
        return self._scores.get(key)

    def put(self, key: str, outcome: Outcome, score: Score) -> None:
        """Keep a score. A failure is written down only where a second attempt would fail alike."""
        self._scores[key] = score
        if self._board is not None and (outcome.run is not None or isinstance(outcome.error, Diverged)):
            content = {"recipe": outcome.recipe.model_dump(), "score": asdict(score)}
            self._board.write(f"{RESULTS}/{key}", _as_json(content))

    def claim(self, key: str) -> bool:
        """Whether the training of a key is now this process's own, and no other's.

        Raises  RunError when nothing can be written
        """
        return self._board is None or self._board.claim(f"{RESULTS}/{key}")

    def release(self, key: str) -> None:
        """Give a claim back."""
        if self._board is not None:
            self._board.release(f"{RESULTS}/{key}")


def _check_free(folder: Path) -> None:
    """RunError when the folder holds something else than what another process begins in it at this moment."""
    try:
        check_free(folder)
    except RunError:
        time.sleep(BEGINNING)
        if not (folder / f"{PLAN}.json").is_file():
            raise


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
