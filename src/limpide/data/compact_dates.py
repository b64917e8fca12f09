"""Dates written as one whole number: 20240131, 202401, 2024013112, 20240131083000."""

from __future__ import annotations

import re
from typing import cast

import polars as pl

FORMATS = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""By the count of digits."""

FIRST_YEAR, LAST_YEAR = 1900, 2100
_DIGITS = {form: n for n, form in FORMATS.items()}
_START = "00000101000000"
"""What is not written: a month is its first day, a day begins at midnight."""

_NAME = re.compile(
    r"date|datum|dat$|fecha|data$|jour|day|tag$|d[ií]a$|giorno|mois|month|monat|mes$|mese$|p[eé]riod|aaaamm|yyyymm|time|"
    r"stamp",
    re.IGNORECASE,
)
MANY = 20
"""Different numbers, not one month of them, that are all dates are no chance, whatever their column is called."""


def compact_format(series: pl.Series, share: float = 1.0) -> str:
    """How the numbers of a column write dates, where at least a share of the different ones do; else nothing.

    >>> compact_format(pl.Series([20240131, 20240201])), compact_format(pl.Series([20240131, 20240231]))
    ('%Y%m%d', '')
    """
    if share == 1.0 and not _form(series.min()) == _form(series.max()) != "":
        return ""  # no second look at the numbers of a large table
    known = series.unique().drop_nulls()
    form = _form(known.median() if share < 1.0 else known.min())
    return form if form and read_compact(known, form).count() >= share * len(known) > 0 else ""


def _form(number: object) -> str:
    value = cast(float, number)
    if number is None or not FIRST_YEAR < value < 1e14 or value != value // 1:
        return ""
    digits = str(int(value))
    return FORMATS.get(len(digits), "") if FIRST_YEAR <= int(digits[:4]) <= LAST_YEAR else ""


def is_named_so(name: str) -> bool:
    """True for a column whose name speaks of time."""
    return _NAME.search(name) is not None


def is_said(name: str, form: str, numbers: pl.Series) -> bool:
    """True where numbers that could be dates are: their column's name says so, or they are too many for chance."""
    if is_named_so(name):
        return True
    low, high = cast(int, numbers.min()), cast(int, numbers.max())
    return form == "%Y%m%d" and high - low > 100 and numbers.n_unique() >= MANY


def read_compact(series: pl.Series, form: str) -> pl.Series:
    """Every cell as a moment; null where it is missing or no date of this form.

    >>> read_compact(pl.Series([202402, 202413]), "%Y%m").to_list()
    [datetime.datetime(2024, 2, 1, 0, 0), None]
    """
    is_text = series.dtype == pl.String
    text = series.str.strip_chars() if is_text else series.cast(pl.Int64, strict=False).cast(pl.String)
    digits = text.str.strip_suffix(".0")
    is_one = digits.str.contains(rf"^[0-9]{{{_DIGITS[form]}}}$")
    moments = (digits + _START[_DIGITS[form] :]).str.to_datetime("%Y%m%d%H%M%S", strict=False, time_unit="us")
    return moments.set(~(is_one & moments.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).fill_null(False), None)


def is_compact(form: str) -> bool:
    """True for a form of this file."""
    return form in _DIGITS
