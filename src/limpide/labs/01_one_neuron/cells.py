"""One unit: the mean, other weights, a sigmoid, a bias."""

import numpy as np

import limpide as lp
from limpide.engines.base import get_engine
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show

# %% mean
x = np.array([7.0, -3.0, 2.0])
w = np.array([1 / 3, 1 / 3, 1 / 3])
total = 0.0
rows = []
for value, weight in zip(x, w):
    total += weight * value
    rows.append((float(value), float(weight), float(weight * value), total))
show(Table((_("input"), _("weight"), _("product"), _("sum so far")), tuple(rows)))
show(repr(total))

# %% weights
w = np.array([0.6, 0.25, 0.15])
rows = [(float(value), float(weight), float(weight * value)) for value, weight in zip(x, w)]
show(Table((_("input"), _("weight"), _("product")), (*rows, (_("sum"), "", float(w @ x)))))

# %% sigmoid
unit = lp.Network.parse("3, 1 sigmoid")
weights = {"0.dense.W": w[:, None], "0.dense.b": np.zeros(1)}
output = get_engine("numpy").forward(unit, weights, x[None])
show(f"σ({w @ x:.2f}) = {output.item():.6f}")

# %% relu
unit = lp.Network.parse("2, 1 relu")
weights = {"0.dense.W": np.array([[0.2], [-0.5]]), "0.dense.b": np.array([0.1])}
z = 0.2 * 2 + -0.5 * 3 + 0.1
output = get_engine("numpy").forward(unit, weights, np.array([[2.0, 3.0]]))
show(f"0.2·2 − 0.5·3 + 0.1 = {z:.1f}", f"ReLU({z:.1f}) = {output.item():.1f}")
