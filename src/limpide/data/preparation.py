"""Layer 0 of a model: from the columns of a table to the numbers a network takes, and from its outputs back to words.

Everything is measured on the training rows, once, in `fit`; after that nothing changes. Each kind of column has its
treatment, a frozen dataclass whose fields are its JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32

from limpide.data import values
from limpide.data.columns import Task
from limpide.data.dataset import Column, Dataset, Kind, Note, named_kinds
from limpide.data.places import Places
from limpide.data.treatments import TREATMENTS
from limpide.data.treatments.base import Scale, Treatment
from limpide.data.treatments.number import FILLS
from limpide.errors import DataError, UnknownName, did_you_mean, problem
from limpide.i18n import _

BLOCK_ROWS = 1 << 16
"""Rows treated at a time, by one of several threads: what stands in between stays small, however long the table."""


@dataclass(frozen=True)
class PreparationRow:
    """What is done to one column, as people read it.

    treatment   a sentence
    arithmetic  the formula with its numbers, such as "(area - 81.3) / 22.9"
    """

    column: str
    kind: Kind
    treatment: str
    arithmetic: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class TablePreparation:
    """The treatment of every column that the network sees, in the order of its features."""

    treatments: tuple[Treatment, ...]

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        columns: Sequence[Column],
        standardise: bool = True,
        missing: str = "median",
        max_categories: int = 50,
        rows: np.ndarray | None = None,
    ) -> TablePreparation:
        """The preparation that the training rows call for.

        standardise     numbers get mean 0 and standard deviation 1 (the population's)
        missing         what stands in for a missing number: median, mean or most_frequent
        max_categories  the most frequent categories get a feature each, the others share one
        rows            the training rows of the frame; None when it holds no others
        Raises          UnknownName  for another way to fill
                        DataError    without rows or without a column to learn from

        >>> frame = pl.DataFrame({"area": [50.0, 70.0]})
        >>> TablePreparation.fit(frame, [Column("area", "number")]).rows()[0].arithmetic
        '(area - 60) / 10'
        """
        if missing not in FILLS:
            raise UnknownName("missing", missing, FILLS)
        if max_categories < 1:
            raise DataError(problem("max_categories", _("at least 1"), str(max_categories)))
        chosen = [column for column in columns if column.is_feature]
        if not chosen:
            got = named_kinds(columns)
            mend = _("say what a column is with its kind, number or category")
            raise DataError(problem(_("columns"), _("at least one column to learn from"), got, mend))
        if not len(frame if rows is None else rows):
            raise DataError(problem(_("training rows"), _("at least one row"), _("none")))
        take = taker(rows)

        def fitted(column: Column) -> Treatment:
            series = take(frame[column.name])
            return TREATMENTS[column.kind].fit(series, column, standardise, missing, max_categories)

        with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
            return cls(tuple((threads.map if len(frame) > BLOCK_ROWS else map)(fitted, chosen)))

    @property
    def input_shape(self) -> tuple[int]:
        """The shape of one example for the network: (features,)."""
        return (len(self.feature_names),)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each input of the network holds."""
        return tuple(name for treatment in self.treatments for name in treatment.features)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns a table must have."""
        return tuple(treatment.column for treatment in self.treatments)

    def transform(
        self, frame: pl.DataFrame, rows: np.ndarray | None = None, places: Places | None = None
    ) -> Float32[np.ndarray, "rows features"]:
        """The numbers the network takes; columns may come in any order, others besides, and cells as text.

        rows    the rows wanted, in the order wanted; None takes all
        places  where all rows stand in their file
        Raises  DataError  for every column that is missing and every cell that cannot be read
        """
        self._check_columns(frame)
        n = len(frame if rows is None else rows)
        out = np.zeros((n, *self.input_shape), dtype=np.float32)

        def write(start: int) -> None:
            stop, first = start + BLOCK_ROWS, 0
            take = taker(rows, start, stop)
            for treatment in self.treatments:
                last = first + len(treatment.features)
                if not treatment.treat(take(frame[treatment.column]), out[start:stop, first:last]):
                    raise DataError(*self.cell_problems(frame, places))
                first = last

        starts = range(0, n, BLOCK_ROWS)
        with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
            list((threads.map if len(starts) > 1 else map)(write, starts))
        return out

    def notes(self, frame: pl.DataFrame, places: Places | None = None) -> list[Note]:
        """What a user should know of rows to predict: missing values, categories and numbers never seen in training.

        places  where the rows stand in their file
        """
        self._check_columns(frame)
        notes: list[Note] = []
        for treatment in self.treatments:
            notes += treatment.notes(frame[treatment.column], places)
        return notes

    def rows(self) -> list[PreparationRow]:
        """Layer 0 as a table: what is done to each column."""
        return [
            PreparationRow(
                treatment.column, treatment.kind, treatment.sentence(), treatment.arithmetic(), treatment.features
            )
            for treatment in self.treatments
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; numbers come back bit for bit."""
        columns = [{"kind": treatment.kind, **asdict(treatment)} for treatment in self.treatments]
        return {"kind": "table", "columns": columns}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TablePreparation:
        """The preparation `to_dict` wrote down."""
        return cls(
            tuple(
                TREATMENTS[row["kind"]].from_dict({key: row[key] for key in row if key != "kind"})
                for row in data["columns"]
            )
        )

    def _check_columns(self, frame: pl.DataFrame) -> None:
        lacking = [name for name in self.column_names if name not in frame.columns]
        if lacking:
            others = [name for name in frame.columns if name not in self.column_names]
            raise DataError(
                *(
                    problem(
                        _("column {name}").format(name=name),
                        _("a column of that name, as in training"),
                        _("none"),
                        did_you_mean(name, others) if others else "",
                    )
                    for name in lacking
                )
            )

    def cell_problems(self, frame: pl.DataFrame, places: Places | None = None) -> list[str]:
        """Every cell that cannot be read, by its column and row."""
        problems = []
        for treatment in self.treatments:
            if treatment.column not in frame.columns:
                continue
            series = frame[treatment.column]
            wrong = treatment.unreadable(series, treatment.read(series))
            if wrong.any():
                where = _("column {name}").format(name=treatment.column)
                problems.append(problem(where, treatment.expected(), values.cells(series, wrong, places=places)))
        return problems


def taker(rows: np.ndarray | None, start: int = 0, stop: int | None = None) -> Callable[[pl.Series], pl.Series]:
    """Takes from a column the rows of the numbers `rows[start:stop]`, or its own rows from `start` to `stop`.

    Rows in rising order are filtered, several times faster than fetched one by one.
    """
    if rows is None:
        return lambda series: series[start:stop]
    wanted = rows[start:stop]
    if not len(wanted) or (np.diff(wanted) <= 0).any():
        return lambda series: series[wanted]
    first, end = int(wanted[0]), int(wanted[-1]) + 1
    is_wanted = np.zeros(end - first, dtype=bool)
    is_wanted[wanted - first] = True
    mask = pl.Series(is_wanted)
    return lambda series: series[first:end].filter(mask)


@dataclass(frozen=True)
class TargetPreparation:
    """The target as a network learns it, and the way back.

    labels  the classes as words, in natural order; the second of two is the one a single output stands for
    scale   of a regression target: the network learns (value - mean) / sd
    """

    task: Task
    name: str
    labels: tuple[str, ...] = ()
    scale: Scale = field(default_factory=Scale)

    @classmethod
    def fit(cls, series: pl.Series, task: Task, name: str, scale: bool = True) -> TargetPreparation:
        """The preparation that these targets, those of the training rows, call for.

        Raises  DataError  when they hold no number, one class, or more than two for a binary task
        """
        where = _("target {name}").format(name=name)
        if task == "regression":
            known = _numbers_or_error(series, where).drop_nulls().to_numpy()
            if not len(known):
                raise DataError(problem(where, _("numbers"), _("none")))
            return cls(task, name, (), Scale.of(known) if scale else Scale())
        labels = tuple(sorted(values.words(series).drop_nulls().unique().to_list(), key=values.natural_key))
        if len(labels) < 2 or (task == "binary" and len(labels) > 2):
            expected = _("two classes") if task == "binary" else _("at least two classes")
            raise DataError(problem(where, expected, ", ".join(labels[:10]) or _("none")))
        return cls(task, name, labels)

    @property
    def n_outputs(self) -> int:
        """Units of the last layer: one for a number or for two classes, else one for each class."""
        return len(self.labels) if self.task == "multiclass" else 1

    def encode(self, series: pl.Series, places: Places | None = None) -> np.ndarray:
        """What the network should give: float32 (rows, 1), or for several classes their int64 numbers (rows,).

        places  where the rows stand in their file
        Raises  DataError  for a missing target and for a class that training did not know
        """
        where = _("target {name}").format(name=self.name)
        if self.task == "regression":
            known = _numbers_or_error(series, where, places)
            if known.null_count():
                got = values.cells(series, known.is_null(), places=places)
                raise DataError(problem(where, _("a number in each row"), got))
            return self.scale.applied(known.to_numpy()).astype(np.float32)[:, None]
        words = values.words(series, self.labels)
        numbers = list(range(len(self.labels)))
        codes = words.replace_strict(list(self.labels), numbers, default=None, return_dtype=pl.Int64)
        if codes.null_count():
            got = values.cells(series, codes.is_null(), places=places)
            expected = _("one of the classes {labels}").format(labels=", ".join(self.labels[:20]))
            raise DataError(problem(where, expected, got))
        classes = codes.to_numpy()
        return classes if self.task == "multiclass" else classes.astype(np.float32)[:, None]

    def truth(self, series: pl.Series, places: Places | None = None) -> np.ndarray:
        """What the metrics compare with: float64 values in the target's unit, or int64 class numbers; (rows,)."""
        if self.task == "regression":
            return values.numbers(series).to_numpy().astype(np.float64)
        return self.encode(series, places).reshape(-1).astype(np.int64)

    def decode(self, outputs: np.ndarray, activated: bool = False) -> np.ndarray:
        """Outputs of the network as people read them: numbers in the target's unit (rows,), or probabilities
        (rows, classes), one column for each label.

        activated  the network itself ends in a sigmoid or softmax: its outputs are probabilities already
        """
        scores = np.asarray(outputs, dtype=np.float64)
        if self.task == "regression":
            return scores[:, 0] * self.scale.sd + self.scale.mean
        if self.task == "binary":
            second = scores[:, 0] if activated else np.exp(-np.logaddexp(0.0, -scores[:, 0]))
            first = 1 - second if activated else np.exp(-np.logaddexp(0.0, scores[:, 0]))
            return np.stack([first, second], axis=1)
        if activated:
            return scores
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return shares

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; numbers come back bit for bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TargetPreparation:
        """The preparation `to_dict` wrote down."""
        return cls(data["task"], data["name"], tuple(data["labels"]), Scale(**data["scale"]))


def check_answers(dataset: Dataset, task: Task) -> None:
    """DataError naming the cells of a regression's target that are no numbers."""
    if task == "regression" and dataset.target is not None:
        _numbers_or_error(dataset.target, _("target {name}").format(name=dataset.target.name), dataset.places)


def _numbers_or_error(series: pl.Series, where: str, places: Places | None = None) -> pl.Series:
    known = values.numbers(series)
    if not known.null_count():
        return known
    wrong = values.unreadable(series, known)
    if wrong.any():
        mend = _("correct these cells or leave them empty")
        raise DataError(problem(where, _("numbers"), values.cells(series, wrong, places=places), mend))
    return known
