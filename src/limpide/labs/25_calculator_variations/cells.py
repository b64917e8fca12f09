"""The calculator with another optimizer, range, operation, size, shape, and number of samples."""

import numpy as np
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import make_optimizer


# %% learn
def draw(n, low, high, multiply, rng):
    """Pairs of whole numbers, and their sums or products."""
    pairs = rng.integers(low, high + 1, (n, 2)).astype(float)
    return pairs, pairs.prod(axis=1) if multiply else pairs.sum(axis=1)


def learn(layers="16x3 relu", optimizer="sgd", rate=0.1, epochs=10, seed=0, n=8000, high=100, multiply=False):
    """The calculator with one thing changed: a function from pairs to sums, or to products."""
    rng = np.random.default_rng(seed)
    pairs, results = draw(n, 0, high, multiply, rng)
    largest = high**2 if multiply else 2 * high
    x, y = np.float32(pairs / high), np.float32(results[:, None] / largest)
    network = lp.Network.parse(f"2, {layers}, 1")
    trainer = get_engine("compiled").trainer(
        network, LOSSES["mse"], make_optimizer(optimizer, rate=rate), network.initialize(rng)
    )
    for _epoch in range(epochs):
        trainer.run(x, y, rng.permutation(n), 64, lambda path: rng)
    return lambda pairs: largest * trainer.evaluate(np.float32(np.asarray(pairs) / high)).ravel()


def errors(calculator, low=0, high=100, multiply=False):
    """MSE, MAE and R² on 2,000 new pairs."""
    pairs, results = draw(2000, low, high, multiply, np.random.default_rng(1000))
    error = calculator(pairs) - results
    mse = float(np.mean(error**2))
    return mse, float(np.mean(np.abs(error))), 1 - mse / float(results.var())


def over_seeds(n_seeds=5, **change):
    """The test MSE for each seed: smallest, median, largest."""
    found = [errors(learn(seed=seed, **change))[0] for seed in range(n_seeds)]
    return np.quantile(found, (0, 0.5, 1))


# %% optimizers
names = ("sgd", "momentum", "adam")
rates = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
found = {name: np.array([over_seeds(optimizer=name, rate=rate) for rate in rates]) for name in names}
show(
    plots.lines(
        "rates",
        _("Each optimizer has rates of its own"),
        _("The test MSE after 10 epochs: the median of five seeds, and from the smallest to the largest."),
        _("learning rate"),
        "MSE",
        {name: (rates, mse[:, 1]) for name, mse in found.items()},
        bands={name: (mse[:, 0], mse[:, 2]) for name, mse in found.items()},
        log_x=True,
        log_y=True,
    )
)
best = {name: int(mse[:, 1].argmin()) for name, mse in found.items()}
rows = [(name, rates[i], *(round(float(value), 3) for value in found[name][i])) for name, i in best.items()]
show(Table((_("optimizer"), _("best rate"), _("smallest"), _("median"), _("largest")), tuple(rows)))

# %% ranges
rows = []
for high in (10, 100, 1000, 100_000):
    found = [errors(learn(seed=seed, high=high), high=high) for seed in range(5)]
    mse, _mae, r2 = np.median(found, axis=0)
    rows.append((high, float(mse**0.5), float(mse**0.5 / (2 * high)), float(r2)))
show(Table((_("largest number"), "√MSE", _("√MSE / largest sum"), "R²"), tuple(rows)))

# %% products
product = learn(multiply=True)
answer = float(product([(50, 50)])[0])
mse, _mae, r2 = errors(product, multiply=True)
rows = [
    (_("times max²"), answer, mse, r2),
    (_("times 2·max, as for sums"), answer / 50, mse / 50**2, r2),
]
show(Table((_("scaled back"), "50 · 50", "MSE", "R²"), tuple(rows)))
rows = []
for name, rate in (("sgd", 0.1), ("adam", 0.001)):
    for word, multiply in ((_("sum"), False), (_("product"), True)):
        made = [learn(optimizer=name, rate=rate, seed=seed, multiply=multiply) for seed in range(5)]
        r2 = [errors(calculator, multiply=multiply)[2] for calculator in made]
        rows.append((name, word, min(r2), max(r2)))
show(Table((_("optimizer"), _("operation"), _("smallest R²"), _("largest R²")), tuple(rows)))

