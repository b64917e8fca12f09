"""Data larger than memory: read twice piece by piece, then trained on from the disk.

The first pass measures (layer 0, the sizes of the parts, the classes), the second prepares: the training rows go to
the disk as the network takes them, and of each part as many as fit are kept in memory to be measured on. From there on
a training is like any other, but that its epochs come in windows (`data/spools.py`).
"""

from __future__ import annotations

from limpide.data.preparation import TablePreparation
from limpide.data.rows import Prepared
from limpide.data.spools import memory_bytes
from limpide.data.streams import MEMORY, TableStream, large_stream, room_for
from limpide.defaults import Choices
from limpide.errors import RecipeError, problem
from limpide.i18n import _, format_count
from limpide.recipe import Recipe
from limpide.streaming.keeping import Keeper
from limpide.streaming.survey import plan_stream, survey_stream


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
            n=format_count(room_for(stream) // 10**6)
        )
        choices.record("data.stream", True, why)
    choices.settle("data.memory", MEMORY, _("most machines have room for it"))
    plan = plan_stream(choices, stream)
    found = survey_stream(plan)
    preparation, target = TablePreparation(tuple(found.treatments())), found.target()
    keeper = Keeper(plan, found, preparation, target, _memory(choices.recipe))
    for cut in plan.cuts():
        keeper.add(cut)
    notes = [*stream.notes, *plan.notes, *found.notes(), *keeper.notes(found)]
    parts, streamed = keeper.parts(), keeper.streamed(found)
    return Prepared(keeper.dataset(), keeper.split(), plan.task, preparation, target, parts, notes, streamed)
