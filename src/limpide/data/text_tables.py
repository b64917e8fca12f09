"""A table written as text: CSV, TSV and their kin."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, TextIO

import numpy as np
import polars as pl

from limpide.data import encodings, guesses, limits, values
from limpide.data.framed import is_framed, unframed
from limpide.data.guesses import TextForm, read_rows
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, Table
from limpide.data.tidying import filled_rows, is_footer, name_problems, tidied
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

HEAD_BYTES = 1 << 18
MAX_SHOWN = 10
"""Problems of one sort that are shown before the others are only counted."""

OPTIONS = ("delimiter", "decimal", "thousands", "encoding", "header", "skip", "footer", "dates", "missing")


def is_text(content: bytes) -> bool:
    """True when a file with this content is text, in an encoding that is known."""
    return _guessed_encoding(head_of(content)) is not None


def may_be_text(content: bytes) -> bool:
    """True for bytes that an encoding may make letters of, though which is not known."""
    return not any(byte < 32 and byte not in b"\t\n\r\f\v\x1b" for byte in set(head_of(content)))


def _guessed_encoding(head: bytes) -> str | None:
    """The encoding of a head, which may be a few stray zero bytes away from text."""
    return encodings.guess_encoding(head) or (
        encodings.guess_encoding(head.replace(b"\0", b"")) if 0 < head.count(b"\0") <= len(head) / 4 else None
    )


def head_of(content: bytes) -> bytes:
    """The first rows of a file: a few lines at least, however long they are."""
    head = content[:HEAD_BYTES]
    return head if head.count(b"\n") >= 3 else content[: limits.MOST_LINE_BYTES]


def read_text(where: str, content: bytes, asked: Asked) -> Table:
    """The table of a text file with this content."""
    head = head_of(content)
    if len(content) > len(head) and not re.search(rb"[\r\n]", head):
        got = _("a line of more than {n} MB").format(n=limits.MOST_LINE_BYTES >> 20)
        raise DataError(problem(where, _("lines of a table"), got, _("end each row with an end of line")))
    encoding = asked.given.encoding or _former_encoding(asked, head) or _guessed_encoding(head)
    assert encoding is not None, "recognised as text"
    source = _source(where, content, encoding)
    if source is None:  # only a late byte shows that it is not UTF-8
        start = max(0, (encodings.bad_byte(content) or 0) - 1000)
        encoding = encodings.guess_legacy(content[start : start + HEAD_BYTES]) or "cp1252"
        source = encodings.as_utf8(where, content, encoding)
    source = _unix(source)
    if is_framed(head_of(source).decode(errors="ignore")):
        source = unframed(source)
    _check_zeros(where, source)
    limits.check_lines(where, source)
    head = head_of(source)
    text = encodings.decode_head(head, "utf-8") or head.decode(errors="ignore")
    form = guesses.guess_form(text, is_whole=len(head) == len(source), asked=asked)
    if form is None:
        raise DataError(problem(where, _("a table"), _("an empty file")))
    # no row is shorter than its delimiters: only a text of more bytes can have so many cells
    n_rows = source.count(b"\n") + 1 if len(source) > limits.MOST_CELLS else 1
    limits.check_shape(where, n_rows, len(form.names))
    frame, n_footer, places = _rows(where, source, form, asked)
    reading = Reading(
        delimiter=form.delimiter,
        encoding=encoding,
        skip=form.start or None,
        footer=n_footer or None,
    )
    said = [form.sentence(encoding)]
    former = asked.former.delimiter if asked.former else None
    if former not in (None, form.delimiter):
        said.append(_("not written as the training file was: read as it is written"))
    return tidied(where, frame, form, asked, reading, said, encodings.doubts(text, encoding), places)


def _former_encoding(asked: Asked, head: bytes) -> str | None:
    """The encoding of training, where this text is neither UTF-8 nor UTF-16 by itself."""
    former = asked.former.encoding if asked.former else None
    own = encodings.guess_encoding(head)
    is_open = own in encodings.LEGACY or own is None
    return former if former and is_open and encodings.decode_head(head, former) is not None else None


def _source(where: str, content: bytes, encoding: str) -> bytes | None:
    """The content in UTF-8; None when that is what it was taken for, and is not."""
    if encoding not in ("utf-8", "utf-8-sig"):
        return encodings.as_utf8(where, content, encoding)
    return content.removeprefix(b"\xef\xbb\xbf") if encodings.bad_byte(content) is None else None


def _unix(source: bytes) -> bytes:
    """The same text with ends of line that polars reads: those of the old Macintosh and mixtures are changed."""
    if b"\r" not in source or source.count(b"\r") == source.count(b"\r\n"):
        return source
    return source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _check_zeros(where: str, source: bytes) -> None:
    place = source.find(b"\0")
    if place >= 0:
        line = _("{file}, line {line}").format(file=where, line=format_count(source.count(b"\n", 0, place) + 1))
        got = _("a zero byte")
        raise DataError(problem(line, _("text"), got, _("the file is damaged, or no text: save it again")))


def _rows(where: str, source: bytes, form: TextForm, asked: Asked) -> tuple[pl.DataFrame, int, Places]:
    """The cells without the rows at the end that are no part of the table, how many these are, where rows stand."""
    problems = name_problems(where, form.names)
    frame, failure = _parse(source, form) if form.delimiter != " " else (None, "")
    n_footer = asked.given.footer or 0
    # polars fills short rows with missing values: they show as such in the last column.
    if frame is None or frame[:, -1].null_count():
        found = _odd_rows(source, form)
        n_odd_end = _odd_end(found, len(form.names))
        if n_odd_end and asked.given.footer is None:
            found, n_footer = found._replace(odd=found.odd[:-n_odd_end]), n_odd_end
        elif n_footer:
            found = found._replace(odd=[row for row in found.odd if row.number <= found.n - n_footer])
        problems += _ragged(where, found, len(form.names))
        if frame is None and not found.odd:
            parsed = _parse_slowly(source, form, n_footer)
            if parsed is None:
                problems.append(_open_quote(where, source, form) or problem(where, _("a table of text"), failure))
            if not problems and parsed is not None:
                return parsed[0], n_footer, parsed[1]
    if problems or frame is None:
        raise DataError(*problems)
    frame = _without_end(frame, n_footer) if n_footer else frame
    return frame, n_footer, Places.after(_lines_to_skip(source, form), len(frame))


def _without_end(frame: pl.DataFrame, n_rows: int) -> pl.DataFrame:
    """The frame without its last rows that are not blank."""
    filled = filled_rows(frame).arg_true()
    return frame.head(int(filled[-n_rows]) if n_rows <= len(filled) else 0)


def _parse(source: bytes, form: TextForm) -> tuple[pl.DataFrame | None, str]:
    """The cells with the types guessed from the head, or why polars cannot read them.

    A column that later proves to be of another type is read as text.
    """
    types, missing = list(form.types), form.missing
    if form.decimal == "," and re.search(rb"\d\.\d", source):
        # to polars 1.234 stays 1.234 among decimal commas, where it is a thousand: such cells are read as text.
        types = [pl.String if dtype == pl.Float64 else dtype for dtype in types]
    skip_lines = _lines_to_skip(source, form)
    if source.startswith(b"x^"):  # to polars this is the beginning of a packed stream
        source, skip_lines = b"\n" + source, skip_lines + 1
    while True:
        try:
            frame = pl.read_csv(
                source,
                has_header=False,
                skip_lines=skip_lines,
                separator=form.delimiter,
                decimal_comma=form.decimal == ",",
                null_values=list(missing),
                schema={str(i): dtype for i, dtype in enumerate(types)},
            )
        except pl.exceptions.ComputeError as error:
            # Every word to look for costs time in every cell: those the head did not hold are tried when reading stops.
            if len(missing) < len(values.MISSING_WORDS):
                missing = values.MISSING_WORDS
                continue
            found = re.search(r"could not parse .* \(column number (\d+)\)", str(error), re.DOTALL)
            column = int(found[1]) - 1 if found else -1
            if column < 0 or types[column] == pl.String:
                return None, str(error).splitlines()[0]
            types[column] = pl.String
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            # polars can stumble over stray quotes; that is a fault of the file to us, and no reason to die.
            return None, str(error).splitlines()[0]
        else:
            named = len(set(form.names)) == frame.width
            return (frame.rename(dict(zip(frame.columns, form.names))) if named else frame), ""


def _lines_to_skip(source: bytes, form: TextForm) -> int:
    """The lines before the first row of values, blank ones with them: polars counts the columns where it begins."""
    n = form.skip_lines
    if len(form.types) > 1:  # a blank line is a missing value where there is one column
        for line in islice(io.BytesIO(source), n, None):
            if line.strip(b"\r\n"):
                break
            n += 1
    return n


def _parse_slowly(source: bytes, form: TextForm, n_footer: int) -> tuple[pl.DataFrame, Places] | None:
    """The cells as text, and where the rows stand, for what polars cannot read: stray quotes such as 5'6", cells
    between spaces."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    number = form.skip_lines
    try:
        for line, cells in _all_rows(source, form.delimiter, strict=True):
            number += line > form.skip_lines
            if line > form.skip_lines and any(map(str.strip, cells)):
                rows.append(cells)
                numbers.append(number)
    except csv.Error:
        return None
    rows = rows[: len(rows) - n_footer]
    width = len(form.names)
    if any(len(cells) != width for cells in rows) or len(set(form.names)) < width:
        return None
    columns = {name: [cells[i] for cells in rows] for i, name in enumerate(form.names)}
    places = Places(np.array(numbers[: len(rows)]))
    return pl.DataFrame(columns, schema=dict.fromkeys(form.names, pl.String)), places


