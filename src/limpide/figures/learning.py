"""How the training went: the loss and the metrics of every epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limpide.evaluation import METRICS
from limpide.figures.axes import (
    capital,
    grid,
    name_ends,
    number_width,
    show_numbers,
    show_powers,
    show_whole_numbers,
    text_width,
)
from limpide.figures.picture import BLUE, MUTED, ORANGE, PAPER, Picture, Sheet, Table
from limpide.i18n import _, format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from limpide.runs import Run

Curve = tuple[str, str, Sequence[float | None]]
"""A name, a colour, a value per epoch (None where there is none)."""

_LOG_FROM = 8.0
_FLOOR_OF_R2 = -1.0


def loss(run: Run, running: bool = False) -> Picture:
    """The loss on training and validation rows, both measured at the end of each epoch.

    running  with the running average of the batches, which is measured while the weights still move
    """
    history = run.history
    curves: list[Curve] = [
        (_("training"), BLUE, [epoch.train_loss for epoch in history]),
        (_("validation"), ORANGE, [epoch.validation_loss for epoch in history]),
    ]
    if running:
        curves.insert(0, (_("running average"), MUTED, [epoch.running_loss for epoch in history]))
    values = _finite(value for _name, _colour, curve in curves for value in curve)
    log = bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_FROM
    caption = _(
        "Lower is better. Both curves are measured at the end of each epoch, with the same weights. "
        "The weights of the best epoch, lowest on the validation rows, were kept."
    )
    if log:
        caption += " " + _("The scale is logarithmic: each step up multiplies the loss.")
    rows = tuple(
        (epoch.epoch, epoch.train_loss, epoch.validation_loss, epoch.running_loss, epoch.rate) for epoch in history
    )
    header = (_("epoch"), _("training"), _("validation"), _("running average"), _("learning rate"))
    return _curves(run, "loss", _("Loss per epoch"), caption, Table(header, rows), curves, log=log)


def metrics(run: Run, name: str) -> Picture:
    """One metric on training and validation rows, both measured at the end of each epoch."""
    definition, history = METRICS[name], run.history
    curves: list[Curve] = [
        (_("training"), BLUE, [epoch.train.get(name) for epoch in history]),
        (_("validation"), ORANGE, [epoch.validation.get(name) for epoch in history]),
    ]
    caption = _("Higher is better.") if definition.higher_is_better else _("Lower is better.")
    caption += " " + _("A gap that opens between the curves is over-fitting: the network learns its rows by heart.")
    lowest = min(_finite(value for _name, _colour, curve in curves for value in curve), default=0.0)
    floor = _FLOOR_OF_R2 if name == "r2" and lowest < _FLOOR_OF_R2 else None
    if floor is not None:
        caption += " " + _("The first epochs lie below the axis; the table has them.")
    rows = tuple((epoch.epoch, epoch.train.get(name), epoch.validation.get(name)) for epoch in history)
    table = Table((_("epoch"), _("training"), _("validation")), rows)
    title = _("{metric} per epoch").format(metric=capital(_(definition.label)))
    return _curves(run, f"metrics-{name}", title, caption, table, curves, as_percent=definition.percent, floor=floor)


def _curves(
    run: Run,
    name: str,
    title: str,
    caption: str,
    table: Table,
    curves: Sequence[Curve],
    *,
    log: bool = False,
    as_percent: bool = False,
    floor: float | None = None,
) -> Picture:
    """A line per curve with its name at its end, and the epoch whose weights were kept."""
    epochs = [epoch.epoch for epoch in run.history]
    best = run.stop.best_epoch
    drawn = [(word, colour, [math.nan if v is None else float(v) for v in curve]) for word, colour, curve in curves]
    drawn = [curve for curve in drawn if _finite(curve[2])]

    def draw(sheet: Sheet) -> None:
        values = _finite(value for *_rest, curve in drawn for value in curve) or [0.0, 1.0]
        low, high = _limits(values, log, as_percent, floor)
        right = 0.2 + text_width(word for word, *_rest in drawn)
        axes = sheet.axes(0.3 + number_width(low, high, as_percent), 0.55, right, top=0.32)
        grid(axes)
        axes.set_ylim(low, high)
        axes.set_xlim(min(epochs, default=0), max(epochs, default=1) + (0 if len(epochs) > 1 else 1))
        if log:
            axes.set_yscale("log")
            axes.set_ylim(low, high)
            show_powers(axes.yaxis, low, high)
        else:
            show_numbers(axes.yaxis, as_percent)
        show_whole_numbers(axes.xaxis)
        axes.set_xlabel(_("epoch"))
        _mark_best(axes, best, epochs, drawn)
        for _word, colour, curve in drawn:
            dashes = (4, 1.6) if colour == ORANGE else (None, None)
            axes.plot(epochs, curve, color=colour, dashes=dashes, marker="o" if len(epochs) == 1 else "", clip_on=True)
        name_ends(axes, [(*_last(epochs, curve, low), word, colour) for word, colour, curve in drawn])

    return Picture(name, title, caption, table, draw)


def _mark_best(axes: Axes, best: int, epochs: Sequence[int], drawn: Sequence[tuple[str, str, list[float]]]) -> None:
    if best not in epochs:
        return
    axes.axvline(best, color=MUTED, linewidth=0.9, zorder=1)
    share = (best - epochs[0]) / max(epochs[-1] - epochs[0], 1)
    side = "right" if share > 0.75 else "left" if share < 0.25 else "center"
    axes.annotate(
        _("best: epoch {n}").format(n=format_count(best)),
        (best, 1),
        (0, 5),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=MUTED,
        ha=side,
    )
    if not drawn:
        return
    _word, colour, curve = drawn[-1]
    axes.plot([best], [curve[epochs.index(best)]], "o", color=colour, markeredgecolor=PAPER, markersize=8, zorder=5)


def _last(epochs: Sequence[int], curve: Sequence[float], low: float) -> tuple[float, float]:
    """Where a line ends: its last finite point, on the axes at least."""
    x, y = next((x, y) for x, y in zip(reversed(epochs), reversed(curve)) if math.isfinite(y))
    return float(x), max(float(y), low)


def _limits(values: Sequence[float], log: bool, as_percent: bool, floor: float | None) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.2, high * 1.2
    if floor is not None:
        low = floor
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return (low - room if low - room > 0 or low < 0 else 0.0), (
        min(high + room, 1 + room / 4) if as_percent else high + room
    )


def _finite(values: object) -> list[float]:
    return [float(value) for value in values if value is not None and math.isfinite(value)]  # type: ignore[attr-defined]
