"""A column as the tests for leaks look at it: numbers in an order, words that come again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.dataset import Column
from limpide.data.leaks.evidence import Answers, codes
from limpide.i18n import _, format_number

CODE_VALUES = 50
"""A column of numbers with no more values than this may be a code, whose order says nothing."""


@dataclass(frozen=True, eq=False)
class Feature:
    """One column, on the rows judged.

    numbers  NaN where missing; None for words
    words    a number for each different cell; where almost each cell is different, whether it is missing
    """

    name: str
    kind: str
    series: pl.Series
    numbers: np.ndarray | None
    words: np.ndarray

    @classmethod
    def of(cls, series: pl.Series, column: Column) -> Feature:
        """The feature of a column."""
        if column.kind == "number":
            numbers = values.numbers(series).to_numpy()
            words = np.isnan(numbers).astype(np.int64)
            if series.n_unique() <= CODE_VALUES:
                words = np.unique(numbers, return_inverse=True)[1]
            return cls(column.name, column.kind, series, numbers, words)
        if column.kind == "date":
            # its order is the business of time; but a day of leaving is missing for those who stay
            return cls(column.name, column.kind, series, None, series.is_null().to_numpy().astype(np.int64))
        read = values.booleans(series) if column.kind == "boolean" else values.words(series)
        return cls(column.name, column.kind, series, None, codes(read))

    @property
    def known(self) -> np.ndarray:
        """True where it has a value; that a date is missing says something by itself, and counts as one."""
        is_known: np.ndarray = np.ones(len(self.words), dtype=bool) if self.kind == "date" else self.words > 0
        return is_known if self.numbers is None else ~np.isnan(self.numbers)

    def likeness(self, answers: Answers) -> float:
        """How alike rows are in the target that are neighbours in this column, or have the same word in it."""
        return max(self.order_likeness(answers), self.word_likeness(answers))

    def order_likeness(self, answers: Answers) -> float:
        """How alike neighbours are, the rows being in the order of the numbers."""
        if self.numbers is None:
            return 0.0
        known = np.flatnonzero(~np.isnan(self.numbers))
        order = known[np.argsort(self.numbers[known], kind="stable")]
        return answers.likeness(order[:-1], order[1:])

    def word_likeness(self, answers: Answers) -> float:
        """How alike rows with the same word are; 0 where most words come once, or one word fills the column."""
        order = np.argsort(self.words, kind="stable")
        same = self.words[order[:-1]] == self.words[order[1:]]
        is_telling = len(order) // 2 <= int(same.sum()) < len(order) - 1
        return answers.likeness(order[:-1][same], order[1:][same]) if is_telling else 0.0

    def example(self, answers: Answers, row: int) -> str:
        """The cell of a row beside its target."""
        return _("{cell} where {target} is {answer}").format(
            cell=shown(self.series[row]), target=answers.name, answer=shown(answers.raw[row])
        )


def shown(cell: object) -> str:
    """A cell as a message shows it."""
    if cell is None:
        return _("no value")
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return format_number(cell)
    text = str(cell)
    return text if len(text) <= 40 else text[:37] + "..."
