"""`python3 dev.py bench [name ...]`: a table of ratios for each benchmark, and their figures as JSON.

Each benchmark runs in a process of its own, because the number of threads is settled when a library loads.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path

from benchmarks.timing import ROOT, Comparison, machine, table

# A module of this folder with `compare() -> list[Comparison]`, and the thread settings it runs under.
ONE, DEFAULT = "one thread", "default threads"
BENCHMARKS = {
    "updates": [ONE, DEFAULT],
    "engines": [ONE, DEFAULT],
    "tables": [DEFAULT],
    "start": [DEFAULT],
    "whole": [ONE, DEFAULT],
    "quality": [ONE],
    "kills": [ONE],
    "mnist": [DEFAULT],
    "comparing": [ONE],
    "streaming": [ONE],
    "peers": [ONE, DEFAULT],
    "tracing": [ONE],
    "doctor": [ONE],
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RESULTS = ROOT / "benchmarks" / "results"


def compare_apart(name: str, threads: str) -> list[Comparison]:
    """The comparisons of one benchmark, made in a fresh process; none when it fails, having said why itself."""
    environment = {key: value for key, value in os.environ.items() if key not in THREADS}
    if threads == ONE:
        environment.update(dict.fromkeys(THREADS, "1"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "comparisons.json"
        command = [sys.executable, "-m", "benchmarks", "--into", str(file), name]
        if subprocess.run(command, env=environment, cwd=ROOT).returncode != 0:
            return []
        return [Comparison(**fields) for fields in json.loads(file.read_text(encoding="utf-8"))]


def compare_into(file: Path, name: str) -> None:
    """The comparisons of one benchmark, made here and written as JSON."""
    made: list[Comparison] = importlib.import_module(f"benchmarks.{name}").compare()
    file.write_text(json.dumps([asdict(comparison) for comparison in made]), encoding="utf-8")


def show(name: str) -> bool:
    """Run, print and keep one benchmark; whether every goal is met."""
    about = machine()
    kept: dict[str, list[dict[str, object]]] = {}
    met = True
    for threads in BENCHMARKS[name]:
        comparisons = compare_apart(name, threads)
        if not comparisons:
            print(f"\n{name}, {threads}: FAILED, see above", flush=True)
            return False
        print(f"\n{name}, {threads}\n{table(comparisons)}", flush=True)
        kept[threads] = [
            {**asdict(c), "figure": c.result()[0], "interval": c.result()[1:], "met": c.is_met()} for c in comparisons
        ]
        met &= all(c.is_met() is not False for c in comparisons)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    text = json.dumps({"date": date.today().isoformat(), "machine": about, "comparisons": kept}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
    print(f"\nkept in {file.relative_to(ROOT)}", flush=True)
    return met


def run_wide(tables: list[str]) -> int:
    """The benchmark `wide`, which prints a table of its own, in a fresh process of one thread; its exit code."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    return subprocess.run([sys.executable, "-m", "benchmarks.wide", *tables], env=environment, cwd=ROOT).returncode


def main(arguments: list[str]) -> int:
    """0 when every goal of the benchmarks named (none: of all) is met, 1 when one is missed.

    arguments  names; or `wide` and names of its tables
    """
    if arguments[:1] == ["wide"]:
        return run_wide(arguments[1:])
    if arguments[:1] == ["--into"]:
        compare_into(Path(arguments[1]), arguments[2])
        return 0
    unknown = [name for name in arguments if name not in BENCHMARKS]
    if unknown:
        known = ", ".join([*BENCHMARKS, "or wide alone"])
        print(f"bench: expected some of {known}, got {' '.join(unknown)}", file=sys.stderr)
        return 2
    print("  ".join(f"{key} {value}" for key, value in machine().items()))
    met = [show(name) for name in arguments or BENCHMARKS]
    if not arguments:
        met.append(run_wide([]) == 0)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
