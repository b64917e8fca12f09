"""The cells of a sheet in a workbook's XML: strings kept apart, numbers that are dates by their style."""

from __future__ import annotations

import datetime
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from xml.parsers import expat

from limpide.data import limits

TIME_IDS = {18, 19, 20, 21, 45, 46, 47}
DATE_IDS = {14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)}
"""Numbers of the formats that every workbook knows."""

Style = Literal["", "date", "time"]

_CODE = re.compile("_x([0-9A-Fa-f]{4})_")


@dataclass
class Grid:
    """The cells of a sheet that hold something.

    rows      number of the row from 1 -> number of the column from 0 -> text
    valueless cells with a formula and no value
    faulty    cells that show an error such as #DIV/0!
    merged    (first row, last row, first column, last column) of cells merged into one
    n_times   cells that hold a time of the day
    hidden    numbers of the rows that people do not see, as a filter leaves them
    """

    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    valueless: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    n_times: int = 0
    hidden: list[int] = field(default_factory=list)


def column_number(place: str) -> int:
    """The number of a column, from 0.

    >>> column_number("A1"), column_number("AB7")
    (0, 27)
    """
    number = 0
    for letter in place:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - 64
    return number - 1


def address(row: int, column: int) -> str:
    """The place of a cell as a spreadsheet shows it.

    >>> address(7, 27)
    'AB7'
    """
    letters, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def area(reference: str) -> tuple[int, int, int, int]:
    """The first and last row from 1, the first and last column from 0; no cell where nothing is referred to.

    >>> area("B2:D5")
    (2, 5, 1, 3)
    """
    found = re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", reference)
    if found is None:
        return 0, -1, 0, -1
    left, top, right, bottom = found.groups()
    return int(top), int(bottom), column_number(left), column_number(right)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def styles_of(tree: Any) -> list[Style]:
    """What each style of cell makes of a number."""
    if tree is None:
        return []
    formats = {
        int(element.get("numFmtId") or 0): element.get("formatCode") or ""
        for element in tree.iter()
        if _tag(element) == "numFmt"
    }
    cells: Any = next((element for element in tree if _tag(element) == "cellXfs"), [])
    return [_style(int(one.get("numFmtId") or 0), formats) for one in cells]


def _style(number: int, formats: dict[int, str]) -> Style:
    if number in formats:
        return style_of(formats[number])
    return "date" if number in DATE_IDS else "time" if number in TIME_IDS else ""


