"""False alarms: every healthy built-in trained under ten seeds with all that limpide chooses, and what the doctor says.

Left out are `random-classes` and `random-labels`, in which there is nothing to learn. Of MNIST there are 3,000 rows and
8 epochs, where its files are at hand (`LIMPIDE_DATA`), and of the larger drawn sets as many rows as they have.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from benchmarks.timing import Comparison
from limpide.data.builtin import BUILTIN
from limpide.doctor import Doctor
from limpide.history import Epoch
from limpide.training import Fit, train

SEEDS = 10
SICK = ("random-classes", "random-labels")
ALONE: dict[str, Any] = {"save": False, "baselines": False}


def healthy() -> dict[str, dict[str, Any]]:
    """Each source, and what is changed of it."""
    sources: dict[str, dict[str, Any]] = {row.name: {} for row in BUILTIN.rows() if not row.is_fetched}
    for name in SICK:
        del sources[name]
    return sources | ({"mnist?rows=3000": {"epochs": 8}} if os.environ.get("LIMPIDE_DATA") else {})


def false_alarms(source: str, changed: dict[str, Any]) -> list[str]:
    """What is found under each seed, as "seed: names"."""
    found = []
    for seed in range(SEEDS):
        doctor = Doctor()
        train(source, watch=doctor, seed=seed, **changed, **ALONE)
        if doctor.checkup.findings:
            found.append(f"{seed}: {', '.join(doctor.checkup.names)}")
            print(f"  {source}, seed {found[-1]}", file=sys.stderr)
    return found


class Timed(Doctor):
    """A doctor who counts the processor's seconds that he takes, the examination at the end included."""

    taken = 0.0

    def __call__(self, training: Fit, epoch: Epoch | None) -> None:
        """What a doctor does."""
        started = time.process_time()
        super().__call__(training, epoch)
        self.taken += time.process_time() - started


def cost(source: str, **options: Any) -> Comparison:
    """A watched training beside itself without what the doctor took: two trainings differ by more on a busy machine."""
    watched, alone = [], []
    for _round in range(9):
        doctor, started = Timed(), time.process_time()
        train(source, watch=doctor, **ALONE, **options, patience=0)
        watched.append(time.process_time() - started)
        alone.append(watched[-1] - doctor.taken)
    return Comparison(f"{source}, {options['epochs']} epochs, watched", "alone", "s", watched, alone, "share", 1.05)


def compare() -> list[Comparison]:
    """The findings of each healthy source over the seeds, none of which is right; then what watching costs."""
    lines = []
    for source, changed in healthy().items():
        alarms = [float(len(false_alarms(source, changed)))]
        lines.append(Comparison(f"{source}, {SEEDS} seeds", "", "false alarms", alarms, [], "total", 0.0))
    return [*lines, cost("digits", epochs=60), cost("moons", epochs=100), cost("calculator", epochs=60)]
