"""How a table file is read: what the user says of it, what is guessed, and what a model remembers."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from limpide.errors import DataError, UnknownName, problem
from limpide.i18n import N_, _

if TYPE_CHECKING:
    import polars as pl

    from limpide.data.dataset import Note
    from limpide.data.places import Places

DELIMITER_NAMES = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
"""How a delimiter may be named where it is hard to type."""

THOUSANDS_NAMES = {"none": "", "space": " ", "apostrophe": "'", "comma": ",", "point": "."}
DECIMAL_NAMES = {"comma": ",", "point": "."}


@dataclass(frozen=True)
class Reading:
    """How a table was read, or is to be; None where nothing was said.

    delimiter  between cells; " " is any run of spaces
    decimal    "." or ","
    thousands  the mark between groups of three digits; "" forbids any
    encoding   as Python names it
    header     the first row holds the names of the columns
    skip       lines above the first row
    footer     rows left out at the end
    sheet      of a workbook: its name, or its number from 1
    dates      what comes first where a date such as 03/04/2020 leaves it open: "day" or "month"
    missing    cells that stand for a missing value, between commas
    cells      column -> "text" or "number": how its cells were read
    units      column -> the sign or unit left out of its cells, such as "%" or "kg"
    """

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool | None = None
    skip: int | None = None
    footer: int | None = None
    sheet: str | None = None
    dates: str | None = None
    missing: str | None = None
    cells: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, where: str, options: Mapping[str, Any]) -> Self:
        """The reading that options ask for, as people write them.

        Raises  UnknownName  for an option that does not exist; the nearest is named
                DataError    for all that is wrong with several

        >>> Reading.from_options("houses.csv", {"delimiter": "tab", "header": "no"}).options()
        {'delimiter': 'tab', 'header': False}
        """
        errors: list[str] = []
        read: dict[str, Any] = {}
        for name, value in options.items():
            if name not in OPTIONS:
                errors.append(str(UnknownName(where, name, OPTIONS)))
                continue
            read[name] = OPTIONS[name].parse(value)
            if read[name] is None:
                errors.append(problem(f"{where}, {name}", _(OPTIONS[name].expected), repr(value)))
        unknown = [name for name in options if name not in OPTIONS]
        if len(errors) == len(unknown) == 1:
            raise UnknownName(where, unknown[0], OPTIONS)
        if errors:
            raise DataError(*errors)
        return cls(**read)

    @property
    def decimal_said(self) -> str | None:
        """The decimal mark that was said, or that follows from the mark between thousands."""
        return self.decimal or {".": ",", ",": "."}.get(self.thousands or "")

    @property
    def missing_cells(self) -> list[str]:
        """The cells that were said to stand for a missing value."""
        return self.missing.split(", ") if self.missing else []

    def options(self) -> dict[str, str | int | bool]:
        """What was said or found, as a recipe holds it."""
        found = {name: getattr(self, name) for name in OPTIONS if getattr(self, name) is not None}
        return {name: _named(name, value) for name, value in found.items()}

    def over(self, other: Reading) -> Self:
        """This reading, with the other one's options where it says nothing."""
        found: dict[str, Any] = {name: getattr(other, name) for name in OPTIONS if getattr(self, name) is None}
        return replace(self, **found)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The reading that `to_dict` wrote down; what a newer limpide knows besides is passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})


@dataclass(frozen=True)
class Asked:
    """What is known of a table before it is read.

    given   what the user said
    kinds   what columns are, as far as the user said it
    drop    columns that nobody needs
    former  how the table was read that a model learned from; None when there is nothing to predict
    """

    given: Reading = field(default_factory=Reading)
    kinds: Mapping[str, str] = field(default_factory=dict)
    drop: Collection[str] = ()
    former: Reading | None = None

    @property
    def missing_cells(self) -> list[str]:
        """The cells that stand for a missing value: as the user says, else as in training."""
        return (self.given if self.given.missing or self.former is None else self.former).missing_cells

    def is_text(self, name: str) -> bool:
        """True for a column whose cells are words as they stand, whatever they look like."""
        return self.former is not None and self.former.cells.get(name) == "text"

    def is_number(self, name: str) -> bool:
        """True for a column that holds numbers, however few of its cells look like it."""
        return self.kinds.get(name) == "number" or (self.former is not None and self.former.cells.get(name) == "number")

    def are_words(self, name: str) -> bool:
        """True for a column of which the user said that it is anything but numbers."""
        return self.kinds.get(name, "number") != "number"


