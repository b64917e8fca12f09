"""The first updates of a run on every engine, against the reference: NumPy in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np

from limpide import seeds
from limpide.arrays import Tree
from limpide.engines.base import ENGINES, Precision, get_engine
from limpide.errors import Diverged, MissingPackage, Unsupported, problem
from limpide.i18n import _
from limpide.job import Job
from limpide.nn.network import Network

N_UPDATES = 5

TOLERANCES: dict[Precision, float] = {"float64": 1e-7, "float32": 2e-3}
"""The largest difference allowed between two changes of a tensor, as a share of the change. In float32 an optimizer
such as Adam makes whole steps of gradients that are nearly nothing, and these come out differently."""

STILL = 1e-5
"""A tensor that moves by less than this share of the others has a gradient of rounding alone, such as that of a bias
under batch normalisation, which Adam divides by next to nothing. There is nothing to agree on there but the standing
still: in float64 it may differ by as much, in float32 it is left out."""


class Moment(NamedTuple):
    """The loss of an update's batch, and all weights after it."""

    loss: float
    weights: Tree


@dataclass(frozen=True)
class StepGap:
    """How far an engine is from the reference after an update.

    difference  the largest of all tensors, as a share of how far the reference has moved that tensor since the start
    where       the tensor, or "loss"
    """

    engine: str
    precision: Precision
    update: int
    difference: float
    where: str

    @property
    def is_close(self) -> bool:
        """Whether the difference is within the tolerance of its float type."""
        return self.difference <= TOLERANCES[self.precision]


def compare_engines(job: Job, n: int = N_UPDATES) -> tuple[list[StepGap], dict[str, str]]:
    """Every engine in both float types, an entry for each update; and the engines left out, each with the reason.

    Raises  Diverged  when the reference itself breaks in its first updates
    """
    start = _start(job)
    reference = first_updates(job, "numpy", "float64", start, n)
    gaps: list[StepGap] = []
    left_out: dict[str, str] = {}
    for engine in ENGINES:
        for precision in TOLERANCES:
            try:
                moments = first_updates(job, engine, precision, start, n)
            except (MissingPackage, Unsupported) as error:
                left_out[engine] = str(error)
                break
            except Diverged as error:
                gaps.append(StepGap(engine, precision, 1, inf, str(error)))
                continue
            gaps += [
                StepGap(engine, precision, i + 1, *largest_gap(job.network, start, expected, found, precision))
                for i, (expected, found) in enumerate(zip(reference, moments))
            ]
    return gaps, left_out


def _start(job: Job) -> Tree:
    """The initial weights of the recipe, as float32 holds them: all begin at the same point."""
    drawn = job.network.initialize(seeds.stream(job.recipe.seed, "weights"))
    return {name: array.astype(np.float32).astype(np.float64) for name, array in drawn.items()}


def first_updates(job: Job, engine: str, precision: Precision, start: Mapping[str, np.ndarray], n: int) -> list[Moment]:
    """The first updates of a job, by the engine named.

    Raises  MissingPackage, Unsupported: the engine cannot; Diverged when NaN or Inf came up
    """
    rows, recipe = job.parts["train"], job.recipe
    size = recipe.training.batch_size
    assert size is not None
    trainer = get_engine(engine).trainer(
        job.network, job.loss, recipe.optimizer.build(), start, job.n_updates, precision
    )
    moments: list[Moment] = []
    for epoch in range(1, n + 1):
        order = seeds.stream(recipe.seed, "order", epoch).permutation(len(rows.x))
        # a layer's stream of noise goes on from one batch of an epoch to the next
        noise = seeds.streams(recipe.seed, "noise", epoch)
        for first in range(0, len(order), size):
            batch = rows.taken(order[first : first + size]).of_type(precision)
            loss = float(trainer.run(batch.x, batch.y, np.arange(len(batch.x)), size, noise)[-1])
            if not isfinite(loss):
                where = _("update {update}").format(update=len(moments) + 1)
                raise Diverged(problem(where, _("finite numbers"), _("NaN or Inf")))
            moments.append(Moment(loss, trainer.weights()))
            if len(moments) == n:
                return moments
    return moments


def largest_gap(
    network: Network, start: Mapping[str, np.ndarray], expected: Moment, found: Moment, precision: Precision
) -> tuple[float, str]:
    """The largest difference, and where it stands."""
    gaps = {"loss": abs(found.loss - expected.loss) / max(abs(expected.loss), 0.01)}
    changes = {name: array - start[name] for name, array in expected.weights.items()}
    typical = max(_rms(changes[slot.name]) for slot in network.slots)
    still = _still(network, changes, typical)
    rounding = float(np.finfo(precision).eps)
    for name, change in changes.items():
        if precision == "float32" and name in still:
            continue
        gap = _rms((found.weights[name].astype(np.float64) - start[name]) - change)
        # weights are stored to within `rounding`, whatever the size of their change
        moved = typical * STILL / TOLERANCES[precision] if name in still else _rms(change)
        scale = max(moved, 3e3 * rounding * _rms(start[name]))
        gaps[name] = gap / scale if scale else gap
    where = max(gaps, key=lambda name: gaps[name] if isfinite(gaps[name]) else inf)
    return (gaps[where] if isfinite(gaps[where]) else inf), where


def _still(network: Network, changes: Mapping[str, np.ndarray], typical: float) -> set[str]:
    """The parameters that stand still, and where there is one the running means, which follow it."""
    names = {slot.name for slot in network.slots}
    still = {name for name in names if _rms(changes[name]) < STILL * typical}
    return still | {name for name in changes if still and name not in names and name.endswith(".mean")}


def _rms(array: np.ndarray) -> float:
    return sqrt(float(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0
