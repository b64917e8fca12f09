"""A table from a workbook of Excel, .xlsx or .xlsm, read from its XML: each cell keeps its place and all its digits.

What a formula shows is what was computed last; a formula without a value is told by its cell.

Source  ECMA-376, Office Open XML File Formats, part 1, chapter 18 (SpreadsheetML)
"""

from __future__ import annotations

import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import polars as pl

from limpide.data import archives, guesses, limits
from limpide.data.dataset import Note
from limpide.data.guesses import Row
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, Table
from limpide.data.sheet_cells import Grid, grid_of, strings_of, styles_of
from limpide.data.tidying import name_problems, tidied
from limpide.errors import DataError, UnknownName, problem
from limpide.i18n import _, format_count, ngettext

OPTIONS = ("sheet", "decimal", "thousands", "header", "skip", "footer", "dates", "missing")
MOST_SHOWN = 10
MOST_MERGED = 10_000_000
SHEET, STRINGS = "worksheet", "xl/sharedStrings.xml"


class Sheet(NamedTuple):
    """A sheet of a workbook: its name, the file that holds it, whether people see it."""

    name: str
    place: str
    is_visible: bool


def read_excel(where: str, content: bytes, asked: Asked) -> Table:
    """The table of one sheet."""
    with archives.open_zip(where, content) as archive:
        parts = {entry.filename.lstrip("/"): entry for entry in archives.entries(where, archive)}
        limits.check_size(where, sum(entry.file_size for entry in parts.values()))
        sheets, is_1904 = _sheets(where, archive, parts)
        styles = styles_of(_xml(where, archive, parts, "xl/styles.xml"))
        with limits.foreign(where, _("a whole workbook"), _("save it again")):
            has_strings = STRINGS in parts
            strings = strings_of(_part(where, archive, parts, STRINGS)) if has_strings else []
            for sheet in _in_turn(where, sheets, asked):
                grid = grid_of(where, _part(where, archive, parts, sheet.place), strings, styles, is_1904)
                if _is_table(grid):
                    break
            else:
                sheet = chosen_sheet(where, sheets, asked)
                grid = grid_of(where, _part(where, archive, parts, sheet.place), strings, styles, is_1904)
    return _table(where, grid, sheet, [other.name for other in sheets], asked)


def chosen_sheet(where: str, sheets: list[Sheet], asked: Asked) -> Sheet:
    """The sheet asked for, else that of training, else the first that people see.

    Raises  UnknownName  for a sheet that is not there
    """
    names = [sheet.name for sheet in sheets]
    given = asked.given.sheet
    former = asked.former.sheet if asked.former else None
    if given is None and former in names:
        given = former
    if given is None:
        return next((sheet for sheet in sheets if sheet.is_visible), sheets[0])
    if given in names:
        return sheets[names.index(given)]
    if given.isdecimal() and 1 <= int(given[:9]) <= len(sheets):
        return sheets[int(given[:9]) - 1]
    raise UnknownName(_("{file}, sheet").format(file=where), given, names)


def _in_turn(where: str, sheets: list[Sheet], asked: Asked) -> list[Sheet]:
    """The sheets to look at for a table: the chosen one, and where nobody chose it, the others that people see."""
    chosen = chosen_sheet(where, sheets, asked)
    is_open = asked.given.sheet is None and asked.former is None
    return [chosen, *(sheet for sheet in sheets if is_open and sheet.is_visible and sheet != chosen)]


def _is_table(grid: Grid) -> bool:
    """False for a sheet of words about the others: fewer than two rows of two cells."""
    return sum(len(row) > 1 for row in grid.rows.values()) > 1


def sheet_notes(where: str, sheet: str, names: list[str], asked: Asked) -> list[Note]:
    """A warning where a workbook has other sheets, of which nobody said anything."""
    others = [name for name in names if name != sheet]
    if not others or asked.given.sheet is not None:
        return []
    text = _('read the sheet "{name}"; the others are {others}; the option sheet changes it')
    return [Note("warning", where, text.format(name=sheet, others=", ".join(others)))]


