"""Whether the defaults are worth having: limpide beside scikit-learn's default network behind a StandardScaler.

Four real data sets. For each seed both learn from the same rows and are judged on the same test rows; limpide keeps
some of its rows for early stopping, scikit-learn learns from all of them. Accuracy, or R² for numbers.

The goal stands on ten seeds. The defaults were chosen with those ten in sight, so twenty others are shown beside them.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.timing import Comparison
from limpide.evaluation import MAIN_METRIC
from limpide.training import train

SEEDS = range(10)
OTHER_SEEDS = range(10, 30)
DATA = {
    "wine": (load_wine, MLPClassifier),
    "breast-cancer": (load_breast_cancer, MLPClassifier),
    "digits": (load_digits, MLPClassifier),
    "diabetes": (load_diabetes, MLPRegressor),
}


def limpide_score(name: str, seed: int) -> tuple[float, np.ndarray]:
    """The score with defaults alone, and the test rows."""
    run = train(name, seed=seed, save=False, baselines=False)
    score = run.test.metrics[MAIN_METRIC[run.task]].value
    assert score is not None
    return score, run.test_rows


def sklearn_score(load: Any, network: Any, test: np.ndarray, seed: int) -> float:
    """The score with scikit-learn's defaults, on these test rows."""
    x, y = load(return_X_y=True)
    learn = np.setdiff1d(np.arange(len(x)), test)
    model = make_pipeline(StandardScaler(), network(random_state=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its default number of epochs is part of its defaults
        model.fit(x[learn], y[learn])
    return float(model.score(x[test], y[test]))


def compare_on(name: str, seeds: range, label: str, goal: float | None) -> Comparison:
    """The scores on one data set, paired by seed."""
    load, network = DATA[name]
    ours, theirs = [], []
    for seed in seeds:
        score, test = limpide_score(name, seed)
        ours.append(score)
        theirs.append(sklearn_score(load, network, test, seed))
    unit = "R2" if network is MLPRegressor else "accuracy"
    return Comparison(label, network.__name__, unit, ours, theirs, "gain", goal)


def compare() -> list[Comparison]:
    """The scores that the goal is about, then those on other seeds."""
    return [
        *(compare_on(name, SEEDS, name, 0.0) for name in DATA),
        *(compare_on(name, OTHER_SEEDS, f"{name}, other seeds", None) for name in DATA),
    ]
