"""A table from a file: CSV and its kin, JSON, Parquet, Excel. What the content is decides, not what the file is called.

To read another form, add a row to `FORMS`: how to recognise it, and a function from its bytes to a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from limpide.data import archives, excel, json_tables, limits, text_tables, workbooks
from limpide.data.apart import read_apart
from limpide.data.dataset import Note
from limpide.data.frames import plain
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, Table, check_applies
from limpide.data.tidying import missing_left_out
from limpide.errors import DataError, did_you_mean, problem, reason_of
from limpide.i18n import N_, _

EXPECTED = N_("a CSV, TSV, JSON, Parquet or Excel file")
SAVE = N_("open it in what made it, and save the table as .csv or .xlsx")

FOREIGN = {
    b"\x89PNG": N_("a PNG image"),
    b"\xff\xd8\xff": N_("a JPEG image"),
    b"GIF8": N_("a GIF image"),
    b"%PDF": N_("a PDF document"),
    b"PK\x03\x04": N_("a zip archive"),
    b"\x1f\x8b": N_("a gzip archive"),
    b"BZh": N_("a bzip2 archive"),
    b"\xfd7zXZ": N_("an xz archive"),
    b"7z\xbc\xaf": N_("a 7z archive"),
    b"Rar!": N_("a RAR archive"),
    b"(\xb5/\xfd": N_("a Zstandard archive"),
    b"\x89HDF": N_("an HDF5 file"),
    b"\x93NUMPY": N_("a NumPy file"),
    b"ARROW1": N_("an Arrow file"),
    b"ORC\0": N_("an ORC file"),
    b"Obj\x01": N_("an Avro file"),
    b"SQLite format 3": N_("a SQLite database"),
    b"\x80\x04\x95": N_("a Python pickle, which may run code when it is opened"),
    b"\x80\x05\x95": N_("a Python pickle, which may run code when it is opened"),
    b"{\\rtf": N_("a text document (RTF)"),
    b"\xd0\xcf\x11\xe0": N_("an old Office document"),
}
MARKUP = {
    b"<!doctype html": N_("a web page"),
    b"<html": N_("a web page"),
    b"<table": N_("a web page"),
    b"<head": N_("a web page"),
    b"<meta": N_("a web page"),
    b"<?xml": N_("an XML document"),
    b"<?mso-application": N_("an XML document"),
    b"<svg": N_("an SVG image"),
}


class TableFile(NamedTuple):
    """What a file holds, what a user should know, the SHA-256 of the file, how it was read, where its rows stand."""

    frame: pl.DataFrame
    notes: list[Note]
    sha256: str
    reading: Reading
    places: Places | None = None

    @property
    def table(self) -> Table:
        """All but the sum."""
        return Table(self.frame, self.notes, self.reading, self.places)


@dataclass(frozen=True)
class Form:
    """A form of table file.

    suffixes  the usual endings of its names
    options   what can be said of it
    is_one    true for a file of this form, given its content
    read      from the name and the content of a file
    """

    label: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    is_one: Callable[[bytes], bool]
    read: Callable[[str, bytes, Asked], Table]


def read_table(path: str | Path, asked: Asked | None = None) -> TableFile:
    """The table a file holds, packed or not.

    Raises  DataError  missing, empty, too large, ragged or no table at all; every problem of the file at once
    """
    path, asked = Path(path), asked or Asked()
    _check_file(path)
    try:
        with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
            digest = beside.submit(hashlib.file_digest, file, "sha256")
            table = read_content(path.name, path.read_bytes(), asked)
        sha256 = digest.result().hexdigest()
    except OSError as error:
        raise DataError(problem(str(path), _("a file that can be read"), reason_of(error))) from error
    return TableFile(table.frame, table.notes, sha256, table.reading, table.places)


def read_content(where: str, content: bytes, asked: Asked) -> Table:
    """The table in the content of a file called `where`."""
    name, content, notes = _unpacked(where, content)
    form = _form_of(where, content, asked)
    check_applies(where, asked.given, _(form.label), form.options)
    table = form.read(where, content, asked)
    limits.check_shape(where, len(table.frame), table.frame.width)
    if not len(table.frame):
        raise DataError(problem(where, _("rows under the names"), _("only a header"), _("add a row for each example")))
    if Path(name).suffix.lower() not in form.suffixes:
        text = _("read as {form}, which its content is, whatever its name says").format(form=_(form.label))
        notes.append(Note("info", where, text))
    return table._replace(notes=[*notes, *table.notes])


def _unpacked(where: str, content: bytes) -> tuple[str, bytes, list[Note]]:
    """The name and the content of what a packed file holds, or the file itself."""
    packing = archives.packing_of(content)
    if packing:
        content = archives.unpack(where, content)
        name = where if Path(where).suffix.lower() not in (".gz", ".bz2", ".xz") else Path(where).stem
        text = _("unpacked from {packing}").format(packing=packing)
    elif content.startswith(b"PK") and not _is_workbook(content):
        name, content = archives.only_entry(where, content)
        text = _("read the one file in it, {name}").format(name=name)
    else:
        return where, content, []
    if not content:
        raise DataError(problem(where, _(EXPECTED), _("an empty file")))
    return name, content, [Note("info", where, text)]


def _check_file(path: Path) -> None:
    expected = _(EXPECTED)
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
    limits.check_size(path.name, size)


def _form_of(where: str, content: bytes, asked: Asked) -> Form:
    if workbooks.is_locked(content):
        mend = _("open it with its password, and save it without")
        raise DataError(problem(where, _(EXPECTED), _("a workbook locked by a password"), mend))
    for form in FORMS:
        if form.is_one(content):
            return form
    found = next((label for signature, label in FOREIGN.items() if content.startswith(signature)), None)
    if found is None and asked.given.encoding is not None:
        return FORMS[-1]  # the user says that it is text
    found = found or _markup(content) or (N_("a tar archive") if content[257:262] == b"ustar" else N_("a binary file"))
    mend = "" if "image" in found else _(SAVE)
    if found == "a binary file":
        mend = _("if it is text, say its encoding") if text_tables.may_be_text(content) else ""
    raise DataError(problem(where, _(EXPECTED), _(found), mend))


def _markup(content: bytes) -> str | None:
    head = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((label for start, label in MARKUP.items() if head.startswith(start)), None)


def _read_parquet(where: str, content: bytes, asked: Asked) -> Table:
    mend = _("download it again: it is cut or damaged")
    most = min(8 * limits.MOST_CELLS, limits.max_bytes())
    form = _("a Parquet file")
    found = read_apart(where, form, mend, "parquet", content, list(asked.drop), int(most / 8), n_bytes=most)
    (columns, n_rows), frames = found[:2], found[2:]
    known: dict[str, bool] = dict(columns.iter_rows())
    names = [name for name in known if name not in asked.drop]
    problems = [_nested(where, name) for name in names if not known[name]]
    if problems:
        raise DataError(*problems)
    limits.check_shape(where, n_rows.item(), len(names))
    limits.check_size(where, 8 * n_rows.item() * len(names))
    (frame,) = frames
    dropped = [pl.lit(None).alias(name) for name in known if name not in names]
    # its texts are meant as texts: what they are is understood column by column, as in a frame
    notes: list[Note] = []
    frame = missing_left_out(plain(frame.with_columns(dropped)), notes, asked)
    return Table(frame, notes, Reading(missing=asked.given.missing))


def _nested(where: str, name: str) -> str:
    place = _("{file}, column {name}").format(file=where, name=name)
    mend = _("leave the column out with the option drop, or write its parts as columns of their own")
    return problem(place, _("one value in each cell"), _("several, or bytes"), mend)


def _is_workbook(content: bytes) -> bool:
    return _is_xlsx(content) or _is_xlsb(content) or _is_ods(content)


def _is_xlsx(content: bytes) -> bool:
    return _has_entry(content, "xl/workbook.xml")


def _is_ods(content: bytes) -> bool:
    return _has_entry(content, "content.xml") and _has_entry(content, "mimetype") and b"spreadsheet" in content[:200]


def _is_xlsb(content: bytes) -> bool:
    return _has_entry(content, "xl/workbook.bin")


def _has_entry(content: bytes, name: str) -> bool:
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with archives.open_zip("", content) as archive:
            return any(entry.lstrip("/") == name for entry in archive.namelist())
    except DataError:
        return False


def _is_text(content: bytes) -> bool:
    return not content.startswith(tuple(FOREIGN)) and not _markup(content) and text_tables.is_text(content)


FORMS: Sequence[Form] = (
    Form(N_("Parquet"), (".parquet", ".pq"), ("missing",), lambda content: content.startswith(b"PAR1"), _read_parquet),
    Form(N_("Excel"), (".xlsx", ".xlsm"), excel.OPTIONS, _is_xlsx, excel.read_excel),
    Form(N_("Excel"), (".xlsb",), excel.OPTIONS, _is_xlsb, workbooks.read_old_excel),
    Form(N_("OpenDocument"), (".ods",), excel.OPTIONS, _is_ods, workbooks.read_ods),
    Form(N_("Excel"), (".xls",), excel.OPTIONS, workbooks.is_old_excel, workbooks.read_old_excel),
    Form(
        N_("JSON"),
        (".json", ".jsonl", ".ndjson"),
        json_tables.OPTIONS,
        lambda content: json_tables.is_json(content) and _is_text(content),
        json_tables.read_json,
    ),
    Form(
        N_("CSV"),
        (".csv", ".tsv", ".txt", ".tab", ".data", ".dat"),
        text_tables.OPTIONS,
        _is_text,
        text_tables.read_text,
    ),
)
