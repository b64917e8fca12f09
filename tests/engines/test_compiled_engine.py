import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from limpide.engines.base import get_engine
from limpide.engines.choosing import choose_engine
from limpide.errors import MissingPackage, ShapeError, Unsupported
from limpide.nn.layers import Activation, Dense, Residual
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.seeds import stream
from limpide.testing import EngineConformance, assert_close, assert_same_bits

EVERYTHING = "9, dropout 0.2, 32 no bias, batchnorm relu, 16 gelu, dropout 0.5, 8 tanh, 3"
SMALL_IMAGES, LARGE_IMAGES = "1x6x6, conv 2 3x3, flatten, 3", "1x28x28, conv 32 3x3 pad 1, conv 64 3x3, flatten, 10"
IMAGES = (
    "1x12x12, conv 4 5x5 stride 2 pad 2 no bias, batchnorm relu, dropout 0.3, conv 6 3x3 gelu, maxpool 2, flatten, 3",
    "2x9x8, residual(conv 4 3x3 pad 1 no bias, batchnorm prelu, conv 2 1x1), avgpool 2, conv 6 2x2, flatten, 3",
)


class TestCompiled(EngineConformance):
    engine = "compiled"


def noise(path):
    return stream(7, "noise", path)


def rows(network, n, precision="float32"):
    rng = stream(3, "rows")
    return rng.normal(size=(n, *network.input_shape)).astype(precision), rng.integers(0, 3, n)


