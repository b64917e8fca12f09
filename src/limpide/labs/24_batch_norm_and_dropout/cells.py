"""Batch normalisation and dropout: by hand, as layers, and whether they help."""

import numpy as np

import limpide as lp
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import is_full, show
from limpide.nn.layers import BatchNorm, Dropout
from limpide.nn.layers.base import EVALUATION, TRAINING, Mode


# %% normalise
def normalise(x, mean, variance, epsilon=1e-5):
    """Each column to mean 0 and standard deviation 1."""
    return (x - mean) / np.sqrt(variance + epsilon)


rng = np.random.default_rng(0)
batch = rng.normal(5, 2, (64, 1))
normal = normalise(batch, batch.mean(axis=0), batch.var(axis=0))
rows = [(name, f"{x.mean():.3f}", f"{x.std():.3f}") for name, x in ((_("before"), batch), (_("after"), normal))]
show(Table(("", _("mean"), _("standard deviation")), tuple(rows)))

# %% running
layer, rows = BatchNorm(), []
weights = layer.init((1,), rng)
for i in range(1, 51):
    out = layer.forward(weights, rng.normal(5, 2, (64, 1)), TRAINING)
    weights = weights._replace(buffers=out.buffers)
    if i in (1, 2, 5, 10, 20, 50):
        unseen = layer.forward(weights, batch, EVALUATION).y
        running = (out.buffers["mean"].item(), out.buffers["variance"].item())
        rows.append((i, *(f"{value:z.3f}" for value in (*running, out.y.mean(), unseen.mean(), unseen.std()))))
headings = (_("batches"), _("running mean"), _("running variance"))
results = (_("mean in training"), _("mean in evaluation"), _("deviation in evaluation"))
show(Table(headings + results, tuple(rows)))

# %% dropped
ones = np.ones((1, 20))
half = Dropout(0.5)
for seed in (0, 1):
    kept = half.forward(half.init((20,), rng), ones, Mode(training=True, rng=np.random.default_rng(seed))).y
    show(" ".join(f"{value:g}" for value in kept[0]))
many = half.forward(half.init((1,), rng), np.ones((100_000, 1)), Mode(training=True, rng=rng)).y
unseen = half.forward(half.init((20,), rng), ones, EVALUATION).y
show(_("mean of 100,000 in training: {mean}").format(mean=f"{many.mean():.3f}"))
show(_("in evaluation: {values}").format(values=" ".join(f"{value:g}" for value in unseen[0])))

# %% tried
answer = lp.compare(
    "batch-norm-and-dropout", seeds=20 if is_full() else 4, epochs=40 if is_full() else 20, save=False, report=False
)
show(answer)
