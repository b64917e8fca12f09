"""How strong the gradient of each layer is, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from limpide.figures.axes import grid, name_ends, number_width, show_powers, show_whole_numbers, text_width, tick_text
from limpide.figures.picture import MUTED, Picture, Sheet, Table
from limpide.figures.plots import COLOURS
from limpide.figures.shades import bar_width, caption_of, rising
from limpide.i18n import _, format_count, format_number

if TYPE_CHECKING:
    from limpide.reopening import Reopened, Walk

_MOST_LINES = 6
_DASHES = ((None, None), (5, 1.5), (2, 1.2), (6, 1.5, 1.5, 1.5), (1, 1), (8, 2))


def gradient_norms(opened: Reopened) -> Picture:
    """A line for each layer; a row of squares for each where there are many."""
    walk = opened.walk
    names = list(walk.norms)
    norms = np.array([walk.norms[name] for name in names])
    caption = caption_of(
        _("The norm of the gradient of the loss, layer by layer, at the start (epoch 0) and at the end of each epoch."),
        _("Lines far apart mean that some layers learn far faster than others; the lowest hardly move."),
        _("Computed on {n} training rows, the same each time, in training mode, seed {seed}.").format(
            n=format_count(walk.n_rows), seed=opened.run.recipe.seed
        ),
        said_walk(walk),
    )
    header = (_("epoch"), *names)
    table = Table(header, tuple((i, *(float(v) for v in column)) for i, column in enumerate(norms.T)))
    draw = _squares(names, norms) if len(names) > _MOST_LINES else _lines(names, norms)
    size = (5.6, 3.4 if len(names) <= _MOST_LINES else 1.0 + 0.26 * len(names))
    return Picture("gradient-norms", _("Gradient norms by layer"), caption, table, draw, size)


def said_walk(walk: Walk) -> str:
    """How the training was seen once more, and how well it came out."""
    if walk.gap == 0:
        text = _("The training was made again from its recipe: it ends in the very same weights.")
    else:
        text = _(
            "The training was made again from its recipe; its weights end {gap} of their norm away from the run's."
        )
        text = text.format(gap=format_number(walk.gap, 2))
    mean = _("The weights of an epoch are their mean over the epochs so far, which is what the run measures and keeps.")
    return f"{text} {mean}" if walk.is_mean else text


def _positive(norms: np.ndarray) -> tuple[float, float]:
    found = norms[np.isfinite(norms) & (norms > 0)]
    return (float(found.min()), float(found.max())) if found.size else (0.1, 1.0)


def _lines(names: list[str], norms: np.ndarray) -> Callable[[Sheet], None]:
    def draw(sheet: Sheet) -> None:
        low, high = _positive(norms)
        low, high = low / 1.25, high * 1.25
        axes = sheet.axes(0.5 + number_width(low, high), 0.55, 0.3 + text_width(names))
        grid(axes)
        axes.set_yscale("log")
        axes.set(xlim=(0, max(norms.shape[1] - 1, 1)), ylim=(low, high))
        show_powers(axes.yaxis, low, high)
        show_whole_numbers(axes.xaxis)
        axes.set_xlabel(_("epoch"))
        axes.set_ylabel(_("norm of the gradient"), color=MUTED)
        ends = []
        for name, values, colour, dashes in zip(names, norms, COLOURS, _DASHES):
            axes.plot(range(len(values)), values, color=colour, dashes=dashes)
            last = float(values[-1]) if values[-1] > 0 else low
            ends.append((len(values) - 1.0, max(last, low), name, colour))
        name_ends(axes, ends)

    return draw


def _squares(names: list[str], norms: np.ndarray) -> Callable[[Sheet], None]:
    def draw(sheet: Sheet) -> None:
        low, high = _positive(norms)
        ends = np.log10(low), np.log10(high)
        right = bar_width(low, high) + 0.25
        axes = sheet.axes(0.3 + text_width(names), 0.55, right)
        with np.errstate(divide="ignore"):
            shades = rising(np.log10(np.maximum(norms, low)), *ends)
        axes.imshow(shades, aspect="auto", interpolation="nearest")
        axes.set_yticks(range(len(names)), names)
        show_whole_numbers(axes.xaxis)
        axes.set_xlabel(_("epoch"))
        bar = sheet.panel(sheet.width - right + 0.2, 0.55, 0.12, sheet.height - 0.67)
        bar.imshow(rising(np.linspace(*ends, 64)[:, None], *ends), extent=(0, 1, *ends), origin="lower", aspect="auto")
        bar.set_xticks([])
        bar.yaxis.tick_right()
        ticks = np.linspace(*ends, 4)
        bar.set_yticks(ticks, [tick_text(float(f"{10**tick:.1g}")) for tick in ticks])
        for spine in bar.spines.values():
            spine.set_visible(False)

    return draw
