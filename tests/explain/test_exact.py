"""The arithmetic shown is the arithmetic done: random networks, and the numbers of an engine that was not asked."""

import math
import os
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limpide.engines.base import get_engine
from limpide.errors import ShapeError
from limpide.explaining import OpenedStep, number_at, prove
from limpide.explaining.arithmetic import FUNCTIONS
from limpide.explaining.chain import as_product
from limpide.explaining.functions import ACTIVATION_ARITHMETIC, LOSS_ARITHMETIC
from limpide.explaining.layers import LAYER_ARITHMETIC
from limpide.explaining.rules import RULE_ARITHMETIC
from limpide.explaining.writing import Text
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.layers import LAYERS
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import OPTIMIZERS, make_optimizer
from limpide.seeds import stream
from limpide.testing.cases import LAYER_CASES, LOSS_CASES, RULES

N_NETWORKS = int(os.environ.get("LIMPIDE_TEST_NETWORKS", "25"))
"""Random networks tried; the figure that is asked for is 1,000."""

NUMBERS_OF_EACH = 12
"""Numbers of each network that are recomputed, drawn by chance."""


# ------------------------------------------------------------------------ reading what is printed, by other means


def evaluate(text):
    """What a printed line of values gives: Python's own arithmetic on the words as they stand."""
    python = text.replace("×", "*").replace("²", "**2").replace("e^", "exp").replace("√", "sqrt").replace("^", "**")
    python = re.sub(r"\|([^|]*)\|", r"abs(\1)", python)
    python = re.sub(r"\[([^\[\]]*) > 0\]", r"positive(\1)", python)
    names = {**FUNCTIONS, "σ": FUNCTIONS["sigmoid"], "Φ": FUNCTIONS["Phi"], "φ": FUNCTIONS["phi"]}
    return eval(python, {"__builtins__": {}}, names)


def every_address(step):
    """The address of every number of a step that has one."""
    found = [f"x[{','.join(map(str, i))}]" for i in np.ndindex(step.network.input_shape)] + ["loss", "row_loss", "norm"]
    for view in step.views:
        for name, shape in (("y", view.out_shape), ("dy", view.out_shape), ("dx", view.in_shape)):
            found += [f"{view.path}.{name}[{','.join(map(str, i))}]" for i in np.ndindex(shape)]
        if view.layer.keyword == "batchnorm":
            for c in range(view.out_shape[0]):
                found += [f"{view.path}.batch_mean[{c}]", f"{view.path}.batch_variance[{c}]"]
                found += [f"after/{view.path}.mean[{c}]", f"after/{view.path}.variance[{c}]"]
            found += [f"{view.path}.normal[{','.join(map(str, i))}]" for i in np.ndindex(view.out_shape)]
        for key, array in view.params.items():
            for i in np.ndindex(array.shape):
                weight = f"{view.path}.{key}[{','.join(map(str, i))}]"
                states = [f"after/{slot}/{weight}" for slot in step.optimizer.slots]
                slope = f"{view.path}.d{key}[{','.join(map(str, i))}]"
                found += [weight, slope, f"used/{weight}", f"change/{weight}", f"after/{weight}", *states]
    return found


def check(step, addresses):
    """Each number recomputes to itself, from its factors and from the text of them."""
    for address in addresses:
        number = number_at(step, address)
        proof = prove(number)
        if proof is None:
            continue
        assert proof.holds, (address, number.value, proof)
        whole = as_product(number)
        assert whole is None or prove(whole).holds, (address, prove(whole))
        text = Text(most=10**9)
        values, own = text.values(number.expression()), text.value(number)
        assert abs(evaluate(values) - number.value) <= 2 * proof.allowed, (address, values)
        assert np.dtype(step.dtype).type(own) == number.value, (address, own)


