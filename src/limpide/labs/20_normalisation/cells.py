"""Two features of very different size, four scalings, three sets, a loader."""

import numpy as np

import limpide as lp
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_decimal, format_percent
from limpide.labs import show

# %% data
data = lp.open_source("two-scales")
f, y = data.inputs.to_numpy(), data.target.to_numpy()
mean, sd = f.mean(axis=0), f.std(axis=0)
z = (f - mean) / sd


def density(values):
    """The middle and the height of each bar of a histogram."""
    heights, edges = np.histogram(values, bins=25, density=True)
    return (edges[:-1] + edges[1:]) / 2, heights


for name, title, table in (("before", _("Two features, as they come"), f), ("after", _("The same, standardised"), z)):
    curves = {"f₁": density(table[:, 0]), "f₂": density(table[:, 1])}
    caption = _("How often each value occurs among 1,000 rows.")
    show(plots.lines(name, title, caption, _("value"), _("density"), curves, size=(5.4, 2.4)))

# %% surface
scalings = {
    _("as they come"): f,
    _("mean taken off"): f - mean,
    _("divided by the deviation"): f / sd,
    _("brought to 0..1"): (f - f.min(axis=0)) / np.ptp(f, axis=0),
    _("standardised"): z,
}


def study(X, most=5000):
    """The condition number of the cost, and the steps of descent until it is 0.001 above the lowest."""
    A = np.column_stack([X, np.ones(len(X))])
    curvatures = np.linalg.eigvalsh(2 * A.T @ A / len(A))
    best = A @ np.linalg.lstsq(A, y)[0]
    lowest, p = ((y - best) ** 2).mean(), np.zeros(3)
    for step in range(most):
        error = y - A @ p
        if (error**2).mean() - lowest < 1e-3:
            return float(curvatures[-1] / curvatures[0]), step
        p = p + 2 * A.T @ error / len(A) / curvatures[-1]
    return float(curvatures[-1] / curvatures[0]), most


studied = {name: study(X) for name, X in scalings.items()}
rows = [
    (name, format_decimal(number, 1), steps if steps < 5000 else "> 5000") for name, (number, steps) in studied.items()
]
show(Table((_("inputs"), _("condition number"), _("steps")), tuple(rows)))


# %% paths
def descent(X, reach, steps=40):
    """The cost over the two weights, above its lowest, and a descent on it; the bias stands where it is best."""
    best = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y)[0]
    low, H = best[:2], X.T @ X / len(X)
    rate = 1 / np.linalg.eigvalsh(2 * H)[-1]
    path = [low + reach * np.array([-0.8, 0.9])]
    for _step in range(steps):
        error = y - best[2] - X @ path[-1]
        path.append(path[-1] + rate * 2 * X.T @ error / len(X))
    w1, w2 = (np.linspace(at - reach, at + reach, 81) for at in low)
    d1, d2 = np.meshgrid(w1 - low[0], w2 - low[1])
    heights = H[0, 0] * d1**2 + 2 * H[0, 1] * d1 * d2 + H[1, 1] * d2**2
    return (w1, w2, heights), np.array(path).T


caption = _("Level lines of the cost over the two weights, and forty steps of descent.")
surface, path = descent(f, reach=2.0)
show(plots.field("raw", _("The error surface before"), caption, "w₁", "w₂", surface, {_("descent"): path}))
surface, path = descent(z, reach=8.0)
show(plots.field("standardised", _("The error surface after"), caption, "w₁", "w₂", surface, {_("descent"): path}))

# %% network
curves = {}
for name, standardise in ((_("as they come"), False), (_("standardised"), True)):
    training = lp.fit("two-scales", network="16 relu", standardise=standardise, epochs=60, patience=0, seed=0)
    curves[name] = (np.arange(1, 61), [epoch.validation_loss for epoch in training])
show(
    plots.lines(
        "network",
        _("The same network on both"),
        _("The validation loss of 16 hidden units with Adam at its usual rate, on a logarithmic scale."),
        _("epoch"),
        _("loss"),
        curves,
        log_y=True,
    )
)

# %% pixels
digits = lp.open_source("digits")
pixels = digits.inputs.reshape(len(digits.inputs), -1) / 255.0
ways = {
    _("from 0 to 1"): pixels,
    "(x − 0.5) / 0.5": (pixels - 0.5) / 0.5,
    _("one mean, one deviation"): (pixels - pixels.mean()) / pixels.std(),
    _("those of each pixel"): (pixels - pixels.mean(axis=0)) / np.where(pixels.std(axis=0) > 0, pixels.std(axis=0), 1),
}
rows = []
for name, x in ways.items():
    spread = x.std(axis=0)
    rows.append((name, f"{x.mean():.4f}", f"{x.std():.4f}", f"{spread.min():.3f} .. {spread.max():.3f}"))
show(Table((_("scaling"), _("mean"), _("deviation"), _("deviation of the pixels")), tuple(rows)))


# %% leak
def chosen_from(sees_all, seed):
    """Right answers on 40 test rows of pure chance: the 10 inputs of 1,000 that go best with the labels are kept.

    sees_all  whether the test rows help to choose them
    """
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(100, 1000)), rng.choice([-1, 1], 100)
    seen = slice(0, 100 if sees_all else 60)
    kept = np.argsort(np.abs(X[seen].T @ labels[seen]))[-10:]
    w = np.linalg.lstsq(X[:60, kept], labels[:60])[0]
    return float((np.sign(X[60:, kept] @ w) == labels[60:]).mean())


rows = [
    (name, format_percent(np.mean([chosen_from(sees_all, seed) for seed in range(20)])))
    for name, sees_all in ((_("with the test rows"), True), (_("without them"), False))
]
show(Table((_("inputs chosen"), _("right on the test rows")), tuple(rows)))


# %% loader
def loader(x, y, size, transform, rng):
    """Batches in a new order each time: draw indices, take rows, transform each, put them together."""
    order = rng.permutation(len(x))
    for start in range(0, len(x), size):
        rows = order[start : start + size]
        samples = [(transform(x[i]), y[i]) for i in rows]
        yield np.stack([inputs for inputs, _label in samples]), np.array([label for _inputs, label in samples])


labels = digits.target.to_numpy()
batches = list(loader(digits.inputs, labels, 32, lambda image: image / 127.5 - 1, np.random.default_rng(0)))
first, last = batches[0], batches[-1]
show(
    _("{n} batches").format(n=len(batches)),
    f"{first[0].shape} {first[1].shape}  …  {last[0].shape}",
    " ".join(map(str, first[1][:12])),
)
