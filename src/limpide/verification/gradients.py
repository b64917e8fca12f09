"""The hand-written gradients of a network against slopes measured on its loss, and against PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from limpide import seeds
from limpide.arrays import Array, Tree
from limpide.engines.base import LayerTrace, Noise, Trace, Trainer, get_engine
from limpide.errors import MissingPackage, Unsupported
from limpide.job import Job
from limpide.nn.layers import Mode
from limpide.nn.losses import Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import SGD

ROWS = 5
"""Of the training set, on which the loss is taken."""

NUMBERS = 12
"""Tried in each tensor: the half where the gradient is largest, and as many drawn at random."""

STEP = 1e-5
"""By which a number is moved: the slope is then known to 1e-11 by rounding, and to 1e-10 times the third derivative."""

BY_DIFFERENCES, BY_PYTORCH = 1e-5, 1e-9
"""The largest gaps allowed, as a share of the largest slope of the tensor, or of a hundredth of that of the network."""


@dataclass(frozen=True)
class GradientGap:
    """One tensor of one layer.

    tensor          a parameter's letter, or "output": d loss / d what the layer gives
    n               numbers tried by central differences; those that stand at a kink (`n_kinks`) are left out of them
    by_differences  the largest gap to central differences; None when every number stands at a kink
    by_pytorch      the largest gap to PyTorch's autograd, over all numbers; None where it is not installed
    """

    layer: str
    tensor: str
    n: int
    n_kinks: int
    by_differences: float | None
    by_pytorch: float | None

    @property
    def is_close(self) -> bool:
        """Whether both gaps are within what is allowed."""
        return (self.by_differences or 0.0) <= BY_DIFFERENCES and (self.by_pytorch or 0.0) <= BY_PYTORCH


def check_job(job: Job) -> list[GradientGap]:
    """The gradients of a job's first update, on a few of its rows, in float64, noise included."""
    rows, seed = job.parts["train"], job.recipe.seed
    chosen = np.sort(seeds.stream(seed, "order", 1).permutation(len(rows.x))[:ROWS])
    batch = rows.taken(chosen).of_type("float64")
    weights = job.network.initialize(seeds.stream(seed, "weights"))
    # a fresh stream at every call: each pass sees the same noise
    noise = partial(seeds.stream, seed, "noise", 1)
    return check_gradients(job.network, job.loss, weights, batch.x, batch.y, noise)


def check_gradients(
    network: Network, loss: Loss, weights: Mapping[str, np.ndarray], x: Array, y: Array, noise: Noise
) -> list[GradientGap]:
    """Each parameter and each output of the network, layer by layer.

    noise  gives the streams of the same noise at every call
    """
    trace = _trainer("numpy", network, loss, weights).trace(x, y, noise)
    try:
        other: Trace | None = _trainer("torch", network, loss, weights).trace(x, y, noise)
    except (MissingPackage, Unsupported):
        other = None
    course = _Course(network, loss, weights, x, y, noise)
    tensors = [(i, key, grad) for i, layer in enumerate(trace.layers) for key, grad in _tensors(layer).items()]
    floor = 0.01 * max(float(np.abs(grad).max(initial=0)) for _i, _key, grad in tensors)
    gaps = []
    for i, key, grad in tensors:
        chosen = _chosen(grad, f"{i}.{key}")
        slopes = {at: slope for at in chosen if (slope := course.slope(i, key, at, floor)) is not None}
        by_hand = np.array([grad[at] for at in slopes])
        there = None if other is None else _tensors(other.layers[i])[key]
        gaps.append(
            GradientGap(
                network.paths[i],
                key,
                len(slopes),
                len(chosen) - len(slopes),
                _gap(by_hand, np.array([*slopes.values()]), floor) if slopes else None,
                None if there is None else _gap(grad, there, floor),
            )
        )
    return gaps


def _trainer(engine: str, network: Network, loss: Loss, weights: Mapping[str, np.ndarray]) -> Trainer:
    return get_engine(engine).trainer(network, loss, SGD(), weights, precision="float64")


def _tensors(layer: LayerTrace) -> Tree:
    """The gradients of a layer: its parameters' and its output's."""
    return {**layer.grads, "output": layer.grad_output}


def _gap(here: Array, there: Array, floor: float) -> float:
    """The largest difference, as a share of the largest slope."""
    scale = max(float(np.abs(there).max(initial=0)), floor)
    gap = float(np.abs(here - there).max(initial=0))
    return gap / scale if scale else gap


def _chosen(grad: Array, name: str) -> list[tuple[int, ...]]:
    """Which numbers of a tensor are tried."""
    size = grad.size
    if size <= NUMBERS:
        flat = np.arange(size)
    else:
        largest = np.argpartition(-np.abs(grad).reshape(-1), NUMBERS // 2)[: NUMBERS // 2]
        rest = np.setdiff1d(np.arange(size), largest)
        flat = np.concatenate([largest, seeds.stream(0, "gradients", name).choice(rest, NUMBERS // 2, replace=False)])
    return [tuple(int(i) for i in np.unravel_index(k, grad.shape)) for k in flat]


class _Course:
    """The loss of a batch as a function of any one number on the way."""

    def __init__(
        self, network: Network, loss: Loss, weights: Mapping[str, np.ndarray], x: Array, y: Array, noise: Noise
    ) -> None:
        self.network, self.loss, self.y, self.noise = network, loss, y, noise
        self.parameters = Parameters.of(network, weights, np.float64)
        self.entered = [x]
        for i in range(len(network.layers)):
            self.entered.append(self._through(i, self.entered[i]))
        self.value = self._loss_from(len(network.layers), self.entered[-1])

    def slope(self, layer: int, key: str, at: tuple[int, ...], floor: float) -> float | None:
        """d loss / d one number, by central differences; None at a kink, where there is no slope.

        A kink nearby shows as slopes that differ between a step and half of it; one right here as a jump between the
        slopes on either side that does not shrink with the step.
        """
        if key == "output":
            array, first = self.entered[layer + 1].copy(), layer + 1
            entered = array
        else:
            array, first = self.parameters.layers[layer].params[key], layer
            entered = self.entered[layer]
        (wide, jump), (narrow, smaller) = (
            self._sides(array, at, step, lambda: self._loss_from(first, entered)) for step in (STEP, STEP / 2)
        )
        visible = BY_DIFFERENCES * max(abs(wide), abs(narrow), floor) / 4
        is_kink = abs(wide - narrow) > visible or (abs(jump) > visible and abs(smaller) > 0.75 * abs(jump))
        return None if is_kink else wide

    def _sides(self, array: Array, at: tuple[int, ...], step: float, loss: Callable[[], float]) -> tuple[float, float]:
        """The central slope, and by how much the slopes on either side differ."""
        held = array[at]
        array[at] = held + step
        high = loss()
        array[at] = held - step
        low = loss()
        array[at] = held
        return (high - low) / (2 * step), (high - 2 * self.value + low) / step

    def _through(self, i: int, x: Array) -> Array:
        layer, path = self.network.layers[i], self.network.paths[i]
        mode = Mode(True, self.noise(path) if layer.random else None)
        return layer.forward(self.parameters.layers[i], x, mode).y

    def _loss_from(self, first: int, x: Array) -> float:
        """The loss when the layer numbered `first` is entered by `x`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for i in range(first, len(self.network.layers)):
                x = self._through(i, x)
            return self.loss.mean(x, self.y)
