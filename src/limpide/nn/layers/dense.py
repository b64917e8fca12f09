"""The dense layer: every unit sees every input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.errors import ShapeError, problem
from limpide.i18n import _, format_count
from limpide.nn.initializers import parse_initializer
from limpide.nn.layers.base import Count, Layer, Mode, Out, Weights, Words

_ones = lru_cache(maxsize=32)(np.ones)


@dataclass(frozen=True)
class Dense(Layer):
    """Weighted sums of all inputs: `y = x W + b`.

    >>> Dense(2).out_shape((3,), "layer 0.dense")
    (2,)
    """

    units: int
    bias: bool = True
    initializer: str = "pytorch"

    keyword: ClassVar[str] = "dense"

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """(units,), from a flat input."""
        if len(in_shape) != 1:
            raise ShapeError(
                problem(where, _("a flat input (features,)"), show_shape(in_shape), _("put a flatten before it"))
            )
        return (self.units,)

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Weights:
        """W of shape (features, units) and b of shape (units,)."""
        initializer, scale = parse_initializer(self.initializer)
        fans = (in_shape[0], self.units)
        params = {"W": initializer.weights(rng, fans, *fans, scale)}
        if self.bias:
            params["b"] = initializer.biases(rng, (self.units,), *fans, scale)
        return Weights(params, {})

    def forward(self, w: Weights, x: Float[Array, "batch features"], mode: Mode) -> Out:
        """`y = x W + b`."""
        y = x @ w.params["W"]
        if self.bias:
            y += w.params["b"]
        return Out(y, {"x": x}, w.buffers)

    def backward(
        self, w: Weights, cache: Tree, dy: Float[Array, "batch units"], need_dx: bool = True
    ) -> tuple[Float[Array, "batch features"] | None, Tree]:
        """The gradients of `y = x W + b`, given `dy` = d loss / d y.

            dx = dy W^T        dW = x^T dy        db = sum of dy over the batch

        `dy` already holds the 1/batch of the loss, so nothing is divided here.

        Source  Rumelhart, Hinton & Williams 1986

        >>> dense, w = Dense(1), Weights({"W": np.array([[2.0], [3.0]]), "b": np.zeros(1)}, {})
        >>> dense.backward(w, {"x": np.array([[1.0, 10.0]])}, np.array([[0.5]]))[0]
        array([[1. , 1.5]])
        """
        grads = {"W": cache["x"].T @ dy}
        if self.bias:
            # a product with ones adds the rows several times faster than sum(0)
            grads["b"] = _ones(len(dy), dy.dtype) @ dy
        return (dy @ w.params["W"].T if need_dx else None), grads

    def count(self, in_shape: Shape, factors: Shape) -> Count:
        """Features times units, plus a bias for each unit."""
        weights = prod(in_shape) * self.units
        product = "·".join(str(f) for f in (*factors, self.units))
        total = weights + self.units * self.bias
        bias = f" + {self.units}" if self.bias else ""
        return Count(
            total,
            f"{product}{bias} = {format_count(total)}",
            weights,
            f"{product} = {format_count(weights)}",
        )

    def specification(self, in_shape: Shape) -> str:
        """`784 → 512, bias`."""
        return f"{in_shape[0]} → {self.units}, " + (_("bias") if self.bias else _("no bias"))

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Dense:
        """`128`, or `128 no bias`."""
        reader = Words(words, where)
        units = reader.integer(_("number of units"))
        bias = not reader.flag("no", "bias")
        reader.end("128 relu")
        return cls(units, bias)

    def to_words(self) -> str:
        """`128`."""
        return str(self.units) + ("" if self.bias else " no bias")


Dense.examples = ((Dense(3), (4,)), (Dense(2, bias=False, initializer="he"), (5,)))
