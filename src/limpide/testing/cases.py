"""What the suite runs: networks with their rows, optimizers with their options, and how close is close enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from limpide.arrays import Array, Shape, Tree
from limpide.engines.base import Noise, Precision
from limpide.nn.layers import LAYERS, Activation, Dense, Flatten, Layer, Mode, Out, Residual, Weights
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import OPTIMIZERS, Optimizer, make_optimizer
from limpide.nn.schedules import SCHEDULES, Schedule
from limpide.seeds import stream

TOLERANCES: dict[Precision, dict[str, float]] = {
    # 2e-16 of rounding for each operation, and sums of a few hundred terms
    "float64": {"pass": 1e-11, "training": 1e-9, "slopes": 1e-6},
    # 6e-8 of rounding for each operation; thirty updates pass their differences on to one another
    "float32": {"pass": 2e-5, "training": 2e-3},
    # 4e-3 of rounding for each product in bfloat16, and a few layers
    "mixed": {"pass": 5e-2, "training": 1e-1},
}
"""The largest difference allowed, as a share of the largest number of the array (of 0.01 where that is smaller).

pass      one forward and backward pass, however the sums are ordered
training  up to thirty updates
slopes    central differences with a step of 1e-6: the loss is known to 1e-16, so its slope to about 1e-10; the
          third derivative and losses above 1 take the rest
"""


def assert_close(actual: Any, expected: Any, kind: str, precision: Precision = "float64", what: str = "") -> None:
    """AssertionError where two arrays differ by more than `TOLERANCES` allow."""
    expected = np.asarray(expected, np.float64)
    tolerance = TOLERANCES[precision][kind]
    scale = max(0.01, float(np.abs(expected).max(initial=0)))
    assert np.shape(actual) == expected.shape, f"{what}: shape {np.shape(actual)} instead of {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def assert_same_bits(actual: Tree, expected: Tree) -> None:
    """AssertionError where two trees of arrays differ in a name, a type or a bit."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert np.asarray(actual[name]).dtype == np.asarray(array).dtype, name
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


def noise_of(epoch: int) -> Noise:
    """The streams of noise of one epoch: the same at every call."""
    return lambda path: stream(0, "noise", path, epoch)


@dataclass(frozen=True)
class Case:
    """A network under a loss; its weights and rows are drawn from its own name."""

    name: str
    network: Network
    loss: Loss = LOSSES["mse"]

    def __str__(self) -> str:
        return self.name

    @property
    def needs(self) -> set[str]:
        """The catalogue names an engine must have to run it."""
        return _names_in(self.network.layers) | {self.loss.name}

    def weights(self) -> Tree:
        """Weights and buffers of which none is 0 or 1: a forgotten bias or scale would not show there."""
        rng = stream(0, self.name, "weights")
        weights = self.network.initialize(rng)
        for name, array in weights.items():
            weights[name] = array + rng.uniform(0.1, 0.5, array.shape)
        return weights

    def rows(self, n: int = 5, precision: Precision = "float64") -> tuple[Array, Array]:
        """Inputs and targets."""
        rng = stream(0, self.name, "rows")
        x = rng.normal(size=(n, *self.network.input_shape)).astype(precision)
        if self.loss.labels == "classes":
            return x, rng.integers(0, self.network.output_shape[0], n)
        if self.loss.labels == "binary":
            return x, rng.integers(0, 2, (n, 1)).astype(precision)
        return x, rng.normal(size=(n, *self.network.output_shape)).astype(precision)


def _names_in(layers: Iterable[Layer]) -> set[str]:
    """The keywords and activation functions of layers, those within residuals too."""
    names: set[str] = set()
    for layer in layers:
        names.add(layer.keyword)
        if isinstance(layer, Activation):
            names.add(layer.function)
        elif isinstance(layer, Residual):
            names |= _names_in(layer.layers)
    return names


@dataclass(frozen=True)
class Rule:
    """An optimizer with its options."""

    name: str
    optimizer: Optimizer

    def __str__(self) -> str:
        return self.name

    @property
    def needs(self) -> set[str]:
        """The catalogue names an engine must have to run it."""
        return {self.optimizer.name, self.optimizer.schedule.name}


def _layer_case(layer: Layer, shape: Shape) -> Case:
    """The layer in front, where its gradient for the input shows, and a dense layer behind."""
    flat = layer.out_shape(shape, layer.keyword)
    head: tuple[Layer, ...] = (Flatten(), Dense(2)) if len(flat) > 1 else (Dense(2),)
    words = f"{layer.label} {layer.to_words()}" if layer.label != layer.to_words() else layer.label
    return Case(f"{words} on {'x'.join(map(str, shape))}", Network(shape, (layer, *head)))


