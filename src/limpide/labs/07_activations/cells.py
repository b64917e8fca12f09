"""Activation functions, their derivatives, and softmax."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_decimal
from limpide.labs import show
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.losses import LOSSES


# %% bends
def values(name, z):
    """What an activation makes of sums, with the slope below zero that it is born with."""
    return ACTIVATIONS[name].value(z, ACTIVATIONS[name].slope or 0.0)


def slopes(name, z):
    """Its derivative there."""
    return ACTIVATIONS[name].derivative(z, values(name, z), ACTIVATIONS[name].slope or 0.0)


z = np.linspace(-6, 6, 241)
show(
    plots.lines(
        "saturating",
        _("Two bends that level off"),
        _("What comes out for each sum. Beyond 4 or so, a larger sum changes almost nothing."),
        _("sum"),
        _("output"),
        {name: (z, values(name, z)) for name in ("sigmoid", "tanh")},
    ),
    plots.lines(
        "saturating-slopes",
        _("Their slopes"),
        _("The derivative for each sum: what is left of a gradient on its way back through the unit."),
        _("sum"),
        _("slope"),
        {name: (z, slopes(name, z)) for name in ("sigmoid", "tanh")},
    ),
)

# %% signs
rng = np.random.default_rng(0)
sums, errors = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 1))
rows = []
for name in ("sigmoid", "tanh"):
    gradients = errors * values(name, sums)  # of the three weights of the next unit, for each example
    same = np.abs(np.sign(gradients).sum(axis=1)) == 3
    rows.append((name, float(same.mean())))
show(Table((_("activation"), _("examples whose three gradients have one sign")), tuple(rows)))

# %% rectifiers
z = np.linspace(-3, 3, 241)
names = ("relu", "prelu", "gelu", "silu")
show(
    plots.lines(
        "rectifiers",
        _("Bends that keep what is positive"),
        _("Four relatives. They differ below zero. Leaky ReLU, at 0.01, could not be told from ReLU here."),
        _("sum"),
        _("output"),
        {name: (z, values(name, z)) for name in names},
    ),
    plots.lines(
        "rectifier-slopes",
        _("Their slopes"),
        _("Above zero all stay near 1. Below zero ReLU passes nothing at all."),
        _("sum"),
        _("slope"),
        {name: (z, slopes(name, z)) for name in names},
    ),
)

# %% table
points = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
header = (_("activation"), *(f"{point:g}" for point in points))
chosen = ("step", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "gelu", "silu")
show(
    Table(header, tuple((name, *(format_decimal(v, 6) for v in values(name, points))) for name in chosen)),
    _("and the slopes:"),
    Table(header, tuple((name, *(format_decimal(v, 6) for v in slopes(name, points))) for name in chosen)),
)


# %% depth
def first_gradient(name, scale, seed):
    """The norm of the gradient of the first weights of 20 layers of 64 units; `scale` times 1/√64 is their spread."""
    rng = np.random.default_rng(seed)
    network = lp.Network.parse("64, " + f"64 {name}, " * 20 + "1")
    weights = {}
    for slot in network.initialize(rng):
        n_in, n_out = 64, 1 if slot.startswith("40.") else 64
        is_matrix = slot.endswith("W")
        weights[slot] = rng.normal(0, scale / 8, (n_in, n_out)) if is_matrix else np.zeros(n_out)
    x = rng.normal(size=(256, 64))
    _loss, gradients = get_engine("numpy").loss_and_gradients(network, LOSSES["mse"], weights, x, np.zeros((256, 1)))
    return float(np.linalg.norm(gradients["0.dense.W"]))


starts = (("sigmoid", "Xavier", 1.0), ("tanh", "Xavier", 1.0), ("relu", "Xavier", 1.0), ("relu", "He", 2**0.5))
rows = []
for name, start, scale in starts:
    norms = [first_gradient(name, scale, seed) for seed in range(3)]
    rows.append((name, start, *(f"{norm:.1e}" for norm in sorted(norms))))
show(Table((_("activation"), _("first weights"), _("smallest of three"), _("middle"), _("largest")), tuple(rows)))


# %% large
def tanh_by_formula(x):
    """As the definition is written."""
    return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))


def softmax_by_formula(z):
    """As the definition is written, for one row of scores."""
    return np.exp(z) / np.exp(z).sum(axis=0)


with np.errstate(over="ignore", invalid="ignore"):
    rows = (
        ("tanh(1000)", f"{tanh_by_formula(1000.0)}", f"{np.tanh(1000.0)}"),
        (
            "softmax(1000, 0)",
            f"{softmax_by_formula(np.array([1000.0, 0.0]))}",
            f"{values('softmax', np.array([1000.0, 0.0]))}",
        ),
    )
show(Table(("", _("as the formula is written"), _("computed with care")), rows))

# %% softmax
scores = np.array([2.0, 1.0, -1.0, 3.0])
powers = np.exp(scores)
shares = values("softmax", scores)
animals = (_("cat"), _("dog"), _("bird"), _("fish"))
rows = [
    (animal, float(s), format_decimal(e, 3), format_decimal(p, 3))
    for animal, s, e, p in zip(animals, scores, powers, shares)
]
rows.append((_("sum"), "", format_decimal(powers.sum(), 3), format_decimal(shares.sum(), 3)))
show(Table((_("class"), _("score"), "e^z", _("probability")), tuple(rows)))

# %% axis
batch = np.array([[2.0, 1.0, -1.0, 3.0], [0.5, 0.5, 0.5, 0.5], [3.0, 0.0, 1.0, 1.0]])
down, across = softmax_by_formula(batch), values("softmax", batch)
rows = [
    (i + 1, format_decimal(d, 3), format_decimal(a, 3))
    for i, (d, a) in enumerate(zip(down.sum(axis=1), across.sum(axis=1)))
]
show(Table((_("example"), _("sum over its classes, first axis"), _("last axis")), tuple(rows)))
