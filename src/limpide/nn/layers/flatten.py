"""An image laid out as one row of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.nn.layers.base import Layer, Mode, Out, Weights, Words


@dataclass(frozen=True)
class Flatten(Layer):
    """(channels, rows, cols) to (channels·rows·cols,), the last axis running fastest."""

    keyword: ClassVar[str] = "flatten"

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The product of the sizes."""
        return (prod(in_shape),)

    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """The same numbers in one row for each example."""
        return Out(x.reshape(len(x), prod(x.shape[1:])), {"shape": np.array(x.shape)}, w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """The same numbers back in the shape of the image."""
        return dy.reshape(tuple(cache["shape"].tolist())), {}

    def specification(self, in_shape: Shape) -> str:
        """`1×28×28 → 784`."""
        return f"{show_shape(in_shape)} → {prod(in_shape)}"

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Flatten:
        """`flatten`."""
        reader = Words(words, where)
        reader.skip()
        reader.end("flatten")
        return cls()

    def to_words(self) -> str:
        """`flatten`."""
        return "flatten"


Flatten.examples = ((Flatten(), (2, 3, 3)), (Flatten(), (4, 5)))
