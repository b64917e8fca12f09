"""The claims on single units, recomputed."""

from __future__ import annotations

import numpy as np

from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.nn.network import Network

X = np.array([7.0, -3.0, 2.0])


def output(text: str, W: list[float], b: float, x: np.ndarray) -> float:
    """What a network of one unit gives."""
    weights = {"0.dense.W": np.array(W)[:, None], "0.dense.b": np.array([b])}
    return float(get_engine("numpy").forward(Network.parse(text), weights, x[None]).item())


@checks("perceptron-mean")
def mean() -> Finding:
    """Equal weights make the mean."""
    found = output("3, 1", [1 / 3] * 3, 0.0, X)
    return judge(abs(found - 2) < 1e-12, f"{found!r}")


@checks("perceptron-weighted")
def weighted() -> Finding:
    """Other weights."""
    found = output("3, 1", [0.6, 0.25, 0.15], 0.0, X)
    return judge(abs(found - 3.75) < 1e-12, f"{found:.2f}")


@checks("sigmoid-375")
def sigmoid() -> Finding:
    """The same sum, through a sigmoid."""
    found = output("3, 1 sigmoid", [0.6, 0.25, 0.15], 0.0, X)
    return judge(round(found, 2) == 0.98, f"{found:.6f}")


@checks("quiz3-q13-arithmetic")
def pre_activation() -> Finding:
    """The sum of the quiz's unit: stated as -0.9."""
    found = output("2, 1", [0.2, -0.5], 0.1, np.array([2.0, 3.0]))
    return judge(abs(found + 0.9) < 1e-9, f"0.4 - 1.5 + 0.1 = {found:.1f}")


@checks("quiz3-q13-distractor")
def distractor() -> Finding:
    """The wrong choice's own arithmetic: stated as -0.09."""
    found = output("2, 1", [0.2, -0.5], 0.0, np.array([2.0, 3.0])) * 0.1
    return judge(abs(found + 0.09) < 1e-9, f"(0.4 - 1.5) · 0.1 = {found:.2f}")


@checks("weights-are-feature-engineering")
def engineering() -> Finding:
    """A question of words."""
    return argue(
        "wrong",
        _("a weight selects at most; how much an input counts goes with the weight times the spread of the input"),
    )
