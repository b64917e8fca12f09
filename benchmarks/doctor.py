"""False alarms: every healthy built-in trained under ten seeds with all that limpide chooses, and what the doctor says.

Left out are `random-classes` and `random-labels`, in which there is nothing to learn. Of MNIST there are 3,000 rows and
8 epochs, where its files are at hand (`LIMPIDE_DATA`), and of the larger drawn sets as many rows as they have.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from benchmarks.timing import Comparison, take_turns
from limpide.data.builtin import BUILTIN
from limpide.doctor import Doctor
from limpide.training import train

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


def work(source: str, **options: Any) -> float:
    """The processor's seconds of a training: on a busy machine the clock tells of the others."""
    started = time.process_time()
    train(source, **options)
    return time.process_time() - started


def cost(source: str, **options: Any) -> Comparison:
    """A training that is watched beside one that is not; patience stops neither."""
    options = {**ALONE, **options, "patience": 0}
    figures = take_turns(
        {"watched": lambda: work(source, watch=Doctor(), **options), "alone": lambda: work(source, **options)}, 9
    )
    what = f"{source}, {options['epochs']} epochs, watched"
    return Comparison(what, "alone", "s", figures["watched"], figures["alone"], "share", 1.05)


def compare() -> list[Comparison]:
    """The findings of each healthy source over the seeds, none of which is right; then what watching costs."""
    lines = []
    for source, changed in healthy().items():
        alarms = [float(len(false_alarms(source, changed)))]
        lines.append(Comparison(f"{source}, {SEEDS} seeds", "", "false alarms", alarms, [], "total", 0.0))
    return [*lines, cost("digits", epochs=60), cost("moons", epochs=100), cost("calculator", epochs=20)]
