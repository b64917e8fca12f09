"""A dense network as data: the tables that the compiled function reads, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from limpide.arrays import Shape
from limpide.engines.compiled_blas import SMALL_TURNED, WORTH_TURNING
from limpide.engines.compiled_loops import ACTIVATION_CODES, IDENTITY, LAST_IN_PLACE
from limpide.nn.layers import Activation, BatchNorm, Dense, Dropout
from limpide.nn.network import Network

STAGE_COLUMNS = (
    "kind",
    "activation",
    "n_in",
    "n_out",
    "weights",
    "bias",
    "slope",
    "input",
    "sum",
    "output",
    "inner",
    "width",
    "scratch",
    "running",
)
KIND, ACTIVATION, N_IN, N_OUT, WEIGHTS, BIAS, SLOPE, INPUT, SUM, OUTPUT, INNER, WIDTH, SCRATCH, RUNNING = range(14)
"""The columns of the table of stages, all whole numbers; places are those in the one vector.

weights, bias, slope        where the parameters start; -1 for none
input, sum, output          where the batch's rows stand, one after the other
inner                       batchnorm: how many features share a channel
width                       softmax: over how many numbers
scratch                     batchnorm: where its own numbers stand; dropout: how many of one row's noise come before
running                     batchnorm: where its running statistics start
"""

SLOPE_VALUE, RATE, SCALE, MOMENTUM, EPSILON = range(5)
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

ALONE, DENSE, BATCHNORM, DROPOUT = range(4)

WHOLE_UPDATE = 65_536
"""Parameters up to which an update is made at once."""

KEPT = ("mean", "variance")
"""What a batch normalisation keeps of the batches it has seen."""


@dataclass(frozen=True)
class Program:
    """A network as data, for batches of up to `capacity` rows.

    stages   the table of `compiled_kernel.STAGE_COLUMNS`
    numbers  the table of their other numbers
    places   where everything lies in the one vector that the compiled function works on
    bounds   the parts of the parameters that are updated one after the other
    size     how many numbers that vector holds
    random   path and shape of each layer of noise
    running  full name, start and size of each running statistic in that vector
    """

    capacity: int
    stages: np.ndarray
    numbers: np.ndarray
    places: np.ndarray
    bounds: np.ndarray
    size: int
    random: tuple[tuple[str, Shape], ...]
    running: tuple[tuple[str, int, int], ...]

    def vector(self, dtype: np.dtype[Any]) -> np.ndarray:
        """The one vector, new: zeros but for the ones, beginning on a cache line."""
        room = np.zeros(self.size + 64 // dtype.itemsize, dtype)
        start = -room.ctypes.data % 64 // dtype.itemsize
        vector = room[start : start + self.size]
        vector[self.places[ONES] :][: self.capacity] = 1
        return vector

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """The parameters in it, their gradients, then the optimizer's slots."""
        return [vector[start:][: self.places[N_PARAMS]] for start in (0, *self.places[[GRADS, *SLOTS]])]


