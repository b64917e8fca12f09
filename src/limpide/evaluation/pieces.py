"""The measures of more rows than memory holds: gathered in one pass, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from limpide import seeds
from limpide.evaluation import Evaluation, check_measurable, evaluate, gather
from limpide.evaluation.sums import (
    ClassRows,
    Curve,
    NumberRows,
    Sums,
    class_metrics,
    class_tables,
    grouped,
    number_metrics,
    residual_table,
)
from limpide.stats import BOOTSTRAP_ROWS, JACKKNIFE_GROUPS, Resamples, jackknife_groups, resample

FEWEST_HELD = 4 * BOOTSTRAP_ROWS
"""So many rows are held whatever the memory: what is drawn of them is still more than a bootstrap takes."""

ROW_BYTES, CLASS_BYTES = 110, 24
"""What ranking takes for each row that is held, and for each class besides."""

SLACK = 1.25
"""How far more may be held between two cuts, each of which looks at all."""


class _Held(NamedTuple):
    """Rows that are held, with the number that each drew."""

    drawn: np.ndarray
    truth: np.ndarray
    outputs: np.ndarray


class Tally:
    """Rows measured as they come. What is a sum counts every row, and pieces by their size; what needs rows in order
    is taken of as many as fit, drawn by chance.

    n  the rows so far
    """

    def __init__(self, task: str, labels: Sequence[str], memory: int, seed: int = 0) -> None:
        """memory  what the rows held may take, in bytes; seed as for `evaluate`"""
        self.task, self.labels, self.n = task, tuple(labels), 0
        self.most = max(FEWEST_HELD, memory // (ROW_BYTES + CLASS_BYTES * len(labels)))
        self._seed, self._limit = seed, 1.0
        self._groups, self._draws = seeds.stream(seed, "bootstrap"), seeds.stream(seed, "held")
        self._sums: Sums = ()
        self._tables: Sums = ()
        self._centre = 0.0
        self._ends = np.inf, -np.inf
        self._held: list[_Held] = []

    def add(self, truth: np.ndarray, outputs: np.ndarray) -> None:
        """Take some rows in; as for `evaluate`."""
        if not len(truth):
            return
        check_measurable(self.task, truth, outputs, self.labels)
        outputs = np.asarray(outputs, np.float64)
        if not self.n:
            # the median of equal numbers is that number
            self._centre = float(np.median(truth))
        group = grouped(jackknife_groups(len(truth), self._groups), JACKKNIFE_GROUPS)
        rows = self._rows(truth, outputs)
        self._sums = _added(self._sums, rows.sums(group))
        if isinstance(rows, ClassRows):
            self._tables = _added(self._tables, (rows.confusion(), rows.calibration()))
        else:
            self._ends = min(self._ends[0], rows.residual.min()), max(self._ends[1], rows.residual.max())
        self.n += len(truth)
        self._hold(_Held(self._draws.random(len(truth)), truth, outputs))

    def _rows(self, truth: np.ndarray, outputs: np.ndarray) -> NumberRows | ClassRows:
        if self.task == "regression":
            return NumberRows(truth.astype(np.float64), outputs, self._centre)
        return ClassRows(truth.astype(np.int64), outputs, self.task == "binary")

    def _hold(self, rows: _Held) -> None:
        """Keep these rows; once there are too many, those that drew the smallest numbers."""
        self._held.append(self._below_limit(rows))
        if sum(len(held.drawn) for held in self._held) > SLACK * self.most:
            self._cut()

    def _cut(self) -> None:
        drawn = np.concatenate([held.drawn for held in self._held] or [np.empty(0)])
        if len(drawn) > self.most:
            self._limit = float(np.partition(drawn, self.most)[self.most])
            self._held = [self._below_limit(held) for held in self._held]

    def _below_limit(self, rows: _Held) -> _Held:
        return rows if self._limit == 1 else _Held(*(array[rows.drawn < self._limit] for array in rows))

    def evaluation(self) -> Evaluation:
        """The measures of all rows, with their intervals: as `evaluate` gives them.

        Raises  DataError  when there was no row
        """
        self._cut()
        pieces = self._held or [_Held(np.empty(0), np.empty(0), np.empty((0, len(self.labels))))]
        _drawn, truth, outputs = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        if self.n <= BOOTSTRAP_ROWS:
            return evaluate(self.task, truth, outputs, self.labels, seed=self._seed)
        rows = self._rows(truth, outputs)
        ranks = resample(rows.ranks(), len(truth), self._seed)
        # every row, then all but those of each group
        whole = [part.sum(0, keepdims=True) for part in self._sums]
        sums = tuple(np.concatenate([all_, all_ - part]) for all_, part in zip(whole, self._sums, strict=True))
        ranked = np.concatenate([ranks.value[None], ranks.draws])
        with np.errstate(all="ignore"):
            if isinstance(rows, NumberRows):
                values = number_metrics(sums, ranked, float(whole[0][0, -1]) / self.n)
            else:
                values = class_metrics(sums, ranked)
        draws = Resamples(values[0], values[1:], "jackknife")
        return gather(self.task, draws, self.n, **self._other(rows), ranked=None if self._limit == 1 else len(truth))

    def _other(self, rows: NumberRows | ClassRows) -> dict[str, Any]:
        """What stands behind the metrics."""
        if isinstance(rows, ClassRows):
            confusion, calibration = self._tables
            curve = Curve(rows.truth, rows.outputs)
            return {"labels": self.labels, **class_tables(confusion, calibration, self.labels, curve)}
        table = residual_table(rows.residual)
        if self._limit < 1:
            _n, residuals, squares, *_others = self._sums[0].sum(0).tolist()
            mean = residuals / self.n
            sd = float(np.sqrt((squares - self.n * mean**2) / (self.n - 1)))
            table |= {"mean": mean, "sd": sd, "min": float(self._ends[0]), "max": float(self._ends[1])}
        return {"residuals": table}


def _added(sums: Sums, more: Sums) -> Sums:
    return tuple(a + b for a, b in zip(sums, more, strict=True)) if sums else more
