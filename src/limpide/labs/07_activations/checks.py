"""The claims on activations, recomputed."""

from __future__ import annotations

import math

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.nn.activations import ACTIVATIONS

STORY = names_of(__file__, "bends", "depth", "large")
SCORES = np.array([2.0, 1.0, -1.0, 3.0])


def measured_slope(name: str, points: np.ndarray) -> np.ndarray:
    """The slope by central differences."""
    h = 1e-6
    found: np.ndarray = (STORY.values(name, points + h) - STORY.values(name, points - h)) / (2 * h)
    return found


@checks("euler-number")
def euler() -> Finding:
    """The base of the exponential."""
    return judge(abs(math.e - 2.71828) < 5e-6, f"{math.e:.6f}")


@checks("tanh-reporting-bias")
def one_sign() -> Finding:
    """What outputs of one sign do: all gradients of the next unit's weights point the same way."""
    rng = np.random.default_rng(0)
    sums, errors = rng.normal(size=(5000, 3)), rng.normal(size=(5000, 1))
    shares = [
        float((np.abs(np.sign(errors * STORY.values(name, sums)).sum(axis=1)) == 3).mean())
        for name in ("sigmoid", "tanh")
    ]
    text = _(
        "gradients of one sign in {a} of the examples behind a sigmoid, {b} behind tanh; the name means another thing"
    )
    return argue("wrong", text.format(a=f"{shares[0]:.2f}", b=f"{shares[1]:.2f}"))


@checks("tanh-listing-overflow")
def overflow() -> Finding:
    """The formula at 1000, beside the library's function."""
    with np.errstate(over="ignore", invalid="ignore"):
        listed = STORY.tanh_by_formula(1000.0)
    return judge(bool(listed == np.tanh(1000.0)), f"{listed}, {np.tanh(1000.0)}")


@checks("tanh-range")
def ranges() -> Finding:
    """Values and slopes on [-8, 8]."""
    z = np.linspace(-8, 8, 16001)
    parts, is_right = [], True
    for name, low, steepest in (("sigmoid", 0.0, 0.25), ("tanh", -1.0, 1.0)):
        y, slope = STORY.values(name, z), measured_slope(name, z)
        is_right &= bool(low < y.min() and y.max() < 1 and abs(slope.max() - steepest) < 1e-6 and slope[0] < 1e-3)
        parts.append(f"{name} [{y.min():.6f}, {y.max():.6f}], f' ≤ {slope.max():.4f}, f'(8) = {slope[-1]:.1e}")
    return judge(is_right, "; ".join(parts))


@checks("relu-derivative")
def relu() -> Finding:
    """By the catalogue and by differences."""
    points = np.array([-2.0, -0.5, 0.5, 3.0])
    found = STORY.slopes("relu", points)
    agree = np.allclose(found, measured_slope("relu", points)) and found.tolist() == [0, 0, 1, 1]
    at_zero = STORY.slopes("relu", np.zeros(1)).item()
    return judge(
        agree, " ".join(f"{slope:g}" for slope in found) + ", " + _("at 0: {slope}").format(slope=f"{at_zero:g}")
    )


@checks("relu-robust-to-vanishing")
def depth() -> Finding:
    """Gradients that reach the first of 20 layers."""
    norms = {key: STORY.first_gradient(*key, seed=0) for key in (("sigmoid", 1.0), ("relu", 1.0), ("relu", 2**0.5))}
    sigmoid, xavier, he = norms.values()
    text = _("sigmoid {sigmoid}, ReLU {xavier}, ReLU with He's first weights {he}")
    return judge(
        sigmoid < 1e-9 < xavier and he > 1e-2,
        text.format(sigmoid=f"{sigmoid:.1e}", xavier=f"{xavier:.1e}", he=f"{he:.1e}"),
    )


@checks("prelu-leaky-same-shape")
def relatives() -> Finding:
    """Measured slopes on both sides of zero."""
    found = {name: measured_slope(name, np.array([-1.0, 3.0])) for name in ("prelu", "leaky_relu")}
    is_right = np.allclose(found["prelu"], [0.25, 1]) and np.allclose(found["leaky_relu"], [0.01, 1])
    return judge(is_right, ", ".join(f"{name} {low:.2f}/{high:.2f}" for name, (low, high) in found.items()))


@checks("softmax-exponentials")
def exponentials() -> Finding:
    """e to each score, and their sum."""
    powers = np.exp(SCORES)
    found = np.array([*powers, powers.sum()])
    close = np.abs(found - [7.389, 2.718, 0.368, 20.086, 30.561]).max() < 5e-4
    return judge(bool(close), " ".join(f"{value:.4f}" for value in found))


@checks("softmax-cat", "softmax-dog", "softmax-fish")
def share(name: str) -> Finding:
    """One of the probabilities."""
    place, stated = {"cat": (0, 0.242), "dog": (1, 0.089), "fish": (3, 0.657)}[name.partition("-")[2]]
    found = float(STORY.values("softmax", SCORES)[place])
    return judge(abs(found - stated) < 5e-4, f"{found:.4f}")


@checks("softmax-sums-to-one")
def total() -> Finding:
    """Of the exact shares, and of those rounded to three decimals."""
    shares = STORY.values("softmax", SCORES)
    exact, rounded = float(shares.sum()), float(np.round(shares, 3).sum())
    return judge(abs(exact - 1) < 1e-12 and abs(rounded - 1) < 1e-12, f"{exact:.12f}, {rounded:.3f}")


@checks("softmax-axis")
def axis() -> Finding:
    """The listing on a batch of three examples and four classes."""
    batch = np.random.default_rng(0).normal(size=(3, 4))
    listed = STORY.softmax_by_formula(batch)
    sums = [" ".join(f"{value:.3f}" for value in listed.sum(axis=axis)) for axis in (1, 0)]
    text = _("sums of the rows {rows}, of the columns {columns}")
    return judge(bool(np.allclose(listed.sum(axis=1), 1)), text.format(rows=sums[0], columns=sums[1]))


@checks("softmax-overflow")
def shift() -> Finding:
    """Scores of 1000 and 0."""
    scores = np.array([1000.0, 0.0])
    with np.errstate(over="ignore", invalid="ignore"):
        listed = STORY.softmax_by_formula(scores)
    return judge(bool(np.isfinite(listed).all()), f"{listed}, {STORY.values('softmax', scores)}")


@checks("four-activations-seen")
def count() -> Finding:
    """The functions that the chapter presents; limpide has each of them."""
    presented = ("sigmoid", "tanh", "relu", "prelu", "leaky_relu", "gelu", "softmax")
    known = [name for name in presented if name in ACTIVATIONS]
    return judge(len(known) == 4, f"{len(known)}: {', '.join(known)}")


@checks("sigmoid-derivative")
def sigmoid() -> Finding:
    """Through a network of one unit of weight 1: its slope by differences, beside s(1 - s)."""
    network, h = lp.Network.parse("1, 1 sigmoid"), 1e-5
    weights = {"0.dense.W": np.ones((1, 1)), "0.dense.b": np.zeros(1)}
    points = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    s, up, down = (get_engine("numpy").forward(network, weights, (points + d)[:, None]).ravel() for d in (0, h, -h))
    measured = (up - down) / (2 * h)
    return judge(bool(np.abs(measured - s * (1 - s)).max() < 1e-6), " ".join(f"{slope:.6f}" for slope in measured))
