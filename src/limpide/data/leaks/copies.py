"""Rows and images that stand in the test set and among the rows that training sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from limpide.data.dataset import Dataset
from limpide.data.hashes import first_equal
from limpide.data.leaks.evidence import Leak, Level
from limpide.data.once import once
from limpide.data.places import shown_row
from limpide.data.splits import Split
from limpide.i18n import _, format_count, format_percent, ngettext

FEW = 5
"""Fewer copies than this prove nothing: two flowers may well have the same measures."""

WARN_SHARE = 0.01
"""From here on copies move a figure as it is printed: one test row in a hundred is a point of accuracy."""

BLOCK_SHARE = 0.05
"""Five points of accuracy are more than usually separates a network from its best baseline."""

FEW_ROWS = 50_000
"""The fingerprints of no more rows than these are had in a few milliseconds, once for all splits."""

LOOK_ROWS, FEW_COLUMNS = 1_000, 3
"""In most tables no two rows agree in three measured columns."""

MEASURED_SHARE = 0.5
"""A column in which more of the cells are different is measured, not chosen among a few values."""

NEAR_SHARE = 0.25
"""Near doubles for each double from which doubles are chance. Of 68 real tables with many equal rows 65 have 0.77 or
more; where a third of the rows of a table is copied, it is 0.07 or less wherever some column is measured."""


def equal_rows(dataset: Dataset) -> np.ndarray:
    """For each row the first one that is equal to it: the groups of a split that keeps equal rows together.

    It hangs on no hash, which another process would draw anew: a recipe gives the same split everywhere.
    """
    _prints, first, place = np.unique(
        _fingerprints(dataset, dataset.input_names).to_numpy(), return_index=True, return_inverse=True
    )
    rows: np.ndarray = first[place]
    return rows


@once
def _fingerprints(dataset: Dataset, names: tuple[str, ...]) -> pl.Series:
    """A number for each row, equal where all that the network learns from is equal: the features and the target.

    names  the features. Of an image the pixels alone count: one of two equal ones may be misnamed
    """
    if isinstance(dataset.inputs, np.ndarray):
        return pl.Series("hash", first_equal(dataset.inputs).astype(np.uint64))
    assert dataset.target is not None
    features = dataset.inputs.select(names)
    return features.with_columns(dataset.target).hash_rows()


@once
def _has_doubles(dataset: Dataset, names: tuple[str, ...]) -> bool:
    """Whether any two rows are equal: where none are, no split makes copies."""
    prints = _fingerprints(dataset, names)
    return prints.n_unique() < len(prints)


def find_copies(dataset: Dataset, split: Split, names: Sequence[str] = ()) -> list[Leak]:
    """Test rows that are equal to rows of the other parts.

    names  the features of a table
    """
    if len(dataset) <= FEW_ROWS and not _has_doubles(dataset, tuple(names)):
        return []
    is_test = np.zeros(len(dataset), dtype=bool)
    is_test[split.test] = True
    if isinstance(dataset.inputs, pl.DataFrame) and _is_told_apart(dataset.inputs.select(names), is_test):
        return []
    prints = _fingerprints(dataset, tuple(names))
    is_copy = _met(prints, pl.Series(is_test))
    n, n_test = int(is_copy.sum()), len(split.test)
    if not n:
        return []
    share = n / n_test
    level: Level = "info" if n < FEW or share < WARN_SHARE else "warning"
    why = _("a network that learned them by heart would seem to understand")
    if level == "warning" and isinstance(dataset.inputs, pl.DataFrame):
        if _is_chance(dataset.inputs.select(names), is_test):
            why = _("the columns hold few different values, so that rows come back; on these the test asks for memory")
        elif share >= BLOCK_SHARE:
            level = "block"
    elif level == "warning" and share >= BLOCK_SHARE:
        level = "block"
    name, where = ("repeated-images", _("images")) if dataset.is_image else ("repeated-rows", _("rows"))
    mends = () if level == "info" else (_("keep equal rows in one part with --split distinct"),)
    return [Leak(name, level, where, _found(dataset, split, prints, is_copy, share), why, mends)]


def _is_told_apart(inputs: pl.DataFrame, is_test: np.ndarray) -> bool:
    """Whether a few measured columns show that no test row is equal to another: fewer cells to look at than all."""
    head = inputs.head(LOOK_ROWS)
    few = [column.name for column in head if column.n_unique() > MEASURED_SHARE * len(head)][:FEW_COLUMNS]
    return 0 < len(few) < inputs.width and not _met(inputs.select(few).hash_rows(), pl.Series(is_test)).any()


def _met(prints: pl.Series, is_test: pl.Series) -> pl.Series:
    """For each test row, whether another part has the same fingerprint."""
    test, others = prints.filter(is_test), prints.filter(~is_test)
    # the smaller side is looked up in first: few of the others are left then, mostly none
    return test.is_in(others.filter(others.is_in(test.implode())).implode())


def _is_chance(inputs: pl.DataFrame, is_test: np.ndarray) -> bool:
    """Whether equal rows are what the columns make likely, rather than copies.

    A copy agrees in every column, and no other row is near it. Where rows are equal by chance there are near doubles
    too, which differ in one column alone. Measured columns are left aside: rows that agree in all others are no near
    doubles.
    """
    whole = np.zeros(len(inputs), np.uint64)
    for i, series in enumerate(inputs):
        whole += series.hash(i).to_numpy()
    n_doubles = _n_pairs(whole, is_test)
    n_near = 0
    for i, series in enumerate(inputs):
        if series.n_unique() <= MEASURED_SHARE * len(series):
            n_near += _n_pairs(whole - series.hash(i).to_numpy(), is_test) - n_doubles
        if n_near >= NEAR_SHARE * n_doubles:
            return True
    return False


def _n_pairs(prints: np.ndarray, is_test: np.ndarray) -> int:
    """How many pairs of a test row and another have the same fingerprint."""
    known, counts = np.unique(prints[~is_test], return_counts=True)
    test = prints[is_test]
    place = np.minimum(np.searchsorted(known, test), len(known) - 1)
    return int(counts[place][known[place] == test].sum())


def _found(dataset: Dataset, split: Split, prints: pl.Series, is_copy: pl.Series, share: float) -> str:
    """How many there are, and one of them beside its double."""
    n = int(is_copy.sum())
    row = int(split.test[int(is_copy.arg_true()[0])])
    is_double = (prints == prints[row]).to_numpy().copy()
    is_double[split.test] = False
    double = int(np.flatnonzero(is_double)[0])
    if dataset.names:
        first, second = dataset.names[row], dataset.names[double]
    else:
        first, second = (_("row {row}").format(row=shown_row(i, dataset.places)) for i in (row, double))
    text = ngettext(
        "{n} of the {n_test} test rows ({share}) stands among the rows trained on too ({first} equals {second})",
        "{n} of the {n_test} test rows ({share}) stand among the rows trained on too (such as {first}, equal to "
        "{second})",
        n,
    )
    return text.format(
        n=format_count(n),
        n_test=format_count(len(split.test)),
        share=format_percent(share, 1),
        first=first,
        second=second,
    )
