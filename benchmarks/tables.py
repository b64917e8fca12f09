"""Reading and preparing a table of a million rows, beside what polars needs to read it alone; reading a workbook.

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
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.timing import ROOT, Comparison, take_turns

N_ROWS, N_ROUNDS = 1_000_000, 7
N_SHEET_ROWS, N_SHEET_ROUNDS = 100_000, 3
RAW_MB = N_ROWS * 10 * 8 / 1e6
"""The ten columns as plain float64 numbers."""


def write_table(path: Path, n_rows: int) -> None:
    """Six real numbers, two whole ones, a category of ten and a target, as CSV or as a workbook."""
    rng = np.random.default_rng(0)
    real = {f"real_{i}": rng.normal(50, 10, n_rows).round(4) for i in range(6)}
    whole = {f"whole_{i}": rng.integers(0, 1000, n_rows) for i in range(2)}
    town = rng.choice(np.array([f"town {letter}" for letter in "ABCDEFGHIJ"]), n_rows)
    price = (real["real_0"] + 2 * real["real_1"] + whole["whole_0"] / 10).round(3)
    frame = pl.DataFrame({**real, **whole, "town": town, "price": price})
    if path.suffix == ".xlsx":
        frame.write_excel(path)
    else:
        frame.write_csv(path)


def read_with_limpide(path: Path) -> int:
    """From the file to the arrays a network trains on; the number of rows."""
    from limpide.job import prepare

    # named, because choosing may load an engine, which is neither reading nor preparing
    job = prepare(path, target="price", engine="numpy")
    return sum(len(rows.x) for rows in job.parts.values())


def read_with_polars(path: Path) -> int:
    """From the file to a frame; the number of rows."""
    return pl.read_csv(path).height


def read_workbook_with_limpide(path: Path) -> int:
    """From the workbook to a frame; the number of rows."""
    from limpide.data.tables import read_table

    return read_table(path).frame.height


def read_workbook_with_openpyxl(path: Path) -> int:
    """From the workbook to cells, as fast as it can; the number of rows under the names."""
    import openpyxl

    sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).active
    assert sheet is not None
    return sum(1 for _row in sheet.iter_rows(min_row=2, values_only=True))


READERS: dict[str, Callable[[Path], int]] = {
    "limpide": read_with_limpide,
    "polars": read_with_polars,
    "limpide, workbook": read_workbook_with_limpide,
    "openpyxl": read_workbook_with_openpyxl,
}


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
    """Seconds beside polars and openpyxl, and megabytes beside the raw numbers."""
    growth: dict[str, list[float]] = {name: [] for name in READERS}

    def turn(name: str, path: Path) -> Callable[[], float]:
        def read() -> float:
            took, grew = read_apart(name, path)
            growth[name].append(grew)
            return took

        return read

    with tempfile.TemporaryDirectory() as folder:
        path, book = Path(folder) / "million.csv", Path(folder) / "book.xlsx"
        write_table(path, N_ROWS)
        took = take_turns({name: turn(name, path) for name in ("limpide", "polars")}, N_ROUNDS)
        write_table(book, N_SHEET_ROWS)
        took |= take_turns({name: turn(name, book) for name in ("limpide, workbook", "openpyxl")}, N_SHEET_ROUNDS)
    memory, raw = growth["limpide"][1:], [RAW_MB] * N_ROUNDS
    return [
        Comparison("time, 1M x 10 CSV", "polars.read_csv", "s", took["limpide"], took["polars"], "share", 3.0),
        Comparison("memory, 1M x 10 CSV", "raw float64", "MB", memory, raw, "share", 4.0),
        Comparison("memory of polars alone", "raw float64", "MB", growth["polars"][1:], raw, "share", None),
        Comparison(
            "time, 100,000 x 10 .xlsx", "openpyxl, read only", "s", took["limpide, workbook"], took["openpyxl"],
            "share", 1.0,
        ),
    ]  # fmt: skip


def main(name: str, path: Path) -> None:
    """One turn: the reader first meets a short table, so that every library it needs is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / f"short{path.suffix}"
        write_table(short, 500)
        assert READERS[name](short) == 500
    before, started = peak_mb(), time.perf_counter()
    n_rows = READERS[name](path)
    print(json.dumps([time.perf_counter() - started, peak_mb() - before]))
    assert n_rows == (N_SHEET_ROWS if path.suffix == ".xlsx" else N_ROWS)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
