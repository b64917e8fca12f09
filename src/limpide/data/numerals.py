"""Numbers as people write them: 1,234.5 and 1 234,5 and (12.30), 45 %, CHF 1'200, 12 kg, 12,5/20.

A column of such texts becomes plain numbers. One mark, followed by three digits, may be read two ways: "1,234" is
1234 or 1.234. Other cells of the column settle it, then the rest of the file; where nothing does, it is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import polars as pl

from limpide.data import values
from limpide.data.compact_dates import is_named_so
from limpide.data.dataset import Note
from limpide.data.magnitudes import SHORT, without_magnitudes
from limpide.data.places import Places, shown_row
from limpide.i18n import _, format_written

SPACES = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}"
MINUS = "\N{MINUS SIGN}\N{EN DASH}"
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
CURRENCIES = (
    "€ $ £ ¥ ₹ ₽ ₩ ₺ ₴ ₫ ₪ kr zł Kč Ft CHF EUR USD GBP JPY CAD AUD NZD CNY INR SEK NOK DKK PLN CZK HUF BRL ZAR XOF "
    "XAF MAD US$ CA$ C$ A$ NZ$ HK$ S$ R$ Rs Rs. Fr. SFr. kr."
)
UNITS = (
    "% ‰ kg g mg µg t km m cm mm µm nm m² m³ m2 m3 km² km2 cm² cm³ ha l L cl dl mL ml hl lb lbs oz ft in yd mi s ms "
    "min h °C °F ° K W kW MW kWh MWh V mV mA Hz kHz MHz GHz Pa hPa kPa bar mmHg N J kJ kcal km/h m/s mph mg/L g/L "
    "mg/dL mmol/L mol KB kB MB GB TB ko Ko Mo Go To px pt dB ppm ppb"
)
SHARES = {"%": 100.0, "‰": 1000.0}
"""45 % is 0.45, as a spreadsheet holds it."""

OUT_OF = rf"[{SPACES}]*/[{SPACES}]*([1-9][0-9]*)$"
"""What follows a mark such as 12,5/20."""

AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
ENOUGH = 0.9
"""The part of a column's cells that must be numbers for the others to be strays among them."""

N_HEAD = 100
NUMBER_GROUP = 6
"""Where `pattern` has the number."""

MIN_SHARED = 3
"""Different numbers before a word that all cells share: 36 months and 60 months are two words."""
EASTERN = ("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫٬", "01234567890123456789.,")
_WORDED = rf"^([+-]?[0-9][0-9.,{SPACES}{APOSTROPHES}]*?)[{SPACES}]*([^\W\d_][^\d]{{0,19}})$"

_MONEY = "|".join(sorted(map(re.escape, CURRENCIES.split()), key=len, reverse=True))
NOTHING = rf"^(?:({_MONEY})[{SPACES}]*-|-[{SPACES}]*({_MONEY}))$"
"""No money at all, as a spreadsheet's accounts show it."""


class Marks(NamedTuple):
    """What is known of the marks of numbers before a column is looked at.

    decimal    the mark that the user or the rest of the file settles, if any
    thousands  the only mark between thousands that is allowed; "" allows none, None any
    is_fixed   the user said so: nothing a column holds speaks against it
    default    the decimal mark where nothing settles it
    """

    decimal: str | None = None
    thousands: str | None = None
    is_fixed: bool = False
    default: str = "."


@dataclass(frozen=True)
class Numerals:
    """A column of numerals, understood.

    series     whole numbers or numbers; text, the numerals in it made plain, where some cells are words
    decimals   the marks taken for the decimal one, where there are any
    thousands  the mark seen between thousands, or ""
    unit       the sign or unit left out, or ""
    notes      what a user should know
    """

    series: pl.Series
    decimals: frozenset[str] = frozenset()
    thousands: str = ""
    unit: str = ""
    notes: tuple[Note, ...] = ()


