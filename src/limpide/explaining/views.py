"""The layers of an opened step, those within residuals too: each number of a layer, linked to those it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from limpide.arrays import Array, Shape, Tree
from limpide.engines.base import LayerTrace
from limpide.explaining.arithmetic import Expression, Index, Number, Symbol, call
from limpide.explaining.layers import LAYER_ARITHMETIC, BatchNormArithmetic
from limpide.nn.layers import Dropout, Layer, Mode, Out, Residual, Weights

if TYPE_CHECKING:
    from limpide.explaining.step import OpenedStep

LETTERS = {"gamma": "γ", "beta": "β"}

Leads = Callable[[Index, int], Expression]


class View:
    """One layer in one step.

    came, went  its inputs and outputs, (batch, ...)
    came_back   d loss / d output; None where there is no way back
    passed_on   d loss / d input
    source      the layer whose outputs are its inputs; None: the inputs of the network
    leads       how d loss / d output was made, from what stands behind the layer
    inside      the layers of a residual
    """

    def __init__(
        self, step: OpenedStep, path: str, layer: Layer, weights: Weights, came: Array, went: Array, cache: Tree
    ) -> None:
        self.step, self.path, self.layer, self.weights = step, path, layer, weights
        self.came, self.went, self.cache = came, went, cache
        self.came_back: Array | None = None
        self.passed_on: Array | None = None
        self.grads: Tree = {}
        self.source: View | None = None
        self.leads: Leads | None = None
        self.inside: list[View] = []
        self.is_outer = True

    @property
    def in_shape(self) -> Shape:
        """Of one example."""
        return tuple(self.came.shape[1:])

    @property
    def out_shape(self) -> Shape:
        """Of one example."""
        return tuple(self.went.shape[1:])

    @property
    def n_rows(self) -> int:
        """Of the batch."""
        return len(self.came)

    @property
    def label(self) -> str:
        """Its index in formulas: "0", within a residual "3.0"."""
        return label_of(self.path)

    @property
    def params(self) -> Tree:
        """Its weights before the update; those of a residual belong to the layers inside."""
        return {} if isinstance(self.layer, Residual) else self.weights.params

    @property
    def buffers(self) -> Tree:
        """Its running statistics before the step, likewise."""
        return {} if isinstance(self.layer, Residual) else self.weights.buffers

    @property
    def units(self) -> list[Index]:
        """The index of each output."""
        return [tuple(unit) for unit in np.ndindex(self.out_shape)]

    def _number(
        self, name: str, letter: str, index: Index, row: int | None, value: float, make: Callable[[], Expression] | None
    ) -> Number:
        other = None if row is None or row == self.step.row else row
        address = f"{self.path}.{name}[{','.join(map(str, index))}]" + ("" if other is None else f"@{other}")
        return Number(address, Symbol(letter, self.label, index, other), value, self.step.dtype, make)

    def x(self, place: Index, row: int) -> Number:
        """An input: an output of the layer before, or an input of the network."""
        return self.step.x(place, row) if self.source is None else self.source.y(place, row)

    def y(self, unit: Index, row: int) -> Number:
        """An output."""
        make = lambda: LAYER_ARITHMETIC[self.layer.keyword].output(self, unit, row)  # noqa: E731
        return self._number("y", "y", unit, row, float(self.went[row, *unit]), make)

    def dy(self, unit: Index, row: int) -> Number:
        """The slope of the loss along an output."""
        assert self.came_back is not None and self.leads is not None
        leads = self.leads
        value = float(self.came_back[row, *unit])
        return self._number("dy", "δ", unit, row, value, lambda: leads(unit, row))

    def dx(self, place: Index, row: int) -> Number:
        """The slope of the loss along an input."""
        assert self.passed_on is not None
        make = lambda: LAYER_ARITHMETIC[self.layer.keyword].slope(self, place, row)  # noqa: E731
        return self._number("dx", "∂J/∂x", place, row, float(self.passed_on[row, *place]), make)

    def weight(self, key: str, place: Index) -> Number:
        """A weight before the update."""
        value = float(self.weights.params[key][place])
        return self._number(key, LETTERS.get(key, key), place, None, value, None)

    def slope_of(self, key: str, place: Index) -> Number:
        """The slope of the loss along a weight."""
        make = lambda: LAYER_ARITHMETIC[self.layer.keyword].gradient(self, key, place)  # noqa: E731
        letter = f"∂J/∂{LETTERS.get(key, key)}"
        return self._number(f"d{key}", letter, place, None, float(self.grads[key][place]), make)

    def constant(self, symbol: str, value: float) -> Number:
        """A number of the layer's own."""
        return Number("", Symbol(symbol, self.label), value)

    def mask(self, unit: Index, row: int) -> Number:
        """What dropout multiplies an input by: 0, or 1/(1 - p)."""
        assert isinstance(self.layer, Dropout)
        return self._number("mask", "mask", unit, row, float(self.cache["mask"][row, *unit]), None)

    def top(self, unit: Index, row: int) -> Number:
        """The greatest input of a softmax."""
        scores = [self.x((*unit[:-1], k), row) for k in range(self.in_shape[-1])]
        value = max(score.value for score in scores)
        return self._number("top", "m", unit[:-1], row, value, lambda: call("max", *scores))

    def normal(self, unit: Index, row: int) -> Number:
        """Batch norm: an input with mean 0 and variance 1."""
        make = lambda: _BATCH_NORM.normal(self, unit, row)  # noqa: E731
        return self._number("normal", "x̂", unit, row, float(self.cache["normal"][row, *unit]), make)

    @cached_property
    def _statistics(self) -> Tree:
        """Batch norm: mean and variance of the batch, as the layer computes them."""
        axes = (0, *range(2, self.came.ndim))
        mean = self.came.mean(axes)
        centred = self.came - mean.reshape(-1, *(1,) * (self.came.ndim - 2))
        return {"mean": mean, "variance": (centred * centred).mean(axes)}

    def statistic(self, name: str, channel: int) -> Number:
        """Batch norm: a mean or a variance, of the batch in training, else the running one."""
        if not self.cache["training"]:
            return self.running(name, channel)
        make = lambda: getattr(_BATCH_NORM, name)(self, channel)  # noqa: E731
        value = float(self._statistics[name][channel])
        return self._number(f"batch_{name}", _GREEK[name], (channel,), None, value, make)

    def running(self, name: str, channel: int) -> Number:
        """Batch norm: the running mean or variance before the step."""
        value = float(self.weights.buffers[name][channel])
        return self._number(name, f"{_GREEK[name]}ᵣ", (channel,), None, value, None)

    def moved(self, name: str, channel: int) -> Number:
        """Batch norm: the running mean or variance after a training pass."""
        value = float(self.layer.forward(self.weights, self.came, Mode(True)).buffers[name][channel])
        make = lambda: _BATCH_NORM.moved(self, name, channel)  # noqa: E731
        number = self._number(name, f"{_GREEK[name]}ᵣ", (channel,), None, value, make)
        return replace(number, name=f"after/{number.name}", symbol=replace(number.symbol, mark="′"))


