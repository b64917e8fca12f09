"""The doctor beside a training, and on a run that is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from limpide.checkpoint import read_json, write_file
from limpide.doctor.diagnosis import Checkup, make_checkup
from limpide.doctor.examination import Examination, on_numpy
from limpide.doctor.measures import Record, open_step
from limpide.engines.base import get_engine
from limpide.errors import Diverged, RunError, problem
from limpide.history import Epoch
from limpide.i18n import _
from limpide.job import Job
from limpide.reopening import job_of
from limpide.runs import Run, load
from limpide.training import Fit, Step, Watch

FILE = "doctor.json"
"""Beside the other files of a run: the steps that were opened while it was trained."""

FORMAT = 1

REPLAYED = 30
"""Updates made again of a run that nobody watched; the one after them is opened."""


class Doctor:
    """A watch of `limpide.train` that opens a step now and then, and says at the end what is wrong.

    A step is opened before the first epoch, after epochs 1, 2, 3, 4, 6, 8, 11, 16, ... (powers of √2) and after the
    last one: that costs about as much as three updates each time.

    >>> import limpide as lp
    >>> doctor = lp.Doctor()
    >>> run = lp.train("iris", watch=doctor, save=False, baselines=False)
    >>> doctor.checkup.names
    []
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.training: Fit | None = None
        self._checkup: Checkup | None = None

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """Open the next step where one is due; once the training is over, its notes tell what was found."""
        self.training = training
        number = epoch.epoch if epoch else len(training.history)
        if epoch is None or training.stop is not None or number in scheduled(number):
            updates = epoch.updates if epoch else training.history[-1].updates if training.history else 0
            record = open_step(training.trainer, training.job, updates, number)
            self.records += [record] if record.is_finite else []
        if training.stop is not None:
            notes = [finding.note() for finding in self.checkup.findings]
            training.job = replace(training.job, notes=[*training.job.notes, *notes])

    def beside(self, watch: Watch | None) -> Watch:
        """One watch of this doctor and of another, which comes first."""

        def both(training: Fit, epoch: Epoch | None) -> None:
            if watch is not None:
                watch(training, epoch)
            self(training, epoch)

        return both

    @property
    def checkup(self) -> Checkup:
        """What was found; asked for before the end, what is found so far.

        Raises  RunError  before the training has begun
        """
        if self._checkup is not None:
            return self._checkup
        if self.training is None:
            raise RunError(problem("doctor", _("a training that has begun"), _("none")))
        training = self.training
        arrays, _facts = training.state()
        best = {name.removeprefix("best/"): array for name, array in arrays.items() if name.startswith("best/")}
        weights = best if training.history else {}
        found = make_checkup(Examination(training.job, weights, training.history, training.stop, self.records))
        if training.stop is not None:
            self._checkup = found
        return found

    def keep(self, run: Run) -> None:
        """Write the opened steps into the run's folder, for `diagnose`.

        Raises  RunError when they cannot be written
        """
        if run.path is not None:
            records = [record.to_dict() for record in self.records]
            text = json.dumps({"format": FORMAT, "records": records}, indent=1)
            write_file(run.path / FILE, text.encode())


def scheduled(most: int) -> set[int]:
    """The epochs up to `most` after which a step is opened.

    >>> sorted(scheduled(20))
    [1, 2, 3, 4, 6, 8, 11, 16]
    """

    def powers() -> Iterator[int]:
        k = 0
        while True:
            yield round(2 ** (k / 2))
            k += 1

    return set(takewhile(lambda epoch: epoch <= most, powers()))


def diagnose(run: Run | str | Path, source: Any = None) -> Checkup:
    """What is wrong with a run, with the evidence and the next thing to try.

    The weights kept are measured anew on the reference engine, whatever trained them. Of a run that no `Doctor` watched
    the first updates are made again, to see them as they were.

    run     a run, or its folder
    source  the data, where the recipe cannot name it: a frame
    Raises  RunError  for data that has changed since; else as `limpide.job.prepare`
    """
    run = run if isinstance(run, Run) else load(run)
    precision = "float32" if run.recipe.precision == "mixed" else run.recipe.precision
    job = job_of(run, source, engine="numpy", precision=precision)
    records = read_records(run) or [*_replayed(job, run), _of_kept_weights(job, run)]
    return make_checkup(Examination(job, run.weights, run.history, run.stop, records))


def read_records(run: Run) -> list[Record]:
    """The steps opened while the run was trained; none where nobody watched."""
    if run.path is None or not (run.path / FILE).is_file():
        return []
    return [Record.from_dict(record) for record in read_json(run.path / FILE, FORMAT)["records"]]


def _replayed(job: Job, run: Run) -> list[Record]:
    """The first step and a later one, as the training made them; none where it began from other weights."""
    training = Fit(on_numpy(job))
    records, made = [open_step(training.trainer, job, 0, 0)], Step(0, 0, 0.0)
    try:
        for made in training.steps():
            if made.update >= REPLAYED:
                break
    except Diverged:
        return records
    if training.history and not np.isclose(training.history[0].train_loss, run.history[0].train_loss, rtol=0.05):
        return []
    records.append(open_step(training.trainer, job, made.update, made.epoch))
    return [record for record in records if record.is_finite]


def _of_kept_weights(job: Job, run: Run) -> Record:
    """The gradients at the weights kept; the optimizer's state is gone, so that its update is not the real one."""
    optimizer = job.recipe.optimizer.build()
    trainer = get_engine("numpy").trainer(job.network, job.loss, optimizer, run.weights, job.n_updates, "float32")
    best = run.history[run.stop.best_epoch - 1]
    return open_step(trainer, job, best.updates, best.epoch, is_real=False)
