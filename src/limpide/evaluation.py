"""What a network is worth on rows: metrics with their intervals, and what stands behind them.

Every metric is written once, on row weights (see `stats`), in NumPy: importing scikit-learn takes longer than training
a small network. scikit-learn is the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite, sqrt
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from limpide.arrays import first_bad, show_shape
from limpide.catalogue import Catalogue
from limpide.errors import DataError, ShapeError, UnknownName, problem
from limpide.i18n import N_, _, format_decimal, format_number
from limpide.markup import table
from limpide.stats import Resamples, Statistic, resample, wilson

MAIN_METRIC = {"regression": "r2", "binary": "accuracy", "multiclass": "accuracy"}
"""What a task is judged by."""

CALIBRATION_BINS, HISTOGRAM_BINS, ROC_POINTS = 10, 20, 101
LARGEST = 1e150
"""Above it a square is no longer a number."""


@dataclass(frozen=True)
class MetricDefinition:
    """A metric as the literature defines it.

    bounds    what values it can take
    interval  how its 95 % interval is had; "none": resampling a sum of absolute gaps is biased upwards
    """

    name: str
    label: str
    tasks: tuple[str, ...]
    higher_is_better: bool
    percent: bool
    formula: str
    source: str
    bounds: tuple[float, float] = (0.0, 1.0)
    interval: Literal["bootstrap", "wilson", "none"] = "bootstrap"


_CLASSES, _BINARY, _NUMBERS = ("binary", "multiclass"), ("binary",), ("regression",)
_RETRIEVAL = "van Rijsbergen 1979, Information Retrieval, chapter 7"
_RANKS = "Hanley and McNeil 1982, Radiology 143, 29-36"
_LOSSES = "Gauss 1821, Theoria combinationis observationum"

METRICS: Catalogue[MetricDefinition] = Catalogue(N_("metric"))
for _row in (
    MetricDefinition("accuracy", N_("accuracy"), _CLASSES, True, True, "1/n Σ [ŷ = y]", "interval: Wilson 1927",
                     interval="wilson"),
    MetricDefinition("precision_macro", N_("precision (macro)"), _CLASSES, True, True, "1/C Σ TP/(TP+FP)", _RETRIEVAL),
    MetricDefinition("recall_macro", N_("recall (macro)"), _CLASSES, True, True, "1/C Σ TP/(TP+FN)", _RETRIEVAL),
    MetricDefinition("f1_macro", N_("F1 (macro)"), _CLASSES, True, True, "1/C Σ 2TP/(2TP+FP+FN)", _RETRIEVAL),
    MetricDefinition("precision_weighted", N_("precision (weighted)"), _CLASSES, True, True, "Σ n_c/n · TP/(TP+FP)",
                     _RETRIEVAL),
    MetricDefinition("recall_weighted", N_("recall (weighted)"), _CLASSES, True, True, "Σ n_c/n · TP/(TP+FN)",
                     _RETRIEVAL, interval="wilson"),
    MetricDefinition("f1_weighted", N_("F1 (weighted)"), _CLASSES, True, True, "Σ n_c/n · 2TP/(2TP+FP+FN)", _RETRIEVAL),
    MetricDefinition("roc_auc", N_("ROC-AUC"), _CLASSES, True, False,
                     N_("P(s₊ > s₋) + ½ P(s₊ = s₋); several classes: mean of each one against the rest"), _RANKS),
    MetricDefinition("log_loss", N_("log-loss"), _CLASSES, False, False, "-1/n Σ ln max(p_y, 2.2e-16)",
                     "Good 1952, Rational Decisions", (0.0, inf)),
    MetricDefinition("brier", N_("Brier score"), _BINARY, False, False, "1/n Σ (p₁ - y)²",
                     "Brier 1950, Monthly Weather Review 78, 1-3"),
    MetricDefinition("calibration_error", N_("calibration error"), _CLASSES, False, True,
                     N_("Σ_b n_b/n · |accuracy_b - confidence_b|, 10 equal bins of the highest probability"),
                     "Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3", interval="none"),
    MetricDefinition("mse", N_("mean squared error"), _NUMBERS, False, False, "1/n Σ (ŷ - y)²", _LOSSES, (0.0, inf)),
    MetricDefinition("rmse", N_("root mean squared error"), _NUMBERS, False, False, "√MSE", _LOSSES, (0.0, inf)),
    MetricDefinition("mae", N_("mean absolute error"), _NUMBERS, False, False, "1/n Σ |ŷ - y|",
                     "Laplace 1774, Mémoire sur la probabilité des causes", (0.0, inf)),
    MetricDefinition("median_absolute_error", N_("median absolute error"), _NUMBERS, False, False, "median |ŷ - y|",
                     "Hampel 1974, The Influence Curve", (0.0, inf)),
    MetricDefinition("r2", N_("R²"), _NUMBERS, True, False, "1 - Σ (ŷ - y)² / Σ (y - ȳ)²",
                     "Wright 1921, Correlation and Causation", (-inf, 1.0)),
):  # fmt: skip
    METRICS.add(_row)


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval.

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

    @property
    def main(self) -> Metric:
        """The metric the task is judged by."""
        return self.metrics[MAIN_METRIC[self.task]]

    def to_dict(self) -> dict[str, Any]:
        """JSON: no NaN, no array."""
        tables = {name: getattr(self, name) for name in ("confusion", "per_class", "calibration", "roc", "residuals")}
        metrics = {name: asdict(metric) for name, metric in self.metrics.items()}
        return {"task": self.task, "n": self.n, "labels": list(self.labels), "metrics": metrics, **tables}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Evaluation:
        """What `to_dict` wrote."""
        metrics = {name: Metric(**metric) for name, metric in saved["metrics"].items()}
        return cls(**{**saved, "metrics": metrics, "labels": tuple(saved["labels"])})

    def _repr_html_(self) -> str:
        return table((_("metric"), _("value")), [(_(METRICS[n].label), str(m)) for n, m in self.metrics.items()], (1,))


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
        return _("{number}%").format(number=format_decimal(100 * value, decimals))
    return format_decimal(value, 3) if definition.bounds[1] == 1 else format_number(value)


def quick_metrics(task: str, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """The metrics of every epoch, in a few microseconds: accuracy, or R² and RMSE; arguments as for `evaluate`.

    R² is NaN when the true values are all equal.

    >>> quick_metrics("regression", np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    {'r2': 0.5, 'rmse': 0.5773502691896257}
    """
    n = len(truth)
    if task != "regression":
        return {"accuracy": np.count_nonzero(outputs.argmax(1) == truth) / n}
    error = np.subtract(outputs, truth, dtype=np.float64)
    centred = truth - np.add.reduce(truth, dtype=np.float64) / n
    squares, spread = float(error @ error), float(centred @ centred)
    return {"r2": 1 - squares / spread if spread > 0 else float("nan"), "rmse": sqrt(squares / n)}


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
    _check(task, truth, outputs, labels)
    truth, outputs = np.asarray(truth), np.asarray(outputs, dtype=np.float64)
    names = [row.name for row in METRICS.rows() if task in row.tasks]
    if task == "regression":
        truth = truth.astype(np.float64)
        tables: dict[str, Any] = {"residuals": _residuals(truth - outputs)}
        statistic = _regression(truth, outputs)
    else:
        words = tuple(str(label) for label in labels) or tuple(str(i) for i in range(outputs.shape[1]))
        truth = truth.astype(np.int64)
        tables = {"labels": words, **_classification_tables(truth, outputs, words)}
        statistic = _classification(task, truth, outputs)
    draws = resample(statistic, len(truth), seed, n_boot if intervals else 0)
    metrics = _metrics(names, draws, len(truth), intervals)
    column = names.index(MAIN_METRIC[task])
    paired = Resamples(draws.value[[column]], draws.draws[:, [column]], draws.method) if intervals else None
    return Evaluation(task, len(truth), metrics, draws=paired, **tables)


def _check(task: str, truth: np.ndarray, outputs: np.ndarray, labels: Sequence[str]) -> None:
    """Refuse what cannot be measured."""
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


def _regression(truth: Float[np.ndarray, " rows"], outputs: Float[np.ndarray, " rows"]) -> Statistic:
    """MSE, RMSE, MAE, median absolute error, R²."""
    sizes = np.abs(outputs - truth)
    order = np.argsort(sizes)
    in_order = sizes[order]
    centred = truth - truth.mean() if np.ptp(truth) > 0 else np.zeros(len(truth))
    columns = np.stack([sizes**2, sizes, centred, centred**2], axis=1)
    smallest_spread = 1e-12 * columns[:, 3].mean()

    def statistic(w: np.ndarray) -> np.ndarray:
        total = w.sum(1)
        mse, mae, mean, square = (w @ columns / total[:, None]).T
        spread = square - mean**2
        r2 = 1 - mse / np.where(spread > smallest_spread, spread, np.nan)
        reached = np.cumsum(w[:, order], axis=1)
        middle = [(reached <= rank[:, None]).sum(1) for rank in ((total - 1) // 2, total // 2)]
        median = (in_order[middle[0]] + in_order[middle[1]]) / 2
        return np.stack([mse, np.sqrt(mse), mae, median, r2], axis=1)

    return statistic


def _classification(
    task: str, truth: Int[np.ndarray, " rows"], outputs: Float[np.ndarray, "rows classes"]
) -> Statistic:
    """The metrics of `METRICS` in its order, calibration error last."""
    n_classes = outputs.shape[1]
    predicted = outputs.argmax(1)
    right = predicted == truth
    own = outputs[np.arange(len(truth)), truth]
    losses = [-np.log(np.maximum(own, np.finfo(np.float64).eps))]
    if task == "binary":
        losses.append((1 - own) ** 2)
    columns = np.stack(losses, axis=1)
    positives = [1] if task == "binary" else list(range(n_classes))
    aucs = [_auc(outputs[:, k], truth == k) for k in positives]
    bins = _bins(outputs.max(1))
    gaps = right - outputs.max(1)

    def statistic(w: np.ndarray) -> np.ndarray:
        total = w.sum(1)
        support, answered = (_sums(w, k, n_classes) for k in (truth, predicted))
        hits = _sums(w * right, truth, n_classes)
        met = support + answered > 0
        precision = hits / np.maximum(answered, 1)
        recall = hits / np.maximum(support, 1)
        f1 = 2 * hits / np.maximum(support + answered, 1)
        macro = [(score * met).sum(1) / met.sum(1) for score in (precision, recall, f1)]
        weighted = [(score * support).sum(1) / total for score in (precision, recall, f1)]
        auc = np.stack([one(w) for one in aucs], axis=1)
        defined = np.isfinite(auc)
        mean_auc = np.where(defined, auc, 0).sum(1) / defined.sum(1)
        calibration = np.abs(_sums(w * gaps, bins, CALIBRATION_BINS)).sum(1) / total
        means = (w @ columns / total[:, None]).T
        return np.stack([hits.sum(1) / total, *macro, *weighted, mean_auc, *means, calibration], axis=1)

    return statistic


def _sums(w: Float[np.ndarray, "draws rows"], group: Int[np.ndarray, " rows"], n_groups: int) -> np.ndarray:
    """The weight of each group in each draw."""
    index = group + n_groups * np.arange(len(w))[:, None]
    return np.bincount(index.ravel(), weights=w.ravel(), minlength=len(w) * n_groups).reshape(len(w), n_groups)


def _auc(score: Float[np.ndarray, " rows"], positive: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The area under the ROC curve as Mann and Whitney count it; NaN without positives or without negatives."""
    ups, downs = np.flatnonzero(positive), np.flatnonzero(~positive)
    downs = downs[np.argsort(score[downs])]
    below = np.searchsorted(score[downs], score[ups], "left")
    up_to = np.searchsorted(score[downs], score[ups], "right")

    def statistic(w: np.ndarray) -> np.ndarray:
        beaten = np.zeros((len(w), len(downs) + 1))
        np.cumsum(w[:, downs], axis=1, out=beaten[:, 1:])
        weight = w[:, ups]
        area: np.ndarray = (weight * (beaten[:, below] + beaten[:, up_to])).sum(1) / (2 * weight.sum(1) * beaten[:, -1])
        return area

    return statistic


def _bins(confidence: Float[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """The bin ]a, b] of each confidence; 0 belongs to the first."""
    return np.searchsorted(np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1], confidence, "left")


def _classification_tables(truth: np.ndarray, outputs: np.ndarray, labels: tuple[str, ...]) -> dict[str, Any]:
    """Confusion matrix, table of classes, calibration and ROC curves."""
    k = len(labels)
    predicted, confidence = outputs.argmax(1), outputs.max(1)
    confusion = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    hits, support, answered = confusion.diagonal().tolist(), confusion.sum(1).tolist(), confusion.sum(0).tolist()
    per_class = {
        label: {
            "precision": hits[i] / answered[i] if answered[i] else None,
            "recall": hits[i] / support[i] if support[i] else None,
            "f1": 2 * hits[i] / (answered[i] + support[i]) if answered[i] + support[i] else None,
            "support": support[i],
        }
        for i, label in enumerate(labels)
    }
    bins, calibration = _bins(confidence), []
    for b in np.unique(bins):
        inside = bins == b
        right = float((predicted == truth)[inside].mean())
        calibration.append({"confidence": float(confidence[inside].mean()), "accuracy": right, "n": int(inside.sum())})
    shown = [1] if k == 2 else [i for i in range(k) if 0 < support[i] < len(truth)]
    roc = {labels[i]: _roc(outputs[:, i], truth == i) for i in shown if 0 < support[i] < len(truth)}
    return {"confusion": confusion.tolist(), "per_class": per_class, "calibration": calibration, "roc": roc}


def _roc(score: Float[np.ndarray, " rows"], positive: np.ndarray) -> dict[str, list[float]]:
    """The ROC curve from (0, 0) to (1, 1), at most `ROC_POINTS` points: false against true positive rate."""
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    ups, downs = np.cumsum(positive[order])[last_of_ties], np.cumsum(~positive[order])[last_of_ties]
    tpr, fpr = np.append(0, ups / ups[-1]), np.append(0, downs / downs[-1])
    kept = np.unique(np.linspace(0, len(tpr) - 1, ROC_POINTS).round().astype(int))
    return {"fpr": fpr[kept].tolist(), "tpr": tpr[kept].tolist()}


def _residuals(residual: Float[np.ndarray, " rows"]) -> dict[str, Any]:
    """The summary of truth minus prediction."""
    low, q05, q25, median, q75, q95, high = np.percentile(residual, (0, 5, 25, 50, 75, 95, 100)).tolist()
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    counts, edges = (
        (np.array([len(residual)]), np.array([low, high])) if flat else np.histogram(residual, HISTOGRAM_BINS)
    )
    return {
        "mean": float(residual.mean()),
        "sd": float(residual.std(ddof=1)) if len(residual) > 1 else 0.0,
        **{"min": low, "q05": q05, "q25": q25, "median": median, "q75": q75, "q95": q95, "max": high},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
