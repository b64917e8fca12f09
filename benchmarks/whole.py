"""The whole job, start of the process included: `limpide train production-costs` beside the textbook PyTorch script."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.timing import ROOT, Comparison, process_seconds, take_turns

N_ROUNDS = 9
SCRIPT = ROOT / "benchmarks" / "textbook_costs.py"


def train_seconds(folder: str, *options: str) -> float:
    """One training from the command to its end, its run in an empty folder."""
    out = tempfile.mkdtemp(dir=folder)
    return process_seconds(["-m", "limpide", "train", "production-costs", "--out", out, *options])


def compare() -> list[Comparison]:
    """Seconds from the command to its end; limpide stops by itself, the script after its 50 epochs."""
    with tempfile.TemporaryDirectory() as folder:
        took = take_turns(
            {
                "script": lambda: process_seconds([SCRIPT, Path(folder) / "curves.png"]),
                "whole": lambda: train_seconds(folder),
                "bare": lambda: train_seconds(folder, "--no-report", "--no-baselines"),
            },
            N_ROUNDS,
        )
    beside = "textbook script"
    return [
        Comparison("train, baselines, report", beside, "s", took["whole"], took["script"], "share", 1.0),
        Comparison("train only", beside, "s", took["bare"], took["script"], "share", 0.5),
    ]
