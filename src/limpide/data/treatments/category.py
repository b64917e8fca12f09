"""Categories: one-hot, with a place for those never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column, Kind, Note
from limpide.data.places import Places
from limpide.data.treatments.base import Treatment
from limpide.i18n import _, format_count, ngettext

OTHER = "(other)"


@dataclass(frozen=True)
class CategoryTreatment(Treatment):
    """One feature for each category that was kept, and one for all others: exactly one of them is 1.

    categories  in natural order
    n_rare      categories of the training rows that were too rare to keep
    """

    kind: ClassVar[Kind] = "category"

    categories: tuple[str, ...]
    fill: str
    n_rare: int

    @classmethod
    def fit(cls, series: pl.Series, column: Column, standardise: bool, missing: str, max_categories: int) -> Self:
        """The most frequent categories, at most `max_categories` of them."""
        cells = series.rename("cell").value_counts(name="n")
        words = values.words(cells["cell"])
        counts: Counter[str] = Counter()
        for word, n in zip(words, cells["n"]):
            if word is not None:
                counts[word] += n
        return cls.of(column.name, counts, bool(words.null_count()), max_categories)

    @classmethod
    def of(cls, column: str, counts: Mapping[str, int], has_missing: bool, max_categories: int) -> Self:
        """The treatment of categories that come so often."""
        by_count = sorted(counts, key=lambda word: (-counts[word], values.natural_key(word)))
        kept = tuple(sorted(by_count[:max_categories], key=values.natural_key))
        fill = by_count[0] if by_count else ""
        return cls(column, has_missing, kept, fill, len(counts) - len(kept))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The treatment whose fields are these."""
        return cls(**{**data, "categories": tuple(data["categories"])})

    @property
    def parts(self) -> tuple[str, ...]:
        """A feature for each category kept, and one for the others."""
        return tuple(f"{self.column}={category}" for category in (*self.categories, OTHER))

    def read(self, series: pl.Series) -> pl.Series:
        """Words; null where a cell is missing."""
        return values.words(series, self.categories)

    def treat(self, series: pl.Series, out: np.ndarray) -> bool:
        """As every column; where each cell is a category as it stands, nothing is read."""
        if series.dtype == pl.String and not self.has_indicator and not self.n_rare:
            known = series.cast(pl.Enum(self.categories), strict=False)
            if not known.null_count():
                out[np.arange(len(out)), known.to_physical().to_numpy()] = 1
                return True
        return super().treat(series, out)

    def expected(self) -> str:
        """Words."""
        return _("words")

    def _write_parts(self, read: pl.Series, out: np.ndarray) -> None:
        known = read.fill_null(self.fill).cast(pl.Enum(self.categories), strict=False)
        places = known.to_physical().cast(pl.Int64).fill_null(len(self.categories))
        out[np.arange(len(out)), places.to_numpy()] = 1

    def _notes_on(self, read: pl.Series, places: Places | None) -> list[Note]:
        unknown = ~read.is_in(self.categories) & read.is_not_null()
        n = int(unknown.sum())
        if not n:
            return []
        text = (
            _("not among the {n} categories kept in training: {cells}; treated as other")
            if self.n_rare
            else _("never seen in training: {cells}; treated as other")
        ).format(n=len(self.categories), cells=values.cells(read, unknown, places=places))
        return [Note("warning", self.column, text)]

    def shown_fill(self) -> str:
        """The most frequent category."""
        return self.fill

    def _sentence(self) -> str:
        n = len(self.categories)
        text = ngettext(
            "one-hot: {n} category and one for all others", "one-hot: {n} categories and one for all others", n
        )
        if self.n_rare:
            text += ngettext(", where {rare} rare one goes", ", where {rare} rare ones go", self.n_rare)
        return text.format(n=n, rare=format_count(self.n_rare))

    def arithmetic(self) -> str:
        """Such as "1 where city is Lyon, Nice or other, else 0"."""
        shown = ", ".join(self.categories[:5]) + (", ..." if len(self.categories) > 5 else "")
        return _("1 where {column} is {categories} or other, else 0").format(column=self.column, categories=shown)
