"""The mean of the weights over the epochs: its formula, and that it goes wherever the weights go."""

import importlib.util
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification

import limpide as lp
from limpide.averaging import Averaged
from limpide.engines.base import get_engine
from limpide.estimators import NetworkClassifier
from limpide.export import export
from limpide.job import prepare
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import SGD
from limpide.progress import last_state
from limpide.recipe import Recipe
from limpide.reopening import reopen
from limpide.training import Fit, fit, resume
from limpide.verification import check_run

NETWORK = "6 relu, batchnorm, dropout 0.1"
OPTIONS = {"network": NETWORK, "epochs": 7, "average": 0.8, "engine": "numpy", "seed": 5}
QUIET = {"baselines": False, "report": False}


def own_weights(**options):
    """The trainer's own weights at the end of each epoch."""
    training = fit("iris", **{**OPTIONS, **options})
    return training, [training.trainer.weights() for _epoch in training]


def by_the_formula(share, each):
    """The mean in double precision: epoch k of t counts (1 - a) a^(t - k) / (1 - a^t)."""
    t = len(each)
    counts = [(1 - share) * share ** (t - k) / (1 - share**t) for k in range(1, t + 1)]
    assert sum(counts) == pytest.approx(1)
    names = each[0].keys()
    return {name: sum(c * w[name].astype(float) for c, w in zip(counts, each, strict=True)) for name in names}


def assert_same(weights, others):
    assert weights.keys() == others.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, others[name])


def opener(network, weights):
    return partial(get_engine("numpy").trainer, network, LOSSES["mse"], weights=weights, precision="float64")


@settings(max_examples=30)
@given(st.floats(0.01, 0.99), st.integers(1, 12), st.integers(0, 99))
def test_the_mean_is_that_of_the_closed_formula(share, n_epochs, seed):
    rng, network = np.random.default_rng(seed), Network.parse("3, 2 tanh, batchnorm, 1")
    first = network.initialize(rng)
    averaged = Averaged(opener(network, first), SGD(), share)
    assert_same(averaged.weights(), averaged.trainer.weights())
    each = []
    for _epoch in range(n_epochs):
        state = {name: rng.normal(size=array.shape) for name, array in averaged.trainer.state().items()}
        averaged.trainer.load_state({**state, "step": np.array(0)})
        each.append(averaged.trainer.weights())
        averaged.take(averaged.trainer.state())
        if len(each) == 1:
            assert_same(averaged.weights(), each[0])
    for name, expected in by_the_formula(share, each).items():
        np.testing.assert_allclose(averaged.weights()[name], expected, rtol=1e-9, atol=1e-12)


def test_the_mean_is_pytorchs_once_its_start_is_corrected():
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = torch.nn.BatchNorm1d(4).double()
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8), use_buffers=True)
    network = Network.parse("4, batchnorm")
    first = network.initialize(np.random.default_rng(0))
    ours = Averaged(opener(network, first), SGD(), 0.8)
    names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    seen = []
    for t in range(1, 7):
        drawn = {name: torch.randn(4, dtype=torch.float64) for name in names.values()}
        model.load_state_dict({**drawn, "num_batches_tracked": torch.tensor(t)})
        theirs.update_parameters(model)
        own = {name: drawn[other].numpy() for name, other in names.items()}
        seen.append(own)
        params = np.concatenate([own[slot.key] for slot in network.slots])
        buffers = {f"buffer/0.batchnorm.{name}": own[name] for name in ("mean", "variance")}
        ours.take({"params": params, **buffers, "step": np.array(t)})
        # PyTorch begins with the first weights, as if they had always been there: a^(t - 1) of its mean is theirs
        begun = 0.8 ** (t - 1)
        for name, other in names.items():
            held = theirs.module.state_dict()[other].numpy()
            corrected = (held - begun * seen[0][name] + (1 - 0.8) * begun * seen[0][name]) / (1 - 0.8**t)
            np.testing.assert_allclose(ours.weights()[f"0.batchnorm.{name}"], corrected, rtol=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "compiled", "torch"])
