"""The residual layer: layers that learn what to add to their input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.errors import RecipeError, ShapeError, problem
from limpide.i18n import _, format_count
from limpide.nn.layers.activation import Activation
from limpide.nn.layers.base import Count, Layer, Mode, Out, Weights, items_of
from limpide.nn.layers.batch_norm import BatchNorm
from limpide.nn.layers.convolution import Conv2d
from limpide.nn.layers.dense import Dense
from limpide.nn.layers.dropout import Dropout


@dataclass(frozen=True)
class Residual(Layer):
    """`y = x + f(x)`, where f is a row of layers that keeps the shape.

    Its parameters, buffers and cache are those of f under longer keys: "W" of its layer "0.dense" is "0.dense.W".
    All its dropouts draw from its one stream of noise, in their order.

    Source  He, Zhang, Ren & Sun 2016, Deep Residual Learning, eq. 1

    >>> Residual((Dense(4), Activation("relu"), Dense(3))).out_shape((3,), "layer 0.residual")
    (3,)
    """

    layers: tuple[Layer, ...]

    keyword: ClassVar[str] = "residual"
    random: ClassVar[bool] = True

    @property
    def paths(self) -> list[str]:
        """The name of each layer inside: its index and type, as in "0.dense"."""
        return [f"{i}.{layer.keyword}" for i, layer in enumerate(self.layers)]

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The shape that came in; ShapeError when the layers inside change it."""
        shape = in_shape
        for path, layer in zip(self.paths, self.layers, strict=True):
            shape = layer.out_shape(shape, f"{where}.{path}")
        if shape != in_shape:
            raise ShapeError(
                problem(
                    where,
                    _("an output of {shape}, the shape of its input").format(shape=show_shape(in_shape)),
                    show_shape(shape),
                    _("what is added together must have one shape: change the layers inside"),
                )
            )
        return in_shape

    def _inside(self, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """Each layer with its path and the shape that comes into it."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            yield path, layer, in_shape
            in_shape = layer.out_shape(in_shape, path)

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Weights:
        """The weights of the layers inside."""
        w = Weights({}, {})
        for path, layer, shape in self._inside(in_shape):
            born = layer.init(shape, rng)
            w.params.update(_outward(path, born.params))
            w.buffers.update(_outward(path, born.buffers))
        return w

    def weights_of(self, path: str, w: Weights) -> Weights:
        """The part of the weights that belongs to one layer inside."""
        return Weights(_inward(path, w.params), _inward(path, w.buffers))

    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """`y = x + f(x)`."""
        y, cache, buffers = x, {}, {}
        for path, layer in zip(self.paths, self.layers, strict=True):
            out = layer.forward(self.weights_of(path, w), y, mode)
            y = out.y
            cache.update(_outward(path, out.cache))
            buffers.update(_outward(path, out.buffers))
        return Out(x + y, cache, buffers if mode.training else w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """dx = dy + what f passes back: the gradient has a way around the layers inside."""
        inner, grads = dy, {}
        for i in reversed(range(len(self.layers))):
            path, layer = self.paths[i], self.layers[i]
            dx, own = layer.backward(self.weights_of(path, w), _inward(path, cache), inner, need_dx or i > 0)
            grads.update(_outward(path, own))
            inner = dx
        return (dy + inner if need_dx else None), grads

    def count(self, in_shape: Shape, factors: Shape) -> Count:
        """The sums of the layers inside."""
        counts = [layer.count(shape, shape) for _path, layer, shape in self._inside(in_shape)]
        return Count(
            *_sum([(count.parameters, count.arithmetic) for count in counts]),
            *_sum([(count.multiply_adds, count.multiply_adds_arithmetic) for count in counts]),
        )

    def specification(self, in_shape: Shape) -> str:
        """`x + f(x), f: 4 relu, 3`."""
        return "x + f(x), f: " + ", ".join(items_of(self.layers))

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Residual:
        """Only a complaint: what stands between its parentheses are items, which the grammar reads."""
        raise RecipeError(problem(where, "residual(conv 16 3x3 pad 1 relu, conv 16 3x3 pad 1)", repr(" ".join(words))))

    def to_words(self) -> str:
        """`residual(4 relu, 3)`."""
        return f"residual({', '.join(items_of(self.layers))})"

    def to_dict(self) -> dict[str, Any]:
        """JSON: the type, then the fields of each layer inside."""
        return {"type": self.keyword, "layers": [layer.to_dict() for layer in self.layers]}


def _outward(path: str, tree: Tree) -> Tree:
    """The tree of a layer inside, under the keys of the residual."""
    return {f"{path}.{key}": array for key, array in tree.items()}


def _inward(path: str, tree: Tree) -> Tree:
    """The part of the residual's tree that belongs to a layer inside, under its own keys."""
    return {key.removeprefix(f"{path}."): array for key, array in tree.items() if key.startswith(f"{path}.")}


def _sum(counts: list[tuple[int, str]]) -> tuple[int, str]:
    """The total and its arithmetic, from those of the layers inside."""
    total = sum(number for number, _arithmetic in counts)
    terms = [text.partition(" = ")[0] if " = " in text else str(number) for number, text in counts if number]
    return total, f"{' + '.join(terms)} = {format_count(total)}" if terms else ""


Residual.examples = (
    (Residual((Dense(4), Activation("tanh"), Dense(3))), (3,)),
    (
        Residual((Conv2d(4, (3, 3), padding=1, bias=False), BatchNorm(), Activation("relu"), Conv2d(2, (1, 1)))),
        (2, 3, 4),
    ),
    (Residual((Activation("prelu"), Dropout(0.4), Residual((Dropout(0.2), Dense(3))))), (3,)),
)
