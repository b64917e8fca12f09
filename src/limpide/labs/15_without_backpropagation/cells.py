"""Digits learned by back-propagation, by random feedback, by trying, and by two forward passes."""

from itertools import pairwise

import numpy as np

import limpide as lp
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_percent
from limpide.labs import is_full, show

# %% data
digits = lp.open_source("digits")
order = np.random.default_rng(0).permutation(len(digits.inputs))
x = digits.inputs.reshape(len(order), 64)[order] / 255.0
y = digits.target.to_numpy().astype(int)[order]
n = 1400  # the first rows train, the others test
x = x - x[:n].mean(axis=0)


# %% network
def start(seed=0, sizes=(64, 100, 50, 10)):
    """First weights and biases of each layer."""
    rng = np.random.default_rng(seed)
    return [[rng.normal(0, (1 / a) ** 0.5, (a, b)), np.zeros(b)] for a, b in pairwise(sizes)]


def forward(layers, x):
    """The output of every layer, the input first: tanh inside, raw scores at the end."""
    outputs = [x]
    for i, (W, b) in enumerate(layers):
        z = outputs[-1] @ W + b
        outputs.append(np.tanh(z) if i < len(layers) - 1 else z)
    return outputs


def softmax(scores):
    """Scores as probabilities."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def accuracy(layers):
    """The share of right answers on the test rows."""
    return float((forward(layers, x[n:])[-1].argmax(axis=1) == y[n:]).mean())


# %% backward
def errors(outputs, labels, back):
    """The error signal of each layer; `back` holds the matrices on which it travels, from the second layer's on."""
    signal = softmax(outputs[-1])
    signal[np.arange(len(labels)), labels] -= 1
    signals = [signal / len(labels)]
    for B, a in zip(reversed(back), reversed(outputs[1:-1])):
        signals.insert(0, (signals[0] @ B) * (1 - a**2))
    return signals


def transposed(layers):
    """The matrices of back-propagation: the weights themselves, turned round."""
    return [W.T for W, _b in layers[1:]]


def angle(layers, back):
    """Degrees between the first layer's error signal and the true one, over the training rows."""
    outputs = forward(layers, x[:n])
    true, used = (errors(outputs, y[:n], way)[0].ravel() for way in (transposed(layers), back))
    lengths = np.linalg.norm(true) * np.linalg.norm(used)
    return float(np.degrees(np.arccos(np.clip(true @ used / lengths, -1, 1))))


# %% feedback
def train(how, epochs=20, rate=0.5, batch=20, seed=0):
    """The accuracy after each epoch, and the angle before the first and after each.

    how  what the error travels on: "true" weights, "random" matrices that never change, or "none"
    """
    layers, rng = start(seed), np.random.default_rng(seed + 1)
    fixed = [rng.normal(0, (1 / W.shape[1]) ** 0.5, W.T.shape) for W, _b in layers[1:]]
    found, angles = [], [angle(layers, fixed)]
    for _epoch in range(epochs):
        order = rng.permutation(n)
        for first in range(0, n, batch):
            rows = order[first : first + batch]
            outputs = forward(layers, x[rows])
            back = {"true": transposed(layers), "random": fixed, "none": [0 * B for B in fixed]}[how]
            for layer, inputs, signal in zip(layers, outputs, errors(outputs, y[rows], back)):
                layer[0] -= rate * inputs.T @ signal
                layer[1] -= rate * signal.sum(axis=0)
        found.append(accuracy(layers))
        angles.append(angle(layers, fixed))
    return found, angles


ways = {_("back-propagation"): "true", _("random feedback"): "random", _("last layer alone"): "none"}
done = {name: train(how) for name, how in ways.items()}
epochs = np.arange(1, 21)
show(
    plots.lines(
        "feedback",
        _("An error that travels on random matrices"),
        _("The share of right answers on 397 digits that no training saw."),
        _("epoch"),
        _("accuracy"),
        {name: (epochs, found) for name, (found, _angles) in done.items()},
    ),
    Table((_("way"), _("accuracy")), tuple((name, format_percent(found[-1], 1)) for name, (found, _a) in done.items())),
)

# %% alignment
_found, angles = done[_("random feedback")]
show(
    plots.lines(
        "alignment",
        _("The weights turn towards the feedback"),
        _("The angle between the random error signal of the first layer and the true one; 90° is no relation at all."),
        _("epoch"),
        _("degrees"),
        {"": (np.arange(21), angles)},
    )
)


