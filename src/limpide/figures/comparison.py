"""The network beside simpler models, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from limpide.baselines import BASELINES
from limpide.evaluation import METRICS, Evaluation, Metric, format_metric
from limpide.figures.axes import capital, grid, short, show_numbers, text_width
from limpide.figures.picture import BLUE, MUTED, PAPER, Picture, Sheet, Table
from limpide.i18n import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRIVIAL = ("majority", "mean")


def baselines(evaluation: Evaluation, others: dict[str, Evaluation], name: str) -> Picture:
    """One metric of the network and of every baseline, each with its interval."""
    definition, ours = METRICS[name], evaluation.metrics[name]
    known = {other: theirs.metrics[name] for other, theirs in others.items() if name in theirs.metrics}
    measured = [(_("the network"), ours), *((_(BASELINES[other].label), metric) for other, metric in known.items())]
    measured = [(word, metric) for word, metric in measured if metric.value is not None]
    measured.sort(key=lambda pair: -_value(pair[1]) if definition.higher_is_better else _value(pair[1]))
    low, high = _range([ours, *(metric for other, metric in known.items() if other not in _TRIVIAL)])
    # a simple model that lies within is drawn whole, its interval too
    low, high = _range([metric for _word, metric in measured if low <= _value(metric) <= high])
    off = [word for word, metric in measured if not low <= _value(metric) <= high]
    table = Table(
        (_("model"), _(definition.label), _("low end"), _("high end")),
        tuple((word, *(format_metric(name, v) for v in (m.value, m.low, m.high))) for word, m in measured),
    )
    names = [short(word, 30) for word, _metric in measured]
    values = [format_metric(name, metric.value) for _word, metric in measured]

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.25 + text_width(names), 0.55, right=0.3 + text_width(values))
        grid(axes, "x")
        axes.spines["left"].set_visible(False)
        axes.set(xlim=(low, high), ylim=(len(measured) - 0.5, -0.5))
        if ours.low is not None and ours.high is not None:
            axes.axvspan(ours.low, ours.high, color=BLUE, alpha=0.1, linewidth=0)
        for place, (_word, metric) in enumerate(measured):
            _dot(axes, place, metric, low, high, BLUE if metric is ours else MUTED)
            axes.annotate(
                values[place], (1, place), (12, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", color=BLUE if metric is ours else MUTED, weight="bold" if metric is ours else "normal",
            )  # fmt: skip
        axes.set_yticks(range(len(names)), names)
        for label, (_word, metric) in zip(axes.get_yticklabels(), measured):
            label.set_color(BLUE if metric is ours else MUTED)
        show_numbers(axes.xaxis, definition.percent)
        axes.set_xlabel(_(definition.label))

    caption = _(
        "The line through each dot is where the value would lie for other rows of the same kind, 95 times out of 100. "
        "Where two lines overlap widely, the models are hard to tell apart."
    )
    if off:
        caption += " " + _("A triangle points to a value far off the axis.")
    title = _("{metric} beside simpler models").format(metric=capital(_(definition.label)))
    return Picture(f"baselines-{name}", title, caption, table, draw, (5.4, 0.75 + 0.45 * len(measured)))


def _value(metric: Metric) -> float:
    return math.nan if metric.value is None else metric.value


def _range(metrics: list[Metric]) -> tuple[float, float]:
    """The stretch of the axis where models that tried can be told apart; what lies far off is drawn at its edge."""
    ends = [end for m in metrics for end in (m.value, m.low, m.high) if end is not None] or [0.0]
    room = (max(ends) - min(ends)) * 0.15 or 0.05 * abs(max(ends)) or 0.05
    return min(ends) - room, max(ends) + room


def _dot(axes: Axes, place: int, metric: Metric, low: float, high: float, colour: str) -> None:
    """A value with its interval, or a triangle that points to where it lies."""
    value = _value(metric)
    if not low <= value <= high:
        left = value < low
        axes.plot(low if left else high, place, "<" if left else ">", color=colour, markersize=8, clip_on=False)
        return
    if metric.low is not None and metric.high is not None:
        axes.plot([metric.low, metric.high], [place, place], color=colour, linewidth=2.2)
    axes.plot(value, place, "o", color=colour, markersize=10, markeredgecolor=PAPER, clip_on=False)
