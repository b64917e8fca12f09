"""What is measured of a column in one pass, in memory that does not grow with the rows: layer 0 of a stream.

Numbers are exact to rounding: the least, the greatest, means, standard deviations, counts. Two things are not, beyond
a size that is stated: a median (`Quantiles`), and how often a category comes (`Counts`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from math import hypot, sqrt

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column
from limpide.data.treatments.base import Scale, Treatment
from limpide.data.treatments.boolean import BooleanTreatment
from limpide.data.treatments.category import CategoryTreatment
from limpide.data.treatments.date import DAY, DateTreatment
from limpide.data.treatments.number import NumberTreatment

SIZE = 1 << 13
"""Values among which a median is exact; beyond, at most (1 + log2(n / SIZE)) / SIZE of them lie between it and the
true one: one in 700 of 10^7."""

MOST_WORDS = 1 << 16
"""Different categories counted exactly; beyond, a count may be too small by one row in as many, and no more."""


class Moments:
    """Count, mean, standard deviation of the population, least and greatest.

    Two parts a and b of sizes n and m, d apart: sd² = (n sd_a² + m sd_b²)/(n + m) + d² n m/(n + m)².

    Source  Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance
    """

    def __init__(self) -> None:
        self.n, self.mean, self.sd = 0, 0.0, 0.0
        self.low, self.high = float("inf"), -float("inf")

    def add(self, known: np.ndarray) -> None:
        """Take these values in."""
        m = len(known)
        if not m:
            return
        scale = Scale.of(known)
        low, high = float(known.min()), float(known.max())
        sd = scale.sd if low < high else 0.0
        share, gap = m / (self.n + m), scale.mean - self.mean
        if self.n:
            # hypot knows no squares beyond the greatest float
            sd = hypot(sqrt(1 - share) * self.sd, sqrt(share) * sd, gap * sqrt(share * (1 - share)))
        self.mean, self.sd, self.n = self.mean + gap * share if self.n else scale.mean, sd, self.n + m
        self.low, self.high = min(self.low, low), max(self.high, high)

    def scale(self) -> Scale:
        """What `Scale.of` gives for all the values together."""
        if not self.n:
            return Scale()
        return Scale(self.mean, self.sd or 1.0) if self.low < self.high else Scale(self.low, 1.0)


class Quantiles:
    """The median of values that come in pieces: exact up to `SIZE` of them, then within the bound stated there.

    Level h holds values that stand for 2^h each. A level that is full is sorted, and every other value of it moves up.
    Each such step moves a rank by 2^h at most, and there are n / (SIZE 2^h) of them.

    Source  Munro and Paterson 1980, Selection and sorting with limited storage
    """

    def __init__(self) -> None:
        self._levels: list[list[np.ndarray]] = [[]]
        self._n_steps = 0

    def add(self, known: np.ndarray) -> None:
        """Take these values in."""
        self._levels[0].append(known)
        for level in range(64):
            pieces = self._levels[level]
            if sum(map(len, pieces)) <= SIZE:
                return
            if level + 1 == len(self._levels):
                self._levels.append([])
            in_order = np.sort(np.concatenate(pieces))
            # of an odd number the last one waits; whether the first or the second of a pair goes up takes turns
            even = len(in_order) // 2 * 2
            self._levels[level] = [in_order[even:]]
            self._levels[level + 1].append(in_order[self._n_steps % 2 : even : 2])
            self._n_steps += 1

    def median(self) -> tuple[float, float]:
        """The middle value, or the two that share the middle; 0 of nothing."""
        kept = [(np.concatenate(pieces), 1 << level) for level, pieces in enumerate(self._levels) if pieces]
        cells = np.concatenate([known for known, _weight in kept] or [np.zeros(0)])
        if not len(cells):
            return 0.0, 0.0
        order = np.argsort(cells, kind="stable")
        reached = np.cumsum(np.concatenate([np.full(len(known), weight) for known, weight in kept])[order])
        n = int(reached[-1])
        low, high = (cells[order[np.searchsorted(reached, rank)]] for rank in ((n + 1) // 2, n // 2 + 1))
        return float(low), float(high)


class Counts:
    """How often each word comes, the most frequent words at least.

    Source  Misra and Gries 1982, Finding repeated elements; merged as in Agarwal et al. 2012, Mergeable summaries
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.lost = 0
        """By how much a count may be too small."""

    def add(self, words: pl.Series) -> None:
        """Take these words in; missing ones do not count."""
        for word, n in words.drop_nulls().rename("word").value_counts(name="n").iter_rows():
            self.counts[word] += n
        if len(self.counts) > MOST_WORDS:
            least = sorted(self.counts.values(), reverse=True)[MOST_WORDS]
            self.counts = Counter({word: n - least for word, n in self.counts.items() if n > least})
            self.lost += least


