"""A table from JSON: an object a line, or one array of objects; each holds the cells of a row by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from limpide.data import encodings, limits
from limpide.data.dataset import Note
from limpide.data.frames import plain
from limpide.data.places import Places
from limpide.data.reading import Asked, Reading, Table
from limpide.data.text_tables import HEAD_BYTES, MAX_SHOWN
from limpide.data.tidying import with_numbers, without_blank_rows
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

OPTIONS = ("decimal", "thousands", "encoding", "dates", "missing")
BLOCK_ROWS = 100_000

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
Cell = bool | int | float | str | None
KINDS: Mapping[frozenset[type], type[pl.DataType]] = {
    frozenset({bool}): pl.Boolean,
    frozenset({int}): pl.Int64,
    frozenset({float}): pl.Float64,
    frozenset({int, float}): pl.Float64,
}
"""The types of a column by those of its cells; any other mixture is text."""


def is_json(content: bytes) -> bool:
    """True for text that begins as JSON objects do, and not as a table may."""
    head = content[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"["):
        return head[1:].lstrip()[:1] in (b"{", b"[", b"]")
    return head.startswith(b"{") and head[1:].lstrip()[:1] in (b'"', b"}")


def read_json(where: str, content: bytes, asked: Asked) -> Table:
    """The table of JSON lines, or of an array."""
    encoding = asked.given.encoding or encodings.guess_encoding(content[:HEAD_BYTES]) or "utf-8"
    source = encodings.as_utf8(where, content, encoding)
    problems: list[str] = []
    columns, told = _Columns(), set[str]()
    is_array = source.lstrip().startswith(b"[")
    try:
        for place, row in _array(where, source) if is_array else _lines(where, source, problems):
            problems += _row_problems(place, row, asked, told) if len(problems) <= MAX_SHOWN else []
            columns.add({name: None if name in asked.drop else cell for name, cell in row.items()})
            limits.check_shape(where, columns.n_rows, len(columns.blocks))
    except RecursionError:
        raise DataError(problem(where, _("objects of a few levels"), _("very many levels"))) from None
    if len(problems) > MAX_SHOWN:
        problems = [*problems[:MAX_SHOWN], _("{file}: more of the same").format(file=where)]
    if problems and not is_array:
        problems = _one_object(where, source) or problems
    if problems:
        raise DataError(*problems)
    if not columns.blocks:
        raise DataError(problem(where, _("a table"), _("no object"), _("write one object for each row")))
    frame = plain(columns.frame())
    frame, n_blank, places = without_blank_rows(frame, Places.after(0, len(frame)))
    limits.check_cells(where, frame, places)
    text = _("read as one array of objects") if is_array else _("read as one object a line")
    notes = [Note("info", where, text)]
    if n_blank:
        text = ngettext("{n} blank row left out", "{n} blank rows left out", n_blank)
        notes.append(Note("info", where, text.format(n=format_count(n_blank))))
    return with_numbers(frame, notes, asked, Reading(encoding=encoding), places=places)


class _Columns:
    """Columns in the making: blocks of cells, each in the type that its cells share."""

    def __init__(self) -> None:
        self.blocks: dict[str, list[pl.Series]] = {}
        self.kinds: dict[str, set[type]] = {}
        self.rows: list[dict[str, Cell]] = []
        self.n_rows = 0

    def add(self, row: dict[str, Cell]) -> None:
        for name in row:
            if name not in self.blocks:
                self.blocks[name] = [pl.Series(name, [None] * (self.n_rows - len(self.rows)), pl.Null)]
                self.kinds[name] = set()
        self.rows.append(row)
        self.n_rows += 1
        if len(self.rows) >= BLOCK_ROWS:
            self._close()

    def _close(self) -> None:
        for name, blocks in self.blocks.items():
            cells = [row.get(name) for row in self.rows]
            kinds = {type(cell) for cell in cells if cell is not None}
            self.kinds[name] |= kinds
            dtype = KINDS.get(frozenset(kinds), pl.String if kinds else pl.Null)
            if dtype == pl.Int64 and not all(-(2**63) <= cell < 2**63 for cell in cells if cell is not None):  # type: ignore[operator]
                dtype, kinds = pl.String, {str}
                self.kinds[name].add(str)
            texts = [_text(cell) for cell in cells] if dtype == pl.String else cells
            blocks.append(pl.Series(name, texts, dtype, strict=False))
        self.rows = []

    def frame(self) -> pl.DataFrame:
        """Every column in one type."""
        self._close()
        columns = []
        for name, blocks in self.blocks.items():
            kinds = frozenset(self.kinds[name])
            dtype = KINDS.get(kinds, pl.String)
            columns.append(pl.concat([block.cast(dtype) for block in blocks]).rename(name))
        return pl.DataFrame(columns)


def _text(cell: Cell) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell)


def _lines(where: str, source: bytes, problems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object with its place; a line that is none becomes a problem."""
    for number, line in enumerate(source.splitlines(), 1):
        if not line.strip():
            continue
        place = _("{file}, line {line}").format(file=where, line=number)
        try:
            row = _loads(line)
        except ValueError as error:
            problems += [problem(place, _("one JSON object"), _why(error))] if len(problems) <= MAX_SHOWN else []
            continue
        if isinstance(row, dict):
            yield place, row
        elif len(problems) <= MAX_SHOWN:
            problems.append(problem(place, _("one JSON object"), _kind(row)))