def opened(network, loss, optimizer, precision, seed=0, n_rows=5, state_steps=2, training=True):
    """A step that is not the first: the optimizer has a state, the running statistics have moved."""
    rng = np.random.default_rng(seed)
    weights = network.initialize(rng)
    x = rng.normal(size=(n_rows, *network.input_shape)).astype(precision)
    if loss.labels == "classes":
        y = rng.integers(0, network.output_shape[0], n_rows)
    elif loss.labels == "binary":
        y = rng.integers(0, 2, (n_rows, 1)).astype(precision)
    else:
        y = rng.normal(size=(n_rows, *network.output_shape)).astype(precision)
    noise = {path: stream(seed, path) for path in network.paths}.__getitem__
    trainer = get_engine("numpy").trainer(network, loss, optimizer, weights, 100, precision)
    for _ in range(state_steps):
        trainer.run(x, y, np.arange(n_rows), n_rows, noise)
    return OpenedStep(
        network, loss, optimizer, weights, x, y, state=trainer.state(), n_updates=100,
        noise=noise if training else None, precision=precision, row=int(rng.integers(n_rows)),
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- every catalogue row


def test_every_row_of_the_catalogues_has_its_arithmetic():
    assert set(ACTIVATION_ARITHMETIC) | {"softmax"} == {row.name for row in ACTIVATIONS.rows()}
    assert set(LOSS_ARITHMETIC) == {row.name for row in LOSSES.rows()}
    assert set(LAYER_ARITHMETIC) == set(LAYERS)
    assert set(RULE_ARITHMETIC) == set(OPTIMIZERS)
    assert all(set(states) == set(OPTIMIZERS[name].slots) for name, (_change, states) in RULE_ARITHMETIC.items())


@pytest.mark.parametrize("case", [*LAYER_CASES, *LOSS_CASES], ids=str)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_each_number_of_each_layer_and_loss_recomputes(case, precision, rng):
    step = opened(case.network, case.loss, make_optimizer("adam"), precision)
    addresses = every_address(step)
    check(step, rng.choice(addresses, min(len(addresses), 25), replace=False))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_each_number_of_each_optimizer_recomputes(rule, rng):
    network = Network.parse("3, 4 tanh, 2")
    step = opened(network, LOSSES["mse"], rule.optimizer, "float32")
    check(step, every_address(step))


def test_an_evaluation_pass_recomputes(rng):
    step = opened(Network.parse("4, 3, batchnorm relu, dropout 0.5, 2"), LOSSES["mse"], make_optimizer("sgd"),
                  "float64", training=False)  # fmt: skip
    addresses = [a for a in every_address(step) if "batch_" not in a and not a.startswith("after/1.batchnorm")]
    check(step, addresses)


# ------------------------------------------------------------------------------------------------- random networks

WIDTHS = st.integers(1, 6)
FUNCTION_NAMES = st.sampled_from(sorted({row.name for row in ACTIVATIONS.rows()} - {"softmax"}))


@st.composite
def networks(draw):
    """The text of a network, of one to take where the first does not fit its image, and a loss."""
    if draw(st.booleans()):
        items = [str(draw(WIDTHS))]
        extras = ["", ", batchnorm", ", dropout 0.3", ", residual({n} tanh, {n})"]
        for _ in range(draw(st.integers(0, 3))):
            n = draw(WIDTHS)
            items.append(f"{n} {draw(FUNCTION_NAMES)}{draw(st.sampled_from(extras)).format(n=n)}")
    else:
        items = [f"{draw(st.integers(1, 2))}x{draw(st.integers(4, 6))}x{draw(st.integers(4, 6))}"]
        pad, stride = draw(st.integers(0, 1)), draw(st.integers(1, 2))
        items.append(f"conv {draw(st.integers(1, 2))} 3x2 stride {stride} pad {pad} {draw(FUNCTION_NAMES)}")
        items.append(draw(st.sampled_from(["maxpool 1", "avgpool 2", "maxpool 2", "batchnorm"])))
        items.append(draw(st.sampled_from(["flatten", "globalavgpool"])))
    loss = draw(st.sampled_from(sorted(row.name for row in LOSSES.rows())))
    ends = {"binary_cross_entropy": "1 sigmoid", "binary_cross_entropy_with_logits": "1",
            "cross_entropy": "3", "categorical_cross_entropy": "3 softmax"}  # fmt: skip
    items.append(ends.get(loss, str(draw(WIDTHS))))
    return ", ".join(items), f"{draw(WIDTHS)}, {items[-1]}", loss


@settings(max_examples=N_NETWORKS)
@given(networks(), st.sampled_from(sorted(OPTIMIZERS)), st.sampled_from(["float32", "float64"]), st.integers(0, 10**6))
def test_the_numbers_of_random_networks_recompute(made, rule, precision, seed):
    text, simpler, loss = made
    try:
        network = Network.parse(text)
    except ShapeError:
        network = Network.parse(simpler)
    step = opened(network, LOSSES[loss], make_optimizer(rule), precision, seed, n_rows=1 + seed % 4)
    addresses = every_address(step)
    drawn = np.random.default_rng(seed).choice(addresses, min(len(addresses), NUMBERS_OF_EACH), replace=False)
    check(step, drawn)


def test_a_number_that_is_wrong_is_told_from_rounding():
    step = opened(Network.parse("3, 2 tanh, 1"), LOSSES["mse"], make_optimizer("sgd"), "float32")
    view = step.views[0]
    view.went = view.went * np.float32(1 + 1e-5)
    assert not prove(number_at(step, "0.dense.y[1]")).holds


# ------------------------------------------------------------------------------------------------ PyTorch as oracle


def test_the_slopes_are_those_of_pytorch():
    rng = np.random.default_rng(1)
    network, x, y = Network.parse("3, 4 tanh, 2"), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    weights = network.initialize(rng)
    step = OpenedStep(network, LOSSES["mse"], make_optimizer("sgd", rate=0.1), weights, x, y, precision="float64")
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    hidden = torch.tanh(torch.tensor(x) @ leaves["0.dense.W"] + leaves["0.dense.b"])
    hidden.retain_grad()
    output = hidden @ leaves["2.dense.W"] + leaves["2.dense.b"]
    torch.nn.functional.mse_loss(output, torch.tensor(y)).backward()
    for name, leaf in leaves.items():
        path, _dot, key = name.rpartition(".")
        for i in np.ndindex(leaf.shape):
            place = ",".join(map(str, i))
            assert number_at(step, f"{path}.d{key}[{place}]").value == pytest.approx(leaf.grad[i].item(), rel=1e-12)
            after = leaf[i].item() - 0.1 * leaf.grad[i].item()
            assert number_at(step, f"after/{name}[{place}]").value == pytest.approx(after, rel=1e-12)
    for row, unit in np.ndindex(5, 4):
        slope = number_at(step, f"1.activation.dy[{unit}]@{row}").value
        assert slope == pytest.approx(hidden.grad[row, unit].item(), rel=1e-12)
    assert math.isclose(number_at(step, "loss").value, float(((output.detach() - torch.tensor(y)) ** 2).mean()))