@cache
def pattern(decimal: str, thousands: str | None = None) -> str:
    """What a number looks like with this decimal mark: its unit, signs and brackets are groups of their own.

    thousands  the only mark allowed between groups of three digits; "" allows none, None any but the decimal mark
    """
    other = "," if decimal == "." else "."
    marks = {other: re.escape(other), " ": f"[{SPACES}]", "'": f"[{APOSTROPHES}]"}
    allowed = [text for mark, text in marks.items() if thousands in (None, mark)]
    groups = [rf"[1-9][0-9]{{0,2}}(?:{text}[0-9]{{3}})+" for text in allowed]
    if decimal == "." and thousands in (None, ","):
        groups.append(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")  # as in India
    whole = "|".join([*groups, "0", "[1-9][0-9]*"])
    behind, power = rf"{re.escape(decimal)}[0-9]", "[eE][+-]?[0-9]+"
    # nobody groups the thousands of a number with a power: 5,694e+04 has a decimal comma
    number = rf"(?:{whole})(?:{behind}*)?|{behind}+|(?:(?:0|[1-9][0-9]*)(?:{behind}*)?|{behind}+){power}"
    words = [sorted(map(re.escape, text.split()), key=len, reverse=True) for text in (CURRENCIES, UNITS)]
    before, after = "|".join(words[0]), "|".join(words[0] + words[1])
    space, sign = f"[{SPACES}]*", f"[+\\-{MINUS}]?"
    return (
        rf"^({before})?{space}(\(?){space}({sign}){space}({before})?{space}({sign})"
        rf"({number}){space}(-?){space}({after})?(-?)(\)?)$"
    )


def is_numeral(cell: str) -> bool:
    """True for a number in any of the ways people write one.

    >>> is_numeral("1 234,50 €"), is_numeral("(12.30)"), is_numeral("A12"), is_numeral("007")
    (True, True, False, False)
    """
    return any(_compiled(decimal).match(cell) for decimal in ".,")


@cache
def _compiled(decimal: str) -> re.Pattern[str]:
    return re.compile(pattern(decimal))


def guess_decimal(cells: Sequence[str]) -> str | None:
    """The decimal mark that cells prove, the one proved more often; None when none does.

    >>> guess_decimal(["1,5", "3"]), guess_decimal(["1,234"]), guess_decimal(["1,234.5"])
    (',', None, '.')
    """
    votes = 0
    for cell in cells:
        has_comma, has_point = "," in cell, "." in cell
        if has_comma or has_point:
            if has_point and not has_comma and not AMBIGUOUS.fullmatch(cell) and values.NUMBER.fullmatch(cell):
                votes += 1
            elif len(cell) < 40:
                as_point, as_comma = (bool(_compiled(decimal).match(cell)) for decimal in ".,")
                votes += as_point - as_comma
    return None if not votes else "." if votes > 0 else ","


def plain(series: pl.Series, marks: Marks, is_sure: bool = False, places: Places | None = None) -> Numerals | None:
    """A column of text as the numbers it writes; None when it is no column of numbers.

    is_sure  the column holds numbers, however few of its cells look like it
    places   where its rows stand in their file

    >>> plain(pl.Series(["1 234,5 €", "99 €"]), Marks()).series.to_list()
    [1234.5, 99.0]
    >>> plain(pl.Series(["12,5/20", "08/20"]), Marks()).series.to_list()
    [12.5, 8.0]
    """
    series = _western(series)
    head = _without_nothing(values.cleaned(series.head(N_HEAD)).drop_nulls())
    if head.str.contains(SHORT).any():
        found = _of_magnitudes(values.cleaned(series), marks, is_sure, places)
        if found is not None:
            return found
    if len(head) and head.str.contains(OUT_OF).all():
        return _out_of_one_number(values.cleaned(series), marks, places)
    if sum(map(is_numeral, head)) < len(head) / 2:
        found = _of_shared_unit(series, marks, is_sure, places)
        if found is not None or not is_sure:
            return found
    cleaned = values.cleaned(series)
    text = _without_nothing(cleaned)
    known = text.drop_nulls()
    if values.has_codes(known):
        return None
    masks = {mark: text.str.contains(pattern(mark, marks.thousands)).fill_null(False) for mark in ".,"}
    if marks.is_fixed and marks.decimal:
        masks[_other(marks.decimal)] = masks[marks.decimal]
    is_numeral_at = masks["."] | masks[","]
    n = int(is_numeral_at.sum())
    if not n or (not is_sure and n < ENOUGH * len(known)):
        return None
    found = _with_marks(text, masks, marks, places)
    if found.unit == "K":  # not in the first rows
        found = _of_magnitudes(cleaned, marks, is_sure, places) or found
    is_nothing = (cleaned != text).fill_null(False)
    if not is_nothing.any() or found.series.dtype == pl.String:
        return found
    cell = _first(cleaned, is_nothing, places)
    note = _("{cell} is read as 0, as a spreadsheet's accounts show it").format(cell=cell)
    return replace(found, notes=(*found.notes, Note("warning", series.name, note)))


def _western(series: pl.Series) -> pl.Series:
    """The same text with Arabic and Persian digits as 0 to 9, and their marks as a point and a comma."""
    if not series.head(N_HEAD).str.contains(f"[{EASTERN[0]}]").any():
        return series
    return series.str.replace_many(list(EASTERN[0]), list(EASTERN[1]))


def _of_shared_unit(series: pl.Series, marks: Marks, is_sure: bool, places: Places | None) -> Numerals | None:
    """The numbers of a column whose cells all end with one word, or one and its plural: it says nothing of a cell."""
    if not values.cleaned(series.head(N_HEAD)).drop_nulls().str.contains(_WORDED).all():
        return None
    text = values.cleaned(series)
    parts = text.str.extract_groups(_WORDED).struct.unnest()
    number, word = parts["1"], parts["2"]
    words = sorted(word.drop_nulls().unique(), key=len)
    is_short = (word == words[0]).fill_null(False) if words else word.is_null()
    is_plural = len(words) == 2 and words[1].startswith(words[0])
    is_plural = is_plural and bool((values.numbers(number.filter(is_short)).abs() < 2).all())
    is_shared = number.null_count() == text.null_count() and (len(words) == 1 or is_plural)
    is_code = len(words) == 1 and len(words[0]) == 1 and words[0].isupper()
    if not is_shared or is_code or (not is_sure and number.n_unique() < MIN_SHARED):
        return None
    found = plain(number, marks, True, places)
    if found is None or found.series.dtype == pl.String:
        return None
    row = int(text.is_not_null().arg_max() or 0)
    notes = (*found.notes, _left_out(str(series.name), words[-1], text[row], f"{found.series[row]:.15g}"))
    return replace(found, series=found.series.alias(series.name), unit=words[-1], notes=notes)


def _of_magnitudes(text: pl.Series, marks: Marks, is_sure: bool, places: Places | None) -> Numerals | None:
    """Numbers such as 12.3K and 4M multiplied out, a few stray words kept; None where too many are no numbers."""
    parts = without_magnitudes(text, is_sure)
    found = plain(parts[0], marks, True, places) if parts else None
    if parts is None or found is None:
        return None
    read = (values.numbers(found.series) * parts[1]).round_sig_figs(15)
    is_multiplied = (parts[1] > 1) & read.is_not_null()
    if read.count() < ENOUGH * text.count() or not is_multiplied.any():
        return None
    row = int(is_multiplied.arg_max() or 0)
    note = _("its numbers are shortened by words: {cell} is read as {number}").format(
        cell=_first(text, is_multiplied, places), number=format_written(f"{read[row]:.15g}")
    )
    warnings = [note for note in found.notes if note.level == "warning"]
    is_stray = read.null_count() > text.null_count()
    series = (
        read.cast(pl.String).fill_null(text) if is_stray else values.typed(read.cast(pl.String).str.strip_suffix(".0"))
    )
    return replace(found, series=series.alias(text.name), notes=(*warnings, Note("info", str(text.name), note)))


def _without_nothing(text: pl.Series) -> pl.Series:
    """The same cells with "$ -" as "$ 0"."""
    return text.str.replace(NOTHING, "${1}0 ${2}")


def _out_of_one_number(text: pl.Series, marks: Marks, places: Places | None) -> Numerals | None:
    """Marks such as 12,5/20 as what was reached; None where not every cell is one, or not out of the same number."""
    wholes = text.str.extract(OUT_OF).drop_nulls()
    if len(wholes) < text.count() or wholes.n_unique() > 1 or values.date_format(text):
        return None  # 03/2024 is a month
    if is_named_so(text.name) and len(wholes[0]) == 2:
        return None  # and so is 03/24
    # whoever writes 08/20 means no code
    found = plain(text.str.replace(OUT_OF, "").str.replace("^0+([0-9])", "$1"), marks, True, places)
    if found is None or found.unit or not found.series.dtype.is_numeric():
        return None
    unit, row = f"/{wholes[0]}", int(text.is_not_null().arg_max() or 0)
    note = _left_out(str(text.name), unit, text[row], f"{found.series[row]:.15g}")
    return replace(found, unit=unit, notes=(*found.notes, note))


def _left_out(column: str, unit: str, cell: str, number: str) -> Note:
    text = _("{unit} is left out of its cells: {cell!r} is read as {number}")
    shown = re.sub(f"[{SPACES}]", " ", cell)
    return Note("info", column, text.format(unit=unit, cell=shown, number=format_written(number)))


def _other(mark: str) -> str:
    return "," if mark == "." else "."


def _with_marks(text: pl.Series, masks: dict[str, pl.Series], marks: Marks, places: Places | None) -> Numerals:
    """The column with its decimal mark settled; left as it is where its cells disagree."""
    only = {mark: masks[mark] & ~masks[_other(mark)] for mark in ".,"}
    proved = [mark for mark in ".," if only[mark].any()]
    # a cell that both marks can read, to different ends
    is_open = masks["."] & masks[","] & text.str.contains(r"[0-9][.,][0-9]{3}").fill_null(False)
    notes: list[Note] = []
    decimal = marks.decimal
    opened = [mark for mark in ".," if (is_open & text.str.contains(mark, literal=True).fill_null(False)).any()]
    if len(proved) == 2 and not opened:
        cells = ", ".join(_first(text, only[mark], places) for mark in proved)
        note = _("some of its numbers have a decimal comma, others a point ({cells}): each is read by its own mark")
        notes.append(Note("warning", text.name, note.format(cells=cells)))
    elif len(proved) == 2 or (len(opened) == 2 and not proved and decimal is None):
        kept = _(
            "a point or a comma may be decimal marks or not in it, such as {cell}: kept as words; write all numbers "
            "one way, or use the option decimal"
        )
        return Numerals(text, notes=(Note("warning", text.name, kept.format(cell=_first(text, is_open, places))),))
    elif proved:
        if decimal not in (None, proved[0]) and not marks.is_fixed:
            note = _("its decimal mark is another than in the rest of the table: {cell}")
            notes.append(Note("warning", text.name, note.format(cell=_first(text, only[proved[0]], places))))
        decimal = decimal if marks.is_fixed else proved[0]
    elif decimal is None and is_open.any():
        notes.append(_open_note(text, is_open, marks.default, places))
    return _in_one_unit(text, decimal or marks.default, marks.thousands, len(proved) == 2, notes)


def _first(text: pl.Series, mask: pl.Series, places: Places | None) -> str:
    """The first cell under a mask, with its row."""
    row = int(mask.arg_max() or 0)
    return _("{value!r} (row {row})").format(value=text[row], row=shown_row(row, places))


def _open_note(text: pl.Series, is_open: pl.Series, decimal: str, places: Places | None) -> Note:
    row = int(is_open.arg_max() or 0)
    note = _(
        "nothing tells whether {cell} has a decimal mark: read as {number}; the options decimal and thousands change it"
    )
    number = _parts(text[row : row + 1], decimal, None)["number"][0]
    return Note("warning", text.name, note.format(cell=_first(text, is_open, places), number=format_written(number)))


def _in_one_unit(text: pl.Series, decimal: str, thousands: str | None, is_mixed: bool, notes: list[Note]) -> Numerals:
    """The numbers without the unit that all of them share, if they have one; left as they are where units differ.

    is_mixed  what the decimal mark cannot read is read with the other one
    """
    parts = _parts(text, decimal, thousands)
    if is_mixed:
        others = _parts(text, _other(decimal), thousands)
        parts = parts.with_columns(parts[name].fill_null(others[name]) for name in parts.columns)
    number, unit = parts["number"], parts["unit"]
    found = [word for word in unit.drop_nulls().unique(maintain_order=True) if word]
    has_bare = bool(((unit == "") & (number != "0")).any())
    if len(found) > 1 or (found and found[0] in SHARES and has_bare):
        shown = ", ".join([*map(repr, found), *([_("none")] if has_bare else [])])
        kept = _("its numbers are in several units ({units}): kept as words; write all of them in one").format(
            units=shown
        )
        return Numerals(text, notes=(Note("warning", text.name, kept),))
    if found and found[0] in SHARES:
        # 1.3 / 100 is 0.013000000000000001 to a computer, and 0.013 to everybody else
        number = (number.cast(pl.Float64) / SHARES[found[0]]).round_sig_figs(15).cast(pl.String)
    if found:
        is_shown = (unit == found[0]).fill_null(False)
        is_telling = is_shown & (number.cast(pl.Float64, strict=False) != 0).fill_null(False)
        row = int((is_telling if is_telling.any() else is_shown).arg_max() or 0)
        notes.append(_left_out(str(text.name), found[0], text[row], number[row]))
    is_stray = text.is_not_null() & number.is_null()
    series = number.fill_null(text) if is_stray.any() else values.typed(number)
    seen = _seen_thousands(text, decimal)
    return Numerals(
        series.alias(text.name), _seen_decimals(text, decimal, is_mixed), seen, "".join(found), tuple(notes)
    )


def _parts(text: pl.Series, decimal: str, thousands: str | None) -> pl.DataFrame:
    """Each numeral as a computer writes it, and its unit; null where a cell is none."""
    groups = text.str.extract_groups(pattern(decimal, thousands)).struct.unnest()
    is_found = groups[str(NUMBER_GROUP)].is_not_null()
    first, opened, sign, before, sign_2, number, sign_3, after, sign_4, closed = (
        groups[name].fill_null("") for name in groups.columns
    )
    signs = sign + sign_2 + sign_3 + sign_4
    number = number.str.replace_all(f"[{SPACES}{APOSTROPHES}{_other(decimal)}]", "").str.replace(",", ".", literal=True)
    is_minus = signs.str.contains(f"[-{MINUS}]") | (opened != "")
    # brackets come in pairs, two signs are no number, nor are two currencies
    is_found &= ((opened == "") == (closed == "")) & ((signs + opened).str.len_chars() <= 1)
    is_found &= (first == "") | ((before + after) == "")
    number = ("-" + number).zip_with(is_minus, number)
    return pl.DataFrame(
        [number.set(~is_found, None).alias("number"), (first + before + after).set(~is_found, None).alias("unit")]
    )


def _seen_decimals(text: pl.Series, decimal: str, is_mixed: bool) -> frozenset[str]:
    if is_mixed:
        return frozenset(".,")
    has_mark = text.str.extract(pattern(decimal), NUMBER_GROUP).str.contains("[.,]").fill_null(False).any()
    return frozenset(decimal) if has_mark else frozenset()


def _seen_thousands(text: pl.Series, decimal: str) -> str:
    """The mark between thousands, where one is seen."""
    numbers = text.str.extract(pattern(decimal), NUMBER_GROUP).drop_nulls()
    for marks in (_other(decimal), SPACES, APOSTROPHES):
        if numbers.str.contains(f"[0-9][{marks}][0-9]{{3}}").any():
            return marks[0]
    return ""


def other_unit(column: str, before: str, now: str) -> Note | None:
    """A warning where the cells of a column bear another unit than those a model learned from."""
    if before == now:
        return None
    names = [repr(unit) if unit else _("no unit") for unit in (now, before)]
    text = _("written with {now}, in training with {before}: nothing is converted")
    return Note("warning", column, text.format(now=names[0], before=names[1]))
