"""The claims on what networks can represent, recomputed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of

STORY = names_of(__file__, "by_hand", "training")


@checks("nonlinearity-needed")
def affine() -> Finding:
    """A hundred random stacks of three affine layers against their product, in float64."""
    gaps = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        network = lp.Network.parse("4, 7 identity, 6 identity, 3")
        weights = network.initialize(rng)
        W, b = np.eye(4), np.zeros(4)
        for i in (0, 2, 4):
            W, b = W @ weights[f"{i}.dense.W"], b @ weights[f"{i}.dense.W"] + weights[f"{i}.dense.b"]
        x = rng.normal(size=(20, 4))
        gaps.append(float(np.abs(get_engine("numpy").forward(network, weights, x) - (x @ W + b)).max()))
    return judge(max(gaps) < 1e-6, _("largest difference {gap}").format(gap=f"{max(gaps):.1e}"))


@checks("uat-needs-depth")
def one_layer() -> Finding:
    """One hidden layer, its weights set by hand: the error falls to a quarter when the units double."""
    x = np.linspace(0, 1, 4001)
    errors = []
    for n in (16, 32, 64, 128, 256):
        network = lp.Network.parse(f"1, {n} relu, 1")
        y = get_engine("numpy").forward(network, STORY.units_for(n), x[:, None]).ravel()
        errors.append(float(np.abs(y - STORY.curve(x)).max()))
    text = _("one layer of 16 to 256 units: largest error {errors}")
    evidence = text.format(errors=", ".join(f"{error:.1e}" for error in errors))
    shrinks = all(3.5 < wide / wider < 4.5 for wide, wider in pairwise(errors))
    return judge(not shrinks, evidence)


@checks("uat-guarantees-learning")
def existence() -> Finding:
    """Weights that exist, and training that does not reach them: the same 64 ReLU units by hand and by descent."""
    x = np.linspace(0, 1, 200)
    network = lp.Network.parse("1, 64 relu, 1")
    by_hand = get_engine("numpy").forward(network, STORY.units_for(64), x[:, None]).ravel()
    trained = STORY.learned(64, "relu", 1000)(x)
    found = [float(np.mean((y - STORY.curve(x)) ** 2)) for y in (by_hand, trained)]
    text = _("64 ReLU units: error {hand} with weights set by hand, {trained} after 1,000 steps of training")
    return argue("wrong", text.format(hand=f"{found[0]:.1e}", trained=f"{found[1]:.1e}"))
