"""Reading and preparing a table of a million rows, beside what polars needs to read it alone.

Preparing means all that comes before the first update: columns understood, rows split, layer 0 fitted on the training
rows, every row turned into float32.
Each turn is a process of its own, so that the growth of its memory is the work's alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.timing import ROOT, Comparison, take_turns

N_ROWS = 1_000_000
N_ROUNDS = 7
RAW_MB = N_ROWS * 10 * 8 / 1e6
"""The ten columns as plain float64 numbers."""


def write_table(path: Path) -> None:
    """Six real numbers, two whole ones, a category of ten and a target."""
    rng = np.random.default_rng(0)
    real = {f"real_{i}": rng.normal(50, 10, N_ROWS).round(4) for i in range(6)}
    whole = {f"whole_{i}": rng.integers(0, 1000, N_ROWS) for i in range(2)}
    town = rng.choice(np.array([f"town {letter}" for letter in "ABCDEFGHIJ"]), N_ROWS)
    price = (real["real_0"] + 2 * real["real_1"] + whole["whole_0"] / 10).round(3)
    pl.DataFrame({**real, **whole, "town": town, "price": price}).write_csv(path)


def read_with_limpide(path: Path) -> int:
    """From the file to the arrays a network trains on; the number of rows."""
    from limpide.job import prepare

    # named, because choosing may load an engine, which is neither reading nor preparing
    job = prepare(path, target="price", engine="numpy")
    return sum(len(rows.x) for rows in job.parts.values())


def read_with_polars(path: Path) -> int:
    """From the file to a frame; the number of rows."""
    return pl.read_csv(path).height


READERS: dict[str, Callable[[Path], int]] = {"limpide": read_with_limpide, "polars": read_with_polars}


def peak_mb() -> float:
    """The most memory this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss would count what the process was forked from
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def read_apart(name: str, path: Path) -> tuple[float, float]:
    """Seconds, and megabytes of growth, of a reader in a fresh process; the libraries are loaded before the clock."""
    command = [sys.executable, "-m", "benchmarks.tables", name, str(path)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    took, grew = json.loads(done.stdout)
    return took, grew


def compare() -> list[Comparison]:
    """Seconds beside polars, and megabytes beside the raw numbers."""
    growth: dict[str, list[float]] = {name: [] for name in READERS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        write_table(path)

        def turn(name: str) -> Callable[[], float]:
            def read() -> float:
                took, grew = read_apart(name, path)
                growth[name].append(grew)
                return took

            return read

        took = take_turns({name: turn(name) for name in READERS}, N_ROUNDS)
    memory, raw = growth["limpide"][1:], [RAW_MB] * N_ROUNDS
    return [
        Comparison("time, 1M x 10 CSV", "polars.read_csv", "s", took["limpide"], took["polars"], "share", 3.0),
        Comparison("memory, 1M x 10 CSV", "raw float64", "MB", memory, raw, "share", 4.0),
        Comparison("memory of polars alone", "raw float64", "MB", growth["polars"][1:], raw, "share", None),
    ]


def main(name: str, path: Path) -> None:
    """One turn: the reader first meets a short table, so that every library it needs is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.csv"
        with path.open(encoding="utf-8") as file:
            short.write_text("".join(islice(file, 501)), encoding="utf-8")
        assert READERS[name](short) == 500
    before, started = peak_mb(), time.perf_counter()
    n_rows = READERS[name](path)
    print(json.dumps([time.perf_counter() - started, peak_mb() - before]))
    assert n_rows == N_ROWS


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
