"""Valleys, a saddle, the landscape of a trained network, and descent by batches."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_number, format_percent
from limpide.labs import show


# %% curve
def height(w):
    """Three valleys in a plain of height 3."""
    return 3 - 1.2 * np.exp(-((w + 4) ** 2)) - 2.8 * np.exp(-((w / 1.2) ** 2)) - 2.2 * np.exp(-((w - 4) ** 2))


def slope(w):
    """The derivative of the height."""
    left, right = (w + 4) * np.exp(-((w + 4) ** 2)), (w - 4) * np.exp(-((w - 4) ** 2))
    return 2.4 * left + 5.6 * w / 1.44 * np.exp(-((w / 1.2) ** 2)) + 4.4 * right


def descend(w, steps=500, rate=0.05):
    """The places on the way down, the start first."""
    path = [w]
    for _step in range(steps):
        path.append(path[-1] - rate * slope(path[-1]))
    return np.array(path)


# %% starts
ws = np.linspace(-6, 9, 601)
paths = {start: descend(start) for start in (-5.0, -1.5, 1.5, 5.0, 8.0)}
ways = {_("from {start}").format(start=format_number(start)): (path, height(path)) for start, path in paths.items()}
show(
    plots.lines(
        "valleys",
        _("Five starts, three valleys and a plain"),
        _("The cost over one parameter, and the way down from each start."),
        "w",
        _("cost"),
        {"": (ws, height(ws)), **ways},
    )
)
rows = [(start, float(path[-1]), float(height(path[-1])), float(slope(path[-1]))) for start, path in paths.items()]
show(Table((_("start"), _("place after 500 steps"), _("cost"), _("slope")), tuple(rows)))


# %% shaken
def still_there(batch, starts=500, steps=2000, seed=0):
    """The share of descents still in the left valley when each gradient carries the noise of a batch."""
    rng, w = np.random.default_rng(seed), np.full(starts, -4.0)
    for _step in range(steps):
        w -= 0.05 * (slope(w) + rng.normal(0, 8 / np.sqrt(batch), starts))
    return float(np.mean(np.abs(w + 4) < 1.5))


rows = [(batch, 8 / batch**0.5, format_percent(still_there(batch))) for batch in (1, 4, 16, 64, 256)]
show(Table((_("batch"), _("noise of a gradient"), _("still in the left valley")), tuple(rows)))


# %% saddle
def leave(y, noise=0.0, steps=200, rate=0.1, seed=0):
    """The path down z = x² − y² from (1, y), until y has left the saddle."""
    rng, place = np.random.default_rng(seed), np.array([1.0, y])
    path = [place]
    while len(path) <= steps and abs(place[1]) <= 1:
        gradient = np.array([2 * place[0], -2 * place[1]]) + rng.normal(0, noise, 2)
        place = place - rate * gradient
        path.append(place)
    return np.array(path)


starts = {"0": (0.0, 0.0), "0.1": (0.1, 0.0), "10⁻⁶": (1e-6, 0.0), _("0, with noise"): (0.0, 0.01)}
paths = {name: leave(y, noise) for name, (y, noise) in starts.items()}
grid = np.linspace(-1.2, 1.2, 81)
show(
    plots.field(
        "saddle",
        _("A saddle"),
        _("Level lines of z = x² − y², and descents from x = 1; each is named after the y it started from."),
        "x",
        "y",
        (grid, grid, grid[None] ** 2 - grid[:, None] ** 2),
        {name: path.T for name, path in paths.items()},
        log_levels=False,
    )
)
rows = [(name, len(path) - 1, f"{path[-1, 0]:.6f}", f"{path[-1, 1]:.6f}") for name, path in paths.items()]
show(Table((_("y at the start"), _("steps"), _("x at the end"), _("y at the end")), tuple(rows)))

# %% train
run = lp.train(
    "calculator?scaled=yes",
    network="16 relu, 16 relu, 16 relu, 1",
    initializer="pytorch",
    standardise=False,
    scale_target=False,
    optimizer="sgd",
    rate=0.1,
    epochs=10,
    batch_size=64,
    seed=42,
    baselines=False,
    save=False,
)
data = lp.open_source("calculator?scaled=yes")
x, y = data.inputs.to_numpy()[:1000], data.target.to_numpy()[:1000, None]


# %% around
def direction(weights, rng):
    """A random direction as long, unit by unit, as the weights themselves; the biases stay."""
    chosen = {}
    for name, W in weights.items():
        d = rng.normal(size=W.shape) if W.ndim == 2 else np.zeros(W.shape)
        lengths = np.linalg.norm(d, axis=0) + (W.ndim == 1)
        chosen[name] = d * np.linalg.norm(W, axis=0) / lengths
    return chosen


def loss_at(a, b):
    """The loss of the network moved by a and b along the two directions."""
    moved = {name: W + a * first[name] + b * second[name] for name, W in run.weights.items()}
    return float(np.mean((get_engine("numpy").forward(run.network, moved, x) - y) ** 2))


rng = np.random.default_rng(0)
first, second = direction(run.weights, rng), direction(run.weights, rng)
steps = np.linspace(-1, 1, 31)
heights = np.array([[loss_at(a, b) for a in steps] for b in steps])
show(
    plots.field(
        "around",
        _("The surroundings of a trained network"),
        _("The loss over two random directions of its 609 parameters; the trained network stands in the middle."),
        _("first direction"),
        _("second direction"),
        (steps, steps, heights),
    ),
    _("in the middle {middle}, lowest {lowest}, highest {highest}").format(
        middle=f"{heights[15, 15]:.2g}", lowest=f"{heights.min():.2g}", highest=f"{heights.max():.2g}"
    ),
)

# %% batches
table = lp.open_source("line")
A, target = np.column_stack([table.inputs.to_numpy(), np.ones(256)]), table.target.to_numpy()
best = np.linalg.lstsq(A, target)[0]


def cost(p):
    """The mean squared error of slope and intercept on all the points."""
    return float(((target - A @ p) ** 2).mean())


def by_batches(size, epochs=20, rate=0.05, seed=0):
    """The path of descent by batches of that size from (0, 0)."""
    rng, p = np.random.default_rng(seed), np.zeros(2)
    path = [p]
    for _epoch in range(epochs):
        order = rng.permutation(len(A))
        for start in range(0, len(A), size):
            rows = order[start : start + size]
            p = p + rate * 2 * A[rows].T @ (target[rows] - A[rows] @ p) / len(rows)
            path.append(p)
    return np.array(path)


paths = {size: by_batches(size) for size in (1, 8, 32, 256)}
rows = []
for size, path in paths.items():
    costs = np.array([cost(p) for p in path])
    rows.append((size, len(path) - 1, format_percent(np.mean(np.diff(costs) > 0)), f"{costs[-1] - cost(best):.5f}"))
show(Table((_("batch"), _("updates"), _("share that goes uphill"), _("cost above the best")), tuple(rows)))

# %% paths
slopes, intercepts = np.linspace(-0.2, 3.6, 81), np.linspace(-0.2, 2.6, 81)
heights = np.array([[cost(np.array([a, b])) for a in slopes] for b in intercepts])
show(
    plots.field(
        "batches",
        _("Three ways to the same place"),
        _("The paths of the first 200 updates, from (0, 0), over the level lines of the whole cost."),
        _("slope"),
        _("intercept"),
        (slopes, intercepts, heights),
        {_("batches of {n}").format(n=n): paths[n][:201].T for n in (1, 32, 256)},
    )
)

# %% direction
gradient = np.array([-20.0, -7.0])  # of the four points of the lab on descent, at w = 0, b = 0
to_minimum = np.array([1.0, 1.0])
cosine = -gradient @ to_minimum / np.linalg.norm(gradient) / np.linalg.norm(to_minimum)
show(_("{angle}° between the step and the way to the minimum").format(angle=f"{np.degrees(np.arccos(cosine)):.1f}"))
