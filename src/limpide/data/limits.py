"""How much of a file is read at most; every bound is looked at before memory is taken for what it bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from limpide.data.places import Places, shown_row
from limpide.errors import DataError, LimpideError, problem, reason_of
from limpide.i18n import _, format_count
from limpide.settings import number_setting

MOST_COLUMNS = 10_000
MOST_CELLS = 2_000_000_000
MOST_LINE_BYTES = 16 * 2**20
MOST_CELL_LETTERS = 100_000

MOST_RATIO = 500
SMALL_BYTES = 50_000_000
"""What unpacks to more than this, and to more than `MOST_RATIO` times its size, is no table that people have."""


def max_bytes() -> float:
    """The size of the largest file that is read, and of what a packed one unpacks to: `LIMPIDE_MAX_FILE_MB`."""
    return number_setting("LIMPIDE_MAX_FILE_MB") * 1e6


def check_size(where: str, n_bytes: float) -> None:
    """DataError for a file, or what it unpacks to, above the bound."""
    if n_bytes > max_bytes():
        raise DataError(
            problem(
                where,
                _("at most {n} MB").format(n=format_count(int(max_bytes() / 1e6))),
                _("{n} MB").format(n=format_count(round(n_bytes / 1e6))),
                _("take a part of it, or set LIMPIDE_MAX_FILE_MB"),
            )
        )


def check_ratio(where: str, n_bytes: int, n_packed: int) -> None:
    """DataError for a small file that unpacks to a huge one."""
    if n_bytes > SMALL_BYTES and n_bytes > MOST_RATIO * n_packed:
        raise DataError(
            problem(
                where,
                _("a file that unpacks to at most {n} times its size").format(n=MOST_RATIO),
                _("{n} times").format(n=format_count(n_bytes // max(n_packed, 1))),
                _("unpack it yourself if you trust it"),
            )
        )


def check_shape(where: str, n_rows: int, n_columns: int) -> None:
    """DataError for a table too wide or too large."""
    if n_columns > MOST_COLUMNS:
        expected = _("at most {n} columns").format(n=format_count(MOST_COLUMNS))
        raise DataError(problem(where, expected, format_count(n_columns), _("keep the columns that matter")))
    if n_rows * n_columns > MOST_CELLS:
        expected = _("at most {n} cells").format(n=format_count(MOST_CELLS))
        raise DataError(problem(where, expected, format_count(n_rows * n_columns), _("take a part of it")))


def check_lines(where: str, source: bytes) -> None:
    """DataError for a line longer than any row: what parses it takes time that grows with its square."""
    start = 0
    while len(source) - start > MOST_LINE_BYTES:
        end = source.rfind(b"\n", start, start + MOST_LINE_BYTES)
        if end < start:
            line = _("{file}, line {line}").format(file=where, line=format_count(source.count(b"\n", 0, start) + 1))
            got = _("a line of more than {n} MB").format(n=MOST_LINE_BYTES >> 20)
            raise DataError(problem(line, _("lines of a table"), got, _("end each row with an end of line")))
        start = end + 1


def check_names(where: str, names: Sequence[str]) -> None:
    """DataError for names of columns that would stand for other columns."""
    patterns = [name for name in names if name.startswith("^") and name.endswith("$")]
    if patterns:
        expected = _("no name from ^ to $, which is a pattern for names")
        raise DataError(*(problem(where, expected, repr(name), _("rename the column")) for name in patterns))


def check_cells(where: str, frame: pl.DataFrame, places: Places | None = None) -> None:
    """DataError for names that polars takes for patterns, and for cells of a text longer than any word."""
    check_names(where, frame.columns)
    problems = []
    for column in frame:
        if column.dtype == pl.String and (column.str.len_bytes().max() or 0) > MOST_CELL_LETTERS:  # type: ignore[operator]
            lengths = column.str.len_chars()
            row = int(lengths.arg_max() or 0)
            place = _("{file}, column {name}, row {row}").format(
                file=where, name=column.name, row=shown_row(row, places)
            )
            expected = _("a cell of at most {n} letters").format(n=format_count(MOST_CELL_LETTERS))
            if lengths[row] > MOST_CELL_LETTERS:
                problems.append(problem(place, expected, format_count(lengths[row])))
    if problems:
        raise DataError(*problems)


@contextmanager
def foreign(where: str, expected: str, mend: str = "") -> Iterator[None]:
    """What a library says of a file it cannot read, as a DataError.

    Damaged bytes make libraries fail in as many ways as a form has fields, up to a panic of their native code.
    """
    try:
        yield
    except (LimpideError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of native code is no Exception
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = reason_of(error) if isinstance(error, OSError) and error.strerror else lines[0]
        raise DataError(problem(where, expected, os.fsdecode(reason)[:200], mend)) from error
