"""A network as data: the tables that the compiled function reads, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from limpide.arrays import Shape
from limpide.engines.compiled_blas import SMALL, SMALL_TURNED, WORTH_TURNING
from limpide.engines.compiled_loops import ACTIVATION_CODES, IDENTITY, LAST_IN_PLACE
from limpide.nn.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool2d,
    Residual,
)
from limpide.nn.network import Network

# fmt: off
STAGE_COLUMNS = (
    "kind", "activation", "n_in", "n_out", "weights", "bias", "slope", "input", "sum", "output", "other", "width",
    "scratch", "running", "line", "effort", "rows_in", "cols_in", "channels_in", "rows_out", "cols_out", "channels_out",
    "kernel_rows", "kernel_cols", "down", "right", "padding", "groups", "terms", "piece_lines", "piece_images", "room",
    "room_size",
)
(
    KIND, ACTIVATION, N_IN, N_OUT, WEIGHTS, BIAS, SLOPE, INPUT, SUM, OUTPUT, OTHER, WIDTH,
    SCRATCH, RUNNING, LINE, EFFORT, ROWS_IN, COLS_IN, CHANNELS_IN, ROWS_OUT, COLS_OUT, CHANNELS_OUT,
    KERNEL_ROWS, KERNEL_COLS, DOWN, RIGHT, PADDING, GROUPS, TERMS, PIECE_LINES, PIECE_IMAGES, ROOM,
    ROOM_SIZE,
) = range(len(STAGE_COLUMNS))
# fmt: on
"""The columns of the table of stages, all whole numbers; places are those in the one vector.

weights, bias, slope        where the parameters start; -1 for none
input, sum, output          where the batch's rows stand, one after the other
other                       join: where the rows stand that went around
width                       softmax: over how many numbers
scratch                     where a stage's own numbers stand: batchnorm's lines, a convolution's kernels as products
                            take them, the winners of maxpool, the gradient that goes around; dropout: how many of one
                            row's noise come before
running                     batchnorm: where its running statistics start
line                        batchnorm: how many numbers are summed side by side
effort                      what a row takes, in multiply-adds
rows_in ... channels_out    the sizes of the images; turn: the table whose columns become rows
down, right                 the strides
terms                       of each sum of a convolution
piece_lines, piece_images   the lines of the output, and the images, that a convolution takes at once
room, room_size             convolution: what each share has for itself, and how much that is
"""

N_NUMBERS = 5
SLOPE_VALUE, RATE, SCALE, MOMENTUM, EPSILON = range(N_NUMBERS)
"""The columns of the table of the stages' other numbers."""

PLACES = tuple(range(11))
N_PARAMS, GRADS, FIRST_SLOT, SECOND_SLOT, ONES, TARGETS, WORK, DELTA, OTHER_DELTA, TURNED, TRAINED = PLACES
"""Where things start in the one vector, which begins with the parameters; but for the first and the last.

n_params  how many parameters there are
ones      as many as rows fit
targets   of the batch
work      the inputs of the batch
delta     gradients; stages use the two in turn
turned    a small matrix of weights
trained   the first stage with parameters; the number of stages when there is none
"""

SLOTS = FIRST_SLOT, SECOND_SLOT

ALONE, DENSE, BATCHNORM, DROPOUT, CONVOLUTION, MAXPOOL, AVGPOOL, TURN, FORK, JOIN = range(10)
"""The kinds of stages. turn: the order of an image's numbers; fork and join: where a residual begins and ends."""

ELSEWHERE = (DENSE, CONVOLUTION, MAXPOOL, AVGPOOL, TURN)
"""Those whose gradient for the input stands elsewhere than that for the output."""

MEAN, VARIANCE, INVERSE, FACTOR, SHIFT, BY_NORMAL, TOTAL, OF_SHARES = range(8)
"""The lines of numbers in the room of a batch normalisation; behind the last, two for each share.

inverse  1 / √(variance + epsilon)
factor   gamma times that
"""

MOST_SHARES = 16
"""Into how many shares a batch is cut, at most."""

LANE = 16
"""Numbers that are copied at once."""

