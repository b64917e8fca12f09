"""How far the predictions lie from the truth, and which way."""

from __future__ import annotations

from typing import Literal

import numpy as np

from limpide.evaluation import Evaluation
from limpide.figures.axes import grid, number_width, short, show_numbers, show_whole_numbers, tick_text
from limpide.figures.picture import BLUE, GREEN, MUTED, PAPER, RED, Picture, Sheet, Table
from limpide.i18n import _, format_count, ngettext

_MOST_POINTS = 500
_LARGE = 2.0


def prediction_vs_truth(
    truth: np.ndarray,
    outputs: np.ndarray,
    numbers: np.ndarray,
    target: str,
    against: Literal["truth", "row"] = "truth",
    large: float | None = None,
) -> Picture:
    """Truth in green, prediction in blue, and a red arrow from one to the other where the error is large.

    numbers  which row of the data each one is
    target   the name of what is predicted
    against  what lies along the picture: the true value, or the rows one after the other
    large    the error from which an arrow is drawn, in the target's unit; None: twice the root mean square error
    """
    errors = np.abs(outputs - truth)
    limit = _LARGE * float(np.sqrt(np.mean(errors**2))) if large is None else large
    rows = _kept(errors)
    n_large = int((errors > limit).sum())
    table = Table(
        (_("row"), _("truth"), _("prediction"), _("truth − prediction")),
        tuple((int(numbers[i]), float(truth[i]), float(outputs[i]), float(truth[i] - outputs[i])) for i in rows),
    )
    true, predicted = truth[rows], outputs[rows]
    along = true if against == "truth" else rows + 1.0

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.45 + number_width(*np.percentile(outputs, [0, 100])), 0.55, right=0.25)
        grid(axes)
        if against == "truth":
            ends = [float(true.min()), float(true.max())]
            axes.plot(ends, ends, color=GREEN, linewidth=1.6, zorder=1)
        else:
            axes.plot(along, true, "o", color=GREEN, markersize=8, markeredgewidth=0)
        axes.plot(along, predicted, "o", color=BLUE, markersize=5, markeredgecolor=PAPER, markeredgewidth=0.6)
        far = np.abs(predicted - true) > limit
        if far.any():
            axes.quiver(
                along[far], true[far], np.zeros(far.sum()), (predicted - true)[far], color=RED, zorder=4,
                angles="xy", scale_units="xy", scale=1, units="dots", width=1.1, headwidth=5, headlength=6,
                headaxislength=6, minlength=0,
            )  # fmt: skip
        (show_numbers if against == "truth" else show_whole_numbers)(axes.xaxis)
        show_numbers(axes.yaxis)
        axes.set_xlabel(
            _("true {target}").format(target=short(target))
            if against == "truth"
            else _("test rows, one after the other")
        )
        axes.set_ylabel(_("predicted {target}").format(target=short(target)))

    by_truth = _("The green line is the truth, each blue dot a prediction.")
    by_row = _("Green dots are the truth, blue dots the predictions.")
    arrows = ngettext(
        "The red arrow is the {n} error larger than {limit}.",
        "The red arrows are the {n} errors larger than {limit}.",
        n_large,
    ).format(n=format_count(n_large), limit=tick_text(float(f"{limit:.3g}")))
    caption = (by_truth if against == "truth" else by_row) + (f" {arrows}" if n_large else "")
    if len(rows) < len(truth):
        caption += " " + _("{shown} of {all} rows are drawn, the largest errors among them.").format(
            shown=format_count(len(rows)), all=format_count(len(truth))
        )
    return Picture("prediction-vs-truth", _("Prediction against truth"), caption, table, draw, (5.4, 3.8))


def _kept(errors: np.ndarray) -> np.ndarray:
    """Which rows are drawn when there are many: the worst tenth, and the rest evenly spaced."""
    n = len(errors)
    if n <= _MOST_POINTS:
        return np.arange(n)
    worst = np.argsort(-errors, kind="stable")[: _MOST_POINTS // 10]
    even = np.linspace(0, n - 1, _MOST_POINTS - len(worst)).astype(int)
    return np.unique(np.concatenate([worst, even]))


def residuals(evaluation: Evaluation, target: str) -> Picture:
    """How many predictions miss by how much, and which way."""
    summary = evaluation.residuals or {"mean": 0.0, "histogram": {"counts": [], "edges": [0.0]}}
    counts, edges = np.asarray(summary["histogram"]["counts"]), np.asarray(summary["histogram"]["edges"])
    table = Table(
        (_("from"), _("to"), _("how many")),
        tuple((float(a), float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts)),
    )

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.75, 0.55, right=0.2, top=0.32)
        grid(axes)
        axes.set_ylim(0, max(int(counts.max(initial=0)), 1) * 1.05)
        gap = 0.06 * np.diff(edges)
        axes.bar(edges[:-1] + gap, counts, np.diff(edges) - 2 * gap, align="edge", color=BLUE, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.annotate(
            _("no error"), (0, 1), (0, 5), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=MUTED, ha="center",
        )  # fmt: skip
        show_numbers(axes.xaxis)
        show_whole_numbers(axes.yaxis)
        axes.set_xlabel(_("truth − prediction ({target})").format(target=short(target)))
        axes.set_ylabel(_("rows"))

    is_far = abs(summary["mean"]) > 2 * summary.get("sd", 0.0) / max(evaluation.n, 1) ** 0.5
    far = _("A narrow heap around zero is good. Its mean, {mean}, is no work of chance: the predictions lean one way.")
    near = _("A narrow heap around zero is good. Its mean, {mean}, is no farther from it than chance takes it.")
    caption = (far if is_far else near).format(mean=tick_text(float(f"{summary['mean']:.3g}")))
    return Picture("residuals", _("The errors"), caption, table, draw, (5.4, 3.8))
