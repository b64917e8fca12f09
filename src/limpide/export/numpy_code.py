"""A network as NumPy: one line for each layer, and the few functions that its layers need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limpide.errors import Unsupported, problem
from limpide.export.program import NetworkCode
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
    Residual,
)
from limpide.runs import Run

ACTIVATIONS: dict[str, str] = {
    "identity": "x",
    "step": "np.heaviside(x, 0)",
    "sigmoid": "sigmoid(x)",
    "tanh": "np.tanh(x)",
    "relu": "np.maximum(x, 0)",
    "leaky_relu": "np.where(x > 0, x, {slope} * x)",
    "prelu": "np.where(x > 0, x, {slope} * x)",
    "elu": "np.where(x > 0, x, {slope} * np.expm1(np.minimum(x, 0)))",
    "gelu": "x * normal_cdf(x)",
    "silu": "x * sigmoid(x)",
    "softplus": "np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))",
    "softmax": "softmax(x)",
}
"""What each activation makes of `x`."""

FUNCTIONS: dict[str, str] = {
    "sigmoid": '''
def sigmoid(z):
    """1 / (1 + e^-z), written so that it cannot overflow."""
    return np.exp(-np.logaddexp(0, -z))
''',
    "softmax": '''
def softmax(z):
    """e^z_j / sum e^z_k, the largest taken off first."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
''',
    "normal_cdf": '''
def normal_cdf(z):
    """The probability that a standard normal draw is below z."""
    return np.vectorize(lambda value: 0.5 * math.erfc(-value / math.sqrt(2)))(z)
''',
    "windows": '''
def windows(x, size, stride):
    """Every window of an image: (n, channels, rows, columns, window rows, window columns)."""
    views = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))
    return views[:, :, :: stride[0], :: stride[1]]
''',
    "convolve": '''
def convolve(x, K, stride, padding, groups):
    """The sum of each window times the kernel, K of shape (channels out, channels in / groups, rows, columns)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    parts = zip(np.split(x, groups, axis=1), np.split(K, groups))
    sums = [np.einsum("ncijuv,kcuv->nkij", windows(part, K.shape[2:], (stride, stride)), k) for part, k in parts]
    return np.concatenate(sums, axis=1)
''',
}
"""Functions that some layers need, by name, in the order they are defined."""


def write_network(run: Run) -> NetworkCode:
    """`forward(x)` for NumPy. It does not train: that is what limpide is for."""
    lines = list(_layers(run.network.layers, ""))
    code = "\n".join(lines)
    needed: list[str] = []
    for name in reversed(FUNCTIONS):
        if f"{name}(" in code or any(f"{name}(" in FUNCTIONS[other] for other in needed):
            needed.insert(0, name)
    body = [line for name in needed for line in [*FUNCTIONS[name].strip().splitlines(), "", ""]]
    body += ["def forward(x):", '    """The outputs of the network for prepared inputs."""']
    return NetworkCode(["import math"] if "normal_cdf" in needed else [], [*body, *lines, "    return x"], [])


def _layers(layers: Sequence[Layer], prefix: str) -> Iterator[str]:
    for i, layer in enumerate(layers):
        path = f"{prefix}{i}.{layer.keyword}"
        yield from (f"    {line}" for line in _layer(layer, path))


def _layer(layer: Layer, path: str) -> Iterator[str]:
    def weight(letter: str, shape: str = "") -> str:
        return f'WEIGHTS["{path}.{letter}"]{shape}'

    def bias(shape: str = "") -> str:
        return f" + {weight('b', shape)}" if getattr(layer, "bias", False) else ""

    match layer:
        case Dense():
            yield f"x = x @ {weight('W')}{bias()}"
        case Activation():
            slope = weight("a") if layer.row.learned else repr(layer.start_slope)
            yield f"x = {ACTIVATIONS[layer.function].format(slope=slope)}"
        case Dropout():
            yield "# dropout is at rest outside training"
        case BatchNorm():
            yield f"mean, variance = {weight('mean')}, {weight('variance')}"
            yield f"scale = {weight('gamma')} / np.sqrt(variance + {layer.epsilon!r})"
            yield f"shift = {weight('beta')} - mean * scale"
            yield "axes = (1, -1) + (1,) * (x.ndim - 2)"
            yield "x = x * scale.reshape(axes) + shift.reshape(axes)"
        case Flatten():
            yield "x = x.reshape(len(x), -1)"
        case Conv2d():
            added = bias("[:, None, None]")
            yield f"x = convolve(x, {weight('K')}, {layer.stride}, {layer.padding}, {layer.groups}){added}"
        case MaxPool2d():
            yield f"x = windows(x, {layer.size}, {layer.stride}).max(axis=(4, 5))"
        case AvgPool2d():
            yield f"x = windows(x, {layer.size}, {layer.stride}).mean(axis=(4, 5))"
        case GlobalAvgPool():
            yield "x = x.mean(axis=(2, 3))"
        case Residual():
            kept = f"around_{path.replace('.', '_')}"
            yield f"{kept} = x"
            yield from (line.removeprefix("    ") for line in _layers(layer.layers, f"{path}."))
            yield f"x = {kept} + x"
        case _:
            raise Unsupported(problem(path, _("a layer that a program can have"), layer.keyword))