# %% trying
def loss(layers, rows):
    """The mean cross-entropy of some training rows."""
    p = softmax(forward(layers, x[rows])[-1])
    return float(-np.log(p[np.arange(len(rows)), y[rows]] + 1e-12).mean())


def moved(layers, step, noise):
    """The network with every number moved along a direction."""
    return [[W + step * d, b + step * e] for (W, b), (d, e) in zip(layers, noise)]


def try_out(updates, pairs=10, step=0.02, rate=0.02, seed=0):
    """The accuracy after each tenth of the updates; each looks at the loss on both sides of some random directions."""
    layers, rng, found = start(seed), np.random.default_rng(seed + 1), []
    velocity = [[0 * W, 0 * b] for W, b in layers]
    for update in range(1, updates + 1):
        rows = rng.integers(0, n, 100)
        velocity = [[0.9 * W, 0.9 * b] for W, b in velocity]
        for _pair in range(pairs):
            noise = [[rng.normal(size=W.shape), rng.normal(size=b.shape)] for W, b in layers]
            slope = (loss(moved(layers, step, noise), rows) - loss(moved(layers, -step, noise), rows)) / (2 * step)
            velocity = moved(velocity, 0.1 * slope / pairs, noise)
        layers = moved(layers, -rate, velocity)
        if update % (updates // 10) == 0:
            found.append(accuracy(layers))
    return found


updates = 2000 if is_full() else 500
tried = try_out(updates)
rows = [(i * updates // 10, i * updates * 2, format_percent(share, 1)) for i, share in enumerate(tried, 1)]
show(Table((_("updates"), _("forward passes"), _("accuracy")), tuple(rows[1::2])))


# %% two_passes
def length_one(h):
    """Rows whose root mean square is 1: so that a layer cannot read off how content the one before was."""
    return h / (np.sqrt((h**2).mean(axis=1, keepdims=True)) + 1e-8)


def with_label(images, labels):
    """Images with ten more inputs that name a digit."""
    return length_one(np.hstack([images, np.eye(10)[labels]]))


def scores(layers, images):
    """How content the layers are with each of the ten digits."""
    total = np.zeros((len(images), 10))
    for digit in range(10):
        h = with_label(images, np.full(len(images), digit))
        for W, b in layers:
            h = np.maximum(0, h @ W + b)
            total[:, digit] += (h**2).mean(axis=1)
            h = length_one(h)
    return total


def train_forward(epochs=15, rate=0.003, batch=50, seed=0):
    """The accuracy after each epoch; every layer learns alone to be large for true pairs and small for false ones."""
    rng, found, t = np.random.default_rng(seed), [], 0
    layers = [[W * 2**0.5, b] for W, b in start(seed, (74, 200, 200))]
    means, squares = ([[0 * W, 0 * b] for W, b in layers] for _ in range(2))
    for _epoch in range(epochs):
        order = rng.permutation(n)
        for first in range(0, n, batch):
            rows, t = order[first : first + batch], t + 1
            false = (y[rows] + rng.integers(1, 10, len(rows))) % 10
            h = np.vstack([with_label(x[rows], y[rows]), with_label(x[rows], false)])
            sign = np.repeat([1.0, -1.0], len(rows))
            for layer, m, s in zip(layers, means, squares):
                a = np.maximum(0, h @ layer[0] + layer[1])
                goodness = (a**2).mean(axis=1)
                # of log(1 + exp(-sign (goodness - 1))): no error comes from any other layer
                dz = (-sign / (1 + np.exp(sign * (goodness - 1))))[:, None] * 2 * a / a.shape[1] / len(h)
                for k, gradient in enumerate((h.T @ dz, dz.sum(axis=0))):
                    m[k] = 0.9 * m[k] + 0.1 * gradient
                    s[k] = 0.999 * s[k] + 0.001 * gradient**2
                    layer[k] -= rate * m[k] / (1 - 0.9**t) / (np.sqrt(s[k] / (1 - 0.999**t)) + 1e-8)
                h = length_one(a)
        found.append(float((scores(layers, x[n:]).argmax(axis=1) == y[n:]).mean()))
    return found


forward_only = train_forward()
best = {name: found[-1] for name, (found, _angles) in done.items()}
best |= {_("trying directions"): tried[-1], _("two forward passes"): forward_only[-1]}
show(Table((_("way"), _("accuracy")), tuple((name, format_percent(share, 1)) for name, share in best.items())))
