"""Training: the same path whatever the way it is walked, honest measures, and nothing lost when it ends early."""

import json
import math
import signal
import threading

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.errors import DataError, Diverged, LimpideError, RecipeError, RunError, ShapeError, UnknownName
from limpide.evaluation import quick_metrics
from limpide.gauges import Gauge
from limpide.history import Stop
from limpide.job import prepare
from limpide.nn.losses import LOSSES
from limpide.progress import STATE

SMALL = {"network": "8 relu, dropout 0.2, 8 relu, batchnorm", "epochs": 6, "patience": 0}


@pytest.fixture(scope="module")
def iris_run():
    return lp.train("iris", save=False, baselines=False, epochs=30)


def test_fit_is_an_iterator_and_break_stops_it():
    training = lp.fit("iris", epochs=10)
    for epoch in training:
        if epoch.epoch == 3:
            break
    run = training.run(baselines=False)
    assert len(run.history) == 3
    assert run.stop.reason == "stopped"


def test_walking_by_steps_is_walking_by_epochs():
    by_epochs, by_steps = lp.fit("wine", **SMALL), lp.fit("wine", **SMALL)
    epochs = list(by_epochs)
    losses = [step.loss for step in by_steps.steps()]
    assert len(losses) == epochs[-1].updates
    for a, b in zip(epochs, by_steps.history, strict=True):
        assert {**a.to_dict(), "seconds": 0} == {**b.to_dict(), "seconds": 0}
    for name, array in by_epochs.trainer.weights().items():
        np.testing.assert_array_equal(array, by_steps.trainer.weights()[name])


def test_the_same_recipe_gives_the_same_bits_and_another_seed_does_not():
    runs = [lp.train("iris", save=False, baselines=False, seed=seed, **SMALL) for seed in (5, 5, 6)]
    for name, array in runs[0].weights.items():
        np.testing.assert_array_equal(array, runs[1].weights[name])
    assert any(not np.array_equal(array, runs[2].weights[name]) for name, array in runs[0].weights.items())
    again = lp.train(runs[0].recipe, save=False, baselines=False)
    for name, array in runs[0].weights.items():
        np.testing.assert_array_equal(array, again.weights[name])


def test_train_and_validation_are_measured_alike_at_the_end_of_the_epoch():
    training = lp.fit("diabetes", **SMALL)
    for epoch in training:
        job = training.job
        for name, loss, metrics in (
            ("train", epoch.train_loss, epoch.train),
            ("validation", epoch.validation_loss, epoch.validation),
        ):
            rows = job.parts[name]
            raw = training.trainer.evaluate(rows.x)
            assert loss == job.loss.mean(raw, rows.y)
            assert metrics == quick_metrics("regression", rows.truth, job.target.decode(raw))


def test_the_running_loss_weighs_the_last_small_batch_by_its_size():
    training = lp.fit("iris", epochs=1, batch_size=64)
    losses, sizes = [], []
    n = len(training.job.parts["train"].x)
    for step in training.steps():
        losses.append(step.loss)
        sizes.append(min(64, n - 64 * len(sizes)))
    assert sizes[-1] < 64
    assert training.history[0].running_loss == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)


def test_early_stopping_returns_the_weights_of_the_lowest_validation_loss():
    training = lp.fit("breast-cancer", rate=0.03, epochs=200, patience=4)
    kept = {}
    for epoch in training:
        kept[epoch.epoch] = training.trainer.weights()
    run = training.run(baselines=False)
    best = min(run.history, key=lambda epoch: epoch.validation_loss)
    assert run.stop.reason == "patience"
    assert run.stop.best_epoch == best.epoch
    assert len(run.history) == best.epoch + 4
    for name, array in run.weights.items():
        np.testing.assert_array_equal(array, kept[best.epoch][name])


def test_preparation_never_sees_validation_or_test_rows():
    dataset = lp.open_source("wine")
    job = prepare(dataset)
    changed = dataset.inputs.with_row_index("i").with_columns(
        pl.when(pl.col("i").is_in(job.split.train)).then(pl.col(name)).otherwise(pl.col(name) * 100 + 7).alias(name)
        for name in dataset.inputs.columns
    )
    from dataclasses import replace

    other = prepare(replace(dataset, inputs=changed.drop("i")))
    np.testing.assert_array_equal(job.split.train, other.split.train)
    assert job.preparation.to_dict() == other.preparation.to_dict()


