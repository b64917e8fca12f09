"""One convolutional network, three activations, several seeds."""

from functools import cache
from importlib.util import find_spec
from math import sqrt

import numpy as np

import limpide as lp
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import is_full, show
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.layers.base import EVALUATION
from limpide.nn.network import Parameters, forward

# %% shapes
z = np.linspace(-5, 3, 161)
slopes = {"relu": 0.0, "leaky_relu": 0.01, "silu": 0.0}
three = {name: (z, ACTIVATIONS[name].value(z, np.array(slope))) for name, slope in slopes.items()}
caption = _("Leaky ReLU with a slope of 0.01 lies on ReLU to the eye; SiLU dips below zero.")
show(plots.lines("activations", _("Three activations"), caption, "z", "f(z)", three))


# %% network
text = "1x28x28, conv 16 3x3 pad 1 relu, maxpool 2, conv 32 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10"
network = lp.Network.parse(text)
show(network)

# %% luck
right, n = 0.9885, 10_000
error = sqrt(right * (1 - right) / n)
show(_("one accuracy of {n} images: ± {error}").format(n=n, error=f"{error:.4f}"))
show(_("a difference of two: ± {error}").format(error=f"{sqrt(2) * error:.4f}"))


# %% trained
ENGINE = "torch" if find_spec("torch") else "auto"
if ENGINE == "torch":
    import torch

    torch.set_num_threads(1)  # for such small batches two threads mostly wait for each other
RECIPES = {"relu": "cnn-relu", "leaky_relu": "cnn-leaky", "silu": "cnn-silu"}


@cache
def trained(activation, seed):
    """The network after three epochs on 60,000 images; by default two on 1,200."""
    rows, epochs = (70_000, 3) if is_full() else (1_400, 2)
    options = {"data_options": {"rows": rows}, "epochs": epochs, "seed": seed, "engine": ENGINE}
    return lp.train(RECIPES[activation], **options, save=False, baselines=False)


def accuracy(activation, seed):
    """The share of the test images that are right."""
    return trained(activation, seed).test.metrics["accuracy"].value


def never_above_zero(run):
    """How many of the 128 hidden units are 0 or below for every image."""
    network = lp.Network(run.network.input_shape, run.network.layers[:-1])
    weights = Parameters.of(network, run.weights, np.float32).layers
    images = run.preparation.transform(lp.open_source("mnist?rows=1400").inputs)
    values, _caches = forward(network, weights, images, [EVALUATION] * len(network.layers))
    return int((values <= 0).all(axis=0).sum())


# %% seeds
seeds, rows = (0, 1, 2), []
for name in RECIPES:
    found = [accuracy(name, seed) for seed in seeds]
    rows.append((name, *(f"{value:.4f}" for value in found), f"{np.mean(found):.4f}"))
show(Table((_("activation"), *(_("seed {seed}").format(seed=seed) for seed in seeds), _("mean")), tuple(rows)))


# %% dead
rows = [(name, *(never_above_zero(trained(name, seed)) for seed in seeds)) for name in RECIPES]
show(Table((_("activation"), *(_("seed {seed}").format(seed=seed) for seed in seeds)), tuple(rows)))
