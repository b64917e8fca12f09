"""A training as the doctor sees it: its history, its opened steps, and what is measured only where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import isfinite
from typing import NamedTuple

import numpy as np

from limpide import seeds
from limpide.averaging import Averaged
from limpide.baselines import BASELINES, fit_baselines
from limpide.data.leaks import Leak, find_leaks
from limpide.data.rows import Part
from limpide.doctor.measures import Record, Units, count_units
from limpide.doctor.rates import Sweep, sweep
from limpide.engines.base import get_engine
from limpide.engines.choosing import Choice
from limpide.history import Epoch, Stop
from limpide.i18n import _, format_count, ngettext
from limpide.job import Job

GUESSES = ("majority", "mean")
NOT_LEARNED = 0.5
"""A training loss above this share of a constant answer's says that little was learned."""

HALF_UPDATES = 3_000
"""Updates that the training on half of the rows makes at most."""

HALF_LOOKS = 20


class Rival(NamedTuple):
    """A simpler model fitted on the same training rows, beside the network on the validation rows.

    train    the network's score on rows it learned from
    own, its scores on rows that neither has seen
    z        their difference in standard errors, row by row; above 0 the rival is better
    """

    label: str
    train: float
    own: float
    its: float
    z: float


@dataclass(frozen=True, eq=False)
class Examination:
    """What the diagnoses look at.

    weights  those kept; empty when the training broke before its first epoch was over
    records  steps opened at stated updates, the first one before anything was learned
    """

    job: Job
    weights: Mapping[str, np.ndarray]
    history: Sequence[Epoch]
    stop: Stop | None
    records: Sequence[Record]

    @property
    def kept(self) -> Epoch | None:
        """The epoch whose weights are kept."""
        return self.history[(self.stop.best_epoch if self.stop else len(self.history)) - 1] if self.history else None

    @property
    def n_train(self) -> int:
        """Training rows."""
        return self.job.sizes["train"]

    @property
    def updates(self) -> int:
        """Updates made."""
        return self.history[-1].updates if self.history else 0

    @property
    def metric(self) -> str:
        """What a score is: the main metric of the task."""
        return "r2" if self.job.target.task == "regression" else "accuracy"

    @cached_property
    def constant_loss(self) -> float:
        """The lowest training loss of an answer that is always the same: what is lost without looking at the inputs."""
        y, loss = self.job.measured("train").y, self.job.loss
        if self.job.target.task == "regression":
            answers = [y.mean(0, keepdims=True), np.median(y, axis=0, keepdims=True)]
            return max(min(loss.mean(np.repeat(a, len(y), 0).astype(np.float64), y) for a in answers), 1e-12)
        shares = np.bincount(self.job.measured("train").truth.astype(np.int64)) / len(y)
        shares = shares[shares > 0]
        return max(float(-(shares * np.log(shares)).sum()), 1e-12)

    @property
    def left(self) -> float:
        """The training loss of the kept weights as a share of the constant answer's; infinite without an epoch."""
        return self.kept.train_loss / self.constant_loss if self.kept else float("inf")

    @property
    def has_learned(self) -> bool:
        """Whether the kept weights do much better than a constant answer on the training rows."""
        return self.left < NOT_LEARNED

    @cached_property
    def last_fall(self) -> float:
        """The fall of the training loss over the last quarter of the epochs, as a share of the constant answer's."""
        if len(self.history) < 2:
            return 0.0
        before, last = self.history[(3 * len(self.history)) // 4 - 1], self.history[-1]
        return (before.train_loss - last.train_loss) / self.constant_loss

    @property
    def is_cut_short(self) -> bool:
        """Whether the training ended while the loss was still going down on rows learned from and on others."""
        if self.stop is None or self.stop.reason not in ("epochs", "interrupted", "stopped") or len(self.history) < 2:
            return False
        before = self.history[(3 * len(self.history)) // 4 - 1]
        return self.history[-1].validation_loss < before.validation_loss and self.last_fall > 0

    @cached_property
    def units(self) -> list[Units]:
        """The hidden units of the kept weights, on every training row."""
        return count_units(self.job.network, self.weights, self.job.parts["train"].x) if self.weights else []

    @cached_property
    def sweep(self) -> Sweep:
        """The rate finder, from the initial weights."""
        return sweep(self.job)

    @cached_property
    def leaks(self) -> list[Leak]:
        """What the leak guard finds, accepted or not."""
        job = self.job
        column = job.recipe.split.column
        return find_leaks(job.dataset, job.split, job.target.task, column=column, seed=job.recipe.seed)

    def outputs(self, part: Part) -> np.ndarray:
        """What the kept weights answer for the measured rows of a part."""
        job = self.job
        x = job.measured(part).x.astype(job.recipe.dtype, copy=False)
        return job.target.decode(
            get_engine(job.engine.name).forward(job.network, self.weights, x), job.network.ends_in_probability
        )

    def misses(self, part: Part, outputs: np.ndarray | None = None) -> np.ndarray:
        """Of each measured row of a part, the squared error over the target's variance, or 1 for a wrong class."""
        truth = self.job.measured(part).truth
        answers = self.outputs(part) if outputs is None else outputs
        if self.job.target.task != "regression":
            return np.asarray(answers.argmax(1) != truth, np.float64)
        spread = float(np.var(self.job.measured("train").truth)) or 1.0
        return np.asarray(np.square(np.asarray(answers, np.float64).reshape(-1) - truth) / spread)

    def score(self, part: Part) -> float:
        """R² or accuracy of the kept weights on the rows of a part."""
        measured = (self.kept.train if part == "train" else self.kept.validation) if self.kept else {}
        value = measured.get(self.metric)
        return float("nan") if value is None else float(value)

    @cached_property
    def rivals(self) -> list[Rival]:
        """The simpler models, but for the guesses, beside the network on the validation rows."""
        job, task = self.job, self.job.target.task
        train, held = job.parts["train"], job.measured("validation")
        found, _cuts = fit_baselines(task, train.x, train.truth, held.x, job.recipe.seed, len(job.target.labels))
        own, learned = self.misses("validation"), 1 - float(self.misses("train").mean())
        rivals = []
        for name, outputs in found.items():
            if name not in GUESSES:
                its = self.misses("validation", outputs)
                scores = (learned, 1 - float(own.mean()), 1 - float(its.mean()))
                rivals.append(Rival(_(BASELINES[name].label), *scores, _z(own - its)))
        return rivals

    @cached_property
    def halves(self) -> list[tuple[int, float]]:
        """Trainings on each half of the training rows: how many rows, and the lowest validation loss."""
        n, half = len(self.job.parts["train"].x), len(self.job.parts["train"].x) // 2
        order = seeds.stream(self.job.recipe.seed, "doctor", "halves").permutation(n)
        return [(len(rows), self._lowest_loss(np.sort(rows))) for rows in (order[:half], order[half:])]

    def _lowest_loss(self, rows: np.ndarray) -> float:
        """The lowest validation loss of a training on some rows alone, of as many updates as the kept weights had."""
        job, recipe, kept = self.job, self.job.recipe, self.kept
        assert kept is not None
        size = recipe.training.batch_size or 1
        half, held = job.parts["train"].taken(rows).of_type(recipe.dtype), job.measured("validation")
        updates = min(2 * kept.updates, HALF_UPDATES)
        open_trainer = partial(
            get_engine(job.engine.name).trainer,
            job.network,
            job.loss,
            weights=job.network.initialize(seeds.stream(recipe.seed, "weights")),
            n_updates=updates,
            precision=recipe.precision,
        )
        averaged = Averaged(open_trainer, recipe.optimizer.build(), recipe.training.average or 0.0)
        trainer = averaged.trainer
        per_epoch, lowest = -(-len(rows) // size), np.inf
        n_epochs = max(1, updates // per_epoch)
        for epoch in range(1, n_epochs + 1):
            order = seeds.stream(recipe.seed, "order", epoch).permutation(len(rows))
            trainer.run(half.x, half.y, order, size, seeds.streams(recipe.seed, "doctor", "noise", epoch))
            if averaged.share:
                averaged.take(trainer.state())
            if epoch == n_epochs or epoch % max(1, n_epochs // HALF_LOOKS) == 0:
                loss = job.loss.mean(averaged.evaluate(held.x.astype(recipe.dtype, copy=False)), held.y)
                lowest = min(lowest, loss) if isfinite(loss) else lowest
        return float(lowest)

    def basis(self) -> str:
        """What was looked at, in a sentence."""
        n = self.n_train
        rows = ngettext("{n} training row", "{n} training rows", n).format(n=format_count(n))
        made = [format_count(record.update) for record in self.records]
        epochs = ngettext("{n} epoch", "{n} epochs", len(self.history)).format(n=format_count(len(self.history)))
        text = _("looked at {rows} over {epochs}; updates opened on {n} rows, after so many others: {updates}")
        return text.format(
            rows=rows,
            epochs=epochs,
            updates=", ".join(made) or "–",
            n=format_count(self.records[0].rows if self.records else 0),
        )


def on_numpy(job: Job) -> Job:
    """The same job on the reference engine, which runs every network."""
    recipe = job.recipe
    if recipe.precision == "mixed":
        recipe = recipe.with_values({"precision": "float32"})
    return replace(job, recipe=recipe, engine=Choice("numpy", job.engine.why))


def _z(differences: np.ndarray) -> float:
    """The mean in standard errors."""
    mean, n = float(differences.mean()), len(differences)
    spread = float(differences.std(ddof=1)) / n**0.5 if n > 1 else 0.0
    return mean / spread if spread else float(np.sign(mean)) * 1e9
