"""`check`: the gradients proved, the engines compared; what is wrong on purpose is found, and named."""

from dataclasses import replace

import numpy as np
import pytest

import limpide as lp
from limpide.engines.base import get_engine
from limpide.engines.numpy_engine import NumpyEngine
from limpide.errors import MissingPackage
from limpide.job import prepare
from limpide.nn.layers import Activation, BatchNorm, Conv2d, Dense
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.verification import agreement, check_run, gradients
from limpide.verification.agreement import compare_engines
from limpide.verification.gradients import check_gradients, check_job

TABLE = {"network": "8 relu, dropout 0.2, batchnorm, 6 tanh", "optimizer": "adamw", "weight_decay": 0.1}
IMAGES = {"network": "conv 4 3x3 pad 1, batchnorm relu, maxpool 2, residual(conv 4 3x3 pad 1 tanh), globalavgpool"}


@pytest.fixture(scope="module")
def table():
    return prepare("wine", **TABLE, clip_norm=0.5, schedule="one_cycle")


@pytest.fixture(scope="module")
def images():
    return prepare("digits", **IMAGES)


# ------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("job", ["table", "images"])
def test_every_layer_s_gradients_are_the_slopes_of_the_loss(job, request):
    pytest.importorskip("torch")
    job = request.getfixturevalue(job)
    gaps = check_job(job)
    assert {gap.layer for gap in gaps} == set(job.network.paths)
    assert {f"{gap.layer}.{gap.tensor}" for gap in gaps} >= {slot.name for slot in job.network.slots}
    assert max(gap.by_differences for gap in gaps) < 2e-6
    assert max(gap.by_pytorch for gap in gaps) < 1e-12
    assert all(gap.n >= 3 for gap in gaps)


def wrong_dense(monkeypatch):
    right = Dense.backward

    def backward(self, w, cache, dy, need_dx=True):
        dx, grads = right(self, w, cache, dy, need_dx)
        return dx, grads | {"b": grads["b"] / len(dy)}

    monkeypatch.setattr(Dense, "backward", backward)


def wrong_activation(monkeypatch):
    right = Activation.backward
    monkeypatch.setattr(
        Activation, "backward", lambda self, w, cache, dy, *more: right(self, w, cache, 1.01 * dy, *more)
    )


def wrong_batch_norm(monkeypatch):
    right = BatchNorm.backward

    def backward(self, w, cache, dy, need_dx=True):
        dx, grads = right(self, w, cache, dy, need_dx)
        return (None if dx is None else dx + 0.01 * np.abs(dx).max()), grads

    monkeypatch.setattr(BatchNorm, "backward", backward)


def wrong_convolution(monkeypatch):
    right = Conv2d.backward

    def backward(self, w, cache, dy, need_dx=True):
        dx, grads = right(self, w, cache, dy, need_dx)
        return dx, grads | {"K": grads["K"][:, :, ::-1]}

    monkeypatch.setattr(Conv2d, "backward", backward)


@pytest.mark.parametrize(
    ("spoil", "job", "nearest_the_output"),
    [
        (wrong_dense, "table", "6.dense.b"),
        (wrong_activation, "table", "4.dense.output"),
        (wrong_batch_norm, "table", "2.dropout.output"),
        (wrong_convolution, "images", "4.residual.0.conv.K"),
    ],
)
def test_a_wrong_backward_is_found_at_its_layer(spoil, job, nearest_the_output, monkeypatch, request):
    job = request.getfixturevalue(job)
    spoil(monkeypatch)
    wrong = [gap for gap in check_job(job) if not gap.is_close]
    order = {path: i for i, path in enumerate(job.network.paths)}
    last = max(wrong, key=lambda gap: (order[gap.layer], gap.tensor == "output"))
    assert f"{last.layer}.{last.tensor}" == nearest_the_output
    assert last.by_differences > gradients.BY_DIFFERENCES
    assert last.by_pytorch > gradients.BY_PYTORCH


def test_a_wrong_loss_is_found_at_the_output(table):
    loss = replace(table.loss, gradient=lambda o, y: 1.001 * table.loss.gradient(o, y))
    wrong = {f"{gap.layer}.{gap.tensor}" for gap in check_job(replace(table, loss=loss)) if not gap.is_close}
    assert f"{table.network.paths[-1]}.output" in wrong


def test_numbers_at_a_kink_are_left_out_and_counted(rng):
    # both units stand at 0 for every row: relu has no slope there, and none is asked for
    network = Network.parse("3, 2 relu, 1")
    weights = {"0.dense.W": np.zeros((3, 2)), "0.dense.b": np.zeros(2), "2.dense.W": np.ones((2, 1)),
               "2.dense.b": np.zeros(1)}  # fmt: skip
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 1)) + 3
    gaps = check_gradients(network, LOSSES["mse"], weights, x, y, lambda path: rng)
    kinks = {f"{gap.layer}.{gap.tensor}": gap.n_kinks for gap in gaps}
    assert kinks["0.dense.W"] == 6
    assert kinks["0.dense.b"] == 2
    assert kinks["2.dense.W"] == kinks["2.dense.b"] == kinks["1.activation.output"] == 0
    assert next(gap for gap in gaps if gap.n_kinks).by_differences is None
    assert all(gap.is_close for gap in gaps)


