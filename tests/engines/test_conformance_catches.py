"""Engines whose mathematics is wrong on purpose: the suite must catch each, by the test that is there for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest import SkipTest

import numpy as np
import pytest

from limpide.engines.base import ENGINES
from limpide.engines.numpy_engine import NumpyEngine
from limpide.errors import MissingPackage, UnknownName, Unsupported
from limpide.nn.layers import Layer, Out, Weights
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import Optimizer
from limpide.testing import TESTS, EngineConformance, failures

# Engines that differ from the sane one in the network, the loss or the optimizer they really run.


@dataclass(frozen=True)
class Bent(Layer):
    """A layer whose forward or backward is not its own."""

    inner: Layer
    wrong_forward: Callable | None = None
    wrong_backward: Callable | None = None

    @property
    def keyword(self):
        return self.inner.keyword

    @property
    def random(self):
        return self.inner.random

    def out_shape(self, in_shape, where):
        return self.inner.out_shape(in_shape, where)

    def init(self, in_shape, rng):
        return self.inner.init(in_shape, rng)

    def forward(self, w, x, mode):
        return (self.wrong_forward or type(self.inner).forward)(self.inner, w, x, mode)

    def backward(self, w, cache, dy, need_dx=True):
        return (self.wrong_backward or type(self.inner).backward)(self.inner, w, cache, dy, need_dx)

    def count(self, in_shape, factors):
        return self.inner.count(in_shape, factors)

    def specification(self, in_shape):
        return self.inner.specification(in_shape)

    @classmethod
    def from_words(cls, words, where):
        raise NotImplementedError

    def to_words(self):
        return self.inner.to_words()


@dataclass(frozen=True)
class Wrong(NumpyEngine):
    """The NumPy engine on changed layers, losses or optimizers."""

    bend: Callable[[Layer], Layer] = lambda layer: layer
    loss: Callable[[Loss], Loss] = lambda loss: loss
    optimizer: Callable[[Optimizer], Optimizer] = lambda optimizer: optimizer

    def network(self, network):
        return Network(network.input_shape, tuple(self.bend(layer) for layer in network.layers))

    def forward(self, network, weights, x):
        return super().forward(self.network(network), weights, x)

    def loss_and_gradients(self, network, loss, weights, x, y, noise=None):
        return super().loss_and_gradients(self.network(network), self.loss(loss), weights, x, y, noise)

    def trainer(self, network, loss, optimizer, weights, n_updates=0, precision="float32"):
        given = self.network(network), self.loss(loss), self.optimizer(optimizer)
        return super().trainer(*given, weights, n_updates, precision)


def backward_of(label: str, wrong: Callable) -> Wrong:
    """`wrong(layer, w, cache, dy, dx, grads)` gives what backward returns, from what is right."""

    def wrong_backward(layer, w, cache, dy, need_dx):
        return wrong(layer, w, cache, dy, *type(layer).backward(layer, w, cache, dy, True))

    return Wrong(bend=lambda layer: Bent(layer, wrong_backward=wrong_backward) if layer.label == label else layer)


def forward_of(label: str, wrong: Callable) -> Wrong:
    """`wrong(layer, w, x, mode, out)` gives what forward returns, from what is right."""

    def wrong_forward(layer, w, x, mode):
        return wrong(layer, w, x, mode, type(layer).forward(layer, w, x, mode))

    return Wrong(bend=lambda layer: Bent(layer, wrong_forward=wrong_forward) if layer.label == label else layer)


def without_option(**options) -> Wrong:
    """The optimizer with some of its options put back to nothing."""

    def forgetful(optimizer):
        fields = type(optimizer).__dataclass_fields__
        return replace(optimizer, **{name: value for name, value in options.items() if name in fields})

    return Wrong(optimizer=forgetful)


def to_every_cell(layer, w, cache, dy, dx, grads):
    out = np.zeros_like(dx)
    for cell in layer._window.cells(*dy.shape[2:]):
        out[:, :, *cell] += dy
    return out, grads


def unscaled(layer, w, x, mode, out):
    return out._replace(y=np.where(out.cache["mask"] > 0, x, 0)) if "mask" in out.cache else out


def biased_variance(layer, w, x, mode, out):
    if not mode.training:
        return out
    n = x.size // x.shape[1]
    step = out.buffers["variance"] - (1 - layer.momentum) * w.buffers["variance"]
    return out._replace(buffers={**out.buffers, "variance": out.buffers["variance"] - step / n})


def batch_statistics(layer, w, x, mode, out):
    """Evaluation by the statistics of the batch."""
    return out if mode.training else out._replace(y=layer.forward(w, x, mode._replace(training=True)).y)


def swallowing(layer, w, x, mode, out):
    return Out(np.where(x > 0, x, 0), out.cache, out.buffers)


def swallowing_pool(layer, w, x, mode, out):
    return out._replace(y=type(layer).forward(layer, w, np.nan_to_num(x, nan=-9.0), mode).y)


def through_the_transpose(layer, w, cache, dy, dx, grads):
    W = w.params["W"]
    return dy @ W.reshape(W.shape[::-1]), grads


def uncorrected_adam(optimizer):
    """As if the first update came after a million others: both corrections are 1."""

    class Uncorrected(type(optimizer)):
        def rule(self, params, grads, state, rate, step):
            return super().rule(params, grads, state, rate, 10**6)

    if optimizer.name != "adam":
        return optimizer
    return Uncorrected(**vars(optimizer))


class HasNoConvolution(NumpyEngine):
    def forward(self, network, weights, x):
        self.check(network)
        return super().forward(network, weights, x)

    def loss_and_gradients(self, network, loss, weights, x, y, noise=None):
        self.check(network)
        return super().loss_and_gradients(network, loss, weights, x, y, noise)

    def trainer(self, network, loss, optimizer, weights, n_updates=0, precision="float32"):
        self.check(network)
        return super().trainer(network, loss, optimizer, weights, n_updates, precision)

    def check(self, network):
        if "conv" in str(network):  # those inside residuals too
            raise Unsupported("layer conv: this engine has none")


SLOPES = "test_the_gradients_are_the_slopes_of_the_loss"
INPUT = "test_the_gradient_for_the_input_is_the_slope_of_the_loss"
RULES = "test_thirty_updates_are_the_reference_s"
TRAINING = "test_training_is_the_reference_s"
OUTPUTS = "test_the_outputs_are_the_reference_s"
NAN = "test_nan_is_never_swallowed"

BUGS = {
    "wrong derivative of relu": (
        backward_of("relu", lambda layer, w, cache, dy, dx, grads: (dy * (cache["z"] > -0.5), grads)),
        INPUT,
        "relu",
    ),
    "softmax by the diagonal of its Jacobian": (
        backward_of("softmax", lambda layer, w, cache, dy, dx, grads: (dy * cache["y"] * (1 - cache["y"]), grads)),
        INPUT,
        "softmax",
    ),
    "gradient of the bias forgotten": (
        backward_of(
            "dense", lambda layer, w, cache, dy, dx, grads: (dx, {k: g * (k != "b") for k, g in grads.items()})
        ),
        SLOPES,
        "dense",
    ),
    "gradient through the transposed weights": (
        backward_of("dense", through_the_transpose),
        INPUT,
        "dense",
    ),
    "1/batch divided out a second time": (
        backward_of("dense", lambda layer, w, cache, dy, dx, grads: (dx, {k: g / len(dy) for k, g in grads.items()})),
        SLOPES,
        "dense",
    ),
    "1/batch missing in the loss": (
        Wrong(loss=lambda loss: replace(loss, gradient=lambda o, y: loss.gradient(o, y) * len(o))),
        SLOPES,
        "mse",
    ),
    "loss of the batch added up": (
        Wrong(loss=lambda loss: replace(loss, value=lambda o, y: loss.value(o, y) * len(o))),
        SLOPES,
        "mse",
    ),
    "slope of prelu never learned": (
        backward_of("prelu", lambda layer, w, cache, dy, dx, grads: (dx, {k: g * 0 for k, g in grads.items()})),
        SLOPES,
        "prelu",
    ),
    "gradient of maxpool to every cell": (backward_of("maxpool", to_every_cell), INPUT, "maxpool"),
    "gradient of avgpool not shared out": (
        backward_of("avgpool", lambda layer, w, cache, dy, dx, grads: (dx * 4, grads)),
        INPUT,
        "avgpool",
    ),
    "gradient of globalavgpool not shared out": (
        backward_of("globalavgpool", lambda layer, w, cache, dy, dx, grads: (dx * 9, grads)),
        INPUT,
        "globalavgpool",
    ),
    "gradient only around the layers of a residual": (
        backward_of("residual", lambda layer, w, cache, dy, dx, grads: (dy, grads)),
        INPUT,
        "residual",
    ),
    "gradient only through the layers of a residual": (
        backward_of("residual", lambda layer, w, cache, dy, dx, grads: (dx - dy, grads)),
        INPUT,
        "residual",
    ),
    "groups of a convolution taken in the wrong order": (
        forward_of(
            "conv", lambda layer, w, x, mode, out: layer.forward(w, x[:, ::-1] if layer.groups > 1 else x, mode)
        ),
        OUTPUTS,
        "groups",
    ),
    "kernel of the convolution turned round": (
        forward_of(
            "conv",
            lambda layer, w, x, mode, out: layer.forward(
                Weights({**w.params, "K": w.params["K"][..., ::-1, ::-1]}, {}), x, mode
            ),
        ),
        OUTPUTS,
        "conv",
    ),
    "batch norm as if mean and variance were constants": (
        backward_of(
            "batchnorm",
            lambda layer, w, cache, dy, dx, grads: (
                (dy.T * (w.params["gamma"] * cache["inverse"]).reshape(-1, *[1] * (dy.ndim - 1))).T
                if dy.ndim == 2
                else dy * (w.params["gamma"] * cache["inverse"])[:, None, None],
                grads,
            ),
        ),
        INPUT,
        "batchnorm",
    ),
    "running variance of batch norm biased": (forward_of("batchnorm", biased_variance), TRAINING, "batchnorm"),
    "batch norm by the batch in evaluation": (forward_of("batchnorm", batch_statistics), OUTPUTS, "batchnorm"),
    "dropout not rescaled": (forward_of("dropout", unscaled), SLOPES, "dropout"),
    "NaN swallowed by relu": (forward_of("relu", swallowing), NAN, "relu"),
    "NaN swallowed by maxpool": (forward_of("maxpool", swallowing_pool), NAN, "maxpool"),
    "Adam without bias correction": (Wrong(optimizer=uncorrected_adam), RULES, "adam"),
    "Nesterov taken for momentum": (without_option(nesterov=False), RULES, "nesterov"),
    "weight decay ignored": (without_option(weight_decay=0.0), RULES, "weight decay"),
    "clipping ignored": (without_option(clip_norm=None), RULES, "clipped"),
    "schedule ignored": (
        Wrong(optimizer=lambda optimizer: replace(optimizer, schedule=type(optimizer.schedule)())),
        RULES,
        "cosine",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_suite_catches(bug):
    engine, name, where = BUGS[bug]
    assert any(where in what for what in failures(engine, name))


@pytest.mark.parametrize("name", TESTS)
def test_the_sane_engine_passes_without_pytest_too(name):
    assert list(failures(NumpyEngine(), name)) == []


def test_an_engine_is_not_asked_for_what_it_lacks():
    for name in (OUTPUTS, TRAINING, "test_what_the_engine_lacks_is_refused"):
        assert list(failures(HasNoConvolution(), name, lacks={"conv"})) == []


def test_a_layer_that_the_engine_lacks_in_silence_is_named():
    with pytest.raises(Unsupported, match="conv"):
        list(failures(HasNoConvolution(), OUTPUTS))


def test_what_the_engine_lacks_must_be_refused():
    assert list(failures(NumpyEngine(), "test_what_the_engine_lacks_is_refused", lacks={"conv"})) == [""]


def test_an_engine_that_is_not_installed_is_skipped_unless_it_is_required(monkeypatch):
    class TestElsewhere(EngineConformance):
        engine = "elsewhere"

    def missing(name):
        raise MissingPackage("it is not installed")

    monkeypatch.setattr("limpide.testing.conformance.get_engine", missing)
    monkeypatch.setitem(ENGINES, "elsewhere", "limpide.engines.elsewhere:Engine")
    monkeypatch.setenv("LIMPIDE_REQUIRE_ENGINES", "numpy")
    with pytest.raises(SkipTest, match="the engine elsewhere is not installed"):
        TestElsewhere().open()
    monkeypatch.setenv("LIMPIDE_REQUIRE_ENGINES", "numpy, elsewhere")
    with pytest.raises(AssertionError, match="the engine elsewhere is required here"):
        TestElsewhere().open()


def test_an_engine_of_no_catalogue_is_no_skip():
    class TestNowhere(EngineConformance):
        engine = "nowhere"

    with pytest.raises(UnknownName):
        TestNowhere().open()
