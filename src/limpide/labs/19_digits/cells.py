"""MNIST: a look at the images, a network of five hidden layers, its measures, and pictures from elsewhere."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.data import class_balance
from limpide.figures.picture import Table
from limpide.i18n import _, format_percent
from limpide.labs import is_full, show
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import make_optimizer

# %% data
data = lp.open_source("mnist")
images, digits = data.inputs[:, 0], data.target.cast(int).to_numpy()
levels = sum(np.bincount(block.ravel(), minlength=256) for block in np.split(images[:60_000], 60))
grey = np.arange(256) / 255
mean = float(grey @ levels / levels.sum())
sd = float((grey - mean) ** 2 @ levels / levels.sum()) ** 0.5
show(
    Table(
        (_("measure"), _("in the files")),
        (
            (_("images to learn from"), 60_000),
            (_("images to test on"), len(images) - 60_000),
            (_("rows and columns"), "{} × {}".format(*images.shape[1:])),
            (_("digits"), f"{digits.min()} … {digits.max()}"),
            (_("grey levels"), int((levels > 0).sum())),
            (_("mean of the training pixels, white = 1"), mean),
            (_("their standard deviation"), sd),
        ),
    )
)
chosen = np.random.default_rng(3).choice(60_000, 10, replace=False)
show(
    plots.images(
        "samples",
        _("Ten images drawn at random"),
        _("Each under the digit it shows."),
        [(str(digits[i]), images[i] / 255) for i in chosen],
    )
)

# %% explore
counts = np.bincount(digits[:60_000])
show(class_balance({str(digit): int(n) for digit, n in enumerate(counts)}))
means = np.array([images[:60_000][digits[:60_000] == digit].mean(axis=0) / 255 for digit in range(10)])
show(
    plots.images(
        "means",
        _("The mean image of each digit"),
        _("Where a digit is always written alike, its mean is sharp."),
        [(str(digit), mean) for digit, mean in enumerate(means)],
    )
)
flat = means.reshape(10, -1)
distance = np.linalg.norm(flat[:, None] - flat, axis=2) + 100 * np.eye(10)
a, b = np.unravel_index(distance.argmin(), distance.shape)
test, truth = images[60_000:].reshape(-1, 784) / np.float32(255), digits[60_000:]
nearest = ((flat**2).sum(axis=1) - 2 * test @ flat.T.astype(np.float32)).argmin(axis=1)
gap = f"{distance.min():.3f}"
show(
    _("the two means most alike: {a} and {b}, {distance} apart").format(a=a, b=b, distance=gap),
    _("right by the nearest mean: {share}").format(share=format_percent(np.mean(nearest == truth), 1)),
)

# %% network
network = lp.Network.parse("28x28, flatten, 40x5 relu, 10")
show(network)

# %% training
training = lp.fit("mnist-book", engine="compiled", measured=12_000)
for _epoch in training:
    pass
rows = [
    (e.epoch, e.updates, e.train_loss, e.validation_loss, float(e.validation["accuracy"]))
    for e in training.history
    if e.epoch in (1, 2, 3, 5, 10, 15, 20)
]
names = (_("epoch"), _("updates"), _("training loss"), _("validation loss"), _("validation accuracy"))
show(Table(names, tuple(rows)))
run = training.run(baselines=False)
show(run.figures.loss())

# %% measures
rows = []
measured = {name: metric.value for name, metric in run.test.metrics.items()}
rows.append((_("accuracy"), measured["accuracy"], measured["accuracy"]))
for word, name in ((_("precision"), "precision"), (_("recall"), "recall"), ("F1", "f1")):
    rows.append((word, measured[f"{name}_weighted"], measured[f"{name}_macro"]))
show(Table((_("measure"), _("weighted by class size"), _("mean over the classes")), tuple(rows)))
show(run.figures.confusion())

# %% always_nine
truth = np.array([9] * 90 + [0, 1, 2, 3, 4, 5, 6, 7, 8, 8])
answer = np.full(100, 9)
recall = np.array([np.mean(answer[truth == digit] == digit) for digit in range(10)])
precision = np.array([0.0] * 9 + [np.mean(truth[answer == 9] == 9)])
shares = np.bincount(truth) / 100
show(
    Table(
        (_("measure"), _("of the nines"), _("weighted by class size"), _("mean over the classes")),
        (
            (_("accuracy"), "", float(np.mean(answer == truth)), ""),
            (_("precision"), precision[9], float(precision @ shares), float(precision.mean())),
            (_("recall"), recall[9], float(recall @ shares), float(recall.mean())),
        ),
    )
)


# %% learn
def deal(n, seed):
    """Four fifths of the rows to train on, one fifth to validate on."""
    return np.split(np.random.default_rng([seed, 1]).permutation(n), [int(0.8 * n)])


def learn(x, digits, rows, last="10", seed=42, epochs=20, hidden="40x5 relu"):
    """The book's training: after each epoch, the mean loss of its batches, and the network as a function."""
    rng = np.random.default_rng(seed)
    network, loss = lp.Network.parse(f"784, {hidden}, {last}"), LOSSES["cross_entropy"]
    sgd = make_optimizer("sgd", rate=0.01)
    trainer = get_engine("compiled").trainer(network, loss, sgd, network.initialize(rng))
    for _epoch in range(epochs):
        batches = trainer.run(x, digits, rng.permutation(rows), 32, lambda path: rng)
        yield float(batches.mean()), trainer.evaluate


