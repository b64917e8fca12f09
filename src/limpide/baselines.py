"""What a network must beat: a constant guess, a linear model, gradient boosting; and the sentence on whether it does.

The baselines are fitted on the training rows and measured on the test rows of the network, inputs prepared alike.
They are honest: no weaker than scikit-learn's defaults, where there is time for them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float

from limpide import seeds
from limpide.catalogue import Catalogue
from limpide.evaluation import MAIN_METRIC, METRICS, Evaluation, Metric, format_metric
from limpide.i18n import N_, _, format_count, format_decimal, format_percent, ngettext

Outputs = np.ndarray
"""Predictions (rows,) or probabilities (rows, classes), as `evaluation.evaluate` takes them."""

Fit = Callable[[str, np.ndarray, np.ndarray, np.ndarray, int, int], Outputs]
"""From task, training inputs and targets, test inputs, seed and number of labels to the test outputs."""


@dataclass(frozen=True)
class Baseline:
    """A model to compare with; the catalogue goes from the simplest to the strongest.

    max_work    rows × inputs × classes it may be fitted on, about ten seconds of one core; more rows are sampled
    max_inputs  images with more numbers than this are averaged over squares
    as_well     what it means when the network cannot be told apart from it
    better      what it means when the network does worse
    """

    name: str
    label: str
    tasks: tuple[str, ...]
    fit: Fit
    max_work: float
    max_inputs: int
    as_well: str
    better: str


def _guess(task: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int, n_labels: int) -> Outputs:
    """The mean, or the shares of the classes: the highest is the majority."""
    if task == "regression":
        return np.full(len(x_test), y.mean(dtype=np.float64))
    return np.tile(np.bincount(y, minlength=n_labels) / len(y), (len(x_test), 1))


def _linear(task: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int, n_labels: int) -> Outputs:
    """Least squares; with fewer than three rows per input, ridge with the penalty of least leave-one-out error."""
    x, x_test = x.astype(np.float64), x_test.astype(np.float64)
    if len(x) < 3 * x.shape[1]:
        from sklearn.linear_model import RidgeCV

        return np.asarray(RidgeCV(alphas=np.logspace(-3, 4, 15)).fit(x, y).predict(x_test))
    centre, level = x.mean(0), y.mean(dtype=np.float64)
    centred = x - centre
    slopes = np.linalg.lstsq(centred.T @ centred, centred.T @ (y - level), rcond=None)[0]
    return np.asarray((x_test - centre) @ slopes + level)


def _logistic(task: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int, n_labels: int) -> Outputs:
    """Logistic regression with the field's usual penalty: the sum of the losses + ‖w‖²/2."""
    from sklearn.linear_model import LogisticRegression

    return _probabilities(LogisticRegression(max_iter=200).fit(x, y), x_test, n_labels)


