"""`python3 dev.py fuzz [--minutes N] [reader ...]`: every reader on bytes of every kind, valid files changed at random.

Whatever a file holds, it is read or refused with a `LimpideError`. Anything else is a crash: its input is kept in
`benchmarks/crashes/` and the exit code is 1. Each reader has a process of its own, guided by the coverage of its code.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz_readers import READERS
from benchmarks.timing import ROOT

CRASHES = ROOT / "benchmarks" / "crashes"
MOST_BYTES = 1 << 16
SECONDS_FOR_ONE = 600
"""An input that takes longer hangs, on however busy a machine."""


def fuzz_one(name: str, seconds: int, folder: Path) -> None:
    """Fuzz one reader in this process; never returns."""
    import atheris

    with atheris.instrument_imports(include=["limpide"]):
        reader = READERS[name]()
    seeds = folder / "seeds"
    seeds.mkdir()
    for i, seed in enumerate(reader.seeds):
        (seeds / f"seed-{i}").write_bytes(seed)
    CRASHES.mkdir(exist_ok=True)
    atheris.Setup(
        [
            f"fuzz-{name}",
            f"-max_total_time={seconds}",
            f"-max_len={max(MOST_BYTES, max(map(len, reader.seeds)))}",
            f"-timeout={SECONDS_FOR_ONE}",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            f"-artifact_prefix={CRASHES / name}-",
            str(seeds),
        ],
        reader.read,
    )
    atheris.Fuzz()


def fuzz_apart(name: str, seconds: int) -> tuple[int, int, bool]:
    """The executions, the inputs that reached new code, and whether the reader stood firm, in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--into", folder, "--seconds", str(seconds), name]
        environment = {**os.environ, "LIMPIDE_MAX_FILE_MB": "20", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
        log = Path(folder) / "log"
        with log.open("wb") as file:
            code = subprocess.run(command, cwd=ROOT, env=environment, stdout=file, stderr=file).returncode
        text = log.read_text(errors="replace")
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", text) or re.search(r"#(\d+)\s+DONE", text)
    new = re.search(r"stat::new_units_added:\s*(\d+)", text)
    if code != 0:
        print(
            f"\n{name} FAILED (exit code {code}); the end of its log:\n" + "\n".join(text.splitlines()[-40:]),
            flush=True,
        )
    return int(executed[1]) if executed else 0, int(new[1]) if new else 0, code == 0 and executed is not None


def main(arguments: Sequence[str]) -> int:
    """0 when no reader crashed, 1 when one did."""
    parser = argparse.ArgumentParser(prog="python3 dev.py fuzz")
    parser.add_argument(
        "readers", nargs="*", metavar="reader", help=f"some of {', '.join(READERS)}; all when none is named"
    )
    parser.add_argument("--minutes", type=float, default=60, help="in all, shared by the readers (60)")
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    unknown = [name for name in given.readers if name not in READERS]
    if unknown:
        parser.error(f"expected some of {', '.join(READERS)}, got {' '.join(unknown)}")
    if given.into is not None:
        fuzz_one(given.readers[0], given.seconds, given.into)
    names = given.readers or list(READERS)
    seconds = max(1, round(given.minutes * 60 / len(names)))
    print(
        f"{len(names)} readers, {seconds} s each\n\n{'reader':<12}{'seconds':>9}{'executions':>13}{'new paths':>11}",
        flush=True,
    )
    total, firm = 0, True
    for name in names:
        started = time.monotonic()
        executed, new, is_firm = fuzz_apart(name, seconds)
        took = time.monotonic() - started
        print(f"{name:<12}{took:9.0f}{executed:13,}{new:11,}  {'' if is_firm else 'CRASHED'}", flush=True)
        total, firm = total + executed, firm and is_firm
    print(f"\n{total:,} executions, {'no crash' if firm else f'crashes kept in {CRASHES.relative_to(ROOT)}'}")
    return 0 if firm else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
