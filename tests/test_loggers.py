"""Loggers: every epoch written elsewhere too, a missing package told before training, a failure that loses nothing."""

import csv
import json
import sys

import pytest

import limpide as lp
from limpide import loggers
from limpide.__main__ import main
from limpide.errors import Diverged, MissingPackage, RunError, UnknownName
from limpide.loggers import LOGGERS, Loggers, measures, open_loggers
from limpide.progress import Progress
from limpide.training import resume

OPTIONS = {"network": "6 relu", "epochs": 4, "baselines": False, "report": False}


class Told:
    """A logger that keeps what it is told, and fails where it is asked to."""

    def __init__(self, fails_at=()):
        self.fails_at, self.told = fails_at, []

    def __call__(self, training, epoch):
        number = epoch.epoch if epoch else 0
        if number in self.fails_at:
            raise ConnectionError("the server is gone")
        self.told.append((number, len(training.history)))

    def close(self, run):
        if "end" in self.fails_at:
            raise ConnectionError("the server is gone")
        self.told.append(run)


# --------------------------------------------------------------------------------------------------- the interface


def test_a_logger_hears_of_the_start_of_every_epoch_and_of_the_run():
    told = Told()
    with Loggers({"a": told}) as log:
        run = lp.train("iris", save=False, watch=log, **OPTIONS)
        log.close(run)
    assert told.told == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), run]


def test_another_watch_goes_beside():
    told, seen = Told(), []
    log = Loggers({"a": told})
    lp.train("iris", save=False, watch=log.beside(lambda _fit, epoch: seen.append(epoch)), **OPTIONS)
    assert len(seen) == 5
    assert len(told.told) == 5
    assert log.beside(None) is not None


def test_one_that_fails_is_left_out_and_the_training_goes_on():
    bad, good = Told(fails_at=[2]), Told()
    plain = lp.train("iris", save=False, **OPTIONS)
    message = "--log bad failed, and is left out from here on: the server is gone"
    log = Loggers({"bad": bad, "good": good})
    with pytest.warns(RuntimeWarning, match=message):
        run = lp.train("iris", save=False, watch=log, **OPTIONS)
    log.close(run)
    assert bad.told == [(0, 0), (1, 1)]
    assert good.told[-1] is run
    assert len(good.told) == 6
    assert log.problems == [message]
    assert [epoch.train_loss for epoch in run.history] == [epoch.train_loss for epoch in plain.history]


def test_one_that_fails_at_the_end_does_not_lose_the_run(tmp_path):
    log = Loggers({"bad": Told(fails_at=["end"])})
    run = lp.train("iris", out=tmp_path / "run", watch=log, **OPTIONS)
    with pytest.warns(RuntimeWarning, match="the server is gone"):
        log.close(run)
    assert lp.load(tmp_path / "run").verdict == run.verdict


def test_one_that_cannot_begin_stops_before_the_first_epoch(tmp_path):
    log = Loggers({"bad": Told(fails_at=[0])})
    with pytest.raises(RunError, match="--log bad: expected a place to write to, got the server is gone"):
        lp.train("iris", out=tmp_path / "run", watch=log, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_fails_closes_its_loggers_without_a_run():
    told = Told()
    with pytest.raises(Diverged), Loggers({"a": told}) as log:
        lp.train("diabetes", save=False, watch=log, optimizer="sgd", rate=1e30, baselines=False)
    assert told.told == [(0, 0), None]


def test_names_are_checked_together_with_where_they_write(tmp_path):
    with pytest.raises(UnknownName) as error:
        open_loggers("tensorbord")
    assert str(error.value) == '--log: unknown name "tensorbord"; did you mean "tensorboard"?'
    with pytest.raises(RunError, match="--log csv: expected csv=FILE, got 'csv'"):
        open_loggers("csv")
    with pytest.raises(RunError, match="expected a file that can be written, got No such file or directory"):
        open_loggers(f"csv={tmp_path}/none/a.csv")
    with pytest.raises(UnknownName):
        open_loggers(f"csv={tmp_path}/a.csv", "nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboard.summary"), ("mlflow", "mlflow")])
def test_a_missing_package_is_told_before_training_with_the_command(name, package, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage) as error:
        open_loggers(name)
    assert str(error.value).startswith(f"--log {name}: expected its package, got ")
    assert str(error.value).endswith(f'; pip install "limpide[{name}]"')
    monkeypatch.chdir(tmp_path)
    assert main(["train", "iris", "--log", name]) == 2
    assert f'pip install "limpide[{name}]"' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_of_several_processes_the_first_alone_writes(monkeypatch):
    place = loggers.place()._replace(rank=1, size=2)
    monkeypatch.setattr(loggers, "place", lambda: place)
    assert open_loggers("csv=never.csv").loggers == {}


