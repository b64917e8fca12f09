"""What is summed over rows, and the metrics that the sums give.

Sums are taken over weighted rows, as a bootstrap draws them, or of each group of rows, as a jackknife leaves them out
and as pieces of a large table bring them. What needs rows in order, a median or the area under a ROC curve, is no sum:
it is taken of rows that are held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from limpide.stats import Statistic

CALIBRATION_BINS, HISTOGRAM_BINS, ROC_POINTS = 10, 20, 101
SMALLEST_SPREAD = 1e-12
"""Of the mean square: below it true values are all equal but for rounding."""

Sums = tuple[np.ndarray, ...]
"""Each (draws, numbers) or (groups, numbers)."""

Add = Callable[[np.ndarray | None, np.ndarray | None, int], np.ndarray]
"""From a value and a class number of each row, and the number of classes, to the sum of each class in each draw or
group; None is 1 for every value, or the one class there is."""


def weighted(w: Float[np.ndarray, "draws rows"]) -> Add:
    """Sums over rows that have a weight in each draw."""

    def add(values: np.ndarray | None, classes: np.ndarray | None, n_classes: int) -> np.ndarray:
        if classes is None:
            total: np.ndarray = w.sum(1) if values is None else w @ values
            return total[:, None]
        each = w if values is None else w * values
        index = classes + n_classes * np.arange(len(w))[:, None]
        sums = np.bincount(index.ravel(), weights=each.ravel(), minlength=len(w) * n_classes)
        return sums.reshape(len(w), n_classes)

    return add


def grouped(group: Int[np.ndarray, " rows"], n_groups: int) -> Add:
    """Sums over the rows of each group."""

    def add(values: np.ndarray | None, classes: np.ndarray | None, n_classes: int) -> np.ndarray:
        index = group if classes is None else n_classes * group + classes
        return np.bincount(index, values, n_groups * n_classes).reshape(n_groups, n_classes)

    return add


class NumberRows:
    """Rows of a regression."""

    def __init__(self, truth: np.ndarray, outputs: np.ndarray, centre: float) -> None:
        """centre  near the true values, so that their spread is not lost in rounding"""
        self.residual, self.centred = truth - outputs, truth - centre
        self.sizes = np.abs(self.residual)

    def sums(self, add: Add) -> Sums:
        """Rows, residuals, their squares and sizes, true values and their squares."""
        each = (None, self.residual, self.residual**2, self.sizes, self.centred, self.centred**2)
        return (np.concatenate([add(values, None, 1) for values in each], axis=1),)

    def ranks(self) -> Statistic:
        """The median of the sizes."""
        order = np.argsort(self.sizes)
        in_order = self.sizes[order]

        def statistic(w: np.ndarray) -> np.ndarray:
            reached, total = np.cumsum(w[:, order], axis=1), w.sum(1)
            middle = [(reached <= rank[:, None]).sum(1) for rank in ((total - 1) // 2, total // 2)]
            median: np.ndarray = (in_order[middle[0]] + in_order[middle[1]]) / 2
            return median[:, None]

        return statistic


def number_metrics(sums: Sums, ranks: np.ndarray, mean_square: float) -> np.ndarray:
    """MSE, RMSE, MAE, median absolute error, R².

    mean_square  of the true values, centred
    """
    total, _residual, squares, sizes, centred, centred_squares = sums[0].T
    mse, spread = squares / total, centred_squares / total - (centred / total) ** 2
    r2 = 1 - mse / np.where(spread > SMALLEST_SPREAD * mean_square, spread, np.nan)
    return np.stack([mse, np.sqrt(mse), sizes / total, ranks[:, 0], r2], axis=1)


def regression(truth: Float[np.ndarray, " rows"], outputs: Float[np.ndarray, " rows"]) -> Statistic:
    """The metrics of a regression, of weighted rows."""
    rows = NumberRows(truth, outputs, truth.mean() if np.ptp(truth) > 0 else truth[0])
    ranks, mean_square = rows.ranks(), float((rows.centred**2).mean())
    return lambda w: number_metrics(rows.sums(weighted(w)), ranks(w), mean_square)


class ClassRows:
    """Rows of a classification."""

    def __init__(self, truth: np.ndarray, outputs: np.ndarray, is_binary: bool) -> None:
        self.truth, self.outputs, self.is_binary = truth, outputs, is_binary
        self.n_classes = outputs.shape[1]
        self.predicted, self.confidence = outputs.argmax(1), outputs.max(1)
        self.right = (self.predicted == truth).astype(np.float64)
        self.bins = _bins(self.confidence)
        own = outputs[np.arange(len(truth)), truth]
        self.losses = [-np.log(np.maximum(own, np.finfo(np.float64).eps))]
        if is_binary:
            self.losses.append((1 - own) ** 2)

    def sums(self, add: Add) -> Sums:
        """By class: rows, answers, hits; losses; by bin of confidence: hits less confidence."""
        k = self.n_classes
        by_class = add(None, self.truth, k), add(None, self.predicted, k), add(self.right, self.truth, k)
        losses = np.concatenate([add(loss, None, 1) for loss in self.losses], axis=1)
        return *by_class, losses, add(self.right - self.confidence, self.bins, CALIBRATION_BINS)

    def ranks(self) -> Statistic:
        """The area under the ROC curve of each class against the rest; of two classes, of the second."""
        positives = [1] if self.is_binary else list(range(self.n_classes))
        areas = [_auc(self.outputs[:, k], self.truth == k) for k in positives]
        return lambda w: np.stack([area(w) for area in areas], axis=1)

    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """Rows are true classes, columns are predicted ones."""
        k = self.n_classes
        return np.bincount(self.truth * k + self.predicted, minlength=k * k).reshape(k, k)

    def calibration(self) -> Float[np.ndarray, "3 bins"]:
        """Of each bin: rows, confidence, hits."""
        weights = (None, self.confidence, self.right)
        return np.stack([np.bincount(self.bins, of, CALIBRATION_BINS) for of in weights]).astype(np.float64)


def class_metrics(sums: Sums, ranks: np.ndarray) -> np.ndarray:
    """The metrics of classes in the order of `METRICS`, calibration error last."""
    support, answered, hits, losses, gaps = sums
    total = support.sum(1)
    met = support + answered > 0
    precision = hits / np.maximum(answered, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + answered, 1)
    macro = [(score * met).sum(1) / met.sum(1) for score in (precision, recall, f1)]
    of_rows = [(score * support).sum(1) / total for score in (precision, recall, f1)]
    defined = np.isfinite(ranks)
    auc = np.where(defined, ranks, 0).sum(1) / defined.sum(1)
    return np.stack(
        [hits.sum(1) / total, *macro, *of_rows, auc, *(losses / total[:, None]).T, np.abs(gaps).sum(1) / total], axis=1
    )


def classification(truth: Int[np.ndarray, " rows"], outputs: np.ndarray, is_binary: bool) -> Statistic:
    """The metrics of a classification, of weighted rows."""
    rows = ClassRows(truth, outputs, is_binary)
    ranks = rows.ranks()
    return lambda w: class_metrics(rows.sums(weighted(w)), ranks(w))


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


class Curve(NamedTuple):
    """Rows that ROC curves are drawn of."""

    truth: np.ndarray
    outputs: np.ndarray


def class_tables(
    confusion: np.ndarray, calibration: Float[np.ndarray, "3 bins"], labels: Sequence[str], rows: Curve
) -> dict[str, Any]:
    """Confusion matrix, table of classes, calibration and ROC curves."""
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
    bins = [
        {"confidence": confidence / n, "accuracy": right / n, "n": int(n)}
        for n, confidence, right in calibration.T.tolist()
        if n
    ]
    shown = [1] if len(labels) == 2 else range(len(labels))
    held = np.bincount(rows.truth, minlength=len(labels)).tolist()
    roc = {
        labels[i]: _roc(rows.outputs[:, i], rows.truth == i) for i in shown if 0 < held[i] < len(rows.truth)
    }  # fmt: skip
    return {"confusion": confusion.tolist(), "per_class": per_class, "calibration": bins, "roc": roc}


def _roc(score: Float[np.ndarray, " rows"], positive: np.ndarray) -> dict[str, list[float]]:
    """The ROC curve from (0, 0) to (1, 1), at most `ROC_POINTS` points: false against true positive rate."""
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    ups, downs = np.cumsum(positive[order])[last_of_ties], np.cumsum(~positive[order])[last_of_ties]
    tpr, fpr = np.append(0, ups / ups[-1]), np.append(0, downs / downs[-1])
    kept = np.unique(np.linspace(0, len(tpr) - 1, ROC_POINTS).round().astype(int))
    return {"fpr": fpr[kept].tolist(), "tpr": tpr[kept].tolist()}


def residual_table(residual: Float[np.ndarray, " rows"]) -> dict[str, Any]:
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
