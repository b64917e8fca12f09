"""A catalogue: names and what they stand for, in the order they were added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar, runtime_checkable

from limpide.errors import UnknownName
from limpide.i18n import _


@runtime_checkable
class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """What the row is called."""
        ...


Row = TypeVar("Row", bound=Named)


class Catalogue(Generic[Row]):
    """Rows by name; an unknown name is answered with the nearest known one.

    kind  what the rows are, in a word marked for translation: it opens the error message
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rows: dict[str, Row] = {}
        self._aliases: dict[str, str] = {}

    def add(self, row: Row) -> Row:
        """The row itself, now known by its name."""
        assert row.name not in self._rows, f"{self.kind} {row.name} is there twice"
        self._rows[row.name] = row
        return row

    def alias(self, name: str, of: str) -> None:
        """Another word of the literature for a row that is there."""
        assert of in self._rows
        self._aliases[name] = of

    def __getitem__(self, name: str) -> Row:
        name = self._aliases.get(name, name)
        if name not in self._rows:
            raise UnknownName(_(self.kind), name, [*self._rows, *self._aliases])
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[Row]:
        """Every row, in the order they were added."""
        return list(self._rows.values())
