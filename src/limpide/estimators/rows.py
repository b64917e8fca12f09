"""Rows with weights, so that a row of weight 2 is a row that is there twice, to the last bit.

What is learned depends on the rows as a heap, not as a list: equal rows are one row that carries their weights
together, in an order that their content gives. Whether a weight is said or spelled out as copies, and in whatever
order rows come, training sees the same arrays.

Inside an epoch a weight is how often a row is visited, not a factor on its gradient. Visits are at most one above or
below what the weight asks for, in the mean exactly that, so that weights may be fractions. Batches then look like
batches of copies would, and every engine trains with weights, at full speed, without knowing of them.

Source  An, Ying & Zhu 2021, "Why resampling outperforms reweighting for correcting sampling bias with stochastic
        gradients"
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

MOST_VISITS = 10
"""Visits of an epoch per distinct row, at most: weights that count people in their millions must not make epochs of
millions."""

FEWEST_HELD_OUT = 10
"""Distinct rows below which none are held out: a loss over fewer would stop the training by chance."""


GOLDEN_SECTION = (5**0.5 - 1) / 2


class Rows(NamedTuple):
    """Examples and how much each counts.

    x       inputs (rows, features)
    y       targets (rows, outputs)
    weight  (rows,), each above 0
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    @classmethod
    def distinct(cls, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Self:
        """Equal rows as one, in an order that depends on their content alone.

        >>> Rows.distinct(np.array([[5.0], [5.0]]), np.array([[1.0], [1.0]]), np.array([1.0, 2.0]))
        Rows(x=array([[5.]]), y=array([[1.]]), weight=array([3.]))
        """
        both = np.ascontiguousarray(np.column_stack([x, y]))
        # each row as one item of bytes: sorted several times faster than column by column
        items = both.view(np.dtype((np.void, both.shape[1] * both.itemsize)))[:, 0]
        order = np.argsort(items, kind="stable")
        both, weight = both[order], weight[order]
        is_new = np.concatenate([[True], (both[1:] != both[:-1]).any(1)])
        both, n_features = both[is_new], x.shape[1]
        return cls(both[:, :n_features], both[:, n_features:], np.add.reduceat(weight, np.flatnonzero(is_new)))

    def taken(self, chosen: np.ndarray) -> Self:
        """Some of the rows."""
        return self._replace(x=self.x[chosen], y=self.y[chosen], weight=self.weight[chosen])


class Scaling(NamedTuple):
    """z = (value - mean) / sd, column by column.

    mean, sd  (columns,); the standard deviation is the population's, and 1 where all values are equal
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def none(cls, n_columns: int) -> Self:
        """The one that leaves values as they are."""
        return cls(np.zeros(n_columns), np.ones(n_columns))

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray) -> Self:
        """The one that gives weighted values mean 0 and standard deviation 1.

        >>> Scaling.of(np.array([[1.0, 5.0], [4.0, 5.0]]), np.array([2.0, 1.0]))
        Scaling(mean=array([2., 5.]), sd=array([1.41421356, 1.        ]))
        """
        low, high = values.min(0), values.max(0)
        # within [-1, 1] no square is too large for a float
        unit = np.maximum(np.abs(low), np.abs(high))
        unit[unit == 0] = 1
        share, inner = weight / weight.sum(), values / unit
        mean = share @ inner
        sd = np.sqrt(share @ (inner - mean) ** 2) * unit
        is_constant = (low == high) | (sd == 0)
        return cls(np.where(is_constant, low, mean * unit), np.where(is_constant, 1.0, sd))

    def applied(self, values: np.ndarray) -> np.ndarray:
        """z of each value."""
        with np.errstate(over="ignore"):
            scaled: np.ndarray = (values - self.mean) / self.sd
        return scaled


class Visits:
    """Which rows an epoch visits, each in proportion to its weight.

    An epoch makes as many visits as the weights add up to, at least one per distinct row and at most `MOST_VISITS`.
    Systematic sampling gives a row of weight w its due of count w / sum of weights, rounded up or down, and exactly
    that in the mean of epochs. Within those bounds the due of a whole number is that number.

    Source  Madow & Madow 1944, "On the theory of systematic sampling"

    >>> Visits(np.array([1.0, 3.0])).rows(epoch=1, start=0.0)
    array([0, 1, 1, 1])
    >>> [Visits(np.array([1.0, 0.5, 2.5])).rows(epoch, 0.0).tolist() for epoch in (1, 2)]
    [[0, 1, 2, 2], [0, 2, 2, 2]]
    """

    def __init__(self, weight: np.ndarray) -> None:
        ends = np.cumsum(weight)
        self.count = int(np.clip(np.rint(ends[-1]), len(weight), MOST_VISITS * len(weight)))
        self._ends = ends * (self.count / ends[-1])

    def rows(self, epoch: int, start: float) -> np.ndarray:
        """The rows of one epoch in rising order, each as often as it is visited.

        start  from 0 to below 1: where sampling begins; later epochs go on by the golden section, which leaves no part
               of a weight unvisited for long
        """
        begin = min((start + epoch * GOLDEN_SECTION) % 1, 1 - 2**-24)  # below 1 by more than sums of whole numbers err
        begun = np.floor(self._ends + begin).astype(np.int64)
        begun[-1] = self.count
        return np.repeat(np.arange(len(begun)), np.diff(begun, prepend=0))


def held_out(weight: np.ndarray, share: float, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which rows to hold out: a random share of each class by weight, or none where that would be too few rows.

    A row stands on one side with all its copies: what stops the training was never trained on. A row that outweighs
    the share of its class stays in training.

    classes  the class of each row; all equal for numbers
    Returns  a mask (rows,)
    """
    is_held = np.zeros(len(weight), dtype=bool)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        room = share * weight[members].sum() * (1 + 1e-9)
        drawn = rng.permutation(members[weight[members] <= room])
        is_held[drawn[np.cumsum(weight[drawn]) <= room]] = True
    return is_held if is_held.sum() >= FEWEST_HELD_OUT else np.zeros_like(is_held)
