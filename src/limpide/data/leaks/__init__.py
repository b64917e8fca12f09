"""The leak guard: how the answers of the test may have reached the training, found before anything is trained.

It looks at training rows only; of the test rows it sees which are equal to others, and which groups they belong to.
What is measured on columns is measured on a sample, so that a table of a million rows costs little more than one of
five thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from limpide import seeds
from limpide.data.columns import Task, task_of
from limpide.data.dataset import Dataset, Note
from limpide.data.leaks.copies import equal_rows, find_copies
from limpide.data.leaks.disguises import find_disguises
from limpide.data.leaks.evidence import Answers, Leak
from limpide.data.leaks.features import Feature
from limpide.data.leaks.neighbours import find_groups, find_identifiers, find_time_order
from limpide.data.leaks.sums import find_sum
from limpide.data.splits import Split
from limpide.errors import LeakError

__all__ = ["ALL", "Leak", "equal_rows", "find_leaks", "guard"]

ALL = "all"
"""The name that accepts every leak."""

SAMPLE_ROWS = 5_000
SAMPLE_CELLS = 2_000_000
"""Rows of a very wide table are sampled more thinly, down to a thousand."""

CHANCE_METHODS = ("random", "stratified", "hash")


def find_leaks(
    dataset: Dataset,
    split: Split,
    task: Task | None = None,
    *,
    column: str | None = None,
    seed: int = 0,
) -> list[Leak]:
    """Every leak of a data set that is split this way, those that block first.

    column  the one that the split goes by; it is judged as nothing else
    seed    the root seed, from which the sample is drawn

    >>> import polars as pl
    >>> from limpide.data.sources import open_source
    >>> from limpide.data.splits import split
    >>> euros = [float(i * i % 101) for i in range(100)]
    >>> frame = pl.DataFrame({"dollars": [1.1 * e for e in euros], "rooms": [1.0, 2.5] * 50, "euros": euros})
    >>> [leak.name for leak in find_leaks(open_source(frame), split(100))]
    ['target-in-disguise:dollars']
    """
    if isinstance(dataset.inputs, np.ndarray):
        return find_copies(dataset, split)
    assert dataset.target is not None
    task = task or task_of(dataset)[0]
    columns = [c for c in dataset.columns if c.name != column]
    features = [c for c in columns if c.is_feature]
    if not features:
        return []
    rows = _sample(split.train, len(features), seed)
    frame, answers = dataset.inputs[rows], Answers.of(dataset.target[rows], task)
    leaks: list[Leak] = []
    if split.method in CHANCE_METHODS:
        leaks += find_groups(dataset.inputs, columns, dataset.target, task, split, rows)
        leaks += find_time_order(frame, columns, answers)
    known = _columns_of(leaks)
    seen = [Feature.of(frame[c.name], c) for c in features if c.name not in known or c.kind == "date"]
    leaks += find_disguises(seen, answers)
    known = _columns_of(leaks)
    leaks += find_sum([feature for feature in seen if feature.name not in known], len(features), answers)
    leaks += find_copies(dataset, split, [c.name for c in features])
    leaks += find_identifiers(dataset)
    # of a column that blocks already one reason is enough
    leaks = [leak for leak in leaks if leak.level == "block" or leak.name.partition(":")[2] not in known]
    return sorted(leaks, key=lambda leak: leak.level != "block")


def _columns_of(leaks: Sequence[Leak]) -> set[str]:
    """The columns that block already."""
    return {leak.name.partition(":")[2] for leak in leaks if leak.level == "block"}


def _sample(rows: np.ndarray, n_columns: int, seed: int) -> np.ndarray:
    """Some of the rows, all of them where they are few; in an order of chance, for that of a file is no evidence."""
    most = max(1_000, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, n_columns)))
    rng = seeds.stream(seed, "leaks")
    if len(rows) > most:
        rows = rows[np.unique(rng.integers(0, len(rows), most))]
    return rng.permutation(rows)


def guard(leaks: Sequence[Leak], accepted: Collection[str] = ()) -> list[Note]:
    """What is to be said of the leaks.

    accepted  names of leaks to go on with; "all" stands for each
    Raises    LeakError  with every leak that blocks and is not accepted
    """
    blocking = [leak for leak in leaks if leak.level == "block" and not {leak.name, ALL} & set(accepted)]
    if blocking:
        raise LeakError(*(leak.problem() for leak in blocking), names=[leak.name for leak in blocking])
    return [leak.note() for leak in leaks]
