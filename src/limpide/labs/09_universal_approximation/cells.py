"""What one hidden layer can represent, what training finds, and what neither promises."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import make_optimizer

# %% stack
rng = np.random.default_rng(0)
network = lp.Network.parse("3, 8 identity, 5 identity, 2")
weights = network.initialize(rng)
x = rng.normal(size=(100, 3))
deep = get_engine("numpy").forward(network, weights, x)
W = weights["0.dense.W"] @ weights["2.dense.W"] @ weights["4.dense.W"]
b = (weights["0.dense.b"] @ weights["2.dense.W"] + weights["2.dense.b"]) @ weights["4.dense.W"] + weights["4.dense.b"]
show(
    _("three layers: {n} parameters, one layer: {m}").format(n=network.n_parameters, m=W.size + b.size),
    _("largest difference of their outputs: {gap}").format(gap=f"{np.abs(deep - (x @ W + b)).max():.1e}"),
)


# %% by_hand
def curve(x):
    """One wave."""
    return np.sin(2 * np.pi * x)


def units_for(n):
    """Weights of n ReLU units that make straight pieces from point to point of the curve."""
    knots = np.linspace(0, 1, n + 1)
    slopes = np.diff(curve(knots)) * n
    return {
        "0.dense.W": np.ones((1, n)),
        "0.dense.b": -knots[:-1],
        "2.dense.W": np.diff(slopes, prepend=0.0)[:, None],
        "2.dense.b": curve(knots[:1]),
    }


x = np.linspace(0, 1, 1001)
rows, drawn = [], {}
for n in (4, 8, 16, 32, 64):
    network = lp.Network.parse(f"1, {n} relu, 1")
    y = get_engine("numpy").forward(network, units_for(n), x[:, None]).ravel()
    rows.append((n, float(np.abs(y - curve(x)).max())))
    if n in (4, 8):
        drawn[_("units: {n}").format(n=n)] = (x, y)
show(
    plots.lines(
        "by-hand",
        _("A wave of straight pieces"),
        _("Each ReLU unit bends the line once, at a place and by an angle set by hand."),
        "x",
        "y",
        {_("curve"): (x, curve(x)), **drawn},
    ),
    Table((_("units"), _("largest error")), tuple(rows)),
)


# %% training
def learned(width, activation="tanh", steps=4000, seed=0):
    """A function of x: one hidden layer of this width, trained on 200 points of the curve."""
    x = np.linspace(0, 1, 200)[:, None]
    network = lp.Network.parse(f"1, {width} {activation}, 1")
    start = network.initialize(np.random.default_rng(seed))
    adam = make_optimizer("adam", rate=0.01)
    trainer = get_engine("numpy").trainer(network, LOSSES["mse"], adam, start, precision="float64")
    # all 200 rows in each batch, as often as there are steps
    trainer.run(x, curve(x), np.tile(np.arange(200), steps), 200, noise=np.random.default_rng)
    return lambda points: trainer.evaluate(np.asarray(points)[:, None]).ravel()


# %% widths
inside = np.linspace(0, 1, 200)
functions = {width: learned(width) for width in (1, 2, 4, 16, 64)}
errors = {width: float(np.mean((f(inside) - curve(inside)) ** 2)) for width, f in functions.items()}
show(Table((_("units"), _("mean squared error")), tuple((width, f"{error:.1e}") for width, error in errors.items())))
show(
    plots.lines(
        "trained",
        _("One hidden layer, wider and wider"),
        _("What networks of 1, 2 and 16 units make of the wave. At 16 the two lines cannot be told apart."),
        "x",
        "y",
        {
            _("curve"): (inside, curve(inside)),
            **{_("units: {n}").format(n=n): (inside, functions[n](inside)) for n in (1, 2, 16)},
        },
    )
)

# %% beyond
x = np.linspace(-0.5, 2, 500)
show(
    plots.lines(
        "beyond",
        _("Outside the interval"),
        _("The network of 64 units was trained between 0 and 1. Nothing tells it what comes after."),
        "x",
        "y",
        {_("curve"): (x, curve(x)), _("network"): (x, functions[64](x))},
    )
)
after = np.linspace(1, 2, 200)
gaps = [float(np.mean((functions[64](points) - curve(points)) ** 2)) for points in (inside, after)]
show(Table((_("where"), _("mean squared error")), (("0 – 1", f"{gaps[0]:.1e}"), ("1 – 2", f"{gaps[1]:.2f}"))))


# %% deep
def tents(depth):
    """A network of two ReLU units a layer that folds [0, 1] in half, again and again; and its weights."""
    network = lp.Network.parse("1, " + "2 relu, " * depth + "1")
    fold = np.array([[2.0], [-4.0]])  # 2 max(0, x) - 4 max(0, x - 1/2): up to 1, and down again
    weights = {}
    for i in range(depth):
        into = np.ones((1, 2))
        weights[f"{2 * i}.dense.W"] = fold @ into if i else into
        weights[f"{2 * i}.dense.b"] = np.array([0.0, -0.5])
    return network, {**weights, f"{2 * depth}.dense.W": fold, f"{2 * depth}.dense.b": np.zeros(1)}


x = np.linspace(0, 1, 4097)
rows = []
for depth in (1, 2, 3, 5, 8):
    network, weights = tents(depth)
    y = get_engine("numpy").forward(network, weights, x[:, None]).ravel()
    pieces = 1 + int(np.sum(np.diff(np.sign(np.diff(y))) != 0))
    rows.append((depth, 2 * depth, pieces))
show(Table((_("layers"), _("units"), _("straight pieces")), tuple(rows)))
