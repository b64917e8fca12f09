"""A table from a file: CSV and its kin, Parquet, Excel. What the content is decides, not what the file is called.

To read another form, add a row to `FORMS`: how to recognise it, and a function from a path to a frame with its notes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import polars as pl

from limpide.data import guesses, values
from limpide.data.dataset import Note
from limpide.data.frames import plain
from limpide.data.guesses import TextForm
from limpide.errors import DataError, did_you_mean, problem
from limpide.i18n import N_, _, format_count, ngettext

MAX_FILE_MB = 2000
"""No larger file is read; `LIMPIDE_MAX_FILE_MB` changes it. It also bounds what a packed file unpacks to."""

HEAD_BYTES = 1 << 20
MAX_SHOWN = 10

FOREIGN = {
    b"\x89PNG": N_("a PNG image"),
    b"\xff\xd8\xff": N_("a JPEG image"),
    b"GIF8": N_("a GIF image"),
    b"%PDF": N_("a PDF document"),
    b"PK\x03\x04": N_("a zip archive"),
    b"\x1f\x8b": N_("a gzip archive"),
    b"7z\xbc\xaf": N_("a 7z archive"),
    b"\x89HDF": N_("an HDF5 file"),
    b"\x93NUMPY": N_("a NumPy file"),
    b"SQLite format 3": N_("a SQLite database"),
}

Frame = tuple[pl.DataFrame, list[Note]]


@dataclass(frozen=True)
class Form:
    """A form of table file.

    suffixes  the usual endings of its names
    is_one    true for a file of this form, given its path and its first bytes
    """

    label: str
    suffixes: tuple[str, ...]
    is_one: Callable[[Path, bytes], bool]
    read: Callable[[Path, bytes], Frame]


def read_table(path: str | Path) -> tuple[pl.DataFrame, list[Note], str]:
    """The table a file holds, what was guessed to read it, and the SHA-256 of the file.

    Raises  DataError  missing, empty, too large, ragged or no table at all; every problem of the file at once
    """
    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            form = _form_of(path, head)
            frame, notes = form.read(path, head)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(problem(str(path), _("a file that can be read"), str(error.strerror or error))) from error
    if not len(frame):
        raise DataError(
            problem(path.name, _("rows under the names"), _("only a header"), _("add a row for each example"))
        )
    if path.suffix.lower() not in form.suffixes:
        text = _("read as {form}, which its content is, whatever its name says").format(form=_(form.label))
        notes.insert(0, Note("info", path.name, text))
    return frame, notes, sha256


def _check_file(path: Path) -> None:
    expected = _("a CSV, TSV, Parquet or Excel file")
    if path.is_dir():
        raise DataError(problem(str(path), expected, _("a folder"), _("name a file in it")))
    if not path.exists():
        folder = path.parent
        near = sorted(entry.name for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else []
        mend = did_you_mean(path.name, near) if near else _("check the path")
        raise DataError(problem(str(path), expected, _("no such file"), mend))
    size = path.stat().st_size
    if not size:
        raise DataError(problem(path.name, expected, _("an empty file")))
    _check_size(path, size)


def _check_size(path: Path, n_bytes: int) -> None:
    limit = os.environ.get("LIMPIDE_MAX_FILE_MB", "")
    max_mb = float(limit) if values.NUMBER.fullmatch(limit) else MAX_FILE_MB
    if n_bytes > max_mb * 1e6:
        raise DataError(
            problem(
                path.name,
                _("at most {n} MB").format(n=format_count(int(max_mb))),
                _("{n} MB").format(n=format_count(round(n_bytes / 1e6))),
                _("take a part of it, or set LIMPIDE_MAX_FILE_MB"),
            )
        )


def _form_of(path: Path, head: bytes) -> Form:
    for form in FORMS:
        if form.is_one(path, head):
            return form
    found = next((label for signature, label in FOREIGN.items() if head.startswith(signature)), N_("a binary file"))
    raise DataError(problem(path.name, _("a CSV, TSV, Parquet or Excel file"), _(found)))


# Text


def _read_text(path: Path, head: bytes) -> Frame:
    encoding = guesses.guess_encoding(head)
    assert encoding is not None, "recognised as text"
    is_whole = len(head) < HEAD_BYTES
    form = guesses.guess_form(guesses.decode_head(head, encoding) or "", is_whole)
    if form is None:
        raise DataError(problem(path.name, _("a table"), _("an empty file")))
    source: Path | bytes = path
    # polars reads UTF-8 with Unix or Windows ends of line from the disk; all else is brought to that in memory.
    if encoding not in ("utf-8", "utf-8-sig") or (b"\r" in head and b"\n" not in head):
        source = _as_utf8(path, encoding)
    problems = _name_problems(path.name, form)
    frame = None
    try:
        frame = _parse(source, form)
    except pl.exceptions.PolarsError as error:
        if isinstance(source, Path) and not _is_utf8(path):
            encoding, source = "cp1252", _as_utf8(path, "cp1252")
            form = guesses.guess_form(source[:HEAD_BYTES].decode(errors="ignore"), is_whole) or form
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


def _name_problems(where: str, form: TextForm) -> list[str]:
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
    keys = [str(i) for i in range(len(form.names))]
    types = list(form.types)
    while True:
        try:
            frame = pl.read_csv(
                source,
                has_header=False,
                skip_lines=form.skip_lines,
                separator=form.delimiter,
                decimal_comma=form.decimal == ",",
                null_values=list(values.MISSING_WORDS),
                schema=dict(zip(keys, types)),
                glob=False,
            )
            return frame.rename(dict(zip(keys, form.names))) if len(set(form.names)) == len(keys) else frame
        except pl.exceptions.ComputeError as error:
            found = re.search(r"could not parse .* \(column number (\d+)\)", str(error), re.DOTALL)
            column = int(found[1]) - 1 if found else -1
            if column < 0 or types[column] == pl.String:
                raise
            types[column] = pl.String


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


def _tidied(where: str, frame: pl.DataFrame, form: TextForm, encoding: str) -> Frame:
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
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    if texts:
        frame = frame.with_columns([values.typed(frame[name]) for name in texts])
    return _without_blank_rows(where, frame, notes)


def _without_blank_rows(where: str, frame: pl.DataFrame, notes: list[Note]) -> Frame:
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


# Parquet and Excel


def _read_parquet(path: Path, head: bytes) -> Frame:
    try:
        lazy = pl.scan_parquet(path, glob=False)
        n_rows = int(lazy.select(pl.len()).collect().item())
        _check_size(path, 8 * n_rows * len(lazy.collect_schema()))
        return plain(lazy.collect()), []
    except pl.exceptions.PolarsError as error:
        raise DataError(problem(path.name, _("a Parquet file"), str(error).splitlines()[0])) from error


def _read_excel(path: Path, head: bytes) -> Frame:
    import fastexcel

    if head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            _check_size(path, sum(entry.file_size for entry in archive.infolist()))
    try:
        book = fastexcel.read_excel(path)
        sheet = book.load_sheet(0, header_row=None, dtypes="string").to_polars()
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError) as error:
        raise DataError(problem(path.name, _("an Excel file"), str(error).splitlines()[0])) from error
    if not sheet.width or not len(sheet):
        raise DataError(problem(path.name, _("a table in the first sheet"), _("an empty sheet")))
    form, frame = _sheet_form(sheet)
    problems = _name_problems(path.name, form)
    if problems:
        raise DataError(*problems)
    notes = []
    if len(book.sheet_names) > 1:
        text = _('read the first sheet, "{first}"; the others are {others}').format(
            first=book.sheet_names[0], others=", ".join(book.sheet_names[1:])
        )
        notes.append(Note("warning", path.name, text))
    frame = frame.rename(dict(zip(frame.columns, form.names)))
    frame = frame.with_columns([values.typed(frame[name]) for name in frame.columns])
    return _without_blank_rows(path.name, frame, notes)


def _sheet_form(sheet: pl.DataFrame) -> tuple[TextForm, pl.DataFrame]:
    """The names of a sheet, found as those of a text table are, and the rows below them."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter="\t").writerows(
        ["" if cell is None else cell for cell in row] for row in sheet.head(guesses.SAMPLE_ROWS).iter_rows()
    )
    form = guesses.guess_form(buffer.getvalue(), is_whole=True)
    assert form is not None, "a sheet that is not empty"
    names = form.names if len(form.names) == sheet.width else tuple(f"column_{i + 1}" for i in range(sheet.width))
    return replace(form, names=names), sheet.slice(1) if form.has_header else sheet


def _is_excel(path: Path, head: bytes) -> bool:
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return True
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _is_text(path: Path, head: bytes) -> bool:
    return not head.startswith(tuple(FOREIGN)) and guesses.guess_encoding(head) is not None


FORMS: Sequence[Form] = (
    Form(N_("Parquet"), (".parquet", ".pq"), lambda path, head: head.startswith(b"PAR1"), _read_parquet),
    Form(N_("Excel"), (".xlsx", ".xlsm", ".xls", ".xlsb"), _is_excel, _read_excel),
    Form(N_("CSV"), (".csv", ".tsv", ".txt", ".tab", ".data", ".dat"), _is_text, _read_text),
)