def test_the_three_parts_share_no_row():
    job = prepare("digits")
    rows = np.concatenate([job.split.train, job.split.validation, job.split.test])
    assert sorted(rows) == list(range(len(job.dataset)))


def test_divergence_in_the_first_epoch_names_layer_tensor_and_update():
    with pytest.raises(Diverged) as caught:
        lp.train("diabetes", save=False, optimizer="sgd", rate=1e30, epochs=5)
    (line,) = caught.value.problems
    assert line.startswith("update ")
    assert "layer" in line
    assert "lower rate (it is 1e+30)" in line


def test_one_epoch_is_told_in_the_singular():
    assert Stop("epochs", 1, 1, 0.5).sentence() == "the one epoch done; the weights of epoch 1 are kept"
    assert Stop("epochs", 3, 3, 0.5).sentence() == "all 3 epochs done; the weights of epoch 3 are kept"


def test_divergence_later_keeps_the_last_good_weights():
    training = lp.fit("diabetes", optimizer="sgd", rate=0.01, epochs=50, patience=0)
    for epoch in training:
        if epoch.epoch == 5:
            # 1e20 times 1e20 overflows float32 in the second dense layer
            training.trainer.parameters.flat[:] *= 1e20
            training._state = training.trainer.state()
    run = training.run(baselines=False)
    assert run.stop.reason == "diverged"
    assert run.stop.best_epoch <= 5
    assert "layer 2.dense, output" in run.stop.place
    assert all(np.isfinite(array).all() for array in run.weights.values())
    assert "diverged in epoch 6" in run.stop.sentence()


def test_ctrl_c_keeps_the_best_weights(tmp_path):
    def press(training, epoch):
        if epoch is not None and epoch.epoch == 4:
            signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    run = lp.train("iris", out=tmp_path / "run", baselines=False, report=False, epochs=100, watch=press)
    assert run.stop.reason == "interrupted"
    assert len(run.history) == 4
    assert lp.load(tmp_path / "run").stop == run.stop


def test_ctrl_c_before_the_first_epoch_writes_nothing(tmp_path):
    def press(training, epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lp.train("iris", out=tmp_path / "run", watch=press)
    assert list(tmp_path.iterdir()) == []


def test_a_run_comes_back_from_its_folder_as_it_was(tmp_path):
    run = lp.train("wine", out=tmp_path / "run", epochs=15)
    again = lp.load(tmp_path / "run")
    assert again.recipe == run.recipe
    assert again.network == run.network
    assert again.history == run.history
    assert again.stop == run.stop
    assert again.evaluations == run.evaluations
    assert again.baselines == run.baselines
    for name in ("verdict", "inferences", "notes", "columns", "examples", "environment", "class_counts", "split_sizes"):
        assert getattr(again, name) == getattr(run, name), name
    np.testing.assert_array_equal(again.test_outputs, run.test_outputs)
    frame = lp.open_source("wine").inputs
    assert again.predict(frame).equals(run.predict(frame))
    names = {place.name for place in (tmp_path / "run").iterdir()}
    assert names == {
        "recipe.toml", "model.safetensors", "history.jsonl", "metrics.json", "test.safetensors", "report.html",
    }  # fmt: skip


def test_the_recipe_of_a_run_redoes_it(tmp_path):
    first = lp.train("iris", out=tmp_path / "1", baselines=False, report=False, epochs=8)
    second = lp.train(tmp_path / "1" / "recipe.toml", out=tmp_path / "2", baselines=False, report=False)
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, second.weights[name])


def test_a_run_is_never_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(RunError, match="a new or empty folder"):
        lp.train("iris", out=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_a_folder_that_is_no_run_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(RunError, match="no folder; train one"):
        lp.load(tmp_path / "missing")
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match=r"one without metrics\.json"):
        lp.load(tmp_path / "other")
    (tmp_path / "other" / STATE).write_bytes(b"")
    with pytest.raises(RunError, match=r"got one with an unfinished training; go on with it: limpide resume .*other$"):
        lp.load(tmp_path / "other")


