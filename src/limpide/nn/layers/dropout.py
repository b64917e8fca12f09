"""Dropout: units that stay silent at random, in training only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limpide.arrays import Array, Shape, Tree
from limpide.errors import RecipeError, problem
from limpide.i18n import _, format_number
from limpide.nn.layers.base import Layer, Mode, Out, Weights, Words


@dataclass(frozen=True)
class Dropout(Layer):
    """In training each unit is zeroed with probability `rate`, the others times 1/(1 - rate); else the identity.

    Source  Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014 (scaled in training, "inverted")
    """

    rate: float

    keyword: ClassVar[str] = "dropout"
    random: ClassVar[bool] = True

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The shape that came in; RecipeError for a rate outside [0, 1)."""
        if not 0 <= self.rate < 1:
            raise RecipeError(problem(where, _("a rate from 0 to below 1"), repr(self.rate)))
        return in_shape

    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """`y = x mask`, the mask drawn from the stream of this layer; in evaluation `y = x`."""
        if not mode.training or self.rate == 0:
            return Out(x, {}, w.buffers)
        assert mode.rng is not None, "a training pass through dropout needs its stream"
        kept = mode.rng.random(x.shape, dtype=np.float32) >= self.rate
        mask = kept.astype(x.dtype) * (1 / (1 - self.rate))
        return Out(x * mask, {"mask": mask}, w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """dx = dy mask."""
        return (dy * cache["mask"] if "mask" in cache else dy), {}

    def specification(self, in_shape: Shape) -> str:
        """`p = 0.5, in training only`."""
        return _("p = {rate}, in training only").format(rate=format_number(self.rate))

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Dropout:
        """`dropout 0.2`."""
        reader = Words(words, where)
        reader.skip()
        rate = reader.rate(_("share of units dropped"))
        reader.end("dropout 0.2")
        return cls(rate)

    def to_words(self) -> str:
        """`dropout 0.2`."""
        return f"dropout {self.rate!r}"


Dropout.examples = ((Dropout(0.5), (6,)), (Dropout(0.2), (2, 3, 3)))
