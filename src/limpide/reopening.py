"""A run opened again: its data read, split and prepared as they were, and its training walked once more.

A run folder keeps no data and the weights of one epoch. A training is a function of its recipe and data, so both come
back from the recipe; `Walk.gap` says how far what came back lies from what was kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from limpide import seeds
from limpide.arrays import Tree
from limpide.data.dataset import Dataset
from limpide.data.rows import Rows
from limpide.engines.base import get_engine
from limpide.errors import RunError, problem
from limpide.i18n import _, format_number
from limpide.job import Job, open_recipe, prepare
from limpide.runs import Run
from limpide.training import Fit, flat_options

MOST_KEPT = 50_000_000
"""Numbers that a walk keeps: of a long training of a large network, epochs evenly chosen."""

MOST_ROWS, MOST_WORK = 500, 300_000_000
"""What a gradient of the walk is taken on at most: rows, and multiply-adds of a forward pass."""

ALLOWED_GAP = 0.1
"""Beyond it the training that was walked is not the run's."""

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Walk:
    """A training seen from epoch to epoch; epoch 0 is its start.

    epochs   those whose weights were kept
    weights  and these, by full name
    norms    by layer, the norm of the gradient at the start and at the end of every epoch
    n_rows   that the gradients were taken on
    gap      how far the weights of the best epoch lie from the run's own, as a share of their norm
    is_mean  the weights of an epoch are their mean over the epochs so far, which is what the run keeps
    """

    epochs: list[int]
    weights: list[Tree]
    norms: dict[str, list[float]]
    n_rows: int
    gap: float
    is_mean: bool = False


@dataclass(eq=False)
class Reopened:
    """A run with its data.

    watch  called with the epoch done and how many there are, while the training is walked
    """

    run: Run
    job: Job
    watch: Watch | None = None

    def sample(self, most: int) -> Rows:
        """Training rows to measure on: all of them, or as many drawn once."""
        rows = self.job.parts["train"]
        if len(rows.x) > most:
            chosen = np.sort(seeds.stream(self.run.recipe.seed, "figures").choice(len(rows.x), most, replace=False))
            rows = rows.taken(chosen)
        return rows.of_type(self.run.recipe.dtype)

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one example."""
        return max(sum(row.multiply_adds for row in self.run.network.table()), 1)

    @cached_property
    def walk(self) -> Walk:
        """The training once more, as far as the run went.

        Raises  RunError  when it comes out otherwise: the initial weights were given
        """
        run, training = self.run, Fit(self.job)
        n_epochs = len(run.history)
        rows = self.sample(min(MOST_ROWS, max(32, MOST_WORK // self.work)))
        every = -(-run.network.n_parameters * (n_epochs + 1) // MOST_KEPT)
        walk = Walk([], [], {run.network.paths[s.layer]: [] for s in run.network.slots}, len(rows.x), 0.0)
        for epoch in range(n_epochs + 1):
            if epoch and next(iter(training), None) is None:
                break
            weights = training.weights()
            if epoch % every == 0 or epoch in (run.stop.best_epoch, n_epochs):
                walk.epochs.append(epoch)
                walk.weights.append(weights)
            for layer, norm in gradient_norms(self, weights, rows).items():
                walk.norms[layer].append(norm)
            if self.watch is not None:
                self.watch(epoch, n_epochs)
        return self._checked(walk)

    def _checked(self, walk: Walk) -> Walk:
        """The walk with its gap."""
        run = self.run
        there = walk.weights[walk.epochs.index(run.stop.best_epoch)] if run.stop.best_epoch in walk.epochs else {}
        own, again = (
            np.concatenate(
                [np.asarray(weights[slot.name], float).ravel() for slot in run.network.slots] or [np.zeros(0)]
            )
            for weights in (run.weights, there or run.weights)
        )
        gap = float(np.linalg.norm(again - own) / (np.linalg.norm(own) or 1.0)) if there else np.inf
        if gap > ALLOWED_GAP:
            expected, got = (
                _("a run that its recipe makes again"),
                _("weights that end {gap} of their norm away").format(gap=format_number(gap, 2)),
            )
            raise RunError(
                problem(
                    _("training again"), expected, got, _("its initial weights were given, or the machine is another")
                )
            )
        return Walk(walk.epochs, walk.weights, walk.norms, walk.n_rows, gap, run.stop.is_mean)


def gradient_norms(opened: Reopened, weights: Tree, rows: Rows) -> dict[str, float]:
    """By layer, the norm of d loss / d its parameters: in training mode, with the same noise at every call."""
    run, job = opened.run, opened.job
    seed = run.recipe.seed
    _loss, grads = get_engine("numpy").loss_and_gradients(
        run.network, job.loss, weights, rows.x, rows.y, lambda path: seeds.stream(seed, "figures", path)
    )
    squares: dict[str, float] = {}
    for slot in run.network.slots:
        path = run.network.paths[slot.layer]
        squares[path] = squares.get(path, 0.0) + float((np.asarray(grads[slot.name], np.float64) ** 2).sum())
    return {path: square**0.5 for path, square in squares.items()}


def reopen(run: Run, source: Any = None, watch: Watch | None = None) -> Reopened:
    """The run with its data again: as `job_of`."""
    return Reopened(run, job_of(run, source), watch)


def job_of(run: Run, source: Any = None, **changed: Any) -> Job:
    """The recipe of a run made ready again, on the same data.

    source   the data, where the recipe cannot name it: a frame
    changed  flat options that are to be others than the run's
    Raises   RunError  when they are not the data of the run; as `prepare` when they cannot be read
    """
    _check_named(run, source)
    options = changed if source is None else flat_options(run.recipe) | changed
    job = prepare(run.recipe if source is None else source, **options)
    _check_unchanged(run, job.dataset)
    return job


def dataset_of(run: Run, source: Any = None) -> Dataset:
    """The data of a run alone, neither split nor prepared; the rest as `job_of`."""
    _check_named(run, source)
    dataset = open_recipe(run.recipe, source)
    _check_unchanged(run, dataset)
    return dataset


def _check_named(run: Run, source: Any) -> None:
    if source is None and run.recipe.data.source == "frame":
        expected, got = _("the data of the run"), _("a frame, which its recipe cannot name")
        raise RunError(problem(_("data"), expected, got, _("give the frame beside the run, or --data FILE")))


def _check_unchanged(run: Run, dataset: Dataset) -> None:
    if dataset.sha256 != run.dataset_sha256:
        expected, got = _("the data of the run"), _("data that have changed since")
        raise RunError(problem(dataset.name, expected, got, _("bring them back, or train anew")))
