"""Where else a training is recorded while it goes on: a CSV file, TensorBoard, MLflow.

A logger is a watch (`training.train` calls it before the first epoch and after each) with a `close`.

>>> with open_loggers("csv=/dev/null") as log:                                                 # doctest: +SKIP
...     log.close(limpide.train("iris", watch=log))
"""

from __future__ import annotations

import csv
import logging
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from limpide.checkpoint import cannot_write, free_folder
from limpide.distributed import place
from limpide.errors import LimpideError, MissingPackage, RunError, UnknownName, problem
from limpide.i18n import _
from limpide.recipe import OPTIONS

if TYPE_CHECKING:
    from limpide.history import Epoch
    from limpide.runs import Run
    from limpide.training import Fit, Watch


class Logger(Protocol):
    """Writes a training down."""

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """Before the first epoch (None), where a resumed training has some already; then after each."""
        ...

    def close(self, run: Run | None) -> None:
        """The training is over: with its run, or None when it failed."""
        ...


def measures(epoch: Epoch) -> dict[str, float | None]:
    """What is written of an epoch, by names that tools group at the slash."""
    losses = {"running": epoch.running_loss, "train": epoch.train_loss, "validation": epoch.validation_loss}
    return {
        **{f"loss/{part}": value for part, value in losses.items()},
        **{f"{name}/train": value for name, value in epoch.train.items()},
        **{f"{name}/validation": value for name, value in epoch.validation.items()},
        "rate": epoch.rate,
        "seconds": epoch.seconds,
    }


def final_measures(run: Run) -> dict[str, float]:
    """The metrics on the test set that are defined; none where it is still shut."""
    metrics = run.evaluations["test"].metrics if "test" in run.evaluations else {}
    return {f"{name}/test": metric.value for name, metric in metrics.items() if metric.value is not None}


class CsvLogger:
    """A line for each epoch in a new file."""

    def __init__(self, where: str) -> None:
        if not where:
            raise RunError(problem("--log csv", "csv=FILE", repr("csv")))
        self.path = Path(where)
        try:
            self.file = self.path.open("x", encoding="utf-8", newline="")
        except FileExistsError:
            mend = _("name another")
            raise RunError(problem(where, _("a new file"), _("one that is there"), mend)) from None
        except OSError as error:
            raise cannot_write(self.path, error) from None
        self.lines = csv.writer(self.file)
        self.is_empty = True

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """The header comes with the first epoch."""
        for done in training.history if epoch is None else [epoch]:
            values = {"epoch": done.epoch, "updates": done.updates, **measures(done)}
            if self.is_empty:
                self.lines.writerow(values)
                self.is_empty = False
            self.lines.writerow("" if value is None else value for value in values.values())
        self.file.flush()

    def close(self, run: Run | None) -> None:
        """A file without an epoch is taken away."""
        self.file.close()
        if self.is_empty:
            self.path.unlink(missing_ok=True)


class TensorBoardLogger:
    """Curves in a new folder for each training: `tensorboard --logdir tensorboard` shows them side by side."""

    def __init__(self, where: str) -> None:
        from tensorboard.summary import Writer

        self.make_writer: Callable[[str], Any] = Writer
        self.parent = where or "tensorboard"
        self.writer: Any = None

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """One curve for each measure, its step the epoch."""
        if self.writer is None:
            folder = free_folder(training.job.dataset.name, self.parent)
            folder.mkdir(parents=True)
            self.writer = self.make_writer(str(folder))
        for done in training.history if epoch is None else [epoch]:
            for name, value in measures(done).items():
                if value is not None:
                    self.writer.add_scalar(name, value, done.epoch)
        self.writer.flush()

    def close(self, run: Run | None) -> None:
        """The test set's metrics stand at the epoch whose weights were kept."""
        if self.writer is None:
            return
        for name, value in final_measures(run).items() if run else ():
            self.writer.add_scalar(name, value, run.stop.best_epoch if run else 0)
        self.writer.close()


