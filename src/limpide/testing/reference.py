"""The reference: the pure functions of `nn/` in float64, and slopes measured on the loss itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from limpide.arrays import Array, Tree
from limpide.engines.base import Noise
from limpide.nn.layers import EVALUATION, Mode, Out
from limpide.nn.losses import Loss
from limpide.nn.network import Network, Parameters, backward, forward
from limpide.nn.optimizers import Optimizer


class Pass(NamedTuple):
    """One forward and backward pass.

    grads  the gradient of each parameter, by full name
    flat   the same in one vector, laid out like the parameters
    """

    output: Array
    loss: float
    outs: list[Out]
    grads: Tree
    flat: Array
    grad_input: Array


def modes_of(network: Network, noise: Noise | None) -> list[Mode]:
    """How each layer runs, with fresh streams."""
    if noise is None:
        return [EVALUATION] * len(network.layers)
    return [Mode(True, noise(path) if layer.random else None) for path, layer in zip(network.paths, network.layers)]


def reference_output(
    network: Network, weights: Mapping[str, np.ndarray], x: Array, noise: Noise | None = None
) -> Array:
    """The outputs, in evaluation mode unless there is noise."""
    parameters = Parameters.of(network, weights, np.float64)
    return forward(network, parameters.layers, np.asarray(x, np.float64), modes_of(network, noise))[0]


def reference_loss(
    network: Network, loss: Loss, weights: Mapping[str, np.ndarray], x: Array, y: Array, noise: Noise | None = None
) -> float:
    """The loss of a batch, by a forward pass alone."""
    return float(np.mean(loss.value(reference_output(network, weights, x, noise), y)))


def reference_pass(network: Network, loss: Loss, parameters: Parameters, x: Array, y: Array, modes: list[Mode]) -> Pass:
    """The gradients by the layers' own backward."""
    output, outs = forward(network, parameters.layers, np.asarray(x, np.float64), modes)
    dx, grads = backward(network, parameters.layers, outs, loss.gradient(output, y), need_dx=True)
    named = {slot.name: grads[slot.layer][slot.key] for slot in network.slots}
    flat = np.concatenate([named[slot.name].reshape(-1) for slot in network.slots])
    return Pass(output, float(np.mean(loss.value(output, y))), outs, named, flat, dx)


def reference_training(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    weights: Mapping[str, np.ndarray],
    x: Array,
    y: Array,
    orders: list[Array],
    batch_size: int,
    noises: list[Noise],
    n_updates: int,
) -> tuple[Array, Tree]:
    """The loss of every batch of these epochs, and the weights after them."""
    parameters = Parameters.of(network, weights, np.float64)
    state = optimizer.init(parameters.flat)
    losses: list[float] = []
    for order, noise in zip(orders, noises, strict=True):
        modes = modes_of(network, noise)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            step = reference_pass(network, loss, parameters, x[rows], y[rows], modes)
            change, state = optimizer.update(parameters.flat, step.flat, state, len(losses), n_updates)
            parameters.flat += change
            for i, out in enumerate(step.outs):
                parameters.set_buffers(i, out.buffers)
            losses.append(step.loss)
    return np.array(losses), parameters.named()


def central_differences(f: Callable[[Array], float], at: Array, step: float = 1e-6) -> Array:
    """The slope of `f` along each number of `at`: `(f(a + step) - f(a - step)) / (2 step)`.

    >>> central_differences(lambda a: float((a**3).sum()), np.array([1.0, 2.0])).round(6).tolist()
    [3.0, 12.0]
    """
    slopes = np.empty(at.shape)
    for i in np.ndindex(at.shape):
        low, high = at.copy(), at.copy()
        low[i] -= step
        high[i] += step
        slopes[i] = (f(high) - f(low)) / (2 * step)
    return slopes
