"""The torch engine: the suite, and what is its own: the device, the looks at the losses, the order of its layers."""

import gc
import importlib
import subprocess
import sys

import numpy as np
import pytest

from limpide.engines import choosing
from limpide.engines.base import engine_versions, get_engine
from limpide.engines.choosing import choose_engine
from limpide.errors import MissingPackage, RecipeError, Unsupported
from limpide.nn.layers import LAYERS
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import OPTIMIZERS, make_optimizer
from limpide.seeds import stream
from limpide.testing import EngineConformance, assert_close, assert_same_bits
from limpide.testing.cases import FOREIGN, QUARTIC, WHOLE_CASES, noise_of

CNN = "1x8x8, conv 4 3x3 pad 1 relu, maxpool 2, conv 6 3x3 relu, globalavgpool, 3"


class TestTorch(EngineConformance):
    engine = "torch"


@pytest.fixture
def engine():
    """The module; without PyTorch the tests here are skipped as the suite is."""
    TestTorch().open()
    import torch

    from limpide.engines import torch_engine

    torch.set_num_threads(1)
    return torch_engine


@pytest.fixture
def model(engine):
    """The module of networks on their device."""
    from limpide.engines import torch_model

    return torch_model


def started(network, rng, optimizer="adam", precision="float64", loss="cross_entropy", **options):
    weights = network.initialize(rng)
    return get_engine("torch").trainer(
        network, LOSSES[loss], make_optimizer(optimizer, **options), weights, 20, precision
    )


def digits(rng, network, n=20):
    return rng.normal(size=(n, *network.input_shape)), rng.integers(0, network.output_shape[0], n)


# the losses are looked at now and then


@pytest.mark.parametrize("bad", [0, 1, 4, 5, 6, 9])
def test_a_bad_loss_between_two_looks_ends_the_epoch_where_it_stands(engine, bad, monkeypatch):
    """Dropout, running statistics and the optimizer's slots are walked again to the same bits."""
    monkeypatch.setattr(engine, "LOOK_EVERY", 5)
    case = WHOLE_CASES[4]
    x, y = case.rows(40)
    adam = make_optimizer("adam", rate=0.02)
    diverging, stopped = (get_engine("torch").trainer(case.network, case.loss, adam, case.weights()) for _i in range(2))
    expected = stopped.run(x, y, np.arange(4 * bad), 4, noise_of(0))
    x[4 * bad + 1] = np.nan
    losses = diverging.run(x, y, np.arange(40), 4, noise_of(0))
    assert np.isfinite(losses).tolist() == [True] * bad + [False]
    np.testing.assert_array_equal(losses[:-1], expected)
    assert_same_bits(diverging.state(), stopped.state())


def test_how_often_the_losses_are_looked_at_changes_no_bit(engine, monkeypatch):
    case = WHOLE_CASES[3]
    x, y = case.rows(40)
    states = []
    for every in (1, 3, 100):
        monkeypatch.setattr(engine, "LOOK_EVERY", every)
        trainer = get_engine("torch").trainer(case.network, case.loss, make_optimizer("adam"), case.weights())
        losses = trainer.run(x, y, np.arange(40), 4, noise_of(0))
        states.append({"losses": losses, **trainer.state()})
    assert_same_bits(states[0], states[1])
    assert_same_bits(states[0], states[2])


# how it is run


def test_a_relu_changes_places_with_the_pooling_behind_it(model):
    network = Network.parse("1x8x8, conv 4 3x3 relu, maxpool 2, relu, relu, maxpool 2, tanh, flatten, 2, relu")
    assert model._course(network) == [0, 2, 1, 3, 5, 4, 6, 7, 8, 9]


def test_the_exchange_changes_neither_outputs_nor_gradients(engine, rng):
    import torch

    z = torch.from_numpy(rng.integers(-3, 4, (6, 2, 8, 8)).astype(np.float64)).requires_grad_()
    before = torch.nn.functional.max_pool2d(torch.relu(z), 2)
    after = torch.relu(torch.nn.functional.max_pool2d(z, 2))
    np.testing.assert_array_equal(before.detach(), after.detach())
    dy = torch.from_numpy(rng.normal(size=before.shape))
    slopes = [torch.autograd.grad(y, z, dy)[0].numpy() for y in (before, after)]
    np.testing.assert_array_equal(*slopes)


