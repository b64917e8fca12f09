"""A labelled table larger than memory, measured in one pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.places import Places
from limpide.data.preparation import TablePreparation, TargetPreparation
from limpide.data.streams import Piece, TableStream
from limpide.errors import DataError, problem
from limpide.evaluation import Evaluation
from limpide.evaluation.pieces import Tally
from limpide.i18n import _

HELD_SHARE = 3 / 4
"""Of the memory, for rows that are put in order; the rest is for the pieces at work."""


def evaluate_stream(
    stream: TableStream,
    preparation: TablePreparation,
    target: TargetPreparation,
    outputs: Callable[[pl.DataFrame], np.ndarray],
    memory: int,
) -> Evaluation:
    """The measures of a stream whose answers are known.

    outputs  what a network makes of rows, as `evaluate` takes it
    memory   what may be held, in bytes
    Raises   DataError  for cells and answers that cannot be read; their file and rows are named
    """
    tally = Tally(target.task, target.labels, int(memory * HELD_SHARE))
    for piece in stream.pieces():
        truth = _truth(target, piece)
        with piece.naming(preparation.cell_problems):
            found = outputs(piece.frame)
        tally.add(truth, found)
    return tally.evaluation()


def _truth(target: TargetPreparation, piece: Piece) -> np.ndarray:
    """The answers of a piece."""
    with piece.naming(lambda frame, places: _problems(target, frame[target.name], places)):
        truth = target.truth(piece.frame[target.name])
        if target.task == "regression" and np.isnan(truth).any():
            raise DataError
    return truth


def _problems(target: TargetPreparation, series: pl.Series, places: Places) -> list[str]:
    """The answers that cannot be measured by."""
    if target.task == "regression":
        wrong, expected = values.numbers(series).is_null(), _("a number in each row")
    else:
        wrong = ~values.words(series, target.labels).is_in(list(target.labels)).fill_null(value=False)
        expected = _("one of the classes {labels}").format(labels=", ".join(target.labels[:20]))
    where = _("target {name}").format(name=target.name)
    return [problem(where, expected, values.cells(series, wrong, places=places))] if wrong.any() else []
