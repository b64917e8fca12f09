"""The classifier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from limpide.errors import DataError, problem
from limpide.estimators.base import NetworkEstimator
from limpide.estimators.rows import Rows
from limpide.i18n import _
from limpide.nn.activations import sigmoid, softmax
from limpide.nn.losses import LOSSES


class NetworkClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A network that tells classes apart, as a scikit-learn estimator.

    Two classes are learned with one output, more with one each. Columns are brought to mean 0 and standard deviation 1
    inside, by the rows trained on, and so again whenever it predicts: no StandardScaler is needed in front. Numbers
    alone are taken, without gaps: categories and missing values are for a ColumnTransformer or a SimpleImputer. What
    is left None is chosen as `limpide.train` chooses it; `inferences_` says what and why.

    network            hidden layers, such as "64 silu, dropout 0.2", or the whole network
    initializer        how weights are born, such as "he" or "normal 0.1"
    loss               what training lowers: "cross_entropy" ("binary_cross_entropy_with_logits" for two classes)
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
    validation         share of the rows, taken from each class, that is held out to stop training and to choose the
                       best epoch; 0 or None trains on all rows to the last epoch, and so do data with fewer than ten
                       distinct rows to hold out
    standardise        whether columns are scaled inside
    engine             "auto", "numpy" or another of `limpide.engines.base.ENGINES`
    random_state       a number makes fits repeatable, whatever the order of the rows
    warm_start         `fit` goes on from the weights, classes and scaling of the last one

    classes_                 the classes, sorted; classes that only have rows of weight 0 are not there
    network_, weights_       the network, and its arrays by full name such as "0.dense.W"
    recipe_, inferences_     everything that was used, and why where it was chosen
    scaling_                 mean and standard deviation of each column
    n_iter_, best_epoch_     epochs made, and the one whose weights are kept
    loss_curve_, validation_loss_curve_    the loss of each epoch; the second empty when nothing was held out
    engine_, n_features_in_, feature_names_in_

    A row of `sample_weight` 2 is that row twice, exactly: weighting and repeating give the same network, bit for bit
    (an epoch repeats a row at most ten times over). Weights may be fractions. A row never stands on both sides of the
    held-out split.

    >>> X, y = [[0.0], [0.2], [0.8], [1.0]], ["low", "low", "high", "high"]
    >>> NetworkClassifier("8 tanh", random_state=0).fit(X, y).predict([[0.1], [0.9]]).tolist()
    ['low', 'high']
    """

    classes_: np.ndarray

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One pass over these rows, going on from the weights and the optimizer's state of the last one.

        The scaling is that of the first rows seen, and stays.

        classes        all classes there will be: needed in the first call
        sample_weight  as for `fit`
        Raises         as `fit`; ValueError too for classes that change
        """
        known = None if classes is None else np.unique(column_or_1d(classes))
        if hasattr(self, "weights_"):
            if known is not None and not np.array_equal(self.classes_, known):
                expected = _("the same as before, {known}").format(known=_listed(self.classes_))
                raise DataError(problem("classes", expected, _listed(known)))
        elif known is None:
            raise DataError(problem("classes", _("all classes in the first call of partial_fit"), _("nothing")))
        return self._pass(X, y, sample_weight, known)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row (rows,)."""
        chosen = self.predict_proba(X).argmax(1)
        predicted: np.ndarray = self.classes_[chosen]
        return predicted

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, in the order of `classes_` (rows, classes)."""
        outputs = self._outputs(X)
        loss = self.recipe_.training.loss
        assert loss is not None
        is_probability = LOSSES[loss].expects == "probabilities"
        if len(self.classes_) > 2:
            return outputs if is_probability else np.asarray(softmax(outputs))
        second = outputs if is_probability else sigmoid(outputs)
        first = 1 - outputs if is_probability else sigmoid(-outputs)
        return np.concatenate([first, second], axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: np.ndarray = np.log(self.predict_proba(X))
        return logarithms

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float64, reset=reset)
        check_classification_targets(y)
        return X, y

    def _learn_kind(self, y: np.ndarray) -> None:
        classes = np.unique(y)
        if len(classes) < 2:
            got = _("one class, {label}").format(label=classes[0])
            raise DataError(problem("y", _("at least two classes"), got))
        self.classes_ = classes

    def _columns(self, y: np.ndarray) -> np.ndarray:
        codes = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        is_known = self.classes_[codes] == y
        if not is_known.all():
            expected = _("one of the classes {labels}").format(labels=_listed(self.classes_))
            raise DataError(problem("y", expected, _listed(np.unique(y[~is_known]))))
        return codes.astype(np.float64)[:, None]

    def _task(self) -> tuple[str, int]:
        n_classes = len(self.classes_)
        return ("multiclass", n_classes) if n_classes > 2 else ("binary", 1)

    def _fit_target(self, train: Rows) -> None:
        pass

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        return y[:, 0].astype(np.int64) if len(self.classes_) > 2 else y.astype(np.float32)

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return y[:, 0]


def _listed(classes: np.ndarray) -> str:
    return ", ".join(str(one) for one in classes[:20]) + (", ..." if len(classes) > 20 else "")
