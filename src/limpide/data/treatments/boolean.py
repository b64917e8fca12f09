"""True or false: 1 or 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column, Kind, Note
from limpide.data.places import Places
from limpide.data.treatments.base import Treatment
from limpide.i18n import _


@dataclass(frozen=True)
class BooleanTreatment(Treatment):
    """1 for true, 0 for false."""

    kind: ClassVar[Kind] = "boolean"

    fill: bool

    @classmethod
    def fit(cls, series: pl.Series, column: Column, standardise: bool, missing: str, max_categories: int) -> Self:
        """True where more than half of the values present are, to fill the others."""
        read = values.booleans(series)
        n_known = len(read) - read.null_count()
        return cls(column.name, bool(read.null_count()), 2 * int(read.sum()) > n_known)

    @property
    def parts(self) -> tuple[str, ...]:
        """The value itself."""
        return (self.column,)

    def read(self, series: pl.Series) -> pl.Series:
        """True or false; null where a cell is missing or neither."""
        return values.booleans(series)

    def expected(self) -> str:
        """The words for true and false."""
        return _("yes or no, true or false, 1 or 0")

    def _write_parts(self, read: pl.Series, out: np.ndarray) -> None:
        out[:, 0] = read.fill_null(self.fill).to_numpy()

    def _notes_on(self, read: pl.Series, places: Places | None) -> list[Note]:
        return []

    def shown_fill(self) -> str:
        """The more frequent of the two."""
        return _("true") if self.fill else _("false")

    def _sentence(self) -> str:
        return _("1 for true, 0 for false")

    def arithmetic(self) -> str:
        """Such as "1 if garden else 0"."""
        return _("1 if {column} else 0").format(column=self.column)
