"""A calculator that learns to add: data, network, training, test, one sum by hand."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.figures.regression import prediction_vs_truth
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import make_optimizer

# %% data
data = lp.open_source("calculator")
pairs, sums = data.inputs.to_numpy(), data.target.to_numpy()
rows = [(int(a), int(b), int(s), a / 100, b / 100, s / 200) for (a, b), s in zip(pairs[:5], sums)]
show(Table(("a", "b", "a + b", "a / 100", "b / 100", "(a + b) / 200"), tuple(rows)))


# %% list_of_pairs
def come_back(train, test):
    """Which of the test pairs stand among the training pairs."""
    seen = {tuple(pair) for pair in train}
    return np.array([tuple(pair) in seen for pair in test])


# %% leak
expected = 1 - (1 - 1 / 101**2) ** 8000
rows = [(_("drawn anew"), float(come_back(pairs[:8000], pairs[8000:]).mean()))]
for method in ("random", "distinct"):
    job = lp.fit("calculator", split=method, validation=0.1, test=0.2, epochs=1).job
    rows.append((f'split="{method}"', float(come_back(pairs[job.split.train], pairs[job.split.test]).mean())))
show(Table((_("test pairs"), _("share seen in training")), tuple(rows)))
show(_("expected by chance for 8,000 of 10,201 pairs: {share}").format(share=f"{expected:.4f}"))

# %% resizable
named = {
    _("used for the experiment"): "2, 16x3 relu, 1",
    _("resizable, as it comes"): "2, 40x4 relu, 1",
    _("sequential and fixed"): "2, 40x5 relu, 1",
}
rows = []
for name, text in named.items():
    network = lp.Network.parse(text)
    counts = [layer.parameters for layer in network.table() if layer.parameters]
    rows.append((name, text, len(counts) - 1, " + ".join(map(str, counts)), network.n_parameters))
show(Table((_("network"), _("in words"), _("hidden layers"), _("parameters"), _("in all")), tuple(rows)))
show(lp.Network.parse("2, 16x3 relu, 1"))

# %% training
training = lp.fit(
    "calculator?scaled=yes&samples=12000",
    split="random",  # 8,000 + 2,000 + 2,000 rows
    validation=1 / 6,
    test=1 / 6,
    standardise=False,  # scaled already
    scale_target=False,
    network="16x3 relu",
    loss="mse",
    optimizer="sgd",
    rate=0.1,
    batch_size=64,
    epochs=30,
    patience=0,
    seed=42,
)
rows, answers = [], {}
test = training.job.parts["test"]
truth = 200 * np.asarray(test.truth, float).ravel()
for epoch in training:
    found = 200 * np.asarray(training.trainer.evaluate(test.x), float).ravel()
    if epoch.epoch in (1, 2, 3, 5, 10, 20, 30):
        answers[epoch.epoch] = found
        far = int((np.abs(found - truth) > 1).sum())
        mse = (round(40_000 * loss, 2) for loss in (epoch.train_loss, epoch.validation_loss))
        rows.append((epoch.epoch, epoch.updates, *mse, far))
show(
    Table(
        (_("epoch"), _("updates"), _("training MSE"), _("validation MSE"), _("test errors above 1")),
        tuple(rows),
    )
)
show(training.run(baselines=False).figures.loss())

# %% arrows
for epoch in (1, 10):
    show(prediction_vs_truth(truth[:80], answers[epoch][:80], np.arange(80), "a + b", "row", large=1.0))


# %% learn
def draw(n, rng):
    """Pairs and their sums, scaled for the network."""
    pairs = rng.integers(0, 101, (n, 2))
    return np.float32(pairs / 100), np.float32(pairs.sum(axis=1, keepdims=True) / 200)


def learn(seed, epochs=10):
    """A calculator: 8,000 pairs, 16-16-16, plain gradient descent in batches of 64."""
    rng = np.random.default_rng(seed)
    x, y = draw(8000, rng)
    network = lp.Network.parse("2, 16x3 relu, 1")
    trainer = get_engine("compiled").trainer(
        network, LOSSES["mse"], make_optimizer("sgd", rate=0.1), network.initialize(rng)
    )
    for _epoch in range(epochs):
        trainer.run(x, y, rng.permutation(len(x)), 64, lambda path: rng)
    return lambda pairs: 200 * trainer.evaluate(np.float32(np.asarray(pairs) / 100)).ravel()


def measure(calculator):
    """MSE, MAE and R² on 2,000 new pairs, in units of the sum."""
    x, y = draw(2000, np.random.default_rng(1000))
    error = calculator(100 * x) - 200 * y.ravel()
    mse = float(np.mean(error**2))
    return mse, float(np.mean(np.abs(error))), 1 - mse / float(np.var(200 * y))


# %% measures
calculators = [learn(seed) for seed in range(20)]
found = np.array([measure(calculator) for calculator in calculators])
stated = (1.6901, 1.0354, 0.9990)
rows = [
    (name, value, *(round(float(q), 4) for q in np.quantile(found[:, i], (0, 0.5, 1))))
    for i, (name, value) in enumerate(zip(("MSE", "MAE", "R²"), stated))
]
show(Table((_("measure"), _("stated"), _("smallest"), _("median"), _("largest")), tuple(rows)))
show(
    plots.lines(
        "seeds",
        _("Twenty seeds, twenty results"),
        _("The test MSE of the same experiment for each seed, sorted, beside the one figure that was stated."),
        _("calculators, the best first"),
        "MSE",
        {_("measured"): (np.arange(1, 21), np.sort(found[:, 0])), _("stated"): ([1, 20], [1.6901, 1.6901])},
        log_y=True,
    )
)

# %% seen
learned = np.rint(100 * draw(8000, np.random.default_rng(7))[0])  # the very pairs of seed 7
fresh = np.random.default_rng(2000).integers(0, 101, (2000, 2))
known = come_back(learned, fresh)
errors = calculators[7](fresh) - fresh.sum(axis=1)
rows = [
    (name, int(part.sum()), float(np.mean(errors[part] ** 2)), share)
    for name, part, share in ((_("seen in training"), known, 1.0), (_("never seen"), ~known, 0.0))
]
show(
    Table(
        (_("test pairs"), _("how many"), _("MSE of the network"), _("right by a list of the training pairs")),
        tuple(rows),
    )
)

# %% by_hand
asked = [(50, 50), (6, 6), (0, 0), (0, 1), (100, 100)]
answers = np.array([calculator(asked) for calculator in calculators])
rows = []
for i, (a, b) in enumerate(asked):
    low, middle, high = np.quantile(answers[:, i], (0, 0.5, 1))
    right = int((np.rint(answers[:, i]) == a + b).sum())
    rows.append((f"{a} + {b}", a + b, *(round(float(q), 2) for q in (low, middle, high)), right))
show(Table((_("sum"), _("truth"), _("smallest"), _("median"), _("largest"), _("right of 20")), tuple(rows)))

# %% own_units
run = lp.train(
    "calculator",
    split="distinct",
    network="16x3 relu",
    optimizer="adam",
    rate=0.01,
    epochs=10,
    seed=1,
    save=False,
    baselines=False,
)
predicted = run.predict([{"a": 50, "b": 50}, {"a": 6, "b": 6}])["prediction"]
rows = [(text, value) for text, value in zip(("50 + 50", "6 + 6"), predicted)]
show(Table((_("sum"), _("prediction")), tuple(rows)))
show(run.summary())