# %% samples
sizes = (80, 250, 800, 2500, 8000)
few = np.array([over_seeds(n=n) for n in sizes])
equal = np.array([over_seeds(n=n, epochs=round(1250 / -(-n // 64))) for n in sizes])
names = (_("10 epochs each"), _("1,250 updates each"))
show(
    plots.lines(
        "samples",
        _("Too little data, or too few updates?"),
        _("The test MSE: the median of five seeds, and from the smallest to the largest."),
        _("training pairs"),
        "MSE",
        {name: (sizes, mse[:, 1]) for name, mse in zip(names, (few, equal))},
        bands={name: (mse[:, 0], mse[:, 2]) for name, mse in zip(names, (few, equal))},
        log_x=True,
        log_y=True,
    )
)

# %% depth_width
widths = (4, 8, 16, 32, 64)
rows = []
for depth in (1, 2, 3, 5):
    found = [over_seeds(3, layers=f"{width}x{depth} relu")[1] for width in widths]
    rows.append((depth, *(round(float(mse), 2) for mse in found)))
show(Table((_("hidden layers"), *(_("width {n}").format(n=width) for width in widths)), tuple(rows)))

# %% shapes
shapes = {
    _("narrowing"): "32 relu, 16 relu, 8 relu",
    _("of equal width"): "16x3 relu",
    _("widening"): "8 relu, 16 relu, 32 relu",
}
shapes |= {name: f"16x3 {name}" for name in ("leaky_relu", "tanh", "sigmoid", "identity")}
rows = []
for name, text in shapes.items():
    rows.append((name, text, *(round(float(mse), 2) for mse in over_seeds(layers=text))))
show(Table(("", _("hidden layers"), _("smallest"), _("median"), _("largest")), tuple(rows)))

# %% outside
line = np.arange(0, 501, 5)
pairs = np.stack([line, line], axis=1)
answers = {name: learn(f"16x3 {name}")(pairs) for name in ("relu", "tanh", "identity")}
show(
    plots.lines(
        "outside",
        _("Beyond what was learned"),
        _("The prediction for a + a. Training went from 0 to 100. The straight line of identity is right."),
        "a",
        "a + a",
        {name: (line, answer) for name, answer in answers.items()},
    )
)
rows = []
for name in answers:
    calculator = learn(f"16x3 {name}", seed=1)
    found = [errors(calculator, *ends)[1] for ends in ((0, 100), (100, 200), (500, 1000))]
    rows.append((name, *(round(mae, 1) for mae in found)))
show(Table((_("activation"), _("MAE 0 to 100"), _("100 to 200"), _("500 to 1,000")), tuple(rows)))


# %% search
def validation(rate, width=16, depth=3, optimizer="adam"):
    """The median MSE of three seeds on validation pairs, after five epochs."""
    pairs, sums = draw(2000, 0, 100, False, np.random.default_rng(43))
    layers = f"{width}x{depth} relu"
    made = [learn(layers, optimizer, rate, epochs=5, seed=seed) for seed in range(3)]
    return float(np.median([np.mean((calculator(pairs) - sums) ** 2) for calculator in made]))


grid = {
    f"{name} {rate}, {width}": validation(rate, width, 3, name)
    for name, rate in (("sgd", 0.01), ("sgd", 0.1), ("adam", 0.001), ("adam", 0.01))
    for width in (8, 16)
}
rng = np.random.default_rng(0)
drawn = {}
for _trial in range(8):
    rate, width, depth = 10 ** rng.uniform(-4, -1), int(rng.choice([8, 16, 32])), int(rng.integers(1, 4))
    drawn[f"adam {rate:.4f}, {width} × {depth}"] = validation(rate, width, depth)
tried = {rate: validation(rate) for rate in (0.0001, 0.003, 0.1)}
candidates = np.linspace(-3.975, -1.025, 60)
for _trial in range(5):
    # a curve through the trials, and where it may go lower than the best of them
    model = GaussianProcessRegressor(RBF(0.5) + WhiteKernel(1e-3), normalize_y=True, optimizer=None)
    model.fit(np.log10(list(tried))[:, None], np.log10(list(tried.values())))
    mean, sd = model.predict(candidates[:, None], return_std=True)
    gain = np.log10(min(tried.values())) - mean
    expected = gain * norm.cdf(gain / sd) + sd * norm.pdf(gain / sd)
    exponent = candidates[expected.argmax()]
    candidates = candidates[candidates != exponent]
    tried[float(10**exponent)] = validation(10**exponent)
rows = [
    (name, best, round(trials[best], 4))
    for name, trials in (
        (_("grid"), grid),
        (_("random"), drawn),
        (_("Bayesian"), {f"adam {rate:.4f}, 16 × 3": mse for rate, mse in tried.items()}),
    )
    for best in [min(trials, key=trials.__getitem__)]
]
show(Table((_("search of 8 trials"), _("best"), _("validation MSE")), tuple(rows)))
show(" → ".join(f"{rate:.4f}" for rate in tried))
