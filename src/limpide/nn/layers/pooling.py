"""Pooling: each block of the image reduced to one number."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.errors import ShapeError, problem
from limpide.i18n import _
from limpide.nn.layers.base import Layer, Mode, Out, Weights, Words, check_image


@dataclass(frozen=True)
class _Window:
    """A block of `size` cells, moved by `stride`; what does not fill a block at the edge is left out."""

    size: tuple[int, int]
    stride: tuple[int, int]

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        check_image(in_shape, where)
        if in_shape[1] < self.size[0] or in_shape[2] < self.size[1]:
            raise ShapeError(
                problem(
                    where,
                    _("an image of at least {size}").format(size=show_shape(self.size)),
                    show_shape(in_shape),
                    _("remove this pooling or pad the convolution before it"),
                )
            )
        rows, cols = ((n - k) // s + 1 for n, k, s in zip(in_shape[1:], self.size, self.stride, strict=True))
        return (in_shape[0], rows, cols)

    def cells(self, rows: int, cols: int) -> list[tuple[slice, slice]]:
        """For each cell of the block, where it falls in the image over all blocks; in reading order."""
        (s, t) = self.stride
        return [(slice(u, u + s * rows, s), slice(v, v + t * cols, t)) for u, v in np.ndindex(self.size)]

    def specification(self) -> str:
        stride = show_shape(self.stride) if self.stride[0] != self.stride[1] else str(self.stride[0])
        return _("{size}, stride {stride}").format(size=show_shape(self.size), stride=stride)

    @classmethod
    def from_words(cls, words: list[str], where: str) -> _Window:
        reader = Words(words, where)
        reader.skip()
        size = reader.pair(_("size of the block"))
        stride = reader.option("stride", 0, least=1)
        reader.end(f"{words[0]} 2")
        return cls(size, (stride, stride) if stride else size)

    def to_words(self, keyword: str) -> str:
        rows, cols = self.size
        size = str(rows) if rows == cols else f"{rows}x{cols}"
        return f"{keyword} {size}" + (f" stride {self.stride[0]}" if self.stride != self.size else "")


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The largest number of each block; of equal ones the first in reading order passes the gradient, as in PyTorch.

    >>> MaxPool2d((2, 2), (2, 2)).out_shape((32, 28, 28), "layer 1.maxpool")
    (32, 14, 14)
    """

    size: tuple[int, int]
    stride: tuple[int, int]

    keyword: ClassVar[str] = "maxpool"

    @property
    def _window(self) -> _Window:
        return _Window(self.size, self.stride)

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """(channels, rows, cols), each size `⌊(n - size)/stride⌋ + 1`."""
        return self._window.out_shape(in_shape, where)

    def forward(self, w: Weights, x: Float[Array, "batch channels rows cols"], mode: Mode) -> Out:
        """The maximum, and which cell of the block it was. NaN wins, so that divergence is seen."""
        cells = self._window.cells(*self.out_shape(x.shape[1:], self.keyword)[1:])
        y = x[:, :, *cells[0]].copy()
        winner = np.zeros_like(y, np.int16)
        for i, cell in enumerate(cells[1:], start=1):
            # a copy side by side is compared several times faster; a later winner has the larger number
            candidate = x[:, :, *cell].copy()
            np.maximum(winner, (candidate > y) * np.int16(i), out=winner)
            np.maximum(y, candidate, out=y)
        return Out(y, {"winner": winner, "shape": np.array(x.shape)}, w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """Each dy goes to the cell that won its block, and to no other."""
        dx = np.zeros(tuple(cache["shape"].tolist()), dy.dtype)
        for i, cell in enumerate(self._window.cells(dy.shape[2], dy.shape[3])):
            dx[:, :, *cell] += dy * (cache["winner"] == i)
        return dx, {}

    def specification(self, in_shape: Shape) -> str:
        """`2×2, stride 2`."""
        return self._window.specification()

    @classmethod
    def from_words(cls, words: list[str], where: str) -> MaxPool2d:
        """`maxpool 2`, `maxpool 3x3 stride 2`."""
        window = _Window.from_words(words, where)
        return cls(window.size, window.stride)

    def to_words(self) -> str:
        """`maxpool 2`."""
        return self._window.to_words(self.keyword)


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """The mean of each block."""

    size: tuple[int, int]
    stride: tuple[int, int]

    keyword: ClassVar[str] = "avgpool"

    @property
    def _window(self) -> _Window:
        return _Window(self.size, self.stride)

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """(channels, rows, cols), each size `⌊(n - size)/stride⌋ + 1`."""
        return self._window.out_shape(in_shape, where)

    def forward(self, w: Weights, x: Float[Array, "batch channels rows cols"], mode: Mode) -> Out:
        """The sum of the cells over their number."""
        cells = self._window.cells(*self.out_shape(x.shape[1:], self.keyword)[1:])
        y = sum(x[:, :, *cell] for cell in cells) * (1 / prod(self.size))
        return Out(y, {"shape": np.array(x.shape)}, w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """Each cell of a block gets an equal part of dy."""
        dx = np.zeros(tuple(cache["shape"].tolist()), dy.dtype)
        share = dy * (1 / prod(self.size))
        for cell in self._window.cells(dy.shape[2], dy.shape[3]):
            dx[:, :, *cell] += share
        return dx, {}

    def specification(self, in_shape: Shape) -> str:
        """`2×2, stride 2`."""
        return self._window.specification()

    @classmethod
    def from_words(cls, words: list[str], where: str) -> AvgPool2d:
        """`avgpool 2`."""
        window = _Window.from_words(words, where)
        return cls(window.size, window.stride)

    def to_words(self) -> str:
        """`avgpool 2`."""
        return self._window.to_words(self.keyword)


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel over the whole image, whatever its size: an image becomes one number a channel.

    Source  Lin, Chen & Yan 2014, Network in Network, section 3.2

    >>> GlobalAvgPool().out_shape((64, 7, 7), "layer 4.globalavgpool")
    (64,)
    """

    keyword: ClassVar[str] = "globalavgpool"

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """(channels,)."""
        check_image(in_shape, where)
        return in_shape[:1]

    def forward(self, w: Weights, x: Float[Array, "batch channels rows cols"], mode: Mode) -> Out:
        """The sum of the cells over their number."""
        return Out(x.mean((2, 3)), {"shape": np.array(x.shape)}, w.buffers)

    def backward(
        self, w: Weights, cache: Tree, dy: Float[Array, "batch channels"], need_dx: bool = True
    ) -> tuple[Array | None, Tree]:
        """Each cell of a channel gets an equal part of dy."""
        shape = tuple(cache["shape"].tolist())
        share = dy * (1 / prod(shape[2:]))
        return np.broadcast_to(share[:, :, None, None], shape).copy(), {}

    def specification(self, in_shape: Shape) -> str:
        """`7×7 → 1`."""
        return f"{show_shape(in_shape[1:])} → 1"

    @classmethod
    def from_words(cls, words: list[str], where: str) -> GlobalAvgPool:
        """`globalavgpool`."""
        reader = Words(words, where)
        reader.skip()
        reader.end("globalavgpool")
        return cls()

    def to_words(self) -> str:
        """`globalavgpool`."""
        return "globalavgpool"


MaxPool2d.examples = (
    (MaxPool2d((2, 2), (2, 2)), (2, 4, 4)),
    (MaxPool2d((3, 2), (2, 2)), (1, 6, 5)),
)
AvgPool2d.examples = (
    (AvgPool2d((2, 2), (2, 2)), (2, 4, 4)),
    (AvgPool2d((3, 2), (2, 2)), (1, 6, 5)),
)
GlobalAvgPool.examples = ((GlobalAvgPool(), (2, 3, 3)), (GlobalAvgPool(), (3, 1, 4)))
