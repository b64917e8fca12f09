"""Two networks for production costs, what they are measured against, and the programs they become."""

import runpy
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import polars as pl

import limpide as lp
from limpide.engines.base import get_engine
from limpide.export import export
from limpide.export.program import program_text
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show
from limpide.nn.grammar import complete_network
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import make_optimizer


# %% data
def rows_of(source):
    """Inputs, costs, and how many of the rows train: the first 80%."""
    data = lp.open_source(source)
    x, y = data.inputs.to_numpy().astype(np.float32), data.target.to_numpy().astype(np.float32)
    return x, y[:, None], int(0.8 * len(x))


x, y, n = rows_of("production-costs")
header = (_("material (kg)"), _("hours"), _("labour"), _("cost"))
show(Table(header, tuple((*(round(float(v), 2) for v in row), round(float(c), 2)) for row, (c,) in zip(x[:5], y))))
show(_("{n} rows to learn from, {m} to be tested on").format(n=n, m=len(x) - n))


# %% training
def train(x, y, n, layers, rate, epochs, batch, seed=42):
    """The trained network as a function, and for each epoch: loss while training, test error, mean of batch errors."""
    network, rng = complete_network(layers, (x.shape[1],), 1), np.random.default_rng(seed)
    trainer = get_engine("numpy").trainer(
        network, LOSSES["mse"], make_optimizer("adam", rate=rate), network.initialize(rng)
    )
    log = []
    for _epoch in range(epochs):
        # of each batch: zero gradients, forward, loss, backward, step
        losses = trainer.run(x[:n], y[:n], rng.permutation(n), batch, lambda layer: rng)
        squares = (trainer.evaluate(x[n:]) - y[n:]) ** 2
        batches = [squares[i : i + batch].mean() for i in range(0, len(squares), batch)]
        log.append((losses.mean(), squares.mean(), np.mean(batches)))
    return network, trainer.evaluate, np.array(log)


# %% small
network, predict, log = train(x, y, n, "64 relu, 32 relu, 1", rate=0.01, epochs=50, batch=32)
show(str(network), _("{n} parameters").format(n=network.n_parameters))
epochs = np.arange(1, 51)
curves = {_("training"): (epochs, log[:, 0]), _("test"): (epochs, log[:, 1])}
show(
    plots.lines(
        "small",
        _("Fifty epochs"),
        _("The mean squared error, on a logarithmic scale."),
        _("epoch"),
        _("loss"),
        curves,
        log_y=True,
    )
)
answers = predict(x[n : n + 5])
show(Table((_("real cost"), _("predicted")), tuple((f"{t:.2f}", f"{p:.2f}") for (t,), (p,) in zip(y[n:], answers))))


# %% yardsticks
def line_error(x, y, n):
    """The coefficients of least squares on the training rows, and their mean squared error on the test rows."""
    A = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    best = np.linalg.lstsq(A[:n], y[:n, 0].astype(np.float64))[0]
    return best, float(((A[n:] @ best - y[n:, 0]) ** 2).mean())


def formula_error(x, y, n):
    """The mean squared error of the formula that made the costs."""
    return float(((x[n:] @ np.array([3.0, 2.0, 4.0]) - y[n:, 0]) ** 2).mean())


# %% line
best, error = line_error(x, y, n)
show("{:.3f}·x₀ {:+.3f}·x₁ {:+.3f}·x₂ {:+.3f}".format(*best))
rows = [
    (_("network"), network.n_parameters, float(log[-1, 1])),
    (_("least squares"), 4, error),
    (_("the formula itself"), 0, formula_error(x, y, n)),
]
show(Table((_("model"), _("parameters"), _("mean squared error on the test rows")), tuple(rows)))

# %% batches
gap = np.abs(log[:, 2] - log[:, 1])
epoch = int(gap.argmax())
text = _("epoch {epoch}: mean over the rows {rows}, mean of the batch means {batches}")
show(text.format(epoch=epoch + 1, rows=f"{log[epoch, 1]:.3f}", batches=f"{log[epoch, 2]:.3f}"))

# %% deep
X, Y, N = rows_of("production-costs-5000")
deep, predict_deep, deep_log = train(X, Y, N, "128 relu, 64 relu, 32 relu, 16 relu, 1", 0.001, 100, 64)
rows = [
    (_("network"), deep.n_parameters, float(deep_log[-1, 1])),
    (_("least squares"), 4, line_error(X, Y, N)[1]),
    (_("the formula itself"), 0, formula_error(X, Y, N)),
]
show(Table((_("model"), _("parameters"), _("mean squared error on the test rows")), tuple(rows)))
answers = predict_deep(X[N : N + 10])
rows = [(f"{t:.2f}", f"{p:.2f}", f"{abs(t - p):.2f}") for (t,), (p,) in zip(Y[N:], answers)]
show(Table((_("real cost"), _("predicted"), _("error")), tuple(rows)))

# %% overfit
few = pl.DataFrame({**{f"x{i}": x[:80, i] for i in range(3)}, "cost": y[:80, 0]})
curves = {}
for width in (4, 128):
    training = lp.fit(
        few,
        target="cost",
        network=f"{width} relu, {width} relu",
        rate=0.01,
        batch_size=16,
        epochs=300,
        patience=0,
        validation=0.5,
        test=0.1,
    )
    history = list(training)
    epochs = np.arange(1, len(history) + 1)
    curves[_("{n} units, training").format(n=width)] = (epochs, [epoch.train_loss for epoch in history])
    curves[_("{n} units, validation").format(n=width)] = (epochs, [epoch.validation_loss for epoch in history])
show(
    plots.lines(
        "overfit",
        _("Thirty-two rows, two widths"),
        _("The loss on the rows that train and on forty others."),
        _("epoch"),
        _("loss"),
        curves,
        log_y=True,
    )
)

# %% limpide
run = lp.train("production-costs", network="64 relu, 32 relu", seed=42, save=False)
show(run.figures.loss(), textwrap.fill(run.verdict, 76))


# %% torch
def part(text, first, after):
    """The lines of a program from one definition to another."""
    return text[text.index(f"def {first}") : text.index(f"def {after}")].strip()


program = program_text(run, "torch", "costs")
show(part(program, "build", "trained"), "", part(program, "train(", "predict"))

# %% keras
program = program_text(run, "keras", "costs")
show(part(program, "build", "trained"), "", part(program, "train(", "predict"))

# %% alone
with tempfile.TemporaryDirectory() as folder:
    place, _weights = export(run, "numpy", Path(folder) / "costs.py")
    alone = runpy.run_path(str(place))
product = {"material_kg": "5", "production_hours": "4", "labour_cost": "2"}
by_program, by_run = alone["predict"]([product])[0], run.predict([product])["prediction"][0]
show(f"3·5 + 2·4 + 4·2 = {3 * 5 + 2 * 4 + 4 * 2}", f"{by_program:.6f}  {by_run:.6f}")
