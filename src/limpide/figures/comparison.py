"""What is compared, with intervals: a network beside simpler models, variants beside one another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from limpide.baselines import BASELINES
from limpide.evaluation import METRICS, Evaluation, Metric, format_metric
from limpide.figures.axes import (
    capital,
    grid,
    name_ends,
    number_width,
    short,
    show_numbers,
    show_powers,
    text_width,
)
from limpide.figures.picture import BLUE, GREEN, GRID, MUTED, ORANGE, PAPER, RED, Picture, Sheet, Table
from limpide.i18n import _, format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from limpide.experiment.comparison import Comparison
    from limpide.experiment.scores import Score

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
        axes.set(xlim=(low, high), ylim=(max(len(measured), 1) - 0.5, -0.5))
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


_MEAN_BELOW = 0.26
"""How far under the points of its seeds a mean is drawn, in rows."""

_DOT, _STEP, _TOP = 0.012, 0.1, 0.4
"""How near dots are taken as one, as a share of the axis; how much higher each is drawn, and at most, in rows."""

_CURVES = (BLUE, ORANGE, GREEN, RED)
_LOG_FROM = 8.0
_GRID_POINTS = 160


class ComparisonFigures:
    """Every figure a comparison can show."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def names(self) -> list[str]:
        """The figures that this comparison can show."""
        if not any(row.scores for row in self.comparison.rows):
            return []
        has_pairs = any(pair.difference.n for pair in self.comparison.standings.pairs)
        has_progress = self.comparison.common_loss is not None
        return ["scores", *["differences"] * has_pairs, *["progress"] * has_progress]

    def scores(self) -> Picture:
        """The score of every variant under every seed, its mean and the interval of the mean."""
        return scores(self.comparison)

    def differences(self) -> Picture:
        """How far the best variant is ahead of each other one, seed by seed, with the interval that is judged."""
        return differences(self.comparison)

    def progress(self) -> Picture:
        """The lowest validation loss after so many updates: the middle of the seeds, and most of them as a band."""
        return progress(self.comparison)


def scores(comparison: Comparison) -> Picture:
    """Each seed as a point, the points of a seed joined by a line; under them the mean with its interval."""
    name = comparison.terms.metric
    definition = METRICS[name]
    rows = [row for row in comparison.rows if row.mean is not None]
    seeds = comparison.seeds
    table = Table(
        (_("variant"), *(_("seed {n}").format(n=seed) for seed in seeds)),
        tuple((row.name, *(format_metric(name, row.scores.get(seed)) for seed in seeds)) for row in rows),
    )
    names = [short(row.name, 30) for row in rows]
    means = [format_metric(name, row.mean) for row in rows]
    ends = [end for row in rows for end in (*row.scores.values(), row.low, row.high) if end is not None]

    def draw(sheet: Sheet) -> None:
        limits = _stretch(ends, definition.bounds)
        axes = _rows(sheet, names, means, limits)
        heights = [_stacked(place, row.scores, limits) for place, row in enumerate(rows)]
        for (above, high), (below, low) in pairwise(zip(rows, heights)):
            for seed in above.scores.keys() & below.scores.keys():
                joined = [above.scores[seed], below.scores[seed]]
                axes.plot(joined, [high[seed], low[seed]], color=GRID, linewidth=0.9, zorder=1)
        for place, row in enumerate(rows):
            colour = BLUE if row.standing in ("best", "tied") else MUTED
            _dots(axes, row.scores, heights[place], colour)
            _mean(axes, place, row.mean or 0.0, row.low, row.high, colour)
            _write(axes, place, means[place], colour)
            axes.get_yticklabels()[place].set_color(colour)
        show_numbers(axes.xaxis, definition.percent)
        axes.set_xlabel(_(definition.label))

    caption = _(
        "Each dot is a training under one seed; a thin line joins the trainings under the same seed. The large dot is "
        "the mean, the bar through it where the mean of all seeds lies, 95 times out of 100."
    )
    caption += " " + (_("Higher is better.") if definition.higher_is_better else _("Lower is better."))
    title = _("{metric}, seed by seed").format(metric=capital(_(definition.label)))
    return Picture(f"scores-{name}", title, caption, table, draw, (5.4, 0.75 + 0.62 * len(rows)))


