"""A dense network as data: the tables that the compiled function reads."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from limpide.arrays import Shape
from limpide.engines.compiled_kernel import (
    ALONE,
    BATCHNORM,
    DENSE,
    DROPOUT,
    EPSILON,
    MOMENTUM,
    N_IN,
    N_OUT,
    RATE,
    SCALE,
    SLOPE,
    SLOPE_VALUE,
    STAGE_COLUMNS,
    WEIGHTS,
)
from limpide.engines.compiled_loops import ACTIVATION_CODES, IDENTITY, LAST_IN_PLACE
from limpide.nn.layers import Activation, BatchNorm, Dense, Dropout
from limpide.nn.network import Network


@dataclass(frozen=True)
class Program:
    """A network as data, for batches of up to `capacity` rows.

    stages      the table of `compiled_kernel.STAGE_COLUMNS`
    numbers     the table of their other numbers
    trained     the first stage with parameters; the number of stages when there is none
    work_size   how many numbers the workspace holds
    widest      the numbers of the widest stage, for one row
    random      path and shape of each layer of noise
    running     full name, start and size of each running statistic
    """

    capacity: int
    stages: np.ndarray
    numbers: np.ndarray
    trained: int
    work_size: int
    widest: int
    random: tuple[tuple[str, Shape], ...]
    running: tuple[tuple[str, int, int], ...]


class _Writer:
    """Lays a network out stage by stage."""

    def __init__(self, network: Network, capacity: int) -> None:
        self.network, self.capacity = network, capacity
        self.start = {(slot.layer, slot.key): slot.start for slot in network.slots}
        self.stages: list[dict[str, int]] = []
        self.numbers: list[list[float]] = []
        self.random: list[tuple[str, Shape]] = []
        self.running: list[tuple[str, int, int]] = []
        self.size = self.output = 0
        self.output = self.reserve(network.input_shape)

    def reserve(self, shape: Shape, more: int = 0) -> int:
        """Room for a value of every row."""
        start = self.size
        size = prod(shape) * self.capacity + more
        # every buffer begins on a cache line of its own
        self.size += -(-size // 16) * 16
        return start

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
            scratch = self.reserve(shape, 5 * prod(shape))
            running = sum(size for _name, _start, size in self.running)
            self.running += [
                (f"{path}.{k}", running + j * shape[0], shape[0]) for j, k in enumerate(("mean", "variance"))
            ]
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


def write_program(network: Network, capacity: int) -> Program:
    """The network as the compiled function reads it."""
    writer = _Writer(network, capacity)
    for i in range(len(network.layers)):
        writer.add(i)
    if not writer.stages:
        writer.stage(ALONE, len(network.layers) - 1)
    stages = np.array([[row[column] for column in STAGE_COLUMNS] for row in writer.stages])
    has_parameters = (stages[:, WEIGHTS] >= 0) | (stages[:, SLOPE] >= 0)
    trained = int(has_parameters.argmax()) if has_parameters.any() else len(stages)
    widest = int(stages[:, [N_IN, N_OUT]].max())
    numbers = np.array(writer.numbers)
    return Program(capacity, stages, numbers, trained, writer.size, widest, tuple(writer.random), tuple(writer.running))
