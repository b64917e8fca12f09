"""How much each knob of a search matters: functional analysis of variance, on a forest fitted to the trials."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from limpide.tuning.records import Trial, frozen

if TYPE_CHECKING:
    from limpide.tuning.outcome import Search

FEWEST_TRIALS = 8
"""Trials below which a forest has nothing to say."""


def importance(search: Search) -> dict[str, float]:
    """The share of the spread between trials that each knob makes, the largest first.

    A trial that was given up counts with the score it has. Empty for a single knob, for few trials, or no spread.

    Source  Hutter, Hoos and Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance, ICML 31
    """
    space, scored = search.question.space, [trial for trial in search.trials if trial.mean is not None]
    if len(space.knobs) < 2 or len(scored) < FEWEST_TRIALS or len({trial.mean for trial in scored}) < 2:
        return {}
    from optuna import create_study
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from limpide.experiment.storages import quiet

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = create_study(direction="maximize" if search.question.maximize else "minimize")
        for trial in scored:
            whole = Trial(trial.number, trial.values, None, trial.scores, state="done")
            study.add_trial(frozen(whole, space))
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in found.items()}