class _Writer:
    """Lays a network out stage by stage."""

    def __init__(self, network: Network, capacity: int, n_slots: int) -> None:
        self.network, self.capacity = network, capacity
        self.start = {(slot.layer, slot.key): slot.start for slot in network.slots}
        self.stages: list[dict[str, int]] = []
        self.numbers: list[list[float]] = []
        self.random: list[tuple[str, Shape]] = []
        self.running: list[tuple[str, int, int]] = []
        self.size = 0
        self.places = np.zeros(len(PLACES), np.int64)
        n = self.places[N_PARAMS] = network.slots[-1].stop if network.slots else 0
        _parameters = self.room(n)
        for place in (GRADS, *SLOTS[:n_slots]):
            self.places[place] = self.room(n)
        self.places[TURNED] = self.room(SMALL_TURNED // WORTH_TURNING)
        self.places[ONES] = self.room(capacity)
        self.places[TARGETS] = self.reserve(network.output_shape)
        self.places[WORK] = self.output = self.reserve(network.input_shape)

    def room(self, n: int) -> int:
        """Room for so many numbers."""
        start = self.size
        # each begins on a cache line of its own
        self.size += -(-n // 16) * 16
        return start

    def reserve(self, shape: Shape, more: int = 0) -> int:
        """Room for a value of every row."""
        return self.room(prod(shape) * self.capacity + more)

    def stage(self, kind: int, i: int, **columns: int) -> None:
        """A linear part, into room of its own unless `sum` says where."""
        shape_in, shape_out = self.network.shapes[max(i, 0)], self.network.shapes[i + 1]
        room = columns["sum"] if "sum" in columns else self.reserve(shape_out)
        n_in, n_out = prod(shape_in), prod(shape_out)
        columns = {"kind": kind, "n_in": n_in, "n_out": n_out, "input": self.output, "sum": room, **columns}
        empty = {**dict.fromkeys(STAGE_COLUMNS, 0), "weights": -1, "bias": -1, "slope": -1}
        self.stages.append({**empty, **columns, "output": room})
        self.numbers.append([0.0] * 5)
        self.output = room

    def add(self, i: int) -> None:
        """Layer `i`."""
        layer, shape, path = self.network.layers[i], self.network.shapes[i], self.network.paths[i]
        if isinstance(layer, Dense):
            self.stage(DENSE, i, weights=self.start[i, "W"], bias=self.start.get((i, "b"), -1))
        elif isinstance(layer, BatchNorm):
            scratch, running, channels = self.reserve(shape, 5 * prod(shape)), self.room(2 * shape[0]), shape[0]
            self.running += [(f"{path}.{k}", running + j * channels, channels) for j, k in enumerate(KEPT)]
            weights, inner = self.start[i, "gamma"], prod(shape[1:])
            self.stage(BATCHNORM, i, weights=weights, inner=inner, scratch=scratch, running=running)
            self.numbers[-1][MOMENTUM], self.numbers[-1][EPSILON] = layer.momentum, layer.epsilon
        elif isinstance(layer, Dropout) and layer.rate > 0:
            self.stage(DROPOUT, i, scratch=sum(prod(shape) for _path, shape in self.random))
            self.random.append((path, shape))
            # noise is drawn as float32, and compared as such
            self.numbers[-1][RATE] = float(np.float32(layer.rate))
            self.numbers[-1][SCALE] = 1 / (1 - layer.rate)
        elif isinstance(layer, Activation) and layer.function != "identity":
            self.activate(i, layer)

    def activate(self, i: int, layer: Activation) -> None:
        """An activation, behind the linear part before it if that has none yet."""
        code, shape = ACTIVATION_CODES[layer.function], self.network.shapes[i]
        in_place = code <= LAST_IN_PLACE
        if not self.stages or self.stages[-1]["activation"] != IDENTITY:
            self.stage(ALONE, i, **({} if in_place else {"sum": self.output}))
        if not in_place:
            self.output = self.reserve(shape)
        slope = self.start.get((i, "a"), -1)
        self.stages[-1].update(activation=code, width=shape[-1], slope=slope, output=self.output)
        self.numbers[-1][SLOPE_VALUE] = layer.start_slope


def write_program(network: Network, capacity: int, n_slots: int) -> Program:
    """The network as the compiled function reads it.

    n_slots  how many vectors the optimizer keeps
    """
    writer = _Writer(network, capacity, n_slots)
    for i in range(len(network.layers)):
        writer.add(i)
    if not writer.stages:
        writer.stage(ALONE, len(network.layers) - 1)
    stages = np.array([[row[column] for column in STAGE_COLUMNS] for row in writer.stages])
    has_parameters = (stages[:, WEIGHTS] >= 0) | (stages[:, SLOPE] >= 0)
    places, widest = writer.places, int(stages[:, [N_IN, N_OUT]].max())
    places[TRAINED] = has_parameters.argmax() if has_parameters.any() else len(stages)
    places[DELTA], places[OTHER_DELTA] = writer.room(capacity * widest), writer.room(capacity * widest)
    bounds = [0, int(places[N_PARAMS])]
    if bounds[-1] > WHOLE_UPDATE:
        # layer by layer, as the gradients come: whoever made those of some rows updates them too
        bounds = sorted({0, *(slot.start for slot in network.slots if slot.key == "W"), *bounds})
    random, running = tuple(writer.random), tuple(writer.running)
    return Program(capacity, stages, np.array(writer.numbers), places, np.array(bounds), writer.size, random, running)
