"""What every drawing shares: numbers on axes as the language writes them, labels that do not collide, short words."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from limpide.figures.picture import GRID, TEXT_SIZE
from limpide.i18n import format_count, format_number, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.ticker import MaxNLocator


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def tick_text(value: float) -> str:
    """A number as short as it can be on an axis.

    >>> tick_text(0.30000000000000004), tick_text(-12000.0), tick_text(2.5e6)
    ('0.3', '−12,000', '2.5×10⁶')
    """
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{format_number(float(mantissa), 3)}×10{str(int(exponent)).translate(_RAISED)}"
    elif size >= 1e4:
        text = format_count(round(value))
    else:
        text = format_number(value, 6)
    return text.replace("-", "−") if text.startswith("-") else text


def short(word: str, length: int = 18) -> str:
    """A word of the user's file, fit for a label: one line, no control signs, at most `length` signs.

    The end is kept too: it is often what tells names apart.

    >>> short("species number 12", 12)
    'species…r 12'
    """
    clean = "".join(" " if unicodedata.category(sign).startswith("C") else sign for sign in word).strip() or "–"
    tail = length // 3
    return clean if len(clean) <= length else f"{clean[: length - tail - 1]}…{clean[-tail:]}"


def capital(text: str) -> str:
    """A phrase as it opens a title.

    >>> capital("log-loss")
    'Log-loss'
    """
    return text[:1].upper() + text[1:]


def text_width(words: Iterable[str], size: float = TEXT_SIZE) -> float:
    """The width in inches that the longest of these words needs, on the safe side."""
    return max((len(word) for word in words), default=0) * 0.58 * size / 72


def number_width(low: float, high: float, as_percent: bool = False) -> float:
    """The width in inches that the ticks of an axis from `low` to `high` need."""
    ticks = [_number_text(float(tick), as_percent) for tick in _locator().tick_values(low, high) if low <= tick <= high]
    return max(text_width([*ticks, *(tick_text(float(f"{end:.2g}")) for end in (low, high, (low + high) / 2))]), 0.3)


def show_numbers(axis: Axis, as_percent: bool = False) -> None:
    """Ticks in the user's language: five or so, percentages where asked."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_locator(_locator())
    axis.set_major_formatter(FuncFormatter(lambda value, _position: _number_text(value, as_percent)))


def _locator() -> MaxNLocator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])


def _number_text(value: float, as_percent: bool) -> str:
    return format_percent(value, digits=6) if as_percent else tick_text(value)


def show_whole_numbers(axis: Axis) -> None:
    """Ticks on whole numbers only."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _position: tick_text(value)))


def show_powers(axis: Axis, low: float, high: float) -> None:
    """A log axis from `low` to `high` with plain numbers: 0.1, 0.2, 0.5, 1."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks: list[float] = []
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in steps if low <= m * 10.0**e <= high]
        if len(ticks) <= 7:
            break
    if len(ticks) < 3:
        ticks = [
            float(tick) for tick in MaxNLocator(nbins=4).tick_values(low, high) if low <= tick <= high and tick > 0
        ]
    axis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / 7)] if ticks else [low, high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _position: tick_text(value)))


def grid(axes: Axes, axis: str = "y") -> None:
    """Hairlines behind the data, and no frame but the base line."""
    axes.grid(axis=axis)  # type: ignore[arg-type]
    for name, spine in axes.spines.items():
        spine.set_visible(name == ("bottom" if axis == "y" else "left"))
        spine.set_color(GRID)


def name_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """A name at the end of each line, (x, y, name, colour), pushed apart where they would overlap.

    The limits of the axes must be final.
    """
    height = axes.get_window_extent().height * 72 / axes.figure.dpi
    places = [float(axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]) for x, y, *_ in ends]
    wanted = [place * height for place in places]
    order = sorted(range(len(ends)), key=lambda i: wanted[i])
    moved = list(wanted)
    # a name pushed away from one neighbour may meet the next: as many rounds as there are names settle it
    for below, above in [*pairwise(order)] * len(ends):
        gap = TEXT_SIZE * 1.25 - (moved[above] - moved[below])
        if gap > 0:
            moved[below] -= gap / 2
            moved[above] += gap / 2
    # above the axes there is hardly room for half a name
    highest = height + 2
    for i in reversed(order):
        moved[i] = min(moved[i], highest)
        highest = moved[i] - TEXT_SIZE * 1.25
    for (x, y, name, colour), was, now in zip(ends, wanted, moved):
        axes.annotate(name, (x, y), (7, now - was), textcoords="offset points", color=colour, va="center")