# ------------------------------------------------------------------------------------------------------------- CSV


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_line_for_each_epoch_as_it_ends(tmp_path):
    path, sizes = tmp_path / "curves.csv", []
    with open_loggers(f"csv={path}") as log:
        watch = log.beside(lambda _fit, _epoch: sizes.append(len(read_csv(path))))
        run = lp.train("iris", save=False, watch=watch, **OPTIONS)
    lines = read_csv(path)
    assert sizes == [0, 0, 1, 2, 3]
    for line, epoch in zip(lines, run.history, strict=True):
        assert int(line.pop("epoch")) == epoch.epoch
        assert int(line.pop("updates")) == epoch.updates
        assert {name: float(value) for name, value in line.items()} == measures(epoch)


def test_csv_leaves_what_is_undefined_empty(tmp_path):
    epoch = lp.fit("diabetes", epochs=1).__iter__().__next__()
    epoch.validation["r2"] = None
    log = LOGGERS["csv"](f"{tmp_path}/a.csv")
    log(lp.fit("diabetes", epochs=1), epoch)
    log.close(None)
    assert read_csv(tmp_path / "a.csv")[0]["r2/validation"] == ""


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(RunError, match=r"a\.csv: expected a new file, got one that is there; name another"):
        open_loggers(f"csv={tmp_path}/a.csv")
    assert (tmp_path / "a.csv").read_text() == "mine"


def test_a_resumed_training_is_written_from_its_first_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")

    def stop(training, epoch):
        if epoch and epoch.epoch == 2:
            raise SystemExit

    with pytest.raises(SystemExit):
        lp.train("iris", out=tmp_path / "run", watch=stop, **OPTIONS)
    with open_loggers(f"csv={tmp_path}/a.csv") as log:
        resume(tmp_path / "run", watch=log, report=False, baselines=False)
    assert [line["epoch"] for line in read_csv(tmp_path / "a.csv")] == ["1", "2", "3", "4"]
    with Progress.start(tmp_path / "new", "iris", "") as progress:
        assert progress.folder.exists()


# ----------------------------------------------------------------------------------------------------- TensorBoard


def test_tensorboard_reads_what_was_written(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.util.tensor_util import make_ndarray

    for _ in range(2):
        with open_loggers(f"tensorboard={tmp_path}/boards") as log:
            run = lp.train("iris", save=False, watch=log, **OPTIONS)
            log.close(run)
    assert sorted(place.name for place in (tmp_path / "boards").iterdir()) == ["iris-001", "iris-002"]
    events = reader.EventAccumulator(str(tmp_path / "boards" / "iris-002"))
    events.Reload()
    read = {
        name: {event.step: make_ndarray(event.tensor_proto).item() for event in events.Tensors(name)}
        for name in events.Tags()["tensors"]
    }
    for epoch in run.history:
        for name, value in measures(epoch).items():
            assert read[name][epoch.epoch] == pytest.approx(value, rel=1e-6)
    assert read["accuracy/test"] == {run.stop.best_epoch: pytest.approx(run.test.metrics["accuracy"].value)}
    assert set(read) == {*measures(run.history[0]), *(f"{name}/test" for name in run.test.metrics)}


# ---------------------------------------------------------------------------------------------------------- MLflow


def test_mlflow_reads_what_was_written(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = f"file:{tmp_path}/mlruns"
    client = mlflow.MlflowClient(tracking_uri=uri)
    with open_loggers(f"mlflow={uri}") as log:
        run = lp.train("iris", out=tmp_path / "run", watch=log, **OPTIONS)
        log.close(run)
    with pytest.raises(Diverged), open_loggers(f"mlflow={uri}") as log:
        lp.train("diabetes", save=False, watch=log, optimizer="sgd", rate=1e30, baselines=False)
    experiment = client.get_experiment_by_name("limpide")
    failed, finished = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.status)
    assert (failed.info.status, failed.info.run_name) == ("FAILED", "diabetes")
    assert (finished.info.status, finished.info.run_name) == ("FINISHED", "iris")
    assert finished.data.params["epochs"] == "4"
    assert finished.data.params["network"] == run.recipe.network.layers
    assert finished.data.tags["verdict"] == run.verdict
    assert finished.data.tags["folder"] == str(tmp_path / "run")
    losses = client.get_metric_history(finished.info.run_id, "loss/validation")
    assert [(metric.step, metric.value) for metric in losses] == [(e.epoch, e.validation_loss) for e in run.history]
    assert finished.data.metrics["accuracy/test"] == run.test.metrics["accuracy"].value


def test_mlflow_without_a_place_that_answers_says_so_before_training(monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(RunError, match="--log mlflow: expected a place to write to, got "):
        open_loggers("mlflow=sqlite:////nowhere/at/all/runs.db")


# ----------------------------------------------------------------------------------------------- the command line


def test_the_command_line_logs_and_tells_what_failed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(LOGGERS, "told", lambda where: Told(fails_at=[2]))
    words = ["train", "iris", "--epochs", "3", "--no-baselines", "--no-report", "--quiet", "--json"]
    words += ["--out", str(tmp_path / "run"), "--log", f"csv={tmp_path}/a.csv", "--log", "told"]
    with pytest.warns(RuntimeWarning, match="the server is gone"):
        assert main(words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["epochs"] == 3
    assert err == "✗ --log told failed, and is left out from here on: the server is gone\n"
    assert len(read_csv(tmp_path / "a.csv")) == 3
