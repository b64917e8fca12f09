"""A job: a recipe made ready to train, with nothing left to infer."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl

from limpide import seeds
from limpide.data.centring import Centring, judge
from limpide.data.columns import Task, task_of
from limpide.data.dataset import Dataset, Note
from limpide.data.hashes import row_hashes
from limpide.data.images import ImagePreparation
from limpide.data.leaks import equal_rows, find_leaks, guard
from limpide.data.preparation import TablePreparation, TargetPreparation, check_answers, taker
from limpide.data.rows import Part, Preparation, Prepared, Rows, Streamed
from limpide.data.sources import open_source
from limpide.data.splits import Split, split, split_by_hash
from limpide.data.streams import TableStream
from limpide.data.targets import uneven_answers
from limpide.defaults import Choices, loss_of, settle_network, settle_shift, settle_split, settle_training
from limpide.engines.base import ENGINES, LoadsCode, get_engine
from limpide.engines.choosing import Choice, choose_engine
from limpide.errors import DataError, LimpideError, RecipeError, UnknownName, problem
from limpide.history import Inference
from limpide.i18n import _, format_count, ngettext
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.recipe import Recipe
from limpide.recipes import SHIPPED, shipped
from limpide.streaming import open_stream, prepare_stream

FEW_ROWS = 20
"""Below this many test rows a run is warned of."""

FEW_CELLS = 200_000
"""Up to this many cells of a table a thread costs more than it saves, and so does preparing the parts one by one."""


@dataclass(frozen=True)
class Job:
    """A recipe made ready: nothing left to infer, the data read, split and prepared.

    dataset, split, parts  of data larger than memory, the rows that it is measured on; `streamed` has the rest
    """

    recipe: Recipe
    dataset: Dataset
    split: Split
    preparation: Preparation
    target: TargetPreparation
    parts: dict[Part, Rows]
    network: Network
    loss: Loss
    engine: Choice
    inferences: list[Inference]
    notes: list[Note]
    streamed: Streamed | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """How many rows each part has."""
        return self.streamed.sizes if self.streamed else {name: len(rows.x) for name, rows in self.parts.items()}

    @property
    def n_updates(self) -> int:
        """Updates of the whole training, if nothing stops it."""
        return n_updates(self.recipe, self.sizes["train"])

    def measured(self, part: Part) -> Rows:
        """The rows of a part that are measured, always the same: all of them, or as many as the recipe says."""
        rows, most = self.parts[part], self.recipe.training.measured
        if most is None or len(rows.x) <= most:
            return rows
        chosen = np.sort(seeds.stream(self.recipe.seed, "measured", part).choice(len(rows.x), most, replace=False))
        return rows.taken(chosen)


def recipe_of(source: Any, **options: Any) -> Recipe:
    """The recipe of a source: a recipe, a `.toml` file, or anything `open_source` takes, with flat options changed.

    Raises  RecipeError with every problem; DataError for None, which a frame that was lost on the way may be
    """
    if source is None:
        expected = _("a file, the name of a data set, a frame or a recipe")
        raise DataError(problem(_("data"), expected, _("nothing")))
    if isinstance(source, Recipe):
        return source.replace(**options)
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if text.lower().endswith(".toml"):
            return Recipe.read(text).replace(**options)
        if text in SHIPPED:
            return shipped(text).replace(**options)
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
    if given.stream:
        expected, got = _("data that fits in memory"), _("a recipe with stream = true")
        raise RecipeError(problem("data.stream", expected, got, _("set stream to false")))
    reading: dict[str, Any] = dict(given.options)
    if recipe.preparation.image_size is not None:
        reading["size"] = tuple(recipe.preparation.image_size)
    opened = given.source if source is None else source
    # what the rows are dealt out by is read all the same
    drop = [name for name in given.drop if name != recipe.split.column]
    return open_source(opened, given.target, given.kinds, drop, options=reading)


def data_key(recipe: Recipe) -> str:
    """The same for recipes that open the same data."""
    return recipe.data.model_dump_json() + str((recipe.split.column, recipe.preparation.image_size))


def prepare(source: Any, dataset: Dataset | None = None, **options: Any) -> Job:
    """Everything before the first update: read, infer, split, prepare.

    source   a recipe, a `.toml` file, or anything `open_source` takes
    dataset  the recipe's data, where `open_recipe` has opened it before
    options  flat names of a recipe's keys: `limpide.recipe.OPTIONS`
    Raises   RecipeError, DataError, UnknownName or ShapeError with all problems of the recipe or the file; LeakError
             with every leak that is not accepted
    """
    recipe = recipe_of(source, **options)
    recipe.check()
    if ENGINES.get(recipe.engine, "").partition(":")[0] not in (*sys.modules, ""):
        # loading an engine may take longer than reading the data: both are done at once
        Thread(target=_load, args=(recipe,)).start()
    is_given = dataset is not None or not isinstance(source, (Recipe, str, os.PathLike))
    stream = None if is_given and not recipe.data.stream else open_stream(recipe)
    if stream is not None:
        choices = Choices(recipe, {}, stream.name)
        made = _prepare_streamed(choices, stream)
    else:
        dataset = dataset or open_recipe(recipe, source if is_given else None)
        choices = Choices(recipe, dataset.suggested, dataset.name)
        made = _prepare_loaded(choices, dataset)
    n_train = made.streamed.sizes["train"] if made.streamed else len(made.split.train)
    settle_shift(choices, made.parts["train"], made.task)
    network = settle_network(choices, made.preparation.input_shape, made.target.n_outputs, n_train, made.task)
    settle_training(choices, network, made.task, n_train)
    recipe = choices.recipe
    recipe.check()
    loss = loss_of(recipe, network, made.task)
    if recipe.training.shift and len(network.input_shape) != 3:
        raise RecipeError(problem("training.shift", _("images"), _("a table"), _("leave it out")))
    engine = engine_of(recipe, network, n_train)
    if recipe.engine == "auto":
        # the recipe of a run names its engine, so that it is redone with the same
        choices.record("engine", engine.name, engine.why)
    return Job(
        choices.recipe,
        made.dataset,
        made.split,
        made.preparation,
        made.target,
        made.parts,
        network,
        loss,
        engine,
        choices.made,
        [*made.notes, *uneven_answers(made.target, made.parts["train"].truth, loss.name)],
        made.streamed,
    )


def _prepare_loaded(choices: Choices, dataset: Dataset) -> Prepared:
    """Data in memory, split and prepared."""
    assert dataset.target is not None
    choices.settle("data.target", dataset.target.name, _("taken as the column to predict"))
    given = choices.recipe.data.options
    if dataset.reading is not None and (found := {**given, **dataset.reading.options()}) != given:
        choices.record("data.options", found, _("how the table was read"))
    task = _settle_task(choices, dataset)
    kinds = {column.name: column.kind for column in dataset.columns}
    settle_split(choices, task, len(dataset), kinds.get(choices.recipe.split.column or "", ""))
    parts = _fewer(choices.recipe, _split(choices.recipe, dataset))
    centring = _settle_centring(choices, dataset.inputs, parts.train) if dataset.is_image else None
    if _n_cells(dataset) <= FEW_CELLS:
        preparation, target = _fit_preparation(choices.recipe, dataset, parts, task, centring)
        said = _guarded(choices.recipe, dataset, parts, task, len(parts.train))
    else:
        with ThreadPoolExecutor(1) as beside:
            # the guard needs no more than the split: beside the fitting it costs no time
            guarded = beside.submit(_guarded, choices.recipe, dataset, parts, task, len(parts.train))
            preparation, target = _fit_preparation(choices.recipe, dataset, parts, task, centring)
        said = guarded.result()
    notes = [*dataset.notes, *parts.notes, *_few(parts), *said]
    rows = _rows(dataset, parts, preparation, target)
    return Prepared(dataset, parts, task, preparation, target, rows, notes)


def _prepare_streamed(choices: Choices, stream: TableStream) -> Prepared:
    """Data larger than memory, split and prepared; the guard looks at the rows of it that were kept."""
    most = choices.recipe.training.rows
    if most is not None:
        mend = _("leave it out, or give a smaller table")
        raise RecipeError(problem("training.rows", _("data that fits in memory"), _("a stream"), mend))
    made = prepare_stream(choices, stream)
    assert made.streamed is not None
    said = _guarded(choices.recipe, made.dataset, made.split, made.task, made.streamed.sizes["train"])
    return made._replace(notes=[*made.notes, *_few(made.split), *said])


def _load(recipe: Recipe) -> None:
    # whatever is wrong with it is told when it is chosen
    with suppress(LimpideError, ImportError):
        engine = get_engine(recipe.engine)
        if isinstance(engine, LoadsCode) and recipe.precision != "mixed":
            engine.load_code(recipe.precision, str(recipe.network.layers))


def n_updates(recipe: Recipe, n_train: int) -> int:
    """Updates of a whole training, if nothing stops it."""
    training = recipe.training
    assert training.epochs is not None and training.batch_size is not None
    return training.epochs * -(-n_train // training.batch_size)


def engine_of(recipe: Recipe, network: Network, n_train: int) -> Choice:
    """The engine for a recipe whose training is settled, and why."""
    batch_size = recipe.training.batch_size
    assert batch_size is not None
    return choose_engine(recipe.engine, network, n_updates(recipe, n_train), recipe.precision, batch_size)


def _settle_task(choices: Choices, dataset: Dataset) -> Task:
    given = choices.recipe.data.task
    if given is not None:
        check_answers(dataset, given)
        return given
    task, why = task_of(dataset)
    choices.record("data.task", task, why)
    return task


def _settle_centring(choices: Choices, images: Any, train: np.ndarray) -> Centring | None:
    """Where the strokes of other images are to be brought; None where images are taken whole."""
    found = None
    if choices.recipe.preparation.centre is None:
        found, why = judge(images, train)
        choices.settle("preparation.centre", found is not None, why)
    return (found or Centring.fit(images, train)) if choices.recipe.preparation.centre else None


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
    seed = recipe.seed if chosen.seed is None else chosen.seed
    if chosen.method == "hash":
        rows = dataset.inputs
        if isinstance(rows, pl.DataFrame) and dataset.target is not None:
            rows = rows.with_columns(dataset.target)
        hashes = row_hashes(rows, seed, chosen.column)
        return split_by_hash(hashes, chosen.validation, chosen.test, chosen.column is not None)
    # rows that are equal are a group
    is_distinct = chosen.method == "distinct"
    groups = equal_rows(dataset) if is_distinct else column if chosen.method == "group" else None
    return split(
        len(dataset),
        "group" if is_distinct else chosen.method,
        validation=chosen.validation,
        test=chosen.test,
        seed=seed,
        target=dataset.target,
        groups=groups,
        times=column if chosen.method == "time" else None,
        places=dataset.places,
    )


def _fewer(recipe: Recipe, parts: Split) -> Split:
    """As many of the training rows as the recipe says, the fewer always among the more; the other parts as they are."""
    most, n = recipe.training.rows, len(parts.train)
    if most is None or n <= most:
        return parts
    seed = recipe.seed if recipe.split.seed is None else recipe.split.seed
    train = np.sort(parts.train[seeds.stream(seed, "fewer").permutation(n)[:most]])
    text = _("{some} of the {n} training rows are learned from, as training.rows says")
    note = Note("info", _("split"), text.format(some=format_count(most), n=format_count(n)))
    return replace(parts, train=train, notes=(*parts.notes, note))


def _guarded(recipe: Recipe, dataset: Dataset, parts: Split, task: Task, n_train: int) -> list[Note]:
    """What the leak guard says, and why the preparation cannot leak: it is fitted after the split.

    n_train  how many rows the preparation is fitted on
    Raises   LeakError  with every leak that is not accepted
    """
    leaks = find_leaks(dataset, parts, task, column=recipe.split.column, seed=recipe.seed)
    text = ngettext(
        "fitted on the {n} training row alone, after the split",
        "fitted on the {n} training rows alone, after the split",
        n_train,
    )
    fitted = Note("info", _("preparation"), text.format(n=format_count(n_train)))
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
    recipe: Recipe, dataset: Dataset, parts: Split, task: Task, centring: Centring | None
) -> tuple[Preparation, TargetPreparation]:
    """Layer 0 and the target's scale, from the training rows alone."""
    assert dataset.target is not None
    how = recipe.preparation
    preparation: Preparation
    if isinstance(dataset.inputs, np.ndarray):
        preparation = ImagePreparation.fit(dataset.inputs, how.standardise, parts.train, how.pixel_range, centring)
    else:
        is_input = recipe.split.method == "time" and recipe.split.column not in recipe.data.drop
        columns = tuple(c for c in dataset.columns if c.name != recipe.split.column or is_input)
        preparation = TablePreparation.fit(
            dataset.inputs,
            columns,
            standardise=how.standardise,
            missing=how.missing,
            max_categories=how.max_categories,
            rows=parts.train,
        )
    # every class of the data has its output, met in the training rows or not
    answers = taker(parts.train)(dataset.target) if task == "regression" else dataset.target
    return preparation, TargetPreparation.fit(answers, task, dataset.target.name, scale=how.scale_target)


def _rows(dataset: Dataset, parts: Split, preparation: Preparation, target: TargetPreparation) -> dict[Part, Rows]:
    assert dataset.target is not None
    inputs: Any = dataset.inputs
    places: dict[Part, np.ndarray] = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    if not dataset.is_image and _n_cells(dataset) <= FEW_CELLS:
        # of a small table nearly all the time goes into the calls: one for all parts
        whole = Rows(preparation.transform(inputs), target.encode(dataset.target), target.truth(dataset.target))
        return {name: whole.taken(index) for name, index in places.items()}
    rows: dict[Part, Rows] = {}
    for name, index in places.items():
        answers = taker(index)(dataset.target)
        rows[name] = Rows(preparation.transform(inputs, index), target.encode(answers), target.truth(answers))
    return rows


def _n_cells(dataset: Dataset) -> int:
    """Cells of a table, pixels of images."""
    return int(np.prod(dataset.inputs.shape))
