import numpy as np
import pytest

from limpide.engines import numpy_engine
from limpide.engines.base import ENGINES, engine_versions, get_engine
from limpide.engines.choosing import choose_engine
from limpide.engines.numpy_engine import NumpyEngine
from limpide.errors import UnknownName
from limpide.job import _load
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.recipe import Recipe

CNN = "1x6x6, conv 4 3x3 pad 1 relu, maxpool 2, flatten, 5 tanh, 3"


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_known_by_its_name(name):
    assert get_engine(name).name == name
    assert name in engine_versions()


def test_an_unknown_engine_is_answered_with_the_nearest():
    network = Network.parse("2, 1")
    for ask in (lambda: get_engine("nunpy"), lambda: choose_engine("nunpy", network, 10)):
        with pytest.raises(UnknownName) as caught:
            ask()
        assert str(caught.value) == 'engine: unknown name "nunpy"; did you mean "numpy"?'


def test_loading_an_engine_ahead_says_nothing_of_what_it_cannot_do():
    _load(Recipe.from_options("iris", engine="compiled", precision="mixed", network="4, 2 relu, 3"))


def test_the_choice_of_an_engine_says_why():
    network = Network.parse("2, 1")
    assert choose_engine("numpy", network, 10) == ("numpy", "named by the user")
    name, why = choose_engine("auto", network, 10)
    assert name in ENGINES
    assert why


@pytest.mark.parametrize("block", [1, 7, 36 * 4, 10**9])
def test_evaluation_in_blocks_of_rows_is_evaluation_at_once(block, monkeypatch, rng):
    network = Network.parse(CNN)
    weights, x = network.initialize(rng), rng.normal(size=(10, 1, 6, 6))
    expected = NumpyEngine().forward(network, weights, x)
    monkeypatch.setattr(numpy_engine, "BLOCK_NUMBERS", block)
    np.testing.assert_allclose(NumpyEngine().forward(network, weights, x), expected, rtol=1e-12)


def test_no_rows_give_no_outputs(rng):
    network = Network.parse(CNN)
    weights, x = network.initialize(rng), np.zeros((0, 1, 6, 6), np.float32)
    assert NumpyEngine().forward(network, weights, x).shape == (0, 3)
    trainer = NumpyEngine().trainer(network, LOSSES["cross_entropy"], make_optimizer("sgd"), weights)
    assert len(trainer.run(x, np.zeros(0, int), np.zeros(0, int), 4, lambda path: rng)) == 0


def test_pictures_in_bytes_are_evaluated_as_numbers(rng):
    network = Network.parse(CNN)
    weights, x = network.initialize(rng), rng.integers(0, 256, (3, 1, 6, 6)).astype(np.uint8)
    outputs = NumpyEngine().forward(network, weights, x)
    assert outputs.dtype == np.float32
    np.testing.assert_array_equal(outputs, NumpyEngine().forward(network, weights, x.astype(np.float32)))


@pytest.mark.parametrize(("spread", "is_alone"), [(1, True), (10**9, False)])
def test_small_products_run_on_one_thread(spread, is_alone, monkeypatch):
    from threadpoolctl import threadpool_info

    network = Network.parse("3, 8 relu, 1")
    monkeypatch.setattr(numpy_engine, "SMALL_PRODUCT", 20_000_000 // spread)
    with numpy_engine._threads(network, 32) as limits:
        assert (limits is not None) == is_alone
        if is_alone:
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
