"""Numbers that stand for a missing value: -999 or 9999 among small ones."""

from __future__ import annotations

import re
from typing import cast

import polars as pl

from limpide.data import values
from limpide.data.dataset import Note
from limpide.i18n import _, format_count, format_number

FAR = 2
"""A sentinel lies this many times the range of all other numbers away from them, at least."""

_NINES = re.compile(r"-9{2,}(\.0|\.9+)?|9{3,}(\.0|\.9+)?")


def find_sentinels(series: pl.Series) -> list[Note]:
    """A warning for the least and the greatest number of a column where it comes again, is written with nines alone,
    and lies far from all others.

    >>> [note.where for note in find_sentinels(pl.Series("rain", [3.5, -999, 0.2, -999]))]
    ['rain']
    """
    read = series if series.dtype.is_numeric() else values.numbers(series)
    ends = [end for end in _ends(read) if _NINES.fullmatch(str(end))]
    if not ends:
        return []
    known = values.numbers(read).drop_nulls()
    is_end = known == ends[0]
    for end in ends[1:]:
        is_end |= known == end
    others = _ends(known.filter(~is_end))
    if not others or others[0] == others[1]:
        return []
    low, high = others
    notes = []
    for end in ends:
        n = int((known == end).sum())
        if n > 1 and max(low - end, end - high) >= FAR * (high - low):
            text = _(
                "{value} comes {n} times in {rows} rows, far from all other numbers ({low} to {high}): where it stands "
                "for a missing value, the option missing={value} reads it so"
            )
            numbers = {"n": format_count(n), "rows": format_count(len(series))}
            text = text.format(value=f"{end:.15g}", low=format_number(low), high=format_number(high), **numbers)
            notes.append(Note("warning", str(series.name), text))
    return notes


def _ends(numbers: pl.Series) -> list[float]:
    return [float(cast(float, end)) for end in (numbers.min(), numbers.max()) if end is not None]
