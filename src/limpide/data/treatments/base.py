"""The scale of numbers, and what every treatment of a column shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column, Kind, Note
from limpide.data.places import Places
from limpide.i18n import _, format_count, format_number, ngettext

MISSING = "(missing)"


@dataclass(frozen=True)
class Scale:
    """z = (x - mean) / sd, with the standard deviation of the population.

    >>> Scale.of(np.array([25.0, 32.0, 45.0, 23.0, 55.0])).applied(np.array([25.0])).round(4)
    array([-0.8993])
    """

    mean: float = 0.0
    sd: float = 1.0

    @classmethod
    def of(cls, known: np.ndarray) -> Scale:
        """The scale that gives these values mean 0 and standard deviation 1; equal values are only moved to 0."""
        if not len(known):
            return cls()
        low, high = float(known.min()), float(known.max())
        if low == high:
            return cls(low, 1.0)
        # Squares of values beyond 1e150 are no floats: such a column is measured by its greatest value.
        greatest = max(abs(low), abs(high))
        if greatest > 1e150 or high - low < 1e-150:
            scaled = known / greatest
            return cls(float(scaled.mean()) * greatest, float(scaled.std()) * greatest or 1.0)
        return cls(float(known.mean()), float(known.std()))

    def applied(self, known: np.ndarray) -> np.ndarray:
        """z of each value."""
        with np.errstate(over="ignore"):
            scaled: np.ndarray = known - self.mean
            scaled /= self.sd
        return scaled

    def arithmetic(self, name: str) -> str:
        """The formula with its numbers."""
        if self == Scale():
            return name
        sign = "+" if self.mean < 0 else "-"
        moved = f"{name} {sign} {format_number(abs(self.mean))}" if self.mean else name
        if self.sd == 1:
            return moved
        return f"({moved}) / {format_number(self.sd)}" if self.mean else f"{moved} / {format_number(self.sd)}"


@dataclass(frozen=True)
class Treatment(ABC):
    """How one column becomes features.

    has_indicator  values were missing in training, so that a last feature says where
    """

    kind: ClassVar[Kind]

    column: str
    has_indicator: bool

    @classmethod
    @abstractmethod
    def fit(cls, series: pl.Series, column: Column, standardise: bool, missing: str, max_categories: int) -> Self:
        """The treatment that these training values call for."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The treatment whose fields are these."""
        return cls(**data)

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """The features, the indicator apart."""

    @property
    def features(self) -> tuple[str, ...]:
        """The name of each feature."""
        return (*self.parts, f"{self.column}={MISSING}") if self.has_indicator else self.parts

    @abstractmethod
    def read(self, series: pl.Series) -> pl.Series:
        """The cells as what they are: numbers, moments, true or false, words; null where they are missing."""

    def unreadable(self, series: pl.Series, read: pl.Series) -> pl.Series:
        """True where a cell holds what the column cannot."""
        return values.unreadable(series, read)

    @abstractmethod
    def expected(self) -> str:
        """What a cell should hold."""

    def treat(self, series: pl.Series, out: np.ndarray) -> bool:
        """The features of these cells, into the columns of `out`, which are zero; False where a cell cannot be read."""
        read = self.read(series)
        if read.null_count() > series.null_count() and self.unreadable(series, read).any():
            return False
        self._write_parts(read, out[:, : len(self.parts)])
        if self.has_indicator:
            out[:, -1] = read.is_null().to_numpy()
        return True

    @abstractmethod
    def _write_parts(self, read: pl.Series, out: np.ndarray) -> None: ...

    def notes(self, series: pl.Series, places: Places | None = None) -> list[Note]:
        """What is unlike the training rows."""
        read = self.read(series)
        n = read.null_count()
        notes = self._notes_on(read, places)
        if n:
            text = ngettext("{n} missing value, {value} taken instead", "{n} missing values, {value} taken instead", n)
            if not self.has_indicator:
                text += _("; none was missing in training")
            level: Literal["info", "warning"] = "info" if self.has_indicator else "warning"
            notes.append(Note(level, self.column, text.format(n=format_count(n), value=self.shown_fill())))
        return notes

    @abstractmethod
    def _notes_on(self, read: pl.Series, places: Places | None) -> list[Note]: ...

    @abstractmethod
    def shown_fill(self) -> str:
        """What stands in for a missing value."""

    @abstractmethod
    def _sentence(self) -> str: ...

    def sentence(self) -> str:
        """What is done, for people."""
        if not self.has_indicator:
            return self._sentence()
        return _("{treatment}; missing values become {value}, with a feature that says so").format(
            treatment=self._sentence(), value=self.shown_fill()
        )

    @abstractmethod
    def arithmetic(self) -> str:
        """The formula with its numbers."""
