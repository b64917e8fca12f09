"""A network of 2-3-3-1 units, its 25 parameters chosen by hand."""

import numpy as np

import limpide as lp
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show

# %% network
network = lp.Network.parse("2, 3 relu, 3 relu, 1 relu")
b = np.array([0.1, 0.2, 0.3])
weights = {
    "0.dense.W": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
    "0.dense.b": b,
    "2.dense.W": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]),
    "2.dense.b": b,
    "4.dense.W": np.array([[0.1], [0.2], [0.3]]),
    "4.dense.b": np.array([0.1]),
}
show(network)

# %% sums
x = np.array([70.0, 25.0])
rows = []
for name in ("0.dense", "2.dense", "4.dense"):
    z = x @ weights[f"{name}.W"] + weights[f"{name}.b"]
    rows.append((name, "  ".join(f"{value:g}" for value in x), "  ".join(f"{value:g}" for value in z)))
    x = np.maximum(z, 0)
show(Table((_("layer"), _("input"), _("weighted sums")), tuple(rows)))

# %% by_hand
x, W = np.array([70.0, 25.0]), weights["0.dense.W"]
parts = [f"{value:g}·{weight:g}" for value, weight in zip(x, W[:, 0])]
show(f"{' + '.join(parts)} + {b[0]:g} = {x @ W[:, 0] + b[0]:g}")

# %% columns
first = x @ W  # a row of inputs times a matrix (inputs, units)
second = W.T @ x  # a matrix (units, inputs) times a column of inputs
show(f"x W = {first}", f"Wᵀ x = {second}", _("equal: {answer}").format(answer=np.array_equal(first, second)))