def _part(where: str, archive: zipfile.ZipFile, parts: Mapping[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in parts:
        raise DataError(problem(where, _("a whole workbook"), _("no {part}").format(part=name), _("save it again")))
    content = archives.read_entry(where, archive, parts[name])
    if b"<!DOCTYPE" in content[:2000] or b"<!ENTITY" in content[:2000]:
        raise DataError(problem(where, _("a workbook"), _("XML that declares entities"), _("save it again")))
    return content


def _xml(where: str, archive: zipfile.ZipFile, parts: Mapping[str, zipfile.ZipInfo], name: str) -> Any:
    """The tree of a part, or None when the workbook does without."""
    if name not in parts:
        return None
    with limits.foreign(where, _("a whole workbook"), _("save it again")):
        return ElementTree.fromstring(_part(where, archive, parts, name))


def _sheets(where: str, archive: zipfile.ZipFile, parts: Mapping[str, zipfile.ZipInfo]) -> tuple[list[Sheet], bool]:
    """The sheets of cells, in their order, and whether days are counted from 1904."""
    book = _xml(where, archive, parts, "xl/workbook.xml")
    links = _xml(where, archive, parts, "xl/_rels/workbook.xml.rels")
    if book is None or links is None:
        raise DataError(problem(where, _("a whole workbook"), _("no list of sheets"), _("save it again")))
    targets = {
        link.get("Id"): link.get("Target", "") for link in links if link.get("Type", "").rpartition("/")[2] == SHEET
    }
    sheets, is_1904 = [], False
    for element in book.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "workbookPr":
            is_1904 = element.get("date1904") in ("1", "true")
        if tag == "sheet":
            link = next((value for key, value in element.attrib.items() if key.endswith("}id")), None)
            if link in targets:
                target = targets[link]
                place = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
                sheets.append(Sheet(element.get("name", ""), place, element.get("state", "visible") == "visible"))
    if not sheets:
        raise DataError(problem(where, _("a sheet of cells"), _("none")))
    return sheets, is_1904


def _table(where: str, grid: Grid, sheet: Sheet, names: list[str], asked: Asked) -> Table:
    if not grid.rows:
        mend = _("the others are {others}; choose with the option sheet").format(others=", ".join(names))
        got = _("an empty sheet")
        raise DataError(problem(where, _("a table in the sheet {name}").format(name=repr(sheet.name)), got,
                                mend if len(names) > 1 else ""))  # fmt: skip
    _check_formulas(where, grid)
    numbers = sorted(grid.rows)
    first = min(min(row) for row in grid.rows.values())
    width = max(max(row) for row in grid.rows.values()) + 1 - first
    limits.check_shape(where, len(numbers), width)
    skipped = asked.given.skip or 0
    # names that stand over two rows; a title over several columns stays where it is
    tall = [area for area in grid.merged if area[0] < area[1] and area[2] == area[3]]
    _spread(where, replace(grid, merged=tall), range(guesses.MOST_ABOVE), range(first, first + width))
    rows = [
        Row([grid.rows[n].get(first + i, "") for i in range(width)], n - 1, n)
        for n in islice((n for n in numbers if n > skipped), guesses.SAMPLE_ROWS)
    ]
    form = guesses.guess_rows(rows, "", asked)
    if form is None:
        raise DataError(problem(where, _("rows under the lines passed over"), _("none")))
    problems = name_problems(where, form.names)
    if problems:
        raise DataError(*problems)
    n_merged = _spread(where, grid, range(form.skip_lines + 1, numbers[-1] + 1), range(first, first + width))
    numbers = [n for n in numbers if n > form.skip_lines]
    below = [grid.rows[n] for n in numbers]
    columns = {name: [row.get(first + i) for row in below] for i, name in enumerate(form.names)}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(form.names, pl.String))
    if asked.given.footer:
        frame = frame.head(max(0, len(frame) - asked.given.footer))
    reading = Reading(sheet=sheet.name, skip=form.start or None)
    places = Places(np.array(numbers[: len(frame)]))
    table = tidied(where, frame, form, asked, reading, [], _doubts(grid), places)
    said = [Note("info", where, text) for text in _said(n_merged, grid)]
    return table._replace(notes=[*sheet_notes(where, sheet.name, names, asked), *said, *table.notes])


def _check_formulas(where: str, grid: Grid) -> None:
    if not grid.valueless:
        return
    n = len(grid.valueless)
    got = ngettext("{n} formula that was never computed: {cells}", "{n} formulas that were never computed: {cells}", n)
    shown = ", ".join(grid.valueless[:MOST_SHOWN]) + (", ..." if n > MOST_SHOWN else "")
    mend = _("open the workbook in a spreadsheet and save it")
    raise DataError(problem(where, _("the values of its formulas"), got.format(n=format_count(n), cells=shown), mend))


def _doubts(grid: Grid) -> list[str]:
    doubts = []
    if grid.hidden:
        text = ngettext(
            "{n} hidden row is read like the others: row {row} of the sheet",
            "{n} hidden rows are read like the others, the first of them row {row} of the sheet",
            len(grid.hidden),
        )
        doubts.append(text.format(n=format_count(len(grid.hidden)), row=format_count(grid.hidden[0])))
    if not grid.faulty:
        return doubts
    n = len(grid.faulty)
    text = ngettext(
        "{n} cell shows an error and is read as missing: {cells}",
        "{n} cells show an error and are read as missing: {cells}",
        n,
    )
    shown = ", ".join(grid.faulty[:MOST_SHOWN]) + (", ..." if n > MOST_SHOWN else "")
    return [*doubts, text.format(n=format_count(n), cells=shown)]


def _said(n_merged: int, grid: Grid) -> list[str]:
    said = []
    if n_merged:
        text = ngettext(
            "{n} merged cell gives its value to every cell it covers",
            "{n} merged cells give their value to every cell they cover",
            n_merged,
        )
        said.append(text.format(n=format_count(n_merged)))
    if grid.n_times:
        text = ngettext("{n} time of the day is read as hours", "{n} times of the day are read as hours", grid.n_times)
        said.append(text.format(n=format_count(grid.n_times)))
    return said


def _spread(where: str, grid: Grid, rows: range, columns: range) -> int:
    """Give each cell under a merged one its value, where it begins in these rows; how many merged cells there are."""
    n, n_filled = 0, 0
    filled = sorted(grid.rows)
    for top, bottom, left, right in grid.merged:
        text = grid.rows.get(top, {}).get(left)
        if text is None or top not in rows:
            continue
        n += 1
        covered = range(max(left, columns.start), min(right + 1, columns.stop))
        numbers = filled[bisect_left(filled, top) : bisect_right(filled, bottom)]
        n_filled += len(covered) * len(numbers)
        if n_filled > MOST_MERGED:
            expected = _("at most {n} cells under merged ones").format(n=format_count(MOST_MERGED))
            raise DataError(problem(where, expected, _("more"), _("undo the merging")))
        for number in numbers:
            for column in covered:
                grid.rows[number].setdefault(column, text)
    return n
