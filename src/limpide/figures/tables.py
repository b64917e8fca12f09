"""The training rows of a table as its figures show them: numbers, labels, an ordinary row, the rows drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from limpide import seeds
from limpide.data.dataset import kind_word
from limpide.data.preparation import TablePreparation
from limpide.data.treatments.base import Treatment
from limpide.errors import RunError, UnknownName, did_you_mean, problem
from limpide.figures.axes import short
from limpide.i18n import _, format_count, format_number

if TYPE_CHECKING:
    from limpide.reopening import Reopened
    from limpide.runs import Run

MOST_SHUFFLED = 300
"""Rows on which it is looked which columns matter."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The training rows of a run on a table.

    frame  as they were read, the target left out
    truth  values in the target's unit, or class numbers
    """

    run: Run
    frame: pl.DataFrame
    truth: np.ndarray

    @classmethod
    def of(cls, opened: Reopened) -> Rows:
        """The training rows of a run whose data are open."""
        dataset: Any = opened.job.dataset
        rows = opened.job.split.train
        # of data larger than memory the rows kept as they were read are not those kept prepared
        return cls(opened.run, dataset.inputs[rows], opened.job.target.truth(dataset.target[rows]))

    @cached_property
    def treatments(self) -> dict[str, Treatment]:
        """How each column that the network sees is read."""
        preparation = self.run.preparation
        assert isinstance(preparation, TablePreparation)
        return {treatment.column: treatment for treatment in preparation.treatments}

    @property
    def numeric(self) -> list[str]:
        """The columns of numbers."""
        return [name for name, treatment in self.treatments.items() if treatment.kind == "number"]

    def read(self, name: str) -> pl.Series:
        """A column as what it is; null where a cell is missing."""
        return self.treatments[name].read(self.frame[name])

    def numbers(self, name: str) -> np.ndarray:
        """A column of numbers; NaN where one is missing."""
        return self.read(name).cast(pl.Float64).to_numpy()

    def label(self, name: str) -> str:
        """Its name and its unit."""
        unit = self.run.reading.units.get(name, "")
        return f"{short(name, 30)} ({unit})" if unit else short(name, 30)

    def label_of_target(self) -> str:
        """The target's name and its unit."""
        return self.label(self.run.target.name)

    def check(self, where: str, name: str) -> str:
        """The name of a column of numbers.

        Raises  UnknownName  when there is no such column; RunError  when it holds no numbers
        """
        if name not in self.treatments:
            raise UnknownName(where, name, self.treatments)
        if name not in self.numeric:
            got = f"{name} ({kind_word(self.treatments[name].kind)})"
            raise RunError(problem(where, _("a column of numbers"), got, did_you_mean("", self.numeric)))
        return name

    @cached_property
    def ordinary(self) -> dict[str, Any]:
        """One cell of each column: the median of numbers and dates, else the most frequent."""
        cells: dict[str, Any] = {}
        for name, treatment in self.treatments.items():
            read = treatment.read(self.frame[name])
            known = read.drop_nulls()
            if not len(known):
                cells[name] = None
            elif treatment.kind == "number":
                cells[name] = float(np.median(known.to_numpy()))
            elif treatment.kind == "date":
                order = np.flatnonzero(read.is_not_null().to_numpy())[known.arg_sort().to_numpy()]
                cells[name] = self.frame[name][int(order[len(order) // 2])]
            else:
                most = known.mode().sort()[0]
                cells[name] = self.frame[name][int((read == most).arg_max() or 0)]
        return cells

    def said_ordinary(self, *moved: str) -> str:
        """What the columns that do not move are held at."""
        others = {name: cell for name, cell in self.ordinary.items() if name not in moved}
        if not others:
            return ""
        shown = [
            f"{short(name)} = {format_number(cell) if isinstance(cell, float) else short(str(cell))}"
            for name, cell in list(others.items())[:6]
        ]
        text = _("The other columns are held at their median, or most frequent value, of the training rows ({cells}).")
        return text.format(cells=", ".join(shown) + (", …" if len(others) > 6 else ""))

    def moved(self, **columns: np.ndarray) -> pl.DataFrame:
        """Ordinary rows in which some columns take these values."""
        n = len(next(iter(columns.values())))
        cells = {name: pl.Series(name, [cell]).new_from_index(0, n) for name, cell in self.ordinary.items()}
        return pl.DataFrame(cells | {name: pl.Series(name, values) for name, values in columns.items()})

    def strongest(self, n: int) -> list[str]:
        """The columns of numbers that the answers depend on most: those whose shuffling changes them most."""
        if len(self.numeric) <= n:
            return self.numeric
        rng = seeds.stream(self.run.recipe.seed, "figures", "shuffle")
        rows = np.sort(rng.choice(len(self.frame), min(MOST_SHUFFLED, len(self.frame)), replace=False))
        some = self.frame[rows]
        before = self.run.predictions_array(some)
        changes = {}
        for name in self.numeric:
            after = self.run.predictions_array(some.with_columns(some[name][rng.permutation(len(some))].alias(name)))
            changes[name] = float(np.abs(after - before).mean())
        kept = sorted(changes, key=lambda name: -changes[name])[:n]
        return [name for name in self.numeric if name in kept]

    def drawn(self, most: int) -> np.ndarray:
        """Which rows are drawn as points: all, or as many drawn once."""
        n = len(self.frame)
        if n <= most:
            return np.arange(n)
        return np.sort(seeds.stream(self.run.recipe.seed, "figures", "points").choice(n, most, replace=False))

    def said_drawn(self, n: int) -> str:
        """How many rows are drawn."""
        text = (
            _("Dots are {n} of the {all} training rows.")
            if n < len(self.frame)
            else _("Dots are the {all} training rows.")
        )
        return text.format(n=format_count(n), all=format_count(len(self.frame)))
