"""The claims on steps, rules and biases, recomputed."""

from __future__ import annotations

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.nn.losses import LOSSES

STORY = names_of(__file__, "gate", "rule", "intercept")


@checks("nn11-step-trained-by-backprop")
def step() -> Finding:
    """The largest gradient of a step unit over a thousand points with random answers."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 3)), rng.integers(0, 2, (1000, 1)).astype(float)
    network = lp.Network.parse("3, 4 step, 1 step")
    weights = network.initialize(rng)
    loss, gradients = get_engine("numpy").loss_and_gradients(network, LOSSES["mse"], weights, x, y)
    largest = max(float(np.abs(gradient).max()) for gradient in gradients.values())
    text = _("loss {loss}, largest gradient {largest}: nothing says which way to go")
    return judge(largest > 0, text.format(loss=f"{loss:.3f}", largest=f"{largest:g}"))


@checks("bias-varies-output-for-same-input")
def same_input() -> Finding:
    """A unit with a fixed bias, asked a thousand times."""
    network = lp.Network.parse("2, 1 sigmoid")
    weights = {"0.dense.W": np.array([[0.5], [-1.0]]), "0.dense.b": np.array([0.7])}
    outputs = {get_engine("numpy").forward(network, weights, np.array([[1.0, 2.0]])).item() for _time in range(1000)}
    text = _("the same input 1,000 times: {n} output, {value}")
    return judge(len(outputs) > 1, text.format(n=len(outputs), value=f"{outputs.pop():.4f}"))


@checks("bias-needed-for-shifted-clouds")
def clouds() -> Finding:
    """The perceptron rule on centred and on shifted clouds, without and with a bias."""
    found = []
    for shifted in ("no", "yes"):
        data = lp.open_source(f"clouds?samples=100&shifted={shifted}")
        x, y = data.inputs.to_numpy(), data.target.to_numpy().astype(int)
        for bias in (False, True):
            w, b, _corrections = STORY.perceptron(x, y, 200, bias)
            found.append(float(np.mean((x @ w + b > 0) == y)))
    close = np.allclose(found, [1, 1, 0.5, 1], atol=0.02)
    text = _("centred {a} and {b}, shifted {c} without and {d} with bias")
    return judge(close, text.format(**dict(zip("abcd", (f"{share:.3f}" for share in found)))))


@checks("cnn-bias-omitted-because-centred")
def normalised() -> Finding:
    """Batch normalisation takes off the mean of its batch, and any bias with it, whatever the inputs' mean."""
    rng = np.random.default_rng(0)
    x, W = rng.normal(5, 1, (64, 4)), rng.normal(size=(4, 3))
    outputs = []
    for bias in (0.0, 7.0):
        z = x @ W + bias
        outputs.append((z - z.mean(axis=0)) / z.std(axis=0))
    gap = float(np.abs(outputs[0] - outputs[1]).max())
    text = _("inputs of mean 5, not centred; behind a batch normalisation a bias of 7 changes the output by {gap}")
    return argue("wrong", text.format(gap=f"{gap:.0e}"))


@checks("calc-linear-is-a-perceptron")
def layer() -> Finding:
    """The units of the calculator's dense layers."""
    network = lp.Network.parse("2, 40 relu, 1")
    units = [row.output[0] for row in network.table() if row.type == "dense"]
    return judge(set(units) == {1}, _("units of its two layers: {units}").format(units=", ".join(map(str, units))))


@checks("gd1-needs-more-perceptrons")
def intercept() -> Finding:
    """The cost with eight hidden units and no bias, and that of one unit with a bias."""
    linear, bent, biased = (
        STORY.lowest_cost(text) for text in ("1, 8 no bias, 1 no bias", "1, 8 no bias relu, 1 no bias", "1, 1")
    )
    text = _("eight units without bias: {linear}, with ReLU {bent}; one unit with a bias: {biased}")
    evidence = text.format(linear=f"{linear:.6f}", bent=f"{bent:.6f}", biased=f"{biased:.6f}")
    return judge(min(linear, bent) < 1 / 6 - 1e-5, evidence)
