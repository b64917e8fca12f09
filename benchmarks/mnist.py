"""MNIST from the start of the process to the metrics: the shipped recipes beside the textbook script of the course.

Needs the four files: `LIMPIDE_DATA`, or the folder that the tests look for.

Seeds and accuracies are those of fresh processes: what is timed is what is measured.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import ROOT, Comparison, take_turns

N_ROUNDS = 3
SEEDS = range(10, 15)
SCRIPT = ROOT / "benchmarks" / "textbook_mnist.py"
GOALS = {"mnist-fast": (98.85, None), "mnist-99": (99.0, 5.0), "mnist-99.5": (99.5, 30.0)}
"""Recipe -> its mean test accuracy in percent, and the seconds of its whole process."""


def folder() -> Path:
    """Where the files of MNIST lie."""
    places = [Path(os.environ.get("LIMPIDE_DATA", "missing")), ROOT / "../shared/data/mnist"]
    found = [place for place in places if (place / "train-images-idx3-ubyte.gz").exists()]
    if not found:
        sys.exit("mnist: expected the four files of MNIST, got none; set LIMPIDE_DATA to their folder")
    return found[0].resolve()


def run(words: list[str | Path], data: Path) -> tuple[float, str]:
    """How long a Python process takes, and what it prints; it must succeed."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "LIMPIDE_DATA": str(data)},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def textbook(data: Path, seed: int) -> tuple[float, float]:
    """Seconds and test accuracy in percent of the script."""
    seconds, printed = run([SCRIPT, data, str(seed)], data)
    found = re.search(r"test accuracy ([0-9.]+)", printed)
    assert found
    return seconds, 100 * float(found[1])


def recipe(name: str, data: Path, seed: int) -> tuple[float, float]:
    """Seconds and test accuracy in percent of a shipped recipe, without baselines and report."""
    with tempfile.TemporaryDirectory() as out:
        words = ["-m", "limpide", "train", name, "--seed", str(seed), "--no-baselines", "--no-report", "--quiet"]
        seconds, printed = run([*words, "--json", "--out", Path(out) / "run"], data)
    return seconds, 100 * float(json.loads(printed)["test"]["accuracy"])


def compare() -> list[Comparison]:
    """The whole process in turns, then five seeds of each recipe."""
    data = folder()
    took = take_turns(
        {"textbook": lambda: textbook(data, 0)[0], "fast": lambda: recipe("mnist-fast", data, 0)[0]}, N_ROUNDS
    )
    lines = [
        Comparison("mnist-fast, whole process", "textbook script", "s", took["fast"], took["textbook"], "faster", 8)
    ]
    for name, (accuracy, limit) in GOALS.items():
        seconds, accuracies = zip(*(recipe(name, data, seed) for seed in SEEDS))
        asked = [accuracy] * len(accuracies)
        lines.append(Comparison(f"{name}, test accuracy", "asked", "%", list(accuracies), asked, "gain", 0))
        lines.append(Comparison(f"{name}, whole process", "", "s", list(seconds), [], "total", limit))
        print(f"{name}: {statistics.fmean(accuracies):.3f} % on the mean of {len(accuracies)} seeds", flush=True)
    return lines
