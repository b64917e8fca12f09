"""A table too large for memory, read piece by piece: Parquet and text, one file or several.

A piece holds whole rows and a few megabytes; which rows stand together in one is settled by the files alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Note
from limpide.data.frames import plain
from limpide.data.parts import check_columns, files_sha256, stacked, table_files
from limpide.data.places import Places
from limpide.data.reading import Reading, check_applies
from limpide.data.text_pieces import PIECE_BYTES, TextPieces
from limpide.errors import DataError, problem, reason_of
from limpide.i18n import N_, _, format_count, ngettext

MEMORY = "2 GB"
"""What may be held where nothing was said."""

COPIES = 3
"""Bytes that a table read at once takes for each of its own: its text, its columns, its prepared rows."""

PARQUET = b"PAR1"

PIECE_ROWS = 1 << 16
"""Of Parquet, at most; fewer of wide rows."""

LOOKS, LOOK_ROWS = 64, 256
"""What is seen of the files besides their first rows: so many places at even distances."""


@dataclass(frozen=True)
class Piece:
    """Rows that follow each other in a file.

    file    its name
    places  where they stand in it
    number  how many rows of all files stand before them
    """

    file: str
    places: Places
    number: int
    frame: pl.DataFrame

    @contextmanager
    def naming(self, cell_problems: Callable[[pl.DataFrame, Places], list[str]]) -> Iterator[None]:
        """A DataError within names the cells by the file and the rows that these are in it.

        cell_problems  what is wrong with the cells of rows that stand there; nothing: the error stays as it is
        """
        try:
            yield
        except DataError:
            problems = cell_problems(self.frame, self.places)
            if not problems:
                raise
            raise DataError(*(f"{self.file}, {text}" for text in problems)) from None


class Pieces(Protocol):
    """One file of a stream."""

    path: Path

    @property
    def columns(self) -> Sequence[str]:
        """The names, in the order of the file."""
        ...

    @property
    def n_bytes(self) -> int:
        """About how much room its table takes in memory."""
        ...

    def frames(self) -> Iterator[tuple[pl.DataFrame, Places]]:
        """Its rows, in order, and where they stand in it."""
        ...

    def looks(self, n: int) -> Iterator[pl.DataFrame]:
        """A few rows from each of n places at even distances."""
        ...


class ParquetPieces:
    """One Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.lazy = pl.scan_parquet(path, glob=False)
            self.columns = self.lazy.collect_schema().names()
            self.n_rows = int(self.lazy.select(pl.len()).collect().item())
        except pl.exceptions.PolarsError as error:
            raise DataError(problem(path.name, _("a Parquet file"), str(error).splitlines()[0])) from error

    @property
    def n_bytes(self) -> int:
        """Eight bytes a cell."""
        return 8 * self.n_rows * len(self.columns)

    def _rows(self, start: int, n: int) -> pl.DataFrame:
        try:
            return plain(self.lazy.slice(start, n).collect())
        except pl.exceptions.PolarsError as error:
            raise DataError(problem(self.path.name, _("a Parquet file"), str(error).splitlines()[0])) from error

    def frames(self) -> Iterator[tuple[pl.DataFrame, Places]]:
        """Its rows, in order, and where they stand in it."""
        head = self._rows(0, 1000)
        row_bytes = max(1, int(head.estimated_size()) // max(len(head), 1))
        n = max(1, min(PIECE_ROWS, PIECE_BYTES // row_bytes))
        for start in range(0, self.n_rows, n):
            frame = self._rows(start, n)
            yield frame, Places.after(start, len(frame))

    def looks(self, n: int) -> Iterator[pl.DataFrame]:
        """A few rows from each of n places at even distances."""
        for start in np.unique(np.arange(n) * self.n_rows // n).tolist():
            yield self._rows(start, min(LOOK_ROWS, -(-self.n_rows // n)))


class TableStream:
    """A table in files, read piece by piece.

    name     what people call it
    columns  in the order of the first file
    """

    def __init__(self, name: str, paths: Sequence[Path], options: Mapping[str, Any] | None = None) -> None:
        """options  how text is written, against what would be guessed; what stands for a missing value

        Raises  DataError  files that are no tables of text or Parquet, or whose columns differ
        """
        self.name, self.paths = name, tuple(paths)
        self.files = [_open(path, options or {}) for path in paths]
        self._missing = Reading.from_options(name, options or {}).missing_cells
        check_columns([(file.path.name, file.columns) for file in self.files])
        self.columns = tuple(self.files[0].columns)

    @property
    def n_bytes(self) -> int:
        """About how much room the whole table would take in memory."""
        return sum(file.n_bytes for file in self.files)

    @cached_property
    def sha256(self) -> str:
        """The sum of the files, as that of the table read at once."""
        return files_sha256(self.paths)

    def pieces(self) -> Iterator[Piece]:
        """All rows, in order."""
        number = 0
        for file in self.files:
            for frame, places in file.frames():
                yield Piece(file.path.name, places, number, self._cleared(frame))
                number += len(frame)

    def _cleared(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The columns in order, without the cells that stand for a missing value."""
        return frame.select([values.without(frame[name], self._missing) for name in self.columns])

    def head(self) -> pl.DataFrame:
        """The first rows, typed as a table read at once would be.

        Raises  DataError  when there are none
        """
        for piece in self.pieces():
            return _typed(piece.frame)
        raise DataError(problem(self.name, _("rows under the names"), _("only a header")))

    def looks(self) -> pl.DataFrame:
        """A few rows from many places."""
        files = self.files[:: -(-len(self.files) // LOOKS)]
        frames = [frame for file in files for frame in file.looks(-(-LOOKS // len(files)))]
        return stacked([_typed(self._cleared(frame)) for frame in frames] or [self.head()])

    @property
    def notes(self) -> list[Note]:
        """What was guessed to read it."""
        n = len(self.files)
        text = ngettext("{n} file read as one table", "{n} files read as one table", n)
        notes = [Note("info", self.name, text.format(n=format_count(n)))] if n > 1 else []
        first = self.files[0]
        if isinstance(first, TextPieces):
            notes.append(Note("info", first.path.name, first.form.sentence(first.encoding)))
        return notes


def large_stream(source: str, memory: int, options: Mapping[str, Any]) -> TableStream | None:
    """The stream of files whose table would take more than the memory when read at once; else None.

    memory   in bytes; 0 asks for a stream whatever the size
    options  how text is written, against what would be guessed
    Raises   DataError  when it asks, and the files cannot be streamed
    """
    files = table_files(source)
    if not files or COPIES * sum(map(_most_bytes, files)) < memory:
        return None
    try:
        stream = TableStream(Path(source).name, files, options)
    except DataError:
        if not memory:
            raise
        return None
    return stream if room_for(stream) > memory else None


def _most_bytes(path: Path) -> int:
    """The most that `Pieces.n_bytes` can be, at a glance: packed columns unpack to twenty times their size at most."""
    with suppress(OSError), path.open("rb") as file:
        return (20 if file.read(4) == PARQUET else 1) * path.stat().st_size
    return 0


def room_for(stream: TableStream) -> int:
    """About how much memory its table would take, read at once."""
    return COPIES * stream.n_bytes


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns([values.typed(column) for column in frame if column.dtype == pl.String])


PACKED = {b"PK\x03\x04": N_("a zip archive or an Excel file"), b"\x1f\x8b": N_("a gzip archive")}


def _open(path: Path, options: Mapping[str, Any]) -> Pieces:
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if not start:
            raise DataError(problem(path.name, _("a table"), _("an empty file")))
        for signature, label in PACKED.items():
            if start.startswith(signature):
                expected = _("a CSV, TSV or Parquet file, which can be streamed")
                raise DataError(problem(path.name, expected, _(label), _("unpack it first")))
        if start == PARQUET:
            check_applies(path.name, Reading.from_options(path.name, options), _("Parquet"), ("missing",))
            return ParquetPieces(path)
        return TextPieces(path, options)
    except OSError as error:
        raise DataError(problem(str(path), _("a file that can be read"), reason_of(error))) from error