def test_images_of_float32_have_their_channels_last_on_the_cpu(engine, rng, monkeypatch):
    monkeypatch.setenv("LIMPIDE_DEVICE", "cpu")
    network = Network.parse(CNN)
    x, _y = digits(rng, network)
    rows = {}
    for precision in ("float32", "float64"):
        model = started(network, rng, precision=precision).model
        rows[precision] = model.rows(x, np.arange(4))
        np.testing.assert_array_equal(rows[precision], x[:4].astype(precision))
    assert rows["float32"].stride() == (64, 1, 8, 1)
    assert rows["float64"].stride() == (64, 64, 8, 1)


def test_data_kept_on_the_device_gives_the_same_bits_and_is_given_up_with_its_array(engine, rng):
    """What a GPU does, shown on the CPU."""
    network = Network.parse(CNN)
    x, y = digits(rng, network)
    x, y = x.astype(np.float32), y.astype(np.int32)
    states = []
    for keeps in (False, True):
        trainer = started(network, stream(0, "weights"), precision="float32")
        trainer.model.keeps_data = keeps
        losses = [trainer.run(x, y, np.arange(20)[::-1], 8, noise_of(0)) for _epoch in range(2)]
        states.append({"losses": np.concatenate(losses), "output": trainer.evaluate(x), **trainer.state()})
    assert_same_bits(*states)
    assert len(trainer.model._moved) == 2
    del x, y
    gc.collect()
    assert trainer.model._moved == {}


@pytest.mark.parametrize("text", ["3, batchnorm, 2", "2x1x1, conv 3 1x1, batchnorm relu, flatten, 2"])
def test_batch_norm_of_a_single_row_is_the_reference_s(engine, text, rng):
    """PyTorch's own function refuses it: a last batch of one row would end a training."""
    network = Network.parse(text)
    weights = network.initialize(rng)
    x, y = rng.normal(size=(5, *network.input_shape)), rng.integers(0, 2, 5)
    after = []
    for name in ("numpy", "torch"):
        trainer = get_engine(name).trainer(
            network, LOSSES["cross_entropy"], make_optimizer("sgd"), weights, precision="float64"
        )
        losses = trainer.run(x, y, np.arange(5), 2, noise_of(0))
        after.append({"losses": losses, **trainer.weights()})
    for name, array in after[0].items():
        assert_close(after[1][name], array, "training", what=name)


def test_momentum_of_nothing_may_look_ahead(engine, rng):
    network = Network.parse("3, 2")
    x, y = digits(rng, network)
    ends = []
    for optimizer, options in (("nesterov", {"momentum": 0.0}), ("sgd", {})):
        trainer = started(network, stream(0, "weights"), optimizer, rate=0.1, **options)
        trainer.run(x, y, np.arange(20), 4, noise_of(0))
        ends.append(trainer.weights())
    assert_same_bits(*ends)


def test_probabilities_that_round_to_0_or_1_have_the_reference_s_gradients(engine):
    import torch

    from limpide.engines.torch_functions import LOSSES as NATIVE

    p = np.array([[0.0], [1.0], [0.0], [1.0], [1e-20], [0.3]])
    y = np.array([[0.0], [0.0], [1.0], [1.0], [1.0], [1.0]])
    for name, output, target in (
        ("binary_cross_entropy", p, y),
        ("categorical_cross_entropy", np.concatenate([p, 1 - p], 1), np.array([0, 1, 0, 1, 0, 1])),
    ):
        leaf = torch.from_numpy(output).requires_grad_()
        value = NATIVE[name](leaf, torch.from_numpy(target))
        value.backward()
        assert value.item() == pytest.approx(LOSSES[name].mean(output, target), rel=1e-12)
        np.testing.assert_allclose(leaf.grad, LOSSES[name].gradient(output, target), rtol=1e-12)


def test_softplus_is_exact_where_pytorch_would_cut_it(engine):
    x, network = np.array([[21.0], [30.0], [700.0], [-700.0]]), Network.parse("1, softplus")
    y = get_engine("torch").forward(network, {}, x)
    np.testing.assert_allclose(y, np.logaddexp(x, 0), rtol=1e-15)


def test_no_rows_give_no_outputs(engine, rng):
    network = Network.parse(CNN)
    x = np.zeros((0, 1, 8, 8), np.float32)
    assert get_engine("torch").forward(network, network.initialize(rng), x).shape == (0, 3)
    assert len(started(network, rng).run(x, np.zeros(0, int), np.zeros(0, int), 4, noise_of(0))) == 0


