"""A training walked once more: to any update, forwards and back.

A run keeps the weights of its best epoch and its history, not every state it went through; but its recipe redoes it
bit for bit. So the walk trains again, from the start or from the checkpoint of an unfinished training, and holds each
epoch it comes by against the history of the run. The starts of the epochs it was at are kept for the way back.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from limpide.arrays import Tree
from limpide.distributed import place
from limpide.engines.base import Noise
from limpide.errors import RunError, Unsupported, problem
from limpide.history import Epoch
from limpide.i18n import _, format_count
from limpide.job import Job
from limpide.progress import STATE, last_state
from limpide.reopening import job_of
from limpide.runs import Run
from limpide.training import Fit

KEPT_BYTES = 256_000_000
"""What the starts of epochs that are kept may take."""

TOLERANCE = 1e-4
"""Between the losses of an epoch then and now, where the engine does not promise the same bits."""


@dataclass(frozen=True)
class Moment:
    """A place in a training.

    epoch    from 1
    step     the update within the epoch, from 1
    update   within the whole training, from 1
    n_steps  the updates of each epoch
    start    the epoch after which the walk to it began; 0 for the start of the training
    """

    epoch: int
    step: int
    update: int
    n_steps: int
    start: int


class Batch(NamedTuple):
    """What one update takes, with the state of the trainer before it.

    rows   which rows of the data they are; None where they come from a stream
    noise  the streams as they stand before the update
    """

    x: np.ndarray
    y: np.ndarray
    rows: np.ndarray | None
    state: Tree
    noise: Noise


class Walk:
    """The training of a run, walked again."""

    def __init__(self, run: Run, source: Any = None) -> None:
        """source  the data, where the recipe cannot name it: a frame"""
        if place().is_shared:
            raise Unsupported(problem("explain", _("one process"), _("several"), _("call it without torchrun")))
        self.run = run
        self.fit = Fit(job_of(run, source))
        self._starts: dict[int, tuple[Mapping[str, np.ndarray], Mapping[str, Any]]] = {0: self.fit.state()}
        self._begin_at_checkpoint()
        self._visits: Iterator[Batch] = iter(())
        self._at = (0, 0)
        self._now: Batch | None = None
        self._is_away, self._start = False, 0

    @property
    def job(self) -> Job:
        """The recipe made ready: the data, the preparation, the network."""
        return self.fit.job

    @property
    def n_steps(self) -> int:
        """The updates of each epoch."""
        return -(-self.job.sizes["train"] // self.fit.batch_size)

    def batch_rows(self, step: int) -> int:
        """The rows of a batch: as many as were asked for, in the last one of an epoch what is left."""
        size = self.fit.batch_size
        return size if step < self.n_steps else self.job.sizes["train"] - size * (self.n_steps - 1)

    @property
    def n_epochs(self) -> int:
        """The epochs of the run."""
        return len(self.run.history)

    def _begin_at_checkpoint(self) -> None:
        """The checkpoint of a training that was interrupted is a start too."""
        folder = self.run.path
        if folder is None or not (folder / STATE).is_file():
            return
        arrays, facts = last_state(folder)
        if facts["recipe"] == self.job.recipe.hash() and 0 < len(facts["history"]) <= self.n_epochs:
            self._starts[len(facts["history"])] = (arrays, facts)

    def to(self, epoch: int, step: int) -> tuple[Moment, Batch]:
        """An update of the training, and what it takes.

        Raises  RunError outside the training, and where the training does not come out as the run says
        """
        for where, value, most in ((_("epoch"), epoch, self.n_epochs), (_("step"), step, self.n_steps)):
            if not 1 <= value <= most:
                expected = _("a number from 1 to {most}").format(most=format_count(most))
                raise RunError(problem(where, expected, str(value)))
        if self._at[0] != epoch or self._at[1] > step:
            self._start = self._go_to_start(epoch)
            self._visits, self._at = self._epoch(epoch), (epoch, 0)
        while self._at[1] < step:
            self._now, self._at = next(self._visits), (epoch, self._at[1] + 1)
        assert self._now is not None
        update = (epoch - 1) * self.n_steps + step
        return Moment(epoch, step, update, self.n_steps, self._start), self._now

    def _go_to_start(self, epoch: int) -> int:
        """The trainer as it was before an epoch; the epoch after which this walk began."""
        if epoch == 1 and 1 not in self._starts:
            # a step of the first epoch is shown only once that epoch is known to be the run's
            self._check(next(iter(self.fit)))
            self._keep(1)
        done = len(self.fit.history)
        if self._is_away or done != epoch - 1:
            known = max(number for number in self._starts if number < epoch)
            if self._is_away or not known <= done < epoch:
                self.fit.load_state(*self._starts[known])
                # a training that ended by itself is walked as one that did not
                self.fit.stop = None
                self._is_away = False
        start = len(self.fit.history)
        while len(self.fit.history) < epoch - 1:
            self._check(next(iter(self.fit)))
            self._keep(len(self.fit.history))
        return start

    def _keep(self, number: int) -> None:
        """The state now is a start; the oldest but the first give way when they take too much room."""
        self._starts[number] = self.fit.state()
        size = sum(array.nbytes for array in self._starts[number][0].values())
        middle = [kept for kept in sorted(self._starts) if 0 < kept < number]
        for kept in middle[: max(0, len(self._starts) - max(2, KEPT_BYTES // max(size, 1)))]:
            del self._starts[kept]

    def _check(self, epoch: Epoch) -> None:
        """RunError when an epoch does not come out as it did in the run."""
        then = self.run.history[epoch.epoch - 1].validation_loss
        now = epoch.validation_loss
        if abs(now - then) > TOLERANCE * max(abs(then), 1e-12):
            where = _("epoch {epoch}, validation loss").format(epoch=epoch.epoch)
            mend = _("its recipe does not redo this run: the initial weights were given, or the engine is another")
            raise RunError(problem(where, repr(then), repr(now), mend))

    def _epoch(self, number: int) -> Iterator[Batch]:
        """The updates of an epoch, each told before it is made."""
        fit, trainer = self.fit, self.fit.trainer
        noise, train = fit.noise(number), self.job.split.train
        self._is_away = True
        for x, y, order in fit.batches(number):
            streams = {path: copy.deepcopy(noise(path)) for path in self.job.network.paths}
            rows = None if self.job.streamed else train[order]
            yield Batch(x[order], y[order], rows, trainer.state(), streams.__getitem__)
            trainer.run(x, y, order, fit.batch_size, noise)

    def visit(self, epoch: int, row: int) -> tuple[int, int] | None:
        """The update of an epoch that visits a row of the data, and the row's place in its batch; None where no update
        does, or the rows come from a stream."""
        if self.job.streamed:
            return None
        train = self.job.split.train
        for step, (_x, _y, order) in enumerate(self.fit.batches(epoch), start=1):
            found = np.flatnonzero(train[order] == row)
            if len(found):
                return step, int(found[0])
        return None
