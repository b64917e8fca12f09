"""The claims on vanishing and exploding gradients, recomputed."""

from __future__ import annotations

import numpy as np

from limpide.i18n import _
from limpide.labs.claims import Finding, checks, judge
from limpide.labs.running import names_of

STORY = names_of(__file__, "slopes", "layers", "dying")


@checks("point-one-to-the-fifth")
def small() -> Finding:
    """Stated as 0.001."""
    return judge(abs(0.1**5 - 0.001) < 1e-12, f"{0.1**5:.5f}")


@checks("ten-to-the-fifth")
def large() -> Finding:
    """A power."""
    return judge(10**5 == 100000, f"{10**5}")


@checks("saturation-small-slopes")
def saturation() -> Finding:
    """Slopes at 8."""
    at = {name: float(STORY.slope(name, [8.0])[0]) for name in ("sigmoid", "tanh", "relu")}
    is_so = abs(at["sigmoid"] - 0.000335) < 1e-6 and at["tanh"] < 1e-6 and at["relu"] == 1
    return judge(is_so, ", ".join(f"{name} {value:.3g}" for name, value in at.items()))


@checks("activation-slope-ten")
def steepest() -> Finding:
    """The largest slope of each common activation, and what large weights do."""
    z = np.linspace(-8, 8, 16001)
    at = {name: float(np.max(STORY.slope(name, z))) for name in ("sigmoid", "tanh", "relu", "silu", "gelu")}
    text = _("large weights, tanh at depth 20: {size}")
    size = f"{STORY.gradient_norms('tanh', 'normal 1')[0]:.1e}"
    return judge(max(at.values()) >= 10, "; ".join([*(f"{k} {v:.2f}" for k, v in at.items()), text.format(size=size)]))


@checks("deep-layers-vanish")
def which_layers() -> Finding:
    """The first and the last hidden layer of twenty sigmoid layers."""
    norms = STORY.gradient_norms("sigmoid", "xavier")
    text = _("first layer {first}, last hidden layer {last}")
    return judge(bool(norms[-2] < norms[0]), text.format(first=f"{norms[0]:.1e}", last=f"{norms[-2]:.2f}"))


@checks("large-weights-explode")
def explode() -> Finding:
    """The first layer of twenty tanh layers under two starts."""
    wild, tame = STORY.gradient_norms("tanh", "normal 1")[0], STORY.gradient_norms("tanh", "xavier")[0]
    return judge(bool(wild > 1e4 and 1e-4 < tame < 10), f"N(0, 1): {wild:.1e}; Xavier: {tame:.1e}")


@checks("dying-relu-definition")
def dying() -> Finding:
    """Half the sums negative, and the unit still learns; all negative, and it is dead."""
    some, gradient = STORY.relu_unit(0)
    every, none = STORY.relu_unit(-10)
    assert every == 200 and none == 0.0
    text = _("{n} negative sums of 200: gradient {size}; all 200 negative: gradient {none}")
    return judge(gradient == 0.0, text.format(n=some, size=f"{gradient:.1f}", none=f"{none:g}"))
