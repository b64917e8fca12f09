"""What one run each says of three activations."""

from __future__ import annotations

from math import sqrt

import numpy as np

import limpide as lp
from limpide.i18n import _
from limpide.labs import is_full
from limpide.labs.claims import CLAIMS, Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.labs.showing import OnlyFull
from limpide.nn.layers.base import EVALUATION
from limpide.nn.network import Parameters, forward

STORY = names_of(__file__, "network", "trained")
SEEDS = (0, 1)
ACTIVATION = {"cnn-relu": "relu", "cnn-leaky": "leaky_relu", "cnn-swish": "silu"}
REPORTED = {activation: float(CLAIMS[name].reported) for name, activation in ACTIVATION.items()}
N_TEST = 10_000


@checks("cnn-flatten-size")
def flatten_size() -> Finding:
    """What comes out of the flattening."""
    (size,) = STORY.network.shapes[7]
    return judge(
        size == 32 * 7 * 7 == 1568, _("{size}; {n} parameters").format(size=size, n=STORY.network.n_parameters)
    )


@checks(*ACTIVATION)
def documented(name: str) -> Finding:
    """Four digits of an accuracy, where the seed moves it by more than the last of them."""
    found = [STORY.accuracy(ACTIVATION[name], seed) for seed in SEEDS]
    words = ", ".join(f"{value:.4f}" for value in found)
    is_moved = max(found) - min(found) > 1e-4
    return Finding("depends on seed" if is_moved else "holds", _("by seed: {values}").format(values=words))


@checks("cnn-leaky-wins")
def winner() -> Finding:
    """The gap beside the error of a difference of two accuracies."""
    first, second = sorted(REPORTED.values())[:-3:-1]
    error = sqrt((first * (1 - first) + second * (1 - second)) / N_TEST)
    means = {name: np.mean([STORY.accuracy(name, seed) for seed in SEEDS]) for name in STORY.RECIPES}
    order = " > ".join(f"{name} {means[name]:.4f}" for name in sorted(means, key=lambda name: -means[name]))
    text = _("reported gap {gap}, error of a difference {error}; the means of two seeds here: {order}")
    return judge(
        first - second > 2 * error, text.format(gap=f"{first - second:.4f}", error=f"{error:.4f}", order=order)
    )


@checks("cnn-leaky-because-dead-units")
def dead() -> Finding:
    """The document counts none; this lab does."""
    n = [STORY.never_above_zero(STORY.trained("relu", seed)) for seed in SEEDS]
    text = _("nothing is counted in the document; here {numbers} of 128 units are never above 0 with ReLU")
    return argue("not reproducible", text.format(numbers=", ".join(map(str, n))))


@checks("cnn-all-excellent")
def excellent() -> Finding:
    """Three whole runs, which take minutes, with the weights of their last epoch as in the document."""
    if not is_full():
        raise OnlyFull(_("needs the whole training: --full"))
    found = [last_epoch(name) for name in STORY.RECIPES]
    return judge(all(abs(value - 0.987) < 0.003 for value in found), ", ".join(f"{value:.4f}" for value in found))


def last_epoch(activation: str) -> float:
    """The accuracy on the test images after the last of three epochs, whichever a validation would have kept."""
    training = lp.fit(STORY.RECIPES[activation], engine=STORY.ENGINE)
    for _epoch in training:
        pass
    job, test = training.job, training.job.parts["test"]
    parameters = Parameters.of(job.network, training.trainer.weights(), np.float32).layers
    modes = [EVALUATION] * len(job.network.layers)
    pieces = (forward(job.network, parameters, part, modes)[0] for part in np.array_split(test.x, 20))
    return float(np.mean(np.concatenate([scores.argmax(axis=1) for scores in pieces]) == test.truth))


@checks("cnn-test-set-selection")
def selection() -> Finding:
    """Which rows chose."""
    return argue("wrong", _("the rows that choose cannot judge: there is no validation set"))
