"""What is chosen where the user chose nothing, and why.

Each rule is a function of the data's facts that gives a value and a sentence; `benchmarks/LOG.md` keeps the
measurements behind the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from limpide.arrays import Shape, show_shape
from limpide.data.rows import Rows
from limpide.data.shifts import told_by_place
from limpide.errors import RecipeError, problem
from limpide.history import Inference
from limpide.i18n import _, format_count, format_number
from limpide.nn.grammar import complete_network
from limpide.nn.losses import LOSSES, Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import OPTIMIZERS
from limpide.recipe import Recipe

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
FEW_ROWS = 1_000
VALIDATION_SHARE_OF_FEW = 0.15
"""With few rows a smaller share would make early stopping a matter of luck; with more, a tenth is enough."""

AVERAGE = 0.8
"""Share of the mean so far in the mean of the weights over the epochs: it looks back on five of them or so."""

SMALL_START, SMALL_START_RATE = "pytorch 0.5", 0.003
"""For regressions. Units with small weights begin nearly straight, so less of the noise is learned. They bend late: at
the usual rate, training might stop before they do."""

SMALL_START_NEEDS = ("network.layers", "optimizer.name", "optimizer.rate")
"""Keys that the user must leave open for a small start: it was measured with the default layers and the rate above."""

MOST_UPDATES = 30_000
"""Updates that a training is given by default; early stopping nearly always comes first."""

CONVOLUTION_SIDE = 12
"""Images at least this high and wide get convolutions."""

SMALLEST_MAP = 5
"""Convolutions follow one another, each with half the side before it, until so many pixels or fewer are left."""

MOST_CHANNELS = 64

FEW_IMAGES = 5_000
"""Of fewer training images than this, each is moved anew in every epoch."""

MOVED_SHARE = 1 / 8
MOST_MOVED = 64
"""How far an image is moved at most: this share of the shorter side, and so many pixels, which a recipe may say."""

MOST_TOLD_BY_PLACE = 0.6
"""Share of what varies in where things stand that classes may explain: above, images are not moved."""

CONVOLUTION_WORK = 4e10
"""Multiply-adds of one epoch above which convolutions step over every other pixel: a second or two of one core."""


class Choices:
    """A recipe being completed: what is set already stays, what is not gets a value and a reason."""

    def __init__(self, recipe: Recipe, suggested: Mapping[str, Any], name: str) -> None:
        self.recipe = recipe
        self.suggested = suggested
        self.name = name
        self.made: list[Inference] = []

    def is_given(self, key: str) -> bool:
        """Whether the user or the data set says what a dotted key is."""
        return self.recipe.value(key) is not None or key in self.suggested

    def settle(self, key: str, value: Any, why: str) -> Any:
        """The value of a dotted key: the user's, else the data set's own, else this one."""
        given = self.recipe.value(key)
        if given is not None:
            return given
        if key in self.suggested:
            value, why = self.suggested[key], _("the data set {name} asks for it").format(name=self.name)
        self.record(key, value, why)
        return value

    def record(self, key: str, value: Any, why: str) -> None:
        """Write a value into the recipe, and say why."""
        self.recipe = self.recipe.with_values({key: value})
        shown = format_number(value) if isinstance(value, float) else str(value)
        self.made.append(Inference(key, shown, why))


def settle_split(choices: Choices, task: str, n_rows: int | None = None, column_kind: str = "") -> None:
    """How rows are dealt out.

    n_rows       None for data that are too many to be counted first
    column_kind  of the column that the recipe names for the split; "" where it names none
    Raises  RecipeError  where that column holds numbers, which may be groups or a time
    """
    if column_kind == "number" and choices.recipe.split.method is None:
        expected = _("group or time, as {column} holds numbers").format(column=choices.recipe.split.column)
        raise RecipeError(problem("split.method", expected, _("nothing")))
    if column_kind == "date":
        method, why = "time", _("split.column holds dates: the latest rows test")
    elif column_kind:
        method, why = "group", _("split.column is named: its groups stay whole")
    elif task == "regression":
        method, why = "random", _("rows are taken to be independent of one another; name a column if they are not")
    else:
        method, why = "stratified", _("each class keeps its share in every part")
    choices.settle("split.method", method, why)
    choices.settle("split.test", TEST_SHARE, _("the usual share for a final exam taken once"))
    test = choices.recipe.split.test or 0.0
    if n_rows is not None and n_rows < FEW_ROWS:
        share, why = VALIDATION_SHARE_OF_FEW, _("of few rows, enough to see when to stop")
    else:
        share, why = VALIDATION_SHARE, _("enough rows to see when to stop; the others are to learn from")
    if choices.suggested.get("split.method") == "ordered" and choices.recipe.split.method == "ordered":
        choices.settle(
            "split.validation", round(share * (1 - test), 4), _("taken from the rows that are not the test set")
        )
    choices.settle("split.validation", share, why)


def settle_network(choices: Choices, input_shape: Shape, n_outputs: int, n_train: int, task: str) -> Network:
    """The layers and how their weights are born."""
    text, why = _layers(input_shape, n_outputs, n_train, task)
    is_small = task == "regression" and len(input_shape) == 1 and not any(map(choices.is_given, SMALL_START_NEEDS))
    text = choices.settle("network.layers", text, why)
    if len(input_shape) > 1:
        best, why = "he", _("it keeps the size of signals through layers that cut the negative half")
    elif is_small:
        best, why = SMALL_START, _("units that start small start straight, and bend where the rows ask for it")
    else:
        best, why = "pytorch", _("it starts small: on tables of this kind it does as well as larger starts, or better")
    initializer = choices.settle("network.initializer", best, why)
    return complete_network(text, input_shape, n_outputs, initializer)


def _layers(input_shape: Shape, n_outputs: int, n_train: int, task: str) -> tuple[str, str]:
    if len(input_shape) == 1:
        if task == "regression":
            return "64 silu, 32 silu", _("two hidden layers learn most tables; silu bends gently, as most relations do")
        return "64 silu, dropout 0.2, 32 silu, dropout 0.2", _(
            "two hidden layers learn most tables, silu bends gently; dropout, as classes are easily learned by heart"
        )
    shape, side = show_shape(input_shape), min(input_shape[1:])
    if side < CONVOLUTION_SIDE:
        return "128 relu, dropout 0.3", _("images of {shape} are small enough to be seen whole").format(shape=shape)
    text = f"{_convolutions(side, is_pooled=True)}, flatten, dropout 0.3, 64 relu"
    table = complete_network(text, input_shape, n_outputs).table()
    if 3 * n_train * sum(row.multiply_adds for row in table) <= CONVOLUTION_WORK:
        return text, _("images of {shape}: small patterns that may stand anywhere").format(shape=shape)
    return f"{_convolutions(side, is_pooled=False)}, flatten, dropout 0.3, 128 no bias, batchnorm relu", _(
        "small patterns that may stand anywhere; on {n} images of {shape}, steps of two pixels save time"
    ).format(n=format_count(n_train), shape=shape)


def _convolutions(side: int, is_pooled: bool) -> str:
    """Blocks one behind the other, each with twice the channels and half the side of the one before.

    is_pooled  whether every place is looked at and the best of four kept, or every other place looked at
    """
    blocks, channels, kernel = [], 8 if is_pooled else 16, 5
    while side > SMALLEST_MAP:
        if is_pooled:
            blocks.append(f"conv {channels} 3x3 pad 1 no bias, batchnorm relu, maxpool 2")
            side //= 2
        else:
            blocks.append(f"conv {channels} {kernel}x{kernel} stride 2 no bias, batchnorm relu")
            side, kernel = (side - kernel) // 2 + 1, 3
        channels = min(2 * channels, MOST_CHANNELS)
    return ", ".join(blocks)


def settle_shift(choices: Choices, train: Rows, task: str) -> None:
    """How far images are moved before the default network learns from them, where they are few and in classes.

    A number may well be told by the place of a thing, and so may a class: then images stay as they are.
    """
    if train.x.ndim != 4 or task == "regression" or choices.is_given("network.layers"):
        return
    side = min(train.x.shape[2:])
    if side < CONVOLUTION_SIDE or len(train.x) >= FEW_IMAGES:
        return
    if told_by_place(train.x, train.truth) > MOST_TOLD_BY_PLACE:
        choices.settle("training.shift", 0, _("where things stand tells the classes apart, so images are not moved"))
    else:
        why = _("the images are few: moved a little, each in a new way in every epoch, they teach as more would")
        choices.settle("training.shift", min(MOST_MOVED, round(MOVED_SHARE * side)), why)


def settle_training(choices: Choices, network: Network, task: str, n_train: int) -> None:
    """Loss, optimizer and its rate, mean of the weights, batch, epochs, patience."""
    settle = choices.settle
    losses = {
        ("regression", False): ("mse", _("the usual loss for a number")),
        ("binary", False): ("binary_cross_entropy_with_logits", _("two classes, from a raw score")),
        ("multiclass", False): ("cross_entropy", _("several classes, from raw scores")),
        ("regression", True): ("mse", _("the usual loss for a number")),
        ("binary", True): ("binary_cross_entropy", _("two classes, from the probability of the sigmoid")),
        ("multiclass", True): ("categorical_cross_entropy", _("several classes, from the softmax's probabilities")),
    }
    settle("training.loss", *losses[task, network.ends_in_probability])
    name = settle("optimizer.name", "adam", _("it needs the least tuning of its rate"))
    if choices.recipe.optimizer.rate is None:
        family = "momentum" if name == "nesterov" else name
        if family in OPTIMIZERS:
            rate = OPTIMIZERS[family].__dataclass_fields__["rate"].default
            why = _("the usual rate of {name}").format(name=name)
            if family == "adam" and choices.recipe.network.initializer == SMALL_START:
                rate, why = SMALL_START_RATE, _("weights that start small have farther to go")
            settle("optimizer.rate", rate, why)
    asked = choices.recipe.training
    if asked.epochs is None and asked.patience is None and choices.recipe.optimizer.schedule == "constant":
        # of a few epochs, if so many were asked for, the first ones weigh too much; a rate that falls settles by itself
        why = _("what is measured and kept is the mean of the weights over the epochs, the last ones most")
        settle("training.average", AVERAGE, why)
    batch = settle("training.batch_size", _batch_size(n_train), _("small for few rows, larger for many"))
    updates = ceil(n_train / batch)
    epochs = min(500, max(20, ceil(MOST_UPDATES / updates)))
    why = _("at most; about {n} updates, early stopping usually comes first").format(n=format_count(epochs * updates))
    epochs = settle("training.epochs", epochs, why)
    patience = min(30, max(8, round(epochs / 10)))
    settle("training.patience", patience, _("epochs without a better validation loss"))


def _batch_size(n_train: int) -> int:
    return next((size for limit, size in ((5_000, 32), (20_000, 64), (100_000, 128)) if n_train < limit), 256)


def loss_of(recipe: Recipe, network: Network, task: str) -> Loss:
    """The loss of a recipe.

    Raises  UnknownName; RecipeError for one that is for another kind of target, or expects other outputs
    """
    assert recipe.training.loss is not None
    loss = LOSSES[recipe.training.loss]
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
    return loss
