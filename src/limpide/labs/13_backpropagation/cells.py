"""A chain of three units: forward, backward, checked, and the same in PyTorch."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.losses import LOSSES


# %% chain
def sigmoid(z):
    """Between 0 and 1."""
    return 1 / (1 + np.exp(-z))


def forward(p, x):
    """The three outputs of the chain: two hidden units and the prediction."""
    a1 = sigmoid(p["w1"] * x + p["b1"])
    a2 = sigmoid(p["w2"] * a1 + p["b2"])
    return a1, a2, sigmoid(p["w3"] * a2 + p["b3"])


def backward(p, x, y):
    """The derivative of J = ½ (y - ŷ)² for each parameter: one product, made longer unit by unit."""
    a1, a2, prediction = forward(p, x)
    delta3 = (prediction - y) * prediction * (1 - prediction)
    delta2 = delta3 * p["w3"] * a2 * (1 - a2)
    delta1 = delta2 * p["w2"] * a1 * (1 - a1)
    return {"w1": delta1 * x, "b1": delta1, "w2": delta2 * a1, "b2": delta2, "w3": delta3 * a2, "b3": delta3}


# %% numbers
p = {"w1": 0.5, "b1": 0.1, "w2": -0.3, "b2": 0.2, "w3": 0.8, "b3": -0.1}
x, y = 2.0, 1.0
a1, a2, prediction = forward(p, x)
show(f"a₁ = {a1:.6f}   a₂ = {a2:.6f}   ŷ = {prediction:.6f}   J = {(y - prediction) ** 2 / 2:.6f}")

# %% checked
grads, rows = backward(p, x, y), []
for name in p:
    up, down = ({**p, name: p[name] + step} for step in (1e-6, -1e-6))
    slope = ((y - forward(up, x)[2]) ** 2 - (y - forward(down, x)[2]) ** 2) / 2 / 2e-6
    rows.append((name, f"{grads[name]:.8f}", f"{slope:.8f}"))
show(Table((_("parameter"), _("chain of slopes"), _("measured")), tuple(rows)))

# %% limpide
network = lp.Network.parse("1, 1 sigmoid, 1 sigmoid, 1 sigmoid")
weights = {}
for i, name in enumerate("123"):
    weights |= {f"{2 * i}.dense.W": np.array([[p[f"w{name}"]]]), f"{2 * i}.dense.b": np.array([p[f"b{name}"]])}
loss, found = get_engine("numpy").loss_and_gradients(
    network, LOSSES["half_mse"], weights, np.array([[x]]), np.array([[y]])
)
show(Table((_("parameter"), _("gradient")), tuple((name, f"{value.item():.8f}") for name, value in found.items())))
