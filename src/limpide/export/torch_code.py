"""A network as PyTorch: its own layers, the trained weights, and the loop that would train it anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limpide.errors import Unsupported, problem
from limpide.export.program import NetworkCode
from limpide.export.training_code import rate_code
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
from limpide.nn.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp
from limpide.recipe import Recipe
from limpide.runs import Run

ACTIVATIONS: dict[str, str] = {
    "identity": "nn.Identity()",
    "step": "Step()",
    "sigmoid": "nn.Sigmoid()",
    "tanh": "nn.Tanh()",
    "relu": "nn.ReLU()",
    "leaky_relu": "nn.LeakyReLU({slope})",
    "prelu": "nn.PReLU(init={slope})",
    "elu": "nn.ELU({slope})",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
    "softplus": "nn.Softplus(threshold=40)",
    "softmax": "nn.Softmax(dim=-1)",
}
"""Each activation as a module."""

LOSSES: dict[str, str] = {
    "mse": "nn.functional.mse_loss(outputs, targets)",
    "half_mse": "nn.functional.mse_loss(outputs, targets) / 2",
    "mae": "nn.functional.l1_loss(outputs, targets)",
    "huber": "nn.functional.huber_loss(outputs, targets)",
    "binary_cross_entropy_with_logits": "nn.functional.binary_cross_entropy_with_logits(outputs, targets)",
    "binary_cross_entropy": "nn.functional.binary_cross_entropy(outputs, targets)",
    "cross_entropy": "nn.functional.cross_entropy(outputs, targets)",
    "categorical_cross_entropy": "nn.functional.nll_loss(outputs.log().clamp(min=-100), targets)",
}
"""Each loss of `outputs` and `targets`."""

MODULES: dict[str, str] = {
    "Step": '''
class Step(nn.Module):
    """1 above zero, else 0."""

    def forward(self, x):
        return (x > 0).to(x.dtype)
''',
    "GlobalAvgPool": '''
class GlobalAvgPool(nn.Module):
    """The mean of each channel."""

    def forward(self, x):
        return x.mean(dim=(2, 3))
''',
    "Residual": '''
class Residual(nn.Module):
    """What goes in, plus what its layers make of it."""

    def __init__(self, *layers):
        super().__init__()
        self.inside = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.inside(x)
''',
}
"""Modules that PyTorch lacks, written out where a network has them."""


def write_network(run: Run) -> NetworkCode:
    """The network as a module, with its trained weights and its training."""
    layers = list(_modules(run.network.layers, run.network.shapes, 8))
    code = "\n".join(layers)
    # PyTorch counts the batches of a batch norm; nothing depends on that count
    counts = ", strict=False" if "BatchNorm" in code else ""
    own = [
        line for name, text in MODULES.items() if f"{name}(" in code for line in [*text.strip().splitlines(), "", ""]
    ]
    body = [
        *own,
        "def build():",
        '    """The network, its weights as PyTorch draws them."""',
        "    return nn.Sequential(",
        *layers,
        "    )",
        "",
        "",
        "def trained():",
        '    """The network with the weights that limpide found; PyTorch keeps a dense matrix as (units, features)."""',
        "    network = build()",
        "    weights = {",
        *_weights(run.network.layers, "", ""),
        "    }",
        "    tensors = {name: torch.from_numpy(values.copy()) for name, values in weights.items()}",
        f"    network.load_state_dict(tensors{counts})",
        "    return network.eval()",
        "",
        "",
        "def forward(x):",
        '    """The outputs of the trained network for prepared inputs."""',
        "    with torch.no_grad():",
        "        return trained()(torch.from_numpy(x)).numpy()",
    ]
    return NetworkCode(["import torch", "from torch import nn"], body, list(_training(run.recipe)))


def _modules(layers: Sequence[Layer], shapes: Sequence[tuple[int, ...]], indent: int) -> Iterator[str]:
    for layer, shape in zip(layers, shapes):
        for line in _module(layer, shape):
            yield " " * indent + line


def _module(layer: Layer, shape: tuple[int, ...]) -> Iterator[str]:
    """The module of a layer whose inputs have this shape."""
    match layer:
        case Dense():
            yield f"nn.Linear({shape[0]}, {layer.units}{'' if layer.bias else ', bias=False'}),"
        case Activation():
            yield f"{ACTIVATIONS[layer.function].format(slope=repr(layer.start_slope))},"
        case Dropout():
            yield f"nn.Dropout({layer.rate!r}),"
        case BatchNorm():
            kind = "BatchNorm1d" if len(shape) == 1 else "BatchNorm2d"
            yield f"nn.{kind}({shape[0]}, eps={layer.epsilon!r}, momentum={layer.momentum!r}),"
        case Flatten():
            yield "nn.Flatten(),"
        case Conv2d():
            options = {"stride": (layer.stride, 1), "padding": (layer.padding, 0), "groups": (layer.groups, 1)}
            said = "".join(f", {name}={value}" for name, (value, usual) in options.items() if value != usual)
            said += "" if layer.bias else ", bias=False"
            yield f"nn.Conv2d({shape[0]}, {layer.channels}, {layer.kernel}{said}),"
        case MaxPool2d():
            yield f"nn.MaxPool2d({layer.size}, {layer.stride}),"
        case AvgPool2d():
            yield f"nn.AvgPool2d({layer.size}, {layer.stride}),"
        case GlobalAvgPool():
            yield "GlobalAvgPool(),"
        case Residual():
            inner = [shape]
            for inside in layer.layers:
                inner.append(inside.out_shape(inner[-1], inside.keyword))
            yield "Residual("
            yield from _modules(layer.layers, inner, 4)
            yield "),"
        case _:
            raise Unsupported(problem(layer.keyword, _("a layer that PyTorch has"), _("none")))


_NAMES: dict[str, dict[str, tuple[str, str]]] = {
    "dense": {"W": ("weight", ".T"), "b": ("bias", "")},
    "conv": {"K": ("weight", ""), "b": ("bias", "")},
    "activation": {"a": ("weight", "")},
    "batchnorm": {
        "gamma": ("weight", ""),
        "beta": ("bias", ""),
        "mean": ("running_mean", ""),
        "variance": ("running_var", ""),
    },
}
"""By layer and letter: PyTorch's name, and what turns our array into its."""