class Table(NamedTuple):
    """What a reader gives: the cells, what a user should know, how they were read, and where the rows stand."""

    frame: pl.DataFrame
    notes: list[Note]
    reading: Reading
    places: Places | None = None


class Option(NamedTuple):
    """An option of the readers.

    parse     from what a person wrote to the value; None when it is nothing of the kind
    expected  what it should be, in words
    help      what it says, a sentence
    metavar   what stands for its value on the command line
    """

    parse: Callable[[Any], Any]
    expected: str
    help: str
    metavar: str


def _delimiter(value: Any) -> str | None:
    text = DELIMITER_NAMES.get(str(value).lower().removesuffix("s"), str(value).replace("\\t", "\t"))
    is_one = len(text) == 1 and text.isascii() and not text.isalnum() and text not in "\"'\r\n\0.+-"
    return text if is_one else None


def _thousands(value: Any) -> str | None:
    text = THOUSANDS_NAMES.get(str(value).lower(), str(value))
    text = {"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{RIGHT SINGLE QUOTATION MARK}": "'"}.get(
        text, text
    )
    return text if text in THOUSANDS_NAMES.values() else None


def _decimal(value: Any) -> str | None:
    text = DECIMAL_NAMES.get(str(value).lower(), str(value))
    return text if text in DECIMAL_NAMES.values() else None


def _encoding(value: Any) -> str | None:
    try:
        found = codecs.lookup(str(value))
        return found.name if isinstance(b"a\0".decode(found.name, "ignore"), str) else None
    except (LookupError, ValueError, TypeError):
        return None


def _flag(value: Any) -> bool | None:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())


def _count(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 and not isinstance(value, bool) else None


def _sheet(value: Any) -> str | None:
    return str(value) or None


def _missing(value: Any) -> str | None:
    return ", ".join(cell.strip() for cell in str(value).split(",") if cell.strip()) or None


def _order(value: Any) -> str | None:
    text = str(value).lower().removesuffix("-first")
    return text if text in ("day", "month") else None


OPTIONS: dict[str, Option] = {
    "delimiter": Option(
        _delimiter, N_("one character, or tab, space"), N_("What stands between cells: comma, semicolon, tab, ..."), "C"
    ),
    "decimal": Option(_decimal, N_("a point or a comma"), N_("The decimal mark: point or comma."), "MARK"),
    "thousands": Option(
        _thousands,
        N_("comma, point, space, apostrophe or none"),
        N_("The mark between thousands: comma, point, space, apostrophe or none."),
        "MARK",
    ),
    "encoding": Option(
        _encoding, N_("an encoding such as utf-8 or cp1252"), N_("The encoding of text: utf-8, cp1252, ..."), "NAME"
    ),
    "header": Option(_flag, N_("yes or no"), N_("Whether the first row holds the names of the columns."), ""),
    "skip": Option(_count, N_("a count of lines"), N_("Lines above the table to pass over."), "N"),
    "footer": Option(_count, N_("a count of rows"), N_("Rows at the end to leave out."), "N"),
    "sheet": Option(
        _sheet, N_("a name, or a number from 1"), N_("The sheet of a workbook, by name or number."), "NAME"
    ),
    "dates": Option(
        _order, N_("day or month"), N_("What comes first in dates such as 03/04/2020: day or month."), "PART"
    ),
    "missing": Option(
        _missing,
        N_("cells such as -999, between commas"),
        N_("What stands for a missing value, such as -999; several between commas."),
        "CELLS",
    ),
}
"""By name: what can be said of a table file against what would be guessed."""


def _named(name: str, value: Any) -> Any:
    """A value as a person would write it."""
    names = {"delimiter": {"tab": "\t", "space": " "}, "thousands": {"none": "", "space": " "}}.get(name, {})
    return next((word for word, mark in names.items() if mark == value), value)


def check_applies(where: str, given: Reading, form: str, names: Collection[str]) -> None:
    """Refuse options that say nothing of a form of file, all of them at once.

    names  the options that do
    """
    wrong = [name for name in given.options() if name not in names]
    if wrong:
        mend = _("leave it out") if len(wrong) == 1 else _("leave them out")
        expected = _("options of {form}: {names}").format(form=form, names=", ".join(names) or _("none"))
        raise DataError(problem(where, expected, ", ".join(wrong), mend))
