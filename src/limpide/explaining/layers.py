"""The arithmetic of each layer: how an output, a slope along an input, a slope along a weight were made.

The formulas are those of the layers' own forward and backward, written for one number at a time. A test compares the
keywords here with the catalogue of layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from limpide.arrays import Shape
from limpide.explaining.arithmetic import Expression, Index, Number, add, call, minus, over, power, times
from limpide.explaining.functions import ACTIVATION_ARITHMETIC, share
from limpide.i18n import _
from limpide.nn.layers import Activation, AvgPool2d, BatchNorm, Conv2d, Dense, GlobalAvgPool, MaxPool2d

if TYPE_CHECKING:
    from limpide.explaining.views import View

ZERO = 0.0


class LayerArithmetic(Protocol):
    """How the numbers of one kind of layer are made; `row` is a place in the batch."""

    formula: str

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """An output."""

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """The slope of the loss along an input."""

    def gradient(self, view: View, key: str, place: Index) -> Expression:
        """The slope of the loss along a parameter."""


class _Unweighted:
    """A layer without weights of its own."""

    def gradient(self, view: View, key: str, place: Index) -> Expression:
        """There is none."""
        raise KeyError(key)


def _everywhere(view: View, unit: Index) -> Iterator[tuple[Index, int]]:
    """Every place of a channel (of a flat layer: one unit) in every row of the batch."""
    cells = list(product(*(range(size) for size in view.out_shape[1:])))
    for row in range(view.n_rows):
        for cell in cells:
            yield (unit[0], *cell), row


class DenseArithmetic:
    """`y = x W + b`."""

    formula = "y[j] = Σᵢ x[i]·W[i,j] + b[j]"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """Weighted inputs and the bias."""
        (j,) = unit
        terms: list[Expression] = [times(view.x((i,), row), view.weight("W", (i, j))) for i in range(view.in_shape[0])]
        return add([*terms, view.weight("b", (j,))] if cast(Dense, view.layer).bias else terms)

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """Every unit that the input goes to."""
        (i,) = place
        return add([times(view.dy((j,), row), view.weight("W", (i, j))) for j in range(view.out_shape[0])])

    def gradient(self, view: View, key: str, place: Index) -> Expression:
        """Over the rows of the batch."""
        if key == "b":
            return add([view.dy(place, row) for row in range(view.n_rows)])
        i, j = place
        return add([times(view.dy((j,), row), view.x((i,), row)) for row in range(view.n_rows)])


class ActivationArithmetic:
    """A function of each number; softmax, of each row."""

    formula = "y = f(x)"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """f(z)."""
        layer = cast(Activation, view.layer)
        if layer.function == "softmax":
            scores = self._row(view, unit, row)
            return share([view.x(place, row) for place in scores], view.top(unit, row), unit[-1])
        value, _slope = ACTIVATION_ARITHMETIC[layer.function]
        return value(view.x(unit, row), self._a(view))

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """dy f'(z)."""
        layer = cast(Activation, view.layer)
        y = view.y(place, row)
        if layer.function == "softmax":
            others = add([times(view.dy(other, row), view.y(other, row)) for other in self._row(view, place, row)])
            return times(y, minus(view.dy(place, row), others))
        _value, slope = ACTIVATION_ARITHMETIC[layer.function]
        return times(view.dy(place, row), slope(view.x(place, row), y, self._a(view)))

    def gradient(self, view: View, key: str, place: Index) -> Expression:
        """Of a learned slope: wherever the sum is below zero."""
        units = list(np.ndindex(view.in_shape))
        return add(
            [
                times(view.dy(unit, row), call("min", 0.0, view.x(unit, row)))
                for row in range(view.n_rows)
                for unit in units
            ]
        )

    def _row(self, view: View, unit: Index, row: int) -> list[Index]:
        return [(*unit[:-1], k) for k in range(view.in_shape[-1])]

    def _a(self, view: View) -> Expression:
        layer = cast(Activation, view.layer)
        return view.weight("a", (0,)) if layer.row.learned else view.constant("a", layer.start_slope)