def _loss_case(loss: Loss) -> Case:
    outputs = {"values": "2", "binary": "1", "classes": "3"}[loss.labels]
    end = {"binary": " sigmoid", "classes": " softmax"}[loss.labels] if loss.expects == "probabilities" else ""
    return Case(loss.name, Network.parse(f"4, 3 tanh, {outputs}{end}"), loss)


def _named(text: str, loss: str) -> Case:
    return Case(text, Network.parse(text), LOSSES[loss])


LAYER_CASES = tuple(_layer_case(layer, shape) for kind in LAYERS.values() for layer, shape in kind.examples)

LOSS_CASES = tuple(_loss_case(loss) for loss in LOSSES.rows())

# A bias right before batch normalisation has no gradient but rounding, which Adam would blow up: hence "no bias".
WHOLE_CASES = (
    _named("5, 1", "mse"),
    _named("3, 6 tanh, 5 relu, 1", "mse"),
    _named("4, 5 gelu, 4 sigmoid, 3 elu, 3", "cross_entropy"),
    _named("6, dropout 0.2, 5 no bias, batchnorm relu, 4, dropout 0.5, 1", "binary_cross_entropy_with_logits"),
    _named(
        "2x6x6, conv 3 3x3 pad 1 no bias, batchnorm relu, maxpool 2, conv 4 2x2 silu, avgpool 2, flatten, "
        "dropout 0.3, 5 prelu, 3",
        "cross_entropy",
    ),
)


def _rules() -> tuple[Rule, ...]:
    """Every optimizer plain, with weight decay and clipped; every schedule; all of it at once."""
    options: dict[str, dict[str, Any]] = {}
    for name in (*OPTIMIZERS, "nesterov"):
        options[name] = {}
        options[f"{name} weight decay"] = {"weight_decay": 0.2}
        options[f"{name} clipped"] = {"clip_norm": 0.1}
    for schedule in SCHEDULES:
        options[f"sgd {schedule}"] = {"schedule": schedule}
    options["adam warm-up"] = {"schedule": Schedule("cosine", warm_up=0.3)}
    options["nesterov everything"] = {"weight_decay": 0.1, "clip_norm": 0.5, "schedule": "one_cycle"}
    return tuple(
        Rule(name, make_optimizer(name.split()[0], **{"rate": 0.02, **given})) for name, given in options.items()
    )


RULES = _rules()


@dataclass(frozen=True)
class Doubled(Layer):
    """A layer of no catalogue, `y = 2 x`: an engine runs it by its own functions, or says that it cannot."""

    keyword: ClassVar[str] = "doubled"

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The shape that came in."""
        return in_shape

    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """`2 x`."""
        return Out(2 * x, {}, w.buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """`2 dy`."""
        return 2 * dy, {}

    def specification(self, in_shape: Shape) -> str:
        """`2 x`."""
        return "2 x"

    @classmethod
    def from_words(cls, words: list[str], where: str) -> Self:
        """`doubled`."""
        return cls()

    def to_words(self) -> str:
        """`doubled`."""
        return "doubled"


@dataclass(frozen=True)
class SignDescent(Optimizer):
    """An optimizer of no catalogue: a step of one size against the sign of each gradient."""

    rate: float = 0.01

    name: ClassVar[str] = "sign_descent"
    formula: ClassVar[str] = "w ← w - α sign g"
    source: ClassVar[str] = "Riedmiller & Braun 1993, without its memory"

    def rule(self, params: Array, grads: Array, state: Tree, rate: float, step: int) -> tuple[Array, Tree]:
        """`-rate sign g`."""
        return ((grads < 0) * 1.0 - (grads > 0) * 1.0) * rate, state


QUARTIC = replace(
    LOSSES["mse"],
    name="quartic",
    formula="mean of the outputs' (ŷ - y)⁴, in no catalogue",
    value=lambda o, y: ((o - y) ** 4).mean(1),
    gradient=lambda o, y: (o - y) ** 3 * (4 / o.size),
)
"""A loss of no catalogue."""

FOREIGN: tuple[tuple[Case, Optimizer], ...] = (
    (Case("foreign layer", Network((3,), (Dense(3), Doubled(), Dense(2)))), make_optimizer("sgd")),
    (Case("foreign loss", Network.parse("3, 4 tanh, 2"), QUARTIC), make_optimizer("sgd")),
    (Case("foreign optimizer", Network.parse("3, 4 tanh, 2")), SignDescent()),
)
"""What stands in no catalogue: a layer, a loss and an optimizer."""
