"""A table from a file: CSV and its kin, Parquet, Excel. What the content is decides, not what the file is called.

To read another form, add a row to `FORMS`: how to recognise it, and a function from its bytes to a frame with notes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from limpide.data import guesses, values
from limpide.data.dataset import Note
from limpide.data.frames import plain
from limpide.data.guesses import TextForm
from limpide.data.text_tables import Table, is_text, name_problems, read_text, without_blank_rows
from limpide.errors import DataError, did_you_mean, problem
from limpide.i18n import N_, _, format_count

MAX_FILE_MB = 2000
"""No larger file is read; `LIMPIDE_MAX_FILE_MB` changes it. It also bounds what a packed file unpacks to."""

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


@dataclass(frozen=True)
class Form:
    """A form of table file.

    suffixes  the usual endings of its names
    is_one    true for a file of this form, given its content
    read      from the name and the content of a file
    """

    label: str
    suffixes: tuple[str, ...]
    is_one: Callable[[bytes], bool]
    read: Callable[[str, bytes], Table]


def read_table(path: str | Path) -> tuple[pl.DataFrame, list[Note], str]:
    """The table a file holds, what was guessed to read it, and the SHA-256 of the file.

    Raises  DataError  missing, empty, too large, ragged or no table at all; every problem of the file at once
    """
    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
            digest = beside.submit(hashlib.file_digest, file, "sha256")
            content = path.read_bytes()
            form = _form_of(path.name, content)
            frame, notes = form.read(path.name, content)
        sha256 = digest.result().hexdigest()
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
    _check_size(path.name, size)


def _check_size(where: str, n_bytes: int) -> None:
    limit = os.environ.get("LIMPIDE_MAX_FILE_MB", "")
    max_mb = float(limit) if values.NUMBER.fullmatch(limit) else MAX_FILE_MB
    if n_bytes > max_mb * 1e6:
        raise DataError(
            problem(
                where,
                _("at most {n} MB").format(n=format_count(int(max_mb))),
                _("{n} MB").format(n=format_count(round(n_bytes / 1e6))),
                _("take a part of it, or set LIMPIDE_MAX_FILE_MB"),
            )
        )


def _form_of(where: str, content: bytes) -> Form:
    for form in FORMS:
        if form.is_one(content):
            return form
    found = next((label for signature, label in FOREIGN.items() if content.startswith(signature)), N_("a binary file"))
    raise DataError(problem(where, _("a CSV, TSV, Parquet or Excel file"), _(found)))


def _read_parquet(where: str, content: bytes) -> Table:
    try:
        lazy = pl.scan_parquet(content)
        n_rows = int(lazy.select(pl.len()).collect().item())
        _check_size(where, 8 * n_rows * len(lazy.collect_schema()))
        return plain(lazy.collect()), []
    except pl.exceptions.PolarsError as error:
        raise DataError(problem(where, _("a Parquet file"), str(error).splitlines()[0])) from error


def _read_excel(where: str, content: bytes) -> Table:
    import fastexcel

    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_size(where, sum(entry.file_size for entry in archive.infolist()))
    try:
        book = fastexcel.read_excel(content)
        sheet = book.load_sheet(0, header_row=None, dtypes="string").to_polars()
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError) as error:
        raise DataError(problem(where, _("an Excel file"), str(error).splitlines()[0])) from error
    if not sheet.width or not len(sheet):
        raise DataError(problem(where, _("a table in the first sheet"), _("an empty sheet")))
    form, frame = _sheet_form(sheet)
    problems = name_problems(where, form)
    if problems:
        raise DataError(*problems)
    notes = []
    if len(book.sheet_names) > 1:
        text = _('read the first sheet, "{first}"; the others are {others}').format(
            first=book.sheet_names[0], others=", ".join(book.sheet_names[1:])
        )
        notes.append(Note("warning", where, text))
    frame = frame.rename(dict(zip(frame.columns, form.names)))
    frame = frame.with_columns([values.typed(frame[name]) for name in frame.columns])
    return without_blank_rows(where, frame, notes)


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


def _is_excel(content: bytes) -> bool:
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        return True
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _is_text(content: bytes) -> bool:
    return not content.startswith(tuple(FOREIGN)) and is_text(content)


FORMS: Sequence[Form] = (
    Form(N_("Parquet"), (".parquet", ".pq"), lambda content: content.startswith(b"PAR1"), _read_parquet),
    Form(N_("Excel"), (".xlsx", ".xlsm", ".xls", ".xlsb"), _is_excel, _read_excel),
    Form(N_("CSV"), (".csv", ".tsv", ".txt", ".tab", ".data", ".dat"), _is_text, read_text),
)
