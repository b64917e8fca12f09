"""Nothing lost: real processes killed at random moments, each resumed, each compared bit for bit with the whole run.

Not a matter of speed, so not part of the table: `python3 dev.py bench kills` prints how many of 50 came out equal.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Comparison
from limpide.runs import Run, load
from limpide.training import resume, train

N_KILLS = 50
SOURCE = "spirals"
OPTIONS: dict[str, Any] = {"epochs": 60, "patience": 0, "batch_size": 16}


def is_same(a: Run, b: Run) -> bool:
    """Weights, history (but for its seconds), test outputs and stop."""
    weights = all(np.array_equal(array, b.weights[name]) for name, array in a.weights.items())
    pairs = zip(a.history, b.history, strict=True)
    history = all({**one.to_dict(), "seconds": 0} == {**other.to_dict(), "seconds": 0} for one, other in pairs)
    return weights and history and np.array_equal(a.test_outputs, b.test_outputs) and a.stop == b.stop


def killed(folder: Path, after: float) -> bool:
    """Start a training, kill it `after` seconds behind its first checkpoint; whether it was still at work."""
    words = [sys.executable, "-m", "limpide", "train", SOURCE, "--quiet", "--no-report", "--no-baselines"]
    words += ["--epochs", "60", "--patience", "0", "--batch", "16", "--out", str(folder)]
    process = subprocess.Popen(
        words,
        env=os.environ | {"LIMPIDE_CHECKPOINT_SECONDS": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / "progress.safetensors").exists() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return (folder / "progress.safetensors").exists()


def compare() -> list[Comparison]:
    """How many resumed runs are the uninterrupted one, of those killed before their end."""
    draw = random.Random(0)
    equal, n_killed = [], 0
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        whole = train(SOURCE, out=Path(place) / "whole", report=False, baselines=False, **OPTIONS)
        length = time.perf_counter() - started
        for i in range(N_KILLS):
            folder = Path(place) / f"killed-{i}"
            if killed(folder, draw.uniform(0, length)):
                n_killed += 1
                equal.append(float(is_same(whole, resume(folder, report=False, baselines=False))))
            else:
                equal.append(float(is_same(whole, load(folder))))
    what = f"{n_killed} of {N_KILLS} killed in time"
    return [Comparison(what, "the whole run", "equal", equal, [1.0] * N_KILLS, "gain", 0.0)]
