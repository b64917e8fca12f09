"""Nasty but realistic files: what each holds, what becomes of it, and what is said.

Every file that is accepted holds the same table of houses, written in another way, unless its case says otherwise.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import polars as pl
import xlsxwriter

N = 24
TOWNS = ["Besançon", "Lyon", "Orléans"]
HOUSES: dict[str, list[Any]] = {
    "area": [20.5 + 1.25 * i for i in range(N)],
    "rooms": [1 + i % 5 for i in range(N)],
    "town": [TOWNS[i % 3] for i in range(N)],
    "price": [1000.25 + 137 * (i * 7 % N) for i in range(N)],
}
NAMES = list(HOUSES)


@dataclass(frozen=True)
class Nasty:
    """One file.

    verdict  "accepted", "warned" (accepted with a warning) or "refused"
    holds    columns and their values, where they are not those of the houses
    says     parts of the warnings, or all the problems
    """

    file: str
    content: Callable[[], bytes]
    verdict: str
    says: Sequence[str] = ()
    holds: dict[str, list[Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    target: str | None = "price"


def rows(**changed: Sequence[Any]) -> list[list[Any]]:
    """The rows of the houses, some columns with other cells; those that are no house are added."""
    columns = {**HOUSES, **changed}
    return [list(row) for row in zip(*columns.values(), strict=True)]


def write(
    delimiter: str = ",",
    decimal: str = ".",
    end: str = "\n",
    header: bool = True,
    shown: Callable[[str, Any], str] | None = None,
    **changed: Sequence[Any],
) -> str:
    """The houses as text."""
    names = list({**HOUSES, **changed})

    def cell(name: str, value: Any) -> str:
        if shown is not None and name not in changed:
            return shown(name, value)
        return str(value).replace(".", decimal) if isinstance(value, float) else str(value)

    lines = [delimiter.join(names)] if header else []
    lines += [delimiter.join(cell(name, value) for name, value in zip(names, row)) for row in rows(**changed)]
    return end.join(lines) + end


def euros(name: str, value: Any) -> str:
    return (
        f"{value:,.2f}".translate(str.maketrans(",.", "\N{NO-BREAK SPACE},")) + " €"
        if name == "price"
        else comma(name, value)
    )


def comma(_name: str, value: Any) -> str:
    return str(value).replace(".", ",") if isinstance(value, float) else str(value)


def quoted(mark: str, decimal: str = ".") -> Callable[[str, Any], str]:
    """Prices with a mark between thousands."""

    def shown(name: str, value: Any) -> str:
        text = f"{value:,.2f}".translate(str.maketrans(",.", mark + decimal)) if name == "price" else str(value)
        return f'"{text}"' if mark == "," else text.replace(".", decimal) if name == "area" else text

    return shown


def book(table: Sequence[Sequence[Any]], change: Callable[[Any], None] = lambda _book: None) -> bytes:
    """A workbook of openpyxl."""
    made = openpyxl.Workbook()
    for row in table:
        made.active.append(list(row))
    change(made)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def with_formulas() -> bytes:
    """A workbook whose prices are formulas with the values that were computed last."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, NAMES)
        for i, row in enumerate(rows(), 1):
            sheet.write_row(i, 0, row[:3])
            sheet.write_formula(i, 3, f"=A{i + 1}*50", None, row[3])
    return file.getvalue()


def merged() -> bytes:
    """A workbook in which a town stands once beside all its houses."""
    order = sorted(range(N), key=lambda i: HOUSES["town"][i])
    table = [
        NAMES,
        *(
            [rows()[i][0], rows()[i][1], rows()[i][2] if k % 8 == 0 else None, rows()[i][3]]
            for k, i in enumerate(order)
        ),
    ]

    def change(made: Any) -> None:
        for k in range(0, N, 8):
            made.active.merge_cells(start_row=k + 2, end_row=k + 9, start_column=3, end_column=3)

    return book(table, change)


def titled() -> bytes:
    """A workbook with a title over the table, an empty column before it, and totals below."""
    table = [["Houses of the region"], ["as of 2024"], [], *([None, *row] for row in [NAMES, *rows()])]
    table.append([None, "Total", None, None, sum(HOUSES["price"])])
    return book(table, lambda made: made.active.merge_cells("A1:E1"))


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def locked(content: bytes) -> bytes:
    """A zip file whose entries say that they are under a password."""
    return content.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0").replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0"
    )


def tarred(content: bytes) -> bytes:
    """A .tar.gz of one table."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("houses.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def parquet(frame: pl.DataFrame) -> bytes:
    """A Parquet file."""
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def npy(array: Any) -> bytes:
    """An .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """An .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def objects() -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    return [dict(zip(NAMES, row)) for row in rows()]


def json_lines(made: Sequence[Any]) -> bytes:
    """An object a line."""
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in made).encode()


def ole(stream: str) -> bytes:
    """Enough of an old Office container to be recognised."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + (stream + "\0").encode("utf-16-le") + bytes(1000)


def gzip_bomb(n: int) -> bytes:
    """A few kilobytes that unpack to n megabytes of zeros."""
    return gzip.compress(bytes(n * 10**6))


HERE = Path(__file__).parent / "corpus"