WINDOWS = 32_768
"""Numbers of the windows of a piece, where a line of the image has no more: they stay in the cache."""

LONGEST_LINE = 1024
"""Numbers of an image that are summed side by side as they are; of larger ones, a row's."""

PER_NUMBER = 10
"""Multiply-adds in the time that a number takes to be read, changed and written."""

WHOLE_UPDATE = 65_536
"""Parameters up to which an update is made at once."""

KEPT = ("mean", "variance")
"""What a batch normalisation keeps of the batches it has seen."""


@dataclass(frozen=True)
class Program:
    """A network as data, for batches of up to `capacity` rows.

    stages   the table of `STAGE_COLUMNS`
    numbers  the table of their other numbers
    places   where everything lies in the one vector that the compiled function works on
    bounds   the parts of the parameters that are updated one after the other
    size     how many numbers that vector holds
    n_ones   how many of them are ones
    random   path and shape of each layer of noise; layers of one path draw from one stream, in turn
    running  full name, start and size of each running statistic in that vector
    """

    capacity: int
    stages: np.ndarray
    numbers: np.ndarray
    places: np.ndarray
    bounds: np.ndarray
    size: int
    n_ones: int
    random: tuple[tuple[str, Shape], ...]
    running: tuple[tuple[str, int, int], ...]

    def vector(self, dtype: np.dtype[Any]) -> np.ndarray:
        """The one vector, new: zeros but for the ones, beginning on a cache line."""
        room = np.zeros(self.size + 64 // dtype.itemsize, dtype)
        start = -room.ctypes.data % 64 // dtype.itemsize
        vector = room[start : start + self.size]
        vector[self.places[ONES] :][: self.n_ones] = 1
        return vector

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """The parameters in it, their gradients, then the optimizer's slots."""
        return [vector[start:][: self.places[N_PARAMS]] for start in (0, *self.places[[GRADS, *SLOTS]])]


class _Writer:
    """Lays a network out stage by stage.

    shape    of the numbers that the last stage left, as the network says it
    is_last  whether they are an image whose channels stand last
    """

    def __init__(self, network: Network, capacity: int, n_slots: int) -> None:
        self.shape, self.capacity, self.is_last = network.input_shape, capacity, False
        self.start = {slot.name: slot.start for slot in network.slots}
        self.stages: list[dict[str, int]] = []
        self.numbers: list[list[float]] = []
        self.random: list[tuple[str, Shape]] = []
        self.running: list[tuple[str, int, int]] = []
        self.size, self.n_ones = 0, capacity
        self.places = np.zeros(len(PLACES), np.int64)
        n = self.places[N_PARAMS] = network.slots[-1].stop if network.slots else 0
        _parameters = self.room(n)
        for place in (GRADS, *SLOTS[:n_slots]):
            self.places[place] = self.room(n)
        self.places[TURNED] = self.room(SMALL_TURNED // WORTH_TURNING)
        self.places[TARGETS] = self.reserve(network.output_shape)
        self.places[WORK] = self.output = self.reserve(network.input_shape)

    def room(self, n: int) -> int:
        """Room for so many numbers."""
        start = self.size
        # each begins on a cache line of its own
        self.size += -(-n // 16) * 16
        return start

    def reserve(self, shape: Shape) -> int:
        """Room for a value of every row."""
        return self.room(prod(shape) * self.capacity)

    def stage(self, kind: int, shape: Shape, **columns: int) -> None:
        """A linear part that leaves this shape, in room of its own unless `sum` says where."""
        room = columns["sum"] if "sum" in columns else self.reserve(shape)
        n_in, n_out = prod(self.shape), prod(shape)
        given = {"kind": kind, "n_in": n_in, "n_out": n_out, "input": self.output, "sum": room, "output": room}
        empty = {**dict.fromkeys(STAGE_COLUMNS, 0), "weights": -1, "bias": -1, "slope": -1}
        self.stages.append({**empty, **given, "effort": PER_NUMBER * (n_in + n_out), **columns})
        self.numbers.append([0.0] * N_NUMBERS)
        self.output, self.shape = room, shape

    def turn(self, last: bool) -> None:
        """The channels of an image last, or first as they come."""
        if len(self.shape) == 3 and self.is_last != last:
            channels, pixels = self.shape[0], prod(self.shape[1:])
            rows, cols = (channels, pixels) if last else (pixels, channels)
            if rows > 1 and cols > 1:
                self.stage(TURN, self.shape, rows_in=rows, cols_in=cols)
        self.is_last = last

    def add(self, layer: Layer, path: str, stream: str) -> None:
        """A layer.

        path    its full name
        stream  the path whose noise it draws from
        """
        self.turn(self.is_last if self.is_alike(layer) else isinstance(layer, LAST))
        shape = layer.out_shape(self.shape, path)
        if isinstance(layer, Dense):
            self.stage(DENSE, shape, weights=self.start[f"{path}.W"], bias=self.start.get(f"{path}.b", -1))
        elif isinstance(layer, Conv2d):
            self.convolve(layer, path, shape)
        elif isinstance(layer, MaxPool2d | AvgPool2d):
            self.pool(layer, shape, layer.size, layer.stride)
        elif isinstance(layer, GlobalAvgPool):
            self.pool(layer, shape, (self.shape[1], self.shape[2]), (1, 1))
        elif isinstance(layer, BatchNorm):
            self.normalise(layer, path)
        elif isinstance(layer, Residual):
            self.go_around(layer, path, stream)
        elif isinstance(layer, Dropout) and layer.rate > 0:
            self.stage(DROPOUT, shape, scratch=sum(prod(shape) for _path, shape in self.random))
            self.random.append((stream, shape))
            # noise is drawn as float32, and compared as such
            self.numbers[-1][RATE] = float(np.float32(layer.rate))
            self.numbers[-1][SCALE] = 1 / (1 - layer.rate)
        elif isinstance(layer, Activation) and layer.function != "identity":
            self.activate(layer, path)
        elif isinstance(layer, Flatten):
            self.shape = shape

    def is_alike(self, layer: Layer) -> bool:
        """Whether the order of an image's numbers is nothing to a layer."""
        if isinstance(layer, Dropout):
            return layer.rate == 0
        return isinstance(layer, Activation) and layer.function != "softmax"

    def activate(self, layer: Activation, path: str) -> None:
        """An activation, behind the linear part before it if that has none yet."""
        code = ACTIVATION_CODES[layer.function]
        in_place = code <= LAST_IN_PLACE
        last = self.stages[-1] if self.stages else None
        # what goes around stays as it is
        if last is None or last["activation"] != IDENTITY or last["kind"] == FORK:
            self.stage(ALONE, self.shape, **({} if in_place else {"sum": self.output}))
        if not in_place:
            self.output = self.reserve(self.shape)
        slope = self.start.get(f"{path}.a", -1)
        self.stages[-1].update(activation=code, width=self.shape[-1], slope=slope, output=self.output)
        self.numbers[-1][SLOPE_VALUE] = layer.start_slope

    def sizes(self, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int]) -> dict[str, int]:
        """The columns of a stage whose windows slide over images."""
        channels, rows, cols = self.shape
        out = (*shape, 1, 1)
        return {
            **{"rows_in": rows, "cols_in": cols, "channels_in": channels},
            **{"rows_out": out[1], "cols_out": out[2], "channels_out": out[0]},
            **{"kernel_rows": kernel[0], "kernel_cols": kernel[1], "down": stride[0], "right": stride[1]},
        }

    def convolve(self, layer: Conv2d, path: str, shape: Shape) -> None:
        """A convolution."""
        sizes = self.sizes(shape, layer.kernel, (layer.stride, layer.stride))
        channels, rows, cols = shape
        seen, terms = channels // layer.groups, self.shape[0] // layer.groups * prod(layer.kernel)
        lines = max(min(SMALL // seen, WINDOWS) // (terms * cols), 1)
        # the groups of an image come one after the other
        images = min(max(lines // rows, 1), self.capacity) if layer.groups == 1 else 1
        lines, p = min(lines, rows), layer.padding
        positions = lines * images * cols
        self.n_ones = max(self.n_ones, positions)
        padded = self.shape[0] * (self.shape[1] + 2 * p) * (self.shape[2] + 2 * p)
        size = -(-(2 * padded + positions * terms + LANE + (terms + 1) * channels) // 16) * 16
        self.stage(
            CONVOLUTION,
            shape,
            weights=self.start[f"{path}.K"],
            bias=self.start.get(f"{path}.b", -1),
            scratch=self.room(terms * channels),
            effort=terms * prod(shape),
            padding=p,
            groups=layer.groups,
            terms=terms,
            piece_lines=lines,
            piece_images=images,
            room=self.room(MOST_SHARES * size),
            room_size=size,
            **sizes,
        )

    def pool(self, layer: Layer, shape: Shape, size: tuple[int, int], stride: tuple[int, int]) -> None:
        """A pooling."""
        is_largest = isinstance(layer, MaxPool2d)
        scratch = self.reserve(shape) if is_largest else 0
        sizes = self.sizes(shape, size, stride)
        self.stage(MAXPOOL if is_largest else AVGPOOL, shape, scratch=scratch, **sizes)

    def normalise(self, layer: BatchNorm, path: str) -> None:
        """A batch normalisation."""
        channels, n = self.shape[0], prod(self.shape)
        line = n if n <= LONGEST_LINE or len(self.shape) == 1 else self.shape[2] * channels
        scratch, running = self.room((OF_SHARES + 2 * MOST_SHARES) * line), self.room(2 * channels)
        self.running += [(f"{path}.{k}", running + j * channels, channels) for j, k in enumerate(KEPT)]
        columns = {"weights": self.start[f"{path}.gamma"], "channels_in": channels, "line": line}
        self.stage(BATCHNORM, self.shape, scratch=scratch, running=running, **columns)
        self.numbers[-1][MOMENTUM], self.numbers[-1][EPSILON] = layer.momentum, layer.epsilon

    def go_around(self, layer: Residual, path: str, stream: str) -> None:
        """A residual: its layers, and the way around them."""
        entered, held, is_last = self.output, self.reserve(self.shape), self.is_last
        self.stage(FORK, self.shape, sum=entered, scratch=held)
        for inner, inside in zip(layer.paths, layer.layers, strict=True):
            self.add(inside, f"{path}.{inner}", stream)
        self.turn(is_last)
        self.stage(JOIN, self.shape, other=entered, scratch=held)


LAST = (Conv2d, MaxPool2d, AvgPool2d, GlobalAvgPool, BatchNorm, Residual)
"""The layers that take images whose channels stand last."""


@lru_cache(maxsize=32)
def write_program(network: Network, capacity: int, n_slots: int) -> Program:
    """The network as the compiled function reads it: the same tables for whoever asks, to be read alone.

    n_slots  how many vectors the optimizer keeps
    """
    writer = _Writer(network, capacity, n_slots)
    for path, layer in zip(network.paths, network.layers, strict=True):
        writer.add(layer, path, path)
    writer.turn(False)
    if not writer.stages:
        writer.stage(ALONE, network.output_shape)
    stages = np.array([[row[column] for column in STAGE_COLUMNS] for row in writer.stages])
    has_parameters = (stages[:, WEIGHTS] >= 0) | (stages[:, SLOPE] >= 0)
    places, widest = writer.places, int(stages[:, [N_IN, N_OUT]].max())
    places[TRAINED] = has_parameters.argmax() if has_parameters.any() else len(stages)
    places[ONES] = writer.room(writer.n_ones)
    places[DELTA], places[OTHER_DELTA] = writer.room(capacity * widest), writer.room(capacity * widest)
    # a lane is read even where the last number stands
    _behind = writer.room(LANE)
    bounds = [0, int(places[N_PARAMS])]
    if bounds[-1] > WHOLE_UPDATE:
        # layer by layer, as the gradients come: whoever made those of some rows updates them too
        bounds = sorted({0, *(slot.start for slot in network.slots if slot.key == "W"), *bounds})
    return Program(
        capacity,
        stages,
        np.array(writer.numbers),
        places,
        np.array(bounds),
        writer.size,
        writer.n_ones,
        tuple(writer.random),
        tuple(writer.running),
    )