def test_without_pytorch_the_central_differences_remain(table, monkeypatch):
    monkeypatch.setattr(gradients, "get_engine", without("torch"))
    gaps = check_job(table)
    assert {gap.by_pytorch for gap in gaps} == {None}
    assert all(gap.is_close for gap in gaps)


# --------------------------------------------------------------------------------------------------------- engines


def without(missing):
    """`get_engine` where one of them is not installed."""

    def get(name):
        if name == missing:
            raise MissingPackage(f"engine {name}: pip install it")
        return get_engine(name)

    return get


@pytest.mark.parametrize("job", ["table", "images"])
def test_the_engines_agree_on_the_first_updates(job, request):
    gaps, left_out = compare_engines(request.getfixturevalue(job))
    assert {(gap.engine, gap.precision) for gap in gaps} >= {("numpy", "float32"), ("numpy", "float64")}
    assert all(gap.is_close for gap in gaps)
    assert max(gap.difference for gap in gaps if gap.precision == "float32") < 6e-4
    assert max(gap.update for gap in gaps) == agreement.N_UPDATES
    assert "compiled" not in left_out


@pytest.mark.parametrize(("moved", "is_close"), [(0.0, True), (3e-7, True), (1e-4, False)])
def test_a_tensor_that_only_rounding_moves_need_only_stand_still(moved, is_close):
    network = Network.parse("2, 3, batchnorm, 1")
    start = network.initialize(np.random.default_rng(0))
    after = {name: array + (1e-12 if name == "0.dense.b" else 1e-3) for name, array in start.items()}
    found = after | {"0.dense.b": start["0.dense.b"] + 1e-3 * moved}
    gap = agreement.largest_gap(network, start, agreement.Moment(1.0, after), agreement.Moment(1.0, found), "float64")
    assert agreement.StepGap("compiled", "float64", 1, *gap).is_close is is_close


def test_a_few_rows_are_visited_again_in_the_next_epochs():
    gaps, _left_out = compare_engines(prepare("iris", batch_size=200, network="4 relu", optimizer="adam"))
    assert [gap.update for gap in gaps if (gap.engine, gap.precision) == ("numpy", "float32")] == [1, 2, 3, 4, 5]


