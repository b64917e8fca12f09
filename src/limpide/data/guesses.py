"""How a text table is written, guessed from its head: encoding, delimiter, decimal mark, names, types of columns."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from limpide.data import values
from limpide.i18n import N_, _

DELIMITERS = {"\t": N_("tabs"), ";": N_("semicolons"), "|": N_("vertical bars"), ",": N_("commas")}
"""In the order of preference where several fit: a comma is the one most often found inside cells."""

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 (BOM)",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
}

SAMPLE_ROWS = 500
SAMPLE_CELLS = 20_000
"""A wide table shows enough of itself in fewer rows."""
DELIMITER_ROWS = 50
_CODE = re.compile(values.CODE)
_MISSING = frozenset(values.MISSING_WORDS)
_CONTROL = "".join(map(chr, [*range(9), *range(14, 32)]))


@dataclass(frozen=True)
class TextForm:
    """How a text table is written.

    decimal     "." or ","
    names       one for each column; made up where the file gives none
    has_header  the first row holds the names
    n_unnamed   columns whose name is empty in the header
    skip_lines  lines of the file before the first row of values
    types       of each column as far as the head shows; text where in doubt
    missing     the words for a missing value met in the head
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    has_header: bool
    n_unnamed: int
    skip_lines: int
    types: tuple[type[pl.DataType], ...]
    missing: tuple[str, ...] = ()

    def sentence(self, encoding: str) -> str:
        """What was guessed, for people."""
        return _("read as text in {encoding}, cells separated by {delimiter}, decimal {mark}, {names}").format(
            encoding=ENCODINGS[encoding],
            delimiter=_(DELIMITERS[self.delimiter]),
            mark=_("comma") if self.decimal == "," else _("point"),
            names=_("names in the first row") if self.has_header else _("no row of names"),
        )


def guess_encoding(head: bytes) -> str | None:
    """The encoding of a text, or None when these bytes are no text.

    >>> guess_encoding("été".encode()), guess_encoding("été".encode("cp1252")), guess_encoding(bytes(9))
    ('utf-8', 'cp1252', None)
    """
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        # Latin letters in UTF-16 put a zero in every other byte.
        even, odd = head[0::2].count(0), head[1::2].count(0)
        candidates = ["utf-16-le"] if odd > 0.4 * len(head) / 2 and not even else []
        candidates += ["utf-16-be"] if even > 0.4 * len(head) / 2 and not odd else []
    else:
        candidates = ["utf-8", "cp1252"]
    for encoding in candidates:
        text = decode_head(head, encoding)
        if text is not None and not any(character in text for character in _CONTROL):
            return encoding
    return None


def decode_head(head: bytes, encoding: str) -> str | None:
    """The text of the first bytes of a file, a letter cut in two at their end left out; None when they do not fit."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def guess_form(text: str, is_whole: bool) -> TextForm | None:
    """How the table beginning with `text` is written; None when it holds nothing.

    is_whole  the text is the whole file, not only its head: its last row is complete
    """
    delimiter = _guess_delimiter(text, is_whole)
    rows, first_line = _sample(text, delimiter, is_whole)
    if not rows:
        return None
    decimal = _guess_decimal(rows, delimiter)
    first = [cell.strip() for cell in rows[0]]
    width = len(first)
    types = tuple(_column_type([row[i] for row in rows[1:] if len(row) > i], decimal) for i in range(width))
    has_header = _guess_header(first, types, len(rows) == 1, decimal)
    if not has_header:
        types = tuple(_column_type([row[i] for row in rows if len(row) > i], decimal) for i in range(width))
    names = tuple(name or f"column_{i + 1}" for i, name in enumerate(first if has_header else [""] * width))
    body = rows[1:] if has_header else rows
    skip_lines = first_line[0] if has_header else first_line[1]
    n_unnamed = first.count("") if has_header else 0
    missing = tuple({cell for row in body for cell in row} & set(values.MISSING_WORDS) - {""})
    return TextForm(delimiter, decimal, names, has_header, n_unnamed, skip_lines, types, missing)


def _sample(
    text: str, delimiter: str, is_whole: bool, n_rows: int = SAMPLE_ROWS
) -> tuple[list[list[str]], tuple[int, int]]:
    """The first rows that are not blank, and the lines up to the end and the beginning of the first of them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    lines, before = (0, 0), 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines = lines if rows else (reader.line_num, before)
                rows.append(row)
                n_rows = min(n_rows, max(20, SAMPLE_CELLS // len(row)))
            before = reader.line_num
            if len(rows) > n_rows:
                break
        else:
            rows = rows if is_whole or len(rows) < 2 else rows[:-1]
    except csv.Error:
        pass  # a cell too long for the csv module: what was read up to it is sample enough
    return rows, lines


def _guess_delimiter(text: str, is_whole: bool) -> str:
    """The delimiter that gives the most rows the same number of cells, two at least."""
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in _sample(text, delimiter, is_whole, DELIMITER_ROWS)[0])
        if not widths:
            continue
        width, n_rows = widths.most_common(1)[0]
        score = n_rows / widths.total() if width > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _guess_decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """A comma where cells such as 1,5 outnumber cells such as 1.5."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows[:SAMPLE_ROWS] for cell in row]
    n_commas = sum(values.COMMA_NUMBER.fullmatch(cell) is not None for cell in cells)
    n_points = sum("." in cell and values.NUMBER.fullmatch(cell) is not None for cell in cells)
    return "," if n_commas > n_points else "."


def _guess_header(first: Sequence[str], types: Sequence[type[pl.DataType]], is_alone: bool, decimal: str) -> bool:
    """True unless the first row looks like the others: numbers where they have numbers, and nowhere a word instead.

    types     of the columns below the first row
    is_alone  there is nothing below
    """
    if is_alone:
        return not any(_is_number(cell, decimal) for cell in first)
    above = [cell for cell, dtype in zip(first, types) if dtype != pl.String and cell not in values.MISSING_WORDS]
    n_numbers = sum(_is_number(cell, decimal) for cell in above)
    return n_numbers < len(above) or not n_numbers


def _is_number(cell: str, decimal: str) -> bool:
    return bool(values.NUMBER.fullmatch(cell) or (decimal == "," and values.COMMA_NUMBER.fullmatch(cell)))


def _column_type(cells: Sequence[str], decimal: str) -> type[pl.DataType]:
    found: type[pl.DataType] | None = None
    for cell in map(str.strip, cells):
        if values.WHOLE_NUMBER.fullmatch(cell):
            found = found or pl.Int64
        elif cell not in _MISSING:
            is_code = _CODE.match(cell) or cell.lstrip("+-").isdigit()
            if is_code or not _is_number(cell, decimal):
                return pl.String
            found = pl.Float64
    return found or pl.String
