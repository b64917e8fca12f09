"""What every table of text goes through once its cells are told apart: totals left out, numbers read, guesses said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from limpide.data import clocks, limits, numerals, values
from limpide.data.dataset import Column, Note
from limpide.data.guesses import TextForm
from limpide.data.numerals import Marks
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, Table
from limpide.data.totals import end_of, stripped, without_totals
from limpide.errors import problem
from limpide.i18n import _, format_count, ngettext

MOST_SHOWN = 60
"""Letters of a line left out that a note shows."""
HEAD_ROWS = 100
_WRAPPED = r"""^\s*(?:="([^"]*)"|'([0-9][^']*)'?)\s*$"""
_INVISIBLE = "[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
MIN_BELOW = 5
"""Rows that show that the one above them is none of them."""


def tidied(
    where: str,
    frame: pl.DataFrame,
    form: TextForm,
    asked: Asked,
    reading: Reading,
    said: Sequence[str],
    doubts: Sequence[str] = (),
    places: Places | None = None,
) -> Table:
    """The table of cells most of which are text yet.

    reading  what is known of how they were read
    said     what was guessed to tell the cells apart, sentences
    doubts   warnings
    places   where the rows stand in the file
    """
    places = places or Places.after(0, len(frame))
    limits.check_cells(where, frame, places)
    notes = [*(Note("info", where, text) for text in said), *(Note("warning", where, text) for text in doubts)]
    notes += _form_notes(where, form, asked)
    frame, n_blank, places = without_blank_rows(frame, places)
    if n_blank:
        text = ngettext("{n} blank row left out", "{n} blank rows left out", n_blank)
        notes.append(Note("info", where, text.format(n=format_count(n_blank))))
    if form.has_header:
        notes += _gap_notes(where, frame)
        frame, doubts, places = _without_names(frame, places)
        notes += [Note("warning", where, text) for text in doubts]
    marks = _marks(asked, form.decimal, form.delimiter)
    if asked.given.footer is None:
        n_end = end_of(frame, marks)
        places = places.cut(0, len(frame) - n_end)
        frame, reading = frame.head(len(frame) - n_end), replace(reading, footer=(reading.footer or 0) + n_end or None)
    if asked.given.footer != 0:
        frame, doubts, places = without_totals(frame, marks, places)
        notes += [Note("warning", where, text) for text in doubts]
    if reading.footer:
        text = ngettext(
            "{n} row at the end is no part of the table and was left out; the option footer=0 keeps it",
            "{n} rows at the end are no part of the table and were left out; the option footer=0 keeps them",
            reading.footer,
        )
        notes.append(Note("warning", where, text.format(n=reading.footer)))
    reading = replace(reading, header=form.has_header)
    return with_numbers(frame, notes, asked, reading, form.decimal, form.delimiter, places)


def _form_notes(where: str, form: TextForm, asked: Asked) -> list[Note]:
    notes = []
    if form.above:
        text = ngettext(
            "{n} line above the table left out: {lines}; the option skip=0 keeps it",
            "{n} lines above the table left out: {lines}; the option skip=0 keeps them",
            len(form.above),
        )
        lines = " / ".join(form.above)
        lines = lines[:MOST_SHOWN] + "..." if len(lines) > MOST_SHOWN else lines
        notes.append(Note("warning", where, text.format(n=len(form.above), lines=lines)))
    if not form.has_header and asked.former is None:
        text = _("the first row holds values, so the columns are called {first} to {last}").format(
            first=form.names[0], last=form.names[-1]
        )
        notes.append(Note("warning", where, text))
    if form.n_unnamed:
        text = ngettext("{n} column without a name is called by its place", "{n} columns without a name are called by "
                        "their place", form.n_unnamed).format(n=form.n_unnamed)  # fmt: skip
        notes.append(Note("info", where, text))
    if form.is_open and form.decimal is None and asked.given.thousands is None:
        text = _("nothing tells whether the points of {names} are decimal marks: read as such; the options decimal and "
                 "thousands change it").format(names=", ".join(form.is_open))  # fmt: skip
        notes.append(Note("warning", where, text))
    return notes


def _gap_notes(where: str, frame: pl.DataFrame) -> list[Note]:
    """A warning where an empty column without a name stands between others, as between two tables."""
    gaps = [
        i + 1
        for i, column in enumerate(frame)
        if 0 < i < frame.width - 1 and column.name == f"column_{i + 1}" and not values.words(column).count()
    ]
    if not gaps:
        return []
    text = _(
        "column {n} is empty and has no name, as between two tables side by side: all is read as one table; keep one "
        "in the file, or drop the columns of the other"
    )
    return [Note("warning", where, text.format(n=gaps[0]))]


