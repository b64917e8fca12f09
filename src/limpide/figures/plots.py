"""Pictures of any numbers: lines, points, level lines with paths over them, rows of small images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from limpide.figures.axes import (
    grid,
    name_ends,
    number_width,
    show_numbers,
    show_powers,
    show_whole_numbers,
    text_width,
)
from limpide.figures.picture import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, RED, Picture, Sheet, Table
from limpide.i18n import _, format_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN, RED, MUTED, INK)

Points = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]
"""The x and the y of points in their order."""

_TABLE_ROWS = 200
"""A table behind a picture shows no more points of a line; they are then evenly chosen."""


def lines(
    name: str,
    title: str,
    caption: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Points],
    *,
    log_x: bool = False,
    log_y: bool = False,
    points: bool = False,
    bands: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]] | None = None,
    size: tuple[float, float] = (5.4, 3.3),
) -> Picture:
    """A line for each series, its name at its end; numbers in a name get the marks of the user's language.

    points  marks instead of lines
    bands   by the name of a series, the lower and the upper edge of what surrounds its line
    """
    drawn = {format_text(word): (np.asarray(x, float), np.asarray(y, float)) for word, (x, y) in series.items()}
    edges = {format_text(word): parts for word, parts in (bands or {}).items()}
    around = {word: tuple(np.asarray(edge, float) for edge in parts) for word, parts in edges.items()}

    def draw(sheet: Sheet) -> None:
        low, high = _limits([y for _x, y in drawn.values()] + [e for edges in around.values() for e in edges], log_y)
        right = 0.32 + text_width(drawn)
        axes = sheet.axes(0.5 + number_width(low, high), 0.55, right, top=0.12)
        grid(axes)
        left_x, right_x = _limits([x for x, _y in drawn.values()], log_x, margin=0.02 if points else 0.0)
        _scale(axes, (left_x, right_x), (low, high), log_x, log_y)
        if not log_x and all(np.array_equal(x, np.rint(x)) for x, _y in drawn.values()):
            show_whole_numbers(axes.xaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label, color=MUTED)
        ends = []
        marks: Any = {"marker": "o", "ls": "", "ms": 4} if points else {}
        for (word, (x, y)), colour in zip(drawn.items(), cycle(COLOURS)):
            if word in around:
                axes.fill_between(x, around[word][0], around[word][1], color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, y, color=colour, **marks)
            finite = np.isfinite(y) & (y >= low) & (y <= high)
            if finite.any():
                last = (
                    int(np.flatnonzero(finite)[-1]) if not points else int(np.nanargmax(np.where(finite, x, -math.inf)))
                )
                ends.append((float(x[last]), float(y[last]), word, colour))
        if len(drawn) > 1:
            name_ends(axes, ends)

    return Picture(name, title, caption, _table(x_label, y_label, drawn), draw, size)


def scatter(
    name: str,
    title: str,
    caption: str,
    x_label: str,
    y_label: str,
    groups: Mapping[str, Points],
    *,
    surface: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    size: tuple[float, float] = (5.0, 4.0),
) -> Picture:
    """Points in groups, over a surface of probabilities where there is one.

    surface  x (columns), y (rows) and values from 0 to 1 (rows, columns): the share of the second group
    """
    drawn = {word: (np.asarray(x, float), np.asarray(y, float)) for word, (x, y) in groups.items()}

    def draw(sheet: Sheet) -> None:
        low, high = _limits([y for _x, y in drawn.values()], False)
        axes = sheet.axes(0.5 + number_width(low, high), 0.55, 0.2, top=0.4)
        if surface is not None:
            from matplotlib.colors import LinearSegmentedColormap

            colours = LinearSegmentedColormap.from_list("two", [BLUE, PAPER, ORANGE])
            xs, ys, values = surface
            extent = (float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1]))
            axes.imshow(values, extent=extent, origin="lower", cmap=colours, vmin=0, vmax=1, alpha=0.45, aspect="auto")
            if values.min() < 0.5 < values.max():
                axes.contour(xs, ys, values, levels=[0.5], colors=[INK], linewidths=1.2)
            axes.set_xlim(*extent[:2])
            axes.set_ylim(*extent[2:])
        for (word, (x, y)), colour in zip(drawn.items(), cycle(COLOURS)):
            axes.plot(x, y, "o", ms=4, color=colour, markeredgecolor=PAPER, markeredgewidth=0.5, label=word)
        show_numbers(axes.xaxis)
        show_numbers(axes.yaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label, color=MUTED)
        _legend(axes, len(drawn))

    return Picture(name, title, caption, _table(x_label, y_label, drawn), draw, size)


def field(
    name: str,
    title: str,
    caption: str,
    x_label: str,
    y_label: str,
    surface: tuple[np.ndarray, np.ndarray, np.ndarray],
    paths: Mapping[str, Points] | None = None,
    *,
    log_levels: bool = True,
    size: tuple[float, float] = (5.0, 4.0),
) -> Picture:
    """Level lines of a function of two numbers, and the paths that went down it.

    surface     x (columns), y (rows) and values (rows, columns)
    log_levels  lines at equal ratios of the height above the lowest value, not at equal steps
    """
    xs, ys, values = (np.asarray(part, float) for part in surface)
    drawn = {word: (np.asarray(x, float), np.asarray(y, float)) for word, (x, y) in (paths or {}).items()}

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.5 + number_width(float(ys[0]), float(ys[-1])), 0.55, 0.2, top=0.4 if drawn else 0.12)
        finite = values[np.isfinite(values)]
        low, high = float(finite.min()), float(finite.max())
        span = (high - low) or 1.0
        levels = low + span * (np.geomspace(1e-4, 1, 16) if log_levels else np.linspace(0.02, 1, 16))
        shades = np.log10(np.clip(values - low, span * 1e-4, None)) if log_levels else values
        extent = (float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1]))
        axes.imshow(shades, extent=extent, origin="lower", cmap="Blues", alpha=0.55, aspect="auto")
        axes.contour(xs, ys, values, levels=levels, colors=[MUTED], linewidths=0.6)
        for (word, (x, y)), colour in zip(drawn.items(), cycle((ORANGE, GREEN, RED, BLUE, INK))):
            axes.plot(x, y, "-o", ms=2.5, lw=1.3, color=colour, label=word)
            axes.plot(x[-1:], y[-1:], "o", ms=6, color=colour, markeredgecolor=PAPER)
        axes.set_xlim(*extent[:2])
        axes.set_ylim(*extent[2:])
        show_numbers(axes.xaxis)
        show_numbers(axes.yaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label, color=MUTED)
        _legend(axes, len(drawn))

    table = _table(x_label, y_label, drawn) if drawn else _corners(x_label, y_label, xs, ys, values)
    return Picture(name, title, caption, table, draw, size)


def images(
    name: str,
    title: str,
    caption: str,
    pictures: Sequence[tuple[str, np.ndarray]],
    *,
    per_row: int = 5,
    signed: bool = False,
) -> Picture:
    """Small images in rows, each under its name.

    pictures  a name and an array (rows, columns), or (rows, columns, 3) in [0, 1]
    signed    values around zero: blue below, orange above
    """
    n_columns = min(per_row, len(pictures)) or 1
    n_rows = -(-len(pictures) // n_columns)
    side = min(1.1, 5.4 / n_columns)

    def draw(sheet: Sheet) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        colours: Any = LinearSegmentedColormap.from_list("signed", [BLUE, PAPER, ORANGE]) if signed else "gray"
        for i, (word, pixels) in enumerate(pictures):
            row, column = divmod(i, n_columns)
            bottom = sheet.height - (row + 1) * (side + 0.28) + 0.04
            axes = sheet.panel(column * (side + 0.06), bottom, side, side)
            peak = float(np.nanmax(np.abs(pixels))) or 1.0
            bounds: Any = {"vmin": -peak, "vmax": peak} if signed else {}
            axes.imshow(pixels, cmap=colours, interpolation="nearest", **bounds)
            axes.set_axis_off()
            axes.set_title(word, color=INK, fontsize=9, pad=3)

    table = Table(
        (_("picture"), _("mean"), _("smallest"), _("largest")),
        tuple((word, float(p.mean()), float(p.min()), float(p.max())) for word, p in pictures),
    )
    return Picture(name, title, caption, table, draw, (n_columns * (side + 0.06), n_rows * (side + 0.28)))


def _legend(axes: Axes, n: int) -> None:
    if n:
        where: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": min(n, 4)}
        axes.legend(**where, frameon=False, borderpad=0, handletextpad=0.3, columnspacing=1.2, borderaxespad=0.3)


def _scale(axes: Axes, x: tuple[float, float], y: tuple[float, float], log_x: bool, log_y: bool) -> None:
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    for axis, is_log, ends in ((axes.xaxis, log_x, x), (axes.yaxis, log_y, y)):
        if is_log:
            show_powers(axis, *ends)
        else:
            show_numbers(axis)


def _limits(parts: Sequence[np.ndarray], log: bool, margin: float = 0.06) -> tuple[float, float]:
    """The ends of an axis that holds all finite values, with some room."""
    values = np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(1)
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not values.size:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if log:
        room = (high / low) ** margin if high > low else 2.0
        return low / room, high * room
    room = margin * (high - low) or (0.05 * abs(high) or 0.5) * (low == high)
    return low - room, high + room


def _table(x_label: str, y_label: str, drawn: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Table:
    rows = []
    for word, (x, y) in drawn.items():
        every = max(1, math.ceil((len(x) - 1) / (_TABLE_ROWS - 1)))
        chosen = sorted({*range(0, len(x), every), len(x) - 1})
        rows += [(word, float(x[i]), float(y[i])) for i in chosen]
    return Table((_("series"), x_label, y_label), tuple(rows))


def _corners(x_label: str, y_label: str, xs: np.ndarray, ys: np.ndarray, values: np.ndarray) -> Table:
    """The value at a few places of a surface."""
    across = np.unique(np.linspace(0, len(xs) - 1, 5).astype(int))
    up = np.unique(np.linspace(0, len(ys) - 1, 5).astype(int))
    rows = tuple((float(xs[i]), float(ys[j]), float(values[j, i])) for j in up for i in across)
    return Table((x_label, y_label, _("value")), rows)
