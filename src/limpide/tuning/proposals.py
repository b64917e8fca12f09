"""Which values to try next: all of a grid, by chance, or where those before did best (TPE, by Optuna).

Trials come in rounds. What a round proposes follows from the seed and from the rounds before it, and from nothing else:
not from who trains, nor from which training ends first. A search of 20 trials is the beginning of one of 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from limpide import seeds
from limpide.i18n import N_
from limpide.tuning.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Method = Literal["bayes", "random", "grid"]

METHODS: dict[str, str] = {
    "bayes": N_("more often where trials did well (TPE, Bergstra et al. 2011)"),
    "random": N_("anywhere, by chance"),
    "grid": N_("every combination of a few values of each knob, in an order drawn by chance"),
}

AT_RANDOM = 8
"""Trials that a Bayesian search draws by chance before it learns from them."""

TRIES = 100
"""Draws for a point that was not met before, before any is taken."""


def propose(
    space: Space, method: Method, seed: int, maximize: bool, before: Sequence[FrozenTrial], n: int
) -> list[dict[str, Any]]:
    """The next round, as many as are left of the space.

    maximize  whether a higher value is better
    before    every trial of the rounds before, in order
    n         trials of a round, or fewer: the beginning of the same round

    Source  Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization, NeurIPS 24; Watanabe 2023,
            Tree-Structured Parzen Estimator (arXiv 2304.11127)
    """
    first = len(before)
    if method == "grid":
        points = space.grid()
        order = seeds.stream(seed, "grid").permutation(len(points))
        return [points[i] for i in order[first : first + n]]
    study = _study(before, maximize)
    distributions = {knob.name: knob.distribution() for knob in space.knobs}
    met = [trial.params for trial in before]
    for number in range(first, first + n):
        if len(met) >= space.size:
            break
        draws = int(seeds.stream(seed, "search", number).integers(2**31))
        study.sampler = _sampler(method, draws)
        for _attempt in range(TRIES):
            trial = study.ask(distributions)
            if trial.params not in met:
                break
            study.tell(trial, state=_failed())
            # a sampler that keeps to one point is left for chance
            study.sampler = _sampler("random", draws := draws + 1)
        met.append(trial.params)
    return [{knob.name: knob.heard(params[knob.name]) for knob in space.knobs} for params in met[first:]]


def _study(before: Sequence[FrozenTrial], maximize: bool) -> Study:
    from optuna import create_study
    from optuna.storages import InMemoryStorage

    from limpide.experiment.storages import quiet

    with quiet():
        study = create_study(storage=InMemoryStorage(), direction="maximize" if maximize else "minimize")
    for trial in before:
        study.add_trial(trial)
    return study


def _sampler(method: Method, seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    if method == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=AT_RANDOM)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
