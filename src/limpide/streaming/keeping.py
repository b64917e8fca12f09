"""The second pass over a stream: the training rows to the disk, and of each part as many as fit kept in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from limpide.data.dataset import Dataset, Note
from limpide.data.hashes import draws
from limpide.data.parts import stacked
from limpide.data.preparation import TablePreparation, TargetPreparation
from limpide.data.rows import PARTS, Part, Rows, Streamed
from limpide.data.splits import Split
from limpide.data.spools import Spool, check_room, spool_folder
from limpide.distributed import neighbours
from limpide.i18n import N_, _, format_count
from limpide.streaming.survey import Cut, Plan, Survey

WINDOW_SHARE, MEASURED_SHARE = 1 / 8, 1 / 12
"""Of the memory: one window, of which up to four stand side by side; and the rows measured on of one part. The rest is
for the pieces at work."""

MEASURE_BYTES = 250
"""What measuring takes for each row besides its inputs."""

RAW_ROWS = 50_000
"""Of the training and validation rows as they were read: for the leak guard and the table of columns."""

BLOCK_BYTES = 1 << 24
"""Prepared at a time."""


class Keeper:
    """The second pass: the training rows to the disk, and of each part as many rows as fit kept to be measured on."""

    def __init__(
        self, plan: Plan, survey: Survey, preparation: TablePreparation, target: TargetPreparation, memory: int
    ) -> None:
        """memory  what may be held, in bytes"""
        self.plan, self.preparation, self.target = plan, preparation, target
        itemsize = 8 if plan.recipe.precision == "float64" else 4
        self.input_bytes = itemsize * preparation.input_shape[0]
        self.spool = Spool(max(1, int(memory * WINDOW_SHARE / (self.input_bytes + 8))))
        check_room(neighbours() * survey.sizes[0] * (4 * preparation.input_shape[0] + 8))
        most = memory * MEASURED_SHARE / (self.input_bytes + MEASURE_BYTES + plan.row_bytes)
        self.rates = np.array([most / max(1, size) for size in survey.sizes])
        self.raw_rate = min(RAW_ROWS, most) / max(1, survey.sizes[0] + survey.sizes[1])
        self.measured: list[list[Rows]] = [[], [], []]
        self.raw: list[pl.DataFrame] = []
        self.answers: list[pl.Series] = []
        self.raw_part: list[np.ndarray] = []
        self.test_rows: list[np.ndarray] = []

    def add(self, cut: Cut) -> None:
        """Take a piece in."""
        part = cut.part
        drawn = draws(cut.numbers, self.plan.recipe.seed, "measured")
        is_measured = (part >= 0) & (drawn < self.rates[part])
        step = max(1, BLOCK_BYTES // self.input_bytes)
        rows = np.flatnonzero((part == 0) | is_measured)
        for block in np.split(rows, range(step, len(rows), step)):
            if len(block):
                self._prepare(cut.frame[block], cut.answers[block], part[block], is_measured[block])
        is_raw = np.where(part == 2, is_measured, (part >= 0) & (drawn < self.raw_rate))
        self.raw.append(cut.frame.drop(self.plan.target).filter(is_raw))
        self.answers.append(cut.answers.filter(is_raw))
        self.raw_part.append(part[is_raw])
        self.test_rows.append(cut.numbers[is_measured & (part == 2)])

    def _prepare(self, frame: pl.DataFrame, answers: pl.Series, part: np.ndarray, is_measured: np.ndarray) -> None:
        x, y, truth = self.preparation.transform(frame), self.target.encode(answers), self.target.truth(answers)
        is_train = part == 0
        self.spool.append(x[is_train], y[is_train])
        for i, kept in enumerate(self.measured):
            is_kept = is_measured & (part == i)
            kept.append(Rows(x[is_kept], y[is_kept], truth[is_kept]))

    def parts(self) -> dict[Part, Rows]:
        """The rows measured on."""
        return {
            name: Rows(*(np.concatenate(arrays) for arrays in zip(*kept, strict=True)))
            for name, kept in zip(PARTS, self.measured, strict=True)
        }

    def dataset(self) -> Dataset:
        """Rows as they were read: the test rows measured on, and some of the others."""
        stream = self.plan.stream
        answers = pl.concat(self.answers).rename(self.plan.target)
        source, digest = self.plan.recipe.data.source, stream.sha256
        return Dataset(stream.name, source, stacked(self.raw), answers, self.plan.columns, (), digest)

    def split(self) -> Split:
        """The parts of these rows."""
        part = np.concatenate(self.raw_part)
        is_grouped = self.plan.recipe.split.column is not None
        why = _("rows of a group belong together") if is_grouped else _("no row ever moves when others are added")
        train, validation, test = (np.flatnonzero(part == i) for i in range(3))
        return Split(train, validation, test, "group" if is_grouped else "hash", why)

    def streamed(self, survey: Survey) -> Streamed:
        """The training rows, and what is known of all rows."""
        sizes: dict[str, int] = dict(zip(PARTS, survey.sizes, strict=True))
        counts = {label: survey.labels[label] for label in self.target.labels}
        return Streamed(self.spool, sizes, np.concatenate(self.test_rows), counts)

    def notes(self, survey: Survey) -> Iterator[Note]:
        """What is bounded, and by how much."""
        where = _("stream")
        text = _("read piece by piece, {memory} at most held; {n} prepared training rows ({mb} MB) wait in {folder}")
        mb = self.spool.n_bytes // 10**6
        memory, n = self.plan.recipe.data.memory, format_count(len(self.spool))
        yield Note("info", where, text.format(memory=memory, n=n, mb=format_count(mb), folder=spool_folder()))
        if self.spool.window < len(self.spool):
            text = _("rows are shuffled in windows of {n}, each made of runs of {run} from everywhere in the data")
            n, run = (format_count(size) for size in (self.spool.window, self.spool.run))
            yield Note("info", where, text.format(n=n, run=run))
        cut = [
            _("{n} of {all} {part}").format(n=format_count(n), all=format_count(size), part=_(_PART_WORDS[name]))
            for name, size, n in zip(PARTS, survey.sizes, self.n_measured, strict=True)
            if n < size
        ]
        if cut:
            text = _("measured on rows drawn by chance: {cuts}").format(cuts=", ".join(cut))
            yield Note("info", where, text)
        n_raw = sum(map(len, self.raw_part))
        if n_raw < sum(survey.sizes):
            text = _("leaks are looked for and columns described in {n} rows drawn by chance")
            yield Note("info", where, text.format(n=format_count(n_raw)))

    @property
    def n_measured(self) -> list[int]:
        """How many rows of each part are measured on."""
        return [sum(len(rows.x) for rows in kept) for kept in self.measured]


_PART_WORDS = {"train": N_("training rows"), "validation": N_("validation rows"), "test": N_("test rows")}
