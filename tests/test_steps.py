"""A training walked by hand: left in the middle of an epoch, broken, asked too early, raced for its folder."""

import itertools

import numpy as np
import pytest

import limpide as lp
from limpide import progress, training
from limpide.distributed import Place
from limpide.errors import Diverged, ProcessLost, RecipeError
from limpide.progress import Progress, unfinished
from limpide.training import resume

OPTIONS = {"network": "8 relu, dropout 0.3, batchnorm", "epochs": 4, "patience": 0}


def test_an_epoch_left_in_the_middle_starts_again_from_its_beginning():
    whole, left = lp.fit("wine", **OPTIONS), lp.fit("wine", **OPTIONS)
    list(whole)
    # two epochs of four updates, and two updates of the third
    made = list(itertools.islice(left.steps(), 10))
    assert [step.epoch for step in made] == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert [step.update for step in made] == list(range(1, 11))
    assert len(left.history) == 2
    list(left)
    for name, array in whole.trainer.weights().items():
        np.testing.assert_array_equal(left.trainer.weights()[name], array)
    assert [epoch.running_loss for epoch in left.history] == [epoch.running_loss for epoch in whole.history]


def test_a_walk_by_steps_sees_a_divergence_where_it_happens():
    walk = lp.fit("diabetes", optimizer="sgd", rate=1e30, patience=0, epochs=3)
    seen = []
    with pytest.raises(Diverged, match=r"^update \d+, .*: expected finite numbers, got NaN or Inf in the first epoch"):
        seen.extend(step.loss for step in walk.steps())
    assert np.isfinite(seen).all()
    assert walk.stop.reason == "diverged"


def test_a_run_asked_for_before_the_first_epoch_is_refused():
    begun = lp.fit("iris", epochs=3)
    with pytest.raises(RecipeError) as error:
        begun.run()
    assert str(error.value) == (
        "run: expected at least one epoch, got none finished; nothing is kept, nothing was written"
    )
    next(iter(begun))
    assert begun.run(baselines=False).stop.reason == "stopped"


def test_two_trainings_that_start_together_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    look, taken = progress.check_new, []

    def another_is_faster(folder):
        look(folder)
        if not taken:
            folder.mkdir(parents=True)
            taken.append(folder.name)

    monkeypatch.setattr(progress, "check_new", another_is_faster)
    with Progress.start(None, "iris", "recipe") as ours:
        assert taken == ["iris-001"]
        assert ours.folder.name == "iris-002"


def test_a_state_is_no_training_to_go_on_with_once_the_run_is_whole(tmp_path):
    run = lp.train("iris", out=tmp_path / "run", epochs=2, baselines=False, report=False)
    assert unfinished(tmp_path) == []
    assert sorted(place.name for place in run.path.iterdir()) == [
        "history.jsonl", "metrics.json", "model.safetensors", "recipe.toml", "test.safetensors",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------ one of several processes


def at(monkeypatch, rank):
    """This process takes itself for one of two."""
    monkeypatch.setattr(training, "place", lambda: Place(rank, 2, rank))


def test_only_the_first_of_several_processes_writes_and_shows(tmp_path, monkeypatch):
    seen = []
    at(monkeypatch, 1)
    run = lp.train("iris", out=tmp_path / "run", epochs=2, watch=lambda *given: seen.append(given))
    assert seen == []
    assert list(tmp_path.iterdir()) == []
    assert run.baselines == {}
    at(monkeypatch, 0)
    run = lp.train("iris", out=tmp_path / "run", epochs=2, report=False, watch=lambda *given: seen.append(given))
    assert len(seen) == 3
    assert run.path == tmp_path / "run"
    assert run.baselines
    text = "2 processes shared every batch; with another number of them the last digits differ"
    assert text in [note.text for note in run.notes]


def stopped_by(error, folder, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "1000")

    def stop(_training, epoch):
        if epoch is not None and epoch.epoch == 3:
            raise error

    return lp.train("iris", out=folder, epochs=5, patience=0, baselines=False, report=False, watch=stop)


def test_when_a_process_is_lost_what_was_done_is_kept_with_the_command_to_go_on(tmp_path, monkeypatch):
    at(monkeypatch, 0)
    with pytest.raises(ProcessLost) as error:
        stopped_by(ProcessLost("process 2 of 2 is gone"), tmp_path / "run", monkeypatch)
    command = f"torchrun ... -m limpide resume {tmp_path / 'run'}"
    assert error.value.problems == ("process 2 of 2 is gone", f"what was done is kept; go on: {command}")
    assert unfinished(tmp_path) == [tmp_path / "run"]
    # the second process reads the same state, and writes nothing
    before = sorted(place.stat().st_mtime_ns for place in (tmp_path / "run").iterdir())
    at(monkeypatch, 1)
    other = resume(tmp_path / "run")
    assert sorted(place.stat().st_mtime_ns for place in (tmp_path / "run").iterdir()) == before
    at(monkeypatch, 0)
    run = resume(tmp_path / "run", baselines=False, report=False)
    assert [epoch.validation_loss for epoch in run.history] == [epoch.validation_loss for epoch in other.history]
    assert len(run.history) == 5


def test_ctrl_c_is_for_the_first_process_to_answer(tmp_path, monkeypatch):
    at(monkeypatch, 0)
    assert stopped_by(KeyboardInterrupt(), tmp_path / "run", monkeypatch).stop.reason == "interrupted"

    def press(_training, epoch):
        raise KeyboardInterrupt

    at(monkeypatch, 1)
    begun = lp.fit("iris", epochs=5)
    next(iter(begun))
    with pytest.raises(KeyboardInterrupt):
        training._drain(begun, None, press, baselines=False)
