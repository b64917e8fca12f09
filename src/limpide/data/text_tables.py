"""A table written as text: CSV, TSV and their kin."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TextIO

import polars as pl

from limpide.data import guesses, values
from limpide.data.dataset import Note
from limpide.data.guesses import TextForm
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

HEAD_BYTES = 1 << 18
WIDE_HEAD_BYTES = 1 << 24
"""For tables of which the first rows are longer than a head."""

MAX_SHOWN = 10
"""Problems of one sort that are shown before the others are only counted."""

Table = tuple[pl.DataFrame, list[Note]]


def is_text(content: bytes) -> bool:
    """True when a file with this content is text, in an encoding that is known."""
    return guesses.guess_encoding(_head(content)) is not None


def read_text(where: str, content: bytes) -> Table:
    """The table of a text file with this content."""
    head = _head(content)
    encoding = guesses.guess_encoding(head)
    assert encoding is not None, "recognised as text"
    is_whole = len(head) == len(content)
    form = guesses.guess_form(guesses.decode_head(head, encoding) or "", is_whole)
    if form is None:
        raise DataError(problem(where, _("a table"), _("an empty file")))
    is_plain = encoding in ("utf-8", "utf-8-sig") and (b"\r" not in head or b"\n" in head)
    # polars reads UTF-8 with Unix or Windows ends of line: all else is brought to that.
    source = content if is_plain else _as_utf8(where, content, encoding)
    problems = name_problems(where, form)
    frame = None
    try:
        frame = _parse(source, form)
    except pl.exceptions.PolarsError as error:
        if is_plain and not _is_utf8(content):
            encoding, source = "cp1252", _as_utf8(where, content, "cp1252")
            form = guesses.guess_form(source[: len(head)].decode(errors="ignore"), is_whole) or form
            frame = _parse_or_none(source, form)
        failure = str(error).splitlines()[0]
    # polars fills short rows with missing values: they show as such in the last column.
    if frame is None or frame[:, -1].null_count():
        ragged = _ragged_rows(where, source, form)
        problems += ragged
        if frame is None and not ragged:
            problems.append(_open_quote(where, source, form) or problem(where, _("a table of text"), failure))
    if problems or frame is None:
        raise DataError(*problems)
    return _tidied(where, frame, form, encoding)


def _head(content: bytes) -> bytes:
    head = content[:HEAD_BYTES]
    return head if head.count(b"\n") >= 3 else content[: HEAD_BYTES + WIDE_HEAD_BYTES]


def _as_utf8(where: str, content: bytes, encoding: str) -> bytes:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        got = _("byte {byte} at position {position}").format(
            byte=f"0x{error.object[error.start]:02X}", position=format_count(error.start)
        )
        raise DataError(
            problem(where, _("text in UTF-8, UTF-16 or Windows-1252"), got, _("save it again as UTF-8"))
        ) from error
    text = text.removeprefix("\ufeff")
    return (text if "\n" in text else text.replace("\r", "\n")).encode()


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def name_problems(where: str, form: TextForm) -> list[str]:
    """A problem for each name that two columns share."""
    return [
        problem(
            where,
            _("columns with different names"),
            _('{n} columns called "{name}"').format(n=n, name=name),
            _("rename all but one"),
        )
        for name, n in Counter(form.names).items()
        if n > 1
    ]


def _parse_or_none(source: bytes, form: TextForm) -> pl.DataFrame | None:
    try:
        return _parse(source, form)
    except pl.exceptions.PolarsError:
        return None


def _parse(source: bytes, form: TextForm) -> pl.DataFrame:
    """The cells with the types guessed from the head; a column that later proves otherwise is read as text."""
    types, missing = list(form.types), form.missing
    skip_lines = _lines_to_skip(source, form)
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
            return frame.rename(dict(zip(frame.columns, form.names))) if len(set(form.names)) == frame.width else frame
        except pl.exceptions.ComputeError as error:
            # Every word to look for costs time in every cell: those the head did not hold are tried when reading stops.
            if len(missing) < len(values.MISSING_WORDS):
                missing = values.MISSING_WORDS
                continue
            found = re.search(r"could not parse .* \(column number (\d+)\)", str(error), re.DOTALL)
            column = int(found[1]) - 1 if found else -1
            if column < 0 or types[column] == pl.String:
                raise
            types[column] = pl.String
        except pl.exceptions.PanicException as error:
            # polars can stumble over stray quotes; that is a fault of the file to us, and no reason to die.
            raise pl.exceptions.ComputeError(str(error)) from error


def _lines_to_skip(source: bytes, form: TextForm) -> int:
    """The lines before the first row of values, blank ones with them: polars counts the columns where it begins."""
    n = form.skip_lines
    if len(form.types) > 1:  # a blank line is a missing value where there is one column
        for line in islice(io.BytesIO(source), n, None):
            if line.strip(b"\r\n"):
                break
            n += 1
    return n


def _ragged_rows(where: str, source: bytes, form: TextForm) -> list[str]:
    """Rows with too many or too few cells, with the line each ends on."""
    width = len(form.names)
    if not _may_be_ragged(source, form.delimiter, width):
        return []
    problems: list[str] = []
    n_more = 0
    for line, n_cells in _row_widths(source, form.delimiter):
        if n_cells == width or n_cells == 0:
            continue
        if len(problems) == MAX_SHOWN:
            n_more += 1
            continue
        got = ngettext("{n} cell", "{n} cells", n_cells).format(n=n_cells)
        place = _("{file}, line {line}").format(file=where, line=line)
        expected = ngettext("{n} cell as in the first row", "{n} cells as in the first row", width).format(n=width)
        problems.append(problem(place, expected, got))
    if n_more:
        problems.append(
            ngettext("{file}: {n} more line of another length", "{file}: {n} more lines of another length", n_more)
            .format(file=where, n=format_count(n_more))
        )  # fmt: skip
    return problems


def _may_be_ragged(source: bytes, delimiter: str, width: int) -> bool:
    """A quick sieve over the lines: false only if each holds as many delimiters as it should."""
    lines = pl.scan_csv(
        io.BytesIO(source),
        has_header=False,
        separator="\x1f",
        quote_char=None,
        schema={"line": pl.String},
    )
    is_filled = pl.col("line").str.strip_chars() != ""
    is_off = pl.col("line").str.count_matches(delimiter, literal=True) != width - 1
    try:
        return bool(lines.filter(is_filled & is_off).head(1).collect(engine="streaming").height)
    except pl.exceptions.PolarsError:
        return True


def _lines(source: bytes) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(source), encoding="utf-8-sig", newline="")


def _row_widths(source: bytes, delimiter: str) -> Iterator[tuple[int, int]]:
    """(line, number of cells) of each row; a blank line has none."""
    with _lines(source) as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for row in reader:
                yield reader.line_num, len(row) if any(cell.strip() for cell in row) else 0
        except csv.Error:
            return  # a cell longer than the csv module takes: the rows before it have been seen


def _open_quote(where: str, source: bytes, form: TextForm) -> str:
    """The problem of a quote that nothing closes, or nothing."""
    line = 0
    with _lines(source) as file:
        reader = csv.reader(file, delimiter=form.delimiter, strict=True)
        try:
            for _row in reader:
                line = reader.line_num
        except csv.Error:
            place = _("{file}, line {line}").format(file=where, line=line + 1)
            return problem(place, _("quotes closed at the end of their cell"), _("a quote left open"))
    return ""


def _tidied(where: str, frame: pl.DataFrame, form: TextForm, encoding: str) -> Table:
    notes = [Note("info", where, form.sentence(encoding))]
    if not form.has_header:
        text = _("the first row holds values, so the columns are called {first} to {last}").format(
            first=form.names[0], last=form.names[-1]
        )
        notes.append(Note("warning", where, text))
    if form.n_unnamed:
        text = ngettext("{n} column without a name is called by its place", "{n} columns without a name are called by "
                        "their place", form.n_unnamed).format(n=form.n_unnamed)  # fmt: skip
        notes.append(Note("info", where, text))
    texts = [values.typed(column) for column in frame if column.dtype == pl.String]
    return without_blank_rows(where, frame.with_columns(texts), notes)


def without_blank_rows(where: str, frame: pl.DataFrame, notes: list[Note]) -> Table:
    """The rows that hold something, and a note on how many did not."""
    if frame.width > 1 and all(column.null_count() for column in frame):
        filled = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        n_blank = len(frame) - len(filled)
        if n_blank:
            text = ngettext("{n} blank row left out", "{n} blank rows left out", n_blank).format(
                n=format_count(n_blank)
            )
            notes.append(Note("info", where, text))
        frame = filled
    return frame, notes
