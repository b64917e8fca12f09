"""The doctor beside a training and on a run: what it measures is what happened, and it changes nothing."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.doctor import measures
from limpide.doctor.measures import count_units, open_step
from limpide.doctor.watch import FILE, read_records, scheduled
from limpide.errors import RunError
from limpide.nn.layers import EVALUATION
from limpide.nn.network import Network, Parameters, forward

SICK = {"optimizer": "sgd", "rate": 1e-5, "epochs": 10, "engine": "numpy", "baselines": False, "report": False}


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """A training that is too slow, watched; its doctor and its run."""
    doctor = lp.Doctor()
    run = lp.train("iris", watch=doctor, out=tmp_path_factory.mktemp("runs") / "sick", **SICK)
    doctor.keep(run)
    return doctor, run


@pytest.mark.parametrize("source", ["iris", "line", "two-scales?samples=300"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_healthy_source_raises_no_alarm(source, seed):
    doctor = lp.Doctor()
    lp.train(source, watch=doctor, seed=seed, save=False, baselines=False, engine="numpy", epochs=100)
    assert doctor.checkup.findings == ()
    assert "nothing wrong" in doctor.checkup.summary()


def test_watching_changes_no_bit_of_the_training(sick):
    _doctor, run = sick
    alone = lp.train("iris", save=False, **SICK)
    assert all(np.array_equal(array, alone.weights[name]) for name, array in run.weights.items())


def test_the_ratio_is_that_of_the_update_really_made():
    # the batch is every training row: the step that is opened is the one that is made
    fit = lp.fit("iris", epochs=1, engine="numpy", batch_size=98, network="8 silu")
    before, record = fit.trainer.weights(), open_step(fit.trainer, fit.job, 0, 0)
    next(fit.steps())
    after = fit.trainer.weights()
    for layer in record.layers:
        name = f"{layer.path}.W"
        moved = np.linalg.norm(after[name] - before[name])
        assert layer.update == pytest.approx(moved, rel=1e-3)
        assert layer.weight == pytest.approx(np.linalg.norm(before[name]), rel=1e-5)
        assert layer.ratio == pytest.approx(moved / np.linalg.norm(before[name]), rel=1e-3)


def test_a_unit_is_dead_only_when_negative_on_every_row(monkeypatch):
    network = Network.parse("1, 3 relu, 2 tanh, 1")
    weights = network.initialize(np.random.default_rng(0))
    weights["0.dense.W"][:] = [[1.0, 1.0, 1.0]]
    # of rows from 0 to 9: never above zero, above it on one row alone, above it on all but one
    weights["0.dense.b"][:] = [-9.5, -8.5, -0.5]
    weights["2.dense.W"][:] = [[0.0, 0.0], [0.0, 0.0], [20.0, 0.1]]
    weights["2.dense.b"][:] = [0.0, 0.0]
    x = np.arange(10.0)[:, None]
    monkeypatch.setattr(measures, "_BLOCK_NUMBERS", 9)
    relu, tanh = count_units(network, weights, x)
    assert (relu.dead, relu.n, relu.rows, relu.saturated) == (1, 3, 10, 0)
    assert (tanh.dead, tanh.saturated) == (0, 1)


def test_a_channel_is_dead_only_when_negative_at_every_place():
    network = Network.parse("1x4x4, conv 2 3x3 relu, flatten, 1")
    weights = network.initialize(np.random.default_rng(0))
    weights["0.conv.K"][:] = 0.0
    weights["0.conv.b"][:] = [-1.0, -1.0]
    weights["0.conv.K"][1, 0, 0, 0] = 2.0
    x = np.zeros((5, 1, 4, 4))
    x[3, 0, 1, 1] = 1.0
    (units,) = count_units(network, weights, x)
    assert (units.n, units.dead) == (2, 1)
    _y, outs = forward(network, Parameters.of(network, weights, np.float64).layers, x, [EVALUATION] * 4)
    assert (outs[1].y.max((0, 2, 3)) > 0).tolist() == [False, True]


def test_steps_are_opened_at_powers_of_the_root_of_two():
    assert sorted(scheduled(100)) == [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91]
    assert scheduled(0) == set()


def test_the_steps_opened_are_kept_with_the_run(sick):
    doctor, run = sick
    assert [record.epoch for record in doctor.records] == [0, 1, 2, 3, 4, 6, 8, 10]
    assert read_records(run) == doctor.records
    assert json.loads((run.path / FILE).read_text())["format"] == 1


def test_findings_stand_in_the_notes_of_the_run(sick):
    doctor, run = sick
    assert doctor.checkup.names == ["rate-too-low"]
    (finding,) = doctor.checkup.findings
    assert finding.note() in run.notes
    assert finding.note() in lp.load(run.path).notes


def test_a_run_says_the_same_watched_or_not(sick):
    doctor, run = sick
    assert lp.diagnose(run.path).names == doctor.checkup.names
    (run.path / FILE).rename(run.path / "away")
    try:
        unwatched = lp.diagnose(run)
    finally:
        (run.path / "away").rename(run.path / FILE)
    assert unwatched.names == doctor.checkup.names
    assert unwatched.findings[0].numbers["suggested"] == doctor.checkup.findings[0].numbers["suggested"]


def test_a_run_of_another_engine_is_measured_by_the_reference(sick):
    _doctor, run = sick
    other = replace(run, recipe=run.recipe.with_values({"engine": "torch", "precision": "mixed"}), path=None)
    assert lp.diagnose(other).names == ["rate-too-low"]


def test_the_beginning_is_not_invented_where_other_weights_were_given():
    given = {"0.dense.W": np.zeros((4, 6)), "0.dense.b": np.ones(6) * 3}
    run = lp.train("iris", network="6 tanh", weights=given, save=False, **(SICK | {"rate": 0.01}))
    kept = run.history[run.stop.best_epoch - 1].updates
    assert lp.diagnose(run).basis.endswith(f"after so many others: {kept}")


def test_a_frame_is_given_again():
    frame = pl.DataFrame({"a": [i / 50 - 1 for i in range(100)], "y": [3.0 * i for i in range(100)]})
    options = {**SICK, "rate": 0.1, "epochs": 30, "target": "y", "scale_target": False}
    with pytest.raises(lp.LimpideError, match="NaN or Inf"):
        lp.train(frame, save=False, **options)
    run = lp.train(frame, save=False, **(options | {"rate": 1e-4}))
    assert "unscaled-target" in lp.diagnose(run, frame).names
    with pytest.raises(RunError, match="have changed since"):
        lp.diagnose(run, frame.head(90))


def test_a_training_that_breaks_at_once_has_its_findings():
    doctor = lp.Doctor()
    with pytest.raises(lp.LimpideError):
        lp.train("production-costs?samples=200", scale_target=False, watch=doctor, save=False, **(SICK | {"rate": 0.1}))
    assert {"unscaled-target", "divergence"} <= set(doctor.checkup.names)


def test_a_doctor_who_saw_nothing_says_so():
    with pytest.raises(RunError, match="a training that has begun"):
        _checkup = lp.Doctor().checkup


def test_a_checkup_shows_itself(sick):
    doctor, _run = sick
    shown = doctor.checkup._repr_html_()
    assert "rate too low" in shown
    assert "1 finding, of" in str(doctor.checkup)
    assert doctor.checkup.to_dict()["findings"][0]["name"] == "rate-too-low"
