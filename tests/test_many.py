"""Many trainings at once: each is the run it is alone, and whatever happens to one leaves the others."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide import i18n
from limpide import workers as places
from limpide.checkpoint import read_arrays
from limpide.errors import DataError, InputError, UnknownName
from limpide.progress import STATE
from limpide.recipe import Recipe

IRIS = Recipe.from_options("iris", network="8 relu, dropout 0.2, 8 relu, batchnorm", epochs=4, patience=0, batch_size=8)
FOREVER = IRIS.replace(epochs=10_000_000)


def alone(recipe, baselines=False):
    """In a process of its own, on one thread, as anyone would make it."""
    return lp.train(recipe, save=False, baselines=baselines)


def assert_same_run(run, expected):
    for name, array in expected.weights.items():
        np.testing.assert_array_equal(run.weights[name], array)
    for mine, theirs in zip(run.history, expected.history, strict=True):
        assert {**mine.to_dict(), "seconds": 0} == {**theirs.to_dict(), "seconds": 0}
    assert run.evaluations == expected.evaluations
    assert run.baselines == expected.baselines
    assert (run.recipe, run.network, run.notes, run.inferences) == (
        expected.recipe,
        expected.network,
        expected.notes,
        expected.inferences,
    )
    np.testing.assert_array_equal(run.test_outputs, expected.test_outputs)


def gone(number, seconds=10):
    """Whether a process has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def workers_of(number):
    """The processes that a process has started."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(text.rpartition(")")[2].split()[1]) == number:
                found.append(int(entry))
    return found


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_compiled_runs_side_by_side_are_each_what_they_are_alone(workers):
    recipes = [IRIS.replace(engine="compiled", seed=seed) for seed in range(4)]
    with_baselines = workers == 2
    outcomes = dict(lp.train_many(recipes, workers=workers, baselines=with_baselines))
    assert sorted(outcomes) == list(range(4))
    for i, recipe in enumerate(recipes):
        assert outcomes[i].recipe == recipe
        assert_same_run(outcomes[i].run, alone(recipe, with_baselines))


def test_runs_in_processes_are_each_what_they_are_alone():
    torch = pytest.importorskip("torch")
    recipes = [IRIS.replace(engine=engine) for engine in ("torch", "numpy", "auto", "numpy")]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = [alone(recipe) for recipe in recipes]
    finally:
        torch.set_num_threads(threads)
    for workers in (1, 4):
        outcomes = dict(lp.train_many(recipes, workers=workers))
        for i, run in enumerate(expected):
            assert_same_run(outcomes[i].run, run)


def test_a_recipe_that_fails_is_an_outcome_and_the_others_are_runs(tmp_path):
    recipes = [
        IRIS.replace(engine="compiled"),
        IRIS.replace(engine="compiled", optimizer="adm"),
        IRIS.with_values({"data.source": "irs", "engine": "numpy"}),
        IRIS.replace(engine="numpy"),
    ]
    outcomes = dict(lp.train_many(recipes, workers=2, out=tmp_path))
    assert [outcomes[i].error is None for i in range(4)] == [True, False, False, True]
    assert [outcomes[i].run is None for i in range(4)] == [False, True, True, False]
    assert isinstance(outcomes[2].error, UnknownName)
    assert "iris" in str(outcomes[2].error)
    assert [outcomes[i].run.path for i in (0, 3)] == [tmp_path / "001", tmp_path / "004"]
    assert_same_run(lp.load(tmp_path / "004"), outcomes[3].run)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["001", "004"]


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_data_in_memory_and_the_language_reach_every_worker(engine, rng):
    frame = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)}).with_columns(y=pl.col("a") * 2)
    recipe = Recipe.from_options("frame", engine=engine, epochs=2, network="4 relu", target="y")
    i18n.set_language("fr")
    [(_i, outcome)] = lp.train_many([recipe], source=frame)
    expected = lp.train(frame, save=False, baselines=False, engine=engine, epochs=2, network="4 relu", target="y")
    assert_same_run(outcome.run, expected)
    assert outcome.run.stop.sentence() == expected.stop.sentence()
    [(_i, outcome)] = lp.train_many([recipe.replace(target="z")], source=frame)
    with pytest.raises(UnknownName) as caught:
        lp.train(frame, save=False, engine=engine, target="z")
    assert (type(outcome.error), str(outcome.error)) == (caught.type, str(caught.value))


def test_data_that_recipes_share_is_opened_once(monkeypatch):
    opened = []
    monkeypatch.setattr(
        places, "open_recipe", lambda *given, real=places.open_recipe: opened.append(given) or real(*given)
    )
    recipes = [IRIS.replace(engine="compiled", seed=seed) for seed in range(5)]
    assert all(outcome.run for _i, outcome in lp.train_many(recipes, workers=2))
    assert len(opened) == 1


def test_an_iterator_is_asked_when_a_worker_is_free_and_the_last_outcome_was_seen():
    seen = []

    def recipes():
        for i in range(6):
            assert len(seen) >= i - 1, "asked too early"
            yield IRIS.replace(engine="compiled", seed=i, epochs=1)

    for i, outcome in lp.train_many(recipes(), workers=2):
        seen.append((i, outcome))
    assert len(seen) == 6


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_every_epoch_is_watched(engine):
    watched = []
    recipes = [IRIS.replace(engine=engine, seed=seed) for seed in range(2)]
    outcomes = dict(lp.train_many(recipes, watch=lambda i, epoch: watched.append((i, epoch))))
    for i in range(2):
        assert [epoch for number, epoch in watched if number == i] == [None, *outcomes[i].run.history]


def test_wrong_words_are_refused_at_once():
    with pytest.raises(InputError, match=r"^workers: expected a number of at least 1, got 0$"):
        lp.train_many([IRIS], workers=0)
    with pytest.raises(InputError, match="recipe 1: expected Recipe, got 'iris'"):
        list(lp.train_many(["iris"]))
    assert list(lp.train_many([])) == []


def test_a_worker_that_is_killed_is_an_outcome_and_the_others_are_runs():
    recipes = [FOREVER.replace(engine="numpy"), *(IRIS.replace(engine="numpy", seed=seed) for seed in range(3))]

    def shoot(i, epoch):
        # the endless training goes on alone
        if i == 0 and epoch is not None and len(outcomes) == 3:
            for number in workers_of(os.getpid()):
                os.kill(number, signal.SIGKILL)

    outcomes = {}
    for i, outcome in lp.train_many(recipes, workers=2, watch=shoot):
        outcomes[i] = outcome
    assert outcomes[0].run is None
    assert str(outcomes[0].error) == (
        "recipe 1: expected a process that trains it to the end, got one that ended with code -9; it was killed, "
        "or ran out of memory: train with fewer workers"
    )
    for i in (1, 2, 3):
        assert_same_run(outcomes[i].run, alone(recipes[i]))


def kept():
    """The processes that wait for work."""
    return places._kept.pids()


def test_a_process_waits_for_the_next_trainings_under_the_same_circumstances(monkeypatch):
    def train():
        [(_i, outcome)] = lp.train_many([IRIS.replace(engine="numpy")])
        assert_same_run(outcome.run, alone(IRIS.replace(engine="numpy")))

    places._kept.end()
    train()
    [first] = kept()
    train()
    assert kept() == [first]
    with monkeypatch.context() as patch:
        patch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "7")
        train()
        assert len(kept()) == 2
    for process in places._kept._waiting:
        if process.pid == first:
            os.kill(first, signal.SIGKILL)
            process.wait()
    train()
    assert len(kept()) == 2
    assert first not in kept()


def test_a_process_that_goes_as_it_is_called_is_replaced(monkeypatch):
    goes = f"import os, sys; sys.stdin.buffer.read(1); os._exit({places.RESTED})"
    places._kept.end()
    with monkeypatch.context() as patch:
        patch.setattr(places, "START", goes)
        process = places._Process()
    places._kept.put(process)
    [(_i, outcome)] = lp.train_many([IRIS.replace(engine="numpy")])
    assert process.code == places.RESTED
    assert_same_run(outcome.run, alone(IRIS.replace(engine="numpy")))


class Frame(pl.DataFrame):
    """One that pickle cannot send."""

    def __reduce__(self):
        raise TypeError("it stays here")


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_a_frame_that_cannot_be_sent_to_a_process_trains_as_its_columns_do(engine, monkeypatch):
    monkeypatch.setattr("limpide.many.is_compiled", lambda with_shares: True)
    frame = Frame({"a": range(60), "b": [*range(30), *range(30)], "y": [i % 7 for i in range(60)]})
    recipe = Recipe.from_options("frame", engine=engine, epochs=2, network="4 relu", target="y", task="regression")
    outcomes = dict(lp.train_many([recipe] * 4, source=frame, workers=2))
    assert sorted(outcomes) == [0, 1, 2, 3]
    expected = lp.train(
        frame, save=False, baselines=False, engine=engine, epochs=2, network="4 relu", target="y", task="regression"
    )
    for outcome in outcomes.values():
        assert_same_run(outcome.run, expected)


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_data_that_cannot_be_sent_to_a_process_are_an_outcome(engine, monkeypatch):
    class Name(str):
        def __reduce__(self):
            raise TypeError("it stays here")

    monkeypatch.setattr("limpide.many.is_compiled", lambda with_shares: True)
    outcomes = dict(lp.train_many([IRIS.replace(engine=engine)] * 4, source=Name("iris"), workers=2))
    assert sorted(outcomes) == [0, 1, 2, 3]
    failed = [str(outcome.error) for outcome in outcomes.values() if outcome.run is None]
    assert failed
    assert all("it stays here" in error for error in failed)


def test_a_source_that_is_no_table_is_said_before_any_training():
    with pytest.raises(DataError) as caught:
        lp.train_many([IRIS], source=object())
    assert "got object" in str(caught.value)


@pytest.mark.parametrize(("large", "is_compiled", "n_processes"), [(0, True, 0), (10**9, False, 0), (10**9, True, 1)])
def test_threads_share_large_data_and_code_that_is_not_on_disk(large, is_compiled, n_processes, monkeypatch):
    monkeypatch.setattr("limpide.many.LARGE", large)
    monkeypatch.setattr("limpide.many.is_compiled", lambda with_shares: is_compiled)
    places._kept.end()
    before = set(workers_of(os.getpid()))
    recipes = [IRIS.replace(engine="compiled", seed=seed, epochs=200) for seed in range(6)]
    outcomes = dict(lp.train_many(recipes, workers=2))
    assert len(set(workers_of(os.getpid())) - before) == n_processes
    assert_same_run(outcomes[5].run, alone(recipes[5]))


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_a_consumer_that_leaves_stops_the_workers(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")
    recipes = [IRIS.replace(engine=engine), FOREVER.replace(engine=engine)]
    outcomes = lp.train_many(recipes, workers=2, out=tmp_path)
    assert next(outcomes)[0] == 0
    while not ((state := tmp_path / "002" / STATE).exists() and read_arrays(state)[1]["history"]):
        time.sleep(0.01)
    started = workers_of(os.getpid())
    outcomes.close()
    assert all(gone(number) for number in started if number not in kept())
    assert not [thread for thread in threading.enumerate() if "_serve" in thread.name]
    assert state.exists(), "it can be resumed"


SCRIPT = """
import signal, sys
# a shell starts what runs in its background with the signal ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
import limpide as lp
from limpide.recipe import Recipe
recipe = Recipe.from_options("iris", network="8 relu", patience=0, epochs=2, engine=sys.argv[1])
try:
    for i, outcome in lp.train_many([recipe, recipe.replace(epochs=10_000_000)], workers=2):
        print("finished", i, outcome.run is not None, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def script(tmp_path):
    """Starts a script without the usual `if __name__ == "__main__"`, as a terminal does: in a group of its own."""
    (tmp_path / "script.py").write_text(SCRIPT)
    started = []

    def start(engine):
        command = [sys.executable, str(tmp_path / "script.py"), engine]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True))
        assert started[0].stdout.readline() == "finished 0 True\n"
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_ctrl_c_ends_a_script_and_its_workers(engine, script):
    process = script(engine)
    started = workers_of(process.pid)
    # the first worker of the compiled engine is the script
    assert len(started) == (1 if engine == "compiled" else 2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert process.returncode == 0
    assert all(gone(number) for number in started)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_workers_do_not_outlive_a_script_that_is_killed(script):
    process = script("numpy")
    started = workers_of(process.pid)
    assert len(started) == 2
    process.kill()
    process.wait()
    assert all(gone(number) for number in started)


def test_an_iterator_that_does_not_know_the_next_is_asked_again_after_an_outcome():
    """As a search does: the second recipe follows from the first outcome."""
    recipe, done = IRIS.replace(engine="compiled"), []

    class Next:
        def __init__(self):
            self.given, self.asked = 0, 0

        def __iter__(self):
            return self

        def __next__(self):
            self.asked += 1
            if self.given > len(done):
                return None
            if self.given == 3:
                raise StopIteration
            self.given += 1
            return recipe.replace(seed=self.given)

    to_come = Next()
    for i, outcome in lp.train_many(to_come, workers=2):
        done.append((i, outcome.recipe.seed))
    assert done == [(0, 1), (1, 2), (2, 3)]
    assert to_come.asked > 4
