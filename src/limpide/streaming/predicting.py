"""Predictions for a table larger than memory, piece by piece."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from limpide.checkpoint import cannot_write
from limpide.data.dataset import Note
from limpide.data.preparation import TablePreparation
from limpide.data.streams import Piece, TableStream
from limpide.errors import DataError, problem
from limpide.i18n import _
from limpide.runs import Run

Watch = Callable[[int], None]
"""Told how many rows are done."""


def predict_stream(run: Run, stream: TableStream, out: Path, watch: Watch | None = None) -> tuple[int, list[Note]]:
    """Write the columns of a stream and the predictions beside them, as CSV, TSV or Parquet by the name of the file.

    Returns  how many rows there are, and what a user should know of them
    Raises   DataError    when a column lacks, or a cell cannot be read; its file and row are named
             RunError     when the file cannot be written; then there is none, or the old one
    """
    beside = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    notes: dict[str, Note] = {}
    n_rows = 0

    def tables() -> Iterator[pl.DataFrame]:
        nonlocal n_rows
        for piece in stream.pieces():
            yield _predicted(run, piece, notes)
            n_rows += len(piece.frame)
            if watch:
                watch(n_rows)

    try:
        if out.suffix.lower() == ".parquet":
            _write_parquet(tables(), beside)
        else:
            _write_text(tables(), beside, "\t" if out.suffix.lower() == ".tsv" else ",")
        beside.replace(out)
    except OSError as error:
        raise cannot_write(out, error) from None
    finally:
        beside.unlink(missing_ok=True)
    return n_rows, [*stream.notes, *notes.values()]


def _predicted(run: Run, piece: Piece, notes: dict[str, Note]) -> pl.DataFrame:
    """The rows of a piece with their predictions; of each column the first note is kept."""
    preparation = run.preparation
    assert isinstance(preparation, TablePreparation), "a stream holds tables"
    with piece.naming(preparation.cell_problems):
        predictions = run.predictions(piece.frame)
    for note in preparation.notes(piece.frame, piece.places):
        if note.where not in notes:
            row = piece.places.shown(0)
            text = _("in {file} from row {row}: {note}").format(file=piece.file, row=row, note=note.text)
            notes[note.where] = Note(note.level, note.where, text)
    return piece.frame.drop(predictions.columns, strict=False).hstack(predictions)


def _write_text(tables: Iterator[pl.DataFrame], path: Path, separator: str) -> None:
    with path.open("wb") as file:
        for i, table in enumerate(tables):
            table.write_csv(file, include_header=i == 0, separator=separator)
        file.flush()
        os.fsync(file.fileno())


def _write_parquet(tables: Iterator[pl.DataFrame], path: Path) -> None:
    """One row group after another, each column of the type of the first rows."""
    from polars.io.plugins import register_io_source

    first = next(tables)
    failures: list[Exception] = []

    def source(
        _columns: list[str] | None, _filter: pl.Expr | None, _n: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        try:
            yield first
            for table in tables:
                yield table if table.schema == first.schema else _cast(table, first.schema)
        except Exception as error:
            failures.append(error)
            raise

    try:
        register_io_source(source, schema=first.schema).sink_parquet(path)
    except pl.exceptions.PolarsError:
        # polars wraps what its source raises
        if failures:
            raise failures[0] from None
        raise


def _cast(table: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    for name, dtype in schema.items():
        try:
            table = table.with_columns(table[name].cast(dtype))
        except pl.exceptions.PolarsError:
            expected = _("cells of one type, as Parquet wants them")
            got = _("others than in the first rows")
            where = _("column {name}").format(name=name)
            raise DataError(problem(where, expected, got, _("write .csv instead"))) from None
    return table
