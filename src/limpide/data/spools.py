"""Prepared rows kept on disk while a training lasts, and given back in windows that fit in memory, well shuffled.

The files have no name: the system takes them away with the process, however it ends.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from limpide.errors import RecipeError, problem, reason_of
from limpide.i18n import _, format_count

RUNS_PER_WINDOW = 256
"""A window is made of so many runs of rows that follow each other, from everywhere in the data."""


class Window(NamedTuple):
    """Rows to train on, in the order of their visits."""

    x: np.ndarray
    y: np.ndarray


class Spool:
    """Prepared training rows on disk, in the order of the data.

    window  how many rows are shuffled together, at most
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self._x, self._y = _Column(), _Column()
        self.n = 0

    def __len__(self) -> int:
        return self.n

    @property
    def n_bytes(self) -> int:
        """What they take on the disk."""
        return self._x.n_bytes + self._y.n_bytes

    @property
    def run(self) -> int:
        """How many rows that follow each other go to a window together."""
        return max(1, self.window // RUNS_PER_WINDOW)

    def append(self, x: np.ndarray, y: np.ndarray) -> None:
        """Keep these rows behind the others."""
        self._x.append(x)
        self._y.append(y)
        self.n += len(x)

    def windows(self, rng: np.random.Generator, batch_size: int, dtype: np.dtype[Any]) -> Iterator[Window]:
        """All rows once, in windows of whole batches; the next is read while the last one is trained on.

        Runs of rows that follow each other are dealt out to the windows by chance, then the rows of a window are
        shuffled. Where one window holds all rows, their order is `rng.permutation(n)`: that of data in memory.
        """
        plans = self._plans(rng, batch_size)
        with ThreadPoolExecutor(1) as beside:
            coming = beside.submit(self._read, *next(plans), dtype)
            for plan in plans:
                window = coming.result()
                coming = beside.submit(self._read, *plan, dtype)
                yield window
            yield coming.result()

    def _plans(self, rng: np.random.Generator, batch_size: int) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
        """For each window the runs (start, stop) it is made of, and the order of its rows."""
        window = max(1, self.window // batch_size) * batch_size
        if window >= self.n:
            yield [(0, self.n)], rng.permutation(self.n)
            return
        length = self.run
        starts = rng.permutation(-(-self.n // length)) * length
        runs: list[tuple[int, int]] = []
        room = window
        for start in starts.tolist():
            stop = min(start + length, self.n)
            while stop - start >= room:
                runs.append((start, start + room))
                yield runs, rng.permutation(window)
                start, runs, room = start + room, [], window
            if start < stop:
                runs.append((start, stop))
                room -= stop - start
        if runs:
            yield runs, rng.permutation(window - room)

    def _read(self, runs: list[tuple[int, int]], order: np.ndarray, dtype: np.dtype[Any]) -> Window:
        x, y = self._x.read(runs), self._y.read(runs)
        x = x[order].astype(dtype, copy=False)
        y = y[order]
        return Window(x, y.astype(dtype, copy=False) if y.dtype.kind == "f" else y)


class _Column:
    """Arrays of one type and one shape of row, one behind another in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(dir=spool_folder(), buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.float32)
        self.n_bytes = 0

    def append(self, array: np.ndarray) -> None:
        self._shape, self._dtype = array.shape[1:], array.dtype
        try:
            left = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            self.n_bytes += len(left)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _no_room(reason_of(error)) from None

    def read(self, runs: list[tuple[int, int]]) -> np.ndarray:
        out = np.empty((sum(stop - start for start, stop in runs), *self._shape), self._dtype)
        row_bytes = int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        room, done = out.reshape(-1).view(np.uint8).data, 0
        for start, stop in runs:
            self._file.seek(start * row_bytes)
            end = done + (stop - start) * row_bytes
            while done < end:
                n = self._file.readinto(room[done:end])
                if not n:
                    raise _no_room(_("a file that was cut short"))
                done += n
        return out


def spool_folder() -> Path:
    """Where rows are kept: `TMPDIR`, else the system's place for large files that need not last."""
    if "TMPDIR" not in os.environ and Path("/var/tmp").is_dir():
        return Path("/var/tmp")
    return Path(tempfile.gettempdir())


def memory_bytes(text: str) -> int | None:
    """The bytes that a text such as "2 GB" stands for; None when it is nothing of the kind, or below 32 MB.

    >>> memory_bytes("500 MB"), memory_bytes("1,5 Go"), memory_bytes("much")
    (500000000, 1500000000, None)
    """
    found = re.fullmatch(r"(\d+(?:[.,]\d+)?) ?([MGT])[Bo]", text.strip(), re.IGNORECASE)
    if not found:
        return None
    n_bytes = round(float(found[1].replace(",", ".")) * {"M": 10**6, "G": 10**9, "T": 10**12}[found[2].upper()])
    return n_bytes if n_bytes >= 32 * 10**6 else None


def check_room(n_bytes: int) -> None:
    """RecipeError when the disk has no room for so many bytes of prepared rows."""
    free = shutil.disk_usage(spool_folder()).free
    if n_bytes > free:
        got = _("{n} MB free").format(n=format_count(free // 10**6))
        raise _no_room(got, _("{n} MB for the prepared rows").format(n=format_count(n_bytes // 10**6)))


def _no_room(got: str, expected: str = "") -> RecipeError:
    mend = _("make room there, or name a roomier folder in TMPDIR")
    return RecipeError(problem(str(spool_folder()), expected or _("room for the prepared rows"), got, mend))
