"""Across engines: they take the same path, and what one has learned another goes on with."""

from itertools import permutations

import numpy as np
import pytest

from limpide.engines.base import ENGINES, get_engine
from limpide.errors import Unsupported
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.seeds import stream
from limpide.testing import EngineConformance, assert_close
from limpide.testing.cases import RULES, WHOLE_CASES, Case, noise_of

RESIDUAL = (
    "2x4x4, conv 4 3x3 pad 1, residual(conv 4 3x3 pad 1 groups 2 no bias, batchnorm relu, dropout 0.2), "
    "globalavgpool, 3"
)
CASES = (*WHOLE_CASES, Case(RESIDUAL, Network.parse(RESIDUAL), LOSSES["cross_entropy"]))
ADAM = make_optimizer("adam", rate=0.02)
PAIRS = list(permutations(ENGINES, 2))


def started(name, case, optimizer=ADAM, weights=None, precision="float64"):
    """A trainer; the test is skipped where the engine is not installed or does not have a layer of the case."""
    engine = type("Suite", (EngineConformance,), {"engine": name})().open()
    try:
        return engine.trainer(case.network, case.loss, optimizer, weights or case.weights(), 30, precision)
    except Unsupported as error:
        pytest.skip(str(error))


def epochs(trainer, x, y, numbers):
    orders = [np.random.default_rng(number).permutation(len(x)) for number in numbers]
    return np.concatenate([trainer.run(x, y, order, 4, noise_of(n)) for n, order in zip(numbers, orders)])


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", [name for name in ENGINES if name != "numpy"])
def test_thirty_updates_are_those_of_numpy(name, case):
    x, y = case.rows(38)
    other, numpy = started(name, case), started("numpy", case)
    losses, expected = (epochs(trainer, x, y, range(3)) for trainer in (other, numpy))
    assert len(expected) == 30
    assert_close(losses, expected, "training", what="losses")
    for what, array in numpy.weights().items():
        assert_close(other.weights()[what], array, "training", what=what)
    assert_close(other.evaluate(x), numpy.evaluate(x), "training", what="predictions")


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_weights_move_from_one_engine_to_another(here, there, case, precision):
    x, y = case.rows(12, precision)
    trainer = started(here, case, precision=precision)
    epochs(trainer, x, y, range(2))
    weights = trainer.weights()
    moved = started(there, case, weights=weights, precision=precision)
    for what, array in weights.items():
        np.testing.assert_array_equal(moved.weights()[what], array, err_msg=what)
    assert_close(moved.evaluate(x), trainer.evaluate(x), "pass", precision, "predictions")
    assert_close(get_engine(there).forward(case.network, weights, x), trainer.evaluate(x), "pass", precision, "forward")


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_training_goes_on_in_another_engine_as_if_nothing_had_happened(here, there, rule):
    """The state holds the optimizer's slots and the count of updates under names that all engines share."""
    case = WHOLE_CASES[1]
    x, y = case.rows(20)
    uninterrupted = started(here, case, rule.optimizer)
    moved = started(there, case, rule.optimizer, {name: 0 * array for name, array in case.weights().items()})
    epochs(uninterrupted, x, y, [0])
    moved.load_state(uninterrupted.state())
    losses, expected = (epochs(trainer, x, y, [1, 2]) for trainer in (moved, uninterrupted))
    assert_close(losses, expected, "training", what="losses")
    for what, array in uninterrupted.state().items():
        assert_close(moved.state()[what], array, "training", what=what)


@pytest.mark.parametrize("engine", ENGINES)
def test_batch_norm_of_images_rounds_no_more_in_float32_than_it_must(engine):
    # with the channels last PyTorch's is off by twenty times as much, where a mean is large beside its deviation
    opened = type("Suite", (EngineConformance,), {"engine": engine})().open()
    network = Network.parse("1x28x28, conv 16 5x5 stride 2 no bias, batchnorm, flatten, 10")
    rng = stream(0, "images")
    y, x = rng.integers(0, 10, 128), np.full((128, 1, 28, 28), -0.42)
    x[:, :, 8:20, 8:20] = np.where(rng.random((128, 1, 12, 12)) < 0.5, -0.42, 2.0)
    weights = network.initialize(stream(1, "weights"))
    weights["0.conv.K"] += 0.3
    losses, grads = [], []
    for kind in (np.float64, np.float32):
        given = {name: array.astype(kind) for name, array in weights.items()}
        batch = x.astype(kind), y, lambda path: stream(0, path)
        loss, grad = opened.loss_and_gradients(network, LOSSES["cross_entropy"], given, *batch)
        losses.append(loss)
        grads.append(grad)
    assert losses[1] == pytest.approx(losses[0], abs=6e-7)
    for name, exact in grads[0].items():
        assert np.abs(grads[1][name] - exact).max() < 1e-5 * np.abs(exact).max(), name
