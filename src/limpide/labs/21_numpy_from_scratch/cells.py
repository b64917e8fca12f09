"""Two small networks written with NumPy alone, on the sources' own random numbers."""

from itertools import pairwise

import numpy as np

from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show


# %% network
def forward(parameters, X, binary):
    """The output of every layer, the input first: ReLU inside, sigmoid or softmax at the end."""
    outputs = [X]
    for i, (W, b) in enumerate(parameters):
        z = outputs[-1] @ W + b
        if i < len(parameters) - 1:
            outputs.append(np.maximum(0, z))
        elif binary:
            outputs.append(1 / (1 + np.exp(-z)))
        else:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            outputs.append(e / e.sum(axis=1, keepdims=True))
    return outputs


def backward(parameters, outputs, y, binary):
    """The gradient of each W and b, summed over the rows."""
    target = y.reshape(-1, 1) if binary else np.eye(outputs[-1].shape[1])[y]
    dz = outputs[-1] - target
    grads = []
    for (W, _b), x in zip(reversed(parameters), reversed(outputs[:-1])):
        grads.insert(0, (x.T @ dz, dz.sum(axis=0, keepdims=True)))
        dz = (dz @ W.T) * (x > 0)
    return grads


def loss_of(output, y, binary):
    """The mean cross-entropy; 1e-9 keeps the logarithm from 0."""
    if binary:
        p = output.ravel()
        return -np.mean(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9))
    return -np.mean(np.log(output[np.arange(len(y)), y] + 1e-9))


def accuracy_of(output, y, binary):
    """The share of right answers."""
    return np.mean((output.ravel() > 0.5) == y) if binary else np.mean(output.argmax(axis=1) == y)


def train(X, y, parameters, epochs, rate, momentum=0.0, binary=False):
    """The loss and the accuracy before each update, and the parameters at the end."""
    velocity = [(np.zeros_like(W), np.zeros_like(b)) for W, b in parameters]
    log = []
    for _epoch in range(epochs):
        outputs = forward(parameters, X, binary)
        log.append((loss_of(outputs[-1], y, binary), accuracy_of(outputs[-1], y, binary)))
        grads = backward(parameters, outputs, y, binary)
        velocity = [
            (momentum * vW - rate * dW, momentum * vb - rate * db) for (vW, vb), (dW, db) in zip(velocity, grads)
        ]
        parameters = [(W + vW, b + vb) for (W, b), (vW, vb) in zip(parameters, velocity)]
    return np.array(log), parameters


def draw(sizes, scale, rng):
    """Normal weights times a scale, and biases of zero."""
    return [(rng.randn(n, m) * scale, np.zeros((1, m))) for n, m in pairwise(sizes)]


# %% three_classes
rng = np.random.RandomState(0)
X, y = rng.randn(100, 4), rng.randint(0, 3, 100)
parameters = draw((4, 5, 4, 3), 0.01, rng)
log, _parameters = train(X, y, parameters, 1000, 0.01)
show(
    Table(
        (_("epoch"), _("loss"), _("accuracy")),
        tuple((e, f"{log[e, 0]:.4f}", f"{log[e, 1]:.2f}") for e in range(0, 1000, 100)),
    )
)
show(_("last accuracy: {share}").format(share=f"{log[-1, 1]:.2f}"))

# %% plateau
curves = {}
for scale in (0.01, 0.1, 0.5):
    rng = np.random.RandomState(0)
    X, y = rng.randn(100, 4), rng.randint(0, 3, 100)
    found, _parameters = train(X, y, draw((4, 5, 4, 3), scale, rng), 1000, 0.01)
    curves[f"{scale:g}"] = (np.arange(1000), found[:, 0])
show(
    plots.lines(
        "plateau",
        _("The plateau belongs to the first weights"),
        _("The loss over the epochs for three sizes of the first weights. ln 3 = 1.0986 is the loss of guessing."),
        _("epoch"),
        _("loss"),
        curves,
    )
)

# %% fresh
rng = np.random.RandomState(0)
X, y = rng.randn(100, 4), rng.randint(0, 3, 100)
log, trained = train(X, y, draw((4, 5, 4, 3), 0.01, rng), 1000, 0.01)
fresh = np.random.RandomState(1)
X_new, y_new = fresh.randn(20_000, 4), fresh.randint(0, 3, 20_000)
answers = forward(trained, X_new, binary=False)[-1]
show(
    Table(
        (_("rows"), _("accuracy")),
        (
            (_("the 100 it learned"), float(log[-1, 1])),
            (_("20,000 it never saw"), float(accuracy_of(answers, y_new, False))),
            (_("always the most frequent class"), float(np.bincount(y).max() / 100)),
        ),
    )
)


# %% momentum
def random_labels():
    """The hundred points of the second exercise, standardised, and labels that do not depend on them."""
    rng = np.random.RandomState(0)
    X = rng.randn(100, 2)
    y = (rng.rand(100) > 0.5).astype(int)
    return (X - X.mean(axis=0)) / X.std(axis=0), y, rng


X, y, rng = random_labels()
start = draw((2, 4, 1), 0.01, rng)
runs = {}
for name, momentum in ((_("with"), 0.9), (_("without"), 0.0)):
    log, _parameters = train(X, y, start, 1000, 0.005, momentum, binary=True)
    runs[name] = (np.arange(1000), log[:, 0])
show(
    plots.lines(
        "momentum",
        _("With momentum and without"),
        _("The same network, the same first weights, the same rate."),
        _("epoch"),
        _("loss"),
        runs,
    )
)

# %% moons
from sklearn.datasets import make_moons  # noqa: E402

X, y = make_moons(n_samples=200, noise=0.2, random_state=0)
mean, sd = X.mean(axis=0), X.std(axis=0)
X = (X - mean) / sd
log, trained = train(X, y, draw((2, 6, 1), 0.01, np.random.RandomState(1)), 2000, 0.005, 0.9, binary=True)
show(
    Table(
        (_("epoch"), _("loss"), _("accuracy")),
        tuple((e, f"{log[e, 0]:.4f}", f"{log[e, 1]:.2f}") for e in range(0, 2000, 200)),
    )
)
side = np.linspace(-2.2, 2.2, 90)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
surface = forward(trained, plane, binary=True)[-1].reshape(90, 90)
show(
    plots.scatter(
        "moons",
        _("What six hidden units learned"),
        _("The two moons, standardised, over the probability that the network gives to the second."),
        _("first input"),
        _("second input"),
        {_("first moon"): X[y == 0].T, _("second moon"): X[y == 1].T},
        surface=(side, side, surface),
    )
)

# %% luck
found = []
for seed in range(10):
    log, _parameters = train(X, y, draw((2, 6, 1), 0.01, np.random.RandomState(seed)), 2000, 0.005, 0.9, binary=True)
    found.append((seed, float(log[-1, 1])))
show(Table((_("seed of the weights"), _("accuracy")), tuple(found)))
