"""The parts of the data, as a training takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from limpide.data.columns import Task
from limpide.data.dataset import Dataset, Note
from limpide.data.images import ImagePreparation
from limpide.data.preparation import TablePreparation, TargetPreparation
from limpide.data.splits import Split
from limpide.data.spools import Spool

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
Preparation = TablePreparation | ImagePreparation
"""Layer 0."""


class Rows(NamedTuple):
    """One part of the data, ready for a network.

    x      prepared inputs
    y      encoded targets, what the loss takes
    truth  targets in the user's unit, or class numbers: what the metrics take
    """

    x: np.ndarray
    y: np.ndarray
    truth: np.ndarray

    def taken(self, chosen: np.ndarray) -> Rows:
        """Some of the rows, by their numbers or a mask."""
        return Rows(*(array[chosen] for array in self))

    def of_type(self, dtype: str | np.dtype[Any]) -> Rows:
        """The same rows as a network of this float type takes them; class numbers stay whole."""
        y = self.y.astype(dtype, copy=False) if self.y.dtype.kind == "f" else self.y
        return Rows(self.x.astype(dtype, copy=False), y, self.truth)


@dataclass(frozen=True, eq=False)
class Streamed:
    """What there is of data larger than memory besides the rows that every epoch is measured on.

    rows          all training rows, prepared
    sizes         the rows of each part; those measured on are some of them
    test_rows     which rows of the data the test rows measured on are
    class_counts  of the whole data, by label; empty for a regression
    """

    rows: Spool
    sizes: dict[str, int]
    test_rows: np.ndarray
    class_counts: dict[str, int]


class Prepared(NamedTuple):
    """Data read, split and prepared: what a network is then made for.

    dataset   of data larger than memory, rows of it
    streamed  the rest of such data
    """

    dataset: Dataset
    split: Split
    task: Task
    preparation: Preparation
    target: TargetPreparation
    parts: dict[Part, Rows]
    notes: list[Note]
    streamed: Streamed | None = None
