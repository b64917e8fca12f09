"""The whole job, start of the process included: `limpide train production-costs` beside the textbook PyTorch script."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.timing import ROOT, Comparison, process_seconds, take_turns

N_ROUNDS = 9
SCRIPT = ROOT / "benchmarks" / "textbook_costs.py"


def compare() -> list[Comparison]:
    """Seconds from the command to its end: by default, and with as many epochs as the script."""
    train = ["-m", "limpide", "train", "production-costs"]
    bare = ["--no-report", "--no-baselines"]
    with tempfile.TemporaryDirectory() as folder:
        took = take_turns(
            {
                "script": lambda: process_seconds([SCRIPT, Path(folder) / "curves.png"]),
                "whole": lambda: process_seconds([*train, "--out", Path(folder) / "whole"]),
                "bare": lambda: process_seconds([*train, *bare, "--out", Path(folder) / "bare"]),
            },
            N_ROUNDS,
        )
    beside = "textbook script"
    return [
        Comparison("train, baselines, report", beside, "s", took["whole"], took["script"], "share", 1.0),
        Comparison("train only", beside, "s", took["bare"], took["script"], "share", 0.5),
    ]
