"""The cells of a sheet in a workbook's XML: strings kept apart, numbers that are dates by their style."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, Literal

TIME_IDS = {18, 19, 20, 21, 45, 46, 47}
DATE_IDS = {14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)}
"""Numbers of the formats that every workbook knows."""

Style = Literal["", "date", "time"]
State = Literal["", "valueless", "faulty"]


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


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Any) -> str:
    """The text of a string in pieces, without the readings that stand above Japanese."""
    pieces = []
    for child in element:
        if _tag(child) == "t":
            pieces.append(child.text or "")
        elif _tag(child) == "r":
            pieces += [part.text or "" for part in child if _tag(part) == "t"]
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda code: chr(int(code[1], 16)), "".join(pieces))


def strings_of(tree: Any) -> list[str]:
    """The strings that cells refer to by their number."""
    return [] if tree is None else [_text(item) for item in tree if _tag(item) == "si"]


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


@dataclass
class CellReader:
    """Cells as text; `n_times` counts those that held a time of the day."""

    strings: list[str]
    styles: list[Style]
    is_1904: bool
    n_times: int = 0

    def read(self, cell: Any) -> tuple[str, State]:
        """The text of a cell, and what is wrong with it."""
        kind = cell.get("t") or "n"
        value, has_formula = None, False
        for child in cell:
            tag = _tag(child)
            if tag == "v":
                value = child.text
            elif tag == "f":
                has_formula = True
            elif tag == "is":
                return _text(child), ""
        if kind == "e":
            return "", "faulty"
        if value is None:
            return "", "valueless" if has_formula and kind != "str" else ""
        if kind == "s":
            return self.strings[int(value)], ""
        if kind == "b":
            return "true" if value == "1" else "false", ""
        if kind == "n":
            return self._number(value, int(cell.get("s") or 0)), ""
        return value, ""

    def _number(self, value: str, style: int) -> str:
        meaning = self.styles[style] if style < len(self.styles) else ""
        if not meaning:
            return value
        serial = float(value)
        if meaning == "time" and serial < 1000:
            self.n_times += 1
            return repr(round(24 * serial, 9))
        # Excel counts a 29 February 1900 that never was
        origin = datetime.datetime(1904, 1, 1) if self.is_1904 else datetime.datetime(1899, 12, 30)
        try:
            moment = origin + datetime.timedelta(seconds=round(serial * 86400))
        except OverflowError:
            return value
        return moment.strftime("%Y-%m-%d" if moment.time() == datetime.time() else "%Y-%m-%d %H:%M:%S")
