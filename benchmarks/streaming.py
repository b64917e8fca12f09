"""Data larger than memory: what a row costs as rows grow a thousandfold, and how much memory ten million of them take.

Tables of ten columns in Parquet are read twice (layer 0 and the split, then the rows prepared for the disk), then
trained on window by window with the compiled engine. Every size takes its turn in each round; the smallest ones go
through the same code as often as it takes to be timed. Last, a whole training tells its peak of memory, and so does
measuring a run on three million rows, piece by piece and in memory; each in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from benchmarks.timing import ROOT, Comparison, seconds, take_turns
from limpide.data.preparation import TablePreparation
from limpide.defaults import Choices
from limpide.job import Job, prepare, recipe_of
from limpide.streaming import open_stream
from limpide.streaming.keeping import Keeper
from limpide.streaming.survey import plan_stream, survey_stream
from limpide.training import Fit, train

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
ROWS_A_TURN = 300_000
"""Small tables are gone through as often as it takes to come to so many rows."""

N_ROUNDS = 3
MEMORY_MB = 500
N_EVALUATED = 3_000_000
PROCESS_MB = 200
"""Python, the libraries and the compiled code, before any row."""

OPTIONS: dict[str, Any] = {
    "stream": True,
    "memory": f"{MEMORY_MB} MB",
    "network": "64 relu, 32 relu",
    "batch_size": 256,
}
FLAT = 1.15


def write_table(n: int, file: Path) -> None:
    """Eight numbers, four cities and a price, written piece by piece."""

    def pieces(*_pushed: object) -> Iterator[pl.DataFrame]:
        for start in range(0, n, 500_000):
            rng, m = np.random.default_rng(start), min(500_000, n - start)
            x = rng.standard_normal((m, 8), np.float32)
            city = rng.integers(0, 4, m)
            price = 2 * x[:, 0] + x[:, 1] * x[:, 2] + (city == 1) + 0.1 * rng.standard_normal(m, np.float32)
            columns: dict[str, object] = {f"x{i}": x[:, i] for i in range(8)}
            yield pl.DataFrame({**columns, "city": np.array(["Lyon", "Nice", "Metz", "Brest"])[city], "price": price})

    schema = next(pieces()).schema
    register_io_source(pieces, schema=schema).sink_parquet(file)


def passes_turn(file: Path, n: int) -> Callable[[], float]:
    """Nanoseconds a row of both passes over a table."""
    recipe = recipe_of(str(file), **OPTIONS)
    stream = open_stream(recipe)
    assert stream is not None
    plan = plan_stream(Choices(recipe, {}, stream.name), stream)
    times = max(1, ROWS_A_TURN // n)

    def passes() -> None:
        for _time in range(times):
            survey = survey_stream(plan)
            preparation = TablePreparation(tuple(survey.treatments()))
            keeper = Keeper(plan, survey, preparation, survey.target(), MEMORY_MB * 10**6)
            for cut in plan.cuts():
                keeper.add(cut)

    return lambda: 1e9 * seconds(passes) / (times * n)


def epoch_turn(job: Job) -> Callable[[], float]:
    """Nanoseconds a training row of an epoch."""
    fit = Fit(job)
    n = job.sizes["train"]
    times = max(1, ROWS_A_TURN // n)

    def epoch() -> None:
        for _time in range(times):
            for x, y, order in fit._windows(1):
                losses = fit.trainer.run(x, y, order, fit.batch_size, fit.noise(1))
                assert isfinite(losses[-1])

    return lambda: 1e9 * seconds(epoch) / (times * n)


PEAK = """
import sys
from benchmarks.tables import peak_mb
from limpide.training import train
train(sys.argv[1], save=False, epochs=2, engine="compiled", {options})
print(peak_mb())
"""


def peak_megabytes(file: Path) -> float:
    """The most memory that a whole training takes: two epochs, measures, baselines."""
    options = ", ".join(f"{name}={value!r}" for name, value in OPTIONS.items())
    command = [sys.executable, "-c", PEAK.format(options=options), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


EVALUATE = """
import sys
from benchmarks.tables import peak_mb
from limpide.runs import load
load(sys.argv[1]).evaluate(sys.argv[2], sys.argv[3])
print(peak_mb())
"""


def evaluating_megabytes(run: Path, file: Path, memory: str) -> float:
    """The most memory that measuring a run takes."""
    command = [sys.executable, "-c", EVALUATE, str(run), str(file), memory]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def evaluating(folder: Path, small: Path) -> Comparison:
    """Three million rows measured piece by piece, beside the same in memory."""
    file, run = folder / "evaluated.parquet", folder / "run"
    write_table(N_EVALUATED, file)
    train(str(small), out=run, epochs=2, network=OPTIONS["network"], engine="compiled", baselines=False, report=False)
    pieces, whole = (evaluating_megabytes(run, file, memory) for memory in (f"{MEMORY_MB} MB", "100 GB"))
    what = f"evaluating {N_EVALUATED:,} rows in {MEMORY_MB} MB: all memory of the process"
    return Comparison(what, "in memory", "MB", [pieces], [whole], "share", None)


def compare() -> list[Comparison]:
    """The largest table beside each smaller one, and its memory."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        files = {n: Path(folder) / f"{n}.parquet" for n in SIZES}
        for n, file in files.items():
            write_table(n, file)
        jobs = {n: prepare(str(file), engine="compiled", **OPTIONS) for n, file in files.items()}
        turns = {
            "reading, layer 0 and preparing": {str(n): passes_turn(file, n) for n, file in files.items()},
            "an epoch": {str(n): epoch_turn(job) for n, job in jobs.items()},
        }
        for what, contenders in turns.items():
            figures = take_turns(contenders, N_ROUNDS)
            most = figures[str(SIZES[-1])]
            for n in SIZES[:-1]:
                name = f"{what}, {SIZES[-1]:,} rows"
                found.append(Comparison(name, f"{n:,} rows", "ns/row", most, figures[str(n)], "share", FLAT))
        what = f"training on {SIZES[-1]:,} rows in {MEMORY_MB} MB: all memory of the process"
        peak = [peak_megabytes(files[SIZES[-1]])]
        found.append(Comparison(what, "", "MB", peak, [], "total", MEMORY_MB + PROCESS_MB))
        found.append(evaluating(Path(folder), files[SIZES[1]]))
    return found