class NoisyTrainer:
    """A trainer whose dropout draws from streams of its own."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.weights = trainer.weights

    def run(self, x, y, order, batch_size, noise):
        return self.trainer.run(x, y, order, batch_size, lambda path: noise(f"{path}, mine"))


class LaggingTrainer(NoisyTrainer):
    """A trainer that gives back a loss measured after its update."""

    def run(self, x, y, order, batch_size, noise):
        return self.trainer.run(x, y, order, batch_size, noise) * 1.01


def other_statistics(network):
    layers = (replace(one, momentum=0.11) if isinstance(one, BatchNorm) else one for one in network.layers)
    return Network(network.input_shape, tuple(layers))


# What a wrong engine makes of one thing it is given.
FAULTS = {
    "a rate 1% too high": ("optimizer", lambda optimizer: replace(optimizer, rate=1.01 * optimizer.rate)),
    "no weight decay": ("optimizer", lambda optimizer: replace(optimizer, weight_decay=0.0)),
    "no clipping": ("optimizer", lambda optimizer: replace(optimizer, clip_norm=None)),
    "another schedule": ("n_updates", lambda n: n // 2),
    "another momentum of the statistics": ("network", other_statistics),
    "a steeper loss": ("loss", lambda loss: replace(loss, value=lambda o, y: 1.01 * loss.value(o, y))),
    "weights in half precision": ("weights", lambda tree: {name: array.astype("f2") for name, array in tree.items()}),
    "weights that are none": ("weights", lambda tree: {name: array * np.nan for name, array in tree.items()}),
}


class WrongEngine(NumpyEngine):
    """NumPy, given something else than was asked for."""

    def __init__(self, fault="", wrap=lambda trainer: trainer):
        self.what, self.change = FAULTS.get(fault, ("loss", lambda loss: loss))
        self.wrap = wrap

    def trainer(self, network, loss, optimizer, weights, n_updates=0, precision="float32"):
        given = {"network": network, "loss": loss, "optimizer": optimizer, "weights": weights, "n_updates": n_updates}
        given[self.what] = self.change(given[self.what])
        return self.wrap(super().trainer(**given, precision=precision))


def wrong_gaps(job, monkeypatch, engine):
    monkeypatch.setattr(agreement, "get_engine", lambda name: engine if name == "compiled" else NumpyEngine())
    monkeypatch.setattr(agreement, "ENGINES", {"numpy": "", "compiled": ""})
    gaps, _left_out = compare_engines(job)
    assert all(gap.is_close for gap in gaps if gap.engine == "numpy")
    return [gap for gap in gaps if not gap.is_close]


def test_a_right_engine_in_its_place_passes(table, monkeypatch):
    assert wrong_gaps(table, monkeypatch, WrongEngine()) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_wrong_on_purpose_is_caught(fault, table, monkeypatch):
    wrong = wrong_gaps(table, monkeypatch, WrongEngine(fault))
    assert {gap.precision for gap in wrong} == {"float64", "float32"}
    assert {gap.engine for gap in wrong} == {"compiled"}


@pytest.mark.parametrize("trainer", [NoisyTrainer, LaggingTrainer])
def test_a_trainer_wrong_on_purpose_is_caught(trainer, table, monkeypatch):
    wrong = wrong_gaps(table, monkeypatch, WrongEngine(wrap=trainer))
    assert {gap.precision for gap in wrong} == {"float64", "float32"}
    if trainer is LaggingTrainer:
        assert {gap.where for gap in wrong} == {"loss"}


def test_float32_under_the_name_of_float64_is_caught(table, monkeypatch):
    class Narrow(NumpyEngine):
        def trainer(self, *given, precision="float32"):
            return super().trainer(*given[:5], precision="float32")

    wrong = wrong_gaps(table, monkeypatch, Narrow())
    assert {gap.precision for gap in wrong} == {"float64"}


def test_where_an_engine_goes_wrong_is_named(table, monkeypatch):
    class NoLastBias(NumpyEngine):
        def trainer(self, network, loss, optimizer, weights, *more, **others):
            trainer = super().trainer(network, loss, optimizer, weights, *more, **others)
            name, held = f"{network.paths[-1]}.b", trainer.weights
            trainer.weights = lambda: held() | {name: weights[name].copy()}
            return trainer

    wrong = wrong_gaps(table, monkeypatch, NoLastBias())
    assert {gap.where for gap in wrong} == {f"{table.network.paths[-1]}.b"}
    assert min(gap.difference for gap in wrong) > 0.1


def test_an_engine_that_breaks_is_told_as_such(table, monkeypatch):
    wrong = wrong_gaps(table, monkeypatch, WrongEngine("weights that are none"))
    assert {gap.difference for gap in wrong} == {float("inf")}
    assert "NaN or Inf" in wrong[0].where


# ------------------------------------------------------------------------------------------------------------ runs


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checked") / "run"
    lp.train("wine", out=folder, baselines=False, report=False, epochs=2, **TABLE)
    return folder


def test_a_run_shows_its_gradients_and_its_engines(run_folder, monkeypatch):
    monkeypatch.setattr(agreement, "get_engine", without("torch"))
    monkeypatch.setattr(gradients, "get_engine", without("torch"))
    checks = {check.name: check for check in check_run(run_folder)}
    assert {check.outcome for name, check in checks.items() if name != "engine torch"} == {"ok"}
    assert checks["gradients"].text.endswith("from central differences; PyTorch is not installed")
    assert len(checks["gradients"].gaps) == 15
    assert checks["engine torch"].outcome == "skipped"
    assert checks["engine torch"].text == "engine torch: pip install it"
    assert checks["engine numpy"].text.startswith("5 updates, from the reference at most 0 in float64 and ")


def test_a_run_fails_on_wrong_gradients_and_wrong_engines(run_folder, monkeypatch):
    engines = {"compiled": WrongEngine("no weight decay")}
    monkeypatch.setattr(agreement, "get_engine", lambda name: engines.get(name, NumpyEngine()))
    wrong_activation(monkeypatch)
    checks = {check.name: check for check in check_run(run_folder)}
    assert checks["gradients"].outcome == "failed"
    assert "; wrong: 0.dense.W, 0.dense.b" in checks["gradients"].text
    assert checks["engine compiled"].outcome == "failed"


def test_a_quick_check_leaves_them_out(run_folder):
    names = {check.name for check in check_run(run_folder, quick=True)}
    assert "predictions" in names
    assert not names & {"gradients", "engine numpy"}


def test_a_run_on_data_that_is_gone_says_what_could_not_be_looked_at(tmp_path):
    dataset = lp.open_source("iris")
    frame = dataset.inputs.with_columns(dataset.target.alias("species"))
    lp.train(frame, target="species", out=tmp_path / "frame", baselines=False, report=False, epochs=1)
    last = check_run(tmp_path / "frame")[-1]
    assert (last.name, last.outcome) == ("data", "skipped")
    frame.write_csv(tmp_path / "iris.csv")
    lp.train(tmp_path / "iris.csv", out=tmp_path / "run", baselines=False, report=False, epochs=1)
    frame.with_columns(species=frame["species"].str.to_uppercase()).write_csv(tmp_path / "iris.csv")
    checks = {check.name: check.outcome for check in check_run(tmp_path / "run")}
    assert checks["data"] == "failed"
    assert checks["predictions"] == "skipped"