def test_a_network_without_parameters_is_run(engine, rng):
    network = Network.parse("3, tanh")
    trainer = started(network, rng, loss="mse")
    x = rng.normal(size=(4, 3))
    losses = trainer.run(x, x, np.arange(4), 2, noise_of(0))
    np.testing.assert_allclose(losses, [np.mean((np.tanh(r) - r) ** 2) for r in (x[:2], x[2:])])
    assert trainer.trace(x, x, noise_of(0)).updates == {}


def test_pictures_in_bytes_are_evaluated_as_numbers(engine, rng):
    network = Network.parse(CNN)
    weights, x = network.initialize(rng), rng.integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
    outputs = get_engine("torch").forward(network, weights, x)
    assert outputs.dtype == np.float32
    np.testing.assert_array_equal(outputs, get_engine("torch").forward(network, weights, x.astype(np.float32)))


# mixed precision: on a CPU as on a GPU, but for the speed


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
@pytest.mark.parametrize("case", WHOLE_CASES[:5], ids=lambda case: case.name)
def test_mixed_precision_stays_near_the_reference(engine, case, half, monkeypatch):
    import torch

    from limpide.engines import torch_precision

    monkeypatch.setattr(torch_precision, "half_type", lambda device: getattr(torch, half))
    x, y = case.rows(24, "float32")
    ends = []
    for name, precision in (("numpy", "float32"), ("torch", "mixed")):
        adam = make_optimizer("adam", rate=1e-3)
        trainer = get_engine(name).trainer(case.network, case.loss, adam, case.weights(), precision=precision)
        losses = np.concatenate([trainer.run(x, y, np.arange(24), 8, noise_of(epoch)) for epoch in range(2)])
        ends.append((losses, trainer.weights(), trainer.evaluate(x)))
    (losses, weights, outputs), (mixed_losses, mixed_weights, mixed_outputs) = ends
    assert_close(mixed_losses, losses, "training", "mixed", "losses")
    assert_close(mixed_outputs, outputs, "training", "mixed", "outputs")
    for name, array in mixed_weights.items():
        assert array.dtype == np.float32
        assert_close(array, weights[name], "training", "mixed", name)


def test_a_gradient_too_large_for_float16_leaves_its_update_out_and_halves_the_scale(engine, rng, monkeypatch):
    import torch

    from limpide.engines import torch_precision

    monkeypatch.setattr(torch_precision, "half_type", lambda device: torch.float16)
    network = Network.parse("3, 4 relu, 2")
    x, y = digits(rng, network, 8)
    x = x.astype(np.float32)
    for optimizer in ("adam", "adamw", "sgd", "momentum", "rmsprop"):
        trainer = started(network, rng, optimizer, precision="mixed")
        before = trainer.state()
        trainer.mixed.scale.fill_(2.0**40)
        trainer.run(x, y, np.arange(4), 4, noise_of(0))
        after = trainer.state()
        np.testing.assert_array_equal(after["params"], before["params"])
        assert (after["mixed/scale"], after["mixed/made"], after["step"]) == (2.0**39, 0, 1)
        trainer.mixed.scale.fill_(2.0**10)
        trainer.run(x, y, np.arange(4), 4, noise_of(0))
        assert (trainer.state()["params"] != before["params"]).any()
        resumed = started(network, rng, optimizer, precision="mixed")
        resumed.load_state(trainer.state())
        assert_same_bits(resumed.state(), trainer.state())


def test_mixed_precision_is_refused_by_the_other_engines_in_words():
    network = Network.parse("3, 4 relu, 2")
    assert choose_engine("auto", network, 10, "mixed").name == "torch"
    with pytest.raises(RecipeError) as caught:
        choose_engine("compiled", network, 10, "mixed")
    assert str(caught.value) == "engine: expected torch, the one engine that multiplies in 16 bits, got compiled"


def test_a_training_does_not_load_pytorch_s_compiler():
    """Which `torch.optim` does, and takes longer than many a training."""
    TestTorch().open()
    text = "import sys, limpide; limpide.train('iris', engine='torch', epochs=1, save=False, baselines=False); "
    text += "sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


# what it has


def test_every_layer_loss_and_optimizer_has_its_row(engine):
    from limpide.engines import torch_functions, torch_updates
    from limpide.nn.activations import ACTIVATIONS

    assert set(torch_functions.LAYERS) == set(LAYERS.values())
    assert set(torch_functions.ACTIVATIONS) == set(ACTIVATIONS)
    assert set(torch_functions.LOSSES) == set(LOSSES)
    assert set(torch_updates.UPDATES) == set(OPTIMIZERS.values())


