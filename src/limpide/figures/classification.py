"""Which class was taken for which, and how far the probabilities can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from limpide.evaluation import Evaluation
from limpide.figures.axes import grid, short, show_numbers, text_width
from limpide.figures.picture import BLUE, INK, MUTED, ON_COLOUR, ORANGE, PAPER, Picture, Sheet, Table
from limpide.i18n import _, format_count, format_decimal, format_percent
from limpide.stats import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_COUNTED_CLASSES = 15
_FALSE_ALARMS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MOST_ROC_POINTS = 60
_MOST_ROC_CURVES = 20


def confusion(evaluation: Evaluation) -> Picture:
    """How often each true class (a row) was answered with each class (a column)."""
    counts = np.asarray(evaluation.confusion)
    labels = [str(label) for label in evaluation.labels]
    table = Table(
        (_("truth \\ answer"), *labels),
        tuple((label, *(int(n) for n in row)) for label, row in zip(labels, counts)),
    )
    k = len(labels)
    side = min(max(0.42 * k, 2.0), 4.6)
    names = [short(label, 14) for label in labels]
    left, bottom = 0.5 + text_width(names), 0.62 if _fit(names, side) else 0.55 + text_width(names)

    def draw(sheet: Sheet) -> None:
        axes = sheet.panel(left, bottom, side, side)
        axes.set(xlim=(0, k), ylim=(k, 0))
        axes.spines[:].set_visible(False)
        _cells(axes, counts)
        turn = 0 if _fit(names, side) else 90
        skip = 1 if k <= 30 else -(-k // 30)
        places = np.arange(0, k, skip)
        axes.set_xticks(places + 0.5, names[::skip], rotation=turn)
        axes.set_yticks(places + 0.5, names[::skip])
        axes.set_xlabel(_("the network's answer"))
        axes.set_ylabel(_("truth"))

    caption = _(
        "Rows are the truth, columns the answers. Blue cells on the diagonal are right, orange ones are mistakes."
    )
    size = (max(left + side + 0.15, 5.4), bottom + side + 0.1)
    return Picture("confusion", _("Which class was taken for which"), caption, table, draw, size)


def _fit(names: list[str], side: float) -> bool:
    return text_width(names) < side / max(len(names), 1)


def _cells(axes: Axes, counts: np.ndarray) -> None:
    """A square per pair of classes, as dark as its share of the row; counts written where they can be read."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    k = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    squares, colours = [], []
    for i, j in zip(*np.nonzero(counts)):
        strength = float(0.12 + 0.88 * np.sqrt(shares[i, j]))
        squares.append([(j + 0.04, i + 0.04), (j + 0.96, i + 0.04), (j + 0.96, i + 0.96), (j + 0.04, i + 0.96)])
        colours.append(to_rgba(BLUE if i == j else ORANGE, strength))
        if k <= _MOST_COUNTED_CLASSES:
            axes.text(
                j + 0.5,
                i + 0.5,
                format_count(int(counts[i, j])),
                color=ON_COLOUR if strength > 0.62 else INK,
                ha="center",
                va="center_baseline",
            )
    axes.add_collection(PolyCollection(squares, facecolors=colours, edgecolors="none"))
    frame = [[(0, i), (k, i)] for i in range(k + 1)] if k <= _MOST_COUNTED_CLASSES else []
    for line in frame:
        axes.plot(*zip(*line), color="#e4e8ed", linewidth=0.6, zorder=0)