def start(engine, network, precision="float32", seed=0, optimizer="adam"):
    weights = network.initialize(stream(seed, "weights"))
    rule = make_optimizer(optimizer, rate=0.01)
    return get_engine(engine).trainer(network, LOSSES["cross_entropy"], rule, weights, 60, precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("text", [EVERYTHING, "9-40x3-3 silu", "9, prelu, 7 softplus, 3", *IMAGES])
def test_thirty_updates_agree_with_the_numpy_engine(text, precision):
    network = Network.parse(text)
    x, y = rows(network, 300, precision)
    trainers = [start(name, network, precision) for name in ("numpy", "compiled")]
    order = stream(1, "order").permutation(300)
    expected, losses = (trainer.run(x, y, order, 10, noise) for trainer in trainers)
    assert len(losses) == 30
    assert_close(losses, expected, "training", precision)
    for name, array in trainers[0].weights().items():
        assert_close(trainers[1].weights()[name], array, "training", precision, name)


@pytest.mark.parametrize(("first", "second"), [("numpy", "compiled"), ("compiled", "numpy")])
def test_a_checkpoint_moves_between_engines(first, second):
    network = Network.parse(EVERYTHING)
    x, y = rows(network, 60, "float64")
    order = np.arange(60)
    stayed, moved = start(first, network, "float64"), start(second, network, "float64", seed=5)
    stayed.run(x, y, order, 10, noise)
    moved.load_state(stayed.state())
    assert_same_bits(moved.state(), stayed.state())
    assert_close(moved.run(x, y, order, 10, noise), stayed.run(x, y, order, 10, noise), "training")
    for name, array in stayed.state().items():
        assert_close(moved.state()[name], array, "training", what=name)


@pytest.mark.parametrize("text", [EVERYTHING, "9-64-32-3 relu"])
def test_trainers_side_by_side_are_each_what_they_are_alone(text):
    network = Network.parse(text)
    x, y = rows(network, 2000)

    def train(seed):
        trainer = start("compiled", network, seed=seed)
        for epoch in range(5):
            trainer.run(x, y, stream(seed, "order", epoch).permutation(2000), 32, noise)
        return trainer.state()

    alone = [train(seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        for state, expected in zip(pool.map(train, range(4)), alone, strict=True):
            assert_same_bits(state, expected)


@pytest.mark.parametrize("numbers", [1, 500, 10**9])
def test_noise_drawn_in_pieces_is_noise_drawn_at_once(numbers, monkeypatch):
    from limpide.engines import compiled_machine

    network = Network.parse(EVERYTHING)
    x, y = rows(network, 100)
    expected = start("compiled", network)
    losses = expected.run(x, y, np.arange(100), 12, noise)
    monkeypatch.setattr(compiled_machine, "NOISE_NUMBERS", numbers)
    trainer = start("compiled", network)
    np.testing.assert_array_equal(trainer.run(x, y, np.arange(100), 12, noise), losses)
    assert_same_bits(trainer.state(), expected.state())


@pytest.mark.parametrize("work", [1, 200_000])
def test_an_epoch_is_cut_into_calls_between_which_ctrl_c_is_heard(work, monkeypatch):
    from limpide.engines import compiled_machine

    network = Network.parse(EVERYTHING)
    x, y = rows(network, 1000)
    expected = start("compiled", network)
    losses, outputs = expected.run(x, y, np.arange(1000), 12, noise), expected.evaluate(x)
    calls = []
    monkeypatch.setattr(compiled_machine, "CALL_WORK", work)
    trainer = start("compiled", network)
    run = trainer.machine.function
    trainer.machine.function = lambda sheet: calls.append(sheet) or run(sheet)
    np.testing.assert_array_equal(trainer.run(x, y, np.arange(1000), 12, noise), losses)
    assert_same_bits(trainer.state(), expected.state())
    assert len(calls) == 84 if work == 1 else 1 < len(calls) < 84
    calls.clear()
    np.testing.assert_array_equal(trainer.evaluate(x), outputs)
    assert len(calls) > 1


@pytest.mark.parametrize(("m", "k", "n"), [(20, 50, 30), (130, 300, 70), (67, 1, 40), (30, 5000, 20)])
def test_a_product_cut_in_pieces_is_the_whole_product(m, k, n, rng):
    from numba import njit

    from limpide.engines.compiled_blas import GEMM, product, product_back

    @njit
    def multiply(tools, memory, m, n, k, a_turned, b_turned, b_at, c_at):
        product(tools, memory, m, n, k, 0, a_turned, b_at, b_turned, c_at)

    @njit
    def multiply_back(tools, memory, m, n, k, b_at, c_at):
        product_back(tools, memory, m, n, k, 0, b_at, c_at, len(memory) - n * k)

    tools = (GEMM[np.dtype(float)], 0, np.zeros(0, np.int64), 0)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    b_at, c_at = m * k, m * k + k * n
    for a_turned, b_turned in ((False, False), (True, False), (False, True)):
        given = [np.ascontiguousarray(x.T if t else x).ravel() for x, t in ((a, a_turned), (b, b_turned))]
        memory = np.concatenate([*given, np.full(m * n + k * n, np.nan)])
        multiply(tools, memory, m, n, k, a_turned, b_turned, b_at, c_at)
        np.testing.assert_allclose(memory[c_at:][: m * n].reshape(m, n), a @ b, rtol=1e-12, atol=1e-12)
    memory[c_at:] = np.nan
    multiply_back(tools, memory, m, n, k, b_at, c_at)
    np.testing.assert_allclose(memory[c_at:][: m * n].reshape(m, n), a @ b, rtol=1e-12, atol=1e-12)


WIDE = "784, 256 relu, batchnorm, 128 tanh, 10"


PICTURES = (
    "1x28x28, conv 16 6x6 stride 2 no bias, batchnorm relu, dropout 0.2, conv 32 3x3 pad 1 groups 2 relu, maxpool 2, "
    "residual(conv 32 3x3 pad 1 no bias, batchnorm), avgpool 2, flatten, 64 relu, 3"
)


@pytest.mark.parametrize(
    ("text", "n", "optimizer"), [(WIDE, 3000, "sgd"), (WIDE, 3000, "adam"), (PICTURES, 600, "adam")]
)
def test_with_helpers_every_bit_is_the_same(text, n, optimizer, monkeypatch):
    from limpide.engines import compiled_helpers, compiled_machine

    monkeypatch.setattr(compiled_machine, "WORTH_HELPERS", 1_000_000)
    network = Network.parse(text)
    x, y = rows(network, n)

    def train(n_threads):
        called = []
        with monkeypatch.context() as patch, threadpool_limits(n_threads, "blas"):
            call = compiled_helpers.call_helpers
            patch.setattr(compiled_machine, "call_helpers", lambda n, *given: called.append(n) or call(n, *given))
            trainer = start("compiled", network, optimizer=optimizer)
            losses = [trainer.run(x, y, stream(0, "order", i).permutation(n), 256, noise) for i in range(3)]
            return called, losses, trainer.state(), trainer.evaluate(x)

    called, losses, state, outputs = train(1)
    assert called == []
    for n_threads in (2, 4):
        helped = train(n_threads)
        assert helped[0] == [n_threads - 1] * len(helped[0])
        assert len(helped[0]) >= 3
        np.testing.assert_array_equal(helped[1], losses)
        assert_same_bits(helped[2], state)
        np.testing.assert_array_equal(helped[3], outputs)


def test_a_helper_that_comes_late_or_never_is_not_waited_for(monkeypatch):
    from limpide.engines import compiled_helpers

    class Nobody:
        def submit(self, *given):
            called.append(given)

    called = []
    network = Network.parse(WIDE)
    x, y = rows(network, 3000)
    expected, alone = start("compiled", network), start("compiled", network)
    with threadpool_limits(1, "blas"):
        expected.run(x, y, np.arange(3000), 256, noise)
    monkeypatch.setattr(compiled_helpers, "_threads", lambda n: Nobody())
    with threadpool_limits(2, "blas"):
        alone.run(x, y, np.arange(3000), 256, noise)
    assert called
    assert_same_bits(alone.state(), expected.state())


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_the_exponential_is_right_to_the_last_digit(real):
    from numba import njit

    from limpide.engines.compiled_loops import exp_parts

    @njit
    def exponential(x):
        s, p = exp_parts(x)
        return s + s * p, s * p + (s - type(x)(1))

    for x in [*-np.geomspace(1e-12, 80, 500), 0.0]:
        value, less_one = exponential(real(x))
        assert abs(value / np.exp(np.longdouble(real(x))) - 1) < 2 * np.finfo(real).eps
        assert less_one == pytest.approx(float(np.expm1(np.longdouble(real(x)))), rel=2 * float(np.finfo(real).eps))
    assert exponential(real(-1e5))[0] == exponential(real(-np.inf))[0] == 0
    assert np.isnan(exponential(real(np.nan))[0])


@dataclass(frozen=True)
class Doubling(Activation):
    """A layer of somebody's own, under a name that the engine knows."""


@pytest.mark.parametrize(
    ("layer", "where"), [(Doubling("relu"), "0.activation"), (Residual((Doubling("relu"),)), "0.residual.0.activation")]
)
def test_a_layer_of_ones_own_is_refused_with_the_engine_to_take(layer, where):
    with pytest.raises(Unsupported) as caught:
        start("compiled", Network((3,), (layer, Dense(3))))
    assert str(caught.value).startswith(f"layer {where}: expected a layer that the engine compiled has (dense, ")
    assert str(caught.value).endswith("got Doubling; take the engine numpy")


def test_rows_that_do_not_exist_and_shapes_that_do_not_fit_are_refused():
    network = Network.parse("9, 4 relu, 3")
    x, y = rows(network, 10)
    trainer = start("compiled", network)
    for order in ([0, 10], [-1, 2]):
        with pytest.raises(IndexError, match="numbers from 0 to 9"):
            trainer.run(x, y, np.array(order), 2, noise)
    with pytest.raises(IndexError, match="numbers from 0 to 2"):
        trainer.run(x, y + 1, np.arange(10), 2, noise)
    with pytest.raises(ShapeError, match="input: expected 9, got 8"):
        trainer.evaluate(x[:, :8])
    regression = get_engine("compiled").trainer(
        network, LOSSES["mse"], make_optimizer("sgd"), network.initialize(stream(0, "weights"))
    )
    with pytest.raises(ShapeError, match="target: expected 3, got 2"):
        regression.run(x, x[:, :2], np.arange(10), 2, noise)


def test_no_rows_give_no_outputs_and_no_losses():
    network = Network.parse(EVERYTHING)
    trainer = start("compiled", network)
    x, y = rows(network, 0)
    assert trainer.evaluate(x).shape == (0, 3)
    assert len(trainer.run(x, y, np.zeros(0, int), 4, noise)) == 0


def test_a_folder_that_cannot_be_written_costs_the_memory_of_the_compilation_only(tmp_path, monkeypatch):
    import numba
    from numba.core.caching import CacheImpl

    from limpide.engines.compiled_code import address_of

    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    given = [kind for kind in CacheImpl._locator_classes if "UserProvided" in kind.__name__]
    monkeypatch.setattr(CacheImpl, "_locator_classes", given)

    def double(x):
        return 2 * x

    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(double)
    assert called_at(address_of(double, numba.int64(numba.int64)), 21) == 42


def called_at(address, number):
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(number)


def test_a_disk_that_is_full_costs_no_more_than_a_second_compilation(monkeypatch):
    import numba
    from numba.core.caching import Cache

    from limpide.engines.compiled_code import address_of

    def no_space(*given):
        raise OSError("no space left on device")

    monkeypatch.setattr(Cache, "save_overload", no_space)
    assert called_at(address_of(lambda x: 3 * x, numba.int64(numba.int64)), 14) == 42


@pytest.mark.parametrize(
    ("text", "n_updates", "is_on_disk", "expected"),
    [
        ("3-64-32-1 relu", 1_000, True, "numpy"),
        ("3-64-32-1 relu", 100_000, True, "compiled"),
        ("3-64-32-1 relu", 100_000, False, "numpy"),
        ("3-64-32-1 relu", 1_000_000, False, "compiled"),
        ("3, 64 relu, 32 relu, 1", 700_000, False, "compiled"),
        ("3, 64 relu, dropout 0.2, 32 relu, 1", 700_000, False, "numpy"),
        (SMALL_IMAGES, 10_000, True, "numpy"),
        (SMALL_IMAGES, 10_000_000, True, "compiled"),
        (LARGE_IMAGES, 10, True, "numpy"),
        (LARGE_IMAGES, 1_000, True, "compiled"),
        (LARGE_IMAGES, 1_000, False, "torch"),
    ],
)
def test_a_job_is_compiled_where_that_is_repaid(text, n_updates, is_on_disk, expected, monkeypatch):
    monkeypatch.setattr("limpide.engines.choosing.is_compiled", lambda with_shares=False: is_on_disk)
    monkeypatch.setattr("limpide.engines.choosing.find_spec", lambda package: object())
    monkeypatch.setenv("LIMPIDE_DEVICE", "cpu")
    name, why = choose_engine("auto", Network.parse(text), n_updates)
    assert name == expected
    assert why


@pytest.mark.parametrize(
    ("function", "batch_size", "expected"),
    [("relu", 32, "numpy"), ("silu", 32, "compiled"), ("relu", 2048, "compiled"), ("silu", 256, "compiled")],
)
def test_large_batches_and_curved_activations_repay_it_sooner(function, batch_size, expected, monkeypatch):
    monkeypatch.setattr("limpide.engines.choosing.is_compiled", lambda with_shares=False: True)
    network = Network.parse(f"19, 64 {function}, 32 {function}, 1")
    assert choose_engine("auto", network, 15_000, batch_size=batch_size).name == expected


def test_without_numba_the_choice_is_numpy_and_says_so(monkeypatch):
    def missing(name):
        raise MissingPackage("numba is not installed")

    monkeypatch.setattr("limpide.engines.choosing.get_engine", missing)
    name, why = choose_engine("auto", Network.parse("3-64-32-1 relu"), 10**7)
    assert name == "numpy"
    assert why == "the compiled engine would be faster, but: numba is not installed"


def test_code_on_disk_is_told_without_loading_numba(tmp_path, monkeypatch):
    import os

    from limpide.engines import base

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not base.is_compiled()
    kept = tmp_path / "engines_1" / "compiled_kernel.run-1.py311.nbi"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    os.utime(kept, (4e9, 4e9))
    assert base.is_compiled()
    assert not base.is_compiled(with_shares=True)
    beside = kept.with_name("compiled_shares.share-1.py311.nbi")
    beside.write_bytes(b"")
    os.utime(beside, (4e9, 4e9))
    assert base.is_compiled(with_shares=True)
    os.utime(kept, (1, 1))
    assert not base.is_compiled()
