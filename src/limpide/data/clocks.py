"""Times of the day as people write them: 08:32, 8h05, 17:20:30."""

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
_TIME = re.compile(TIME)


def is_time(cell: str) -> bool:
    """True for a time of the day.

    >>> is_time("08:32"), is_time("8h05"), is_time("25:10")
    (True, True, False)
    """
    return _TIME.match(cell) is not None


def hours(series: pl.Series) -> Numerals | None:
    """A column of text as the hours since midnight; None where a cell that is not missing is no time of the day.

    >>> hours(pl.Series(["08:30", "17:00:36"])).series.to_list()
    [8.5, 17.01]
    """
    head = values.cleaned(series.head(N_HEAD)).drop_nulls()
    if not all(map(is_time, head)):
        return None
    text = values.cleaned(series)
    known = text.drop_nulls()
    parts = text.str.extract_groups(TIME).struct.unnest().cast(pl.Float64)
    if not len(known) or parts["1"].null_count() > text.null_count():
        return None
    read = parts["1"] + parts["2"] / 60 + parts["3"].fill_null(0) / 3600
    note = _("times of the day are read as hours: {cell!r} is read as {number}")
    note = note.format(cell=known[0], number=format_number(read.drop_nulls()[0]))
    return Numerals(read.alias(series.name), unit=CLOCK, notes=(Note("info", str(series.name), note),))
