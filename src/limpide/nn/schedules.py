"""Learning-rate schedules: the factor on the rate at each update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

from limpide.catalogue import Catalogue
from limpide.i18n import N_


@dataclass(frozen=True)
class ScheduleRule:
    """A factor on the rate as a function of t = update / number of updates, from 0 to 1.

    factor  (t, schedule) -> factor
    """

    name: str
    formula: str
    factor: Callable[[float, Schedule], float]
    source: str


SCHEDULES: Catalogue[ScheduleRule] = Catalogue(N_("schedule"))


@dataclass(frozen=True)
class Schedule:
    """A rule and its numbers.

    warm_up  share of the updates over which the rate first rises in a straight line from 0
    every    step: share of the updates between two steps
    factor   step: what the rate is multiplied by at each step

    >>> Schedule("cosine").factor_at(50, 100)
    0.5
    """

    name: str = "constant"
    warm_up: float = 0.0
    every: float = 0.25
    factor: float = 0.5

    def factor_at(self, update: int, n_updates: int) -> float:
        """The factor at update 0, 1, ... of `n_updates`."""
        # behind its end a schedule stays where it ended: a cosine must not rise again
        t = min(update / max(n_updates, 1), 1.0)
        if t < self.warm_up:
            # counted from the update's end, so that the first update is not one of rate 0
            return (update + 1) / (self.warm_up * n_updates + 1)
        return SCHEDULES[self.name].factor((t - self.warm_up) / (1 - self.warm_up), self)


def _one_cycle(t: float, schedule: Schedule) -> float:
    rise, start, end = 0.3, 1 / 25, 1 / 25 / 1e4
    if t < rise:
        return 1 + (start - 1) * (1 + cos(pi * t / rise)) / 2
    return end + (1 - end) * (1 + cos(pi * (t - rise) / (1 - rise))) / 2


SCHEDULES.add(ScheduleRule("constant", "1", lambda t, schedule: 1.0, "Robbins & Monro 1951 ask for less; often enough"))
SCHEDULES.add(
    ScheduleRule(
        "step",
        "factor^⌊t / every⌋",
        # the small term keeps 0.75 / 0.25 on the right side of the step
        lambda t, schedule: schedule.factor ** int(t / schedule.every + 1e-9),
        "PyTorch's StepLR",
    )
)
SCHEDULES.add(
    ScheduleRule(
        "cosine", "(1 + cos πt) / 2", lambda t, schedule: (1 + cos(pi * t)) / 2, "Loshchilov & Hutter 2017, eq. 5"
    )
)
SCHEDULES.add(
    ScheduleRule(
        "one_cycle",
        N_("cosine from 1/25 up to 1 over the first 30%, then down to 1/250,000"),
        _one_cycle,
        "Smith & Topin 2018; PyTorch's OneCycleLR",
    )
)