def test_a_training_is_measured_with_the_mean_and_keeps_it(engine):
    if engine != "numpy":
        pytest.importorskip({"compiled": "numba", "torch": "torch"}[engine])
    training, each = own_weights(engine=engine)
    for name, expected in by_the_formula(0.8, each).items():
        np.testing.assert_allclose(training.weights()[name], expected, rtol=1e-4, atol=1e-6)
    job, last = training.job, training.history[-1]
    for part, told in (("train", last.train_loss), ("validation", last.validation_loss)):
        rows = job.parts[part]
        outputs = get_engine("numpy").forward(job.network, training.weights(), rows.x.astype(np.float32))
        assert job.loss.mean(outputs, rows.y) == pytest.approx(told, rel=1e-5)
    run = training.run(baselines=False)
    assert run.history[run.stop.best_epoch - 1].validation_loss == run.stop.best_loss
    if run.stop.best_epoch == len(each):
        assert_same(run.weights, training.weights())


def test_the_updates_know_nothing_of_the_mean():
    _training, with_mean = own_weights()
    plain, without = own_weights(average=0.0)
    for one, other in zip(with_mean, without, strict=True):
        assert_same(one, other)
    assert_same(plain.weights(), without[-1])


def test_without_a_mean_nothing_of_a_run_is_other_than_before(tmp_path):
    never = lp.train("iris", out=tmp_path / "never", **QUIET, **{**OPTIONS, "average": None})
    none = lp.train("iris", out=tmp_path / "none", **QUIET, **{**OPTIONS, "average": 0.0})
    assert_same(never.weights, none.weights)
    for one, other in zip(never.history, none.history, strict=True):
        assert {**one.to_dict(), "seconds": 0} == {**other.to_dict(), "seconds": 0}
    assert never.stop == none.stop
    assert "average" not in json.dumps(json.loads((tmp_path / "never" / "metrics.json").read_text())["stop"])
    assert not [name for name in fit("iris", **{**OPTIONS, "average": None}).state()[0] if name.startswith("mean/")]


def test_recipes_of_before_keep_their_hash():
    recipe = Recipe.from_options("iris", epochs=3)
    assert recipe.hash() == "e250973324b7cc05b3047c36c155ad66c3593fa736a602f02b08fe77c2fff484"
    assert len({recipe.replace(average=share).hash() for share in (None, 0.0, 0.5)}) == 3
    assert len({recipe.replace(shift=pixels).hash() for pixels in (None, 0, 2)}) == 3
    whole = recipe.replace(network="8 relu, 3")
    assert whole.hash() == whole.replace(shift=0).hash()


def test_the_mean_is_taken_where_limpide_says_how_long_to_train():
    for options, share in (
        ({}, 0.8),
        ({"network": "4 relu", "optimizer": "sgd"}, 0.8),
        ({"epochs": 5}, None),
        ({"patience": 5}, None),
        ({"schedule": "cosine"}, None),
        ({"epochs": 5, "average": 0.5}, 0.5),
        ({"average": 0.0}, 0.0),
    ):
        job = prepare("iris", **options)
        assert job.recipe.training.average == share, options
        assert ("training.average" in {made.what for made in job.inferences}) == (share == 0.8)
        # a run's recipe redoes the run
        assert prepare(job.recipe).recipe.training.average == share


def test_what_is_kept_is_said(tmp_path):
    run = lp.train("iris", out=tmp_path / "run", baselines=False, **OPTIONS)
    assert run.stop.sentence().endswith(f"; the mean of the weights up to epoch {run.stop.best_epoch} is kept")
    said = "0.8 of the mean so far and 0.2 of the weights then"
    assert [note for note in run.notes if note.text.endswith(said)]
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert said in report
    again = lp.load(tmp_path / "run")
    assert again.stop == run.stop
    assert f"the mean of the weights up to epoch {run.stop.best_epoch}" in str(again.explain(row=3))


def killed(monkeypatch, folder, epoch):
    """A training that dies after an epoch, leaving its folder as a kill would."""
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")

    class Killed(BaseException):
        pass

    def die(_training, done):
        if done is not None and done.epoch == epoch:
            raise Killed

    with pytest.raises(Killed):
        lp.train("iris", out=folder, watch=die, **QUIET, **OPTIONS)


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch):
    whole = lp.train("iris", out=tmp_path / "whole", **QUIET, **OPTIONS)
    killed(monkeypatch, tmp_path / "run", 3)
    resumed = resume(tmp_path / "run", **QUIET)
    assert_same(whole.weights, resumed.weights)
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert {**one.to_dict(), "seconds": 0} == {**other.to_dict(), "seconds": 0}
    assert (whole.stop, whole.recipe, whole.notes) == (resumed.stop, resumed.recipe, resumed.notes)
    assert {check.outcome for check in check_run(tmp_path / "run", redo=True, quick=True)} == {"ok"}


