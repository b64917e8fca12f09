"""The claims on losses, recomputed."""

from __future__ import annotations

import numpy as np

from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.nn.losses import LOSSES

TRUTH = np.array([17.0, 20.0, 18.0, 21.0, 20.0])[:, None]
PREDICTION = np.array([15.0, 18.0, 20.0, 22.0, 25.0])[:, None]
LABELS = np.array([1.0, 0.0, 1.0])[:, None]
PROBABILITY = np.array([0.9, 0.2, 0.6])[:, None]


def near(found: float, stated: float, tolerance: float, digits: int = 5) -> Finding:
    """Whether a number is the one stated."""
    return judge(abs(found - stated) <= tolerance, f"{found:.{digits}g}")


@checks("mae-temperature")
def mae() -> Finding:
    """The mean absolute error of five forecasts."""
    return near(LOSSES["mae"].mean(PREDICTION, TRUTH), 2.4, 1e-12)


@checks("mse-temperature")
def mse() -> Finding:
    """Their mean squared error."""
    return near(LOSSES["mse"].mean(PREDICTION, TRUTH), 7.6, 1e-12)


@checks("mse-larger-shows-penalty")
def units() -> Finding:
    """With errors below 1 the squared mean is the smaller one: its size shows no penalty."""
    errors = np.array([0.1, -0.2, 0.3])[:, None]
    absolute, squared = (LOSSES[name].mean(errors, 0 * errors) for name in ("mae", "mse"))
    return judge(squared > absolute, f"MSE {squared:.4f}, MAE {absolute:.1f}")


@checks("mae-mse-same-minimum")
def minima() -> Finding:
    """The best constant for 0, 0 and 10 under each loss."""
    values, candidates = np.array([0.0, 0.0, 10.0]), np.linspace(-1, 11, 12001)
    gaps = candidates[:, None] - values
    best = [candidates[(np.abs(gaps) ** power).mean(axis=1).argmin()] for power in (2, 1)]
    return judge(abs(best[0] - best[1]) < 1e-3, f"MSE {best[0]:.3f}, MAE {best[1]:.3f}")


def binary_losses() -> np.ndarray:
    """The loss of each sample."""
    losses = [LOSSES["binary_cross_entropy"].mean(p[None], y[None]) for p, y in zip(PROBABILITY, LABELS)]
    return np.array(losses)


@checks("bce-signs")
def signs() -> Finding:
    """The losses are positive; stated negative."""
    found = binary_losses()
    is_stated = np.allclose(found, [-0.105, -0.223, -0.511], atol=5e-4)
    return judge(is_stated, " ".join(f"{value:+.4f}" for value in found))


@checks("bce-mistyped-term")
def mistyped() -> Finding:
    """The mean with the term as it is printed."""
    found = (0.105 + 0.233 + 0.511) / 3
    return near(found, 0.280, 5e-4, 3)


@checks("bce-sample1")
def sample1() -> Finding:
    """A 1 that was given 0.9."""
    return near(binary_losses()[0], 0.105, 5e-4)


@checks("bce-sample2")
def sample2() -> Finding:
    """A 0 that was given 0.8."""
    return near(binary_losses()[1], 0.223, 5e-4)


@checks("bce-sample3")
def sample3() -> Finding:
    """A 1 that was given 0.6."""
    return near(binary_losses()[2], 0.511, 5e-4)


@checks("bce-mean")
def mean() -> Finding:
    """The mean of the three."""
    return near(LOSSES["binary_cross_entropy"].mean(PROBABILITY, LABELS), 0.280, 5e-4)


@checks("bce-term-mislabelled")
def vanishing_term() -> Finding:
    """Which of the two terms is 0 for y = 1."""
    y, p = 1.0, 0.9
    first, second = y * np.log(p), (1 - y) * np.log(1 - p)
    text = _("for y = 1 the term y ln p is {first}, the term (1 - y) ln(1 - p) is {second}")
    return judge(bool(first == 0), text.format(first=f"{first:.3f}", second=f"{abs(second):g}"))


@checks("cce-value")
def categorical() -> Finding:
    """Three rows whose true class was given 0.7."""
    given, classes = np.full((3, 4), 0.1), np.array([0, 1, 3])
    given[np.arange(3), classes] = 0.7
    return near(LOSSES["categorical_cross_entropy"].mean(given, classes), 0.357, 5e-4)


@checks("cce-class-order")
def order() -> Finding:
    """Two sections, two orders of the same classes."""
    first, second = ["cat", "dog", "bird", "fish"], ["dog", "cat", None, "fish"]
    same = all(other in (None, one) for one, other in zip(first, second))
    return judge(same, _("cat 0, dog 1; dog 0, cat 1"))


@checks("cce-multilabel")
def multilabel() -> Finding:
    """A row with two true labels needs two probabilities near 1, which a softmax cannot give."""
    from limpide.nn.activations import ACTIVATIONS

    best = ACTIVATIONS["softmax"].value(np.array([[50.0, 50.0, -50.0]]), 0)[0]
    text = _("two true labels get {shares} at best: several labels need a yes or no for each")
    return judge(bool((best[:2] > 0.9).all()), text.format(shares=" ".join(f"{share:.2f}" for share in best[:2])))


@checks("cost-tends-to-zero")
def lowest() -> Finding:
    """The lowest cost of the one-parameter example."""
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])
    best = (x @ y) / (x @ x)
    cost = float(((y - best * x) ** 2).mean())
    return judge(cost < 1e-12, f"J = {cost:.5f}, W = {best:.5f}")


@checks("yhat-is-target")
def notation() -> Finding:
    """A matter of notation."""
    return argue("wrong", _("everywhere else the hat marks the prediction, and y is the target"))


@checks("gps-metaphor")
def metaphor() -> Finding:
    """A matter of words."""
    return argue("wrong", _("it stands for the cost, then for descent with back-propagation, then for the gradient"))
