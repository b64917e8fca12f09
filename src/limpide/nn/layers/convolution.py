"""The convolution layer: one small window of weights slid over the image."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from limpide.arrays import Array, Shape, Tree, show_shape
from limpide.errors import ShapeError, problem
from limpide.i18n import _, format_count
from limpide.nn.initializers import parse_initializer
from limpide.nn.layers.base import Count, Layer, Mode, Out, Weights, Words, check_image


@dataclass(frozen=True)
class Conv2d(Layer):
    """`channels` kernels slid over the image: `y_c(i, j) = b_c + Σ_c' Σ_u,v K_c,c'(u, v) x_c'(i + u, j + v)`.

    Written as one matrix product: each window becomes a column (im2col), the kernels are the rows.

    padding  rows and columns of zeros added on each side
    groups   the channels in and out are cut into as many groups, and each sees only its own; 1 joins them all

    >>> Conv2d(32, (3, 3), padding=1).out_shape((1, 28, 28), "layer 0.conv")
    (32, 28, 28)
    """

    channels: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: int = 0
    bias: bool = True
    initializer: str = "pytorch"
    groups: int = 1

    keyword: ClassVar[str] = "conv"

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """(channels, rows, cols) with `rows = ⌊(rows + 2·padding - kernel)/stride⌋ + 1`."""
        check_image(in_shape, where)
        if in_shape[0] % self.groups or self.channels % self.groups:
            raise ShapeError(
                problem(
                    where,
                    _("channels in and out that {groups} divides").format(groups=self.groups),
                    _("{before} and {after}").format(before=in_shape[0], after=self.channels),
                )
            )
        rows, cols = (
            (size + 2 * self.padding - k) // self.stride + 1 for size, k in zip(in_shape[1:], self.kernel, strict=True)
        )
        if rows < 1 or cols < 1:
            raise ShapeError(
                problem(
                    where,
                    _("an image of at least {size} with its padding").format(size=show_shape(self.kernel)),
                    show_shape(in_shape),
                    _("take a smaller kernel, more padding, or one pooling less before it"),
                )
            )
        return (self.channels, rows, cols)

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Weights:
        """K of shape (channels, channels in of its group, rows, cols) and b of shape (channels,)."""
        initializer, scale = parse_initializer(self.initializer)
        window, seen = prod(self.kernel), in_shape[0] // self.groups
        fans = (seen * window, self.channels // self.groups * window)
        params = {"K": initializer.weights(rng, (self.channels, seen, *self.kernel), *fans, scale)}
        if self.bias:
            params["b"] = initializer.biases(rng, (self.channels,), *fans, scale)
        return Weights(params, {})

    def forward(self, w: Weights, x: Float[Array, "batch channels rows cols"], mode: Mode) -> Out:
        """`y = K columns(x) + b`: one product for the whole batch."""
        _, rows, cols = self.out_shape(x.shape[1:], self.keyword)
        columns = self._columns(x, rows, cols)
        y = (self._rows(w.params["K"]) @ columns).reshape(self.channels, len(x), rows, cols)
        if self.bias:
            y += w.params["b"][:, None, None, None]
        return Out(y.swapaxes(0, 1), {"columns": columns, "shape": np.array(x.shape)}, w.buffers)

    def backward(
        self, w: Weights, cache: Tree, dy: Float[Array, "batch {self.channels} rows_out cols_out"], need_dx: bool = True
    ) -> tuple[Float[Array, "batch channels rows cols"] | None, Tree]:
        """dK = dy columns^T; db = sum of dy over batch and positions; dx: each column's gradient added back.

        Source  LeCun, Bottou, Bengio & Haffner 1998; the adjoint of im2col
        """
        K = w.params["K"]
        flat = dy.swapaxes(0, 1).reshape(self.groups, self.channels // self.groups, dy.size // self.channels)
        grads = {"K": (flat @ cache["columns"].swapaxes(1, 2)).reshape(K.shape)}
        if self.bias:
            grads["b"] = flat.sum(2).reshape(self.channels)
        if not need_dx:
            return None, grads
        dcolumns = self._rows(K).swapaxes(1, 2) @ flat
        return self._image(dcolumns, tuple(cache["shape"].tolist()), dy.shape[2], dy.shape[3]), grads

    def _rows(self, K: Array) -> Array:
        """Each kernel as a row: (groups, channels of the group, channels in·kernel rows·kernel cols)."""
        return K.reshape(self.groups, self.channels // self.groups, prod(K.shape[1:]))

    def _columns(self, x: Array, rows: int, cols: int) -> Array:
        """Each window as a column: (groups, channels in·kernel rows·kernel cols, batch·rows·cols)."""
        n, channels = x.shape[:2]
        p = self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))) if p else x
        columns = np.empty((channels, *self.kernel, n, rows, cols), x.dtype)
        for u, v in np.ndindex(self.kernel):
            columns[:, u, v] = padded[:, :, *self._reach(u, v, rows, cols)].swapaxes(0, 1)
        return columns.reshape(self.groups, channels // self.groups * prod(self.kernel), n * rows * cols)

    def _image(self, columns: Array, shape: Shape, rows: int, cols: int) -> Array:
        """The adjoint of `_columns`: every number added back where it was taken from."""
        n, channels, height, width = shape
        p = self.padding
        padded = np.zeros((channels, n, height + 2 * p, width + 2 * p), columns.dtype)
        columns = columns.reshape(channels, *self.kernel, n, rows, cols)
        for u, v in np.ndindex(self.kernel):
            padded[:, :, *self._reach(u, v, rows, cols)] += columns[:, u, v]
        return padded[:, :, p : p + height, p : p + width].swapaxes(0, 1)

    def _reach(self, u: int, v: int, rows: int, cols: int) -> tuple[slice, slice]:
        """Where the kernel's cell (u, v) falls, for every position of the kernel."""
        s = self.stride
        return slice(u, u + s * rows, s), slice(v, v + s * cols, s)

    def count(self, in_shape: Shape, factors: Shape) -> Count:
        """Kernel cells times channels in and out, plus a bias for each channel; multiply-adds at each position."""
        window = (*self.kernel, in_shape[0] // self.groups, self.channels)
        weights = prod(window)
        total = weights + self.channels * self.bias
        product = "·".join(str(f) for f in window)
        places = self.out_shape(in_shape, self.keyword)[1:]
        work = weights * prod(places)
        return Count(
            total,
            f"{product}" + (f" + {self.channels}" if self.bias else "") + f" = {format_count(total)}",
            work,
            f"{product}·{places[0]}·{places[1]} = {format_count(work)}",
        )

    def specification(self, in_shape: Shape) -> str:
        """`1 → 32 channels, 3×3, stride 1, padding 1, bias`."""
        words = _("{before} → {after} channels, {kernel}, stride {stride}, padding {padding}, {bias}").format(
            before=in_shape[0],
            after=self.channels,
            kernel=show_shape(self.kernel),
            stride=self.stride,
            padding=self.padding,
            bias=_("bias") if self.bias else _("no bias"),
        )
        return words if self.groups == 1 else words + ", " + _("{groups} groups").format(groups=self.groups)

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Conv2d:
        """`conv 32 3x3`, `conv 32 5x5 stride 2 pad 2 groups 4 no bias`."""
        reader = Words(words, where)
        reader.skip()
        channels = reader.integer(_("number of channels"))
        kernel = reader.pair(_("size of the kernel"))
        stride = reader.option("stride", 1, least=1)
        padding = reader.option("pad", 0)
        groups = reader.option("groups", 1, least=1)
        bias = not reader.flag("no", "bias")
        reader.end("conv 32 3x3 stride 1 pad 1 relu")
        return cls(channels, kernel, stride, padding, bias, groups=groups)

    def to_words(self) -> str:
        """`conv 32 3x3 pad 1`."""
        rows, cols = self.kernel
        words = f"conv {self.channels} {rows}x{cols}"
        words += f" stride {self.stride}" if self.stride != 1 else ""
        words += f" pad {self.padding}" if self.padding else ""
        words += f" groups {self.groups}" if self.groups != 1 else ""
        return words + ("" if self.bias else " no bias")


Conv2d.examples = (
    (Conv2d(3, (3, 3), padding=1), (2, 5, 5)),
    (Conv2d(2, (3, 2), stride=2, bias=False), (1, 7, 6)),
    (Conv2d(4, (2, 3), padding=1, groups=2), (6, 2, 3)),
)