def _array(where: str, source: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        read = _loads(source)
    except ValueError as error:
        raise DataError(problem(where, _("a JSON array"), _why(error))) from None
    for number, row in enumerate(read, 1):
        place = _("{file}, object {number}").format(file=where, number=number)
        if not isinstance(row, dict):
            raise DataError(problem(place, _("an object"), _kind(row), _("write one object for each row")))
        yield place, row


def _one_object(where: str, source: bytes) -> list[str]:
    """The problem of a file that is one object around the whole table, or nothing."""
    try:
        read = _loads(source)
    except (ValueError, RecursionError):
        return []
    inside = [
        name
        for name, value in read.items()
        if isinstance(value, list) and len(value) > 1 and all(isinstance(row, dict) for row in value)
    ]
    is_around = len(read) > 1 and all(isinstance(value, (dict, list)) for value in read.values())
    if not inside and not is_around:
        return []
    names = ", ".join(map(repr, inside or read))
    got = _("one object that holds the rows in {names}") if inside else _("one object that holds the columns {names}")
    mend = _("save that list as a file of its own") if inside else _("write one object for each row")
    return [problem(where, _("one array of objects, or an object a line"), got.format(names=names), mend)]


def _loads(text: bytes) -> Any:
    read = json.loads(text, object_pairs_hook=_object)
    if _SURROGATE.search(text):
        try:
            json.dumps(read, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError(_("half a letter")) from None
    return read


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(_("the name {name} twice").format(name=repr(twice)))
    return made


def _why(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return _("something else at letter {n}").format(n=format_count(error.pos + 1))
    if isinstance(error, UnicodeDecodeError):
        return _("bytes that are not UTF-8")
    return str(error).partition(";")[0].partition(":")[0]


def _kind(value: Any) -> str:
    names = {
        list: _("an array"),
        dict: _("an object"),
        str: _("a text"),
        type(None): _("null"),
        bool: _("true or false"),
    }
    return names.get(type(value), _("a number"))


def _row_problems(place: str, row: Mapping[str, Any], asked: Asked, told: set[str]) -> list[str]:
    """A problem for each cell that holds more than one value, the first of its column.

    told  the columns whose problem is told; those of this row are added
    """
    mend = _("leave the column out with the option drop, or write its parts as columns of their own")
    found = {name: cell for name, cell in row.items() if isinstance(cell, (dict, list))}
    new = [name for name in found if name not in told and name not in asked.drop]
    told.update(new)
    return [problem(f"{place}, {name}", _("one value"), _kind(found[name]), mend) for name in new]
