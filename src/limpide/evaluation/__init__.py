"""What a network is worth on rows: metrics with their intervals, and what stands behind them.

Every metric is written once, on row weights (see `stats`), in NumPy: importing scikit-learn takes longer than training
a small network. scikit-learn is the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite, sqrt
from typing import Any, Literal

import numpy as np

from limpide.arrays import first_bad, show_shape
from limpide.catalogue import Catalogue
from limpide.errors import DataError, ShapeError, UnknownName, problem
from limpide.evaluation.sums import ClassRows, Curve, class_tables, classification, regression, residual_table
from limpide.i18n import N_, _, format_count, format_decimal, format_number, format_percent, ngettext
from limpide.markup import table
from limpide.stats import Resamples, resample, wilson

MAIN_METRIC = {"regression": "r2", "binary": "accuracy", "multiclass": "accuracy"}
"""What a task is judged by."""

LARGEST = 1e150
"""Above it a square is no longer a number."""


@dataclass(frozen=True)
class MetricDefinition:
    """A metric as the literature defines it.

    explanation  a line for someone who meets it for the first time
    bounds       what values it can take
    interval     how its 95% interval is had; "none": resampling a sum of absolute gaps is biased upwards
    """

    name: str
    label: str
    explanation: str
    tasks: tuple[str, ...]
    higher_is_better: bool
    percent: bool
    formula: str
    source: str
    bounds: tuple[float, float] = (0.0, 1.0)
    interval: Literal["bootstrap", "wilson", "none"] = "bootstrap"


_CLASSES, _BINARY, _NUMBERS = ("binary", "multiclass"), ("binary",), ("regression",)
_RETRIEVAL = "van Rijsbergen 1979, Information Retrieval, chapter 7"
_LOSSES = "Gauss 1821, Theoria combinationis observationum"

METRICS: Catalogue[MetricDefinition] = Catalogue(N_("metric"))
for _row in (
    MetricDefinition(
        "accuracy", N_("accuracy"), N_("The share of answers that are right."),
        _CLASSES, True, True, "1/n Σ [ŷ = y]", "interval: Wilson 1927", interval="wilson"),
    MetricDefinition(
        "precision_macro", N_("precision (macro)"),
        N_("Of the answers that name a class, the share that is right; the mean over the classes."),
        _CLASSES, True, True, "1/C Σ TP/(TP+FP)", _RETRIEVAL),
    MetricDefinition(
        "recall_macro", N_("recall (macro)"),
        N_("Of the examples of a class, the share that is found; the mean over the classes."),
        _CLASSES, True, True, "1/C Σ TP/(TP+FN)", _RETRIEVAL),
    MetricDefinition(
        "f1_macro", N_("F1 (macro)"),
        N_("The balance of precision and recall, from 0 to 1; the mean over the classes."),
        _CLASSES, True, True, "1/C Σ 2TP/(2TP+FP+FN)", _RETRIEVAL),
    MetricDefinition(
        "precision_weighted", N_("precision (weighted)"),
        N_("Precision, where a class counts as much as it has examples."),
        _CLASSES, True, True, "Σ n_c/n · TP/(TP+FP)", _RETRIEVAL),
    MetricDefinition(
        "recall_weighted", N_("recall (weighted)"),
        N_("Recall, where a class counts as much as it has examples: the same as accuracy."),
        _CLASSES, True, True, "Σ n_c/n · TP/(TP+FN)", _RETRIEVAL, interval="wilson"),
    MetricDefinition(
        "f1_weighted", N_("F1 (weighted)"), N_("F1, where a class counts as much as it has examples."),
        _CLASSES, True, True, "Σ n_c/n · 2TP/(2TP+FP+FN)", _RETRIEVAL),
    MetricDefinition(
        "roc_auc", N_("ROC-AUC"),
        N_("The chance that an example of a class scores higher than one of another; 0.5 is guessing, 1 perfect."),
        _CLASSES, True, False, N_("P(s₊ > s₋) + ½ P(s₊ = s₋); several classes: mean of each one against the rest"),
        "Hanley and McNeil 1982, Radiology 143, 29-36"),
    MetricDefinition(
        "log_loss", N_("log-loss"),
        N_("How surprised the network is by the truth: 0 is perfect, a confident mistake costs a lot."),
        _CLASSES, False, False, "-1/n Σ ln max(p_y, 2.2e-16)", "Good 1952, Rational Decisions", (0.0, inf)),
    MetricDefinition(
        "brier", N_("Brier score"),
        N_("The mean squared gap between the probability given and what happened; 0 is perfect."),
        _BINARY, False, False, "1/n Σ (p₁ - y)²", "Brier 1950, Monthly Weather Review 78, 1-3"),
    MetricDefinition(
        "calibration_error", N_("calibration error"),
        N_("How far the confidence given lies from the share that is right, on average; 0 is perfect."),
        _CLASSES, False, True, N_("Σ_b n_b/n · |accuracy_b - confidence_b|, 10 equal bins of the highest probability"),
        "Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3", interval="none"),
    MetricDefinition(
        "mse", N_("mean squared error"), N_("The mean of the squared errors: large errors weigh most."),
        _NUMBERS, False, False, "1/n Σ (ŷ - y)²", _LOSSES, (0.0, inf)),
    MetricDefinition(
        "rmse", N_("root mean squared error"),
        N_("The square root of the MSE: the size of a typical error, in the target's unit."),
        _NUMBERS, False, False, "√MSE", _LOSSES, (0.0, inf)),
    MetricDefinition(
        "mae", N_("mean absolute error"), N_("The mean size of the errors, in the target's unit."),
        _NUMBERS, False, False, "1/n Σ |ŷ - y|", "Laplace 1774, Mémoire sur la probabilité des causes", (0.0, inf)),
    MetricDefinition(
        "median_absolute_error", N_("median absolute error"),
        N_("Half of the errors are smaller than this, in the target's unit."),
        _NUMBERS, False, False, "median |ŷ - y|", "Hampel 1974, The Influence Curve", (0.0, inf)),
    MetricDefinition(
        "r2", N_("R²"),
        N_("The share of the target's variation that is explained: 1 is perfect, 0 no better than always the mean."),
        _NUMBERS, True, False, "1 - Σ (ŷ - y)² / Σ (y - ȳ)²", "Wright 1921, Correlation and Causation", (-inf, 1.0)),
):  # fmt: skip
    METRICS.add(_row)


@dataclass(frozen=True)
class Metric:
    """A figure with its 95% interval.

    value  None when the rows leave it undefined; `why` then says so
    low    None when there is no interval
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""

    def __str__(self) -> str:
        text = format_metric(self.name, self.value)
        if self.low is None or self.high is None:
            return text
        low, high = format_metric(self.name, self.low), format_metric(self.name, self.high)
        return _("{value} ({low} to {high})").format(value=text, low=low, high=high)


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on some rows; plain numbers, lists and words, ready for JSON.

    confusion    rows are true classes, columns are predicted ones
    per_class    by label: precision, recall, f1 (None where 0/0), support
    calibration  for each non-empty bin of the highest probability: confidence, accuracy, n
    roc          by label (the second one when there are two): fpr, tpr
    residuals    truth minus prediction: mean, sd, min, q05, q25, median, q75, q95, max, histogram {edges, counts}
    draws        the resamples of the main metric, for a paired comparison; neither saved nor compared
    ranked       how many rows ROC-AUC, medians and quantiles were taken on, where not all could be held; else None
    """

    task: str
    n: int
    metrics: dict[str, Metric]
    labels: tuple[str, ...] = ()
    confusion: list[list[int]] | None = None
    per_class: dict[str, dict[str, float | None]] | None = None
    calibration: list[dict[str, float]] | None = None
    roc: dict[str, dict[str, list[float]]] | None = None
    residuals: dict[str, Any] | None = None
    draws: Resamples | None = field(default=None, repr=False, compare=False)
    ranked: int | None = None

    @property
    def main(self) -> Metric:
        """The metric the task is judged by."""
        return self.metrics[MAIN_METRIC[self.task]]

    def __str__(self) -> str:
        return "\n".join(" ".join(row) for row in self._rows())

    def __repr__(self) -> str:
        rows = ngettext("{n} row", "{n} rows", self.n).format(n=format_count(self.n))
        return f"<Evaluation: {_(METRICS[self.main.name].label)} {self.main}, {rows}>"

    def to_dict(self) -> dict[str, Any]:
        """JSON: no NaN, no array."""
        tables = {name: getattr(self, name) for name in ("confusion", "per_class", "calibration", "roc", "residuals")}
        metrics = {name: asdict(metric) for name, metric in self.metrics.items()}
        ranked = {} if self.ranked is None else {"ranked": self.ranked}
        return {"task": self.task, "n": self.n, "labels": list(self.labels), "metrics": metrics, **tables, **ranked}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Evaluation:
        """What `to_dict` wrote."""
        metrics = {name: Metric(**metric) for name, metric in saved["metrics"].items()}
        return cls(**{**saved, "metrics": metrics, "labels": tuple(saved["labels"])})

    def _repr_html_(self) -> str:
        return table((_("metric"), _("value")), self._rows(), (1,))

    def _rows(self) -> list[tuple[str, str]]:
        """Each metric with its interval, the main one first."""
        names = sorted(self.metrics, key=lambda name: name != self.main.name)
        return [(_(METRICS[name].label), str(self.metrics[name])) for name in names]


def format_metric(name: str, value: float | None) -> str:
    """A metric as people read it, in the user's language: a percentage, three decimals, or four digits.

    >>> format_metric("accuracy", 0.9722), format_metric("r2", 0.5), format_metric("rmse", 53.12345)
    ('97.2%', '0.500', '53.12')
    """
    definition = METRICS[name]
    if value is None or not isfinite(value):
        return "–"
    if definition.percent:
        decimals = 2 if 0.999 < value < 1 else 1
        return format_percent(value, decimals)
    return format_decimal(value, 3) if definition.bounds[1] == 1 else format_number(value)


def quick_metrics(
    task: str, truth: np.ndarray, outputs: np.ndarray, around_mean: float | None = None
) -> dict[str, float]:
    """The metrics of every epoch, in a few microseconds: accuracy, or R² and RMSE; arguments as for `evaluate`.

    R² is NaN when the true values are all equal.

    around_mean  `squares_around_mean(truth)`, where it is known already

    >>> quick_metrics("regression", np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    {'r2': 0.5, 'rmse': 0.5773502691896257}
    """
    n = len(truth)
    if task != "regression":
        return {"accuracy": np.count_nonzero(outputs.argmax(1) == truth) / n}
    error = np.subtract(outputs, truth, dtype=np.float64)
    squares, spread = float(error @ error), squares_around_mean(truth) if around_mean is None else around_mean
    return {"r2": 1 - squares / spread if spread > 0 else float("nan"), "rmse": sqrt(squares / n)}


def squares_around_mean(truth: np.ndarray) -> float:
    """Σ (y - ȳ)²; exactly 0 when all values are equal, whatever rounding makes of their mean.

    >>> squares_around_mean(np.array([1.0, 2.0, 3.0])), squares_around_mean(np.full(3, 0.1))
    (2.0, 0.0)
    """
    if (truth == truth[0]).all():
        return 0.0
    centred = truth - np.add.reduce(truth, dtype=np.float64) / len(truth)
    return float(centred @ centred)


def evaluate(
    task: str,
    truth: np.ndarray,
    outputs: np.ndarray,
    labels: Sequence[str] = (),
    intervals: bool = True,
    seed: int = 0,
    n_boot: int = 1000,
) -> Evaluation:
    """Everything worth measuring, with intervals.

    truth    regression: numbers (rows,); classification: class numbers (rows,)
    outputs  regression: predictions (rows,); classification: probabilities (rows, classes), two columns for binary
    labels   the word of each class; without it, its number
    seed     two evaluations of the same rows with the same seed can be compared in pairs
    n_boot   draws of the bootstrap; rows beyond `stats.BOOTSTRAP_ROWS` are jackknifed instead
    Raises   ShapeError, DataError   sizes that do not fit, no row, NaN, a class number out of range
    """
    if task not in MAIN_METRIC:
        raise UnknownName("task", task, MAIN_METRIC)
    check_measurable(task, truth, outputs, labels)
    truth, outputs = np.asarray(truth), np.asarray(outputs, dtype=np.float64)
    if task == "regression":
        truth = truth.astype(np.float64)
        tables: dict[str, Any] = {"residuals": residual_table(truth - outputs)}
        statistic = regression(truth, outputs)
    else:
        words = tuple(str(label) for label in labels) or tuple(str(i) for i in range(outputs.shape[1]))
        truth = truth.astype(np.int64)
        rows = ClassRows(truth, outputs, task == "binary")
        found = class_tables(rows.confusion(), rows.calibration(), words, Curve(truth, outputs))
        tables = {"labels": words, **found}
        statistic = classification(truth, outputs, task == "binary")
    draws = resample(statistic, len(truth), seed, n_boot if intervals else 0)
    return gather(task, draws, len(truth), intervals, **tables)


def gather(task: str, draws: Resamples, n: int, intervals: bool = True, **tables: Any) -> Evaluation:
    """The evaluation of n rows.

    draws   of the metrics of the task, in the order of `METRICS`
    tables  the other fields of an `Evaluation`
    """
    names = [row.name for row in METRICS.rows() if task in row.tasks]
    column = names.index(MAIN_METRIC[task])
    paired = Resamples(draws.value[[column]], draws.draws[:, [column]], draws.method) if intervals else None
    return Evaluation(task, n, _metrics(names, draws, n, intervals), draws=paired, **tables)


def check_measurable(task: str, truth: np.ndarray, outputs: np.ndarray, labels: Sequence[str]) -> None:
    """ShapeError or DataError for what `evaluate` refuses."""
    truth, outputs = np.asarray(truth), np.asarray(outputs)
    where, n = _("evaluation"), len(truth)
    if n == 0:
        raise DataError(problem(where, _("at least one row"), _("none")))
    shape = f"({n},)" if task == "regression" else f"({n}, {len(labels) or 'classes'})"
    fits = outputs.ndim == (1 if task == "regression" else 2) and len(outputs) == n and truth.ndim == 1
    if not fits or (labels and outputs.shape[1] != len(labels)):
        raise ShapeError(problem(where, _("outputs of shape {shape}").format(shape=shape), show_shape(outputs.shape)))
    for name, array in ((_("outputs"), outputs), (_("true values"), truth)):
        if not (np.abs(array) < LARGEST).all():
            got = first_bad(array) or format_number(float(np.abs(array).max()))
            raise DataError(problem(where, _("{what} below {limit}").format(what=name, limit=LARGEST), got))
    if task != "regression" and not (truth.min() >= 0 and truth.max() < outputs.shape[1]):
        got = f"{truth.min()} ... {truth.max()}"
        raise DataError(problem(where, _("class numbers below {n}").format(n=outputs.shape[1]), got))


def _metrics(names: list[str], draws: Resamples, n: int, intervals: bool) -> dict[str, Metric]:
    """Each value with its interval, or the reason it has none."""
    bounds = draws.interval() if intervals else np.full((len(names), 2), np.nan)
    metrics = {}
    for name, value, (low, high) in zip(names, draws.value.tolist(), bounds.tolist(), strict=True):
        definition = METRICS[name]
        if not isfinite(value):
            one_class = _("these rows are all of one class")
            metrics[name] = Metric(
                name, None, why=one_class if name == "roc_auc" else _("the true values are all equal")
            )
            continue
        if definition.interval == "wilson" and intervals:
            low, high = wilson(round(value * n), n)
        if definition.interval == "none" or not (isfinite(low) and isfinite(high)):
            metrics[name] = Metric(name, value)
        else:
            metrics[name] = Metric(name, value, max(low, definition.bounds[0]), min(high, definition.bounds[1]))
    return metrics