def _weights(layers: Sequence[Layer], ours: str, theirs: str) -> Iterator[str]:
    for i, layer in enumerate(layers):
        path = f"{ours}{i}.{layer.keyword}"
        if isinstance(layer, Residual):
            yield from _weights(layer.layers, f"{path}.", f"{theirs}{i}.inside.")
        letters = dict(_NAMES.get(layer.keyword, {}))
        if not getattr(layer, "bias", True):
            letters.pop("b", None)
        if isinstance(layer, Activation) and not layer.row.learned:
            letters = {}
        for letter, (name, turned) in letters.items():
            yield f'        "{theirs}{i}.{name}": WEIGHTS["{path}.{letter}"]{turned},'


def _training(recipe: Recipe) -> Iterator[str]:
    training, optimizer = recipe.training, recipe.optimizer.build()
    assert training.loss is not None
    rates = list(rate_code(optimizer.schedule))
    yield from rates
    yield f"def train(x, y, epochs={training.epochs}, batch_size={training.batch_size}, seed={recipe.seed}):"
    yield '    """A new network of the same shape, trained in the same way; PyTorch draws its own numbers."""'
    yield "    torch.manual_seed(seed)"
    yield "    network, rows = build(), torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))"
    yield "    batches = torch.utils.data.DataLoader(rows, batch_size=batch_size, shuffle=True)"
    yield f"    optimizer = torch.optim.{_optimizer(optimizer)}"
    if rates:
        yield "    updates, update = epochs * len(batches), 0"
    yield "    network.train()"
    yield "    for epoch in range(1, epochs + 1):"
    yield "        total = 0.0"
    yield "        for inputs, targets in batches:"
    if rates:
        yield "            for group in optimizer.param_groups:"
        yield f'                group["lr"] = rate_at({optimizer.rate!r}, update, updates)'
        yield "            update += 1"
    yield "            outputs = network(inputs)"
    yield f"            loss = {LOSSES[training.loss]}"
    yield "            optimizer.zero_grad()"
    yield "            loss.backward()"
    if optimizer.clip_norm is not None:
        yield f"            nn.utils.clip_grad_norm_(network.parameters(), {optimizer.clip_norm!r})"
    yield "            optimizer.step()"
    yield "            total += loss.item() * len(inputs)  # the last batch may be smaller"
    yield '        print(f"epoch {epoch}: loss {total / len(rows):.4f}, measured while the weights moved")'
    yield "    return network.eval()"


def _optimizer(optimizer: Optimizer) -> str:
    rate, decay = f"network.parameters(), lr={optimizer.rate!r}", f", weight_decay={optimizer.weight_decay!r}"
    tail = decay if optimizer.weight_decay or isinstance(optimizer, AdamW) else ""
    match optimizer:
        case SGD():
            return f"SGD({rate}{tail})"
        case Momentum():
            ahead = ", nesterov=True" if optimizer.nesterov else ""
            return f"SGD({rate}, momentum={optimizer.momentum!r}{ahead}{tail})"
        case RMSProp():
            return f"RMSprop({rate}, alpha={optimizer.decay!r}, eps={optimizer.epsilon!r}{tail})"
        case Adam() | AdamW():
            betas = f"betas=({optimizer.beta1!r}, {optimizer.beta2!r}), eps={optimizer.epsilon!r}"
            return f"{type(optimizer).__name__}({rate}, {betas}{tail})"
        case _:
            raise Unsupported(problem(optimizer.name, _("an optimizer that PyTorch has"), _("none")))
