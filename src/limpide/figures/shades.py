"""Values as shades of one colour, or of two around zero; their scale beside them; a surface seen from the side.

Shades are transparent colours: a page's own ground shows through, light or dark.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from limpide.figures.axes import number_width, tick_text
from limpide.figures.picture import BLUE, GRID, INK, MUTED, ORANGE, PAPER, TEXT_SIZE, Sheet
from limpide.i18n import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAINTEST, STRONGEST = 0.04, 0.85

View = Literal["contour", "surface"]
"""Level lines, or a surface seen from the side."""

Surface = tuple[np.ndarray, np.ndarray, np.ndarray]
"""x (columns), y (rows) and values (rows, columns)."""


def signed(values: np.ndarray, peak: float) -> np.ndarray:
    """(..., 4): blue below zero, orange above, as strong as the value is large; nothing at zero."""
    from matplotlib.colors import to_rgb

    shares = np.clip(np.abs(np.nan_to_num(values)) / (peak or 1.0), 0, 1)
    colours = np.where(np.asarray(values)[..., None] > 0, to_rgb(ORANGE), to_rgb(BLUE))
    return np.concatenate([colours, (STRONGEST * shares)[..., None]], axis=-1)


def rising(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(..., 4): blue, from faint at `low` to strong at `high`."""
    from matplotlib.colors import to_rgb

    shares = np.clip((np.nan_to_num(values, nan=high, posinf=high) - low) / ((high - low) or 1.0), 0, 1)
    colours = np.broadcast_to(to_rgb(BLUE), (*np.shape(values), 3))
    return np.concatenate([colours, (FAINTEST + (STRONGEST - FAINTEST) * shares)[..., None]], axis=-1)


def bar_width(low: float, high: float) -> float:
    """The inches that a scale beside a picture takes, its numbers included."""
    return 0.3 + number_width(low, high)


def scale_bar(sheet: Sheet, bottom: float, height: float, low: float, high: float, *, diverging: bool = False) -> None:
    """The scale of the shades at the right edge of the sheet: its ends, and zero where there are two colours."""
    width = bar_width(low, high)
    axes = sheet.panel(sheet.width - width, bottom, 0.12, height)
    values = np.linspace(low, high, 64)[:, None]
    shades = signed(values, max(abs(low), abs(high))) if diverging else rising(values, low, high)
    axes.imshow(shades, extent=(0, 1, low, high), origin="lower", aspect="auto")
    axes.set_xticks([])
    axes.yaxis.tick_right()
    ticks = [low, 0.0, high] if diverging else list(np.linspace(low, high, 3))
    axes.set_yticks(ticks, [tick_text(float(f"{tick:.2g}")) for tick in ticks])
    for spine in axes.spines.values():
        spine.set_visible(False)