def _boosting(task: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int, n_labels: int) -> Outputs:
    """Histogram gradient boosting.

    A split sees three in ten inputs when there are eight or more, which beats scikit-learn's default on small tables.
    Every class grows its own trees: beyond three classes, half as many trees of twice the weight. Where scikit-learn's
    defaults break down they give way: leaves of 20 rows allow no split of 39, and in classes of few rows the leaves
    leap without a penalty.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    trees = 50 if n_labels > 3 else 100
    options: dict[str, Any] = {
        "max_iter": trees,
        "learning_rate": 10 / trees,
        "max_features": 0.3 if x.shape[1] >= 8 else 1.0,
        "min_samples_leaf": min(20, max(1, len(x) // 6)),
        "early_stopping": False,
        "random_state": seed % 2**32,
    }
    if n_labels:
        counts = np.bincount(y)
        options["l2_regularization"] = float(counts[counts > 0].min() < _FEW_ROWS)
    if task == "regression":
        return np.asarray(HistGradientBoostingRegressor(**options).fit(x, y).predict(x_test))
    return _probabilities(HistGradientBoostingClassifier(**options).fit(x, y), x_test, n_labels)


def _probabilities(model: Any, x: np.ndarray, n_labels: int) -> Outputs:
    """A column for each class; those the training rows lack get 0."""
    outputs = np.zeros((len(x), n_labels))
    outputs[:, model.classes_] = model.predict_proba(x)
    return outputs


_NOTHING = N_("Nothing was learned beyond this guess: are the inputs related to the target?")
_NOT_SHOWN = N_("These rows do not even show that it beats a guess blind to the inputs: more test rows would tell.")
_ONE_ANSWER = N_(
    "It answers {label} on all of them, as a guess blind to the inputs does. Whether its probabilities tell rows "
    "apart, ROC-AUC says: {roc_auc}, where such a guess has 0.5."
)
_SIMPLER = N_("The linear model does as well and is simpler: prefer it.")
_LINEAR = N_("The linear model does better and is simpler: prefer it.")
_EITHER = N_("Gradient boosting does as well here: either will do.")
_BOOSTING = N_("Prefer gradient boosting here, unless another network or more rows change the picture.")
_CLASSES, _NUMBERS = ("binary", "multiclass"), ("regression",)

BASELINES: Catalogue[Baseline] = Catalogue(N_("baseline"))
for _row in (
    Baseline("majority", N_("most frequent class"), _CLASSES, _guess, np.inf, 1, _NOT_SHOWN, _NOTHING),
    Baseline("mean", N_("mean"), _NUMBERS, _guess, np.inf, 1, _NOT_SHOWN, _NOTHING),
    Baseline("linear", N_("linear regression"), _NUMBERS, _linear, 1e8, 1_024, _SIMPLER, _LINEAR),
    Baseline("logistic", N_("logistic regression"), _CLASSES, _logistic, 1e8, 4_096, _SIMPLER, _LINEAR),
    Baseline(
        "gradient_boosting", N_("gradient boosting"), _NUMBERS + _CLASSES, _boosting, 2e7, 400, _EITHER, _BOOSTING
    ),
):
    BASELINES.add(_row)

_FEW_ROWS = 100
"""Of a class."""
_MIN_ROWS = 1_000
_WORTH_THREADS = 2e6
"""Below this much work threads wait for each other: on a busy machine they take up to 200 times as long as one."""


def fit_baselines(
    task: str,
    x_train: Float[np.ndarray, "rows ..."],
    y_train: np.ndarray,
    x_test: Float[np.ndarray, "test_rows ..."],
    seed: int = 0,
    n_labels: int = 0,
) -> tuple[dict[str, Outputs], list[str]]:
    """The outputs of every baseline on the test rows; and what was cut to stay quick, in sentences.

    x_train   prepared inputs; images (rows, channels, rows, cols) are flattened
    y_train   true values: numbers in the target's unit, or class numbers below `n_labels`
    n_labels  how many classes there are, met in the training rows or not; 0 for a regression

    When the training targets are all equal there is nothing to fit: the constant guess stands alone.
    """
    constant = bool(np.all(y_train == y_train[0]))
    outputs: dict[str, Outputs] = {}
    notes: list[str] = []
    for baseline in BASELINES.rows():
        if task not in baseline.tasks or (constant and outputs):
            continue
        guess = baseline.fit is _guess
        train, test = (x_train, x_test) if guess else (_averaged(x, baseline.max_inputs) for x in (x_train, x_test))
        if train.shape != x_train.shape:
            sentence = _("{baseline} sees the images averaged down to {rows}×{cols}")
            size = {"rows": train.shape[2], "cols": train.shape[3]}
            notes.append(sentence.format(baseline=_(baseline.label), **size))
        train, test = train.reshape(len(train), -1), test.reshape(len(test), -1)
        cost = train.shape[1] * (n_labels if n_labels > 2 else 1)
        limit = max(_MIN_ROWS, baseline.max_work / cost)
        rows = np.arange(len(train))
        if limit < len(rows):
            rows = np.sort(seeds.stream(seed, "baseline", baseline.name).choice(len(rows), int(limit), replace=False))
            sentence = _("{baseline} is fitted on {used} of the {n} training rows, drawn at random, to stay quick")
            counts = {"used": format_count(len(rows)), "n": format_count(len(train))}
            notes.append(sentence.format(baseline=_(baseline.label), **counts))
        with warnings.catch_warnings(), nullcontext() if guess else _threads(len(rows) * cost):
            warnings.simplefilter("ignore")
            outputs[baseline.name] = baseline.fit(task, train[rows], y_train[rows], test, seed, n_labels)
    return outputs, notes


def _averaged(x: np.ndarray, max_inputs: int) -> np.ndarray:
    """Images averaged over the smallest squares that leave at most `max_inputs` numbers; tables as they are."""
    if x.ndim != 4 or x[0].size <= max_inputs:
        return x
    channels, rows, cols = x.shape[1:]
    sides = range(2, max(rows, cols) + 1)
    side = next((s for s in sides if channels * ceil(rows / s) * ceil(cols / s) <= max_inputs), sides[-1])
    x = x.astype(np.float64)
    for axis, size in ((2, rows), (3, cols)):
        starts = np.arange(0, size, side)
        widths = np.diff(np.append(starts, size))
        x = np.add.reduceat(x, starts, axis=axis) / np.expand_dims(widths, tuple(range(1, 4 - axis)))
    return x.astype(np.float32)


def _threads(work: int) -> AbstractContextManager[Any]:
    """One thread for little work, as many as there are for much."""
    if work > _WORTH_THREADS:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    one: AbstractContextManager[Any] = threadpool_limits(1)
    return one


def verdict(task: str, network: Evaluation, baselines: Mapping[str, Evaluation]) -> str:
    """Whether the network beats the best baseline, with figures, and what it means when it does not.

    The judge is the 95% interval of the difference in the main metric on the same test rows, drawn in pairs.
    Of evaluations without draws (read from a file, or made without intervals) only the figures are told.
    """
    measured = {name: e for name, e in baselines.items() if e.main.value is not None}
    if network.main.value is None or not measured:
        why = network.main.why or _("no baseline")
        sentence = _("There is nothing to compare the network with on {rows}: {metric} {value}; {why}.")
        return sentence.format(
            rows=_rows(network.n), metric=_(METRICS[MAIN_METRIC[task]].label), value=network.main, why=why
        )
    best = max(measured, key=lambda name: _signed(measured[name].main))
    words = {"baseline": _(BASELINES[best].label), "figures": _figures(network, measured[best])}
    outcomes = {name: _outcome(network, e) for name, e in measured.items()}
    if outcomes[best] is None:
        return _("The network beside the best baseline ({baseline}): {figures}.").format(**words)
    if outcomes[best] == 1:
        return _("The network beats the best baseline ({baseline}): {figures}.").format(**words)
    if outcomes[best] == -1:
        sentence = _("The network does not beat the best baseline ({baseline}), it does worse: {figures}. {meaning}")
        return sentence.format(**words, meaning=_(BASELINES[best].better))
    sentence = _("The network and the best baseline ({baseline}) cannot be told apart: {figures}. {meaning}")
    simplest = next(name for name in BASELINES if outcomes.get(name, 1) != 1)
    return sentence.format(**words, meaning=_one_answer(network) or _(BASELINES[simplest].as_well))


def _one_answer(network: Evaluation) -> str:
    """What it means when the network answers the same class on every row, and accuracy therefore nothing."""
    ranks = network.metrics.get("roc_auc")
    answered = np.flatnonzero(np.sum(network.confusion or [], axis=0))
    if len(answered) != 1 or ranks is None or ranks.value is None:
        return ""
    return _(_ONE_ANSWER).format(label=network.labels[answered[0]], roc_auc=ranks)


def _signed(metric: Metric) -> float:
    """The value, so that higher is better."""
    assert metric.value is not None
    return metric.value if METRICS[metric.name].higher_is_better else -metric.value


def _difference(network: Evaluation, baseline: Evaluation) -> tuple[float, float, float] | None:
    """The paired difference of the main metric with its interval; None without draws."""
    if network.draws is None or baseline.draws is None:
        return None
    gap = network.draws - baseline.draws
    low, high = gap.interval()[0].tolist()
    return float(gap.value[0]), low, high


def _outcome(network: Evaluation, baseline: Evaluation) -> int | None:
    """1 when the network is better beyond doubt, -1 when it is worse, 0 when the rows cannot tell."""
    difference = _difference(network, baseline)
    if difference is None:
        return None
    _value, low, high = difference
    sign = 1 if METRICS[network.main.name].higher_is_better else -1
    return sign if low > 0 else -sign if high < 0 else 0


def _figures(network: Evaluation, baseline: Evaluation) -> str:
    """Both figures, and their difference with its interval when there is one."""
    definition = METRICS[network.main.name]
    words = {
        "metric": _(definition.label),
        "network": network.main,
        "baseline": baseline.main,
        "rows": _rows(network.n),
    }
    text = _("{metric} {network} against {baseline} on {rows}").format(**words)
    difference = _difference(network, baseline)
    shown = [format_metric(e.main.name, e.main.value) for e in (network, baseline)]
    if network.main.name == "r2" and shown[0] == shown[1] and _outcome(network, baseline):
        # both are nearly perfect: what is left of the error tells them apart
        errors = [format_metric("rmse", e.metrics["rmse"].value) for e in (network, baseline)]
        text = _("{figures} (root mean squared error {network} against {baseline})").format(
            figures=text, network=errors[0], baseline=errors[1]
        )
    if difference is None or not all(np.isfinite(difference)):
        return text
    # what is left beyond six decimals is rounding
    numbers = [round((100 if definition.percent else 1) * number, 6) for number in difference]
    decimals = _decimals(numbers[1:], 1 if definition.percent else 3)
    value, low, high = (("+" if number > 0 else "") + format_decimal(number, decimals) for number in numbers)
    if definition.percent:
        value = _("{difference} points").format(difference=value)
    sentence = _("{figures}, difference {value} ({level} interval {low} to {high})")
    return sentence.format(figures=text, value=value, level=format_percent(0.95), low=low, high=high)


def _decimals(ends: Sequence[float], least: int) -> int:
    """As many decimals as show on which side of zero the ends of an interval lie, four more at most."""
    enough = (n for n in range(least, least + 4) if all(round(end, n) or not end for end in ends))
    return next(enough, least + 4)


def _rows(n: int) -> str:
    return ngettext("{n} test row", "{n} test rows", n).format(n=format_count(n))