def with_numbers(
    frame: pl.DataFrame,
    notes: list[Note],
    asked: Asked,
    reading: Reading,
    decimal: str | None = None,
    delimiter: str = ",",
    places: Places | None = None,
) -> Table:
    """The same table with every column of text that holds numbers as numbers.

    decimal  the mark that the first rows prove
    places   where the rows stand in the file
    """
    marks = _marks(asked, decimal, delimiter)
    columns: list[pl.Series] = []
    units: dict[str, str] = {}
    seen: dict[str, set[str]] = {"decimal": {decimal or ""}, "thousands": set()}
    for column in map(_without_wrapping, missing_left_out(frame, notes, asked)):
        if column.dtype != pl.String or not column.count() or asked.is_text(column.name):
            columns.append(column)
            continue
        typed = values.typed(column)
        # where commas are the decimal marks, a point is no plain one
        is_foreign = (marks.decimal or marks.default) == "," and typed.dtype == pl.Float64
        found = None
        if (typed.dtype == pl.String or is_foreign) and not asked.are_words(column.name):
            found = clocks.hours(column) or numerals.plain(column, marks, asked.is_number(column.name), places)
        columns.append(typed if found is None else found.series)
        if found is not None:
            notes += found.notes
            seen["decimal"] |= found.decimals
            seen["thousands"].add(found.thousands)
            units |= {column.name: found.unit} if found.unit else {}
    if asked.former is not None:
        notes += _unit_notes(frame, asked.former, units)
    notes += date_doubts(columns, asked, places)
    # a mark that only some columns use is no mark of the table: said for all of them, it would change the others
    marks_seen: dict[str, Any] = {
        name: next(iter(found - {""})) if len(found - {""}) == 1 else None for name, found in seen.items()
    }
    if len(seen["decimal"] - {""}) > 1 and marks_seen["thousands"] in (".", ","):
        # it would say which is the decimal one, which is both
        marks_seen["thousands"] = None
    reading = replace(reading, dates=_first_of_dates(columns), **marks_seen)
    return Table(pl.DataFrame(columns), notes, replace(asked.given.over(reading), units=units), places)


def missing_left_out(frame: pl.DataFrame, notes: list[Note], asked: Asked) -> pl.DataFrame:
    """The same table without the cells that stand for a missing value; how many there are is noted where it is news."""
    cells = asked.missing_cells
    if not cells:
        return frame
    cleared = frame.with_columns([values.without(column, cells) for column in frame])
    if asked.given.missing:
        n = sum(map(pl.Series.null_count, cleared)) - sum(map(pl.Series.null_count, frame))
        text = ngettext("{n} cell read as missing: {cells}", "{n} cells read as missing: {cells}", n)
        notes.append(Note("info", "missing", text.format(n=format_count(n), cells=asked.given.missing)))
    return cleared


