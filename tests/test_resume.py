"""Nothing is lost: a training killed at any moment goes on to the very same run."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide import runs
from limpide.errors import Diverged, RunError
from limpide.progress import Progress, unfinished
from limpide.training import Fit, resume
from limpide.verification import check_run

OPTIONS = {"network": "8 relu, dropout 0.2, batchnorm, 8 tanh", "epochs": 12, "patience": 5, "optimizer": "adamw"}


def assert_same_run(a, b):
    for name, array in a.weights.items():
        np.testing.assert_array_equal(array, b.weights[name])
    for one, other in zip(a.history, b.history, strict=True):
        assert {**one.to_dict(), "seconds": 0} == {**other.to_dict(), "seconds": 0}
    np.testing.assert_array_equal(a.test_outputs, b.test_outputs)
    assert a.stop == b.stop
    assert a.inferences == b.inferences
    assert a.recipe == b.recipe
    assert a.notes == b.notes


class Killed(BaseException):
    """Like a kill: nothing in the library may catch it and tidy up."""


def killed_at(monkeypatch, folder, epoch_to_die, source="wine", **options):
    """A training that dies after an epoch, leaving its folder as a kill would."""
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")

    def die(_training, epoch):
        if epoch is not None and epoch.epoch == epoch_to_die:
            raise Killed

    with pytest.raises(Killed):
        lp.train(source, out=folder, watch=die, baselines=False, report=False, **options)


@pytest.mark.parametrize("epoch", [1, 4, 11])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch, epoch):
    whole = lp.train("wine", out=tmp_path / "whole", baselines=False, report=False, **OPTIONS)
    if epoch >= len(whole.history):
        pytest.skip("the training stopped before")
    killed_at(monkeypatch, tmp_path / "killed", epoch, **OPTIONS)
    assert unfinished(tmp_path) == [tmp_path / "killed"]
    resumed = resume(tmp_path / "killed", baselines=False, report=False)
    assert_same_run(whole, resumed)
    assert_same_run(whole, lp.load(tmp_path / "killed"))
    files = [sorted(place.name for place in (tmp_path / name).iterdir()) for name in ("whole", "killed")]
    assert files[0] == files[1]
    for name in ("recipe.toml", "model.safetensors", "test.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_real_processes_killed_at_random_moments_resume_to_the_same_run(tmp_path):
    whole = lp.train("moons", out=tmp_path / "whole", baselines=False, report=False, epochs=40, patience=0)
    command = [sys.executable, "-m", "limpide", "train", "moons", "--epochs", "40", "--patience", "0",
               "--no-baselines", "--no-report", "--quiet", "--out"]  # fmt: skip
    environment = os.environ | {"LIMPIDE_CHECKPOINT_SECONDS": "0", "LIMPIDE_LANG": "en"}
    draw = random.Random(7)
    n_resumed = 0
    for i in range(5):
        folder = tmp_path / f"killed-{i}"
        process = subprocess.Popen([*command, str(folder)], env=environment, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        while not (folder / "progress.safetensors").exists() and process.poll() is None:
            assert time.monotonic() - began < 60
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / "progress.safetensors").exists():
            assert_same_run(whole, resume(folder, baselines=False, report=False))
            n_resumed += 1
        else:
            assert_same_run(whole, lp.load(folder))
    assert n_resumed >= 2


def test_an_interrupted_run_can_be_used_and_can_go_on(tmp_path):
    def press(_training, epoch):
        if epoch is not None and epoch.epoch == 3:
            raise KeyboardInterrupt

    whole = lp.train("wine", save=False, baselines=False, **OPTIONS)
    stopped = lp.train("wine", out=tmp_path / "run", watch=press, baselines=False, report=False, **OPTIONS)
    assert stopped.stop.reason == "interrupted"
    assert len(lp.load(tmp_path / "run").history) == 3
    assert_same_run(whole, resume(tmp_path / "run", baselines=False, report=False))
    with pytest.raises(RunError, match="got one that is finished"):
        resume(tmp_path / "run")


def test_a_resumed_training_ends_as_it_was_begun(tmp_path, monkeypatch):
    killed_at(monkeypatch, tmp_path / "run", 2, **OPTIONS)
    assert resume(tmp_path / "run").baselines == {}
    assert not (tmp_path / "run" / "report.html").exists()
    killed_at(monkeypatch, tmp_path / "other", 2, **OPTIONS)
    assert resume(tmp_path / "other", baselines=True).baselines != {}
    assert not (tmp_path / "other" / "report.html").exists()


def test_given_weights_survive_a_kill(tmp_path, monkeypatch, rng):
    weights = {"0.dense.W": rng.normal(size=(13, 8))}
    whole = lp.train("wine", save=False, baselines=False, weights=weights, **OPTIONS)
    killed_at(monkeypatch, tmp_path / "run", 1, weights=weights, **OPTIONS)
    assert_same_run(whole, resume(tmp_path / "run", baselines=False, report=False))


def test_a_frame_is_given_again_to_go_on(tmp_path, monkeypatch):
    dataset = lp.open_source("iris")
    frame = dataset.inputs.with_columns(dataset.target.alias("species"))
    options = {**OPTIONS, "target": "species"}
    whole = lp.train(frame, save=False, baselines=False, **options)
    killed_at(monkeypatch, tmp_path / "run", 2, source=frame, **options)
    resumed = resume(tmp_path / "run", frame, baselines=False, report=False)
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(array, resumed.weights[name])


def test_changed_data_is_refused(tmp_path, monkeypatch):
    dataset = lp.open_source("iris")
    table = dataset.inputs.with_columns(dataset.target.alias("species"))
    table.write_csv(tmp_path / "iris.csv")
    killed_at(monkeypatch, tmp_path / "run", 2, source=tmp_path / "iris.csv", **OPTIONS)
    table.with_columns(pl.col("sepal_length_cm") + 1).write_csv(tmp_path / "iris.csv")
    with pytest.raises(RunError, match="it has changed since the training began"):
        resume(tmp_path / "run")


def test_two_processes_never_train_in_one_folder(tmp_path, monkeypatch):
    killed_at(monkeypatch, tmp_path / "run", 2, **OPTIONS)
    with Progress.again(tmp_path / "run"), pytest.raises(RunError, match="another process is training in"):
        resume(tmp_path / "run")
    resume(tmp_path / "run", baselines=False, report=False)


def test_an_unfinished_folder_says_how_to_go_on(tmp_path, monkeypatch):
    killed_at(monkeypatch, tmp_path / "run", 2, **OPTIONS)
    with pytest.raises(RunError, match="go on with it: limpide resume"):
        lp.train("wine", out=tmp_path / "run")


def test_a_damaged_state_says_so(tmp_path, monkeypatch):
    killed_at(monkeypatch, tmp_path / "run", 2, **OPTIONS)
    state = tmp_path / "run" / "progress.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(RunError, match="a whole safetensors file"):
        resume(tmp_path / "run")
    state.unlink()
    with pytest.raises(RunError, match=r"no progress\.safetensors; it was killed before it began"):
        resume(tmp_path / "run")
    with pytest.raises(RunError, match="no folder"):
        resume(tmp_path / "nowhere")


def test_bad_input_and_early_divergence_leave_no_folder(tmp_path):
    with pytest.raises(lp.LimpideError):
        lp.train("iris", out=tmp_path / "a", network="8 rleu")
    with pytest.raises(Diverged):
        lp.train("diabetes", out=tmp_path / "b", optimizer="sgd", rate=1e30)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_last_state(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")
    from limpide import progress

    written, write = [], progress.write_arrays

    def fill_up(path, arrays, facts):
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, arrays, facts)

    monkeypatch.setattr(progress, "write_arrays", fill_up)
    with pytest.raises(RunError, match="No space left on device"):
        lp.train("wine", out=tmp_path / "run", baselines=False, report=False, **OPTIONS)
    monkeypatch.undo()
    whole = lp.train("wine", save=False, baselines=False, **OPTIONS)
    assert_same_run(whole, resume(tmp_path / "run", baselines=False, report=False))


@pytest.mark.parametrize("n_pressed", [1, 2])
def test_ctrl_c_while_the_run_is_written_loses_nothing(tmp_path, monkeypatch, n_pressed):
    """Once: the run is whole all the same; twice: the training can go on, and the interruption says how."""
    pressed, write = [], runs.write_arrays

    def press(*arguments):
        if len(pressed) < n_pressed:
            pressed.append(1)
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(runs, "write_arrays", press)
    folder = tmp_path / "run"
    whole = lp.train("wine", save=False, baselines=False, **OPTIONS)
    if n_pressed == 1:
        lp.train("wine", out=folder, baselines=False, report=False, **OPTIONS)
        assert_same_run(whole, lp.load(folder))
    else:
        with pytest.raises(KeyboardInterrupt) as interrupt:
            lp.train("wine", out=folder, baselines=False, report=False, **OPTIONS)
        assert interrupt.value.__notes__ == [f"go on with it: limpide resume {folder}"]
        assert_same_run(whole, resume(folder, baselines=False, report=False))


def test_ctrl_c_pressed_twice_once_the_epochs_are_done_loses_nothing(tmp_path, monkeypatch):
    def press(*arguments):
        raise KeyboardInterrupt

    whole = lp.train("wine", save=False, baselines=False, **OPTIONS)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("limpide.training.conclude", press)
        with pytest.raises(KeyboardInterrupt):
            lp.train("wine", out=folder, report=False, **OPTIONS)
    assert_same_run(whole, resume(folder, baselines=False, report=False))


def test_a_disk_that_is_full_once_the_training_is_over_loses_nothing(tmp_path, monkeypatch):
    def fill_up(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write_arrays", fill_up)
    with pytest.raises(RunError, match="No space left on device"):
        lp.train("wine", out=tmp_path / "run", baselines=False, report=False, **OPTIONS)
    monkeypatch.undo()
    whole = lp.train("wine", save=False, baselines=False, **OPTIONS)
    assert_same_run(whole, resume(tmp_path / "run", baselines=False, report=False))


def test_checkpoints_take_a_bounded_share_of_the_time(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Progress, "keep", lambda self, arrays, facts: written.append(1))
    lp.train("wine", out=tmp_path / "run", baselines=False, report=False, **OPTIONS)
    assert len(written) == 1  # the start; the training ends long before the next is due


def test_check_finds_what_was_changed(tmp_path):
    lp.train("iris", out=tmp_path / "run", baselines=False, report=False, epochs=3)
    assert {check.outcome for check in check_run(tmp_path / "run", redo=True)} == {"ok"}
    history = tmp_path / "run" / "history.jsonl"
    history.write_text(history.read_text().replace('"epoch": 1', '"epoch": 1 '))
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 1"))
    failed = {check.name for check in check_run(tmp_path / "run", redo=True) if check.outcome == "failed"}
    assert failed == {"history.jsonl", "recipe.toml", "recipe", "trained again"}


def test_a_state_of_a_fit_goes_on_exactly(rng):
    whole, half = (lp.fit("wine", **OPTIONS) for _ in range(2))
    list(whole)
    for epoch in half:
        if epoch.epoch == 3:
            break
    again = Fit(half.job)
    again.load_state(*half.state())
    list(again)
    for name, array in whole.trainer.weights().items():
        np.testing.assert_array_equal(array, again.trainer.weights()[name])


def test_an_error_removes_only_the_folders_that_were_made_for_it(tmp_path):
    def fail(_training, _epoch):
        raise KeyboardInterrupt

    (tmp_path / "mine").mkdir()
    for out in ("mine", "new/deep/run"):
        with pytest.raises(KeyboardInterrupt):
            lp.train("iris", out=tmp_path / out, watch=fail)
    assert [place.name for place in tmp_path.iterdir()] == ["mine"]
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("engines", [("numpy", "compiled"), ("compiled", "torch", "numpy")])
def test_another_engine_goes_on_to_the_same_run_but_for_rounding(tmp_path, monkeypatch, engines):
    if "torch" in engines:
        pytest.importorskip("torch")
    options = {**OPTIONS, "precision": "float64", "patience": 0}
    whole = lp.train("wine", engine=engines[0], save=False, baselines=False, **options)
    killed_at(monkeypatch, tmp_path / "moved", 3, engine=engines[0], **options)

    def die(_training, epoch):
        if epoch is not None and epoch.epoch == 7:
            raise Killed

    for engine in engines[1:-1]:
        with pytest.raises(Killed):
            resume(tmp_path / "moved", engine=engine, watch=die)
    moved = resume(tmp_path / "moved", engine=engines[-1], baselines=False)
    # rounding of float64, grown over the epochs that the engines share
    for name, array in whole.weights.items():
        np.testing.assert_allclose(moved.weights[name], array, rtol=1e-7, atol=1e-9)
    assert moved.recipe == whole.recipe.replace(engine=engines[-1]) == lp.load(tmp_path / "moved").recipe
    told = [note.text.split(":")[0] for note in moved.notes if note.where == "engine"]
    ends = [3, 7][: len(engines) - 1]
    assert told == [f"up to epoch {n} the engine {name} computed" for n, name in zip(ends, engines[:-1], strict=True)]


def test_a_training_that_moved_and_was_killed_goes_on_where_it_moved_to(tmp_path, monkeypatch):
    killed_at(monkeypatch, tmp_path / "moved", 3, engine="compiled", **OPTIONS)

    def die(_training, epoch):
        if epoch is not None and epoch.epoch == 5:
            raise Killed

    with pytest.raises(Killed):
        resume(tmp_path / "moved", engine="numpy", watch=die)
    moved = resume(tmp_path / "moved", baselines=False)
    assert (moved.engine, moved.recipe.engine) == ("numpy", "numpy")
    assert len([note for note in moved.notes if note.where == "engine"]) == 1


def test_an_engine_that_is_none_leaves_the_training_as_it_is(tmp_path, monkeypatch):
    killed_at(monkeypatch, tmp_path / "kept", 3, engine="numpy", **OPTIONS)
    with pytest.raises(lp.LimpideError, match="numpi"):
        resume(tmp_path / "kept", engine="numpi")
    assert resume(tmp_path / "kept", baselines=False).engine == "numpy"
