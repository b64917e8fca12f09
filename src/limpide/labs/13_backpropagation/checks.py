"""The claims on back-propagation, recomputed."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network

STORY = names_of(__file__, "chain")
P = {"w1": 0.5, "b1": 0.1, "w2": -0.3, "b2": 0.2, "w3": 0.8, "b3": -0.1}
X, Y = 2.0, 1.0


def cost(p: dict[str, float], depth: int = 3) -> float:
    """J with the output of this unit as the prediction."""
    return float((Y - STORY.forward(p, X)[depth - 1]) ** 2 / 2)


def slope(name: str, depth: int = 3) -> float:
    """The derivative of J, measured."""
    up, down = ({**P, name: P[name] + step} for step in (1e-6, -1e-6))
    return (cost(up, depth) - cost(down, depth)) / 2e-6


@checks("chain-six-gradients")
def count() -> Finding:
    """As many derivatives as parameters, each as measured."""
    grads = STORY.backward(P, X, Y)
    agree = all(abs(value - slope(name)) < 1e-8 for name, value in grads.items())
    return judge(len(grads) == 6 and agree, " ".join(f"{name} {value:.8f}" for name, value in grads.items()))


@checks("dj-dyhat-sign")
def sign() -> Finding:
    """The sign of dJ/dŷ, seen on the derivative of w2 for a network that ends at the second unit."""
    a1, a2, _prediction = STORY.forward(P, X)
    stated, measured = (Y - a2) * a2 * (1 - a2) * a1, slope("w2", depth=2)
    text = _("measured {measured}, with the sign stated {stated}")
    return judge(abs(stated - measured) < 1e-7, text.format(measured=f"{measured:+.8f}", stated=f"{stated:+.8f}"))


@checks("dj-dw2-missing-factors")
def factors() -> Finding:
    """The stated product of three factors beside the measured derivative."""
    a1, _a2, prediction = STORY.forward(P, X)
    stated, measured = (Y - prediction) * prediction * (1 - prediction) * a1, slope("w2")
    text = _("measured {measured}, with the factors stated {stated}")
    return judge(abs(stated - measured) < 1e-7, text.format(measured=f"{measured:+.7f}", stated=f"{stated:+.7f}"))


@checks("chain-code-matches-text")
def listing() -> Finding:
    """The loss of the listing's network (linear output, no half) is not that of the text."""
    network = Network.parse("1, 1 sigmoid, 1 sigmoid, 1")
    names = [f"{2 * i}.dense.{letter}" for i in range(3) for letter in "Wb"]
    values = [np.array([[P[k]]]) if k.startswith("w") else np.array([P[k]]) for k in P]
    weights: dict[str, Any] = dict(zip(names, values))
    output = get_engine("numpy").forward(network, weights, np.array([[X]]))
    listed = LOSSES["mse"].mean(output, np.array([[Y]]))
    text = _("the listing's loss {listed}, the text's {stated}")
    return judge(abs(listed - cost(P)) < 1e-6, text.format(listed=f"{listed:.6f}", stated=f"{cost(P):.6f}"))


@checks("nn11-adjust-on-the-way-back")
def order() -> Finding:
    """A chain of two weights of 2 and 1, input 1, target 1: the first gradient with the old and with the new weight."""
    first, second, rate = 2.0, 1.0, 0.025
    error = second * first - 1
    right = 2 * error * second
    spoilt = 2 * error * (second - rate * 2 * error * first / 2)
    return judge(abs(right - spoilt) < 1e-12, f"{right:.4f}, {spoilt:.4f}")


@checks("backprop-is-descent", "quiz4-q11-optimises")
def what_it_does() -> Finding:
    """The gradients come out; the parameters stay."""
    before = dict(P)
    STORY.backward(P, X, Y)
    text = _("it gives the derivatives and leaves the parameters as they were; the optimizer uses them")
    return judge(before != P, text)


@checks("quiz4-q15-importance")
def importance() -> Finding:
    """A weight of gradient 0 may matter: at a minimum every gradient is 0."""
    text = _("it is the local slope of the cost: at a minimum it is 0 for every weight, important or not")
    return argue("wrong", text)


@checks("backprop-introduced-1986")
def history() -> Finding:
    """A matter of history."""
    return argue("wrong", _("reverse differentiation dates from 1970, its use for networks from 1974 to 1982"))
