"""Activation functions with their derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from limpide.figures.axes import grid, short, show_numbers
from limpide.figures.picture import BLUE, GRID, ORANGE, Picture, Sheet, Table
from limpide.i18n import _, format_number
from limpide.nn.activations import ACTIVATIONS, ActivationFunction
from limpide.nn.layers import Activation, Layer, Residual
from limpide.nn.network import Network

REACH = 5.0
"""They are drawn from minus this to this."""

_ACROSS, _WIDTH, _HEIGHT = 3, 2.15, 1.9
_SHOWN = (-2.0, -1.0, 0.0, 1.0, 2.0)


def activations(functions: Sequence[tuple[str, float]]) -> Picture:
    """Each function and its derivative.

    functions  names of the catalogue, each with its slope below zero
    """
    rows = [(ACTIVATIONS[name], slope) for name, slope in functions]
    z = np.linspace(-REACH, REACH, 401)
    curves = [values_of(row, z, slope) for row, slope in rows]
    across = min(_ACROSS, len(rows))
    down = -(-len(rows) // across)
    width, height = (_WIDTH, _HEIGHT) if across == _ACROSS else (5.4 / across, 2.6)

    def draw(sheet: Sheet) -> None:
        for i, ((row, slope), (y, dy)) in enumerate(zip(rows, curves)):
            left, bottom = (i % across) * width + 0.45, (down - 1 - i // across) * height + 0.52
            axes = sheet.panel(left, bottom, width - 0.6, height - 0.85)
            grid(axes)
            axes.axvline(0, color=GRID, linewidth=0.8)
            axes.axhline(0, color=GRID, linewidth=1.2)
            axes.plot(z, y, color=BLUE)
            axes.plot(z, dy, color=ORANGE, dashes=(4, 1.6), linewidth=1.6)
            axes.set_title(_title(row, slope), loc="left", pad=4)
            axes.set_xlim(-REACH, REACH)
            show_numbers(axes.xaxis)
            show_numbers(axes.yaxis)
            axes.tick_params(labelsize=8.5, pad=3)
            axes.set_xlabel(_("sum z"), fontsize=9, labelpad=1)

    caption = _(
        "In blue, what the function gives for each sum z of a unit; dashed in orange, its derivative, by which the "
        "gradient is multiplied on its way back. Where it lies near zero, little is learned. Computed at 401 points."
    )
    if any(row.name == "softmax" for row, _slope in rows):
        caption += " " + _("Softmax works on several sums: drawn is the share of the first of two, the other being 0.")
    table = Table(
        (_("function"), _("formula"), _("z"), _("value"), _("derivative")),
        tuple(
            (row.name, _(row.formula), at, *(float(part[0]) for part in values_of(row, np.array([at]), slope)))
            for row, slope in rows
            for at in _SHOWN
        ),
    )
    title = _("Activation functions and their derivatives")
    return Picture("activations", title, caption, table, draw, (across * width, down * height))


def _title(row: ActivationFunction, slope: float) -> str:
    return short(row.name if row.slope is None else f"{row.name}, a = {format_number(slope, 3)}", 24)


def values_of(row: ActivationFunction, z: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """The function and its derivative at each z; of softmax, the first of two sums, the other being 0."""
    if row.name == "softmax":
        return values_of(ACTIVATIONS["sigmoid"], z, 0.0)
    y = row.value(z, np.array(slope))
    return y, row.derivative(z, y, np.array(slope))


def used_in(network: Network, weights: Mapping[str, np.ndarray]) -> list[tuple[str, float]]:
    """The activation functions of a network, each once, with the slope it has learned."""
    found: dict[tuple[str, float], None] = {}
    for path, layer in _inner(network.layers):
        if isinstance(layer, Activation):
            learned = weights.get(f"{path}.a")
            slope = layer.start_slope if learned is None else float(learned[0])
            found[(layer.function, round(slope, 6))] = None
    return list(found)


def _inner(layers: Sequence[Layer], above: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer with its path, those inside residual blocks too."""
    for i, layer in enumerate(layers):
        path = f"{above}{i}.{layer.keyword}"
        yield path, layer
        if isinstance(layer, Residual):
            yield from _inner(layer.layers, f"{path}.")


def named(names: str | Sequence[str]) -> list[tuple[str, float]]:
    """Functions by their names; "all" for all there are.

    Raises  UnknownName  for one that does not exist
    """
    words = [word.strip() for word in names.split(",")] if isinstance(names, str) else list(names)
    if words == ["all"]:
        words = [row.name for row in ACTIVATIONS.rows()]
    rows = dict.fromkeys(ACTIVATIONS[word].name for word in words)
    return [(name, ACTIVATIONS[name].slope or 0.0) for name in rows]
