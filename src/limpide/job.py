"""A job: a recipe made ready to train, with nothing left to infer."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from limpide.data.columns import Task, task_of
from limpide.data.dataset import Dataset, Note
from limpide.data.images import ImagePreparation
from limpide.data.leaks import equal_rows, find_leaks, guard
from limpide.data.preparation import TablePreparation, TargetPreparation
from limpide.data.sources import open_source
from limpide.data.splits import Split, split
from limpide.defaults import Choices, settle_network, settle_split, settle_training
from limpide.engines.base import Choice, choose_engine
from limpide.errors import RecipeError, UnknownName, problem
from limpide.history import Inference
from limpide.i18n import _, format_count, ngettext
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network
from limpide.recipe import Recipe

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
FEW_ROWS = 20
"""Below this many test rows a run is warned of."""


class Rows(NamedTuple):
    """One part of the data, ready for a network.

    x      prepared inputs
    y      encoded targets, what the loss takes
    truth  targets in the user's unit, or class numbers: what the metrics take
    """

    x: np.ndarray
    y: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Job:
    """A recipe made ready: nothing left to infer, the data read, split and prepared."""

    recipe: Recipe
    dataset: Dataset
    split: Split
    preparation: TablePreparation | ImagePreparation
    target: TargetPreparation
    parts: dict[Part, Rows]
    network: Network
    loss: Loss
    engine: Choice
    inferences: list[Inference]
    notes: list[Note]

    @property
    def n_updates(self) -> int:
        """Updates of the whole training, if nothing stops it."""
        return n_updates(self.recipe, len(self.parts["train"].x))


def recipe_of(source: Any, **options: Any) -> Recipe:
    """The recipe of a source: a recipe, a `.toml` file, or anything `open_source` takes, with flat options changed.

    Raises  RecipeError with every problem
    """
    if isinstance(source, Recipe):
        return source.replace(**options)
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if text.lower().endswith(".toml"):
            return Recipe.read(text).replace(**options)
        # absolute, so that the run's recipe redoes it from any folder
        place = Path(text).expanduser()
        return Recipe.from_options(str(place.resolve()) if place.exists() else text, **options)
    name = source.source if isinstance(source, Dataset) else "frame"
    return Recipe.from_options(name, **options)


def open_recipe(recipe: Recipe, source: Any = None) -> Dataset:
    """The data of a recipe; `source` is the data itself where the recipe cannot name it, such as a frame.

    Raises  as `open_source`
    """
    given = recipe.data
    reading: dict[str, Any] = dict(given.options)
    if recipe.preparation.image_size is not None:
        reading["size"] = tuple(recipe.preparation.image_size)
    opened = given.source if source is None else source
    return open_source(opened, given.target, given.kinds, given.drop, options=reading)


def prepare(source: Any, **options: Any) -> Job:
    """Everything before the first update: read, infer, split, prepare.

    source   a recipe, a `.toml` file, or anything `open_source` takes
    options  flat names of a recipe's keys: `limpide.recipe.OPTIONS`
    Raises   RecipeError, DataError, UnknownName or ShapeError with all problems of the recipe or the file; LeakError
             with every leak that is not accepted
    """
    recipe = recipe_of(source, **options)
    recipe.check()
    dataset = open_recipe(recipe, None if isinstance(source, (Recipe, str, os.PathLike)) else source)
    assert dataset.target is not None
    choices = Choices(recipe, dataset.suggested, dataset.name)
    choices.settle("data.target", dataset.target.name, _("taken as the column to predict"))
    task = _settle_task(choices, dataset)
    settle_split(choices, task)
    parts = _split(choices.recipe, dataset)
    with ThreadPoolExecutor(1) as beside:
        # the guard needs the split alone: on a million rows it costs nothing beside the fitting
        guarded = beside.submit(_guarded, choices.recipe, dataset, parts, task)
        preparation, target = _fit_preparation(choices.recipe, dataset, parts, task)
    notes = [*dataset.notes, *parts.notes, *_few(parts), *guarded.result()]
    rows = _rows(dataset, parts, preparation, target)
    network = settle_network(choices, preparation.input_shape, target.n_outputs, len(parts.train), task)
    settle_training(choices, network, task, len(parts.train))
    recipe = choices.recipe
    recipe.check()
    assert recipe.training.loss is not None
    loss = LOSSES[recipe.training.loss]
    _check_loss(loss, network, task)
    engine = choose_engine(recipe.engine, network, n_updates(recipe, len(parts.train)))
    if recipe.engine == "auto":
        # the recipe of a run names its engine, so that it is redone with the same
        choices.record("engine", engine.name, engine.why)
    return Job(choices.recipe, dataset, parts, preparation, target, rows, network, loss, engine, choices.made, notes)


def n_updates(recipe: Recipe, n_train: int) -> int:
    """Updates of a whole training, if nothing stops it."""
    training = recipe.training
    assert training.epochs is not None and training.batch_size is not None
    return training.epochs * -(-n_train // training.batch_size)


def _settle_task(choices: Choices, dataset: Dataset) -> Task:
    given = choices.recipe.data.task
    if given is not None:
        return given
    task, why = task_of(dataset)
    choices.record("data.task", task, why)
    return task


def _split(recipe: Recipe, dataset: Dataset) -> Split:
    chosen = recipe.split
    column = None
    if chosen.column is not None:
        if isinstance(dataset.inputs, np.ndarray):
            raise RecipeError(problem("split.column", _("a table"), _("images"), _("choose another split.method")))
        if chosen.column not in dataset.inputs.columns:
            raise UnknownName("split.column", chosen.column, dataset.inputs.columns)
        column = dataset.inputs[chosen.column]
    assert chosen.method is not None and chosen.validation is not None and chosen.test is not None
    # rows that are equal are a group
    is_distinct = chosen.method == "distinct"
    groups = equal_rows(dataset) if is_distinct else column if chosen.method == "group" else None
    return split(
        len(dataset),
        "group" if is_distinct else chosen.method,
        validation=chosen.validation,
        test=chosen.test,
        seed=recipe.seed,
        target=dataset.target,
        groups=groups,
        times=column if chosen.method == "time" else None,
    )


def _guarded(recipe: Recipe, dataset: Dataset, parts: Split, task: Task) -> list[Note]:
    """What the leak guard says; the one leak that cannot be is said too.

    Raises  LeakError  with every leak that is not accepted
    """
    leaks = find_leaks(dataset, parts, task, column=recipe.split.column, seed=recipe.seed)
    text = ngettext(
        "fitted on the {n} training row alone, after the split",
        "fitted on the {n} training rows alone, after the split",
        len(parts.train),
    )
    fitted = Note("info", _("preparation"), text.format(n=format_count(len(parts.train))))
    return [fitted, *guard(leaks, recipe.data.accept_leaks)]


def _few(parts: Split) -> list[Note]:
    """A warning where the test set is too small for its measures to mean much."""
    n = len(parts.test)
    if n >= FEW_ROWS:
        return []
    text = ngettext(
        "{n} row to test on: the measures will be very uncertain",
        "{n} rows to test on: the measures will be very uncertain",
        n,
    )
    return [Note("warning", _("split"), text.format(n=n))]


def _fit_preparation(
    recipe: Recipe, dataset: Dataset, parts: Split, task: Task
) -> tuple[TablePreparation | ImagePreparation, TargetPreparation]:
    """Layer 0 and the target's scale, from the training rows alone."""
    assert dataset.target is not None
    how = recipe.preparation
    preparation: TablePreparation | ImagePreparation
    if isinstance(dataset.inputs, np.ndarray):
        preparation = ImagePreparation.fit(dataset.inputs, how.standardise, parts.train)
    else:
        columns = tuple(c for c in dataset.columns if c.name != recipe.split.column or recipe.split.method == "time")
        preparation = TablePreparation.fit(
            dataset.inputs,
            columns,
            standardise=how.standardise,
            missing=how.missing,
            max_categories=how.max_categories,
            rows=parts.train,
        )
    # every class of the data has its output, met in the training rows or not
    answers = dataset.target[parts.train] if task == "regression" else dataset.target
    return preparation, TargetPreparation.fit(answers, task, dataset.target.name, scale=how.scale_target)


def _rows(
    dataset: Dataset, parts: Split, preparation: TablePreparation | ImagePreparation, target: TargetPreparation
) -> dict[Part, Rows]:
    assert dataset.target is not None
    inputs: Any = dataset.inputs
    rows: dict[Part, Rows] = {}
    for name in PARTS:
        index = getattr(parts, name)
        answers = dataset.target[index]
        rows[name] = Rows(preparation.transform(inputs, index), target.encode(answers), target.truth(answers))
    return rows


def _check_loss(loss: Loss, network: Network, task: str) -> None:
    wanted = {"regression": "values", "binary": "binary", "multiclass": "classes"}[task]
    if loss.labels != wanted:
        fitting = [row.name for row in LOSSES.rows() if row.labels == wanted]
        raise RecipeError(
            problem(
                _("loss {name}").format(name=loss.name),
                _("a loss for a {task} target").format(task=task),
                _("one for another kind"),
                _("choose among {names}").format(names=", ".join(fitting)),
            )
        )
    network.check_loss(loss)