def test_all_that_is_lacking_is_named_at_once(engine):
    (_name, sign) = FOREIGN[2]
    network = FOREIGN[0][0].network
    with pytest.raises(Unsupported) as caught:
        get_engine("torch").trainer(network, QUARTIC, sign, {})
    assert caught.value.problems == tuple(
        f"{what}: expected one that the engine torch has, got another; take the engine numpy"
        for what in ("layer 1.doubled", "loss quartic", "optimizer sign_descent")
    )


# the device, and PyTorch itself


def test_the_device_is_the_one_named(engine, monkeypatch):
    monkeypatch.setenv("LIMPIDE_DEVICE", "cpu")
    assert engine.choose_device().type == "cpu"
    assert engine_versions()["torch"].endswith(", cpu")


def test_without_a_name_the_device_is_the_fastest_kind_there_is(engine, model, monkeypatch):
    monkeypatch.delenv("LIMPIDE_DEVICE", raising=False)
    there = {"cpu"}
    monkeypatch.setattr(model, "_is_available", lambda kind: kind in there)
    assert engine.choose_device().type == "cpu"
    there.add("mps")
    assert engine.choose_device(np.dtype("float32")).type == "mps"
    assert engine.choose_device(np.dtype("float64")).type == "cpu"
    there.add("cuda")
    assert engine.choose_device(np.dtype("float64")).type == "cuda"


@pytest.mark.parametrize("name", ["abacus", "meta:nowhere"])
def test_a_device_that_is_not_there_is_refused(engine, model, name, monkeypatch):
    monkeypatch.setenv("LIMPIDE_DEVICE", name)
    monkeypatch.setattr(model, "_is_available", lambda kind: kind == "cpu")
    with pytest.raises(RecipeError) as caught:
        engine.choose_device()
    assert str(caught.value) == (
        f"LIMPIDE_DEVICE: expected cpu, got {name!r}; unset it, and the device is chosen; a GPU needs its driver, and "
        "a PyTorch built for it"
    )


def test_other_engines_ask_for_no_device(engine, monkeypatch):
    monkeypatch.setenv("LIMPIDE_DEVICE", "abacus")
    assert "," not in engine_versions()["torch"]


def test_without_pytorch_the_command_that_installs_it_is_given(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("limpide.engines.torch_")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackage) as caught:
        importlib.import_module("limpide.engines.torch_engine")
    message = str(caught.value)
    assert message.startswith("engine torch: expected PyTorch, got ")
    assert message.endswith('; pip install "limpide[torch]"')


SMALL, LARGE = "1x8x8, conv 8 3x3, flatten, 10", "1x28x28, conv 32 3x3, residual(conv 32 1x1), flatten, 10"


@pytest.mark.parametrize(
    ("text", "n_updates", "is_there", "is_on_disk", "device", "name"),
    [
        (LARGE, 10_000, True, False, "cpu", "torch"),
        (LARGE, 10_000, True, True, "cpu", "compiled"),
        (LARGE, 10_000, True, True, "cuda", "torch"),
        (LARGE, 1_000, False, False, "cuda", "numpy"),
        (LARGE, 100, True, True, "cuda", "numpy"),
        (SMALL, 10**9, True, True, "cuda", "compiled"),
        ("28x28, 512 relu, 10", 10**9, True, False, "cuda", "compiled"),
    ],
)
def test_convolutions_go_to_pytorch_where_it_has_a_gpu_or_the_compiled_engine_is_not_ready(
    text, n_updates, is_there, is_on_disk, device, name, monkeypatch
):
    found = object() if is_there else None
    monkeypatch.setattr("limpide.engines.choosing.find_spec", lambda package: found if package == "torch" else None)
    monkeypatch.setattr("limpide.engines.choosing.is_compiled", lambda with_shares=False: is_on_disk)
    monkeypatch.setenv("LIMPIDE_DEVICE", device)
    assert choose_engine("auto", Network.parse(text), n_updates).name == name


def test_a_gpu_is_suspected_by_the_machine_alone(monkeypatch):
    monkeypatch.delenv("LIMPIDE_DEVICE", raising=False)
    for has_program, system, machine, expected in (
        (None, "linux", "x86_64", False),
        ("/usr/bin/nvidia-smi", "linux", "x86_64", True),
        (None, "darwin", "arm64", True),
    ):
        monkeypatch.setattr("shutil.which", lambda _name, found=has_program: found)
        monkeypatch.setattr("sys.platform", system)
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert choosing._may_have_gpu() is expected