class ConvArithmetic:
    """`y = K columns(x) + b`."""

    formula = "y[c,i,j] = Σ K[c,c′,u,v]·x[c′,i+u,j+v] + b[c]"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """The patch times the kernel, cell by cell, and the bias."""
        layer, channel = cast(Conv2d, view.layer), unit[0]
        terms: list[Expression] = [
            times(ZERO if place is None else view.x(place, row), view.weight("K", (channel, *cell)))
            for cell, place in self.patch(view, unit)
        ]
        return add([*terms, view.weight("b", (channel,))] if layer.bias else terms)

    def patch(self, view: View, unit: Index) -> Iterator[tuple[Index, Index | None]]:
        """Each cell of the kernel with the place of the input under it; None in the padding."""
        layer = cast(Conv2d, view.layer)
        for cell in product(range(view.in_shape[0] // layer.groups), *map(range, layer.kernel)):
            yield cell, self._under(view, unit, cell)

    def _under(self, view: View, unit: Index, cell: Index) -> Index | None:
        layer, (channel, i, j), (c, u, v) = cast(Conv2d, view.layer), unit, cell
        first = channel // (layer.channels // layer.groups) * (view.in_shape[0] // layer.groups)
        r, q = i * layer.stride + u - layer.padding, j * layer.stride + v - layer.padding
        inside = 0 <= r < view.in_shape[1] and 0 <= q < view.in_shape[2]
        return (first + c, r, q) if inside else None

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """Every patch that the cell is part of, in every channel of its group."""
        layer = cast(Conv2d, view.layer)
        channel, r, q = place
        seen, made = view.in_shape[0] // layer.groups, layer.channels // layer.groups
        outs = range(channel // seen * made, channel // seen * made + made)
        terms = []
        for out, u, v in product(outs, *map(range, layer.kernel)):
            at = _landing(r + layer.padding - u, q + layer.padding - v, (layer.stride,) * 2, view.out_shape)
            if at is not None:
                terms.append(times(view.dy((out, *at), row), view.weight("K", (out, channel % seen, u, v))))
        return add(terms)

    def gradient(self, view: View, key: str, place: Index) -> Expression:
        """Over the rows of the batch and the positions of the kernel."""
        if key == "b":
            return add([view.dy(unit, row) for unit, row in _everywhere(view, place)])
        terms = []
        for unit, row in _everywhere(view, place[:1]):
            under = self._under(view, unit, place[1:])
            if under is not None:
                terms.append(times(view.dy(unit, row), view.x(under, row)))
        return add(terms)


def _landing(r: int, q: int, stride: tuple[int, int], out_shape: Shape) -> Index | None:
    """The position that starts at this row and column of the input; None where none does."""
    if r % stride[0] or q % stride[1]:
        return None
    i, j = r // stride[0], q // stride[1]
    return (i, j) if 0 <= i < out_shape[1] and 0 <= j < out_shape[2] else None


class PoolArithmetic(_Unweighted):
    """The greatest of a block, or the mean of it."""

    formula = "y[c,i,j] = max or mean of the block"

    def block(self, view: View, unit: Index) -> list[Index]:
        """The cells of a block, in reading order."""
        layer = cast("MaxPool2d | AvgPool2d", view.layer)
        channel, i, j = unit
        return [(channel, i * layer.stride[0] + u, j * layer.stride[1] + v) for u, v in np.ndindex(layer.size)]

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """The block's one number."""
        cells = [view.x(place, row) for place in self.block(view, unit)]
        if isinstance(view.layer, MaxPool2d):
            return call("max", *cells) if len(cells) > 1 else cells[0]
        return over(add(cells), float(len(cells)))

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """From each block that the cell won; of means, from each block it is in."""
        layer = cast("MaxPool2d | AvgPool2d", view.layer)
        terms = []
        for k, (u, v) in enumerate(np.ndindex(layer.size)):
            at = _landing(place[1] - u, place[2] - v, layer.stride, view.out_shape)
            if at is None:
                continue
            unit = (place[0], *at)
            if isinstance(layer, AvgPool2d):
                terms.append(over(view.dy(unit, row), float(prod(layer.size))))
            elif view.cache["winner"][row, *unit] == k:
                terms.append(view.dy(unit, row))
        return add(terms)


class GlobalArithmetic(_Unweighted):
    """The mean of a channel."""

    formula = "y[c] = mean of the channel"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """Over every cell."""
        cells = [view.x((*unit, *cell), row) for cell in np.ndindex(view.in_shape[1:])]
        return over(add(cells), float(len(cells)))

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """An equal part for each cell."""
        return over(view.dy(place[:1], row), float(prod(view.in_shape[1:])))


class FlattenArithmetic(_Unweighted):
    """The same numbers in one row."""

    formula = "y[k] = x[c,i,j]"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """The cell that stands there."""
        return view.x(tuple(int(i) for i in np.unravel_index(unit[0], view.in_shape)), row)

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """Back where it was taken."""
        return view.dy((int(np.ravel_multi_index(place, view.in_shape)),), row)


class DropoutArithmetic(_Unweighted):
    """In training times the mask."""

    formula = "y = x·mask"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """x mask."""
        return times(view.x(unit, row), view.mask(unit, row)) if "mask" in view.cache else view.x(unit, row)

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """dy mask."""
        return times(view.dy(place, row), view.mask(place, row)) if "mask" in view.cache else view.dy(place, row)


class BatchNormArithmetic:
    """`y = γ (x - μ)/√(σ² + ε) + β`."""

    formula = "y = γ·x̂ + β,  x̂ = (x - μ) / √(σ² + ε)"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """The normal number, scaled and moved."""
        c = unit[:1]
        return add([times(view.weight("gamma", c), view.normal(unit, row)), view.weight("beta", c)])

    def normal(self, view: View, unit: Index, row: int) -> Expression:
        """x̂."""
        mean, root = self._of(view, unit)
        return over(minus(view.x(unit, row), mean), root)

    def _of(self, view: View, unit: Index) -> tuple[Number, Expression]:
        epsilon = view.constant("ε", cast(BatchNorm, view.layer).epsilon)
        return view.statistic("mean", unit[0]), call("sqrt", add([view.statistic("variance", unit[0]), epsilon]))

    def mean(self, view: View, channel: int) -> Expression:
        """μ over the batch."""
        numbers = [view.x(unit, row) for unit, row in _everywhere(view, (channel,))]
        return over(add(numbers), float(len(numbers)))

    def variance(self, view: View, channel: int) -> Expression:
        """σ² over the batch."""
        mean = view.statistic("mean", channel)
        squares = [power(minus(view.x(unit, row), mean), 2.0) for unit, row in _everywhere(view, (channel,))]
        return over(add(squares), float(len(squares)))

    def moved(self, view: View, name: str, channel: int) -> Expression:
        """A running statistic after the step; the variance takes the unbiased one."""
        share = view.constant("momentum", cast(BatchNorm, view.layer).momentum)
        n = view.n_rows * prod(view.out_shape[1:])
        unbiased = over(float(n), float(max(n - 1, 1))) if name == "variance" else 1.0
        new = times(share, unbiased, view.statistic(name, channel))
        return add([times(minus(1.0, share), view.running(name, channel)), new])

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """In training the batch's mean and variance move too: two means are taken off."""
        dy, (_mean, root) = view.dy(place, row), self._of(view, place)
        own: Expression = dy
        if view.cache["training"]:
            n = float(view.n_rows * prod(view.out_shape[1:]))
            through_mean = over(view.slope_of("beta", place[:1]), n)
            through_variance = times(view.normal(place, row), over(view.slope_of("gamma", place[:1]), n))
            own = minus(minus(dy, through_mean), through_variance)
        return times(over(view.weight("gamma", place[:1]), root), own)

    def gradient(self, view: View, key: str, place: Index) -> Expression:
        """Over the rows of the batch and the places of the channel."""
        cells = _everywhere(view, place)
        if key == "beta":
            return add([view.dy(unit, row) for unit, row in cells])
        return add([times(view.dy(unit, row), view.normal(unit, row)) for unit, row in cells])


class ResidualArithmetic(_Unweighted):
    """`y = x + f(x)`."""

    formula = "y = x + f(x)"

    def output(self, view: View, unit: Index, row: int) -> Expression:
        """The input, and what the layers inside make of it."""
        return add([view.x(unit, row), view.inside[-1].y(unit, row)])

    def slope(self, view: View, place: Index, row: int) -> Expression:
        """Around the layers inside, and through them."""
        return add([view.dy(place, row), view.inside[0].dx(place, row)])


LAYER_ARITHMETIC: dict[str, LayerArithmetic] = {
    "dense": DenseArithmetic(),
    "activation": ActivationArithmetic(),
    "conv": ConvArithmetic(),
    "maxpool": PoolArithmetic(),
    "avgpool": PoolArithmetic(),
    "globalavgpool": GlobalArithmetic(),
    "flatten": FlattenArithmetic(),
    "dropout": DropoutArithmetic(),
    "batchnorm": BatchNormArithmetic(),
    "residual": ResidualArithmetic(),
}
"""By the layer's keyword."""


def formula(view: View) -> str:
    """What the layer does, in one line."""
    layer = view.layer
    if isinstance(layer, Activation):
        return (
            f"y = {_(layer.row.formula).replace('z', 'x')}"
            if layer.function != "softmax"
            else "y[j] = e^x[j] / Σₖ e^x[k]"
        )
    if isinstance(layer, (MaxPool2d, AvgPool2d)):
        return "y[c,i,j] = max x[c, …]" if isinstance(layer, MaxPool2d) else "y[c,i,j] = Σ x[c, …] / n"
    if isinstance(layer, GlobalAvgPool):
        return "y[c] = Σ x[c, …] / n"
    return LAYER_ARITHMETIC[layer.keyword].formula
