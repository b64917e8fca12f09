"""The regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from limpide.errors import DataError, problem
from limpide.estimators.base import NetworkEstimator
from limpide.estimators.rows import Rows, Scaling
from limpide.i18n import _


class NetworkRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A network that predicts numbers, one or several to a row, as a scikit-learn estimator.

    Columns and targets are brought to mean 0 and standard deviation 1 inside, by the rows trained on, and predictions
    come back in the target's own unit: no StandardScaler and no TransformedTargetRegressor are needed. Numbers alone
    are taken, without gaps: categories and missing values are for a ColumnTransformer or a SimpleImputer. What is left
    None is chosen as `limpide.train` chooses it; `inferences_` says what and why.

    network            hidden layers, such as "64 silu, 32 silu", or the whole network
    initializer        how weights are born, such as "he" or "normal 0.1"
    loss               what training lowers: "mse", "half_mse", "mae" or "huber", on scaled targets
    optimizer          "sgd", "momentum", "nesterov", "rmsprop", "adam" or "adamw"
    rate               learning rate
    weight_decay       pull of every weight towards zero
    clip_norm          largest norm of a gradient
    schedule           how the rate changes: "constant", "step", "cosine" or "one_cycle"
    optimizer_options  the optimizer's own numbers, such as {"beta1": 0.8}
    epochs             passes over the rows, at most
    batch_size         rows per update
    patience           epochs without a better loss on the held-out rows before training stops; 0 never stops it
    average            share of the mean so far in the mean of the weights over the epochs, which is measured and kept;
                       0 keeps the weights of one epoch, and so does None where epochs, patience or a schedule are given
                       or nothing is held out
    validation         share of the rows that is held out to stop training and to choose the best epoch; 0 or None
                       trains on all rows to the last epoch, and so do data with fewer than ten distinct rows to hold
                       out
    standardise        whether columns are scaled inside; targets always are
    engine             "auto", "numpy" or another of `limpide.engines.base.ENGINES`
    random_state       a number makes fits repeatable, whatever the order of the rows
    warm_start         `fit` goes on from the weights and scalings of the last one

    n_outputs_               numbers to a row
    network_, weights_       the network, and its arrays by full name such as "0.dense.W"
    recipe_, inferences_     everything that was used, and why where it was chosen
    scaling_, target_scaling_              mean and standard deviation of each column, and of each target
    n_iter_, best_epoch_     epochs made, and the one whose weights are kept
    loss_curve_, validation_loss_curve_    the loss of each epoch, of scaled targets; the second empty when nothing
                             was held out
    engine_, n_features_in_, feature_names_in_

    A row of `sample_weight` 2 is that row twice, exactly: weighting and repeating give the same network, bit for bit
    (an epoch repeats a row at most ten times over). Weights may be fractions. A row never stands on both sides of the
    held-out split.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [10.0, 20.0, 30.0, 40.0]
    >>> NetworkRegressor("", rate=0.1, random_state=0).fit(X, y).predict([[1.5]]).round(2).tolist()
    [25.0]
    """

    n_outputs_: int
    target_scaling_: Scaling
    _is_flat: bool

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One pass over these rows, going on from the weights and the optimizer's state of the last one.

        The scalings of columns and targets are those of the first rows seen, and stay: let these be many and typical.

        sample_weight  as for `fit`
        Raises         as `fit`
        """
        return self._pass(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each row, shaped as the targets were: (rows,) or (rows, outputs)."""
        values: np.ndarray = self._outputs(X) * self.target_scaling_.sd + self.target_scaling_.mean
        return values[:, 0] if self._is_flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=reset)
        return X, y

    def _learn_kind(self, y: np.ndarray) -> None:
        self._is_flat = y.ndim == 1
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]

    def _columns(self, y: np.ndarray) -> np.ndarray:
        columns = y.reshape(len(y), -1).astype(np.float64)
        if columns.shape[1] != self.n_outputs_:
            expected = _("as many numbers to a row as before, {n}").format(n=self.n_outputs_)
            raise DataError(problem("y", expected, str(columns.shape[1])))
        return columns

    def _task(self) -> tuple[str, int]:
        return "regression", self.n_outputs_

    def _fit_target(self, train: Rows) -> None:
        self.target_scaling_ = Scaling.of(train.y, train.weight)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        return self.target_scaling_.applied(y).astype(np.float32)

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return np.zeros(len(y))
