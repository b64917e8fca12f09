"""How a table is written, guessed from its first rows: delimiter, decimal mark, names, types, lines above it."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple

import polars as pl

from limpide.data import encodings, values
from limpide.data.clocks import is_time
from limpide.data.joined_names import joined_names
from limpide.data.numerals import AMBIGUOUS, OUT_OF, guess_decimal, is_numeral
from limpide.data.reading import Asked
from limpide.i18n import N_, _

DELIMITERS = {"\t": N_("tabs"), ";": N_("semicolons"), "|": N_("vertical bars"), ",": N_("commas")}
"""In the order of preference where several fit: a comma is the one most often found inside cells."""

SAMPLE_ROWS = 500
SAMPLE_CELLS = 20_000
"""A wide table shows enough of itself in fewer rows."""
DELIMITER_ROWS = 50
HEADER_ROWS = 100
MOST_ABOVE = 30
"""Lines above a table that are looked through for its first row."""

_CODE = re.compile(values.CODE)
_MARK = re.compile(rf"\d+([.,]\d+)?{OUT_OF}")
_PHONE = re.compile(values.PHONE)
_MISSING = frozenset(values.MISSING_WORDS)
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*\r?\n', re.IGNORECASE)


class Row(NamedTuple):
    """A row that is not blank, and the lines of the file before it and up to its end."""

    cells: list[str]
    start: int
    end: int


@dataclass(frozen=True)
class TextForm:
    """How a table is written.

    decimal     "." or ","; None where nothing tells
    names       one for each column; made up where the file gives none
    has_header  the first row holds the names
    n_names     rows that hold them: two or three where the names stand over several
    n_unnamed   columns whose name is empty in the header
    start       lines of the file before the first row
    skip_lines  lines of the file before the first row of values
    above       the lines left out above the table
    types       of each column as far as the head shows; text where in doubt
    missing     the words for a missing value met in the head
    is_open     columns of whole numbers of three digits behind a point, which may be thousands
    """

    delimiter: str
    decimal: str | None
    names: tuple[str, ...]
    has_header: bool
    n_unnamed: int
    start: int
    skip_lines: int
    above: tuple[str, ...]
    types: tuple[type[pl.DataType], ...]
    missing: tuple[str, ...] = ()
    n_names: int = 1
    is_open: tuple[str, ...] = ()

    def sentence(self, encoding: str) -> str:
        """What was guessed, for people."""
        names = {**DELIMITERS, " ": N_("spaces")}
        delimiter = _(names[self.delimiter]) if self.delimiter in names else repr(self.delimiter)
        return _("read as text in {encoding}, cells separated by {delimiter}, decimal {mark}, {names}").format(
            encoding=encodings.label(encoding),
            delimiter=delimiter,
            mark=_("comma") if self.decimal == "," else _("point"),
            names=self._names_sentence(),
        )

    def _names_sentence(self) -> str:
        if self.n_names > 1:
            return _("names joined from {n} rows").format(n=self.n_names)
        return _("names in the first row") if self.has_header else _("no row of names")


def guess_form(text: str, is_whole: bool, asked: Asked | None = None) -> TextForm | None:
    """How the table beginning with `text` is written; None when it holds nothing.

    is_whole  the text is the whole file, not only its head: its last row is complete
    """
    asked = asked or Asked()
    said = _SEP_LINE.match(text)
    n_before = asked.given.skip if asked.given.skip is not None else int(said is not None)
    lines = io.StringIO(text, newline="")  # only ends of line end a line: str.splitlines takes a form feed for one
    list(islice(lines, n_before))
    below = lines.read()
    delimiter = asked.given.delimiter or (said[1] if said else None) or _guess_delimiter(below, is_whole, asked)
    rows = [Row(row.cells, row.start + n_before, row.end + n_before) for row in _sample(below, delimiter, is_whole)]
    return guess_rows(_with_row_names(rows, below), delimiter, asked)


def guess_rows(rows: Sequence[Row], delimiter: str, asked: Asked) -> TextForm | None:
    """How a table with these first rows is written, once its cells are told apart."""
    first = _first_row(rows) if asked.given.skip is None else 0
    above = tuple(" ".join(filter(None, map(str.strip, row.cells))) for row in rows[:first])
    rows = rows[first:]
    if not rows:
        return None
    cells = [row.cells for row in rows]
    decimal = asked.given.decimal_said or guess_decimal([cell.strip() for row in cells for cell in row])
    before = asked.former.decimal if asked.former else None
    joined = joined_names(cells, _is_value) if asked.given.header is not False else None
    if joined is not None:
        cells = [joined.names, *cells[joined.n_rows :]]
    top = [cell.strip().strip("\ufeff\u200b\u200e\u200f").strip() for cell in cells[0]]
    below = cells[1:]
    if below and all(len(row) == len(top) + 1 and not row[-1].strip() for row in below):
        top.append("")  # every row but that of the names ends with a delimiter
    width = len(top)
    has_header = joined is not None or _has_header(cells, asked)
    n_names = joined.n_rows if joined else 1
    body = cells[1:] if has_header else cells
    names = tuple(name or f"column_{i + 1}" for i, name in enumerate(top if has_header else [""] * width))
    columns = [[row[i].strip() for row in body if len(row) > i] for i in range(width)]
    types = tuple(
        pl.String if asked.is_text(name) else _column_type(column, decimal or before)
        for name, column in zip(names, columns)
    )
    return TextForm(
        delimiter=delimiter,
        decimal=decimal,
        names=names,
        has_header=has_header,
        n_unnamed=top.count("") if has_header else 0,
        start=rows[0].start,
        skip_lines=rows[n_names - 1].end if has_header else rows[0].start,
        above=above,
        types=types,
        missing=tuple(sorted({cell for row in body for cell in row} & set(values.MISSING_WORDS) - {""})),
        n_names=n_names,
        is_open=tuple(name for name, column in zip(names, columns) if _may_be_thousands(column, delimiter == ";")),
    )


def _with_row_names(rows: list[Row], text: str) -> list[Row]:
    """The rows with a blank name before the others where R wrote the names of rows, in quotes, and none over them.

    Where nothing is quoted, the name that lacks may be any.
    """
    widths = {len(row.cells) for row in rows[1:]}
    first = [row.cells[0] for row in rows[1:]]
    is_quoted = all(line.startswith('"') for line in islice(filter(str.strip, io.StringIO(text)), HEADER_ROWS))
    if not first or widths != {len(rows[0].cells) + 1} or len(set(first)) < len(first) or not is_quoted:
        return rows
    return [rows[0]._replace(cells=["", *rows[0].cells]), *rows[1:]]


def _sample(text: str, delimiter: str, is_whole: bool, n_rows: int = SAMPLE_ROWS) -> list[Row]:
    """The first rows that are not blank."""
    rows: list[Row] = []
    before = 0
    reader = read_rows(io.StringIO(text, newline=""), delimiter)
    try:
        for line, cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(cells, before, line))
                n_rows = min(n_rows, max(20, SAMPLE_CELLS // len(cells)))
            before = line
            if len(rows) > n_rows:
                break
        else:
            rows = rows if is_whole or len(rows) < 2 else rows[:-1]
    except csv.Error:
        pass  # a cell too long for the csv module: what was read up to it is sample enough
    return rows


def read_rows(lines: Iterable[str], delimiter: str, strict: bool = False) -> Iterable[tuple[int, list[str]]]:
    """(the line a row ends on, its cells) of each row; between spaces there may be any number of them."""
    is_spaced = delimiter == " "
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=is_spaced, strict=strict)
    for cells in reader:
        if is_spaced:
            cells = cells[1 if cells[:1] == [""] else 0 : -1 if cells[-1:] == [""] else None]
        yield reader.line_num, cells


def _guess_delimiter(text: str, is_whole: bool, asked: Asked) -> str:
    """The delimiter that gives the most rows the same number of cells, two at least.

    What a model learned from was written with one delimiter: that one is kept if it gives known columns.
    """
    best, best_score = ",", 0.0
    former = asked.former.delimiter if asked.former else None
    for delimiter in dict.fromkeys([*([former] if former else []), *DELIMITERS, " "]):
        rows = [row.cells for row in _sample(text, delimiter, is_whole, DELIMITER_ROWS)]
        widths = Counter(map(len, rows))
        if not widths:
            continue
        if delimiter == former and _known(rows, asked.former.cells if asked.former else ()):
            return delimiter
        width, n_rows = max(widths.items(), key=lambda item: (item[1], item[0]))
        score = n_rows / widths.total() if width > 1 else 0.0
        if delimiter == " " and not _are_numbers(rows, width):
            score = 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _known(rows: Sequence[Sequence[str]], names: Collection[str]) -> bool:
    """True when one of the first rows holds the names of columns, or as many cells as there are columns without."""
    tops = [{cell.strip() for cell in row} for row in rows[:MOST_ABOVE]]
    is_nameless = all(re.fullmatch(r"column_\d+", name) for name in names)
    return any(top & set(names) for top in tops) or (
        is_nameless and any(1 < len(row) >= len(names) for row in rows[:1])
    )


def _are_numbers(rows: Sequence[Sequence[str]], width: int) -> bool:
    """True when spaces stand between numbers rather than between the words of a text."""
    cells = [cell for row in rows[1:] or rows for cell in row]
    n = sum(cell in _MISSING or is_numeral(cell) for cell in cells)
    is_even = all(len(row) == width for row in rows[1:]) and len(rows[0]) in (width, width - 1)
    return width > 1 and n > 0.6 * len(cells) and is_even


def _first_row(rows: Sequence[Row]) -> int:
    """Where the table begins: the titles and remarks above it fill a part of its width, in its first cells."""
    widths = Counter(len(row.cells) for row in rows)
    if not widths:
        return 0
    width = max(widths.items(), key=lambda item: (item[1], item[0]))[0]
    usual = statistics.median(sum(map(bool, map(str.strip, row.cells))) for row in rows if len(row.cells) == width)
    n_other = next((i for i, row in enumerate(rows[:MOST_ABOVE]) if len(row.cells) == width), 0)
    if n_other and len(rows) > n_other + 2 and _are_names_over(*(row.cells for row in rows[n_other : n_other + 2])):
        return n_other  # what an instrument says of itself, more or fewer cells a line
    for i, row in enumerate(rows[:MOST_ABOVE]):
        if not _is_above(row.cells, width, usual) and not _names_follow([row.cells for row in rows[i : i + 3]]):
            return i
    return 0


def _are_names_over(names: Sequence[str], below: Sequence[str]) -> bool:
    """True for words, all different, over a row that has values."""
    names, below = ([cell.strip() for cell in row] for row in (names, below))
    return (
        len(set(names)) == len(names) and all(names) and not any(map(_is_value, names)) and any(map(_is_value, below))
    )


def _names_follow(rows: Sequence[Sequence[str]]) -> bool:
    """True for a row with gaps that stands over the names: some columns have a name in common."""
    if len(rows) < 3 or len({len(row) for row in rows}) > 1:
        return False
    first, second, third = ([cell.strip() for cell in row] for row in rows)
    has_gaps = not all(first) and all(second) and len(set(second)) == len(second)
    is_group = all(values.YEAR.fullmatch(cell) or not _is_value(cell) for cell in first)
    return has_gaps and is_group and not any(map(_is_value, second)) and any(map(_is_value, third))


def _is_above(cells: Sequence[str], width: int, usual: float) -> bool:
    filled = [i for i, cell in enumerate(cells) if cell.strip()]
    if cells[0].lstrip().startswith("#") and len(cells) != width:
        return True
    if len(cells) > width or width < 2 or all(is_numeral(cells[i].strip()) for i in filled):
        return False
    is_beginning = filled == list(range(len(filled)))
    if len(cells) == width:  # a spreadsheet fills up the lines above with delimiters
        return width > 2 and is_beginning and 2 * len(filled) <= width and 2 * len(filled) <= usual
    return 2 * len(filled) <= width


def _has_header(rows: Sequence[Sequence[str]], asked: Asked) -> bool:
    """Whether the first row holds names: as asked, else as the file says, else as it was in training."""
    if asked.given.header is not None:
        return asked.given.header
    top = [cell.strip() for cell in rows[0]]
    if asked.former is not None:
        if set(top) & set(asked.former.cells):
            return True
        if asked.former.header is not None:
            return asked.former.header
    return _guess_header(top, [[cell.strip() for cell in row] for row in rows[1 : HEADER_ROWS + 1]])


def _guess_header(top: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """True unless the first row looks like the others: numbers where they have numbers, and nowhere a word instead.

    Where all are words, one that comes again below is no name.
    """
    if not body:
        return not any(map(_is_value, top))
    columns = [[row[i] for row in body if len(row) > i and row[i] not in _MISSING] for i in range(len(top))]
    above = [
        cell
        for cell, column in zip(top, columns)
        if column and cell not in _MISSING and sum(map(_is_value, column)) >= 0.8 * len(column)
    ]
    if above:
        return not all(map(_is_value, above)) or _are_steps(top, body)
    return not any(cell and cell in column for cell, column in zip(top, columns))


def _are_steps(top: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """True where the numbers in the first row count years, or all columns from 0 or 1, and no other row does so."""
    places = [i for i, cell in enumerate(top) if values.WHOLE_NUMBER.fullmatch(cell)]
    rows = [[row[i] for i in places if i < len(row)] for row in [top, *body]]
    first, step = _first_and_step(rows[0])
    if not step or any(_first_and_step(row)[1] for row in rows[1:]):
        return False
    is_all = len(places) == len(top)
    is_count = is_all and len(places) > 3 and first in (0, 1) and step == 1
    return is_count or (len(places) > 1 + is_all and all(1800 <= int(cell) <= 2200 for cell in rows[0]))


def _first_and_step(cells: Sequence[str]) -> tuple[int, int]:
    """Where whole numbers begin and by how much each is more than the one before; a step of 0 where that differs."""
    if len(cells) < 2 or not all(values.WHOLE_NUMBER.fullmatch(cell) for cell in cells):
        return 0, 0
    numbers = [int(cell) for cell in cells]
    steps = {after - before for before, after in pairwise(numbers)}
    return numbers[0], steps.pop() if len(steps) == 1 else 0


def _is_value(cell: str) -> bool:
    return (
        values.NUMBER.fullmatch(cell) is not None
        or is_numeral(cell)
        or is_time(cell)
        or _MARK.match(cell) is not None
        or bool(_CODE.match(cell))
        or re.match(r"\d+[-/.]\d+[-/.]\d", cell) is not None
    )


def _column_type(cells: Sequence[str], decimal: str | None) -> type[pl.DataType]:
    found: type[pl.DataType] | None = None
    if values.are_months(pl.Series(cells, dtype=pl.String)):
        return pl.String
    for cell in cells:
        if _PHONE.match(cell):
            return pl.String
        if values.WHOLE_NUMBER.fullmatch(cell):
            found = found or pl.Int64
        elif cell not in _MISSING:
            is_code = _CODE.match(cell) or cell.lstrip("+-").isdigit()
            number = cell.replace(",", ".", 1) if decimal == "," and "." not in cell else cell
            if is_code or (decimal == "," and "." in cell) or not values.NUMBER.fullmatch(number):
                return pl.String
            found = pl.Float64
    return found or pl.String


def _may_be_thousands(cells: Sequence[str], is_european: bool) -> bool:
    """True when every number with a point has three digits behind it, as thousands would, and more speaks for it.

    is_european  what else is known of the file speaks for it
    """
    pointed = [cell for cell in cells if "." in cell]
    has_whole = any(values.WHOLE_NUMBER.fullmatch(cell) for cell in cells)
    is_likely = sum((len(pointed) > 2, has_whole, is_european)) >= 2
    return bool(pointed) and is_likely and all(AMBIGUOUS.fullmatch(cell) for cell in pointed)
