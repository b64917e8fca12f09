"""What a leak is, and the one measure that finds most of them: how alike rows are in their target."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.columns import Task
from limpide.data.dataset import Note
from limpide.i18n import _

Level = Literal["block", "warning", "info"]


@dataclass(frozen=True)
class Leak:
    """A way in which the answers of the test rows may have reached the training.

    name   a stable key, such as "target-in-disguise:price_eur": what `accept_leaks` takes
    level  block: no training until it is mended or accepted; warning and info: said, and no more
    found  what was seen, with its figures and an example
    why    why it matters
    mends  what can be done, besides accepting it
    """

    name: str
    level: Level
    where: str
    found: str
    why: str
    mends: tuple[str, ...] = ()

    def problem(self) -> str:
        """The line of an error."""
        go_on = _("go on with --accept-leak {name}").format(name=shlex.quote(self.name))
        return _("{where}: {found}; {why}; {mends}").format(
            where=self.where, found=self.found, why=self.why, mends=_(", or ").join((*self.mends, go_on))
        )

    def note(self) -> Note:
        """What a run says of a leak that does not stop it."""
        if self.level == "block":
            return Note(
                "warning", self.where, _("leak accepted: {found}; {why}").format(found=self.found, why=self.why)
            )
        parts = [self.found, self.why, _(", or ").join(self.mends)]
        return Note(self.level, self.where, _("; ").join(part for part in parts if part))


@dataclass(frozen=True, eq=False)
class Answers:
    """The target of some rows, as numbers that can be compared.

    values  ranks of numbers, from 0 to 1, or the number of each row's class
    """

    raw: pl.Series
    values: np.ndarray
    is_number: bool

    @classmethod
    def of(cls, target: pl.Series, task: Task) -> Answers:
        """The answers of these rows."""
        if task == "regression":
            numbers = values.numbers(target)
            return cls(numbers, ranks(numbers.to_numpy()), True)
        words = values.words(target)
        return cls(words, codes(words), False)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def name(self) -> str:
        """The target's name."""
        return str(self.raw.name)

    def likeness(self, first: np.ndarray, second: np.ndarray) -> float:
        """How alike paired rows are in the target: 0 as strangers, 1 when always equal.

        1 - mean of d(first, second) / mean of d(any two of these rows), d being the squared difference of the ranks,
        or 1 where the classes differ and 0 where they do not. With rows in the order of a column and each paired with
        the next, it is 1 minus half of von Neumann's ratio.

        Source  von Neumann 1941, Annals of Mathematical Statistics 12, 367-395
        """
        if len(first) == 0:
            return 0.0
        y, is_paired = self.values, np.zeros(len(self), dtype=bool)
        is_paired[first] = is_paired[second] = True
        known = y[is_paired]
        n = len(known)
        if self.is_number:
            strangers, paired = 2 * float(known.var()), float(np.square(y[first] - y[second]).mean())
        else:
            shares = np.bincount(known) / n
            strangers, paired = 1 - float(shares @ shares), float((y[first] != y[second]).mean())
        return 1 - paired * (n - 1) / (n * strangers) if strangers else 0.0


def ranks(x: np.ndarray) -> np.ndarray:
    """The share of values below each value, equal values sharing the mean of theirs.

    >>> ranks(np.array([30.0, 10.0, 30.0, 20.0])).tolist()
    [0.75, 0.125, 0.75, 0.375]
    """
    _distinct, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    shares: np.ndarray = ((np.cumsum(counts) - counts / 2) / max(1, len(x)))[place]
    return shares


def codes(words: pl.Series) -> np.ndarray:
    """A number for each different word; missing cells share one of their own.

    >>> codes(pl.Series(["b", None, "a", "b"])).tolist()
    [2, 0, 1, 2]
    """
    return words.rank("dense").fill_null(0).to_numpy().astype(np.int64)
