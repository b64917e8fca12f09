"""The first pass over a stream: what each column holds, layer 0, the sizes of the parts, the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from limpide.data import clocks, numerals, values
from limpide.data.columns import MAX_CLASSES, MAX_STRAY, Task, infer_task, stray_words, take_target, understand
from limpide.data.dataset import Column, Note, named_kinds
from limpide.data.hashes import row_hashes
from limpide.data.parts import stacked
from limpide.data.preparation import TargetPreparation
from limpide.data.sketches import MOST_WORDS, SIZE, SKETCHES, CategorySketch, Moments, NumberSketch, Sketch
from limpide.data.sources import find_target
from limpide.data.splits import check_parts, parts_of
from limpide.data.streams import Piece, TableStream
from limpide.data.treatments.base import Treatment
from limpide.defaults import Choices, settle_split
from limpide.errors import DataError, RecipeError, UnknownName, problem
from limpide.i18n import _, format_count, format_percent, ngettext
from limpide.recipe import Recipe

MOST_CLASSES = 10_000
MOST_PROBLEMS = 10


@dataclass(frozen=True)
class Plan:
    """What is settled before the first pass.

    is_guessed  the first rows told the task
    constants   columns that hold one value as far as was seen
    row_bytes   of a row as it is read
    """

    stream: TableStream
    recipe: Recipe
    target: str
    task: Task
    is_guessed: bool
    columns: tuple[Column, ...]
    constants: tuple[str, ...]
    row_bytes: float
    notes: list[Note]

    def cuts(self) -> Iterator[Cut]:
        """The pieces, each row with its answer and its part."""
        recipe = self.recipe
        validation, test = recipe.split.validation, recipe.split.test
        seed = recipe.seed if recipe.split.seed is None else recipe.split.seed
        assert validation is not None and test is not None
        for piece in self.stream.pieces():
            frame = piece.frame.drop(column for column in recipe.data.drop if column != self.target)
            part = parts_of(row_hashes(frame, seed, recipe.split.column), validation, test)
            series = frame[self.target]
            answers = values.numbers(series) if self.task == "regression" else values.words(series)
            part[answers.is_null().to_numpy()] = -1
            yield Cut(piece, frame, answers, part)


class Cut(NamedTuple):
    """A piece with the part of each row: 0 train, 1 validation, 2 test, -1 none, its answer being missing."""

    piece: Piece
    frame: pl.DataFrame
    answers: pl.Series
    part: np.ndarray

    @property
    def numbers(self) -> np.ndarray:
        """Which rows of the data these are."""
        return np.arange(len(self.part)) + self.piece.number


def plan_stream(choices: Choices, stream: TableStream) -> Plan:
    """Target, task, columns and split, from the first rows and a few of many places."""
    given = choices.recipe.data
    head, looks = stream.head(), stream.looks()
    unknown = [str(UnknownName(_("column"), name, stream.columns)) for name in given.drop if name not in head.columns]
    if unknown:
        raise DataError(*unknown)
    name = given.target
    if name is None:
        name, why = find_target(stream.name, head.drop(given.drop), given.kinds)
        choices.settle("data.target", name, why)
    both = stacked([head, looks.select(head.columns)])
    _inputs, answers, _notes, _places = take_target(both, name, given.kinds.get(name, ""))
    task, is_guessed = given.task, given.task is None
    if task is None:
        if answers.dtype == pl.String and stray_words(answers).any():
            # these rows are from here and there
            raise _stray_answers(stream, name)
        task, why = infer_task(answers)
        choices.record("data.task", task, why)
    doubts = _unread_numbers(head.drop(given.drop), given.kinds)
    _settle_split(choices, head, task)
    split_column = choices.recipe.split.column
    drop = [column for column in given.drop if column != name]
    columns, notes = understand(head, name, {k: kind for k, kind in given.kinds.items() if k != name}, drop)
    constants = [c.name for c in columns if c.kind == "constant" and not c.is_chosen]
    if constants:
        # what stays the same in the first rows may change from file to file
        again, more = understand(looks.select(constants))
        columns = tuple(next((c for c in again if c.name == column.name), column) for column in columns)
        notes = [note for note in notes if note.where not in constants] + more
    columns = tuple(column for column in columns if column.name != split_column)
    if not any(column.is_feature for column in columns):
        got = named_kinds(columns)
        raise DataError(problem(stream.name, _("at least one column to learn from"), got))
    still = tuple(c.name for c in columns if c.kind == "constant" and not c.is_chosen)
    # strays among numbers are told when all rows have been seen
    among_numbers = {column.name for column in columns if column.words}
    notes = [*doubts, *(note for note in notes if note.where not in among_numbers)]
    return Plan(
        stream, choices.recipe, name, task, is_guessed, columns, still, head.estimated_size() / len(head), notes
    )


def _unread_numbers(head: pl.DataFrame, kinds: Mapping[str, str]) -> list[Note]:
    """A warning for each column of numbers that bear signs, units or marks: a table read at once has numbers there."""
    notes = []
    for series in head:
        if series.dtype != pl.String or series.name in kinds or not series.count():
            continue
        read = clocks.hours(series) or numerals.plain(series, numerals.Marks())
        if read is not None and read.series.dtype.is_numeric():
            text = _(
                "cells such as {cell!r} are numbers in a table read at once, and words in a stream: write plain "
                "numbers, or do without the stream"
            )
            notes.append(Note("warning", series.name, text.format(cell=series.drop_nulls()[0])))
    return notes


def _stray_answers(stream: TableStream, name: str) -> DataError:
    """The words among the numbers of a target, in the first piece that has any."""
    for piece in stream.pieces():
        answers = piece.frame[name]
        wrong = values.unreadable(answers, values.numbers(answers))
        if wrong.any():
            break
    return DataError(_unreadable(piece, name, answers, wrong))


def _unreadable(piece: Piece, name: str, answers: pl.Series, wrong: pl.Series) -> str:
    """Cells of a target that are no numbers."""
    where = _("{file}, target {name}").format(file=piece.file, name=name)
    got, mend = values.cells(answers, wrong, places=piece.places), _("correct these cells or leave them empty")
    return problem(where, _("numbers"), got, mend)


def _settle_split(choices: Choices, head: pl.DataFrame, task: str) -> None:
    choices.settle("split.method", "hash", _("no row ever moves when others are added"))
    settle_split(choices, task)
    method, column = choices.recipe.split.method, choices.recipe.split.column
    if method != "hash":
        mend = _("choose hash; with split.column it keeps the rows of a group together")
        raise RecipeError(problem("split.method", _("hash, for data that is streamed"), str(method), mend))
    if column is not None and column not in head.columns:
        raise UnknownName("split.column", column, head.columns)


@dataclass
class Survey:
    """The first pass: layer 0, sizes and classes.

    known   how many numbers a column holds
    strays  the words among them: how often each comes
    places  where the first of these stand
    """

    plan: Plan
    sketches: dict[str, Sketch]
    sizes: list[int] = field(default_factory=lambda: [0, 0, 0])
    n_rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    moments: Moments = field(default_factory=Moments)
    known: Counter[str] = field(default_factory=Counter)
    strays: dict[str, Counter[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    first: dict[str, str | None] = field(default_factory=dict)
    varying: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def add(self, cut: Cut) -> None:
        """Take a piece in."""
        self.n_rows += len(cut.part)
        for i in range(3):
            self.sizes[i] += int((cut.part == i).sum())
        is_train = pl.Series(cut.part == 0)
        self._add_answers(cut, is_train)
        for name, sketch in self.sketches.items():
            series = cut.frame[name]
            read = sketch.read(series)
            self.known[name] += len(read) - read.null_count()
            if read.null_count() > series.null_count():
                self._look(cut.piece, sketch, series, read)
            sketch.add(read.filter(is_train))
        for name in self.plan.constants:
            self._watch(name, cut.frame[name])
        if len(self.problems) >= MOST_PROBLEMS:
            raise DataError(*self.problems)

    def _add_answers(self, cut: Cut, is_train: pl.Series) -> None:
        if self.plan.task == "regression":
            self.moments.add(cut.answers.filter(is_train).drop_nulls().to_numpy())
            series = cut.frame[self.plan.target]
            wrong = values.unreadable(series, cut.answers)
            if wrong.any():
                self.problems.append(_unreadable(cut.piece, self.plan.target, series, wrong))
            return
        for word, n in cut.answers.drop_nulls().rename("word").value_counts(name="n").iter_rows():
            self.labels[word] += n
        if len(self.labels) > MOST_CLASSES:
            where = _("target {name}").format(name=self.plan.target)
            got = _("more than {n} different words").format(n=format_count(MOST_CLASSES))
            raise DataError(problem(where, _("classes that come again"), got, _("choose another target")))

    def _look(self, piece: Piece, sketch: Sketch, series: pl.Series, read: pl.Series) -> None:
        """Cells that are not what the column holds: strays to be judged in the end, or problems at once."""
        name = sketch.column.name
        wrong = values.unreadable(series, read)
        if not wrong.any():
            return
        where = _("{file}, column {name}").format(file=piece.file, name=name)
        cells = values.cells(series, wrong, places=piece.places)
        strays = self.strays.setdefault(name, Counter())
        if isinstance(sketch, NumberSketch) and not sketch.column.is_chosen and len(strays) < MOST_WORDS:
            for word, n in values.cleaned(series.filter(wrong)).rename("w").value_counts(name="n").iter_rows():
                strays[word] += n
            self.places.setdefault(name, f"{piece.file}: {cells}")
            return
        expected = {"number": _("numbers"), "date": _("dates such as 2024-12-31")}
        words = expected.get(sketch.column.kind, _("yes or no, true or false, 1 or 0"))
        mend = _("correct these cells, leave them empty, or choose another kind")
        self.problems.append(problem(where, words, cells, mend))

    def _watch(self, name: str, series: pl.Series) -> None:
        """Whether a column that seemed to hold one value holds another."""
        if name in self.varying or not len(series):
            return
        cells = values.words(series)
        value = self.first.setdefault(name, cells[0])
        if bool(cells.ne_missing(pl.lit(value, dtype=pl.String) if value is None else value).any()):
            self.varying.add(name)

    def end(self) -> None:
        """Judge what only all rows can tell.

        Raises  DataError
        """
        plan = self.plan
        for name, strays in self.strays.items():
            n = strays.total()
            if n > MAX_STRAY * (n + self.known[name]):
                where, mend = _("column {name}").format(name=name), _("correct these cells, or choose another kind")
                self.problems.append(problem(where, _("numbers"), self.places[name], mend))
        if self.problems:
            raise DataError(*self.problems)
        check_parts(self.sizes)
        where = _("target {name}").format(name=plan.target)
        if plan.task == "regression" and not self.moments.low < self.moments.high:
            got = _("only {name}").format(name=repr(self.moments.low))
            raise DataError(problem(where, _("at least two different values"), got))
        n = len(self.labels)
        if not plan.is_guessed or n <= 2:
            return
        got = ngettext("{n} class", "{n} classes", n).format(n=format_count(n))
        if plan.task == "binary":
            raise DataError(problem(where, _("two classes, as in the first rows"), got, _("set task to multiclass")))
        if n > MAX_CLASSES and all(values.NUMBER.fullmatch(word) for word in self.labels):
            expected = _("at most {n} numbers that are classes").format(n=MAX_CLASSES)
            raise DataError(problem(where, expected, got, _("set task to regression, or to multiclass")))

    def treatments(self) -> Iterator[Treatment]:
        """Layer 0."""
        for name, sketch in self.sketches.items():
            yield sketch.treatment(tuple(self.strays.get(name, ())))

    def target(self) -> TargetPreparation:
        """The scale of the target, or its classes."""
        plan = self.plan
        if plan.task != "regression":
            return TargetPreparation.fit(pl.Series(list(self.labels), dtype=pl.String), plan.task, plan.target)
        preparation = TargetPreparation(plan.task, plan.target)
        if not plan.recipe.preparation.scale_target:
            return preparation
        return TargetPreparation(plan.task, plan.target, (), self.moments.scale())

    def notes(self) -> Iterator[Note]:
        """What a user should know of what was found."""
        n = self.n_rows - sum(self.sizes)
        if n:
            text = ngettext("{n} row without a target left out", "{n} rows without a target left out", n)
            yield Note("warning", self.plan.target, text.format(n=format_count(n)))
        for name, strays in self.strays.items():
            if strays:
                text = _("numbers expected, but {cells}: read as missing").format(cells=self.places[name])
                yield Note("warning", name, text)
        for name in sorted(self.varying):
            text = _("left out for holding one value in the first rows, but it changes later: say its kind")
            yield Note("warning", name, text)
        filled = [s for s in self.sketches.values() if isinstance(s, NumberSketch) and s.has_missing]
        if any(s.moments.n > SIZE for s in filled) and self.plan.recipe.preparation.missing == "median":
            bound = (1 + np.log2(self.sizes[0] / SIZE)) / SIZE
            text = _("medians are near: at most {share} of the rows lie between each and the true one")
            yield Note("info", _("preparation"), text.format(share=format_percent(bound, 2)))
        for name, sketch in self.sketches.items():
            if isinstance(sketch, CategorySketch) and sketch.counts.lost:
                text = _("too many different words to count them all: each may come up to {n} times more often")
                yield Note("info", name, text.format(n=format_count(sketch.counts.lost)))


def survey_stream(plan: Plan) -> Survey:
    """The first pass.

    Raises  DataError  with the cells that cannot be read, by file and row
    """
    how = plan.recipe.preparation
    sketches = {
        column.name: SKETCHES[column.kind](column, how.standardise, how.missing, how.max_categories)
        for column in plan.columns
        if column.is_feature
    }
    found = Survey(plan, sketches)
    for cut in plan.cuts():
        found.add(cut)
    found.end()
    return found