class MlflowLogger:
    """A run in the experiment "limpide" of a tracking server or a database."""

    def __init__(self, where: str) -> None:
        # limpide itself tells nobody of its use, and has the tools it calls do the same unless the user wants it
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)

        self.make: dict[str, Callable[..., Any]] = {"metric": Metric, "param": Param, "tag": RunTag}
        self.client = MlflowClient(tracking_uri=where or None)
        found = self.client.get_experiment_by_name("limpide")
        self.experiment = found.experiment_id if found else self.client.create_experiment("limpide")
        self.run_id = ""

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """The recipe first, every key by its flat name."""
        if epoch is None:
            job = training.job
            self.run_id = self.client.create_run(self.experiment, run_name=job.dataset.name).info.run_id
            values = {name: job.recipe.value(key) for name, key in OPTIONS.items()}
            params = [self.make["param"](name, str(value)[:500]) for name, value in values.items() if value is not None]
            tags = {"network": str(job.network), "data_sha256": job.dataset.sha256}
            self.client.log_batch(self.run_id, params=params, tags=[self.make["tag"](*tag) for tag in tags.items()])
        for done in training.history if epoch is None else [epoch]:
            self._write(measures(done), done.epoch)

    def _write(self, values: dict[str, Any], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [self.make["metric"](n, value, now, step) for n, value in values.items() if value is not None]
        self.client.log_batch(self.run_id, metrics=metrics)

    def close(self, run: Run | None) -> None:
        """Finished with its test metrics and its folder, or failed."""
        if not self.run_id:
            return
        if run is not None:
            self._write(final_measures(run), run.stop.best_epoch)
            self.client.set_tag(self.run_id, "verdict", run.verdict)
            self.client.set_tag(self.run_id, "folder", str(run.path.resolve()) if run.path else "")
        self.client.set_terminated(self.run_id, "FAILED" if run is None else "FINISHED")


LOGGERS: dict[str, Callable[[str], Logger]] = {
    "csv": CsvLogger,
    "tensorboard": TensorBoardLogger,
    "mlflow": MlflowLogger,
}
"""By the name that `--log NAME` or `--log NAME=WHERE` gives; each takes WHERE, or "" """


class Loggers:
    """Several loggers as one watch. One that fails is left out from there on, and said: the training goes on.

    problems  what failed, a sentence each
    """

    def __init__(self, loggers: dict[str, Logger]) -> None:
        self.loggers = loggers
        self.problems: list[str] = []

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """Raises RunError for a logger that cannot even begin: nothing is lost yet."""
        for name, logger in list(self.loggers.items()):
            try:
                logger(training, epoch)
            except Exception as error:
                if epoch is None:
                    raise _cannot_begin(name, error) from error
                self._leave_out(name, error)

    def beside(self, watch: Watch | None) -> Watch:
        """One watch of these loggers and of another, which comes first."""

        def both(training: Fit, epoch: Epoch | None) -> None:
            if watch is not None:
                watch(training, epoch)
            self(training, epoch)

        return both

    def close(self, run: Run | None) -> None:
        """Close those that are left; may be called again."""
        for name, logger in list(self.loggers.items()):
            try:
                logger.close(run)
            except Exception as error:
                self._leave_out(name, error)
        self.loggers = {}

    def _leave_out(self, name: str, error: Exception) -> None:
        del self.loggers[name]
        text = _("--log {name} failed, and is left out from here on: {error}").format(name=name, error=error)
        self.problems.append(text)
        warnings.warn(text, RuntimeWarning, stacklevel=3)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(None)


def open_loggers(*names: str) -> Loggers:
    """The loggers named, ready before anything is trained.

    names   as in "tensorboard", "mlflow=sqlite:///runs.db", "csv=curves.csv": a name, and where it writes; of several
            processes that share a training the first one alone writes
    Raises  UnknownName; MissingPackage with the command that installs it; RunError when it cannot write there
    """
    opened = Loggers({})
    try:
        for spec in names if place().is_first else ():
            name, _equals, where = spec.partition("=")
            if name not in LOGGERS:
                raise UnknownName("--log", name, LOGGERS)
            opened.loggers[spec] = _open(name, where)
    except BaseException:
        opened.close(None)
        raise
    return opened


def _open(name: str, where: str) -> Logger:
    try:
        return LOGGERS[name](where)
    except LimpideError:
        raise
    except ImportError as error:
        mend = f'pip install "limpide[{name}]"'
        raise MissingPackage(problem(f"--log {name}", _("its package"), str(error), mend)) from error
    except Exception as error:
        raise _cannot_begin(name, error) from error


def _cannot_begin(name: str, error: Exception) -> RunError:
    return RunError(problem(f"--log {name}", _("a place to write to"), str(error).partition("\n")[0]))
