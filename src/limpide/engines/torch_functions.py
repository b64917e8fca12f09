"""What `nn/` describes, in PyTorch's own functions: one for each layer, activation, loss and optimizer.

Gradients are PyTorch's; only where its functions differ from the formulas of `nn/` (a probability of 0, a batch of one
row) are they put together differently. A name that has no row here is refused as `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, the name it has everywhere

from limpide.arrays import Array
from limpide.engines.torch_group import SharedMode, shared_batch_norm, uniform
from limpide.engines.torch_updates import UPDATES
from limpide.errors import Unsupported, problem
from limpide.i18n import _
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
    Mode,
    Residual,
    Weights,
)
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import Optimizer

Pass = Mode | SharedMode

ACTIVATIONS: dict[str, Callable[[Tensor, Array], Tensor]] = {
    "identity": lambda z, slope: z,
    # heaviside has no gradient to follow; these two have one, of zero, and let NaN through
    "step": lambda z, slope: torch.ceil(torch.clamp(z, 0, 1)),
    "sigmoid": lambda z, slope: torch.sigmoid(z),
    "tanh": lambda z, slope: torch.tanh(z),
    "relu": lambda z, slope: torch.relu(z),
    "leaky_relu": lambda z, slope: F.leaky_relu(z, slope),
    "prelu": lambda z, slope: F.prelu(z, slope),
    "elu": lambda z, slope: F.elu(z, slope),
    "gelu": lambda z, slope: F.gelu(z),
    "silu": lambda z, slope: F.silu(z),
    # beyond PyTorch's own threshold of 20 the line is off by 2e-9, beyond 40 by less than float64 can say
    "softplus": lambda z, slope: F.softplus(z, threshold=40),
    "softmax": lambda z, slope: torch.softmax(z, -1),
}
"""(z, slope) -> y."""


def _activation(layer: Activation, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    return ACTIVATIONS[layer.function](x, w.params.get("a", layer.start_slope))


def _dense(layer: Dense, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    return torch.addmm(w.params["b"], x, w.params["W"]) if layer.bias else x @ w.params["W"]


def _dropout(layer: Dropout, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    if not mode.training or layer.rate == 0:
        return x
    kept = torch.from_numpy(uniform(mode, x.shape) >= layer.rate)
    return x * (kept.to(x.device, x.dtype) * (1 / (1 - layer.rate)))


def _batch_norm(layer: BatchNorm, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    if isinstance(mode, SharedMode):
        return shared_batch_norm(layer, w, x, mode)
    gamma, beta, mean, variance = w.params["gamma"], w.params["beta"], w.buffers["mean"], w.buffers["variance"]
    if mode.training and x.numel() == x.shape[1]:
        # one number for each feature: PyTorch would divide its variance, 0, by n - 1, also 0
        mean.lerp_(x.detach().reshape(-1), layer.momentum)
        variance.mul_(1 - layer.momentum)
        mean, variance = None, None
    # not F.batch_norm, which refuses that batch
    return torch.batch_norm(x, gamma, beta, mean, variance, mode.training, layer.momentum, layer.epsilon, True)


def _conv(layer: Conv2d, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    return F.conv2d(x, w.params["K"], w.params.get("b"), layer.stride, layer.padding, groups=layer.groups)


def _residual(layer: Residual, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    y = x
    for path, inside in zip(layer.paths, layer.layers, strict=True):
        y = run_layer(inside, layer.weights_of(path, w), y, mode)
    return x + y


LAYERS: dict[type[Layer], Callable[[Any, Weights, Tensor, Pass], Tensor]] = {
    Dense: _dense,
    Activation: _activation,
    Dropout: _dropout,
    BatchNorm: _batch_norm,
    Flatten: lambda layer, w, x, mode: x.flatten(1),
    Conv2d: _conv,
    MaxPool2d: lambda layer, w, x, mode: F.max_pool2d(x, layer.size, layer.stride),
    AvgPool2d: lambda layer, w, x, mode: F.avg_pool2d(x, layer.size, layer.stride),
    GlobalAvgPool: lambda layer, w, x, mode: x.mean((2, 3)),
    Residual: _residual,
}
"""(layer, weights, x, mode) -> y; running statistics are moved in place."""


def run_layer(layer: Layer, w: Weights, x: Tensor, mode: Pass) -> Tensor:
    """The output of one layer for a batch; in training its running statistics are moved in place."""
    return LAYERS[type(layer)](layer, w, x, mode)


class _Log(torch.autograd.Function):
    """ln p of a probability with the two bounds of `nn/losses.py`: the value's at -100, the slope's at 1/1e-12."""

    @staticmethod
    def forward(ctx: Any, p: Tensor) -> Tensor:
        ctx.save_for_backward(p)
        return p.log().clamp_min(-100)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        p: Tensor = ctx.saved_tensors[0]
        return grads[0] / p.clamp_min(1e-12)


def _log(p: Tensor) -> Tensor:
    logarithm: Tensor = _Log.apply(p)  # type: ignore[no-untyped-call]
    return logarithm


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "half_mse": lambda o, y: 0.5 * F.mse_loss(o, y),
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    # not F.binary_cross_entropy, which stops at a NaN instead of passing it on
    "binary_cross_entropy": lambda p, y: -(y * _log(p) + (1 - y) * _log(1 - p)).mean(),
    "cross_entropy": F.cross_entropy,
    "categorical_cross_entropy": lambda p, y: -_log(p.gather(1, y[:, None])).mean(),
}
"""(output, target) -> the loss of the batch."""


def check_supported(network: Network, loss: Loss | None = None, optimizer: Optimizer | None = None) -> None:
    """Unsupported, with every layer, loss and optimizer that has no row here."""
    lacking = [_("layer {path}").format(path=path) for path in _unknown(network.layers)]
    if loss is not None and loss.name not in LOSSES:
        lacking.append(_("loss {name}").format(name=loss.name))
    if optimizer is not None and type(optimizer) not in UPDATES:
        lacking.append(_("optimizer {name}").format(name=optimizer.name))
    if lacking:
        expected = _("one that the engine {name} has").format(name="torch")
        raise Unsupported(*(problem(what, expected, _("another"), _("take the engine numpy")) for what in lacking))


def _unknown(layers: tuple[Layer, ...], above: str = "") -> list[str]:
    """The path of each layer, also within residuals, that has no row."""
    paths = []
    for i, layer in enumerate(layers):
        path = f"{above}{i}.{layer.keyword}"
        known = type(layer) in LAYERS and (not isinstance(layer, Activation) or layer.function in ACTIVATIONS)
        paths += [] if known else [path]
        paths += _unknown(layer.layers, f"{path}.") if isinstance(layer, Residual) else []
    return paths
