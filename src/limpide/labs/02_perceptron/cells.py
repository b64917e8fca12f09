"""A unit with a step, the perceptron rule beside gradient descent, and the bias."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import make_optimizer

# %% gate
unit = lp.Network.parse("2, 1 step")
weights = {"0.dense.W": np.array([[1.0], [1.0]]), "0.dense.b": np.array([-1.5])}
inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
answers = get_engine("numpy").forward(unit, weights, inputs)
rows = [(float(a), float(b), float(a + b - 1.5), float(answer)) for (a, b), answer in zip(inputs, answers.ravel())]
show(Table((_("first input"), _("second input"), _("sum"), _("output")), tuple(rows)))


# %% rule
def perceptron(x, y, rounds, bias=True):
    """Add the input of a row that should be 1 and is not, take off that of a row that should be 0 and is not.

    Returns the weights, the bias, and after each row that was wrong: its number, its error, weights and bias.
    """
    w, b, corrections = np.zeros(x.shape[1]), 0.0, []
    for _round in range(rounds):
        before = len(corrections)
        for i, (row, label) in enumerate(zip(x, y)):
            error = label - int(w @ row + b > 0)
            if error:
                w = w + error * row
                b = b + error * bias
                corrections.append((i, error, w, b))
        if len(corrections) == before:
            break
    return w, b, corrections


labels = np.array([0, 0, 0, 1])
w, b, corrections = perceptron(inputs, labels, 50)
rows = [
    ("  ".join(f"{v:g}" for v in inputs[i]), f"{e:+d}", f"{w[0]:g}", f"{w[1]:g}", f"{b:g}")
    for i, e, w, b in corrections
]
show(Table((_("input"), _("correction"), "w₁", "w₂", "b"), tuple(rows)))

# %% slope
z = np.array([[-2.0, 0.5], [0.3, 0.4], [1.0, -0.2], [2.0, 1.0]])
truth = np.array([[1.0], [0.0], [1.0], [0.0]])
start = {"0.dense.W": np.array([[0.5], [-0.5]]), "0.dense.b": np.zeros(1)}
rows = []
for name in ("step", "sigmoid"):
    network = lp.Network.parse(f"2, 1 {name}")
    loss, gradients = get_engine("numpy").loss_and_gradients(network, LOSSES["mse"], start, z, truth)
    rows.append((name, loss, *(float(g) for g in gradients["0.dense.W"].ravel()), float(gradients["0.dense.b"].item())))
show(Table((_("activation"), _("loss"), "∂J/∂w₁", "∂J/∂w₂", "∂J/∂b"), tuple(rows)))

# %% overlap
rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(-1, 1, (100, 2)), rng.normal(1, 1, (100, 2))])
y = np.repeat([0, 1], 100)
mixed = rng.permutation(200)
x, y = x[mixed], y[mixed]


def share_right(w, b):
    """The share of the points on the right side of the line."""
    return np.mean((x @ w + b > 0) == y)


w, b, by_rule = np.zeros(2), 0.0, []
v, c, by_descent = np.zeros(2), 0.0, []
for _round in range(40):
    for row, label in zip(x, y):
        error = label - int(w @ row + b > 0)
        w, b = w + error * row, b + error
        error = label - 1 / (1 + np.exp(-(v @ row + c)))
        v, c = v + 0.01 * error * row, c + 0.01 * error
    by_rule.append(share_right(w, b))
    by_descent.append(share_right(v, c))
rounds = np.arange(1, 41)
show(
    plots.lines(
        "overlap",
        _("Two clouds that overlap"),
        _("The share of right answers after each round through 200 points, the same points in the same order."),
        _("round"),
        _("accuracy"),
        {_("perceptron rule"): (rounds, by_rule), _("gradient descent"): (rounds, by_descent)},
    )
)

# %% bias
rows = []
for shifted in (False, True):
    clouds = lp.open_source(f"clouds?samples=100&shifted={'yes' if shifted else 'no'}")
    points, labels = clouds.inputs.to_numpy(), clouds.target.to_numpy().astype(int)
    found = []
    for bias in (False, True):
        w, b, _corrections = perceptron(points, labels, 200, bias)
        found.append(float(np.mean((points @ w + b > 0) == labels)))
    rows.append((_("two corners") if shifted else _("either side of 0"), *found))
show(Table((_("clouds"), _("accuracy without bias"), _("with bias")), tuple(rows)))

# %% line
side = np.linspace(-0.5, 7, 200)
plane = np.stack(np.meshgrid(side, side), axis=-1)
show(
    plots.scatter(
        "clouds",
        _("The line of a perceptron with a bias"),
        _("Two clouds in the same quarter of the plane. A line through the origin could not pass between them."),
        _("first input"),
        _("second input"),
        {_("class 0"): points[labels == 0].T, _("class 1"): points[labels == 1].T},
        surface=(side, side, (plane @ w + b > 0).astype(float)),
    )
)


# %% intercept
def lowest_cost(text, steps=3000):
    """The mean squared error after these steps of Adam on the points (1, 2), (2, 3), (3, 4), (4, 5)."""
    x = np.array([[1.0], [2.0], [3.0], [4.0]])
    network, loss = lp.Network.parse(text), LOSSES["mse"]
    start = network.initialize(np.random.default_rng(0))
    adam = make_optimizer("adam", rate=0.01)
    trainer = get_engine("numpy").trainer(network, loss, adam, start, precision="float64")
    for _step in range(steps):
        trainer.run(x, x + 1, np.arange(4), 4, noise=np.random.default_rng)
    return float(loss.mean(trainer.evaluate(x), x + 1))


texts = ("1, 1 no bias", "1, 8 no bias, 1 no bias", "1, 8 no bias relu, 1 no bias", "1, 1")
show(Table((_("network"), _("loss after 3,000 steps")), tuple((text, f"{lowest_cost(text):.6f}") for text in texts)))
