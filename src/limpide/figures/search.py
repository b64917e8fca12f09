"""The figures of a search: how it went, which knobs matter, which values go together with which score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limpide.evaluation import METRICS, format_metric
from limpide.figures.axes import (
    capital,
    grid,
    number_width,
    short,
    show_numbers,
    show_whole_numbers,
    text_width,
    tick_text,
)
from limpide.figures.picture import BLUE, GRID, MUTED, ORANGE, PAPER, Picture, Sheet, Table
from limpide.i18n import _, format_percent

if TYPE_CHECKING:
    from limpide.tuning.outcome import Search
    from limpide.tuning.records import Trial
    from limpide.tuning.space import Knob

FEW = 12
"""Choices of a knob that are all named on its axis, at most."""


class SearchFigures:
    """Every figure a search can show."""

    def __init__(self, search: Search) -> None:
        self.search = search

    def names(self) -> list[str]:
        """The figures that this search can show."""
        scored = [trial for trial in self.search.trials if trial.mean is not None]
        names = ["history"] if scored else []
        names += ["importance"] if self.search.importance else []
        return names + (["parallel"] if len(scored) > 1 else [])

    def history(self) -> Picture:
        """The score of each trial in order, and the best so far."""
        return history(self.search)

    def importance(self) -> Picture:
        """The share of the spread between trials that each knob makes."""
        return importance(self.search)

    def parallel(self) -> Picture:
        """Each trial as a line through the values of its knobs to its score."""
        return parallel(self.search)


def history(search: Search) -> Picture:
    """Dots in the order of the trials, hollow where one was given up; the winner's fresh score as a line of its own."""
    question = search.question
    definition = METRICS[question.metric]
    scored = [trial for trial in search.trials if trial.mean is not None]
    numbers = np.array([trial.number for trial in scored])
    means = np.array([trial.mean for trial in scored], np.float64)
    done = np.array([trial.state == "done" for trial in scored])
    whole = np.where(done, means, -np.inf if question.maximize else np.inf)
    best = np.maximum.accumulate(whole) if question.maximize else np.minimum.accumulate(whole)
    fresh = search.fresh.get(search.finalists[0], {}) if search.finalists else {}
    expected = float(np.mean(list(fresh.values()))) if fresh else None
    table = Table(
        (_("trial"), _(definition.label), *(knob.name for knob in question.space.knobs)),
        tuple(
            (trial.number, format_metric(question.metric, trial.mean), *(_cell(v) for v in trial.values.values()))
            for trial in scored
        ),
    )

    def draw(sheet: Sheet) -> None:
        word = _("fresh seeds")
        widest = number_width(float(means.min()), float(means.max()))
        left = 0.3 + (text_width(["100%"]) if definition.percent else widest)
        axes = sheet.axes(left, 0.55, 0.2 + text_width([word]))
        grid(axes)
        low, high = _kept(means)
        room = 0.06 * (high - low) or 0.05
        axes.set(xlim=(0.3, numbers.max() + 0.7), ylim=(low - room, high + room))
        shown = np.clip(means, low, high)
        known = np.isfinite(best)
        axes.step(numbers[known], best[known], where="post", color=BLUE, linewidth=1.6, zorder=2)
        for trial, height in zip(scored, shown, strict=True):
            ends = [np.clip(score, low, high) for score in trial.scores.values()]
            axes.plot([trial.number] * 2, [min(ends), max(ends)], color=GRID, linewidth=2, zorder=1)
            is_winner = trial is search.winner
            colour = BLUE if is_winner else MUTED
            axes.plot(
                trial.number, height, "o", color=colour if trial.state == "done" else PAPER,
                markeredgecolor=colour, markersize=9 if is_winner else 5.5, zorder=3, clip_on=False,
            )  # fmt: skip
        if expected is not None:
            axes.axhline(expected, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                word, (1, expected), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                color=ORANGE, va="center",
            )  # fmt: skip
        show_whole_numbers(axes.xaxis)
        show_numbers(axes.yaxis, definition.percent)
        axes.set_xlabel(_("trial"))

    caption = _(
        "Each dot is the mean of a trial, the bar behind it reaches from its worst seed to its best; hollow ones were "
        "given up after one seed. The line is the best so far, the large dot the winner."
    )
    if expected is not None:
        caption += " " + _("The dashed line is what the winner is worth under fresh seeds.")
    title = _("{metric}, trial by trial").format(metric=capital(_(definition.label)))
    return Picture("history", title, caption, table, draw, (5.4, 2.9))