class OddRow(NamedTuple):
    """A row with too many or too few cells: the line it ends on, and its number among those that are not blank."""

    line: int
    number: int
    cells: list[str]


class OddRows(NamedTuple):
    """The odd rows of a table, and how many rows it has in all."""

    odd: list[OddRow]
    n: int
    is_fully_read: bool = True


def _odd_rows(source: bytes, form: TextForm) -> OddRows:
    """Rows with too many or too few cells, blank ones apart."""
    width = len(form.names)
    if form.delimiter != " " and not _may_be_ragged(source, form, width):
        return OddRows([], 0)
    odd: list[OddRow] = []
    n = 0
    try:
        for line, cells in _all_rows(source, form.delimiter):
            if line <= form.skip_lines or not any(cell.strip() for cell in cells):
                continue
            n += 1
            if len(cells) != width:
                odd.append(OddRow(line, n, cells))
    except csv.Error:
        return OddRows(odd, n, False)  # a cell longer than the csv module takes: the rows before it have been seen
    return OddRows(odd, n)


def _odd_end(found: OddRows, width: int) -> int:
    """How many rows at the very end are remarks rather than rows of the table."""
    n = 0
    for row in reversed(found.odd):
        if not found.is_fully_read or row.number != found.n - n or not is_footer(row.cells, width):
            break
        n += 1
    return n


