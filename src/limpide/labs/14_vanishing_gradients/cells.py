"""Products of slopes, the gradient of each layer at depth 20, the first weights, and units that die."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.grammar import complete_network
from limpide.nn.losses import LOSSES

# %% products
slopes = (0.1, 0.25, 0.9, 1.1, 10.0)
show(Table((_("slope"), _("5 layers"), _("20 layers")), tuple((s, f"{s**5:.5g}", f"{s**20:.3g}") for s in slopes)))


# %% slopes
def slope(name, z):
    """The slope of an activation at each z."""
    row, column = ACTIVATIONS[name], np.asarray(z, float)[:, None]
    return row.derivative(column, row.value(column, row.slope or 0.0), row.slope or 0.0).ravel()


z = np.linspace(-8, 8, 801)
curves = {name: slope(name, z) for name in ("sigmoid", "tanh", "relu", "gelu")}
show(
    plots.lines(
        "slopes",
        _("How steep four activations are"),
        _("The slope over the sum that a unit computes."),
        "z",
        _("slope"),
        {name: (z, curve) for name, curve in curves.items()},
    )
)
rows = [(name, float(slope(name, z).max()), f"{slope(name, [8.0])[0]:.6f}") for name in (*curves, "silu")]
show(Table((_("activation"), _("steepest"), _("slope at 8")), tuple(rows)))


# %% layers
def gradient_norms(activation, initializer, depth=20, width=64, seed=0):
    """The size of the gradient of each weight matrix, the first layer first, before any training."""
    text = ", ".join([f"{width} {activation}"] * depth)
    network = complete_network(f"{text}, 1", (width,), 1, initializer)
    rng = np.random.default_rng(seed)
    weights, x = network.initialize(rng), rng.normal(size=(256, width))
    _loss, gradients = get_engine("numpy").loss_and_gradients(network, LOSSES["mse"], weights, x, np.zeros((256, 1)))
    return np.array([np.linalg.norm(g) for name, g in gradients.items() if name.endswith(".W")])


tried = {
    "sigmoid, Xavier": ("sigmoid", "xavier"),
    "tanh, Xavier": ("tanh", "xavier"),
    "ReLU, Xavier": ("relu", "xavier"),
    "ReLU, He": ("relu", "he"),
    "tanh, N(0, 1)": ("tanh", "normal 1"),
}
norms = {name: gradient_norms(*how) for name, how in tried.items()}
show(
    plots.lines(
        "layers",
        _("The gradient of each layer, before training"),
        _("Twenty hidden layers of 64 units, 256 random rows; layer 1 is next to the input."),
        _("layer"),
        _("size of the gradient"),
        {name: (np.arange(1, 22), found) for name, found in norms.items()},
        log_y=True,
    )
)
rows = [(name, f"{n[0]:.2g}", f"{n[-2]:.2g}", f"{n[-2] / n[0]:.1g}") for name, n in norms.items()]
show(Table((_("network"), _("first layer"), _("last hidden layer"), _("ratio")), tuple(rows)))


# %% spread
def spread(deviation, width=64, depth=20):
    """The root mean square of the outputs of each ReLU layer when weights have that deviation."""
    rng = np.random.default_rng(0)
    a, found = rng.normal(size=(256, width)), []
    for _layer in range(depth):
        a = np.maximum(0, a @ rng.normal(0, deviation, (width, width)))
        found.append(float(np.sqrt((a**2).mean())))
    return np.array(found)


deviations = {"√(1/64)": (1 / 64) ** 0.5, "√(2/64)": (2 / 64) ** 0.5, "√(4/64)": (4 / 64) ** 0.5}
show(
    plots.lines(
        "spread",
        _("Why ReLU wants a variance of two over the inputs"),
        _("The size of what each of twenty ReLU layers puts out, for three deviations of the weights."),
        _("layer"),
        _("size of the outputs"),
        {name: (np.arange(1, 21), spread(deviation)) for name, deviation in deviations.items()},
        log_y=True,
    )
)
bound = (6 / (784 + 40)) ** 0.5
show(f"Xavier, 784 → 40: ±√(6 / (784 + 40)) = ±{bound:.6f}")

# %% learning
curves = {}
for name in ("sigmoid, Xavier", "ReLU, Xavier", "tanh, Xavier", "ReLU, He"):
    activation, initializer = tried[name]
    layers = ", ".join([f"24 {activation}"] * 20)
    training = lp.fit(
        "moons", network=f"{layers}, 1", initializer=initializer, optimizer="sgd", rate=0.02, epochs=30, patience=0
    )
    curves[name] = (np.arange(1, 31), [epoch.train_loss for epoch in training])
show(
    plots.lines(
        "learning",
        _("Four networks of twenty layers learn two moons"),
        _("The training loss. ln 2 = 0.693 is the loss of saying one half to everything."),
        _("epoch"),
        _("loss"),
        curves,
    )
)


# %% dying
def relu_unit(bias, below=0.0, seed=0):
    """How many of 200 random pairs give the unit a negative sum, and the size of its gradient; its weights are 1 and 1.

    below  the slope for negative sums
    """
    x = np.random.default_rng(seed).normal(size=(200, 2))
    sums = x @ np.ones(2) + bias
    return int((sums < 0).sum()), float(np.linalg.norm(np.where(sums > 0, 1.0, below) @ x))


units = (("ReLU", 0, 0.0), ("ReLU", -10, 0.0), ("Leaky ReLU", -10, 0.01))
rows = [(name, bias, *relu_unit(bias, below)) for name, bias, below in units]
show(Table((_("unit"), _("bias"), _("negative sums of 200"), _("size of the gradient")), tuple(rows)))
