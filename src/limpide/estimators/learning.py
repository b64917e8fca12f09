"""The loop behind `fit` and `partial_fit`: epochs on a trainer, stopped by the rows held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite

import numpy as np

from limpide import seeds
from limpide.arrays import Tree
from limpide.averaging import Averaged
from limpide.errors import Diverged, problem
from limpide.estimators.rows import Rows, Visits
from limpide.i18n import _, format_count, format_number
from limpide.nn.losses import Loss
from limpide.recipe import Recipe


@dataclass
class Course:
    """How a training went.

    weights      the best, by full name: those of the trainer, or their mean
    losses       of each epoch: the mean of its batches' losses, each before its update
    held_losses  of each epoch, on the rows held out; empty without any
    best_epoch   counted from 1: the epoch whose weights were kept
    is_broken    NaN or Inf came up and ended it
    """

    weights: Tree = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    held_losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    is_broken: bool = False


def learn(
    averaged: Averaged, loss: Loss, recipe: Recipe, train: Rows, held: Rows | None, epochs: int, done: int = 0
) -> Course:
    """Train until `epochs` have passed, or as many as `patience` without a better loss on the rows held out.

    train, held  x and y as the network and the loss take them
    done         epochs made before with this seed: their orders and noise are not repeated
    Raises       Diverged when NaN or Inf comes up and no epoch is to fall back on
    """
    batch_size, patience = recipe.training.batch_size, recipe.training.patience
    assert batch_size is not None and patience is not None
    trainer = averaged.trainer
    visits, start = Visits(train.weight), seeds.stream(recipe.seed, "visits").random()
    course, best = Course(), inf
    for epoch in range(1, epochs + 1):
        order = seeds.stream(recipe.seed, "order", done + epoch).permutation(visits.rows(done + epoch, start))
        losses = trainer.run(train.x, train.y, order, batch_size, seeds.streams(recipe.seed, "noise", done + epoch))
        if averaged.share and isfinite(losses[-1]):
            averaged.take(trainer.state())
        held_loss = 0.0 if held is None or not isfinite(losses[-1]) else _mean_loss(averaged, loss, held)
        if not (isfinite(losses[-1]) and isfinite(held_loss)):
            if held is None or not course.weights:
                raise _diverged(epoch, recipe)
            course.is_broken = True
            return course
        sizes = np.full(len(losses), batch_size)
        sizes[-1] = len(order) - batch_size * (len(losses) - 1)
        course.losses.append(float(losses @ sizes) / len(order))
        if held is None:
            continue
        course.held_losses.append(held_loss)
        if held_loss < best:
            best, course.best_epoch, course.weights = held_loss, epoch, averaged.weights()
        elif patience and epoch - course.best_epoch >= patience:
            return course
    if held is None:
        course.best_epoch, course.weights = len(course.losses), averaged.weights()
    return course


def _mean_loss(averaged: Averaged, loss: Loss, rows: Rows) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        # what is not finite is looked for by the caller
        return float(rows.weight @ loss.value(averaged.evaluate(rows.x), rows.y) / rows.weight.sum())


def _diverged(epoch: int, recipe: Recipe) -> Diverged:
    mend = _("take a lower rate (it is {rate}), or look for huge values in the data")
    return Diverged(
        problem(
            _("epoch {epoch}").format(epoch=format_count(epoch)),
            _("finite numbers"),
            _("NaN or Inf"),
            mend.format(rate=format_number(recipe.optimizer.build().rate)),
        )
    )