def _ragged(where: str, found: OddRows, width: int) -> list[str]:
    """A problem for each of the first odd rows, and one for the others; a single one where no row is like the first."""
    problems: list[str] = []
    widths = {len(row.cells) for row in found.odd}
    is_first = found.is_fully_read and len(found.odd) == found.n > 1 == len(widths) and min(widths) > width
    for row in found.odd[: 1 if is_first else MAX_SHOWN]:
        got = ngettext("{n} cell", "{n} cells", len(row.cells)).format(n=len(row.cells))
        place = _("{file}, line {line}").format(file=where, line=row.line)
        expected = ngettext("{n} cell as in the first row", "{n} cells as in the first row", width).format(n=width)
        if is_first:
            mend = _("give each column a name, and where commas are decimal marks, separate cells by something else")
            return [problem(place, expected, _("{cells}, as in all rows below").format(cells=got), mend)]
        problems.append(problem(place, expected, got))
    n_more = len(found.odd) - MAX_SHOWN
    if n_more > 0:
        problems.append(
            ngettext("{file}: {n} more line of another length", "{file}: {n} more lines of another length", n_more)
            .format(file=where, n=format_count(n_more))
        )  # fmt: skip
    return problems


def _may_be_ragged(source: bytes, form: TextForm, width: int) -> bool:
    """A quick sieve over the lines: false only if each holds as many delimiters as it should."""
    lines = pl.scan_csv(
        io.BytesIO(b"\n" + source),
        has_header=False,
        skip_lines=form.start + 1,
        separator="\x1f",
        quote_char=None,
        schema={"line": pl.String},
    )
    is_filled = pl.col("line").str.strip_chars() != ""
    is_off = pl.col("line").str.count_matches(form.delimiter, literal=True) != width - 1
    try:
        return bool(lines.filter(is_filled & is_off).head(1).collect(engine="streaming").height)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return True


def _lines(source: bytes) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(source), encoding="utf-8", newline="")


def _all_rows(source: bytes, delimiter: str, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    with _lines(source) as file:
        yield from read_rows(file, delimiter, strict)


def _open_quote(where: str, source: bytes, form: TextForm) -> str:
    """The problem of a quote that nothing closes, or nothing."""
    line = 0
    try:
        for number, _cells in _all_rows(source, form.delimiter, strict=True):
            line = number
    except csv.Error as error:
        place = _("{file}, line {line}").format(file=where, line=line + 1)
        if "field limit" in str(error) and b'"' not in source:
            expected = _("a cell of at most {n} letters").format(n=format_count(csv.field_size_limit()))
            return problem(place, expected, _("a longer one"))
        return problem(place, _("quotes closed at the end of their cell"), _("a quote left open"))
    return ""
