"""Mean absolute error, mean squared error, and two cross-entropies."""

import numpy as np

from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.losses import LOSSES

# %% errors
truth = np.array([17.0, 20.0, 18.0, 21.0, 20.0])
prediction = np.array([15.0, 18.0, 20.0, 22.0, 25.0])
error = prediction - truth
rows = [(float(y), float(p), float(abs(e)), float(e**2)) for y, p, e in zip(truth, prediction, error)]
mae, mse = (
    LOSSES["mae"].mean(prediction[:, None], truth[:, None]),
    LOSSES["mse"].mean(prediction[:, None], truth[:, None]),
)
show(Table((_("truth"), _("prediction"), _("size of the error"), _("square")), (*rows, ("", _("mean"), mae, mse))))
show(f"√{mse:.1f} = {mse**0.5:.3f}")

# %% constants
candidates = np.linspace(-1, 11, 241)
values = np.array([0.0, 0.0, 10.0])
absolute = np.abs(candidates[:, None] - values).mean(axis=1)
squared = ((candidates[:, None] - values) ** 2).mean(axis=1)
show(
    plots.lines(
        "constants",
        _("The same numbers, two best answers"),
        _("The mean loss of one constant answer for the three values 0, 0 and 10."),
        _("answer"),
        _("mean loss"),
        {_("absolute"): (candidates, absolute), _("root of the squared"): (candidates, np.sqrt(squared))},
    ),
    f"{candidates[absolute.argmin()]:.2f}  {candidates[squared.argmin()]:.2f}",
)

# %% binary
labels = np.array([1.0, 0.0, 1.0])
probability = np.array([0.9, 0.2, 0.6])
given = np.where(labels == 1, probability, 1 - probability)
rows = [(float(y), float(p), float(g), float(-np.log(g))) for y, p, g in zip(labels, probability, given)]
mean = LOSSES["binary_cross_entropy"].mean(probability[:, None], labels[:, None])
header = (_("label"), _("probability of 1"), _("given to the truth"), _("loss"))
show(Table(header, (*rows, ("", "", _("mean"), mean))))

# %% surprise
p = np.linspace(0.005, 1, 300)
show(
    plots.lines(
        "surprise",
        _("The price of a probability"),
        _("What an example costs when its true class was given this probability."),
        _("probability given to the truth"),
        _("loss"),
        {"−ln p": (p, -np.log(p))},
    )
)

# %% classes
truth_of_rows = np.array([0, 1, 3])
given = np.full((3, 4), 0.1)
given[np.arange(3), truth_of_rows] = 0.7
show(f"{LOSSES['categorical_cross_entropy'].mean(given, truth_of_rows):.5f}")

# %% best
x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])
best = (x @ y) / (x @ x)
show(f"W = {best:.5f}, J = {((y - best * x) ** 2).mean():.5f}")
