"""What `compare` costs beside the trainings themselves, and what a killed comparison loses.

The bookkeeping is measured with trainings that take no time: each outcome was made before, and is handed over at once.
What is left is all that `compare` does itself: making the variants ready, hashing, writing, judging, saying.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.timing import ROOT, Comparison, seconds
from limpide.experiment import trials
from limpide.experiment.comparing import compare as compare_variants
from limpide.experiment.comparison import Comparison as Verdict
from limpide.many import train_many, usable_cores
from limpide.workers import Outcome

N_ROUNDS = 5
OPTIONS: dict[str, Any] = {"epochs": 150, "patience": 0, "network": "256 relu, 128 relu", "engine": "compiled"}
VARY = {"activation": ["relu", "silu", "tanh"]}
SEEDS = 4

N_KILLS = 20
KILLED: dict[str, Any] = {"epochs": 60, "patience": 0, "network": "16 relu", "engine": "compiled"}
KILLED_SEEDS = 20
PROGRAM = """
import sys
from limpide.experiment import trials
from limpide.experiment.comparing import compare
from limpide.many import train_many

def told(*arguments, **terms):
    for found in train_many(*arguments, **terms):
        with open(sys.argv[2], "a") as log:
            log.write("over\\n")
        yield found

trials.train_many = told
compare("moons", vary={vary!r}, seeds={seeds}, out=sys.argv[1], report=False, **{options!r})
"""


class Replayed:
    """`train_many` that remembers what it once trained, and then takes no time."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    def __call__(self, recipes: Any, **terms: Any) -> Iterator[tuple[int, Outcome]]:
        """The outcomes of the recipes, one not met before trained first."""
        for i, recipe in enumerate(recipes):
            if recipe.hash() not in self.outcomes:
                ((_first, self.outcomes[recipe.hash()]),) = train_many([recipe], **terms)
            yield i, self.outcomes[recipe.hash()]


def overhead() -> list[Comparison]:
    """The seconds that `compare` adds, over those that its trainings take side by side."""
    replayed = Replayed()
    with tempfile.TemporaryDirectory() as place, patch.object(trials, "train_many", replayed):

        def added(name: str, report: bool) -> float:
            terms = {**OPTIONS, "out": Path(place) / name, "report": report}
            return seconds(lambda: compare_variants("digits", vary=VARY, seeds=SEEDS, **terms))

        added("first", True)
        bare = [added(f"bare-{i}", False) for i in range(N_ROUNDS)]
        whole = [added(f"whole-{i}", True) for i in range(N_ROUNDS)]
    runs = [outcome.run for outcome in replayed.outcomes.values() if outcome.run is not None]
    of_one = sum(run.seconds for run in runs) / len(runs)
    training = [sum(run.seconds for run in runs) / usable_cores()] * N_ROUNDS
    what = f"{len(runs)} runs of {of_one:.1f} s"
    return [
        Comparison(f"{what}, bookkeeping", "the trainings", "s", bare, training, "share", 0.05),
        Comparison(f"{what}, with the report", "the trainings", "s", whole, training, "share", None),
    ]


def killed(folder: Path, log: Path, after: float) -> tuple[int, int]:
    """Start a comparison, kill it `after` seconds behind its first score: trainings that were over, and scores kept."""
    program = PROGRAM.format(vary=VARY, seeds=KILLED_SEEDS, options=KILLED)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder), str(log)],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "results").is_dir():
        if process.poll() is not None:
            raise RuntimeError(f"a comparison ended with {process.returncode}:\n{process.communicate()[1][-2000:]}")
        time.sleep(0.002)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return len(log.read_text().splitlines()), len(list((folder / "results").glob("[!.]*.json")))


def values(verdict: Verdict) -> dict[str, dict[int, dict[str, float | None]]]:
    """Every measure of every training."""
    return {name: {seed: score.metrics for seed, score in of.items()} for name, of in verdict.scores.items()}


def kills() -> list[Comparison]:
    """What each killed comparison lost, whether all that was kept is used, and whether it ends as the whole one."""
    draw = random.Random(0)
    lost: list[float] = []
    again: list[float] = []
    equal: list[float] = []
    n_trainings, n_in_time = len(VARY["activation"]) * KILLED_SEEDS, 0
    with tempfile.TemporaryDirectory() as place:
        terms = {**KILLED, "vary": VARY, "seeds": KILLED_SEEDS, "report": False}
        whole: list[Verdict] = []
        length = seconds(lambda: whole.append(compare_variants("moons", out=Path(place) / "whole", **terms)))
        for i in range(N_KILLS):
            folder = Path(place) / f"killed-{i}"
            n_over, n_kept = killed(folder, Path(place) / f"log-{i}", draw.uniform(0, length))
            trained: list[int] = []

            def counted(recipes: Any, n: list[int] = trained, **given: Any) -> Iterator[tuple[int, Outcome]]:
                for found in train_many(recipes, **given):
                    n.append(1)
                    yield found

            with patch.object(trials, "train_many", counted):
                went_on = compare_variants("moons", out=folder, **terms)
            lost.append(float(n_over - n_kept))
            again.append(float(sum(trained) - (n_trainings - n_kept)))
            n_in_time += n_kept < n_trainings
            equal.append(float(values(went_on) == values(whole[0])))
    what = f"{n_in_time} of {N_KILLS} killed in time"
    return [
        Comparison(f"{what}, trainings over and not kept", "", "each", [max(lost)], [], "total", 1.0),
        Comparison(f"{what}, kept and trained again", "", "each", [max(again)], [], "total", 0.0),
        Comparison(what, "the whole one", "equal", equal, [1.0] * N_KILLS, "gain", 0.0),
    ]


def compare() -> list[Comparison]:
    """Overhead, then kills."""
    return [*overhead(), *kills()]
