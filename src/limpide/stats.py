"""How sure a figure is: intervals from the rows at hand.

A statistic is written once, as a function of row weights: weights of one give its value, the counts of a bootstrap
draw give its value on that draw, a zero leaves a row out. Two networks measured on the same rows with the same seed
meet the same draws, so the difference of their `Resamples` is paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from limpide import seeds

Statistic = Callable[[Float[np.ndarray, "draws rows"]], Float[np.ndarray, "draws statistics"]]
"""From row weights to values; NaN where the weights leave a statistic undefined."""

BOOTSTRAP_ROWS = 2_000
"""Up to so many rows the bootstrap; beyond, statistics are nearly normal, and the jackknife costs 20 times less."""

JACKKNIFE_GROUPS = 50
UNDEFINED_SHARE = 0.05
"""A statistic undefined on more draws than this has no interval."""

_NORMAL_95 = 1.959964
_STUDENT_95_49 = 2.009575
_CHUNK = 1_000_000


@dataclass(frozen=True)
class Resamples:
    """Statistics of the rows at hand, and of many variations of these rows."""

    value: Float[np.ndarray, " statistics"]
    draws: Float[np.ndarray, "draws statistics"]
    method: Literal["bootstrap", "jackknife"]

    def interval(self) -> Float[np.ndarray, "statistics 2"]:
        """The 95% intervals: low and high of each statistic.

        Bootstrap: the 2.5 and 97.5 percentiles of the draws. Jackknife: value ± t·s with
        s² = (g-1)/g · Σ(draw - mean)² over g groups. NaN when the draws say nothing: they do not vary (all answers
        right, for instance), or the statistic is undefined on too many of them.

        Source  Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 11 and 13
        """
        bounds = np.full((len(self.value), 2), np.nan)
        for column, value in enumerate(self.value):
            draws = self.draws[:, column]
            draws = draws[np.isfinite(draws)]
            enough = len(draws) >= (1 - UNDEFINED_SHARE) * len(self.draws)
            if len(draws) == 0 or not (np.isfinite(value) and enough) or np.ptp(draws) <= 1e-12 * abs(value):
                continue
            if self.method == "bootstrap":
                bounds[column] = np.percentile(draws, (2.5, 97.5))
            else:
                spread = _STUDENT_95_49 * sqrt(
                    (len(draws) - 1) / len(draws) * float(((draws - draws.mean()) ** 2).sum())
                )
                bounds[column] = value - spread, value + spread
        return bounds

    def __sub__(self, other: Resamples) -> Resamples:
        """The paired difference of two measures of the same rows, drawn with the same seed."""
        assert self.method == other.method, "measures of the same rows are drawn alike"
        assert self.draws.shape == other.draws.shape, "measures of the same rows are drawn alike"
        return Resamples(self.value - other.value, self.draws - other.draws, self.method)


def resample(statistic: Statistic, n: int, seed: int = 0, n_draws: int = 1000) -> Resamples:
    """The statistic on `n` rows, and on draws of them: with replacement, or by leaving groups out when rows are many.

    n_draws  bootstrap draws; above `BOOTSTRAP_ROWS` rows the jackknife leaves out each of `JACKKNIFE_GROUPS` random
             groups in turn, whatever `n_draws`; 0 gives the value alone

    >>> mean = lambda w: w @ np.arange(10.0)[:, None] / w.sum(1, keepdims=True)
    >>> resample(mean, 10).interval().round(1)
    array([[2.7, 6.4]])
    """
    rng = seeds.stream(seed, "bootstrap")
    bootstrap = n <= BOOTSTRAP_ROWS
    weights = _bootstrap_weights(n, n_draws, rng) if bootstrap else _jackknife_weights(n, rng)
    with np.errstate(all="ignore"):
        value = statistic(np.ones((1, n)))[0]
        draws = np.concatenate([statistic(chunk) for chunk in weights]) if n_draws else np.empty((0, len(value)))
    return Resamples(value, draws, "bootstrap" if bootstrap else "jackknife")


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95% interval of a proportion; honest even when all or none succeed, where a bootstrap says "no doubt".

    centre = (p + z²/2n) / (1 + z²/n), half-width = z/(1 + z²/n) · √(p(1-p)/n + z²/4n²)

    Source  Wilson 1927, Journal of the American Statistical Association 22, 209-212

    >>> low, high = wilson(30, 30)
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    p, z2 = successes / n, _NORMAL_95**2 / n
    centre = (p + z2 / 2) / (1 + z2)
    half = sqrt(z2 * p * (1 - p) + z2**2 / 4) / (1 + z2)
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def _bootstrap_weights(n: int, n_draws: int, rng: np.random.Generator) -> Iterator[Float[np.ndarray, "draws rows"]]:
    """How often each row is drawn, in chunks of draws that fit in the cache."""
    chunk = max(1, _CHUNK // n)
    for start in range(0, n_draws, chunk):
        size = min(chunk, n_draws - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _jackknife_weights(n: int, rng: np.random.Generator) -> Iterator[Float[np.ndarray, "draws rows"]]:
    """Each random group left out in turn, in chunks."""
    group = jackknife_groups(n, rng)
    chunk = max(1, _CHUNK // n)
    for start in range(0, JACKKNIFE_GROUPS, chunk):
        left_out = np.arange(start, min(start + chunk, JACKKNIFE_GROUPS))
        yield (group != left_out[:, None]).astype(np.float64)


def jackknife_groups(n: int, rng: np.random.Generator) -> Int[np.ndarray, " rows"]:
    """The group of each of n rows; rows that come in pieces are given those of rows that come at once."""
    return (JACKKNIFE_GROUPS * rng.random(n)).astype(np.int64)
