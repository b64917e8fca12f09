"""Data larger than memory: read twice piece by piece, then trained on from the disk.

The first pass measures (layer 0, the sizes of the parts, the classes), the second prepares: the training rows go to
the disk as the network takes them, and of each part as many as fit are kept in memory to be measured on. From there on
a training is like any other, but that its epochs come in windows (`data/spools.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpide.data.parts import table_files
from limpide.data.preparation import TablePreparation
from limpide.data.rows import Prepared
from limpide.data.spools import memory_bytes
from limpide.data.streams import TableStream
from limpide.defaults import Choices
from limpide.errors import DataError, RecipeError, problem
from limpide.i18n import _, format_count
from limpide.recipe import Recipe
from limpide.streaming.keeping import Keeper
from limpide.streaming.survey import plan_stream, survey_stream

MEMORY = "2 GB"
"""What a stream may hold where nothing was said."""

COPIES = 3
"""Bytes that training in memory holds for each byte of a table: its text, its columns, its prepared rows."""


def open_stream(recipe: Recipe) -> TableStream | None:
    """The stream of a recipe that asks for one, or whose files would not fit in memory; else None.

    Raises  RecipeError, DataError  when it asks for one, and its source cannot be streamed
    """
    given = recipe.data
    if given.stream is False:
        return None
    stream = large_stream(given.source, 0 if given.stream else _memory(recipe), given.options)
    if stream is None and given.stream:
        expected = _("a CSV, TSV or Parquet file, or a folder of such files")
        raise RecipeError(problem("data.stream", expected, repr(given.source), _("leave stream out")))
    return stream


def large_stream(source: str, memory: int, options: Mapping[str, Any]) -> TableStream | None:
    """The stream of files whose table would take more than the memory when read at once; else None.

    memory   in bytes; 0 asks for a stream whatever the size
    options  how text is written, against what would be guessed
    Raises   DataError  when it asks, and the files cannot be streamed
    """
    files = table_files(source)
    # packed columns unpack to twenty times their size at the very most
    if not files or 20 * sum(path.stat().st_size for path in files) * COPIES < memory:
        return None
    try:
        stream = TableStream(Path(source).name, files, options)
    except DataError:
        if not memory:
            raise
        return None
    return stream if stream.n_bytes * COPIES > memory else None


def _memory(recipe: Recipe) -> int:
    n_bytes = memory_bytes(recipe.data.memory or MEMORY)
    assert n_bytes is not None, "checked"
    return n_bytes


def prepare_stream(choices: Choices, stream: TableStream) -> Prepared:
    """The two passes; choices are settled as they come to be known.

    Raises  as `job.prepare`; cells that cannot be read are named with their file and row
    """
    if choices.recipe.data.stream is None:
        why = _("read at once, the table would take about {n} MB of memory").format(
            n=format_count(COPIES * stream.n_bytes // 10**6)
        )
        choices.record("data.stream", True, why)
    choices.settle("data.memory", MEMORY, _("most machines have room for it"))
    plan = plan_stream(choices, stream)
    found = survey_stream(plan)
    preparation, target = TablePreparation(tuple(found.treatments())), found.target()
    keeper = Keeper(plan, found, preparation, target, _memory(choices.recipe))
    for cut in plan.cuts():
        keeper.add(cut)
    notes = [*stream.notes(), *plan.notes, *found.notes(), *keeper.notes(found)]
    parts, streamed = keeper.parts(), keeper.streamed(found)
    return Prepared(keeper.dataset(), keeper.split(), plan.task, preparation, target, parts, notes, streamed)
