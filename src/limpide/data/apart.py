"""Files whose readers are compiled code are read in a process of their own.

A damaged file can make such a reader ask for absurd memory or break down, and its process dies with it: then that
process does, and the file is told to be damaged. What comes back is an Arrow frame that our own process wrote.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from limpide.errors import DataError, problem
from limpide.i18n import _

SECONDS = 60
SECONDS_PER_MB = 2
"""What a reader may take before the file is told to be damaged."""
MEMORY = 2**29
GROWTH = 100
COPIES = 3
"""A reader may take so many bytes, and three times what its frames may hold."""

START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from limpide.data.apart import serve; serve()"


def read_apart(
    where: str, form: str, mend: str, reader: str, content: bytes, *arguments: Any, n_bytes: float = 0
) -> list[pl.DataFrame]:
    """The frames that a reader makes of the content of a file.

    form       what the file should be, in words
    reader     one of `READERS`
    n_bytes    the most that the frames may take; else `GROWTH` times the file
    arguments  more for it, as JSON holds them
    Raises     DataError  with what the reader says, or when it breaks down
    """
    memory = MEMORY + COPIES * (n_bytes or GROWTH * len(content))
    request = json.dumps([len(content), memory, reader, *arguments]).encode() + b"\n" + content
    try:
        answer = ask(request, SECONDS + SECONDS_PER_MB * len(content) / 1e6)
    except subprocess.TimeoutExpired:
        raise DataError(problem(where, form, _("one that cannot be read to its end"), mend)) from None
    if not answer:
        raise DataError(problem(where, form, _("one so damaged that its reader breaks down"), mend))
    facts, _newline, rest = answer.partition(b"\n")
    told = json.loads(facts)
    if "error" in told:
        raise DataError(problem(where, form, told["error"], mend))
    file = io.BytesIO(rest)
    return [pl.read_ipc(io.BytesIO(file.read(size))) for size in told["sizes"]]


def command() -> list[str]:
    """What starts a process that serves."""
    return [sys.executable, "-c", START, json.dumps(sys.path)]


def ask(request: bytes, seconds: float) -> bytes:
    """What a fresh process answers; nothing when it broke down.

    Raises  subprocess.TimeoutExpired  when it takes longer than these seconds
    """
    done = subprocess.run(command(), input=request, stdout=-1, stderr=subprocess.DEVNULL, timeout=seconds)
    return b"" if done.returncode else done.stdout


def serve(given: BinaryIO | None = None, out: BinaryIO | None = None) -> None:
    """Answer requests until there are no more.

    A line of JSON and the content of a file come in; a line of JSON and frames go out.
    """
    given, out = given or sys.stdin.buffer, out or sys.stdout.buffer
    while line := given.readline():
        n_bytes, memory, reader, *arguments = json.loads(line)
        content = given.read(n_bytes)
        try:
            _bound(memory)
            frames = READERS[reader](content, *arguments)
        except BaseException as error:  # a panic of native code is no Exception
            lines = str(error).strip().splitlines() or [type(error).__name__]
            out.write(json.dumps({"error": lines[0][:200]}).encode() + b"\n")
        else:
            files = [io.BytesIO() for _frame in frames]
            for frame, file in zip(frames, files):
                frame.write_ipc(file)
            out.write(json.dumps({"sizes": [file.tell() for file in files]}).encode() + b"\n")
            for file in files:
                out.write(file.getbuffer())
        out.flush()


def _bound(n_bytes: float) -> None:
    """Let this process take no more than so much memory, beside what it holds already; half of the machine at most."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return  # only Linux has such a bound
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + int(min(n_bytes, whole / 2)), hard))


def _parquet(content: bytes, drop: Sequence[str], most_cells: int) -> list[pl.DataFrame]:
    """A row for each column, with whether a cell holds one value; the number of rows; the table, unless it is too large
    or such a cell holds several.
    """
    lazy = pl.scan_parquet(content)
    schema = lazy.collect_schema()
    names = [name for name in schema if name not in drop]
    is_plain = [not (schema[name].is_nested() or schema[name] == pl.Binary) for name in schema]
    n_rows = lazy.select(pl.len()).collect()
    about = [pl.DataFrame({"name": schema.names(), "is_plain": is_plain}), n_rows]
    is_fine = all(plain or name in drop for name, plain in zip(schema, is_plain))
    return [*about, lazy.select(names).collect()] if is_fine and n_rows.item() * len(names) <= most_cells else about


def _sheets(content: bytes) -> list[pl.DataFrame]:
    import fastexcel

    return [pl.DataFrame({"name": fastexcel.read_excel(content).sheet_names})]


def _cells(content: bytes, sheet: str) -> list[pl.DataFrame]:
    """Every cell as text, and every cell as a number, from the first row of the sheet on."""
    import fastexcel

    book = fastexcel.read_excel(content)
    return [
        book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes=dtype).to_polars() for dtype in ("string", "float")
    ]


READERS: dict[str, Callable[..., list[pl.DataFrame]]] = {
    "parquet": _parquet,
    "sheets": _sheets,
    "cells": _cells,
}