def levels_of(values: np.ndarray, by_ratio: bool = False, n: int = 8) -> np.ndarray:
    """Where level lines are drawn; none for values that are all the same."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return np.zeros(0)
    inner = np.geomspace(low, high, n + 2) if by_ratio else np.linspace(low, high, n + 2)
    return np.unique(inner[1:-1])


def digits_of(levels: np.ndarray) -> int:
    """How many digits tell these values apart."""
    return next((n for n in range(2, 7) if len({f"{level:.{n}g}" for level in levels}) == len(levels)), 7)


def is_wide(values: np.ndarray) -> bool:
    """Whether values are better told apart by their ratios."""
    finite = values[np.isfinite(values)]
    return bool(finite.min() > 0 and finite.max() > 10 * finite.min())


def contours(
    axes: Axes, surface: Surface, *, by_ratio: bool = False, levels: np.ndarray | None = None, named: bool = True
) -> None:
    """A surface as shades and level lines, each with its value.

    by_ratio  equal steps of shade and line stand for equal ratios
    """
    xs, ys, values = surface
    shown = np.log(values) if by_ratio else values
    finite = shown[np.isfinite(shown)]
    extent = (float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1]))
    shades = rising(shown, float(finite.min()), float(finite.max())) * [1, 1, 1, 0.75]
    axes.imshow(shades, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    levels = levels_of(values, by_ratio) if levels is None else levels
    if len(levels):
        drawn = axes.contour(xs, ys, values, levels=levels, colors=[MUTED], linewidths=0.7)
        if named:
            _name_levels(axes, drawn, levels, extent)
    axes.set_xlim(*extent[:2])
    axes.set_ylim(*extent[2:])


def _name_levels(axes: Axes, drawn: Any, levels: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    digits = digits_of(levels)
    shown: Any = lambda level: tick_text(float(f"{level:.{digits}g}"))  # noqa: E731
    for text in axes.clabel(drawn, fmt=shown, fontsize=8, colors=[INK]):
        # one that the edge would cut says nothing
        place = zip(text.get_position(), extent[::2], extent[1::2])
        text.set_visible(all(0.07 < (at - low) / (high - low) < 0.93 for at, low, high in place))


def relief(
    sheet: Sheet,
    surface: Surface,
    labels: tuple[str, str, str],
    *,
    by_ratio: bool = False,
    points: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    path: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> None:
    """A surface seen from the side, with points or a path over it; its height by ratios where this is asked for."""
    from matplotlib.colors import LinearSegmentedColormap
    from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

    xs, ys, values = surface
    total = float(sheet.figure.get_size_inches()[1])
    box = (0.05, (sheet.below + 0.2) / total, 0.86, (sheet.height - 0.2) / total)
    axes: Any = Axes3D(sheet.figure, box, computed_zorder=False)
    sheet.figure.add_axes(axes)
    height = np.log10 if by_ratio else np.asarray
    across, up = np.meshgrid(xs, ys)
    colours = LinearSegmentedColormap.from_list("rising", ["#dbe9f6", BLUE])
    drawn = axes.plot_surface(
        across, up, height(values), cmap=colours, rcount=60, ccount=60, linewidth=0.2, edgecolor=PAPER, zorder=1
    )
    drawn.set_rasterized(True)
    if path is not None:
        axes.plot(path[0], path[1], height(path[2]), "-o", color=ORANGE, ms=3, lw=1.4, zorder=5)
    if points is not None:
        axes.plot(points[0], points[1], height(points[2]), "o", color=ORANGE, ms=2.2, alpha=0.75, zorder=5)
    for axis, label in zip((axes.xaxis, axes.yaxis, axes.zaxis), labels):
        _plain(axis, label)
    axes.zaxis.set_rotate_label(False)
    axes.zaxis.label.set_rotation(90)
    axes.zaxis.labelpad = 56 * number_width(float(np.nanmin(values)), float(np.nanmax(values))) - 14
    if by_ratio:
        axes.zaxis.labelpad = 4
        _powers(axes, values)
    axes.view_init(elev=32, azim=_side(height(values)))
    axes.set_box_aspect((1.15, 1.15, 0.8), zoom=0.95)


def _side(height: np.ndarray) -> float:
    """The angle from which a surface is seen best: one from which it rises towards the back."""
    up, across = (float(np.nanmean(slope)) for slope in np.gradient(height))
    angles = (-58.0, 32.0, 122.0, -148.0)
    return min(angles, key=lambda a: across * math.cos(math.radians(a)) + up * math.sin(math.radians(a)))


def _plain(axis: Any, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_label_text(label, fontsize=9)
    axis.labelpad = 2
    axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(FuncFormatter(lambda value, _position: tick_text(float(f"{value:.6g}"))))
    axis.set_tick_params(pad=0, labelsize=TEXT_SIZE - 2)
    axis.set_pane_color((1, 1, 1, 0))
    axis.line.set_color(GRID)
    axis._axinfo["grid"].update(color=GRID, linewidth=0.6)


def _powers(axes: Any, values: np.ndarray) -> None:
    """Plain numbers on a height that is a logarithm."""
    finite = values[np.isfinite(values)]
    first, last = math.floor(np.log10(finite.min())), math.ceil(np.log10(finite.max()))
    ticks = [m * 10.0**e for e in range(first, last + 1) for m in (1, 3) if finite.min() <= m * 10.0**e <= finite.max()]
    ticks = ticks[:: math.ceil(len(ticks) / 5)] if ticks else [float(finite.min()), float(finite.max())]
    axes.set_zticks(np.log10(ticks))
    axes.set_zticklabels([tick_text(float(f"{tick:.2g}")) for tick in ticks])


def caption_of(*sentences: str) -> str:
    """The sentences of a caption, those that are empty left out."""
    return " ".join(sentence for sentence in sentences if sentence)


def logarithmic() -> str:
    """What to say of shades by ratio."""
    return _("Equal steps of shade, line or height are equal ratios.")