_GREEK = {"mean": "μ", "variance": "σ²"}
_BATCH_NORM = BatchNormArithmetic()


def label_of(path: str) -> str:
    """A layer's index in formulas.

    >>> label_of("0.dense"), label_of("3.residual.0.dense")
    ('0', '3.0')
    """
    return ".".join(path.split(".")[::2])


def views_of(
    step: OpenedStep, layers: Sequence[LayerTrace | Out], weights: Sequence[Weights], training: bool
) -> list[View]:
    """A view of each layer, in the order in which they are done: the layers of a residual come before it."""
    network, outer, came = step.network, [], step.batch
    for path, layer, w, seen in zip(network.paths, network.layers, weights, layers, strict=True):
        went = seen.output if isinstance(seen, LayerTrace) else seen.y
        view = View(step, path, layer, w, came, went, seen.cache)
        if isinstance(seen, LayerTrace):
            view.came_back, view.grads = seen.grad_output, seen.grads
        outer.append(view)
        came = went
    if step.trace is not None:
        for view, behind in pairwise(outer):
            behind.passed_on = view.came_back
        outer[0].passed_on = step.trace.grad_input
    _link(outer, None, step.slope_of_output)
    return [each for view in outer for each in (*_opened(view, training), view)]


def _link(views: Sequence[View], source: View | None, leads: Leads) -> None:
    """Each layer takes what the one before gives, and gets back what the one behind passes on."""
    for before, view in zip([source, *views], views):
        view.source = before
    for view, behind in pairwise(views):
        view.leads = _slopes(behind)
    views[-1].leads = leads


def _slopes(view: View) -> Leads:
    return lambda unit, row: LAYER_ARITHMETIC[view.layer.keyword].slope(view, unit, row)


def _opened(outer: View, training: bool) -> list[View]:
    """The layers of a residual, run once more: a trace keeps what its layers left, not what passed between them."""
    if not isinstance(outer.layer, Residual):
        return []
    residual, came, views = outer.layer, outer.came, list[View]()
    for path, layer in zip(residual.paths, residual.layers, strict=True):
        prefix = f"{path}."
        cache = {key.removeprefix(prefix): a for key, a in outer.cache.items() if key.startswith(prefix)}
        w = residual.weights_of(path, outer.weights)
        went = _again(layer, w, came, cache, training)
        view = View(outer.step, f"{outer.path}.{path}", layer, w, came, went, cache)
        view.is_outer = False
        view.grads = {key.removeprefix(prefix): g for key, g in outer.grads.items() if key.startswith(prefix)}
        views.append(view)
        came = went
    back = outer.came_back
    for view in reversed(views) if back is not None else ():
        view.came_back = back
        back, _grads = view.layer.backward(view.weights, view.cache, back)
        view.passed_on = back
    outer.inside = views
    _link(views, outer.source, outer.dy)
    return [each for view in views for each in (*_opened(view, training), view)]


def _again(layer: Layer, w: Weights, x: Array, cache: Tree, training: bool) -> Array:
    """What a layer put out, with the noise that it drew."""
    if isinstance(layer, Dropout):
        return x * cache["mask"] if "mask" in cache else x
    if not isinstance(layer, Residual):
        return layer.forward(w, x, Mode(training)).y
    y = x
    for path, inner in zip(layer.paths, layer.layers, strict=True):
        own = {key.removeprefix(f"{path}."): a for key, a in cache.items() if key.startswith(f"{path}.")}
        y = _again(inner, layer.weights_of(path, w), y, own, training)
    return x + y