def to_inputs(images):
    """Rows of 784 pixels in [-1, 1]."""
    return np.float32(images.reshape(len(images), 784) / np.float32(127.5) - 1)


# %% twice
n = 60_000 if is_full() else 12_000
x, x_test = to_inputs(images[:n]), to_inputs(images[60_000:])
train, held = deal(n, 42)
curves, rows = {}, []
for name, last in ((_("raw scores"), "10"), (_("softmax"), "10 softmax")):
    losses = []
    for _batch_loss, network in learn(x, digits, train, last):
        losses.append(LOSSES["cross_entropy"].mean(network(x[held]), digits[held]))
    curves[name] = (np.arange(1, 21), losses)
    right = network(x_test).argmax(axis=1) == digits[60_000:]
    rows.append((name, float(losses[-1]), float(right.mean())))
curves[_("the floor: ln(e + 9) − 1")] = ([1, 20], [np.log(np.e + 9) - 1] * 2)
show(
    plots.lines(
        "twice",
        _("Softmax applied twice"),
        _("The validation loss of the same network with softmax as its last layer, and without."),
        _("epoch"),
        _("validation loss"),
        curves,
    )
)
show(Table((_("last layer"), _("validation loss"), _("test accuracy")), tuple(rows)))

# %% own_images
papers = []
for digit in range(10):
    strokes = images[60_000 + int(np.flatnonzero(digits[60_000:] == digit)[0])]
    paper = np.full((140, 100), 235.0)
    paper[40:124, 10:94] -= 0.8 * np.kron(strokes, np.ones((3, 3)))  # dark strokes on a light page, off its middle
    papers.append(Image.fromarray(paper.astype(np.uint8)))
with TemporaryDirectory() as folder:
    for digit, paper in enumerate(papers):
        paper.save(Path(folder) / f"{digit}.png")
    answers = run.predict(folder)["prediction"]
small = np.stack([np.asarray(paper.resize((28, 28))) for paper in papers])
plain = training.trainer.evaluate(np.float32(small[:, None] / 127.5 - 1)).argmax(axis=1)
show(
    plots.images(
        "own",
        _("Ten pages, and what limpide reads on them"),
        _("The digits 0 to 9 in order."),
        [(str(answer), np.asarray(paper) / 255) for answer, paper in zip(answers, papers)],
    )
)
inverted = training.trainer.evaluate(np.float32(1 - images[60_000:, None] / 127.5)).argmax(axis=1)
show(
    Table(
        (_("pictures"), _("right answers")),
        (
            (_("the ten pages, read by limpide"), int(sum(str(i) == word for i, word in enumerate(answers)))),
            (_("the ten pages, merely made small"), int((plain == np.arange(10)).sum())),
            (_("10,000 test images, inverted"), int((inverted == digits[60_000:]).sum())),
        ),
    )
)
