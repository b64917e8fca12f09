"""Times of the day as people write them, and times that something took: 08:32, 8h05, 17:20:30, 27:00:36, 1:20.35."""

from __future__ import annotations

import re

import polars as pl

from limpide.data import values
from limpide.data.dataset import Note
from limpide.data.numerals import N_HEAD, Numerals
from limpide.i18n import _, format_number

CLOCK = "hh:mm"
"""Stands where a unit would."""

TIME = r"^([01]?[0-9]|2[0-3])[:hH]([0-5][0-9])(?::([0-5][0-9]))?$"
SPAN = r"^([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:[.,][0-9]+)?)$"
LAP = r"^(0?)([0-9]{1,3}):([0-5][0-9][.,][0-9]+)$"
_TIMES = re.compile(f"{TIME}|{SPAN}|{LAP}")


def is_time(cell: str) -> bool:
    """True for a time of the day, or a time that something took: hours, minutes and seconds, or 1:20.35 of a lap.

    >>> is_time("08:32"), is_time("8h05"), is_time("25:10"), is_time("25:10:00"), is_time("1:20.35")
    (True, True, False, True, True)
    """
    return _TIMES.match(cell) is not None


def hours(series: pl.Series) -> Numerals | None:
    """A column of text as hours, since midnight or of what it took; None where a cell is no time and not missing.

    >>> hours(pl.Series(["08:30", "17:00:36"])).series.to_list()
    [8.5, 17.01]
    """
    head = values.cleaned(series.head(N_HEAD)).drop_nulls()
    if not all(map(is_time, head)):
        return None
    text = values.cleaned(series)
    known = text.drop_nulls()
    read, has_seconds = _hours_of(text, TIME)
    for pattern in (SPAN, LAP):
        if read.null_count() > text.null_count():
            more, are_seconds = _hours_of(text, pattern)
            read, has_seconds = read.fill_null(more), has_seconds | are_seconds
    if not len(known) or read.null_count() > text.null_count():
        return None
    note = _("times of the day are read as hours: {cell!r} is read as {number}")
    note = note.format(cell=known[0], number=format_number(read.drop_nulls()[0]))
    notes = [Note("info", str(series.name), note)]
    is_short = read.is_not_null() & ~has_seconds
    if is_short.any() and has_seconds.any():
        row = int(is_short.arg_max() or 0)
        doubt = _("some of its times have seconds, others not: {cell!r} is read as hours and minutes")
        notes.append(Note("warning", str(series.name), doubt.format(cell=text[row])))
    return Numerals(read.alias(series.name), unit=CLOCK, notes=tuple(notes))


def _hours_of(text: pl.Series, pattern: str) -> tuple[pl.Series, pl.Series]:
    """The hours of the cells of this pattern, null elsewhere, and which of them tell seconds."""
    groups = text.str.extract_groups(pattern).struct.unnest()
    hours, minutes, seconds = (
        groups[name].str.replace(",", ".", literal=True).cast(pl.Float64, strict=False) for name in groups.columns
    )
    hours = hours.fill_null(0).set(minutes.is_null(), None)
    return hours + minutes / 60 + seconds.fill_null(0) / 3600, seconds.is_not_null()
