"""Descent on a parabola, on one parameter, on two."""

import numpy as np

from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show

# %% parabola
rates = {"0.1": 0.1, "0.5": 0.5, "0.95": 0.95, "1.05": 1.05}
paths = {}
for name, rate in rates.items():
    w, path = -4.0, [-4.0]
    for _step in range(12):
        w -= rate * 2 * w  # J = w², so dJ/dw = 2w
        path.append(w)
    paths[name] = (np.arange(13), np.abs(path) + 1e-9)
show(
    plots.lines(
        "rates",
        _("Four rates on J = w²"),
        _("The distance from the minimum after each step, on a logarithmic scale, from w = −4."),
        _("step"),
        _("distance"),
        paths,
        log_y=True,
    )
)

# %% first_step
x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])
W = 0.0
error = y - W * x
gradient = (-2 * x * error).mean()
rows = [(float(a), float(b), float(e), float(e**2), float(-2 * a * e)) for a, b, e in zip(x, y, error)]
header = (_("x"), _("y"), _("error"), _("square"), "−2·x·e")
show(
    Table(header, tuple(rows)),
    f"J = {(error**2).mean():g}",
    f"dJ/dW = {gradient:g}",
    f"W = 0 − 0.1·({gradient:g}) = {-0.1 * gradient:g}",
)

# %% one_parameter
W, rows = 0.0, []
for iteration in range(1, 101):
    error = y - W * x
    J = (error**2).mean()
    W -= 0.1 * (-2 * x * error).mean()
    if iteration <= 8 or iteration in (10, 100):
        rows.append((iteration, float(J), float(W)))
show(Table((_("iteration"), _("J before the step"), _("W after it")), tuple(rows)))

# %% two_parameters
w = b = 0.0
rows, path = [], [(0.0, 0.0)]
for iteration in range(1, 234):
    error = y - (w * x + b)
    J = (error**2).mean()
    w, b = w + 0.1 * (2 * x * error).mean(), b + 0.1 * (2 * error).mean()
    path.append((w, b))
    if iteration <= 6 or iteration in (10, 15, 20, 233):
        rows.append((iteration, f"{J:.3f}", f"{w:.3f}", f"{b:.3f}"))
show(Table((_("iteration"), "J", "w", "b"), tuple(rows)), f"w = {w:.6f}, b = {b:.6f}, 4·w + b = {4 * w + b:.6f}")

# %% valley
ws, bs = np.linspace(-0.5, 2.5, 121), np.linspace(-1.0, 3.0, 121)
heights = ((y - (ws[None, :, None] * x + bs[:, None, None])) ** 2).mean(axis=2)
show(
    plots.field(
        "valley",
        _("The way down a narrow valley"),
        _("Level lines of J over the two parameters, each line four tenths of a power of ten apart, and the path."),
        "w",
        "b",
        (ws, bs, heights),
        {_("gradient descent"): np.array(path).T},
    )
)

# %% curvature
X = np.stack([x, np.ones(4)], axis=1)
hessian = 2 * X.T @ X / 4
small, large = np.linalg.eigvalsh(hessian)
show(
    f"{small:.4f}  {large:.4f}",
    _("condition number {number}").format(number=f"{large / small:.2f}"),
    _("stable below a rate of {rate}").format(rate=f"{2 / large:.5f}"),
)
