"""A table written as text: CSV, TSV and their kin."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import polars as pl

from limpide.data import guesses, values
from limpide.data.dataset import Note
from limpide.data.guesses import TextForm
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

BLOCK_BYTES = 1 << 23
BOM = b"\xef\xbb\xbf"
MAX_SHOWN = 10
"""Problems of one sort that are shown before the others are only counted."""

Table = tuple[pl.DataFrame, list[Note]]


def read_text(path: Path, head: bytes) -> Table:
    """The table of a text file that begins with these bytes."""
    encoding = guesses.guess_encoding(head)
    assert encoding is not None, "recognised as text"
    is_whole = len(head) == path.stat().st_size
    form = guesses.guess_form(guesses.decode_head(head, encoding) or "", is_whole)
    if form is None:
        raise DataError(problem(path.name, _("a table"), _("an empty file")))
    source: Path | bytes = path
    # polars reads UTF-8 with Unix or Windows ends of line from the disk; all else is brought to that in memory.
    if encoding not in ("utf-8", "utf-8-sig") or (b"\r" in head and b"\n" not in head):
        source = _as_utf8(path, encoding)
    problems = name_problems(path.name, form)
    frame = None
    try:
        frame = _parse(source, form)
    except pl.exceptions.PolarsError as error:
        if isinstance(source, Path) and not _is_utf8(path):
            encoding, source = "cp1252", _as_utf8(path, "cp1252")
            form = guesses.guess_form(source[: len(head)].decode(errors="ignore"), is_whole) or form
            frame = _parse_or_none(source, form)
        failure = str(error).splitlines()[0]
    # polars fills short rows with missing values: they show as such in the last column.
    if frame is None or frame[:, -1].null_count():
        ragged = _ragged_rows(path.name, source, form)
        problems += ragged
        if frame is None and not ragged:
            problems.append(_open_quote(path.name, source, form) or problem(path.name, _("a table of text"), failure))
    if problems or frame is None:
        raise DataError(*problems)
    return _tidied(path.name, frame, form, encoding)


def _as_utf8(path: Path, encoding: str) -> bytes:
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        got = _("byte {byte} at position {position}").format(
            byte=f"0x{error.object[error.start]:02X}", position=format_count(error.start)
        )
        raise DataError(
            problem(path.name, _("text in UTF-8, UTF-16 or Windows-1252"), got, _("save it again as UTF-8"))
        ) from error
    text = text.removeprefix("\ufeff")
    return (text if "\n" in text else text.replace("\r", "\n")).encode()


def _is_utf8(path: Path) -> bool:
    try:
        path.read_bytes().decode()
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


def _parse_or_none(source: Path | bytes, form: TextForm) -> pl.DataFrame | None:
    try:
        return _parse(source, form)
    except pl.exceptions.PolarsError:
        return None


def _parse(source: Path | bytes, form: TextForm) -> pl.DataFrame:
    """The cells with the types guessed from the head; a column that later proves otherwise is read as text."""
    types, missing = list(form.types), form.missing
    while True:
        try:
            frame = _read_blocks(source, form, types, missing)
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


def _read_blocks(
    source: Path | bytes, form: TextForm, types: Sequence[type[pl.DataType]], missing: Sequence[str]
) -> pl.DataFrame:
    """The rows, a block of the file at a time: memory then holds the numbers, and little of their text."""

    def read(text: Path | bytes, skip_lines: int = 0) -> pl.DataFrame:
        return pl.read_csv(
            text,
            has_header=False,
            skip_lines=skip_lines,
            separator=form.delimiter,
            decimal_comma=form.decimal == ",",
            null_values=list(missing),
            schema={str(i): dtype for i, dtype in enumerate(types)},
            glob=False,
        )

    parts, rest = [], b""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        file.seek(len(BOM) if file.read(len(BOM)) == BOM else 0)
        for _line in range(form.skip_lines):
            file.readline()
        while piece := file.read(BLOCK_BYTES):
            cut = piece.rfind(b"\n") + 1
            block, rest = (rest + piece[:cut], piece[cut:]) if cut else (b"", rest + piece)
            # A cell may hold ends of line between quotes; a blank line is a missing value where there is one column.
            if block.count(b'"') % 2 or len(types) == 1:
                return read(source, form.skip_lines)
            if block.strip():
                parts.append(read(block.lstrip(b"\r\n")))
    if rest.strip():
        parts.append(read(rest))
    return pl.concat(parts) if parts else read(source, form.skip_lines)


def _ragged_rows(where: str, source: Path | bytes, form: TextForm) -> list[str]:
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


def _may_be_ragged(source: Path | bytes, delimiter: str, width: int) -> bool:
    """A quick sieve over the lines: false only if each holds as many delimiters as it should."""
    lines = pl.scan_csv(
        source if isinstance(source, Path) else io.BytesIO(source),
        has_header=False,
        separator="\x1f",
        quote_char=None,
        schema={"line": pl.String},
        glob=False,
    )
    is_filled = pl.col("line").str.strip_chars() != ""
    is_off = pl.col("line").str.count_matches(delimiter, literal=True) != width - 1
    try:
        return bool(lines.filter(is_filled & is_off).head(1).collect(engine="streaming").height)
    except pl.exceptions.PolarsError:
        return True


def _lines(source: Path | bytes) -> TextIO:
    if isinstance(source, Path):
        return source.open(encoding="utf-8-sig", newline="")
    return io.StringIO(source.decode(), newline="")


def _row_widths(source: Path | bytes, delimiter: str) -> Iterator[tuple[int, int]]:
    """(line, number of cells) of each row; a blank line has none."""
    with _lines(source) as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for row in reader:
                yield reader.line_num, len(row) if any(cell.strip() for cell in row) else 0
        except csv.Error:
            return  # a cell longer than the csv module takes: the rows before it have been seen


def _open_quote(where: str, source: Path | bytes, form: TextForm) -> str:
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
