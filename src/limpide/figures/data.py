"""What the data look like: classes, columns, and the pictures that were hardest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from limpide import seeds
from limpide.data import values
from limpide.data.images import from_png_base64
from limpide.figures.axes import grid, short, show_whole_numbers, text_width, tick_text
from limpide.figures.picture import BLUE, MUTED, Picture, Sheet, Table
from limpide.i18n import _, format_count, format_number, format_percent

if TYPE_CHECKING:
    from limpide.data.columns import ColumnSummary
    from limpide.data.dataset import Dataset
    from limpide.history import Example

_MOST_CLASSES = 30
_PANELS_ACROSS = 4
_SAMPLES = 10


def class_balance(counts: Mapping[str, int]) -> Picture:
    """How many examples each class has."""
    total = max(sum(counts.values()), 1)
    table = Table(
        (_("class"), _("how many"), _("share")),
        tuple((label, n, format_percent(n / total, 1)) for label, n in counts.items()),
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


def explore(dataset: Dataset, counts: Mapping[str, int], summaries: Sequence[ColumnSummary]) -> list[Picture]:
    """What data look like before anything is learned: some images and the mean one of each class, or the columns.

    counts     the examples of each class; empty where a number is to be predicted
    summaries  of the columns of a table
    """
    pictures = [columns(summaries)] if any(summary.histogram for summary in summaries) else []
    if isinstance(dataset.inputs, np.ndarray) and dataset.target is not None:
        labels = values.words(dataset.target).fill_null("").to_list()
        rows = seeds.stream(0, "samples").choice(len(dataset), min(_SAMPLES, len(dataset)), replace=False)
        pictures.append(samples([dataset.inputs[row] for row in rows], [labels[row] for row in rows]))
        if counts:
            shown = list(counts)[:_MOST_CLASSES]
            pictures.append(means([dataset.inputs[np.equal(labels, label)].mean(axis=0) for label in shown], shown))
    return [*pictures, class_balance(counts)] if counts else pictures


def samples(images: Sequence[np.ndarray], labels: Sequence[str]) -> Picture:
    """Some images (channels, rows, cols) in [0, 255] with their classes."""
    table = Table(
        (_("class"), _("mean light")), tuple((s, format_percent(i.mean() / 255, 1)) for i, s in zip(images, labels))
    )
    caption = _("Images drawn by chance, with the class that each was given: are the classes right, can you tell them?")
    draw, size = _gallery(images, [short(label, 16) for label in labels])
    return Picture("samples", _("Some of the images"), caption, table, draw, size)


def means(images: Sequence[np.ndarray], labels: Sequence[str]) -> Picture:
    """The mean image of each class: (channels, rows, cols) in [0, 255]."""
    pairs = sorted(
        (float(np.linalg.norm(np.subtract(images[i], images[j], dtype=float)) / 255), labels[i], labels[j])
        for i, j in combinations(range(len(images)), 2)
    )
    table = Table(
        (_("class"), _("another"), _("distance")), tuple((one, other, distance) for distance, one, other in pairs)
    )
    caption = _("Sharp where the images of a class agree, blurred where they differ.")
    if pairs:
        distance, one, other = pairs[0]
        text = _("The two most alike are {one} and {other}: {distance} apart, with pixels from 0 to 1.")
        caption += " " + text.format(one=one, other=other, distance=format_number(distance, 4))
    draw, size = _gallery(images, [short(label, 16) for label in labels])
    return Picture("means", _("The mean image of each class"), caption, table, draw, size)


def examples(worst: Sequence[Example]) -> Picture:
    """The pictures the network was most wrong about, with the truth and its answer."""
    table = Table(
        (_("row"), _("truth"), _("answer"), _("confidence")),
        tuple(
            (e.row, e.truth, e.prediction, "" if e.confidence is None else format_percent(e.confidence)) for e in worst
        ),
    )
    words = [
        short(_("truth: {label}").format(label=example.truth), 16)
        + "\n"
        + short(_("answer: {label}").format(label=example.prediction), 16)
        for example in worst
    ]
    draw, size = _gallery([from_png_base64(example.png) for example in worst], words, across=6)
    caption = _("The worst first: those whose truth was given the least chance.")
    return Picture("examples", _("The worst answers"), caption, table, draw, size)


def _gallery(
    images: Sequence[np.ndarray], words: Sequence[str], across: int = 5
) -> tuple[Callable[[Sheet], None], tuple[float, float]]:
    """Images side by side with words below each: how they are drawn, and the size that takes."""
    down = max(-(-len(images) // across), 1)
    width = 6.0 / across
    height = width + 0.25 + 0.17 * max((text.count("\n") for text in words), default=0)

    def draw(sheet: Sheet) -> None:
        for place, (image, text) in enumerate(zip(images, words)):
            row, column = divmod(place, across)
            left, bottom = column * width + 0.06, (down - 1 - row) * height + height - width + 0.08
            panel = sheet.panel(left, bottom, width - 0.12, width - 0.12)
            pixels = np.broadcast_to(np.clip(image, 0, 255), (3, *image.shape[1:])).transpose(1, 2, 0)
            panel.imshow(np.rint(pixels).astype(np.uint8), interpolation="nearest", aspect="equal")
            panel.set_axis_off()
            panel.annotate(
                text, (0.5, 0), (0, -4), xycoords="axes fraction", textcoords="offset points",
                ha="center", va="top", size=8.5,
            )  # fmt: skip

    return draw, (across * width, down * height)