def differences(comparison: Comparison) -> Picture:
    """The best variant minus each other one, so that more is better, with the zone of practical equality."""
    terms, standings = comparison.terms, comparison.standings
    definition, best = METRICS[terms.metric], comparison.standings.order[0]
    scale = 100 if definition.percent else 1
    pairs = [pair for pair in standings.pairs if pair.first == best and pair.difference.n]
    held = {row.name: row.scores for row in comparison.rows}
    gaps = [
        {
            seed: scale * terms.sign * (held[best][seed] - value)
            for seed, value in held[pair.second].items()
            if seed in held[best]
        }
        for pair in pairs
    ]
    reach = [scale * pair.half if math.isfinite(pair.half) else None for pair in pairs]
    middles = [scale * pair.difference.mean for pair in pairs]
    zone, words = scale * terms.zone, comparison.words
    texts = [words.bare_amount(pair.difference.mean, pair.half) for pair in pairs]
    table = Table(
        (_("beside"), _("difference"), _("what is found")),
        tuple((pair.second, text, words.pair(pair)) for pair, text in zip(pairs, texts)),
    )
    names = [short(pair.second, 30) for pair in pairs]
    ends = [end for of in gaps for end in of.values()] + [
        m + sign * (r or 0) for m, r in zip(middles, reach) for sign in (-1, 1)
    ]

    def draw(sheet: Sheet) -> None:
        limits = _stretch([*ends, -1.5 * zone, 1.5 * zone, 0.0])
        axes = _rows(sheet, names, texts, limits)
        axes.axvspan(-zone, zone, color=GREEN, alpha=0.14, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
        for place, pair in enumerate(pairs):
            colour = {"better": BLUE, "equal": GREEN}.get(pair.finding, MUTED)
            _dots(axes, gaps[place], _stacked(place, gaps[place], limits), colour)
            half = reach[place]
            low, high = (None, None) if half is None else (middles[place] - half, middles[place] + half)
            _mean(axes, place, middles[place], low, high, colour)
            _write(axes, place, texts[place], colour)
            axes.get_yticklabels()[place].set_color(colour)
        show_numbers(axes.xaxis)
        unit = _("{metric}, points") if definition.percent else "{metric}"
        axes.set_xlabel(unit.format(metric=_(definition.label)))

    caption = _(
        "Each dot is the difference under one seed; to the right {best} does better. A bar that leaves zero out shows "
        "a difference; one inside the green zone shows that it is too small to matter; any other shows nothing."
    ).format(best=short(best, 30))
    title = _("How far {best} is ahead").format(best=short(best, 30))
    return Picture("differences", title, caption, table, draw, (5.4, 0.75 + 0.62 * len(pairs)))


def progress(comparison: Comparison) -> Picture:
    """What the trainings would have kept, had they stopped earlier: the lowest validation loss so far."""
    trained = [row.name for row in comparison.rows if row.scores]
    shown = trained[: len(_CURVES)]
    of = {name: [score for score in comparison.scores[name].values() if score.progress] for name in shown}
    first = max(score.progress[0][0] for group in of.values() for score in group)
    last = max(score.updates for group in of.values() for score in group)
    x = np.unique(np.linspace(first, max(last, first + 1), _GRID_POINTS).astype(np.int64))
    bands = {
        name: np.percentile([_lowest(score, x) for score in group], (10, 50, 90), axis=0) for name, group in of.items()
    }
    every = np.concatenate([band.ravel() for band in bands.values()])
    low, high = float(every.min()), float(every.max())
    log = low > 0 and high / low > _LOG_FROM
    steps = x[np.linspace(0, len(x) - 1, 12).astype(int)]
    table = Table(
        (_("updates"), *shown),
        tuple((int(at), *(float(bands[name][1][x == at][0]) for name in shown)) for at in steps),
    )

    def draw(sheet: Sheet) -> None:
        names = [short(name, 20) for name in shown]
        axes = sheet.axes(0.3 + number_width(low, high), 0.55, 0.2 + text_width(names), top=0.2)
        grid(axes)
        room = 0.06 * (high - low) or 0.05
        axes.set_ylim(*((low / 1.1, high * 1.1) if log else (low - room, high + room)))
        axes.set_xlim(float(x[0]), float(x[-1]))
        if log:
            axes.set_yscale("log")
            axes.set_ylim(low / 1.1, high * 1.1)
            show_powers(axes.yaxis, low / 1.1, high * 1.1)
        else:
            show_numbers(axes.yaxis)
        show_numbers(axes.xaxis)
        axes.set_xlabel(_("updates"))
        for name, colour in zip(shown, _CURVES):
            axes.fill_between(x, bands[name][0], bands[name][2], color=colour, alpha=0.13, linewidth=0)
            axes.plot(x, bands[name][1], color=colour)
        ends = [
            (float(x[-1]), float(bands[name][1][-1]), word, colour) for name, word, colour in zip(shown, names, _CURVES)
        ]
        name_ends(axes, ends)

    caption = _(
        "Lower is better. The line is the middle of the seeds, the band holds 8 of 10. A training that has stopped "
        "keeps what it reached."
    )
    if len(trained) > len(shown):
        caption += " " + _("The {n} best variants are drawn.").format(n=format_count(len(shown)))
    return Picture("progress", _("Lowest validation loss so far"), caption, table, draw)


def _lowest(score: Score, x: np.ndarray) -> np.ndarray:
    """The lowest validation loss of a training after each number of updates."""
    updates, losses = (np.array(column) for column in zip(*score.progress))
    found: np.ndarray = losses[np.maximum(np.searchsorted(updates, x, "right") - 1, 0)]
    return found


def _rows(sheet: Sheet, names: Sequence[str], values: Sequence[str], limits: tuple[float, float]) -> Axes:
    """Axes with a row for each name, and room for its value at the right."""
    axes = sheet.axes(0.25 + text_width(names), 0.55, right=0.3 + text_width(values))
    grid(axes, "x")
    axes.spines["left"].set_visible(False)
    axes.set(xlim=limits, ylim=(len(names) - 0.35, -0.45))
    axes.set_yticks(range(len(names)), names)
    return axes


def _stacked(place: int, values: Mapping[int, float], limits: tuple[float, float]) -> dict[int, float]:
    """The height of each dot of a row: those that would cover one another are stacked, in a row of their own."""
    near = _DOT * (limits[1] - limits[0])
    heights: dict[int, float] = {}
    below: list[float] = []
    for seed, value in sorted(values.items(), key=lambda item: item[1]):
        below = [other for other in below if value - other < near] + [value]
        heights[seed] = place - min(_STEP * (len(below) - 1), _TOP)
    return heights


def _dots(axes: Axes, values: Mapping[int, float], heights: Mapping[int, float], colour: str) -> None:
    """A dot for each seed."""
    places = [heights[seed] for seed in values]
    axes.plot(list(values.values()), places, "o", color=colour, markersize=4.5, alpha=0.65, markeredgewidth=0)


def _mean(axes: Axes, place: int, mean: float, low: float | None, high: float | None, colour: str) -> None:
    """A mean with its interval, under the points it is the mean of."""
    y = place + _MEAN_BELOW
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=2.2)
    axes.plot([mean], [y], "o", color=colour, markersize=8.5, markeredgecolor=PAPER)


def _write(axes: Axes, place: int, text: str, colour: str) -> None:
    axes.annotate(
        text, (1, place), (12, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        va="center", color=colour, weight="bold" if colour == BLUE else "normal",
    )  # fmt: skip


def _stretch(ends: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
    """The part of an axis that holds these, with some room."""
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    # a share of all may not lie beyond it, but its dot needs room
    return max(low - room, bounds[0] - room / 2), min(high + room, bounds[1] + room / 2)