class Sketch(ABC):
    """What the training rows say of one column, and the treatment that they call for in the end."""

    def __init__(self, column: Column, standardise: bool, missing: str, max_categories: int) -> None:
        self.column, self.standardise, self.missing = column, standardise, missing
        self.max_categories = max_categories
        self.has_missing = False

    @abstractmethod
    def read(self, series: pl.Series) -> pl.Series:
        """The cells as what they are; null where they are missing or unreadable."""

    def add(self, read: pl.Series) -> None:
        """Take training rows in, as `read` gives them."""
        self.has_missing |= bool(read.null_count())
        self._add(read.drop_nulls())

    @abstractmethod
    def _add(self, known: pl.Series) -> None: ...

    @abstractmethod
    def treatment(self, words: tuple[str, ...] = ()) -> Treatment:
        """What `Treatment.fit` gives for all the rows together.

        words  strays among numbers that count as missing
        """


class NumberSketch(Sketch):
    """Numbers."""

    def __init__(self, column: Column, standardise: bool, missing: str, max_categories: int) -> None:
        super().__init__(column, standardise, missing, max_categories)
        self.moments, self.quantiles = Moments(), Quantiles()

    def read(self, series: pl.Series) -> pl.Series:
        """Numbers."""
        return values.numbers(series)

    def _add(self, known: pl.Series) -> None:
        cells = known.to_numpy()
        self.moments.add(cells)
        if self.missing == "median":
            self.quantiles.add(cells)

    def treatment(self, words: tuple[str, ...] = ()) -> NumberTreatment:
        """The scale, the filling and the range."""
        moments = self.moments
        low, high = self.quantiles.median()
        fill = low / 2 + high / 2 if self.missing == "median" else moments.mean
        ends = (moments.low, moments.high) if moments.n else (0.0, 0.0)
        scale = moments.scale() if self.standardise else Scale()
        return NumberTreatment(self.column.name, self.has_missing, scale, fill, *ends, words)


class BooleanSketch(Sketch):
    """True or false."""

    def __init__(self, column: Column, standardise: bool, missing: str, max_categories: int) -> None:
        super().__init__(column, standardise, missing, max_categories)
        self.n_known = self.n_true = 0

    def read(self, series: pl.Series) -> pl.Series:
        """True or false."""
        return values.booleans(series)

    def _add(self, known: pl.Series) -> None:
        self.n_known += len(known)
        self.n_true += int(known.sum())

    def treatment(self, words: tuple[str, ...] = ()) -> BooleanTreatment:
        """The more frequent of the two fills."""
        return BooleanTreatment(self.column.name, self.has_missing, 2 * self.n_true > self.n_known)


class CategorySketch(Sketch):
    """Categories."""

    def __init__(self, column: Column, standardise: bool, missing: str, max_categories: int) -> None:
        super().__init__(column, standardise, missing, max_categories)
        self.counts = Counts()

    def read(self, series: pl.Series) -> pl.Series:
        """Words."""
        return values.words(series)

    def _add(self, known: pl.Series) -> None:
        self.counts.add(known)

    def treatment(self, words: tuple[str, ...] = ()) -> CategoryTreatment:
        """The most frequent ones are kept."""
        return CategoryTreatment.of(self.column.name, self.counts.counts, self.has_missing, self.max_categories)


class DateSketch(Sketch):
    """Moments in time."""

    def __init__(self, column: Column, standardise: bool, missing: str, max_categories: int) -> None:
        super().__init__(column, standardise, missing, max_categories)
        self.year, self.day, self.age = Moments(), Moments(), Moments()
        self.quantiles = Quantiles()
        self.first, self.last, self.hour = 0, 0, -1
        self.has_hours = False

    def read(self, series: pl.Series) -> pl.Series:
        """Moments."""
        return values.dates(series, self.column.date_format)

    def _add(self, known: pl.Series) -> None:
        if not len(known):
            return
        moments = known.to_physical().to_numpy()
        if not self.age.n:
            self.first = self.last = self.start = int(moments.min())
            self.hour = int(moments[0] % DAY)
        self.first, self.last = min(self.first, int(moments.min())), max(self.last, int(moments.max()))
        self.has_hours |= bool((moments % DAY != self.hour).any())
        self.year.add(known.dt.year().to_numpy().astype(float))
        self.day.add(known.dt.day().to_numpy().astype(float))
        self.age.add((moments - self.start) / DAY)
        self.quantiles.add(moments)

    def treatment(self, words: tuple[str, ...] = ()) -> DateTreatment:
        """The range, the median and the scales of the parts."""
        name, form = self.column.name, self.column.date_format
        scales = [moments.scale() if self.standardise else Scale() for moments in (self.year, self.day, self.age)]
        if self.standardise and self.age.n:
            # days were counted from the first date of the first rows
            scales[2] = Scale(scales[2].mean + (self.start - self.first) / DAY, scales[2].sd)
        fill = int(self.quantiles.median()[1])
        return DateTreatment(name, self.has_missing, form, self.first, self.last, fill, self.has_hours, *scales)


SKETCHES: Mapping[str, type[Sketch]] = {
    "number": NumberSketch,
    "boolean": BooleanSketch,
    "category": CategorySketch,
    "date": DateSketch,
}
