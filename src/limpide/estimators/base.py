"""What the classifier and the regressor share: parameters, checked input, fitting, the scores of the network."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from limpide import seeds
from limpide.arrays import Tree
from limpide.averaging import Averaged
from limpide.defaults import Choices, loss_of, settle_network, settle_training
from limpide.engines.base import get_engine
from limpide.engines.choosing import choose_engine
from limpide.errors import DataError, RecipeError, problem
from limpide.estimators.learning import Course, learn
from limpide.estimators.rows import Rows, Scaling, Visits, held_out
from limpide.history import Inference
from limpide.i18n import _, format_count
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.recipe import Recipe

RECIPE_OPTIONS = (
    "network",
    "initializer",
    "loss",
    "optimizer",
    "rate",
    "weight_decay",
    "clip_norm",
    "schedule",
    "optimizer_options",
    "epochs",
    "batch_size",
    "patience",
    "average",
    "validation",
    "standardise",
    "engine",
)
"""The parameters that are options of a recipe, by the same names."""


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """A network that learns rows of numbers. The classifier and the regressor say what a target is.

    Their docstrings describe the parameters and attributes.
    """

    recipe_: Recipe
    inferences_: list[Inference]
    network_: Network
    weights_: Tree
    engine_: str
    scaling_: Scaling
    n_iter_: int
    best_epoch_: int
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    n_features_in_: int
    _seed: int
    _epochs_done: int
    _state: Tree
    _mean: Tree

    def __init__(
        self,
        network: str | None = None,
        *,
        initializer: str | None = None,
        loss: str | None = None,
        optimizer: str | None = None,
        rate: float | None = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        schedule: str = "constant",
        optimizer_options: Mapping[str, float | bool] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        average: float | None = None,
        validation: float | None = 0.1,
        standardise: bool = True,
        engine: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
    ) -> None:
        self.network = network
        self.initializer = initializer
        self.loss = loss
        self.optimizer = optimizer
        self.rate = rate
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.schedule = schedule
        self.optimizer_options = optimizer_options
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.average = average
        self.validation = validation
        self.standardise = standardise
        self.engine = engine
        self.random_state = random_state
        self.warm_start = warm_start

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        if hasattr(self, "network_"):
            # layers that have run remember their functions, which no pickle can hold; those newly made do not
            state["network_"] = Network.from_dict(self.network_.to_dict())
        return state

    @abstractmethod
    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Inputs as float64 (rows, features), and targets as they come."""

    @abstractmethod
    def _learn_kind(self, y: np.ndarray) -> None:
        """What a target is, from a first look: the classes, or how many numbers."""

    @abstractmethod
    def _columns(self, y: np.ndarray) -> np.ndarray:
        """Targets as float64 columns (rows, outputs)."""

    @abstractmethod
    def _task(self) -> tuple[str, int]:
        """The task's name and the network's outputs."""

    @abstractmethod
    def _fit_target(self, train: Rows) -> None:
        """Learn the scale of the targets, if they have one."""

    @abstractmethod
    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """Targets as the loss takes them."""

    @abstractmethod
    def _strata(self, y: np.ndarray) -> np.ndarray:
        """The group of each row whose share is held out by itself."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn these rows; what was learned before is forgotten unless `warm_start` is set.

        X              (rows, features): an array or a frame of finite numbers
        y              (rows,) or, for the regressor, (rows, outputs)
        sample_weight  (rows,), 0 or more: a row of weight 2 counts as the row twice; None makes all weights 1
        Raises         ValueError   for input or parameters that cannot be used (DataError, RecipeError, UnknownName
                                    and ShapeError are such)
                       Diverged     when NaN or Inf comes up in training and there are no weights to fall back on
        """
        goes_on = self.warm_start and hasattr(self, "weights_")
        X, y = self._checked(X, y, reset=not goes_on)
        X, y, weight = _counted(X, y, sample_weight)
        if not goes_on:
            self._learn_kind(y)
            self._begin()
        rows = Rows.distinct(X, self._columns(y), weight)
        self._state = {}
        recipe = self._recipe()
        is_held = held_out(
            rows.weight, recipe.split.validation or 0.0, self._strata(rows.y), seeds.stream(self._seed, "split")
        )
        train, held = rows.taken(~is_held), rows.taken(is_held) if is_held.any() else None
        if not goes_on:
            self._fit_scaling(train, recipe)
        averaged, loss = self._trainer(recipe, Visits(train.weight).count, goes_on)
        epochs = self.recipe_.training.epochs
        assert epochs is not None
        prepared = None if held is None else self._prepared(held)
        course = learn(averaged, loss, self.recipe_, self._prepared(train), prepared, epochs, self._epochs_done)
        self._keep(course)
        if course.is_broken:
            text = _("NaN or Inf came up after epoch {epoch}: the weights of epoch {best} are kept; take a lower rate")
            text = text.format(epoch=format_count(self.n_iter_), best=format_count(self.best_epoch_))
            warnings.warn(text, ConvergenceWarning, stacklevel=2)
        return self

    def _pass(self, X: Any, y: Any, sample_weight: Any, example: np.ndarray | None = None) -> Self:
        """One epoch on these rows, none held out: the work of `partial_fit`.

        example  targets that show their kind; None when y does
        """
        is_first = not hasattr(self, "weights_")
        X, y = self._checked(X, y, reset=is_first)
        X, y, weight = _counted(X, y, sample_weight)
        if is_first:
            self._learn_kind(y if example is None else example)
            self._begin()
        rows = Rows.distinct(X, self._columns(y), weight)
        if is_first:
            self._state = {}
            self._fit_scaling(rows, self._recipe(holds_out=False))
        averaged, loss = self._trainer(self._recipe(holds_out=False), Visits(rows.weight).count, goes_on=not is_first)
        if self._state:
            averaged.trainer.load_state(self._state)
            averaged.load_state(self._mean or averaged.state)
        before = [] if is_first else self.loss_curve_
        self._keep(learn(averaged, loss, self.recipe_, self._prepared(rows), None, 1, self._epochs_done))
        self.loss_curve_ = [*before, *self.loss_curve_]
        self.n_iter_ = self.best_epoch_ = len(self.loss_curve_)
        self._state, self._mean = averaged.trainer.state(), averaged.state
        return self

    def _begin(self) -> None:
        """A fresh seed: nothing of an earlier training is left."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._epochs_done = 0

    def _recipe(self, holds_out: bool = True) -> Recipe:
        """The parameters as a recipe, its names and numbers checked."""
        given = {name: getattr(self, name) for name in RECIPE_OPTIONS}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        if not (holds_out and plain["validation"]):
            # nothing held out, nothing to be patient about
            plain |= {"validation": None, "patience": 0}
        recipe = Recipe.from_options("arrays", seed=self._seed, **plain)
        recipe.check()
        return recipe

    def _fit_scaling(self, train: Rows, recipe: Recipe) -> None:
        standardise = recipe.preparation.standardise
        self.scaling_ = Scaling.of(train.x, train.weight) if standardise else Scaling.none(train.x.shape[1])
        self._fit_target(train)

    def _trainer(self, recipe: Recipe, n_visits: int, goes_on: bool) -> tuple[Averaged, Loss]:
        """A trainer that starts from fresh weights or from those at hand; what was left open is settled."""
        task, n_outputs = self._task()
        choices = Choices(recipe, {}, "arrays")
        network = settle_network(choices, (self.n_features_in_,), n_outputs, n_visits, task)
        settle_training(choices, network, task, n_visits)
        recipe = choices.recipe
        loss = loss_of(recipe, network, task)
        if goes_on and network != self.network_:
            mend = _("fit anew with warm_start=False")
            raise RecipeError(problem("network", str(self.network_), str(network), mend))
        training = recipe.training
        assert training.epochs is not None and training.batch_size is not None
        n_updates = training.epochs * -(-n_visits // training.batch_size)
        engine = choose_engine(recipe.engine, network, n_updates, batch_size=training.batch_size)
        weights = self.weights_ if goes_on else network.initialize(seeds.stream(recipe.seed, "weights"))
        optimizer, share = recipe.optimizer.build(), training.average or 0.0
        open_trainer = partial(get_engine(engine.name).trainer, network, loss, weights=weights, n_updates=n_updates)
        averaged = Averaged(open_trainer, optimizer, share)
        self.recipe_, self.inferences_ = recipe, choices.made
        self.network_, self.engine_ = network, engine.name
        return averaged, loss

    def _prepared(self, rows: Rows) -> Rows:
        return rows._replace(x=self.scaling_.applied(rows.x).astype(np.float32), y=self._encoded(rows.y))

    def _keep(self, course: Course) -> None:
        self.weights_ = course.weights
        self.loss_curve_, self.validation_loss_curve_ = course.losses, course.held_losses
        self.n_iter_, self.best_epoch_ = len(course.losses), course.best_epoch
        self._epochs_done += self.n_iter_

    def _outputs(self, X: Any) -> np.ndarray:
        """What the network puts out for these rows, in float64: the same for a row alone as among others."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return get_engine(self.engine_).forward(self.network_, self.weights_, self.scaling_.applied(X))


def _counted(X: np.ndarray, y: np.ndarray, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that count, and how much each does, as float64 (rows,).

    Raises  DataError  for weights of another shape, below 0, or none above
    """
    if sample_weight is None:
        return X, y, np.ones(len(X))
    weight: np.ndarray = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weight.ndim != 1:
        expected, got = _("one weight for each row"), _("an array of shape {shape}").format(shape=weight.shape)
        raise DataError(problem("sample_weight", expected, got))
    check_consistent_length(X, weight)
    if (weight < 0).any():
        raise DataError(problem("sample_weight", _("numbers of 0 or more"), str(weight.min())))
    counts = weight > 0
    if not counts.any():
        raise DataError(problem("sample_weight", _("at least one number above 0"), _("only zeros")))
    return X[counts], y[counts], weight[counts]
