"""What a layer is: its fields are its JSON, its forward and backward stand side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.errors import RecipeError, ShapeError, problem
from limpide.i18n import _


class Weights(NamedTuple):
    """What a layer holds: params are trained, buffers (running statistics) are only updated."""

    params: Tree
    buffers: Tree


class Mode(NamedTuple):
    """How a pass is made: in training, units are dropped and batch statistics used.

    rng  the stream of this layer's noise for this epoch; None in evaluation
    """

    training: bool
    rng: np.random.Generator | None = None


EVALUATION = Mode(training=False)
TRAINING = Mode(training=True)


class Out(NamedTuple):
    """What a forward pass leaves: the output, what backward needs, and the buffers after the pass."""

    y: Array
    cache: Tree
    buffers: Tree


class Count(NamedTuple):
    """How many parameters and multiply-adds, each with its arithmetic written out; "" where there are none."""

    parameters: int
    arithmetic: str
    multiply_adds: int
    multiply_adds_arithmetic: str


NO_COUNT = Count(0, "", 0, "")


@dataclass(frozen=True)
class Layer(ABC):
    """One step of a network. A concrete layer is final: it is never subclassed.

    keyword   its word in a network's text; also its type in JSON and in parameter names
    random    whether its forward pass in training needs noise
    examples  (layer, input shape) pairs that enrol it in every test
    """

    keyword: ClassVar[str]
    random: ClassVar[bool] = False
    examples: ClassVar[tuple[tuple[Layer, Shape], ...]]

    @abstractmethod
    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The shape that comes out; ShapeError naming `where` when this input does not fit."""

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Weights:
        """Fresh float64 weights."""
        return Weights({}, {})

    @abstractmethod
    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """The output for a batch."""

    @abstractmethod
    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """The gradients for the input and the parameters, given dy = d loss / d y, which already holds the 1/batch.

        need_dx  False spares the gradient for the input, which the first layer's caller does not use
        """

    def count(self, in_shape: Shape, factors: Shape) -> Count:
        """Parameters and multiply-adds of one example, with their arithmetic.

        factors  the sizes whose product is the number of inputs, such as (64, 7, 7) behind a flatten
        """
        return NO_COUNT

    @abstractmethod
    def specification(self, in_shape: Shape) -> str:
        """What the layer does, in the layer table."""

    @property
    def label(self) -> str:
        """What the layer is called in the layer table."""
        return self.keyword

    @classmethod
    @abstractmethod
    def from_words(cls, words: list[str], where: str) -> Layer:
        """The layer of an item of a network's text; `words[0]` is the keyword (for dense, the number of units)."""

    @abstractmethod
    def to_words(self) -> str:
        """The item of a network's text that gives this layer."""

    def to_dict(self) -> dict[str, Any]:
        """JSON: the type, then the fields."""
        return {"type": self.keyword, **asdict(self)}

    def __getstate__(self) -> dict[str, Any]:
        # what a layer remembers beside its fields may hold functions, which no pickle can
        return {field.name: getattr(self, field.name) for field in fields(self)}


def items_of(layers: Sequence[Layer]) -> list[str]:
    """The items of a network's text that give these layers; an activation stands in the item of the layer before it."""
    items: list[str] = []
    for i, layer in enumerate(layers):
        carries = i > 0 and layers[i - 1].keyword in ("dense", "conv", "batchnorm", "residual")
        if layer.keyword == "activation" and carries:
            items[-1] += f" {layer.to_words()}"
        else:
            items.append(layer.to_words())
    return items


def check_image(in_shape: Shape, where: str) -> None:
    """ShapeError unless the input is an image."""
    if len(in_shape) == 3:
        return
    mend = _('write the input as "1x{rows}x{cols}"').format(rows=in_shape[0], cols=in_shape[-1])
    raise ShapeError(
        problem(
            where,
            _("an image (channels, rows, cols)"),
            show_shape(in_shape),
            mend if len(in_shape) == 2 else _("put it before flatten"),
        )
    )


@dataclass
class Words:
    """Reads the words of one item of a network's text, in order.

    >>> words = Words(["conv", "32", "pad", "1"], "item 2")
    >>> words.skip(), words.integer("channels"), words.option("pad", 0)
    (None, 32, 1)
    """

    words: list[str]
    where: str
    i: int = field(default=0)

    def skip(self) -> None:
        """Past the next word."""
        self.i += 1

    def take(self, what: str) -> str:
        """The next word; RecipeError when there is none."""
        if self.i >= len(self.words):
            raise RecipeError(problem(self.where, what, _("the end of {text!r}").format(text=" ".join(self.words))))
        self.i += 1
        return self.words[self.i - 1]

    def integer(self, what: str) -> int:
        """The next word as a number of 1 or more."""
        word = self.take(what)
        if not word.isdecimal() or not 1 <= int(word) <= 10**7:
            raise RecipeError(problem(self.where, _("{what}: a whole number from 1").format(what=what), repr(word)))
        return int(word)

    def pair(self, what: str) -> tuple[int, int]:
        """The next word as `3x3`, or `3` for both."""
        word = self.take(what)
        parts = word.replace("×", "x").split("x")
        if len(parts) > 2 or not all(p.isdecimal() and 1 <= int(p) <= 10**4 for p in parts):
            raise RecipeError(problem(self.where, _("{what}, such as 3x3").format(what=what), repr(word)))
        return int(parts[0]), int(parts[-1])

    def option(self, name: str, default: int, least: int = 0) -> int:
        """The number after `name`, if `name` comes next."""
        if self.i >= len(self.words) or self.words[self.i] != name:
            return default
        self.i += 1
        word = self.take(name)
        if not word.isdecimal() or not least <= int(word) <= 10**4:
            expected = _("{what}: a whole number from {least}").format(what=name, least=least)
            raise RecipeError(problem(self.where, expected, repr(word)))
        return int(word)

    def rate(self, what: str) -> float:
        """The next word as a number in [0, 1)."""
        word = self.take(what)
        try:
            value = float(word)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1:
            raise RecipeError(
                problem(self.where, _("{what}: a number from 0 to below 1").format(what=what), repr(word))
            )
        return value

    def flag(self, *words: str) -> bool:
        """Whether these words come next; they are taken if they do."""
        found = tuple(self.words[self.i : self.i + len(words)]) == words
        self.i += len(words) if found else 0
        return found

    def end(self, known: str) -> None:
        """RecipeError when words are left; `known` is the form that is understood."""
        if self.i < len(self.words):
            raise RecipeError(
                problem(self.where, known, _("also {word!r}").format(word=" ".join(self.words[self.i :])))
            )
