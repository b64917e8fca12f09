"""What the doctor measures: one real step opened layer by layer, and each unit on every training row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, prod
from typing import Any

import numpy as np

from limpide import seeds
from limpide.engines.base import Trainer
from limpide.job import Job
from limpide.nn.layers import EVALUATION, Activation
from limpide.nn.network import Network, Parameters, forward

PROBE_ROWS = 1_024
"""Of a batch, opened at most."""

SATURATED_SLOPE, SATURATED_ROWS = 0.01, 0.9
"""A unit is saturated where its slope is below this share of the function's largest one, on this share of the rows."""

_LARGEST_SLOPE = {"sigmoid": 0.25, "tanh": 1.0}
_BLOCK_NUMBERS = 4_000_000


@dataclass(frozen=True)
class LayerRecord:
    """Norms of one layer that has weights, in one step.

    signal    ‖∂J/∂output‖: what comes back to the layer
    weight, gradient, update  ‖w‖, ‖∂J/∂w‖ and the norm of the change really made, of its matrices or kernels
    """

    path: str
    signal: float
    weight: float
    gradient: float
    update: float

    @property
    def ratio(self) -> float:
        """‖Δw‖ / ‖w‖: the share of itself that the weights move by in one update."""
        return self.update / self.weight if self.weight else 0.0


@dataclass(frozen=True)
class Record:
    """The layers in the update after `update` others, on some training rows.

    is_real  whether the optimizer's state is that of the training, so that the update is the one it made
    """

    update: int
    epoch: int
    rows: int
    loss: float
    layers: tuple[LayerRecord, ...]
    is_real: bool = True

    @property
    def is_finite(self) -> bool:
        """Whether every norm is a number: in a training that breaks, the last ones are not."""
        return all(isfinite(n) for layer in self.layers for n in (layer.signal, layer.gradient, layer.update))

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Record:
        """The record of `to_dict`."""
        return Record(**{**data, "layers": tuple(LayerRecord(**layer) for layer in data["layers"])})


def open_step(trainer: Trainer, job: Job, update: int, epoch: int, is_real: bool = True) -> Record:
    """The trainer's next step on a batch of training rows, always the same ones; nothing is changed."""
    rows, seed = job.parts["train"], job.recipe.seed
    n = min(len(rows.x), job.recipe.training.batch_size or PROBE_ROWS, PROBE_ROWS)
    chosen = np.sort(seeds.stream(seed, "doctor").choice(len(rows.x), n, replace=False))
    batch = rows.taken(chosen).of_type(job.recipe.dtype)
    trace = trainer.trace(batch.x, batch.y, lambda path: seeds.stream(seed, "doctor", epoch, path))
    weights, layers = trainer.weights(), []
    for layer in trace.layers:
        keys = [key for key, gradient in layer.grads.items() if np.ndim(gradient) > 1]
        if keys:
            names = [f"{layer.path}.{key}" for key in keys]
            layers.append(
                LayerRecord(
                    layer.path,
                    _norm(layer.grad_output),
                    _norm(*(weights[name] for name in names)),
                    _norm(*(layer.grads[key] for key in keys)),
                    _norm(*(trace.updates[name] for name in names)),
                )
            )
    return Record(update, epoch, n, float(trace.loss), tuple(layers), is_real)


def _norm(*arrays: Any) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(sum(float(np.square(np.asarray(array, np.float64)).sum()) for array in arrays)))


@dataclass(frozen=True)
class Units:
    """The units of one hidden activation layer, on every training row; of an image layer, the channels.

    dead       negative before the activation on every row (and at every place of an image): no gradient passes
    saturated  so far out on a sigmoid or tanh that nearly no gradient passes, on nearly every row
    """

    path: str
    function: str
    n: int
    rows: int
    dead: int
    saturated: int


def count_units(network: Network, weights: Mapping[str, np.ndarray], x: np.ndarray) -> list[Units]:
    """The units of each hidden activation, in evaluation mode; those inside a residual block are not looked at."""
    hidden = [
        i
        for i, layer in enumerate(network.layers[:-1])
        if isinstance(layer, Activation) and layer.function in ("relu", *_LARGEST_SLOPE)
    ]
    if not hidden or not len(x):
        return []
    parameters = Parameters.of(network, weights, np.float32)
    highest = {i: np.full(network.shapes[i + 1][0], -np.inf) for i in hidden}
    flat = {i: np.zeros(network.shapes[i + 1][0]) for i in hidden}
    block = max(1, _BLOCK_NUMBERS // max(prod(shape) for shape in network.shapes))
    modes = [EVALUATION] * len(network.layers)
    for start in range(0, len(x), block):
        with np.errstate(over="ignore", invalid="ignore"):
            _y, outs = forward(network, parameters.layers, x[start : start + block].astype(np.float32), modes)
        for i in hidden:
            z, y = outs[i].cache["z"], outs[i].y
            axes = tuple(axis for axis in range(z.ndim) if axis != 1)
            highest[i] = np.maximum(highest[i], z.max(axes))
            flat[i] += _flat_share(network.layers[i], z, y).sum(0) if z.ndim == 2 else 0
    return [_counted(network, i, len(x), highest[i], flat[i]) for i in hidden]


def _flat_share(layer: Any, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where the slope is small, for each row and unit."""
    if layer.function not in _LARGEST_SLOPE:
        return np.zeros(z.shape)
    slope = layer.row.derivative(z, y, layer.start_slope)
    return np.asarray(slope < SATURATED_SLOPE * _LARGEST_SLOPE[layer.function], np.float64)


def _counted(network: Network, i: int, n_rows: int, highest: np.ndarray, flat: np.ndarray) -> Units:
    layer: Any = network.layers[i]
    dead = int((highest <= 0).sum()) if layer.function == "relu" else 0
    saturated = int((flat >= SATURATED_ROWS * n_rows).sum())
    return Units(network.paths[i], layer.function, len(highest), n_rows, dead, saturated)
