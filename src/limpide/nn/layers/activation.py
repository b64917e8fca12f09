"""An activation function as a layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from limpide.arrays import Array, Shape, Tree
from limpide.errors import RecipeError, problem
from limpide.i18n import _
from limpide.nn.activations import ACTIVATIONS, ActivationFunction
from limpide.nn.layers.base import NO_COUNT, Count, Layer, Mode, Out, Weights


@dataclass(frozen=True)
class Activation(Layer):
    """A row of `nn/activations.py` applied to each element (softmax: to each row).

    slope  the slope below zero (leaky_relu, prelu, elu); None takes the row's own

    >>> Activation("relu").forward(Weights({}, {}), np.array([[-1.0, 2.0]]), Mode(False)).y
    array([[0., 2.]])
    """

    function: str
    slope: float | None = None

    keyword: ClassVar[str] = "activation"

    def __post_init__(self) -> None:
        # an unknown function is refused at birth, an alias becomes the row's own name
        object.__setattr__(self, "function", ACTIVATIONS[self.function].name)

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The shape that came in."""
        return in_shape

    @property
    def label(self) -> str:
        """The function's name."""
        return self.function

    @cached_property
    def row(self) -> ActivationFunction:
        """The function's row in the catalogue."""
        return ACTIVATIONS[self.function]

    @cached_property
    def start_slope(self) -> float:
        """The slope at birth; 0 for functions that have none."""
        return (self.row.slope or 0.0) if self.slope is None else self.slope

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Weights:
        """For a learned slope one number, `a`; else nothing."""
        if not self.row.learned:
            return Weights({}, {})
        return Weights({"a": np.array([self.start_slope])}, {})

    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """`y = f(x)`."""
        y = self.row.value(x, w.params.get("a", self.start_slope))
        return Out(y, {"z": x, "y": y}, w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """dx = dy f'(z); for a learned slope da = sum of dy min(0, z)."""
        row, z = self.row, cache["z"]
        dx = row.backward(row, dy, z, cache["y"], w.params.get("a", self.start_slope)) if need_dx else None
        return dx, ({"a": (dy * np.minimum(z, 0)).sum().reshape(1)} if row.learned else {})

    def count(self, in_shape: Shape, factors: Shape) -> Count:
        """One parameter for a learned slope."""
        return Count(1, "1", 0, "") if self.row.learned else NO_COUNT

    def specification(self, in_shape: Shape) -> str:
        """The formula."""
        if self.row.slope is None:
            return _(self.row.formula)
        return f"{_(self.row.formula)}, a = {self.start_slope:g}"

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Activation:
        """`relu`, or `leaky_relu 0.2`."""
        name = ACTIVATIONS[words[0]].name
        if len(words) == 1:
            return cls(name)
        try:
            slope = float(words[1])
        except ValueError:
            slope = float("nan")
        if ACTIVATIONS[name].slope is None or len(words) > 2 or not np.isfinite(slope):
            raise RecipeError(problem(where, f'"{name}"', repr(" ".join(words))))
        return cls(name, slope)

    def to_words(self) -> str:
        """`relu`."""
        return self.function if self.slope is None else f"{self.function} {self.slope!r}"


Activation.examples = tuple(
    (Activation(row.name), shape)
    for row in ACTIVATIONS.rows()
    for shape in ([(5,)] if row.name == "softmax" else [(5,), (2, 3, 3)])
)
