"""Where rows stand in their file: what is left out above them or among them changes no number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import numpy as np
import polars as pl

from limpide.i18n import _


@dataclass(frozen=True, eq=False)
class Places:
    """The places of rows, as a spreadsheet numbers them: from 1, with the names and what stands above them.

    numbers  of each row
    files    what each row's file is called, by its place in `names`; None for one file
    """

    numbers: range | np.ndarray
    files: np.ndarray | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def after(cls, n_above: int, n: int) -> Self:
        """n rows that follow each other below others."""
        return cls(range(n_above + 1, n_above + n + 1))

    @classmethod
    def joined(cls, parts: Sequence[tuple[str, Places]]) -> Self:
        """The rows of several files, one file after another."""
        lengths = [len(places.numbers) for _name, places in parts]
        numbers = np.fromiter(chain.from_iterable(places.numbers for _name, places in parts), np.int64, sum(lengths))
        return cls(numbers, np.repeat(np.arange(len(parts)), lengths), tuple(name for name, _places in parts))

    def kept(self, is_kept: pl.Series) -> Self:
        """Those of some rows."""
        mask = is_kept.to_numpy()
        files = None if self.files is None else self.files[mask]
        return replace(self, numbers=np.asarray(self.numbers)[mask], files=files)

    def cut(self, start: int, stop: int | None = None) -> Self:
        """Those of rows that follow each other."""
        files = None if self.files is None else self.files[start:stop]
        return replace(self, numbers=self.numbers[start:stop], files=files)

    def shown(self, row: int) -> str:
        """A row, counted from 0, as a message names it."""
        number = str(self.numbers[row])
        if self.files is None:
            return number
        return _("{row} of {file}").format(row=number, file=self.names[self.files[row]])


def shown_row(row: int, places: Places | None) -> str:
    """A row, counted from 0, as a message names it; by its count from 1 where it comes from no file."""
    return str(row + 1) if places is None else places.shown(row)
