"""A written test: two networks worked out, a sheet corrected, the programme that trains them."""

import numpy as np

import limpide as lp
from limpide.figures.picture import Table
from limpide.i18n import _, format_percent
from limpide.labs import is_full, show
from limpide.labs.exercise import correct, exercise

# %% dense
rn_1 = exercise("rn-1")
show(rn_1)

# %% convolutions
rn_2 = exercise("rn-2")
show(rn_2)

# %% sheet
SHEET_1 = {
    "fc1": {"type": "linear regression", "output": "572", "parameters": "28x28x572"},
    "fc2": {"type": "linear regression", "input": "572", "output": "256", "parameters": "572x256"},
    "fc3": {"type": "linear regression", "input": "256", "output": "128", "parameters": "256x128"},
    "fc4": {"type": "linear regression", "input": "128", "output": "10", "parameters": "128x10"},
}
SHEET_2 = {
    "conv1": {"type": "convolution", "output": "32", "parameters": "1x32x3x3+32 = 320"},
    "conv2": {"type": "convolution", "output": "64", "parameters": "32x64x3x3+64 = 320"},
    "fc1": {"input": "64", "output": "128", "parameters": "64x128+128 = 8192"},
    "fc2": {"input": "128", "output": "10", "parameters": "128x10"},
}

# %% corrected
for network, sheet in ((rn_1, SHEET_1), (rn_2, SHEET_2)):
    cells = [cell for cell in correct(network, sheet) if cell.given]
    rows = [(c.layer, c.column, c.given, "✓" if c.is_right else c.expected, c.why) for c in cells]
    show(Table((_("layer"), _("cell"), _("written"), _("right"), _("why")), tuple(rows)))

# %% lighter
texts = {
    "RN_1": str(rn_1),
    "RN_2": str(rn_2),
    _("fewer filters"): str(rn_2).replace("conv 32", "conv 16").replace("conv 64", "conv 32"),
    _("narrower dense layer"): str(rn_2).replace("128 relu", "32 relu"),
    _("a third pooling"): str(rn_2).replace("maxpool 2, flatten", "maxpool 2, maxpool 2, flatten"),
    _(
        "average over the image"
    ): "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, conv 64 3x3 pad 1 relu, globalavgpool, 10",
}
rows = [(name, lp.Network.parse(text).n_parameters) for name, text in texts.items()]
show(Table((_("network"), _("parameters")), tuple(rows)))

# %% cost
scores, answer = np.array([1.0, 3.0, 0.5]), 1
shares = np.exp(scores) / np.exp(scores).sum()
show(" + ".join(f"e^{s:g}" for s in scores) + f" = {np.exp(scores).sum():.4f}")
show(f"-ln({shares[answer]:.4f}) = {-np.log(shares[answer]):.4f}")

# %% data
data = lp.open_source("mnist")
pixels = data.inputs[:60_000] / 255
text = _("mean {mean}, standard deviation {deviation}")
show(text.format(mean=f"{pixels.mean():.6f}", deviation=f"{pixels.std():.6f}"))

# %% training
rows, (n, epochs) = [], (70_000, 5) if is_full() else (7_000, 3)
training = lp.fit("rn-1", data_options={"rows": n}, epochs=epochs)
for epoch in training:
    rows.append((epoch.epoch, f"{epoch.running_loss:.4f}", f"{epoch.train_loss:.4f}", f"{epoch.validation_loss:.4f}"))
show(Table((_("epoch"), _("mean of the batches"), _("at the end of the epoch"), _("validation")), tuple(rows)))

# %% test
run = training.run(baselines=False)
accuracy = run.test.metrics["accuracy"]
show(_("{share} of the test images are right").format(share=format_percent(accuracy.value, 2)))
