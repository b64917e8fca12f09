"""Training: `fit` is an iterator of epochs and steps, `train` drains it into a run folder."""

from __future__ import annotations

import copy
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from limpide import seeds
from limpide.arrays import Tree
from limpide.averaging import Averaged
from limpide.data.dataset import Note
from limpide.data.shifts import shifted
from limpide.distributed import place, steady
from limpide.engines.base import Noise, Trainer, caution, get_engine, run_and_evaluate
from limpide.engines.choosing import Choice
from limpide.errors import Diverged, ProcessLost, RecipeError, RunError, problem
from limpide.gauges import Gauge, Reading
from limpide.history import Epoch, Inference, Reason, Stop, epochs_table
from limpide.i18n import _, format_count, format_number
from limpide.job import Job, prepare
from limpide.markup import paragraph
from limpide.progress import RECIPE, Ending, Progress, check_new, last_state
from limpide.recipe import OPTIONS, Recipe
from limpide.results import conclude
from limpide.runs import Run


class Step(NamedTuple):
    """One update: its number from 1, the epoch it belongs to, and the batch's loss before it."""

    update: int
    epoch: int
    loss: float


class Fit:
    """A training in progress: iterate over it for epochs, or over `steps()` for updates; `break` stops it.

    After the last epoch, or any before, `run()` gives the run with the best weights so far.

    job      what is trained
    weights  initial weights by full name, such as "0.dense.W"; those left out are drawn
    history  the epochs done
    """

    def __init__(self, job: Job, weights: Mapping[str, np.ndarray] | None = None) -> None:
        self.job = job
        self._has_given_weights = bool(weights)
        self._former_engines: list[tuple[str, int]] = []
        recipe = job.recipe
        training = recipe.training
        assert training.epochs is not None and training.batch_size is not None and training.patience is not None
        self.epochs, self.batch_size, self.patience = training.epochs, training.batch_size, training.patience
        self.history: list[Epoch] = []
        self.stop: Stop | None = None
        self.best_epoch = 0
        self.best_loss = float("inf")
        self._seconds = 0.0
        initial = job.network.initialize(seeds.stream(recipe.seed, "weights"), weights)
        self._best: Tree = initial
        self._optimizer = recipe.optimizer.build()
        open_trainer = partial(
            get_engine(job.engine.name).trainer,
            job.network,
            job.loss,
            weights=initial,
            n_updates=job.n_updates,
            precision=recipe.precision,
        )
        self._averaged = Averaged(open_trainer, self._optimizer, training.average or 0.0)
        self.trainer: Trainer = self._averaged.trainer
        self._is_mean = self._averaged.share > 0
        self._state: Tree = self.trainer.state()
        self._mean = self._averaged.state
        self._is_mid_epoch = False
        self._train, *measured = (
            rows.of_type(recipe.dtype)
            for rows in (job.parts["train"], job.measured("train"), job.measured("validation"))
        )
        self._gauge = Gauge(measured, job.loss, job.target, job.network.ends_in_probability)
        self._n_train, self._n_updates = job.sizes["train"], job.n_updates
        # how many rows each batch of an epoch has
        self._sizes = np.full(self._per_epoch, float(self.batch_size))
        self._sizes[-1] = self._n_train - self.batch_size * (self._per_epoch - 1)

    @property
    def patience_left(self) -> int | None:
        """Epochs without a better validation loss that are still allowed; None when nothing is counted."""
        return None if self.patience == 0 else self.patience - (len(self.history) - self.best_epoch)

    def __iter__(self) -> Iterator[Epoch]:
        """The epochs, each trained when asked for."""
        while self.stop is None:
            epoch = self._train_epoch()
            if epoch is not None:
                yield epoch

    def steps(self) -> Iterator[Step]:
        """The updates, each made when asked for; the epochs are recorded in `history` as they end."""
        while self.stop is None:
            started, number, noise = self._start_epoch()
            losses = np.zeros(0)
            for x, y, rows in self.batches(number):
                loss = self.trainer.run(x, y, rows, self.batch_size, noise)
                losses = np.concatenate([losses, loss])
                if not isfinite(loss[-1]):
                    break
                yield Step((number - 1) * self._per_epoch + len(losses), number, float(loss[-1]))
            self._end_epoch(number, started, losses)

    def _train_epoch(self) -> Epoch | None:
        started, number, noise = self._start_epoch()
        if self.job.streamed is None:
            ((x, y, order),) = self._windows(number)
            if self._is_mean:
                # what is measured is known only once the mean has moved
                return self._end_epoch(number, started, self.trainer.run(x, y, order, self.batch_size, noise))
            told = run_and_evaluate(self.trainer, x, y, order, self.batch_size, noise, self._gauge.x)
            return self._end_epoch(number, started, *told)
        losses: list[np.ndarray] = []
        for x, y, order in self._windows(number):
            losses.append(self.trainer.run(x, y, order, self.batch_size, noise))
            if not isfinite(losses[-1][-1]):
                break
        return self._end_epoch(number, started, np.concatenate(losses))

    def _start_epoch(self) -> tuple[float, int, Noise]:
        """The time, the epoch's number and its noise; an epoch left in the middle starts again."""
        if self._is_mid_epoch:
            self.trainer.load_state(self._state)
        self._is_mid_epoch = True
        number = len(self.history) + 1
        return time.perf_counter(), number, self.noise(number)

    def _windows(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The rows of an epoch with the order of their visits: all at once, or window by window where they stream."""
        rng, streamed = seeds.stream(self.job.recipe.seed, "order", number), self.job.streamed
        if streamed is None:
            yield self._seen(number), self._train.y, rng.permutation(len(self._train.x))
            return
        for window in streamed.rows.windows(rng, self.batch_size, self._train.x.dtype):
            yield window.x, window.y, np.arange(len(window.x))

    def _seen(self, number: int) -> np.ndarray:
        """The training inputs as this epoch sees them."""
        recipe, x = self.job.recipe, self._train.x
        most = recipe.training.shift
        return shifted(x, most, seeds.stream(recipe.seed, "shift", number)) if most else x

    def batches(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The rows of an epoch, batch by batch, as `trainer.run` takes them."""
        for x, y, order in self._windows(number):
            for start in range(0, len(order), self.batch_size):
                yield x, y, order[start : start + self.batch_size]

    @property
    def _per_epoch(self) -> int:
        return -(-self._n_train // self.batch_size)

    def noise(self, number: int) -> Noise:
        """Each layer's stream for this epoch: the same one for all its batches."""
        return seeds.streams(self.job.recipe.seed, "noise", number)

    def _end_epoch(
        self, number: int, started: float, losses: np.ndarray, outputs: list[np.ndarray] | None = None
    ) -> Epoch | None:
        """The epoch's measures; None when NaN or Inf came up, and the training is over.

        outputs  for the rows that are measured, with the weights of the moment, where they are known already
        """
        readings: list[Reading] = []
        state = self.trainer.state()
        if isfinite(losses[-1]):
            self._averaged.take(state)
            readings = self._gauge.read(outputs or [self._averaged.evaluate(x) for x in self._gauge.x])
        self._seconds += time.perf_counter() - started
        # what is not finite is looked for, and named
        if not readings or not all(isfinite(loss) for loss, _metrics in readings):
            self._diverged(number, len(losses))
            return None
        (train_loss, train), (validation_loss, validation) = readings
        updates = number * len(losses)
        epoch = Epoch(
            epoch=number,
            updates=updates,
            running_loss=float(losses @ self._sizes) / self._n_train,
            train_loss=train_loss,
            validation_loss=validation_loss,
            train=train,
            validation=validation,
            rate=self._optimizer.rate_at(updates - 1, self._n_updates),
            seconds=self._seconds,
        )
        self.history.append(epoch)
        self._state, self._mean, self._is_mid_epoch = state, self._averaged.state, False
        if validation_loss < self.best_loss:
            self.best_loss, self.best_epoch, self._best = validation_loss, number, self.weights()
        self._judge()
        return epoch

    def weights(self) -> Tree:
        """A copy of what the last epoch was measured with, by full name: the trainer's own weights, or their mean."""
        return self._averaged.weights()

    def _judge(self) -> None:
        """Stop when patience is used up or every epoch is done."""
        if self.patience and len(self.history) - self.best_epoch >= self.patience:
            self._end("patience")
        elif len(self.history) >= self.epochs:
            self._end("epochs")

    def _end(self, reason: Reason, place: str = "") -> None:
        self.stop = Stop(
            reason, len(self.history), self.best_epoch, self.best_loss, self.patience, place, self._is_mean
        )

    def interrupt(self, reason: Reason = "interrupted") -> None:
        """Stop here, keeping the best weights so far."""
        if self.stop is None:
            self._end(reason)

    def _diverged(self, number: int, n_losses: int) -> None:
        """Find where NaN or Inf first stood: go back to the start of the epoch and walk to the bad update."""
        self.trainer.load_state(self._state)
        self._averaged.load_state(self._mean)
        noise, place = self.noise(number), None
        for i, (x, y, rows) in enumerate(self.batches(number)):
            # the streams of noise move on with each pass: the step that is opened gets those of the step that is made
            opened = {path: copy.deepcopy(noise(path)) for path in self.job.network.paths}
            trace = self.trainer.trace(x[rows], y[rows], opened.__getitem__)
            place = trace.first_non_finite()
            if place is not None or i == n_losses - 1:
                update = (number - 1) * self._per_epoch + i + 1
                break
            self.trainer.run(x, y, rows, self.batch_size, noise)
        where = _("update {update}, {place}").format(
            update=format_count(update), place=place or _("loss after the last update")
        )
        self._end("diverged", where)
        if not self.history:
            raise Diverged(
                problem(
                    where,
                    _("finite numbers"),
                    _("NaN or Inf in the first epoch"),
                    _("take a lower rate (it is {rate}), or look for huge values in the data").format(
                        rate=format_number(self._optimizer.rate)
                    ),
                )
            )

    def state(self) -> tuple[Tree, dict[str, Any]]:
        """All that the rest of the training depends on, as of the last epoch's end: arrays, and facts as JSON."""
        arrays = {f"trainer/{name}": array for name, array in self._state.items()}
        arrays |= {f"mean/{name}": array for name, array in self._mean.items()}
        arrays |= {f"best/{name}": array for name, array in self._best.items()}
        facts = {
            "recipe": self.job.recipe.hash(),
            "data": self.job.dataset.sha256,
            "engine": list(self.job.engine),
            "former_engines": self._former_engines,
            "inferences": [asdict(inference) for inference in self.job.inferences],
            "has_given_weights": self._has_given_weights,
            "history": [epoch.to_dict() for epoch in self.history],
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss if self.history else None,
        }
        return arrays, facts

    def load_state(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Go on exactly from a `state()` of the same recipe and data; to rounding, where another engine goes on.

        Raises  RunError when the data or the recipe, but for its engine, are not those of the state
        """
        former = Choice(*facts["engine"])
        begun = self.job.recipe.with_values({"engine": former.name})
        for key, now, what in (("data", self.job.dataset.sha256, _("data")), ("recipe", begun.hash(), _("recipe"))):
            if facts[key] != now:
                mend = _("it has changed since the training began: train anew")
                raise RunError(problem(what, facts[key][:12], now[:12], mend))
        inferences = [Inference(**inference) for inference in facts["inferences"]]
        # states of before had no former engines
        self._former_engines = [(name, last) for name, last in facts.get("former_engines", [])]
        if self.job.engine.name == former.name:
            self.job = replace(self.job, engine=former)
        else:
            self._former_engines.append((former.name, len(facts["history"])))
        self.job = replace(self.job, inferences=inferences)
        self._has_given_weights = facts["has_given_weights"]
        kept: dict[str, Tree] = {"trainer": {}, "mean": {}, "best": {}}
        for name, array in arrays.items():
            kind, _slash, rest = name.partition("/")
            kept[kind][rest] = array
        self._state, self._mean, self._best = kept["trainer"], kept["mean"], kept["best"]
        self.trainer.load_state(self._state)
        self._averaged.load_state(self._mean)
        self._is_mid_epoch = False
        self.history = [Epoch(**epoch) for epoch in facts["history"]]
        self.best_epoch = facts["best_epoch"]
        self.best_loss = float("inf") if facts["best_loss"] is None else facts["best_loss"]
        self._seconds = self.history[-1].seconds if self.history else 0.0
        self._judge()

    def run(self, baselines: bool = True, test: bool = True) -> Run:
        """The run, with the best weights so far: measured on the test set, beside the baselines.

        test    False keeps the test set shut, and measures the validation rows alone
        Raises  RecipeError before the first epoch is over
        """
        if not self.history:
            raise RecipeError(
                problem("run", _("at least one epoch"), _("none finished"), _("nothing is kept, nothing was written"))
            )
        self.interrupt("stopped")
        assert self.stop is not None
        job = replace(self.job, notes=[*self.job.notes, *self._notes()])
        return conclude(job, self.stop, self.history, self._best, self._seconds, baselines, test)

    def _notes(self) -> list[Note]:
        """What redoing the run would need, or could not give."""
        notes = []
        if self._has_given_weights:
            text = _("the initial weights were given: the recipe alone does not redo this run")
            notes.append(Note("warning", _("weights"), text))
        for name, last in self._former_engines:
            text = _("up to epoch {n} the engine {name} computed: the recipe alone redoes this run to rounding only")
            notes.append(Note("warning", _("engine"), text.format(n=format_count(last), name=name)))
        if self._is_mean:
            text = _(
                "each epoch is measured with, and the run keeps, a mean of the weights over the epochs: at the end of "
                "each, {share} of the mean so far and {rest} of the weights then"
            )
            share = self._averaged.share
            numbers = {"share": format_number(share), "rest": format_number(1 - share)}
            notes.append(Note("info", _("training"), text.format(**numbers)))
        n_measured = len(self._gauge.x[0])
        if n_measured < len(self._train.x):
            text = _("{n} of the training rows were measured, drawn once")
            notes.append(Note("info", _("training"), text.format(n=format_count(n_measured))))
        if place().is_shared:
            text = _("{n} processes shared every batch; with another number of them the last digits differ")
            notes.append(Note("info", _("processes"), text.format(n=place().size)))
        careful = caution(self.job.engine.name)
        return [*notes, Note("info", _("engine"), careful)] if careful else notes

    def _repr_html_(self) -> str:
        """Its layers and its epochs, in a notebook."""
        stopped = "" if self.stop is None else paragraph(self.stop.sentence())
        epochs = epochs_table(self.history, self.best_epoch, self.epochs)
        return f"{self.job.network._repr_html_()}{epochs}{stopped}"


def fit(source: Any, *, weights: Mapping[str, np.ndarray] | None = None, **options: Any) -> Fit:
    """A training ready to start: iterate over it.

    source   a recipe, a `.toml` file, or anything `open_source` takes
    weights  initial weights by full name, such as "0.dense.W"; those left out are drawn
    options  flat names of a recipe's keys, such as `epochs=10, network="64 relu"`: `limpide.recipe.OPTIONS`
    Raises   as `prepare`

    >>> for epoch in fit("iris", epochs=2):
    ...     print(epoch.epoch, epoch.updates)
    1 4
    2 8
    """
    return Fit(prepare(source, **options), weights)


Watch = Callable[[Fit, Epoch | None], None]


@steady()
def train(
    source: Any,
    *,
    out: str | Path | None = None,
    save: bool = True,
    report: bool = True,
    baselines: bool = True,
    watch: Watch | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Run:
    """Train, measure, and write the run folder.

    out        the folder; None takes the next free one, `runs/NAME-001`
    save       False keeps the run in memory only
    report     whether to write report.html
    baselines  whether to fit the models to compare with
    watch      called with the Fit before the first epoch (None) and after each
    weights    initial weights by full name, such as "0.dense.W"; those left out are drawn
    options    flat names of a recipe's keys: `limpide.recipe.OPTIONS`
    Raises     as `prepare`; RunError when the folder is in use; Diverged when NaN or Inf came in the first epoch

    Ctrl-C stops the training, not the function: the best weights so far are measured and kept. While the baselines are
    fitted, it stops them alone. After a crash, `resume` goes on from the last checkpoint.
    """
    if out is not None and save and place().is_first:
        check_new(Path(out))
    training = fit(source, weights=weights, **options)
    return finish(training, out=out, save=save, report=report, baselines=baselines, watch=watch)


def finish(
    training: Fit,
    *,
    out: str | Path | None = None,
    save: bool = True,
    report: bool = True,
    baselines: bool = True,
    test: bool = True,
    watch: Watch | None = None,
) -> Run:
    """All that `train` does once the training is ready to start; the same words, and `test` as for `Fit.run`.

    Of several processes the first alone writes, shows and compares.
    """
    if not place().is_first:
        save, baselines, watch = False, False, None
    if not save:
        return _drain(training, None, watch, baselines, test)
    recipe = training.job.recipe.to_toml({i.what: i.why for i in training.job.inferences})
    with Progress.start(out, training.job.dataset.name, recipe) as progress:
        progress.ending = Ending(report, baselines)
        progress.begin(*training.state())
        run = _drain(training, progress, watch, baselines)
        progress.finish(run.write, run.stop.reason == "interrupted")
        run.path = progress.folder
    return run


@steady()
def resume(
    path: str | Path,
    source: Any = None,
    *,
    engine: str | None = None,
    report: bool | None = None,
    baselines: bool | None = None,
    watch: Watch | None = None,
) -> Run:
    """Go on with a training that was killed or interrupted; the run is then the uninterrupted one, bit for bit.

    path       the run's folder
    source     the data, where the recipe cannot name it: a frame
    engine     what computes the rest, where not what computed till now: the run is then the same to rounding
    report     whether to write report.html; None: as the training was begun
    baselines  likewise, whether to fit the models to compare with
    Raises     RunError: nothing to go on with, another process at work on it, or data that has changed
    """
    folder = Path(path)
    with Progress.again(folder) if place().is_first else nullcontext() as progress:
        arrays, facts = last_state(folder)
        recipe = Recipe.read(folder / RECIPE).replace(engine=engine or facts["engine"][0])
        training = Fit(
            prepare(recipe if source is None else source, **({} if source is None else flat_options(recipe)))
        )
        training.load_state(arrays, facts)
        if progress is None:
            return _drain(training, None, None, baselines=False)
        asked = {"report": report, "baselines": baselines}
        given = {name: value for name, value in asked.items() if value is not None}
        progress.ending = Ending(**{**facts.get("ending", {}), **given})
        run = _drain(training, progress, watch, progress.ending.baselines)
        progress.finish(run.write, run.stop.reason == "interrupted")
        run.path = progress.folder
    return run


def flat_options(recipe: Recipe) -> dict[str, Any]:
    """The recipe's values as flat options, for data given anew."""
    return {name: recipe.value(key) for name, key in OPTIONS.items() if name != "source"}


def _drain(training: Fit, progress: Progress | None, watch: Watch | None, baselines: bool, test: bool = True) -> Run:
    """Train to the end, or to Ctrl-C; then the run."""
    if watch:
        watch(training, None)
    try:
        for epoch in training:
            if progress:
                progress.offer(training.state)
            if watch:
                watch(training, epoch)
    except KeyboardInterrupt:
        if not training.history or not place().is_first:
            raise
        training.interrupt()
        if progress:
            progress.keep(*training.state())
        # torchrun waits 30 seconds for its processes to end
        baselines &= not place().is_shared
    except ProcessLost as error:
        if progress is None:
            raise
        progress.keep(*training.state())
        command = f"torchrun ... -m limpide resume {shlex.quote(str(progress.folder))}"
        raise ProcessLost(
            *error.problems, _("what was done is kept; go on: {command}").format(command=command)
        ) from None
    if progress:
        progress.hold()
    try:
        run = training.run(baselines, test)
        if progress:
            # what is written is measured here, where Ctrl-C loses nothing
            dict(run.evaluations)
        return run
    except KeyboardInterrupt:
        return training.run(baselines=False, test=test)
