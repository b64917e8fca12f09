"""`explain`: from what is asked of a run to the step that is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from limpide.data.dataset import Dataset
from limpide.data.preparation import TablePreparation
from limpide.errors import DataError, RecipeError, RunError, UnknownName, problem
from limpide.explaining.explanation import Explanation, Looked
from limpide.explaining.sample import Sample, sample_of
from limpide.explaining.step import OpenedStep
from limpide.explaining.walk import Batch, Walk
from limpide.i18n import _, format_count
from limpide.job import n_updates
from limpide.nn.losses import LOSSES
from limpide.reopening import dataset_of
from limpide.runs import Run, load


def explain(
    run: Run | str | Path,
    *,
    row: int | None = None,
    values: Mapping[str, Any] | None = None,
    epoch: int | None = None,
    step: int | None = None,
    sample: int | None = None,
    layer: str | int | None = None,
    unit: int | Sequence[int] | None = None,
    open: str | Sequence[str] = (),
    digits: int | None = None,
    source: Any = None,
) -> Explanation:
    """One step of a run opened: each number with the arithmetic that made it.

    Where nothing more is asked, it is the first update of the training. To reach any other, the training is made
    again, from the start or from a checkpoint: the recipe gives the same bits.

    row     a row of the data: alone under the weights of the run, or with `epoch` in the update that visits it
    values  a row of your own, by column; with the target among them, its answer too
    epoch   from 1; without `step` its first update
    step    the update within the epoch, from 1; without `epoch` within the whole training
    sample  which row of the batch is followed, from 0
    layer   one layer, by path or index; `unit` one unit of it
    open    addresses of numbers, such as "0.dense.dW[2,3]"
    digits  significant digits; 0 writes every number exactly
    source  the data, where the recipe cannot name it: a frame
    Raises  RunError, RecipeError, DataError or UnknownName, saying what would fit

    >>> import limpide as lp
    >>> run = lp.train("iris", epochs=2, save=False, baselines=False)
    >>> explain(run, epoch=2, step=3).moment.update
    7
    """
    run = load(run) if isinstance(run, (str, Path)) else run
    if (row is not None) + (values is not None) + (sample is not None) > 1:
        raise RecipeError(problem("explain", _("one of row, values and sample"), _("several")))
    if row is not None and step is not None:
        mend = _("leave out step: the row says which update of the epoch it is")
        raise RecipeError(problem("explain", _("a row, or a step"), _("both"), mend))
    if unit is not None and layer is None:
        raise RecipeError(problem("unit", _("a layer beside it"), _("none")))
    place = None if unit is None else tuple([unit] if isinstance(unit, int) else unit)
    opened = (open,) if isinstance(open, str) else tuple(open)
    looked = Looked(None if layer is None else str(layer), place, opened, digits)
    asked = Asked(run, source, row, values)
    if (row is not None or values is not None) and epoch is None and step is None:
        return asked.alone(looked)
    return asked.at(*asked.place(epoch, step), sample or 0, looked)


@dataclass
class Asked:
    """What is asked of a run, with what it takes to answer: the data, the training walked again."""

    run: Run
    source: Any = None
    row: int | None = None
    values: Mapping[str, Any] | None = None

    @cached_property
    def walk(self) -> Walk:
        """The training, walked again when first asked for."""
        return Walk(self.run, self.source)

    @cached_property
    def dataset(self) -> Dataset:
        """The data of the run.

        Raises  RunError when they are no longer those of the training
        """
        self._check_in_memory()
        return dataset_of(self.run, self.source)

    def _check_in_memory(self) -> None:
        """RunError where the rows of the data have no numbers that are known."""
        if self.run.recipe.data.stream:
            expected, mend = _("data in memory"), _("give the values of the row, or an epoch and a step")
            raise RunError(problem(_("row"), expected, _("a stream"), mend))

    def place(self, epoch: int | None, step: int | None) -> tuple[int, int]:
        """The epoch and the step within it."""
        n = self.walk.n_steps
        if epoch is None and step is not None:
            last = n * self.walk.n_epochs
            if not 1 <= step <= last:
                expected = _("a number from 1 to {most}").format(most=format_count(last))
                raise RunError(problem(_("step"), expected, str(step)))
            return (step - 1) // n + 1, (step - 1) % n + 1
        return epoch or 1, step or 1

    def alone(self, looked: Looked) -> Explanation:
        """One row under the weights of the run."""
        sample, x, y = self._given()
        opened = self._opened(x, y, sample)
        return Explanation(self.run, opened, sample, looked, self, None)

    def at(self, epoch: int, step: int, place: int, looked: Looked) -> Explanation:
        """An update of the training; a row of one's own under the weights before it, or in the update that visits it.

        place  of the row that is followed in the batch
        """
        if self.row is not None:
            return self.in_training(epoch, *self._visit(epoch, self.row), looked)
        if self.values is None:
            return self.in_training(epoch, step, place, looked)
        moment, batch = self.walk.to(epoch, step)
        sample, x, y = self._given()
        return Explanation(self.run, self._opened(x, y, sample, state=batch.state), sample, looked, self, moment)

    def in_training(self, epoch: int, step: int, place: int, looked: Looked) -> Explanation:
        """An update of the training, and the row at a place of its batch."""
        moment, batch = self.walk.to(epoch, step)
        n = len(batch.x)
        if not 0 <= place < n:
            raise RunError(problem("sample", _("a number from 0 to {last}").format(last=n - 1), str(place)))
        sample = self._of_data(batch, place)
        opened = self._opened(batch.x, batch.y, sample, state=batch.state, noise=batch.noise, row=place)
        return Explanation(self.run, opened, sample, looked, self, moment)

    def _opened(self, x: np.ndarray, y: np.ndarray | None, sample: Sample, **options: Any) -> OpenedStep:
        run, recipe = self.run, self.run.recipe
        assert recipe.training.loss is not None
        return OpenedStep(
            run.network,
            LOSSES[recipe.training.loss],
            recipe.optimizer.build(),
            run.weights,
            x,
            y,
            n_updates=n_updates(recipe, run.split_sizes["train"]),
            precision=recipe.precision,
            inputs=sample.inputs,
            answers=sample.answers,
            **options,
        )

    def _visit(self, epoch: int, row: int) -> tuple[int, int]:
        """The step of an epoch that visits a row, and the row's place in the batch.

        Raises  RunError for a row that no update visits
        """
        self._check_in_memory()
        found = self.walk.visit(epoch, row)
        if found is None:
            mend = _("leave out the epoch, to see it under the weights of the run")
            where = _("row {n}").format(n=row)
            raise RunError(problem(where, _("a row of the training"), _("one of another part"), mend))
        return found

    def _of_data(self, batch: Batch, place: int) -> Sample:
        """The row of the data that stands at a place of a batch."""
        if batch.rows is None:
            return Sample()
        number, job = int(batch.rows[place]), self.walk.job
        inputs, answers = job.dataset.inputs[[number]], job.dataset.target
        assert answers is not None
        sample = sample_of(job.preparation, job.target, inputs, answers[[number]], number)
        if self.run.recipe.training.shift:
            # an image that was moved is no longer the pixels of the data, place by place
            return Sample(number, sample.cells, sample.truth, sample.png, None, sample.answers)
        return sample

    def _given(self) -> tuple[Sample, np.ndarray, np.ndarray | None]:
        """The row asked for, prepared, and its target where it is known."""
        number = self.row
        if number is not None:
            dataset = self.dataset
            if not 0 <= number < len(dataset):
                expected = _("a number from 0 to {last}").format(last=format_count(len(dataset) - 1))
                raise DataError(problem(_("row"), expected, str(number)))
            inputs: Any = dataset.inputs[[number]]
            answers = dataset.target
            answers = None if answers is None else answers[[number]]
        else:
            read = self.run.read([self._checked()])
            inputs, answers = read.inputs, read.target
            if answers is not None and answers[0] is None:
                answers = None
        target = self.run.target
        sample = sample_of(self.run.preparation, target, inputs, answers, number)
        return sample, self.run.preparation.transform(inputs), None if answers is None else target.encode(answers)

    def _checked(self) -> dict[str, Any]:
        """The values given, every column there.

        Raises  DataError with every column that is missing, and every one the model does not know
        """
        given, preparation, target = self.values or {}, self.run.preparation, self.run.target.name
        if not isinstance(preparation, TablePreparation):
            raise DataError(problem("values", _("a model of tables"), _("one of images"), _("name a row of the data")))
        known = preparation.column_names
        problems = [
            str(UnknownName("values", name, [*known, target])) for name in given if name not in (*known, target)
        ]
        problems += [
            problem(_("column {name}").format(name=name), _("a value"), _("none"), _("give it, or leave it empty"))
            for name in known
            if name not in given
        ]
        if problems:
            raise DataError(*problems)
        return {name: None if value == "" else value for name, value in given.items()}
