"""A table from the workbooks that fastexcel reads: .xls, .xlsb and .ods."""

from __future__ import annotations

from functools import partial
from itertools import islice

import polars as pl

from limpide.data import archives, guesses, limits
from limpide.data.apart import read_apart
from limpide.data.excel import Sheet, chosen_sheet, sheet_notes
from limpide.data.guesses import Row
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, Table
from limpide.data.tidying import name_problems, tidied
from limpide.errors import DataError, problem
from limpide.i18n import _

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def is_locked(content: bytes) -> bool:
    """True for a workbook under a password, which is packed in an old container."""
    return content.startswith(OLE) and _has_stream(content, "EncryptedPackage")


def is_old_excel(content: bytes) -> bool:
    """True for an .xls."""
    return content.startswith(OLE) and (_has_stream(content, "Workbook") or _has_stream(content, "Book"))


def _has_stream(content: bytes, name: str) -> bool:
    return (name + "\0").encode("utf-16-le") in content


def read_old_excel(where: str, content: bytes, asked: Asked) -> Table:
    """The table of one sheet of an .xls or .xlsb."""
    return _read(where, content, asked, _("an Excel file"))


def read_ods(where: str, content: bytes, asked: Asked) -> Table:
    """The table of one sheet of an .ods."""
    return _read(where, content, asked, _("an OpenDocument spreadsheet"))


def _read(where: str, content: bytes, asked: Asked, expected: str) -> Table:
    mend = _("save it as .xlsx or .csv")
    if content.startswith(b"PK"):
        with archives.open_zip(where, content) as archive:
            limits.check_size(where, sum(entry.file_size for entry in archives.entries(where, archive)))
    read = partial(read_apart, where, expected, mend)
    sheets = [Sheet(name, name, True) for name in read("sheets", content)[0]["name"]]
    if not sheets:
        raise DataError(problem(where, _("a sheet of cells"), _("none")))
    sheet = chosen_sheet(where, sheets, asked)
    cells = _exact(*read("cells", content, sheet.name))
    names = [other.name for other in sheets]
    if not len(cells) or not cells.width:
        raise DataError(
            problem(where, _("a table in the sheet {name}").format(name=repr(sheet.name)), _("an empty sheet"))
        )
    limits.check_shape(where, len(cells), cells.width)
    skipped = asked.given.skip or 0
    below = enumerate(cells.slice(skipped).iter_rows(), skipped)
    filled = (Row([cell or "" for cell in row], i, i + 1) for i, row in below if any(row))
    form = guesses.guess_rows(list(islice(filled, guesses.SAMPLE_ROWS)), "", asked)
    if form is None:
        raise DataError(problem(where, _("rows under the lines passed over"), _("none")))
    problems = name_problems(where, form.names)
    if problems:
        raise DataError(*problems)
    frame = cells.slice(form.skip_lines).rename(dict(zip(cells.columns, form.names)))
    frame = frame.head(max(0, len(frame) - (asked.given.footer or 0)))
    places = Places.after(form.skip_lines, len(frame))
    reading = Reading(sheet=sheet.name, skip=form.start or None)
    table = tidied(where, frame, form, asked, reading, [], (), places)
    return table._replace(notes=[*sheet_notes(where, sheet.name, names, asked), *table.notes])


def _exact(texts: pl.DataFrame, floats: pl.DataFrame) -> pl.DataFrame:
    """Every cell as text, numbers with all their digits: fastexcel's own texts keep nine decimals."""
    columns = []
    for text, number in zip(texts, floats):
        if not number.count():  # most columns of a sheet may be empty
            columns.append(text)
            continue
        short = text.cast(pl.Float64, strict=False)
        is_number = (
            number.is_not_null() & short.is_not_null() & ((number - short).abs() <= 1e-9 * number.abs().clip(1.0))
        )
        is_whole = text.str.contains(r"^-?\d+$").fill_null(True) & (number == short)
        columns.append(number.cast(pl.String).zip_with(is_number & ~is_whole.fill_null(True), text))
    return pl.DataFrame(columns)
