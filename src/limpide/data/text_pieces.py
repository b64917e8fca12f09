"""A text table read piece by piece: whole rows, a few megabytes at a time."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from limpide.data import encodings, guesses, values
from limpide.data.framed import is_framed
from limpide.data.guesses import read_rows
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, check_applies
from limpide.data.tidying import name_problems
from limpide.errors import DataError, problem
from limpide.i18n import _, ngettext

HEAD_BYTES, WIDE_HEAD_BYTES = 1 << 18, 1 << 24
PIECE_BYTES = 1 << 23
LOOK_BYTES = 1 << 16
MAX_SHOWN = 10
OPTIONS = ("delimiter", "decimal", "thousands", "encoding", "header", "skip", "dates", "missing")
ONE_BYTE = ("cp1252", "mac-roman", "cp850", "iso8859-1", "latin-1")
"""Encodings, besides UTF-8, in which an end of line is one byte that means nothing else."""


class TextPieces:
    """One text file.

    form  how it is written, as its first rows tell
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.path = path
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            head += file.read(WIDE_HEAD_BYTES) if head.count(b"\n") < 3 else b""
            is_whole = not file.read(1)
        asked = Asked(given=Reading.from_options(path.name, options))
        check_applies(path.name, asked.given, _("text read piece by piece"), OPTIONS)
        encoding = asked.given.encoding or encodings.guess_encoding(head)
        if encoding not in ("utf-8", "utf-8-sig", *ONE_BYTE) or (b"\r" in head and b"\n" not in head):
            expected = _("text in UTF-8, or with one byte for each letter, its lines ended as Unix or Windows do")
            got = encodings.label(encoding) if encoding else _("something else")
            raise DataError(problem(path.name, expected, got, _("save it again as UTF-8")))
        if is_framed(head.decode(encoding, errors="ignore")):
            expected, got = _("a table that can be streamed"), _("a list in a frame of bars and dashes")
            raise DataError(problem(path.name, expected, got, _("save it as CSV")))
        form = guesses.guess_form(encodings.decode_head(head, encoding) or "", is_whole, asked)
        if form is None:
            raise DataError(problem(path.name, _("a table"), _("an empty file")))
        problems = name_problems(path.name, form.names)
        if problems:
            raise DataError(*problems)
        self.encoding, self.form, self.columns = encoding, form, form.names

    @property
    def n_bytes(self) -> int:
        """About how much room its table takes in memory."""
        return self.path.stat().st_size

    def frames(self) -> Iterator[tuple[pl.DataFrame, Places]]:
        """Its rows, in order, and where they stand in it.

        Raises  DataError  every ragged row of the first piece that has one, with its line
        """
        line = n_above = self.form.skip_lines
        rest = b""
        with self.path.open("rb") as file:
            for _line in range(line):
                file.readline()
            while block := file.read(PIECE_BYTES):
                block = rest + block
                end = _end_of_rows(block)
                frame, places, n_above = self._read(block[:end], line, n_above)
                if len(frame):
                    yield frame, places
                line, rest = line + block.count(b"\n", 0, end), block[end:]
        frame, places, _n_above = self._read(rest, line, n_above)
        if len(frame):
            yield frame, places

    def looks(self, n: int) -> Iterator[pl.DataFrame]:
        """A few rows from each of n places at even distances."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            for i in range(n):
                file.seek(size * i // n)
                _cut, _newline, rows = file.read(LOOK_BYTES).partition(b"\n")
                # a look may begin inside a cell of several lines: what is no table there is passed over
                with suppress(DataError):
                    frame, _places, _n_above = self._read(rows[: _end_of_rows(rows)], 1, 1)
                    if len(frame):
                        yield frame

    def _read(self, piece: bytes, line: int, n_above: int) -> tuple[pl.DataFrame, Places, int]:
        """The rows of a piece that are not blank, where they stand, and how many rows the file has up to its end.

        line     lines of the file before it
        n_above  rows of the file before it, blank ones and the names with them
        """
        if self.encoding in ONE_BYTE:
            piece = piece.decode(self.encoding, errors="replace").encode()
        elif line == 0:
            piece = piece.removeprefix(b"\xef\xbb\xbf")
        # polars counts the columns where it begins
        filled = piece.lstrip(b"\r\n") if len(self.columns) > 1 else piece
        n_blank = piece.count(b"\n", 0, len(piece) - len(filled))
        line, n_above = line + n_blank, n_above + n_blank
        if not filled.strip():
            return pl.DataFrame(), Places.after(n_above, 0), n_above + filled.count(b"\n")
        frame, failure = self._parse(filled) if self.form.delimiter != " " else (None, "")
        # polars fills short rows with missing values: they show as such in the last column
        problems = self._odd_rows(filled, line) if frame is None or frame[:, -1].null_count() else []
        if frame is None and not problems:
            frame = self._parse_slowly(filled)
        if frame is None or problems:
            raise DataError(*(problems or [self._unreadable(filled, line, failure)]))
        n = len(frame)
        frame, places = _without_blank(frame, Places.after(n_above, n))
        return frame, places, n_above + n

    def _parse(self, piece: bytes) -> tuple[pl.DataFrame | None, str]:
        """The cells, or why they cannot be read; a column that is not what the head showed is read as text."""
        types, missing = list(self.form.types), self.form.missing
        while True:
            try:
                frame = pl.read_csv(
                    piece,
                    has_header=False,
                    separator=self.form.delimiter,
                    decimal_comma=self.form.decimal == ",",
                    null_values=list(missing),
                    schema={str(i): dtype for i, dtype in enumerate(types)},
                )
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                if len(missing) < len(values.MISSING_WORDS):
                    # every word to look for costs time in every cell: those the head lacked wait until one is met
                    missing = values.MISSING_WORDS
                    continue
                found = re.search(r"could not parse .* \(column number (\d+)\)", str(error), re.DOTALL)
                column = int(found[1]) - 1 if found else -1
                if column < 0 or types[column] == pl.String:
                    return None, str(error).splitlines()[0]
                types[column] = pl.String
            else:
                return frame.rename(dict(zip(frame.columns, self.columns))), ""

    def _parse_slowly(self, piece: bytes) -> pl.DataFrame | None:
        """The cells as text, for what polars cannot read: stray quotes such as 5'6", cells between spaces."""
        try:
            lines = io.StringIO(piece.decode(), newline="")
            read = [cells for _line, cells in read_rows(lines, self.form.delimiter, strict=True)]
        except (csv.Error, UnicodeDecodeError):
            return None
        blank = [None] * len(self.columns)
        rows = [row if any(row) else blank for row in read]
        return pl.DataFrame(rows, schema=dict.fromkeys(self.columns, pl.String), orient="row")

    def _odd_rows(self, piece: bytes, line: int) -> list[str]:
        """Rows with too many or too few cells, with the line each ends on."""
        width, problems = len(self.columns), []
        lines = io.StringIO(piece.decode(errors="replace"), newline="")
        with suppress(csv.Error):  # a cell longer than the csv module takes: the rows before it have been seen
            for end, cells in read_rows(lines, self.form.delimiter):
                if len(cells) == width or not any(cell.strip() for cell in cells):
                    continue
                place = _("{file}, line {line}").format(file=self.path.name, line=line + end)
                expected = ngettext("{n} cell as in the first row", "{n} cells as in the first row", width)
                got = ngettext("{n} cell", "{n} cells", len(cells)).format(n=len(cells))
                problems.append(problem(place, expected.format(n=width), got))
                if len(problems) == MAX_SHOWN:
                    break
        return problems

    def _unreadable(self, piece: bytes, line: int, failure: str) -> str:
        place = _("{file}, line {line}").format(file=self.path.name, line=line + 1)
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            line += piece.count(b"\n", 0, error.start) + 1
            place = _("{file}, line {line}").format(file=self.path.name, line=line)
            return problem(place, _("text in UTF-8"), _("other bytes"), _("save it again as UTF-8"))
        return problem(place, _("a table of text"), failure)


def _without_blank(frame: pl.DataFrame, places: Places) -> tuple[pl.DataFrame, Places]:
    if frame.width < 2 or not all(column.null_count() for column in frame):
        return frame, places
    is_filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    return frame.filter(is_filled), places.kept(is_filled)


def _end_of_rows(block: bytes) -> int:
    """Where the last whole row of a text ends: a newline that stands in no quotes."""
    last = end = block.rfind(b"\n") + 1
    is_open = block.count(b'"', 0, end) % 2
    while is_open and end:
        before = block.rfind(b"\n", 0, end - 1) + 1
        is_open ^= block.count(b'"', before, end) % 2
        end = before
    # where quotes never close they are letters like others
    return end or last
