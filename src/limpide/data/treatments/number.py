"""Numbers: standardised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Self, cast

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column, Kind, Note
from limpide.data.places import Places
from limpide.data.treatments.base import Scale, Treatment
from limpide.i18n import _, format_count, format_number, ngettext

LIMIT = float(np.finfo(np.float32).max)
MARGIN = 0.5
"""Share of the training range by which a number may lie outside it and still be told apart from its ends: a slip of
the pen must not throw a prediction as far."""

FILLS = ("median", "mean", "most_frequent")
"""What may stand in for a missing number; another missing value gives way to the most frequent one."""


@dataclass(frozen=True)
class NumberTreatment(Treatment):
    """z = (x - mean) / sd.

    low, high  the least and the greatest number of the training rows
    words      stray words that count as missing
    """

    kind: ClassVar[Kind] = "number"

    scale: Scale
    fill: float
    low: float
    high: float
    words: tuple[str, ...] = ()

    @classmethod
    def fit(cls, series: pl.Series, column: Column, standardise: bool, missing: str, max_categories: int) -> Self:
        """The scale, the filling and the range of these numbers."""
        read = values.numbers(series)
        known = read.drop_nulls().rechunk()  # the median of a column in pieces takes polars twenty times as long
        array = known.to_numpy()
        fill = low = high = 0.0
        if len(known):
            fill = _fill(known, array, missing)
            low, high = float(array.min()), float(array.max())
        scale = Scale.of(array) if standardise else Scale()
        return cls(column.name, bool(read.null_count()), scale, fill, low, high, column.words)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The treatment whose fields are these."""
        return cls(**{**data, "scale": Scale(**data["scale"]), "words": tuple(data["words"])})

    @property
    def bounds(self) -> tuple[float, float]:
        """What a number is kept between; any number where it is taken as it is."""
        if self.scale == Scale():
            return -inf, inf
        margin = 2 * MARGIN * (self.high / 2 - self.low / 2)  # the difference of halves is a float however far apart
        return self.low - margin, self.high + margin

    @property
    def parts(self) -> tuple[str, ...]:
        """The number itself."""
        return (self.column,)

    def read(self, series: pl.Series) -> pl.Series:
        """Numbers; null where a cell is missing, infinite or a word."""
        return values.numbers(series)

    def unreadable(self, series: pl.Series, read: pl.Series) -> pl.Series:
        """True where a cell holds a word that training did not read as missing."""
        wrong = values.unreadable(series, read)
        return (
            wrong & ~values.cleaned(series).is_in(self.words).fill_null(False) if self.words and wrong.any() else wrong
        )

    def expected(self) -> str:
        """Numbers."""
        return _("numbers")

    def _write_parts(self, read: pl.Series, out: np.ndarray) -> None:
        filled = read.fill_null(self.fill) if read.null_count() else read
        scaled = self.scale.applied(filled.to_numpy())
        low, high = self.scale.applied(np.array(self.bounds)).clip(-LIMIT, LIMIT)
        if len(scaled) and (scaled.min() < low or scaled.max() > high):
            scaled = scaled.clip(low, high)
        out[:, 0] = scaled

    def _notes_on(self, read: pl.Series, places: Places | None) -> list[Note]:
        n = int(((read < self.low) | (read > self.high)).sum())
        if not n:
            return []
        text = ngettext(
            "{n} value outside the training range {low} to {high}",
            "{n} values outside the training range {low} to {high}",
            n,
        ).format(n=format_count(n), low=format_number(self.low), high=format_number(self.high))
        return [Note("warning", self.column, text)]

    def shown_fill(self) -> str:
        """The median, or what else was asked for."""
        return format_number(self.fill)

    def _sentence(self) -> str:
        if self.scale == Scale():
            return _("taken as it is")
        low, high = (format_number(bound) for bound in self.bounds)
        text = _("standardised: mean 0, standard deviation 1 over the training rows; kept between {low} and {high}")
        return text.format(low=low, high=high)

    def arithmetic(self) -> str:
        """Such as "(area - 81.3) / 22.9"."""
        return self.scale.arithmetic(self.column)


def _fill(known: pl.Series, array: np.ndarray, missing: str) -> float:
    if missing == "mean":
        return float(array.mean())
    if missing == "most_frequent":
        return float(known.mode().sort()[0])
    return float(cast(float, known.median()))
