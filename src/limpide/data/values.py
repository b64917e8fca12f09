"""What one cell of a table means: missing, a number, a date, yes or no, a word.

Every rule on cells stands here, so that a file, a frame and `--set area=70` are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache

import numpy as np
import polars as pl

from limpide.data.compact_dates import is_compact, read_compact
from limpide.data.date_words import plain_date
from limpide.data.places import Places, shown_row
from limpide.i18n import _

MISSING_WORDS = (
    "", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NULL", "Null", "null", "None", "none", "NaN", "NAN", "nan", "?",
    "-", "--", "\N{EN DASH}", "\N{EM DASH}", ".", "...", ":", "NaT", "#N/D", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!",
    "#NAME?", "#NULL!", "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#VALEUR!", "#NOMBRE!", "#NOM?", "#NUL!", "#¡VALOR!",
    "#¡DIV/0!", "k.A.", "k. A.", "n.d.", "n. d.", "n.a.", "n. a.", "n.v.", "s.o.",
    "0000-00-00", "0000-00-00 00:00:00", "..", "nd", "#N/A N/A",
)  # fmt: skip

FALSE_TRUE = (
    ("no", "yes"), ("non", "oui"), ("false", "true"), ("faux", "vrai"), ("n", "y"), ("f", "t"), ("off", "on"),
    ("n", "o"), ("nein", "ja"), ("falsch", "wahr"), ("falso", "verdadero"), ("falso", "vero"), ("no", "si"),
    ("no", "sí"), ("no", "sì"), ("nee", "ja"), ("n", "j"), ("não", "sim"), ("nej", "ja"),
)  # fmt: skip

DAY_FIRST = (
    "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y", "%d %m %Y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%d/%m/%y %H:%M", "%d/%m/%Y %I:%M %p", "%d/%m/%Y %I:%M:%S %p", "%d/%m/%y %H:%M:%S", "%d.%m.%y %H:%M",
    "%d/%m/%y %I:%M %p", "%d/%m/%y %I:%M:%S %p",
)  # fmt: skip
DATE_FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M", "%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M",
    *DAY_FIRST,
    *(form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m") for form in DAY_FIRST),
    "%d %B %Y", "%d-%B-%Y", "%d-%B-%y", "%B %d, %Y", "%B %d %Y", "%d %B %Y %H:%M:%S", "%d %B %Y %H:%M",
    "%B %d %Y %I:%M:%S %p", "%B %d %Y %I:%M %p", "%B %d %Y %H:%M:%S", "%B %d %Y %H:%M", "%B %d %Y %H:%M:%S %z",
    "%d %B %Y %H:%M:%S %z", "%d %B %y", "%Y/%m/%d %I:%M:%S %p", "%Y/%m/%d %I:%M:%S %p %z",
)  # fmt: skip
"""Tried in this order: where day and month cannot be told apart, the day comes first unless something else is said."""

MOST_DATE_FORMATS = 3
_SHAPES = {
    "%d": r"\d{1,2}", "%m": r"\d{1,2}", "%Y": r"\d{4}", "%y": r"\d{2}", "%B": r"[^\W\d_]{3,9}", "%H": r"\d{1,2}",
    "%I": r"\d{1,2}", "%M": r"\d{2}", "%S": r"\d{2}", "%p": "[AaPp][Mm]", "%z": r"[+-]\d\d:?\d\d",
}  # fmt: skip
_DATE = re.compile(r"\d{1,4}[-/. ]\s?\w|[^\W\d_]{3,9} \d{1,2},? \d{4}")
ISO_FORMATS = tuple(form for form in DATE_FORMATS if form.startswith("%Y-"))
_SCHOOL_YEAR = re.compile(r"(\d{4})[-/](\d\d)")
YEAR = re.compile(r"(19|20)\d\d")
_MONTH = re.compile(r"(0?[1-9]|1[0-2])\.(?:19|20)\d\d")
MIN_MONTHS = 3
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
GROUP = r"^\s*[+-]?[1-9]\d{0,2},\d{3}\s*$"
"""A comma and three digits: 1,234 is one thousand and some to many, and little more than one to others."""

WHOLE_NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
CODE = r"^[+-]?0\d"
"""A leading zero, as in a postal code: such a column is words, however many digits it holds."""

LONG_CODE = r"^[+-]?\d{19,}$"
"""More digits than a number can keep apart."""


PHONE = r"^\+\d{8,}$"
"""A telephone number with the code of its country."""


def cleaned(series: pl.Series) -> pl.Series:
    """Text without the spaces around it, and the words for a missing value made missing.

    >>> cleaned(pl.Series([" a", "NA", ""])).to_list()
    ['a', None, None]
    """
    return by_distinct(series, _without_missing_words)


def _without_missing_words(series: pl.Series, known: Collection[str] = ()) -> pl.Series:
    text = series.str.strip_chars()
    return text.set(text.is_in([word for word in MISSING_WORDS if word not in known]), None)


def without(series: pl.Series, said: Collection[str]) -> pl.Series:
    """The cells that somebody says stand for a missing value made missing: numbers by their value, else words.

    >>> without(pl.Series([3.5, -999.0]), ["-999"]).to_list(), without(pl.Series(["a ", "b"]), ["a"]).to_list()
    ([3.5, None], [None, 'b'])
    """
    is_text = series.dtype == pl.String
    if not said or not (is_text or series.dtype.is_numeric()):
        return series
    sought = numbers(pl.Series(list(said), dtype=pl.String)).drop_nulls()
    is_said = numbers(series).is_in(sought.implode()).fill_null(False)
    if is_text:
        is_said |= series.str.strip_chars().is_in(list(said)).fill_null(False)
    return series.set(is_said, None)


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
            pointed = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
            values = values.fill_null(pointed.set(text.str.contains(GROUP).fill_null(False), None))
    elif series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null):
        values = series.cast(pl.Float64)
    else:
        return pl.Series(series.name, [None] * len(series), pl.Float64)
    # The sum is finite only where all are: one pass without a mask settles the usual case.
    total = values.sum()
    return values if np.isfinite(float(total)) else values.set(~values.is_finite(), None)


def has_codes(series: pl.Series) -> bool:
    """True for texts that are no numbers though they look like it: "007" is a name, 3.2024 among others a month."""
    if series.dtype != pl.String:
        return False
    text = series.str.strip_chars()
    return bool(text.str.contains(f"{CODE}|{LONG_CODE}|{PHONE}").any()) or are_months(text)


def are_months(text: pl.Series) -> bool:
    """True where all cells are a month of one or two digits, a point and a year, and the months are not all alike.

    Rates of exchange such as 1.1987 and 1.2034 look the same, but for their months.

    >>> are_months(pl.Series(["1.2024", "2.2024", "12.2024"])), are_months(pl.Series(["1.1987", "1.2034", "1.2051"]))
    (True, False)
    """
    known = text.drop_nulls()
    if not len(known) or not _MONTH.fullmatch(known[0]):
        return False
    cells = [_MONTH.fullmatch(cell) for cell in cleaned(known.unique()).drop_nulls()]
    return all(cells) and len({cell[1] for cell in cells if cell}) >= MIN_MONTHS


def date_format(series: pl.Series, first: str = "day") -> str | None:
    """The first known way to write dates that reads every text present, if there is one; some may be ISO dates.

    first  what comes first where the dates leave it open, "day" or "month"

    >>> date_format(pl.Series(["31/12/2024", "01/02/2025"])), date_format(pl.Series(["soon"]))
    ('%d/%m/%Y', None)
    >>> date_format(pl.Series(["03/04/2020"]), "month")
    '%m/%d/%Y'
    """
    text = cleaned(series).drop_nulls()
    if not len(text) or not _DATE.match(plain_date(text[0])):
        return None
    head = text.head(200)
    years = [_SCHOOL_YEAR.fullmatch(cell) for cell in head]
    if all(year and (int(year[1]) + 1) % 100 == int(year[2]) for year in years):
        return None  # 2010-11 is November, unless 2009-10 is all there is besides
    odd = head.filter(dates(head).is_null()) if head.str.contains(r"^\d{4}-").any() else head
    probe = str(odd[0] if len(odd) else head[0])
    for form in _tried(probe, first):
        if not dates(head, form).null_count() and not dates(text, form).null_count():
            return form
    return None


def several_date_formats(series: pl.Series, places: Places | None = None) -> str:
    """Two cells that are dates written in different ways, where all cells are dates; else nothing.

    >>> several_date_formats(pl.Series(["31/12/2024", "12.31.2024"]))
    "'31/12/2024' (row 1), '12.31.2024' (row 2)"
    """
    text = cleaned(series)
    if not text.count() or not _DATE.match(text.drop_nulls()[0]):
        return ""
    left = text.is_not_null()
    shown: list[str] = []
    while left.any():
        row = int(left.arg_max() or 0)
        found = [_parsed(text, form).is_not_null() & left for form in _tried(str(text[row]), "day")]
        read = next((mask for mask in found if mask[row]), None)
        if read is None or len(shown) > MOST_DATE_FORMATS:
            return ""
        shown.append(cells(series, pl.Series([i == row for i in range(len(text))]), places=places))
        left &= ~read
    return ", ".join(shown[:2]) if len(shown) > 1 else ""


def _tried(cell: str, first: str) -> list[str]:
    """The formats that a cell has the shape of, in the order of preference."""
    written = {cell, plain_date(cell)}
    fitting = [form for form in DATE_FORMATS if any(map(_shape(form).fullmatch, written))]
    return sorted(fitting, key=lambda form: form.startswith("%d")) if first == "month" else fitting


@cache
def _shape(form: str) -> re.Pattern[str]:
    """What text in this format looks like."""
    text = re.escape(form).replace(r"\%", "%").replace(r"%\.f", r"(\.\d+)?")
    for part, shape in _SHAPES.items():
        text = text.replace(part, shape)
    return re.compile(text)


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
        written = "" if is_compact(form) else form
        values = _read_dates(text, written)
        if is_compact(form):
            values = values.fill_null(read_compact(text, form))
        if values.null_count() > text.null_count():
            plain = by_distinct(text, lambda words: words.map_elements(plain_date, pl.String))
            values = values if plain.equals(text) else values.fill_null(_read_dates(plain, written))
        return values
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us"))
    if is_compact(form) and series.dtype.is_numeric():
        return read_compact(series, form)
    return pl.Series(series.name, [None] * len(series), pl.Datetime("us"))


def _read_dates(text: pl.Series, form: str) -> pl.Series:
    values = _parsed(text, form) if form else pl.Series(text.name, [None] * len(text), pl.Datetime("us"))
    for iso in ISO_FORMATS:
        if values.null_count() == text.null_count():
            break
        values = values.fill_null(_parsed(text, iso))
    return values


def _parsed(text: pl.Series, form: str) -> pl.Series:
    if "%z" in form:
        return text.str.to_datetime(form, strict=False, time_unit="us").dt.replace_time_zone(None)
    if "%H" in form or "%I" in form:
        values = text.str.to_datetime(form, strict=False, time_unit="us")
        return values.set((values.dt.year() < 1000).fill_null(False), None)
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


def cells(series: pl.Series, mask: pl.Series, limit: int = 5, places: Places | None = None) -> str:
    """The cells under a mask with their rows, as a message shows them.

    places  where the rows stand in their file

    >>> cells(pl.Series(["1", "big"]), pl.Series([False, True]))
    "'big' (row 2)"
    """
    rows = [int(row) for row in mask.arg_true().head(limit)]
    shown = [_("{value!r} (row {row})").format(value=series[row], row=shown_row(row, places)) for row in rows]
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
    if not len(head) or head.cast(pl.Float64, strict=False).null_count() or has_codes(text):
        return text
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return whole
    values = text.cast(pl.Float64, strict=False)
    return numbers(text) if values.is_finite().sum() == len(text) - text.null_count() else text


def shown_moment(moment: int) -> str:
    """Microseconds since 1970 as a date, with the time where there is one.

    >>> shown_moment(0), shown_moment(3_600_000_000)
    ('1970-01-01', '1970-01-01 01:00:00')
    """
    text = str(np.datetime64(moment, "us").astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(" 00:00:00")