def importance(search: Search) -> Picture:
    """A bar for each knob, the most important first."""
    shares = search.importance
    names = [short(name, 30) for name in shares]
    texts = [format_percent(share) for share in shares.values()]
    table = Table((_("knob"), _("share of the spread")), tuple(zip(shares, texts)))

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.25 + text_width(names), 0.5, right=0.3 + text_width(texts))
        grid(axes, "x")
        axes.set(xlim=(0, max(shares.values()) or 1.0), ylim=(len(names) - 0.5, -0.5))
        axes.barh(range(len(names)), list(shares.values()), height=0.55, color=BLUE)
        axes.set_yticks(range(len(names)), names)
        for place, text in enumerate(texts):
            axes.annotate(
                text, (1, place), (8, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center"
            )
        show_numbers(axes.xaxis, as_percent=True)

    caption = _(
        "How much of the spread between trials goes with each knob alone, by a forest fitted to them. It tells what "
        "mattered within this space, from these trials."
    )
    return Picture("importance", _("Which knobs matter"), caption, table, draw, (5.4, 0.75 + 0.42 * len(names)))


def parallel(search: Search) -> Picture:
    """An axis for each knob and one for the score; the better a trial, the stronger its line."""
    question = search.question
    knobs = question.space.knobs
    definition = METRICS[question.metric]
    scored = [trial for trial in search.trials if trial.mean is not None]
    ordered = sorted(scored, key=lambda trial: (trial.mean or 0.0) * (1 if question.maximize else -1))
    means = np.array([trial.mean for trial in scored], np.float64)
    low, high = _kept(means)
    head = (*(knob.name for knob in knobs), _(definition.label))
    table = Table(
        head,
        tuple(
            (*(_cell(v) for v in t.values.values()), format_metric(question.metric, t.mean)) for t in reversed(ordered)
        ),
    )

    def draw(sheet: Sheet) -> None:
        ticks = [_ticks(knob) for knob in knobs]
        score_words = [format_metric(question.metric, value) for value in (low, (low + high) / 2, high)]
        axes = sheet.axes(0.2 + text_width(text for _at, text in ticks[0]), 0.5, 0.25 + text_width(score_words), 0.15)
        axes.set(xlim=(0, len(knobs)), ylim=(-0.04, 1.04), yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        for place, trial in enumerate(ordered):
            share = place / max(len(ordered) - 1, 1)
            is_winner = trial is search.winner
            axes.plot(
                range(len(knobs) + 1), _line(trial, knobs, low, high), color=ORANGE if is_winner else BLUE,
                linewidth=2.6 if is_winner else 1.3, alpha=1.0 if is_winner else 0.08 + 0.5 * share**2,
                zorder=3 if is_winner else 2, clip_on=False,
            )  # fmt: skip
        for i in range(len(knobs) + 1):
            axes.axvline(i, color=MUTED, linewidth=1, zorder=1)
        scale = [(0.0, score_words[0]), (0.5, score_words[1]), (1.0, score_words[2])]
        for i, named in enumerate([*ticks, scale]):
            is_left = i == 0
            for at, text in named:
                axes.annotate(
                    text, (i, at), (-6 if is_left else 6, 0), textcoords="offset points", va="center",
                    ha="right" if is_left else "left", color=MUTED, zorder=4,
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
                )  # fmt: skip
        axes.set_xticks(range(len(knobs) + 1), [short(name, 16) for name in head])

    caption = _(
        "Each line is a trial: from the values of its knobs to its score at the right. The better the trial, the "
        "stronger its line; the winner's is orange."
    )
    width = max(5.4, 1.35 * (len(knobs) + 1))
    return Picture("parallel", _("From values to scores"), caption, table, draw, (width, 3.0))


def _line(trial: Trial, knobs: Sequence[Knob], low: float, high: float) -> list[float]:
    score = ((trial.mean or 0.0) - low) / ((high - low) or 1.0)
    return [*(knob.place(trial.values[knob.name]) for knob in knobs), min(max(score, 0.0), 1.0)]


def _ticks(knob: Knob) -> list[tuple[float, str]]:
    """Places on the axis of a knob, and what stands there."""
    if knob.kind == "choices":
        named = knob.choices if len(knob.choices) <= FEW else (knob.choices[0], knob.choices[-1])
        return [(knob.place(value), short(_cell(value), 14)) for value in named]
    return [(place, tick_text(float(f"{knob.at(place):.2g}"))) for place in (0.0, 0.5, 1.0)]


def _kept(means: np.ndarray) -> tuple[float, float]:
    """The stretch of scores that is drawn: a few that did very badly must not press the others flat."""
    q1, q3 = np.percentile(means, (25, 75)).tolist()
    reach = 2.5 * (q3 - q1) or float(np.ptp(means))
    return max(float(means.min()), q1 - reach), min(float(means.max()), q3 + reach)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return tick_text(float(f"{value:.3g}"))
