"""What the data look like: classes, columns, and the pictures that were hardest."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from limpide.figures.axes import grid, percent, short, show_whole_numbers, text_width, tick_text
from limpide.figures.picture import BLUE, MUTED, Picture, Sheet, Table
from limpide.i18n import _, format_count

if TYPE_CHECKING:
    from limpide.data.columns import ColumnSummary
    from limpide.history import Example

_MOST_CLASSES = 30
_PANELS_ACROSS = 4


def class_balance(counts: Mapping[str, int]) -> Picture:
    """How many examples each class has."""
    total = max(sum(counts.values()), 1)
    table = Table(
        (_("class"), _("how many"), _("share")),
        tuple((label, n, percent(n / total, 1)) for label, n in counts.items()),
    )
    shown = list(counts.items())
    if len(shown) > _MOST_CLASSES:
        shown = sorted(shown, key=lambda item: -item[1])[:_MOST_CLASSES]
    names = [short(label) for label, _n in shown]

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.25 + text_width(names), 0.4, right=0.7)
        grid(axes, "x")
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(0, max(n for _label, n in shown) or 1)
        axes.barh(range(len(shown)), [n for _label, n in shown], 0.72, color=BLUE, linewidth=0)
        for place, (_label, n) in enumerate(shown):
            axes.annotate(format_count(n), (n, place), (6, 0), textcoords="offset points", va="center", color=MUTED)
        axes.set_yticks(range(len(names)), names)
        show_whole_numbers(axes.xaxis)

    caption = _("A class with few examples is hard to learn, and a high accuracy may hide that it is never found.")
    if len(counts) > _MOST_CLASSES:
        caption += " " + _("The {n} largest classes are drawn.").format(n=_MOST_CLASSES)
    height = 0.6 + 0.3 * len(shown)
    return Picture("class-balance", _("Examples of each class"), caption, table, draw, (5.4, height))


def columns(summaries: Sequence[ColumnSummary]) -> Picture:
    """The distribution of each column, small and side by side."""
    shown = [summary for summary in summaries if summary.histogram]
    table = Table(
        (_("column"), _("smallest"), _("largest"), _("counts from left to right")),
        tuple((s.name, *_ends(s), " ".join(str(n) for n in s.histogram)) for s in shown),
    )
    across = min(_PANELS_ACROSS, max(len(shown), 1))
    down = -(-len(shown) // across)
    width, height = 5.4 / across, 1.35

    def draw(sheet: Sheet) -> None:
        for place, summary in enumerate(shown):
            row, column = divmod(place, across)
            panel = sheet.panel(column * width + 0.12, (down - 1 - row) * height + 0.3, width - 0.24, height - 0.6)
            grid(panel)
            panel.grid(False)
            panel.bar(range(len(summary.histogram)), summary.histogram, 0.9, color=BLUE, linewidth=0)
            panel.set_title(short(summary.name, int(width * 9)), loc="left", pad=5)
            panel.set_yticks([])
            panel.set_xticks([])
            for x, end, side in zip((0, 1), _ends(summary), ("left", "right")):
                panel.annotate(
                    end, (x, 0), (0, -13), xycoords="axes fraction", textcoords="offset points",
                    ha=side, color=MUTED, size=9,
                )  # fmt: skip

    caption = _("Each bar counts the rows in one slice of the column, from its smallest value to its largest.")
    return Picture("columns", _("The columns"), caption, table, draw, (5.4, max(down, 1) * height))


def _ends(summary: ColumnSummary) -> tuple[str, str]:
    """The smallest and the largest value of a column of numbers or dates, as text."""
    if summary.min is None or summary.max is None:
        return summary.first, summary.last
    return tick_text(float(f"{summary.min:.3g}")), tick_text(float(f"{summary.max:.3g}"))


def examples(worst: Sequence[Example]) -> Picture:
    """The pictures the network was most wrong about, with the truth and its answer."""
    table = Table(
        (_("row"), _("truth"), _("answer"), _("confidence")),
        tuple((e.row, e.truth, e.prediction, "" if e.confidence is None else percent(e.confidence)) for e in worst),
    )
    across = 6
    down = -(-len(worst) // across)
    width, height = 1.0, 1.42

    def draw(sheet: Sheet) -> None:
        from PIL import Image

        for place, example in enumerate(worst):
            row, column = divmod(place, across)
            panel = sheet.panel(column * width + 0.06, (down - 1 - row) * height + 0.5, width - 0.12, width - 0.12)
            panel.imshow(
                Image.open(BytesIO(base64.b64decode(example.png))).convert("RGB"),
                interpolation="nearest",
                aspect="equal",
            )
            panel.set_axis_off()
            words = (
                short(_("truth: {label}").format(label=example.truth), 16),
                short(_("answer: {label}").format(label=example.prediction), 16),
            )
            panel.annotate(
                "\n".join(words), (0.5, 0), (0, -4), xycoords="axes fraction", textcoords="offset points",
                ha="center", va="top", size=8.5,
            )  # fmt: skip

    caption = _("The worst first: those whose truth was given the least chance.")
    return Picture("examples", _("The worst answers"), caption, table, draw, (across * width, max(down, 1) * height))
