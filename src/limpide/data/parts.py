"""A table in several files: the parts of a folder or of a pattern, with the same columns, one after another."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from limpide.data import limits, numerals, values
from limpide.data.dataset import Note
from limpide.data.places import Places
from limpide.data.reading import Asked
from limpide.data.tables import TableFile, read_table
from limpide.data.tidying import date_doubts
from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, ngettext

SUFFIXES = (".parquet", ".pq", ".csv", ".tsv", ".tab")
"""What the parts of a table are called: the endings that nothing but a table has."""

OTHER_SUFFIXES = (".txt", ".data", ".dat")
"""What a table that is one file may be called besides."""


def table_files(text: str) -> list[Path]:
    """The files of a table that a text names, in the order of their names; none when it names something else.

    text  a table file, a folder that holds tables and nothing else, or a pattern such as "sales/*.parquet"
    """
    path = Path(os.path.expanduser(text))
    if os.path.isfile(path):
        return [path] if path.suffix.lower() in SUFFIXES + OTHER_SUFFIXES else []
    if os.path.isdir(path):
        inside = [part for part in path.iterdir() if not part.name.startswith((".", "_"))]
    elif glob.has_magic(text):
        inside = [Path(part) for part in glob.glob(str(path), recursive=True)]
    else:
        return []
    is_table = [part.is_file() and part.suffix.lower() in SUFFIXES for part in inside]
    return sorted(inside, key=lambda part: values.natural_key(str(part))) if inside and all(is_table) else []


def read_parts(name: str, files: Sequence[Path], asked: Asked | None = None) -> TableFile:
    """The table that several files hold.

    Raises  DataError  with the problems of every file
    """
    tables: list[TableFile] = []
    notes: list[Note] = []
    problems: list[str] = []
    for file in files:
        try:
            table = read_table(file, asked)
        except DataError as error:
            problems += error.problems
            continue
        # the same is guessed of every file; a warning is of one
        notes += [
            note if note.level == "info" else replace(note, where=_in_file(file.name, note.where))
            for note in table.notes
            if not tables or note.level == "warning"
        ]
        tables.append(table)
    if problems:
        raise DataError(*problems)
    check_columns([(file.name, table.frame.columns) for file, table in zip(files, tables, strict=True)])
    _check_units([(file.name, table) for file, table in zip(files, tables, strict=True)])
    text = ngettext("{n} file read as one table", "{n} files read as one table", len(files))
    notes.insert(0, Note("info", name, text.format(n=format_count(len(files)))))
    frame = stacked([table.frame for table in tables])
    limits.check_shape(name, len(frame), frame.width)
    found = [(f.name, t.places or Places.after(0, len(t.frame))) for f, t in zip(files, tables, strict=True)]
    places = Places.joined(found)
    notes += date_doubts(frame.get_columns(), asked or Asked(), places)
    return TableFile(frame, notes, files_sha256(files), tables[0].reading, places)


def _in_file(file: str, where: str) -> str:
    return where if where == file else _("{file}, column {name}").format(file=file, name=where)


def check_columns(files: Sequence[tuple[str, Sequence[str]]]) -> None:
    """DataError naming every file whose columns are not those of the first."""
    first, known = files[0]
    problems = []
    for name, columns in files[1:]:
        lacking = [column for column in known if column not in columns]
        more = [column for column in columns if column not in known]
        if lacking or more:
            got = _("columns without {lacking}") if lacking else _("columns with {more} besides")
            if lacking and more:
                got = _("columns without {lacking} and with {more} besides")
            got = got.format(lacking=", ".join(lacking), more=", ".join(more))
            problems.append(problem(name, _("the columns of {file}").format(file=first), got))
    if problems:
        raise DataError(*problems)


def _check_units(files: Sequence[tuple[str, TableFile]]) -> None:
    """DataError naming every column of numbers that is written in another unit in one file than in another."""
    problems = []
    for column in files[0][1].frame.columns:
        units = [
            (name, table.reading.units.get(column, ""))
            for name, table in files
            if table.frame[column].dtype.is_numeric()
        ]
        first, unit = next(((name, unit) for name, unit in units if unit), ("", ""))
        for name, other in units:
            # a number without a unit is taken for one in that of the others, but 45 for no share
            if unit and other != unit and (other or unit in numerals.SHARES):
                place = _("{file}, column {name}").format(file=name, name=column)
                expected = _("numbers in {unit} as in {file}").format(unit=repr(unit), file=first)
                got = repr(other) if other else _("no unit")
                problems.append(problem(place, expected, got, _("write all of them in one unit")))
    if problems:
        raise DataError(*problems)


def stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of tables with the same columns, one table after another.

    A column that is numbers in one and text in another is text.
    """
    columns = []
    for name in frames[0].columns:
        pieces = [frame[name] for frame in frames]
        kinds = {piece.dtype for piece in pieces if piece.dtype != pl.Null}
        if len(kinds) > 1 and not all(kind.is_numeric() for kind in kinds):
            is_date = all(kind.is_temporal() for kind in kinds)
            pieces = [values.dates(piece) if is_date else values.words(piece) for piece in pieces]
        columns.append(pl.concat([piece.to_frame() for piece in pieces], how="vertical_relaxed"))
    return pl.concat(columns, how="horizontal")


def files_sha256(files: Sequence[Path]) -> str:
    """The SHA-256 of a file; of several, that of the lines "name sum"."""
    sums = []
    for path in files:
        with path.open("rb") as file:
            sums.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(sums) == 1:
        return sums[0]
    lines = "".join(f"{path.name} {digest}\n" for path, digest in zip(files, sums, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()