def style_of(code: str) -> Style:
    r"""What a format makes of a number.

    >>> style_of("dd/mm/yyyy"), style_of("[h]:mm"), style_of('0.00" days"'), style_of("[Red]0.0")
    ('date', 'time', '', '')
    """
    bare = re.sub(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', "", code.partition(";")[0].lower())
    if bare.replace(" ", "") in ("general", "@"):
        return ""
    if re.search(r"[yd]|mmm", bare) or (re.search("m", bare) and not re.search("[hs]", bare)):
        return "date"
    return "time" if re.search("[hs]", bare) else ""


class _Known(dict[str, Any]):
    """What a function makes of texts that come again."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, text: str) -> Any:
        self[text] = made = self.make(text)
        return made


class _Walk(ABC):
    """A walk through XML from tag to tag: the elements of a million cells would take ten times as long.

    names  a tag -> its name alone
    text   the letters met while `is_read`
    """

    def __init__(self) -> None:
        self.names = _Known(lambda tag: tag.rpartition("}")[2])
        self.text, self.is_read, self.is_phonetic = "", False, False

    def through(self, content: bytes) -> None:
        """Go from the first tag to the last."""
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.CharacterDataHandler = self.letters
        parser.Parse(content, True)

    @abstractmethod
    def start(self, tag: str, given: dict[str, str]) -> None:
        """An element begins, with these attributes."""

    @abstractmethod
    def end(self, tag: str) -> None:
        """It ends."""

    def letters(self, text: str) -> None:
        """Letters between two tags."""
        if self.is_read:
            self.text += text

    def plain_text(self) -> str:
        """The text of a string: its pieces together, letters that XML cannot hold put back."""
        return _CODE.sub(lambda code: chr(int(code[1], 16)), self.text) if "_x" in self.text else self.text


class _Strings(_Walk):
    """The strings of a workbook."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def start(self, tag: str, given: dict[str, str]) -> None:
        name = self.names[tag]
        if name == "t":
            self.is_read = not self.is_phonetic
        elif name == "si":
            self.text = ""
        elif name == "rPh":  # the readings that stand above Japanese
            self.is_phonetic = True

    def end(self, tag: str) -> None:
        name = self.names[tag]
        if name == "t":
            self.is_read = False
        elif name == "si":
            self.found.append(self.plain_text())
        elif name == "rPh":
            self.is_phonetic = False


def strings_of(content: bytes) -> list[str]:
    """The strings that cells refer to by their number, from the part of the workbook that holds them."""
    walk = _Strings()
    walk.through(content)
    return walk.found


class _Cells(_Walk):
    """The cells of a sheet."""

    def __init__(self, where: str, strings: Sequence[str], styles: Sequence[Style], is_1904: bool) -> None:
        super().__init__()
        self.where, self.strings, self.is_1904 = where, strings, is_1904
        self.columns = _Known(column_number)
        self.styles = _Known(lambda style: styles[int(style)] if int(style) < len(styles) else "")
        self.grid = Grid()
        self.number, self.row, self.column = 0, dict[int, str](), -1
        self.is_hidden = False
        self.kind, self.style = "n", "0"
        self.has_formula, self.is_inline = False, False

    def start(self, tag: str, given: dict[str, str]) -> None:
        name = self.names[tag]
        if name == "c":
            place = given.get("r")
            self.column = self.columns[place.rstrip("0123456789")] if place else self.column + 1
            self.kind, self.style = given.get("t") or "n", given.get("s") or "0"
            self.text, self.has_formula, self.is_inline = "", False, False
        elif name == "v":
            self.is_read = not self.is_inline
        elif name == "t":
            self.is_read = self.is_inline and not self.is_phonetic
        elif name == "f":
            self.has_formula = True
        elif name == "is":
            self.text, self.is_inline = "", True
        elif name == "rPh":
            self.is_phonetic = True
        elif name == "row":
            self.number, self.row, self.column = int(given.get("r") or self.number + 1), {}, -1
            self.is_hidden = given.get("hidden") in ("1", "true")
        elif name == "mergeCell":
            self.grid.merged.append(area(given.get("ref", "")))

    def end(self, tag: str) -> None:
        name = self.names[tag]
        if name in ("v", "t"):
            self.is_read = False
        elif name == "c":
            text = self.cell()
            if text:
                self.row[self.column] = text
        elif name == "row":
            if self.row:
                limits.check_shape(self.where, self.number, max(self.row) + 1)
                self.grid.rows[self.number] = self.row
                self.grid.hidden += [self.number] if self.is_hidden else []
            self.row = {}
        elif name == "rPh":
            self.is_phonetic = False

    def cell(self) -> str:
        """The text of the cell that ends; what is wrong with it goes to the grid."""
        text, kind = self.text, self.kind
        if self.is_inline:
            return self.plain_text()
        if kind == "e":
            self.grid.faulty.append(address(self.number, self.column))
            return ""
        if not text:
            if self.has_formula and kind != "str":
                self.grid.valueless.append(address(self.number, self.column))
            return ""
        if kind == "n":
            meaning = self.styles[self.style]
            return self.moment(text, meaning) if meaning else text
        if kind == "s":
            return self.strings[int(text)]
        if kind == "b":
            return "true" if text == "1" else "false"
        return text

    def moment(self, text: str, meaning: Style) -> str:
        """A number that its style shows as a date or a time of the day."""
        serial = float(text)
        if meaning == "time" and serial < 1000:
            self.grid.n_times += 1
            return repr(round(24 * serial, 9))
        # Excel counts a 29 February 1900 that never was
        origin = datetime.datetime(1904, 1, 1) if self.is_1904 else datetime.datetime(1899, 12, 30)
        try:
            when = origin + datetime.timedelta(seconds=round(serial * 86400))
        except OverflowError:
            return text
        return when.strftime("%Y-%m-%d" if when.time() == datetime.time() else "%Y-%m-%d %H:%M:%S")


def grid_of(where: str, content: bytes, strings: Sequence[str], styles: Sequence[Style], is_1904: bool) -> Grid:
    """The cells of the sheet in this part of a workbook.

    where    the workbook, as errors name it
    strings  that cells refer to
    styles   what each makes of a number
    is_1904  days are counted from there
    """
    walk = _Cells(where, strings, styles, is_1904)
    walk.through(content)
    return walk.grid
