"""The reference engine: the layers' own forward and backward, nothing else.

It is plain on purpose. Its speed comes from small things only: one flat parameter vector, so that an optimizer is a
handful of operations whatever the number of layers; rows put in order once an epoch, so that a batch is a slice; and
one BLAS thread where products are too small to share.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from limpide.arrays import Array, Tree
from limpide.engines.base import LayerTrace, Noise, Precision, Trace
from limpide.nn.layers import EVALUATION, TRAINING, Mode
from limpide.nn.losses import Loss
from limpide.nn.network import Network, Parameters, backward, forward
from limpide.nn.optimizers import Optimizer

BLOCK_NUMBERS = 4_000_000
"""How many numbers the widest layer may hold at once in an evaluation pass: its rows are cut into such blocks."""

SMALL_PRODUCT = 20_000_000
"""Multiply-adds of a batch below which sharing a product among threads costs more than it gives (benchmarks/LOG.md)."""


class NumpyEngine:
    """Runs every network with NumPy alone."""

    name = "numpy"

    def forward(self, network: Network, weights: Mapping[str, np.ndarray], x: Array) -> np.ndarray:
        """The outputs in evaluation mode, in blocks of rows."""
        dtype = x.dtype if x.dtype in (np.float32, np.float64) else np.dtype(np.float32)
        return _evaluate(Parameters.of(network, weights, dtype), x.astype(dtype, copy=False))

    def loss_and_gradients(
        self,
        network: Network,
        loss: Loss,
        weights: Mapping[str, np.ndarray],
        x: Array,
        y: Array,
        noise: Noise | None = None,
    ) -> tuple[float, Tree]:
        """The loss of a batch and its gradient for each parameter by full name."""
        parameters = Parameters.of(network, weights, x.dtype)
        with _quiet():
            output, outs = forward(network, parameters.layers, x, _modes(network, noise))
            _dx, grads = backward(network, parameters.layers, outs, loss.gradient(output, y))
        return loss.mean(output, y), _by_name(network, grads)

    def trainer(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int = 0,
        precision: Precision = "float32",
    ) -> NumpyTrainer:
        """A trainer that starts from these weights."""
        return NumpyTrainer(network, loss, optimizer, weights, n_updates, precision)


class NumpyTrainer:
    """The loop: forward, loss, backward, update."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int,
        precision: Precision,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.n_updates = n_updates
        self.dtype = np.dtype(precision)
        self.parameters = Parameters.of(network, weights, self.dtype)
        self.optimizer_state = optimizer.init(self.parameters.flat)
        self.step = 0
        self._spans = [(slot.name, slice(slot.start, slot.stop), slot.shape) for slot in network.slots]

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`; the loss of each batch before its update."""
        x, y = self._in_precision(x[order]), self._in_precision(y[order])
        modes = _modes(self.network, noise)
        losses = np.empty(-(-len(x) // batch_size))
        with _quiet(), _threads(self.network, batch_size):
            for i in range(len(losses)):
                rows = slice(i * batch_size, (i + 1) * batch_size)
                losses[i] = loss = self._update(x[rows], y[rows], modes)
                # a NaN or Inf minus itself is not 0: far cheaper than a look through NumPy
                if loss - loss != 0:
                    return losses[: i + 1]
        return losses

    def _update(self, x: Array, y: Array, modes: list[Mode]) -> float:
        network, parameters = self.network, self.parameters
        output, outs = forward(network, parameters.layers, x, modes)
        value = self.loss.mean(output, y)
        if value - value != 0:
            return value
        _dx, grads = backward(network, parameters.layers, outs, self.loss.gradient(output, y))
        change, self.optimizer_state = self.optimizer.update(
            parameters.flat, self._flat(grads), self.optimizer_state, self.step, self.n_updates
        )
        parameters.flat += change
        if parameters.buffers:
            for i, out in enumerate(outs):
                parameters.set_buffers(i, out.buffers)
        self.step += 1
        return value

    def _in_precision(self, array: Array) -> Array:
        """Inputs and values in the float type of the weights; class ids as they are."""
        return array if array.dtype.kind in "iu" and array.ndim == 1 else array.astype(self.dtype, copy=False)

    def _flat(self, grads: list[Tree]) -> Array:
        """All gradients in one vector, laid out like the parameters."""
        parts = [grads[slot.layer][slot.key].reshape(-1) for slot in self.network.slots]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs in evaluation mode with the weights of the moment."""
        return _evaluate(self.parameters, self._in_precision(x))

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        return self.parameters.named()

    def state(self) -> Tree:
        """A copy of all that the next update depends on."""
        slots = {f"optimizer/{name}": np.array(array) for name, array in self.optimizer_state.items()}
        buffers = {f"buffer/{name}": np.array(array) for name, array in self.parameters.buffers.items()}
        return {"params": self.parameters.flat.copy(), "step": np.array(self.step), **slots, **buffers}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on exactly from a `state()`."""
        held = {kind: {} for kind in ("optimizer", "buffer")}  # type: dict[str, Tree]
        for name, array in state.items():
            kind, slash, rest = name.partition("/")
            if slash:
                held[kind][rest] = np.array(array)
        self.parameters = Parameters(self.network, np.array(state["params"]), held["buffer"])
        self.optimizer_state = held["optimizer"]
        self.step = int(state["step"])

    def trace(self, x: Array, y: Array, noise: Noise | None) -> Trace:
        """The next step on this batch, opened; nothing is changed. Without noise it is an evaluation pass."""
        network, layers = self.network, self.parameters.layers
        x, y = self._in_precision(x), self._in_precision(y)
        with _quiet():
            output, outs = forward(network, layers, x, _modes(network, noise))
            value, dy = self.loss.mean(output, y), self.loss.gradient(output, y)
            traces: list[LayerTrace] = []
            paths = network.paths
            for i in reversed(range(len(paths))):
                entered = outs[i - 1].y if i else x
                dx, grads = network.layers[i].backward(layers[i], outs[i].cache, dy)
                traces.append(LayerTrace(paths[i], entered, outs[i].y, dy, grads, outs[i].cache))
                dy = dx
            traces.reverse()
            flat = self._flat([trace.grads for trace in traces])
            change, state = self.optimizer.update(
                self.parameters.flat, flat, self.optimizer_state, self.step, self.n_updates
            )
        updates = {name: change[span].reshape(shape) for name, span, shape in self._spans}
        named_state = {
            f"{kind}/{name}": array[span].reshape(shape)
            for kind, array in state.items()
            for name, span, shape in self._spans
        }
        return Trace(value, output, traces, dy, updates, named_state)


def _modes(network: Network, noise: Noise | None) -> list[Mode]:
    """How each layer runs: in training with its stream of noise, or in evaluation when there is none."""
    if noise is None:
        return [EVALUATION] * len(network.layers)
    return [
        Mode(True, noise(path)) if layer.random else TRAINING
        for path, layer in zip(network.paths, network.layers, strict=True)
    ]


def _evaluate(parameters: Parameters, x: Array) -> np.ndarray:
    """A forward pass in evaluation mode, in blocks of rows that keep every layer's output bounded."""
    network = parameters.network
    widest = max(int(np.prod(shape)) for shape in network.shapes)
    block = max(1, BLOCK_NUMBERS // widest)
    modes = _modes(network, None)
    outputs = []
    with _quiet(), _threads(network, min(block, len(x))):
        for start in range(0, max(len(x), 1), block):
            outputs.append(forward(network, parameters.layers, x[start : start + block], modes)[0])
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def _by_name(network: Network, grads: list[Tree]) -> Tree:
    return {slot.name: grads[slot.layer][slot.key] for slot in network.slots}


def _quiet() -> np.errstate:
    """Overflow and NaN are not warned of: they are looked for in the loss, and named by a trace."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _threads(network: Network, batch_size: int) -> AbstractContextManager[Any]:
    """One BLAS thread while products are small: on a busy machine sharing them is several times slower."""
    if batch_size * _widest_product(network) >= SMALL_PRODUCT:
        return nullcontext()
    limits: AbstractContextManager[Any] = _thread_pools().limit(limits=1, user_api="blas")
    return limits


@lru_cache(maxsize=64)
def _widest_product(network: Network) -> int:
    """Multiply-adds of the costliest layer, for one example."""
    return max((row.multiply_adds for row in network.table()), default=0)


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    """The BLAS libraries of this process: looking for them takes longer than an epoch of a small network."""
    return ThreadpoolController()