def calibration(evaluation: Evaluation) -> Picture:
    """How often the answers of each confidence were right."""
    bins = [row for row in evaluation.calibration or [] if row["n"]]
    confidence = [float(row["confidence"]) for row in bins]
    accuracy = [float(row["accuracy"]) for row in bins]
    n = np.array([int(row["n"]) for row in bins])
    ends = [wilson(round(share * count), count) for share, count in zip(accuracy, n.tolist())]
    table = Table(
        (_("confidence"), _("share that was right"), _("how many")),
        tuple((format_percent(c, 1), format_percent(a, 1), int(m)) for c, a, m in zip(confidence, accuracy, n)),
    )

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.75, 0.55, right=0.25)
        grid(axes)
        low = min([*confidence, *accuracy, *(low for low, _high in ends), 0.95])
        low = 0.0 if low < 0.3 else np.floor(10 * low) / 10
        axes.set(xlim=(low, 1.0), ylim=(low, 1.0))
        axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1, dashes=(2, 2))
        axes.vlines(confidence, *zip(*ends), color=BLUE, linewidth=1.6, alpha=0.35)
        sizes = 20 + 160 * n / max(n.max(initial=0), 1)
        axes.scatter(confidence, accuracy, sizes, color=BLUE, edgecolor=PAPER, linewidth=1, zorder=3, clip_on=False)
        show_numbers(axes.xaxis, as_percent=True)
        show_numbers(axes.yaxis, as_percent=True)
        axes.set_xlabel(_("confidence the network gave"))
        axes.set_ylabel(_("share that was right"))

    caption = _(
        "On the dashed line, 80 answers out of 100 given with 80 points of confidence are right. "
        "Under it the network is too sure of itself. Larger dots stand for more answers; the line "
        "through each is where it would lie for other examples, 95 times out of 100."
    )
    return Picture("calibration", _("Can its confidence be trusted?"), caption, table, draw)


def roc(evaluation: Evaluation) -> Picture:
    """The classes found against the false alarms, for every threshold."""
    curves = {str(label): (np.asarray(c["fpr"]), np.asarray(c["tpr"])) for label, c in (evaluation.roc or {}).items()}
    areas = {label: float(np.trapezoid(tpr, fpr)) for label, (fpr, tpr) in curves.items()}
    if len(areas) == 1 and (exact := evaluation.metrics["roc_auc"].value) is not None:
        areas = dict.fromkeys(areas, exact)
    hardest = min(areas, key=lambda label: areas[label], default="")
    several = len(areas) > 1
    table = Table(
        (
            _("class"),
            _("area under the curve"),
            *(_("at {share}").format(share=format_percent(x)) for x in _FALSE_ALARMS[1:-1]),
        ),
        tuple(
            (label, areas[label], *(format_percent(_height(fpr, tpr, x), 1) for x in _FALSE_ALARMS[1:-1]))
            for label, (fpr, tpr) in curves.items()
        ),
    )

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.75, 0.55, right=0.25)
        grid(axes)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(2, 2))
        for label in reversed(sorted(areas, key=lambda label: areas[label])[:_MOST_ROC_CURVES]):
            fpr, tpr = curves[label]
            kept = np.unique(np.linspace(0, len(fpr) - 1, min(len(fpr), _MOST_ROC_POINTS)).astype(int))
            colour = ORANGE if several and label == hardest else BLUE
            axes.plot(fpr[kept], tpr[kept], color=colour, linewidth=2 if label == hardest else 1.2)
        if hardest:
            text = _("hardest: {label}, area {area}") if several else _("{label}, area {area}")
            words = text.format(label=short(hardest), area=format_decimal(areas[hardest]))
            axes.text(0.98, 0.06, words, color=ORANGE if several else BLUE, ha="right")
        show_numbers(axes.xaxis, as_percent=True)
        show_numbers(axes.yaxis, as_percent=True)
        axes.set_xlabel(_("false alarms"))
        axes.set_ylabel(_("found"))

    caption = _(
        "Each curve is one class against the rest: what share of it is found, for a given share of false alarms. "
        "The nearer to the upper left corner, the better; guessing gives the dashed line."
    )
    if len(curves) > _MOST_ROC_CURVES:
        caption += " " + _("The {n} hardest classes are drawn.").format(n=_MOST_ROC_CURVES)
    return Picture("roc", _("Found against false alarms (ROC)"), caption, table, draw)


def _height(fpr: np.ndarray, tpr: np.ndarray, x: float) -> float:
    """The largest share found with at most `x` false alarms."""
    return float(tpr[fpr <= x].max(initial=0.0))
