"""Fair comparisons: contenders take turns, and each round gives one ratio of its own.

On a shared machine the same program takes twice as long a minute later. Turns put both contenders under the same
weather, the median forgets the storms, and the quartiles beside it say how rough it was.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]

Kind = Literal["faster", "share", "more", "total", "gain"]


@dataclass(frozen=True)
class Comparison:
    """One line of the table: the figures of every round, and what is asked of them.

    ours, theirs  one figure for each round, in `unit`; `theirs` is empty for "total"
    kind          "faster": theirs / ours, at least `goal`     "share": ours / theirs, at most `goal`
                  "more": ours - theirs, at most `goal`        "total": ours, at most `goal`
                  "gain": ours - theirs, on the mean at least `goal` (for scores, where larger is better)
    goal          None for a line that only informs
    """

    what: str
    other: str
    unit: str
    ours: list[float]
    theirs: list[float]
    kind: Kind
    goal: float | None

    def rounds(self) -> list[float]:
        """What each round says."""
        if self.kind == "total":
            return self.ours
        pairs = list(zip(self.ours, self.theirs, strict=True))
        if self.kind == "faster":
            return [theirs / ours for ours, theirs in pairs]
        if self.kind == "share":
            return [ours / theirs for ours, theirs in pairs]
        return [ours - theirs for ours, theirs in pairs]

    def result(self) -> tuple[float, float, float]:
        """The figure and its interval: median and quartiles, for a gain the mean and its 95 % interval."""
        rounds = self.rounds()
        if self.kind != "gain":
            low, middle, high = statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else rounds * 3
            return middle, low, high
        from scipy.stats import t

        mean, spread = statistics.fmean(rounds), statistics.stdev(rounds) / math.sqrt(len(rounds))
        half = float(t.ppf(0.975, len(rounds) - 1)) * spread
        return mean, mean - half, mean + half

    def is_met(self) -> bool | None:
        """Whether the goal is reached; None when there is none."""
        if self.goal is None:
            return None
        value, slack = self.result()[0], 1e-9  # a mean of equal scores may come out as -1e-17
        return value >= self.goal - slack if self.kind in ("faster", "gain") else value <= self.goal + slack

    def cells(self) -> list[str]:
        """The line of the table."""
        value, low, high = self.result()
        sign = {"faster": "x", "share": "x"}.get(self.kind, f" {self.unit}")
        bound = "" if self.goal is None else f"{'>=' if self.kind in ('faster', 'gain') else '<='} {self.goal:g}{sign}"
        met = {True: "yes", False: "NO", None: ""}[self.is_met()]
        centre = statistics.fmean if self.kind == "gain" else statistics.median
        theirs = f"{centre(self.theirs):.4g}" if self.theirs else ""
        figure = f"{value:.3g}{sign} [{low:.3g}, {high:.3g}]"
        return [self.what, f"{centre(self.ours):.4g}", self.other, theirs, self.unit, figure, bound, met]


HEADINGS = ["what", "limpide", "beside", "", "unit", "figure [interval]", "goal", "met"]


def table(comparisons: Sequence[Comparison]) -> str:
    """The lines, in columns."""
    rows = [HEADINGS, *(comparison.cells() for comparison in comparisons)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def take_turns(contenders: Mapping[str, Callable[[], float]], n_rounds: int) -> dict[str, list[float]]:
    """The figures of each contender; in every round another one begins. One round goes unmeasured, to warm up."""
    names = list(contenders)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-1, n_rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            figure = contenders[name]()
            if i >= 0:
                figures[name].append(figure)
    return figures


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def process_seconds(command: Sequence[str | Path], **settings: str) -> float:
    """How long a Python process takes from start to end; it must succeed.

    command  the words after `python`
    """
    environment = {**os.environ, **settings}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    taken = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return taken


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text(encoding="utf-8").splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    libraries = ("limpide", "numpy", "polars", "scikit-learn", "torch")
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
        "load before": load,
    }
