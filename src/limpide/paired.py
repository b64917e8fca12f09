"""What pairs of scores say: is one better, are both practically equal, or would it take more pairs to tell.

A pair is two scores taken under the same seed. One interval answers both questions: where it leaves zero out, one side
is better; where it stays within the zone of practical equality, the two are equal; else nothing is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

import numpy as np

Finding = Literal["better", "worse", "equal", "open"]

ALPHA = 0.05
"""The chance taken of calling one of two equals better: over all pairs and all planned looks together."""

POWER = 0.8
"""How often the number of pairs that "would tell" tells, if mean and spread stay as seen."""

FEWEST = 3
"""Pairs below which chance cannot be judged, and nothing is found."""

MOST = 1000
"""Pairs beyond which no number is given: so small a difference is not worth it."""


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, and how much they vary.

    n        pairs
    sd       of the differences, n - 1 in the denominator; 0 for fewer than two
    overlap  rows judged on over rows learned from, where each pair has a split of its own; 0 where all share one
    """

    mean: float
    sd: float
    n: int
    overlap: float = 0.0

    @property
    def error(self) -> float:
        """The standard error of the mean.

        s·√(1/n + overlap): training sets that are drawn again and again share most of their rows, so the scores are not
        independent, and s²/n alone is too small.

        Source  Nadeau and Bengio 2003, Inference for the Generalization Error, Machine Learning 52, section 3
        """
        return self.sd * sqrt(1 / self.n + self.overlap) if self.n else inf

    def half_width(self, alpha: float = ALPHA) -> float:
        """Half of the interval that misses the true mean with chance `alpha`: t(1 - alpha/2; n - 1) · error.

        Differences that are all the same have no spread to judge by; then the smallest and the largest of n hold their
        median between them with chance 1 - 2/2ⁿ, which is the sign test. Infinite where the interval is the whole line.
        """
        from scipy.special import stdtrit

        if self.n < 2:
            return inf
        if self.sd == 0:
            return 0.0 if 0.5 ** (self.n - 1) <= alpha else inf
        return float(stdtrit(self.n - 1, 1 - alpha / 2)) * self.error

    def p_value(self) -> float:
        """The chance of a mean at least as far from zero, were there no difference."""
        from scipy.special import stdtr

        if self.n < 2 or (self.sd == 0 and self.mean == 0):
            return 1.0
        if self.sd == 0:
            return float(0.5 ** (self.n - 1))
        return float(2 * stdtr(self.n - 1, -abs(self.mean) / self.error))

    def find(self, zone: float, alpha: float = ALPHA) -> Finding:
        """What the interval says of the first beside the second, where more is better.

        zone  differences up to this size do not matter

        The two one-sided tests of equality at alpha/2 each give the same "equal" (Schuirmann 1987, Journal of
        Pharmacokinetics and Biopharmaceutics 15, 657-680).
        """
        half = self.half_width(alpha)
        if self.n < FEWEST or half == inf:
            return "open"
        if abs(self.mean) + half < zone:
            return "equal"
        return "better" if self.mean > half else "worse" if self.mean < -half else "open"

    def further_pairs(self, zone: float, alpha: float = ALPHA) -> int | None:
        """How many more pairs would tell, `POWER` of the time, if mean and spread stay as seen; None beyond `MOST`.

        The smallest n for which (t(1 - alpha/2; n - 1) + t(power; n - 1)) · error is within |mean|: then one is better;
        or, with (1 + power)/2 in the place of power because two ends must hold, within zone - |mean|: then they are
        equal. Where splits are drawn again the error has a floor, and perhaps no number of pairs tells.
        """
        from scipy.special import stdtrit

        if self.n < 2:
            return None
        n = np.arange(max(self.n + 1, FEWEST), self.n + MOST + 1)
        if self.sd == 0:
            enough = 0.5 ** (n - 1.0) <= alpha
        else:
            error = self.sd * np.sqrt(1 / n + self.overlap)
            reach = stdtrit(n - 1, 1 - alpha / 2)
            enough = (reach + stdtrit(n - 1, POWER)) * error <= abs(self.mean)
            enough |= (reach + stdtrit(n - 1, (1 + POWER) / 2)) * error <= zone - abs(self.mean)
        return int(n[enough.argmax()]) - self.n if enough.any() else None


def paired_difference(first: Sequence[float], second: Sequence[float], overlap: float = 0.0) -> Difference:
    """First minus second, pair by pair.

    overlap  as for `Difference`

    >>> paired_difference([3.0, 5.0, 4.0], [2.0, 3.0, 1.0])
    Difference(mean=2.0, sd=1.0, n=3, overlap=0.0)
    """
    gaps = np.subtract(first, second, dtype=np.float64)
    if len(gaps) == 0:
        return Difference(0.0, 0.0, 0, overlap)
    mean = float(gaps.mean())
    # differences that are equal but for rounding are equal
    flat = len(gaps) < 2 or float(np.ptp(gaps)) <= 1e-12 * float(np.abs([first, second]).max())
    return Difference(mean, 0.0 if flat else float(gaps.std(ddof=1)), len(gaps), overlap)


def holm_levels(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level at which each of several pairs is judged, so that all findings together are wrong `alpha` of the time.

    From the smallest p-value on: alpha/m, alpha/(m - 1), ... for as long as each is passed; all that follow are judged
    at the level of the first that is not. An interval of that level leaves zero out exactly when Holm's test rejects.

    Source  Holm 1979, Scandinavian Journal of Statistics 6, 65-70; Serlin 1993, The Journal of Experimental Education
            61, 350-360

    >>> [round(level, 4) for level in holm_levels([0.2, 0.001, 0.04])]
    [0.025, 0.0167, 0.025]
    """
    levels = [alpha] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    level = 0.0
    has_passed = True
    for rank, i in enumerate(order):
        if has_passed:
            level = alpha / (len(order) - rank)
            has_passed = p_values[i] <= level
        levels[i] = level
    return levels


def look_level(look: int, is_planned: bool, alpha: float = ALPHA) -> float:
    """The level of one look at scores to which more are added for as long as nothing is found.

    To look after every few seeds, and to stop when the difference looks real, is to be wrong far more often than at one
    look. Planned looks share alpha: alpha/2, alpha/4, alpha/8, ...; however they depend on one another, their sum
    bounds the chance that any of them is wrong. A single look has all of alpha. Looks that come all the same,
    unplanned, are judged like planned ones from the second on: together at most 1.5 alpha.

    look        from 1
    is_planned  whether further looks were foreseen from the start
    Source      Lan and DeMets 1983, Biometrika 70, 659-663 (spending), with Bonferroni's bound for the looks

    >>> look_level(1, False), look_level(1, True), look_level(2, True)
    (0.05, 0.025, 0.0125)
    """
    return alpha if look == 1 and not is_planned else alpha / 2**look