def test_a_damaged_run_says_so(tmp_path):
    lp.train("iris", out=tmp_path / "run", baselines=False, report=False, epochs=2)
    metrics = tmp_path / "run" / "metrics.json"
    held = metrics.read_text()
    metrics.write_text(held[: len(held) // 2])
    with pytest.raises(RunError, match="expected whole JSON"):
        lp.load(tmp_path / "run")
    newer = {**json.loads(held), "format": 99}
    metrics.write_text(json.dumps(newer))
    with pytest.raises(RunError, match="install a newer limpide"):
        lp.load(tmp_path / "run")


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    run = lp.train("iris", save=False, baselines=False, epochs=2)

    def full(*_arguments, **_options):
        raise OSError("no space left on device")

    monkeypatch.setattr("limpide.runs.write_arrays", full)
    with pytest.raises(RunError, match="no space left"):
        run.save(tmp_path / "run", report=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["iris", "breast-cancer", "diabetes", "digits", "moons", "calculator"])
def test_every_kind_of_task_trains_with_no_word_of_advice(source):
    run = lp.train(source, save=False, baselines=False, epochs=3)
    assert run.task in ("regression", "binary", "multiclass")
    assert all(math.isfinite(epoch.validation_loss) for epoch in run.history)
    keys = {inference.what for inference in run.inferences}
    assert {"data.task", "network.layers", "training.loss", "optimizer.rate"} <= keys
    assert all(inference.why for inference in run.inferences)


@pytest.mark.parametrize("task_source", ["breast-cancer", "iris"])
def test_a_network_that_ends_in_probabilities_gets_the_loss_for_them(task_source):
    end = {"breast-cancer": "8 relu, 1 sigmoid", "iris": "8 relu, 3 softmax"}[task_source]
    plain = {"breast-cancer": "8 relu, 1", "iris": "8 relu, 3"}[task_source]
    with_end = lp.train(task_source, save=False, baselines=False, network=end, epochs=5, precision="float64")
    without = lp.train(task_source, save=False, baselines=False, network=plain, epochs=5, precision="float64")
    assert LOSSES[with_end.recipe.training.loss].expects == "probabilities"
    np.testing.assert_allclose(with_end.test_outputs, without.test_outputs, atol=1e-9)


def test_softmax_twice_is_refused_with_the_reason():
    with pytest.raises(RecipeError, match="24 points of accuracy"):
        prepare("iris", network="8 relu, 3 softmax", loss="cross_entropy")


def test_a_loss_for_another_task_is_refused():
    with pytest.raises(RecipeError, match="a loss for a regression target"):
        prepare("diabetes", loss="cross_entropy")


def test_a_network_of_the_wrong_size_names_both_sizes():
    with pytest.raises(ShapeError, match="network, output: expected 3, got 4"):
        prepare("iris", network="8 relu, 4")
    with pytest.raises(ShapeError, match="network, input: expected 4, got 5"):
        prepare("iris", network="5, 8 relu, 3")


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UnknownName, match='did you mean "iris"'):
        prepare("irsi")
    with pytest.raises(UnknownName, match="unknown name"):
        prepare("iris", target="specis")
    with pytest.raises(LimpideError, match='did you mean "numpy"'):
        prepare("iris", engine="nunpy")


def test_nothing_to_train_on_is_told_as_such():
    """None is what pandas gives for `frame.dropna(inplace=True)`."""
    with pytest.raises(DataError, match=r"^data: expected a file, .* or a recipe, got nothing$"):
        lp.train(None)


def test_predictions_are_in_the_targets_own_words_and_unit(iris_run):
    frame = lp.open_source("iris").inputs
    predictions = iris_run.predict(frame)
    assert set(predictions["prediction"]) <= set(iris_run.target.labels)
    probabilities = predictions.select(pl.col("^P\\(.*$")).to_numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(predictions["confidence"], probabilities.max(1))
    costs = lp.train("production-costs", save=False, baselines=False, epochs=40)
    predicted = costs.predict(lp.open_source("production-costs").inputs)["prediction"].to_numpy()
    truth = lp.open_source("production-costs").target.to_numpy()
    assert quick_metrics("regression", truth, predicted)["r2"] > 0.9


def test_one_row_is_predicted_as_among_many(iris_run):
    frame = lp.open_source("iris").inputs
    one = iris_run.predict([frame.row(7, named=True)])
    np.testing.assert_allclose(one["confidence"][0], iris_run.predict(frame)["confidence"][7], rtol=1e-5)


def test_evaluating_the_test_rows_again_gives_the_measures_of_the_run(iris_run):
    dataset = lp.open_source("iris")
    rows = iris_run.test_rows
    frame = dataset.inputs[rows].with_columns(dataset.target[rows].alias(iris_run.target.name))
    measured = iris_run.evaluate(frame)
    assert measured.confusion == iris_run.test.confusion
    assert measured.metrics["accuracy"].value == iris_run.test.metrics["accuracy"].value


def test_the_test_set_is_measured_once_after_the_training(monkeypatch):
    seen = []
    read = Gauge.read
    monkeypatch.setattr(Gauge, "read", lambda self, outputs: (seen.extend(map(len, outputs)), read(self, outputs))[1])
    run = lp.train("iris", save=False, baselines=False, epochs=4)
    n = run.split_sizes
    assert seen == [n["train"], n["validation"]] * 4


def test_frames_of_pandas_polars_and_pyarrow_train_alike():
    dataset = lp.open_source("iris")
    frame = dataset.inputs.with_columns(dataset.target.alias("species"))
    runs = [
        lp.train(given, target="species", save=False, baselines=False, epochs=3)
        for given in (frame, frame.to_pandas(), frame.to_arrow())
    ]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.test_outputs, runs[0].test_outputs)