def with_units(columns: Sequence[Column], units: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns with what was left out of their cells told in the reasons for their kinds.

    units  by column
    """
    told = []
    for column in columns:
        unit = units.get(column.name)
        if unit is not None and column.kind == "number" and not column.is_chosen:
            text = _("{why}: hours of the day") if unit == clocks.CLOCK else _("{why}, {unit} left out")
            column = replace(column, why=text.format(why=column.why, unit=unit))
        told.append(column)
    return tuple(told)


def _without_wrapping(column: pl.Series) -> pl.Series:
    """The same cells with ="12" and '12 as 12, so written to keep a spreadsheet from changing them, and without letters
    that nobody sees."""
    if column.dtype != pl.String:
        return column
    # in most files each letter is one byte, which is looked at in a fifth of the time
    if (column.str.len_bytes() != column.str.len_chars()).any() and column.str.contains(_INVISIBLE).any():
        column = column.str.replace_all(_INVISIBLE, "")
    head = values.cleaned(column.head(HEAD_ROWS)).drop_nulls()
    is_one = len(head) > 0 and bool(head.str.contains(_WRAPPED).all())
    return column.str.replace(_WRAPPED, "$1$2") if is_one else column


def _marks(asked: Asked, decimal: str | None, delimiter: str) -> Marks:
    given, former = asked.given, asked.former
    said = given.decimal_said
    default = "," if delimiter == ";" else "."
    if said:
        return Marks(said, given.thousands, True, said)
    return Marks(decimal, given.thousands, False, (former.decimal if former else None) or default)


def _unit_notes(frame: pl.DataFrame, former: Reading, units: dict[str, str]) -> list[Note]:
    notes = []
    for name in frame.columns:
        if former.cells.get(name) == "number" and frame[name].null_count() < len(frame):
            note = numerals.other_unit(name, former.units.get(name, ""), units.get(name, ""))
            notes += [note] if note is not None else []
    return notes


def _first_of_dates(columns: Sequence[pl.Series]) -> str | None:
    """What comes first in dates of which the file leaves it open; None where there are none.

    A column whose dates can only be read one way speaks for the others.
    """
    pairs = []
    for column in columns:
        head = column.head(2000) if column.dtype == pl.String else column.clear()
        day = values.date_format(head, "day") if len(head) else None
        if day is not None and day.startswith(("%d", "%m")) and "%B" not in day:
            pairs.append((day, values.date_format(head, "month")))
    proves_month = any(day == month and day.startswith("%m") for day, month in pairs)
    proves_day = any(day == month and day.startswith("%d") for day, month in pairs)
    return None if not pairs else "month" if proves_month and not proves_day else "day"


def date_doubts(columns: Sequence[pl.Series], asked: Asked, places: Places | None) -> list[Note]:
    """A warning for each column whose cells are dates, but not all written one way."""
    notes = []
    for column in columns:
        if column.dtype != pl.String or asked.are_words(column.name) or values.date_format(column.head(2000)):
            continue
        found = values.several_date_formats(column.head(2000), places)
        if found:
            text = _("dates written in several ways, such as {cells}: kept as words; write all of them one way")
            notes.append(Note("warning", column.name, text.format(cells=found)))
    return notes


def without_blank_rows(frame: pl.DataFrame, places: Places) -> tuple[pl.DataFrame, int, Places]:
    """The rows that hold something, how many do not, and where the former stand."""
    if frame.width < 2 or not all(_has_blank(column) for column in frame):
        return frame, 0, places
    is_filled = filled_rows(frame)
    filled = frame.filter(is_filled)
    return filled, len(frame) - len(filled), places.kept(is_filled) if len(filled) < len(frame) else places


def _without_names(frame: pl.DataFrame, places: Places) -> tuple[pl.DataFrame, list[str], Places]:
    """The rows without those that are names once more, what is to be said of it, and where the rows stand: tables
    joined end to end repeat their names, others have the units of their columns in a second row."""
    doubts = []
    is_again = _are_names(frame)
    if is_again.any():
        n, row = int(is_again.sum()), places.shown(int(is_again.arg_max() or 0))
        text = ngettext(
            "{n} row that repeats the names of the columns left out: row {row}",
            "{n} rows that repeat the names of the columns left out, the first of them row {row}",
            n,
        )
        doubts.append(text.format(n=format_count(n), row=row))
        frame, places = frame.filter(~is_again), places.kept(~is_again)
    if _is_of_qualtrics(frame):
        doubts.append(_("two rows under the names say more of the columns, and were left out"))
        frame, places = frame[2:], places.cut(2)
    elif _begins_with_units(frame):
        cells = ", ".join(repr(cell) for cell in stripped(frame, 0) if cell)
        cells = cells if len(cells) <= MOST_SHOWN else cells[:MOST_SHOWN] + "..."
        doubts.append(
            _("the row under the names says more of the columns, and was left out: {cells}").format(cells=cells)
        )
        frame, places = frame[1:], places.cut(1)
    return frame, doubts, places


def _are_names(frame: pl.DataFrame) -> pl.Series:
    """True for each row whose cells are the names above them."""
    is_again = pl.repeat(any(dtype == pl.String for dtype in frame.dtypes), len(frame), dtype=pl.Boolean, eager=True)
    for column in frame:
        if column.dtype != pl.String or not is_again.any():
            return is_again & False
        is_again &= (column.str.strip_chars("\ufeff \t") == column.name).fill_null(False)
    return is_again


def _is_of_qualtrics(frame: pl.DataFrame) -> bool:
    """True where the second row has the marks that this program of surveys puts under the questions."""
    return len(frame) > MIN_BELOW and all(cell.startswith('{"ImportId"') for cell in stripped(frame, 1))


def _begins_with_units(frame: pl.DataFrame) -> bool:
    """True when the first row has words, or nothing, where at least two columns have numbers, and nowhere a value."""
    if len(frame) < MIN_BELOW:
        return False
    n_units = 0
    for column, cell in zip(frame, stripped(frame, 0), strict=True):
        below = column[1:]
        if not cell:
            continue
        if column.dtype != pl.String or numerals.is_numeral(cell) or values.date_format(pl.Series([cell])):
            return False
        head = values.cleaned(below.head(100)).drop_nulls()
        n_units += len(head) > 0 and all(map(numerals.is_numeral, head))
        if (below.str.strip_chars() == cell).any():
            return False  # a word of the column, or of those for a missing value
    return n_units > 1


def filled_rows(frame: pl.DataFrame) -> pl.Series:
    """True for each row that holds something but white space."""
    is_blank = [
        (pl.col(c.name).is_null() | (pl.col(c.name).str.strip_chars() == ""))
        if c.dtype == pl.String
        else pl.col(c.name).is_null()
        for c in frame
    ]
    return frame.select(~pl.all_horizontal(is_blank)).to_series()


def _has_blank(column: pl.Series) -> bool:
    return column.null_count() > 0 or (column.dtype == pl.String and bool((column.str.strip_chars() == "").any()))


def name_problems(where: str, names: Sequence[str]) -> list[str]:
    """A problem for each name that two columns share."""
    return [
        problem(
            where,
            _("columns with different names"),
            _('{n} columns called "{name}"').format(n=n, name=name),
            _("rename all but one"),
        )
        for name, n in Counter(names).items()
        if n > 1
    ]


def is_footer(cells: Sequence[str], width: int) -> bool:
    """True for a short row at the end that is a remark or a total: words first, at most half of the table's width."""
    filled = [cell for cell in cells if cell.strip()]
    return len(cells) < width and 2 * len(filled) <= width and not numerals.is_numeral(filled[0].strip())