def test_a_state_that_forgot_the_mean_would_be_found_out(tmp_path, monkeypatch):
    whole = lp.train("iris", save=False, baselines=False, **OPTIONS)
    killed(monkeypatch, tmp_path / "run", 3)
    arrays, facts = last_state(tmp_path / "run")
    forgot = Fit(prepare("iris", **OPTIONS))
    fresh = {name: array for name, array in forgot.state()[0].items() if name.startswith("mean/")}
    assert fresh.keys() == {name for name in arrays if name.startswith("mean/")}
    forgot.load_state({**arrays, **fresh}, facts)
    history = [epoch.validation_loss for epoch in [*forgot.history, *forgot]]
    assert history != [epoch.validation_loss for epoch in whole.history]


def test_steps_and_epochs_take_the_same_mean():
    by_epochs, by_steps = fit("iris", **OPTIONS), fit("iris", **OPTIONS)
    assert len(list(by_epochs)) == 7
    for step in by_steps.steps():
        if step.update == 10:
            # left in the middle of an epoch, which then starts again
            break
    list(by_steps.steps())
    assert_same(by_epochs.weights(), by_steps.weights())
    assert by_epochs.best_loss == by_steps.best_loss


def test_a_training_that_breaks_falls_back_on_the_mean_before():
    training = fit("iris", **OPTIONS)
    epochs = iter(training)
    for _epoch in range(3):
        next(epochs)
    before = training.weights()
    broken = training.trainer.state()
    broken["params"][:] = np.inf
    training.trainer.load_state(broken)
    assert list(epochs) == []
    assert training.stop.reason == "diverged"
    assert_same(training.weights(), before)
    assert all(np.isfinite(array).all() for array in training.state()[0].values())


def test_a_walk_comes_by_the_weights_that_were_kept(tmp_path):
    run = lp.train("iris", out=tmp_path / "run", **QUIET, **OPTIONS)
    walk = reopen(lp.load(run.path)).walk
    assert (walk.gap, walk.is_mean) == (0, True)
    training, each = own_weights()
    assert_same(walk.weights[-1], training.weights())
    assert any((walk.weights[-1][name] != array).any() for name, array in each[-1].items())
    # a step is one of the trainer's own weights, not of their mean
    opened = run.explain(epoch=5, step=1).step.before
    assert_same({name: opened[name] for name in each[3]}, each[3])


def test_an_export_predicts_as_the_mean_does(tmp_path):
    run = lp.train("iris", save=False, baselines=False, **OPTIONS)
    program, _weights = export(run, "numpy", tmp_path / "model.py")
    spec = importlib.util.spec_from_file_location("exported", program)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    rows = lp.open_source("iris").inputs[run.test_rows]
    cells = [{name: str(cell) for name, cell in row.items()} for row in rows.to_dicts()]
    outputs = exported.forward(exported.prepare(cells))
    np.testing.assert_allclose(exported.probabilities(outputs), run.test_outputs, atol=1e-6)


def test_an_estimator_keeps_the_mean_and_goes_on_with_it():
    x, y = make_classification(200, random_state=0)
    model = NetworkClassifier(NETWORK, average=0.8, epochs=6, random_state=0)
    plain = NetworkClassifier(NETWORK, average=0.0, epochs=6, random_state=0)
    assert model.fit(x, y).loss_curve_ == plain.fit(x, y).loss_curve_
    assert model.validation_loss_curve_ != plain.validation_loss_curve_
    for options, share in (({}, 0.8), ({"epochs": 3}, None), ({"validation": None}, None)):
        chosen = NetworkClassifier("2 relu", random_state=0, **options)
        assert chosen.fit(x[:60], y[:60]).recipe_.training.average == share


def test_passes_over_rows_take_the_mean_of_all_passes():
    x, y = make_classification(200, random_state=0)
    model = NetworkClassifier(NETWORK, average=0.8, random_state=0)
    plain = NetworkClassifier(NETWORK, random_state=0)
    each = []
    for _pass in range(4):
        model.partial_fit(x, y, classes=[0, 1])
        each.append(plain.partial_fit(x, y, classes=[0, 1]).weights_)
    assert plain.recipe_.training.average is None
    for name, expected in by_the_formula(0.8, each).items():
        np.testing.assert_allclose(model.weights_[name], expected, rtol=1e-4, atol=1e-6)