def test_a_metric_that_is_undefined_is_none_and_not_nan(tmp_path):
    frame = pl.DataFrame({"x": [float(i) for i in range(40)], "y": [1.5] * 20 + [2.5] * 12 + [3.0] * 8})
    run = lp.train(frame, target="y", task="regression", split="ordered", validation=0.2, test=0.2,
                   epochs=2, baselines=False, report=False, out=tmp_path / "run")  # fmt: skip
    assert run.history[0].validation["r2"] is None
    assert "NaN" not in (tmp_path / "run" / "history.jsonl").read_text()
    assert lp.load(tmp_path / "run").history == run.history
    run.report()


def test_ctrl_c_while_baselines_are_fitted_keeps_the_training(tmp_path, monkeypatch):
    def press(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("limpide.results.fit_baselines", press)
    run = lp.train("iris", out=tmp_path / "run", epochs=2, report=False)
    assert run.baselines == {}
    assert len(lp.load(tmp_path / "run").history) == 2


def test_images_are_predicted_by_the_name_of_their_file(tmp_path, rng):
    from PIL import Image

    for label, light in (("dark", 40), ("light", 220)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(20):
            pixels = rng.normal(light, 20, (9, 9)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{i}.png")
    run = lp.train(tmp_path / "photos", save=False, baselines=False, epochs=15)
    assert run.task == "binary"
    predictions = run.predict(tmp_path / "photos" / "light")
    assert predictions["image"].to_list()[:3] == ["0.png", "1.png", "2.png"]
    assert (predictions["prediction"] == "light").mean() > 0.9


def test_a_training_may_start_from_given_weights(rng):
    W = rng.normal(size=(4, 8))
    training = lp.fit("iris", network="8 relu", epochs=1, weights={"0.dense.W": W})
    np.testing.assert_array_equal(training.trainer.weights()["0.dense.W"], W.astype(np.float32))
    list(training)
    run = training.run(baselines=False)
    assert any("does not redo this run" in note.text for note in run.notes)
    with pytest.raises(ShapeError, match=r"0\.dense\.W: expected 4×8, got 3×8"):
        lp.fit("iris", network="8 relu", weights={"0.dense.W": W[1:]})
    with pytest.raises(UnknownName, match=r'given weights: unknown name "0\.dense\.w"'):
        lp.fit("iris", network="8 relu", weights={"0.dense.w": W})


def test_fewer_training_rows_leave_the_others_alone_and_stand_one_in_the_other():
    whole, some, few = (prepare("iris", training_rows=rows) for rows in (None, 40, 10))
    assert few.sizes["train"] == 10
    assert set(few.split.train) < set(some.split.train) < set(whole.split.train)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(few.split, part), getattr(whole.split, part))
    assert any("10 of the" in note.text for note in few.notes)
    # layer 0 is fitted on what is learned from alone
    assert abs(few.parts["train"].x.mean()) < 1e-6 < abs(whole.parts["train"].x[:10].mean())
    assert prepare("iris", training_rows=10_000).sizes == whole.sizes
