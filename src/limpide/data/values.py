"""What one cell of a table means: missing, a number, a date, yes or no, a word.

Every rule on cells stands here, so that a file, a frame and `--set area=70` are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import numpy as np
import polars as pl

from limpide.i18n import _

MISSING_WORDS = (
    "", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NULL", "Null", "null", "None", "none", "NaN", "NAN", "nan", "?",
)  # fmt: skip

FALSE_TRUE = (("no", "yes"), ("non", "oui"), ("false", "true"), ("faux", "vrai"), ("n", "y"), ("f", "t"), ("off", "on"))

DATE_FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d/%m/%y", "%m/%d/%y",
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M",
)  # fmt: skip
"""Tried in this order: where day and month cannot be told apart, the day comes first."""

ISO_FORMATS = tuple(form for form in DATE_FORMATS if form.startswith("%Y-"))
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
WHOLE_NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
CODE = r"^[+-]?0\d"
"""A leading zero, as in a postal code: such a column is words, however many digits it holds."""

LONG_CODE = r"^[+-]?\d{19,}$"
"""More digits than a number can keep apart."""


def cleaned(series: pl.Series) -> pl.Series:
    """Text without the spaces around it, and the words for a missing value made missing.

    >>> cleaned(pl.Series([" a", "NA", ""])).to_list()
    ['a', None, None]
    """
    return by_distinct(series, _without_missing_words)


def _without_missing_words(series: pl.Series, known: Collection[str] = ()) -> pl.Series:
    text = series.str.strip_chars()
    return text.set(text.is_in([word for word in MISSING_WORDS if word not in known]), None)


def by_distinct(series: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """What `change` makes of a text, each different word changed once where words come again.

    >>> by_distinct(pl.Series(["a", "b", "a"]), lambda words: words.str.to_uppercase()).to_list()
    ['A', 'B', 'A']
    """
    head = series.head(1000)
    if head.n_unique() > len(head) / 2:
        return change(series)
    distinct = series.unique()
    changed = change(distinct)
    if changed.equals(distinct):
        return series
    return series.replace_strict(distinct, changed, return_dtype=changed.dtype)


def numbers(series: pl.Series) -> pl.Series:
    """Every cell as a float; null where it is missing, infinite or no number at all.

    >>> numbers(pl.Series(["1.5", "2,5", "?", "big"])).to_list()
    [1.5, 2.5, None, None]
    """
    if series.dtype == pl.String:
        text = cleaned(series)
        values = text.cast(pl.Float64, strict=False)
        if values.null_count() > text.null_count():
            values = values.fill_null(text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False))
    elif series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null):
        values = series.cast(pl.Float64)
    else:
        return pl.Series(series.name, [None] * len(series), pl.Float64)
    # The sum is finite only where all are: one pass without a mask settles the usual case.
    total = values.sum()
    return values if np.isfinite(float(total)) else values.set(~values.is_finite(), None)


def has_codes(series: pl.Series) -> bool:
    """True when a text starts with a superfluous zero or is too long for a number: "007" is a name, not seven."""
    return series.dtype == pl.String and bool(series.str.strip_chars().str.contains(f"{CODE}|{LONG_CODE}").any())


def date_format(series: pl.Series) -> str | None:
    """The first known way to write dates that reads every text present, if there is one.

    >>> date_format(pl.Series(["31/12/2024", "01/02/2025"])), date_format(pl.Series(["soon"]))
    ('%d/%m/%Y', None)
    """
    text = cleaned(series).drop_nulls()
    if not len(text) or not re.match(r"[+-]?\d", text[0]):
        return None
    head = text.head(200)
    for form in DATE_FORMATS:
        if not _parsed(head, form).null_count() and not _parsed(text, form).null_count():
            return form
    return None


def swapped(form: str) -> str:
    """The same format with the day and the month changed over."""
    return form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")


def dates(series: pl.Series, form: str = "") -> pl.Series:
    """Every cell as a moment; null where it is missing or cannot be read.

    form  how text writes a date; ISO dates are read besides

    >>> dates(pl.Series(["31/12/2024", "2025-02-01"]), "%d/%m/%Y").dt.year().to_list()
    [2024, 2025]
    """
    if series.dtype == pl.String:
        text = cleaned(series)
        values = _parsed(text, form) if form else pl.Series(series.name, [None] * len(series), pl.Datetime("us"))
        for iso in ISO_FORMATS:
            if values.null_count() == text.null_count():
                break
            values = values.fill_null(_parsed(text, iso))
        return values
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us"))
    return pl.Series(series.name, [None] * len(series), pl.Datetime("us"))


def _parsed(text: pl.Series, form: str) -> pl.Series:
    if "%H" in form:
        return text.str.to_datetime(form, strict=False, time_unit="us")
    values = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    # "%Y" reads "24" as the year 24, so that 31/12/24 would be a day of the year 31.
    return values.set((values.dt.year() < 1000).fill_null(False), None) if "%Y" in form else values


def boolean_words(series: pl.Series) -> tuple[str, str] | None:
    """The pair (word for false, word for true) that the texts use, if they use one and both of its words."""
    found = set(cleaned(series).drop_nulls().str.to_lowercase().unique().to_list())
    return next((pair for pair in FALSE_TRUE if found == set(pair)), None)


def booleans(series: pl.Series) -> pl.Series:
    """Every cell as true or false; null where it is missing or neither.

    >>> booleans(pl.Series(["Yes", "no", "perhaps"])).to_list()
    [True, False, None]
    """
    if series.dtype == pl.Boolean:
        return series
    if series.dtype == pl.String:
        text = cleaned(series).str.to_lowercase()
        no, yes = zip(*FALSE_TRUE)
        is_yes, is_no = text.is_in([*yes, "1", "1.0"]), text.is_in([*no, "0", "0.0"])
    else:
        values = numbers(series)
        is_yes, is_no = values == 1, values == 0
    return is_yes.set(~(is_yes | is_no).fill_null(False), None)


def words(series: pl.Series, known: Collection[str] = ()) -> pl.Series:
    """Every cell as a word, whole numbers without a decimal point; null where it is missing.

    known  words that stand for themselves even when they look like a missing value

    >>> words(pl.Series([1.0, 2.5])).to_list(), words(pl.Series(["NA", " b"]), known=["NA"]).to_list()
    (['1', '2.5'], ['NA', 'b'])
    """
    if series.dtype == pl.String:
        return by_distinct(series, lambda text: _without_missing_words(text, known))
    if series.dtype.is_float():
        return series.fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    return series.cast(pl.String, strict=False)


def natural_key(word: str) -> tuple[tuple[int, float, str], ...]:
    """The order people expect: numbers by value, then letters without regard to case; no two words are alike.

    >>> sorted(["class 10", "class 2", "-1", "0"], key=natural_key)
    ['-1', '0', 'class 2', 'class 10']
    """
    if NUMBER.fullmatch(word):
        return (0, float(word), ""), (0, 0.0, word)
    parts = re.split(r"(\d+)", word)
    key = [(1, float(part), "") if part.isdigit() else (2, 0.0, part.casefold()) for part in parts if part]
    return *key, (0, 0.0, word)


def unreadable(series: pl.Series, values: pl.Series) -> pl.Series:
    """True where a cell holds something that `values`, read from it, could not make sense of."""
    if not values.null_count():
        return values.is_null()
    if series.dtype == pl.String:
        present = cleaned(series).is_not_null()
    elif series.dtype.is_float():
        present = series.fill_nan(None).is_not_null() & ~series.is_infinite().fill_null(False)
    else:
        present = series.is_not_null()
    return present & values.is_null()


def cells(series: pl.Series, mask: pl.Series, limit: int = 5) -> str:
    """The cells under a mask with their rows, counted from 1, as a message shows them.

    >>> cells(pl.Series(["1", "big"]), pl.Series([False, True]))
    "'big' (row 2)"
    """
    rows = mask.arg_true().head(limit)
    shown = [_("{value!r} (row {row})").format(value=series[int(row)], row=int(row) + 1) for row in rows]
    n_more = int(mask.sum()) - len(shown)
    return ", ".join(shown) + (_(" and {n} more").format(n=n_more) if n_more else "")


def typed(series: pl.Series) -> pl.Series:
    """Text as whole numbers or as numbers where every cell allows it, else cleaned text.

    >>> typed(pl.Series(["1", "NA"])).to_list(), typed(pl.Series(["007", "8"])).to_list()
    ([1, None], ['007', '8'])
    """
    return by_distinct(series, _typed)


def _typed(series: pl.Series) -> pl.Series:
    text = _without_missing_words(series)
    head = text.drop_nulls().head(100)
    if not len(head) or numbers(head).null_count() or has_codes(text):
        return text
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return whole
    values = numbers(text)
    return text if values.null_count() > text.null_count() else values


def shown_moment(moment: int) -> str:
    """Microseconds since 1970 as a date, with the time where there is one.

    >>> shown_moment(0), shown_moment(3_600_000_000)
    ('1970-01-01', '1970-01-01 01:00:00')
    """
    text = str(np.datetime64(moment, "us").astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(" 00:00:00")
