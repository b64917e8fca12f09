"""A classifier of eleven inputs: its parameters, its two births, its threshold, its programs."""

import numpy as np
import polars as pl

import limpide as lp
from limpide.export.program import program_text
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_percent
from limpide.labs import show
from limpide.nn.grammar import complete_network

# %% data
rng = np.random.default_rng(0)
x = rng.normal(size=(1000, 11))
score = x @ rng.normal(size=11) + 0.5 * x[:, 0] * x[:, 1]
frame = pl.DataFrame({**{f"x{i + 1}": x[:, i] for i in range(11)}, "answer": np.where(score > 0, "yes", "no")})
shown = ["x1", "x2", "x3", "answer"]
show(Table(tuple(shown), tuple(frame.head(4).select(shown).rows())))
show(_("{share} yes").format(share=format_percent(np.mean(score > 0), 1)))

# %% network
LAYERS = "6 relu, 6 relu, 1 sigmoid"
network = complete_network(LAYERS, (11,), 1)
rows = [(row.specification, row.parameters, row.arithmetic) for row in network.table() if row.parameters]
header = (_("layer"), _("parameters"), _("arithmetic"))
show(Table(header, (*rows, (_("sum"), network.n_parameters, ""))))

# %% births
births = {"PyTorch": "pytorch", "Keras": "xavier"}
rows = []
for library, initializer in births.items():
    drawn = complete_network(LAYERS, (11,), 1, initializer).initialize(np.random.default_rng(0))
    for path in ("0.dense", "2.dense", "4.dense"):
        W, b = drawn[f"{path}.W"], drawn[f"{path}.b"]
        rows.append((library, path, float(np.abs(W).max()), float(np.abs(b).max())))
show(Table((_("library"), _("layer"), _("largest weight"), _("largest bias")), tuple(rows)))

# %% training
epsilons = {"PyTorch": 1e-8, "Keras": 1e-7}


def train(library, seed):
    """A hundred epochs, batches of 10, with what the library does when nothing is said."""
    return lp.train(
        frame,
        target="answer",
        network=LAYERS,
        initializer=births[library],
        optimizer="adam",
        optimizer_options={"epsilon": epsilons[library]},
        epochs=100,
        batch_size=10,
        patience=0,
        validation=0.1,
        test=0.2,
        seed=seed,
        baselines=False,
        save=False,
    )


runs = {(library, seed): train(library, seed) for library in births for seed in range(3)}
curves = {
    f"{library}, {seed}": (np.arange(1, 101), [epoch.train_loss for epoch in run.history])
    for (library, seed), run in runs.items()
}
show(
    plots.lines(
        "training",
        _("Two births, three seeds"),
        _("The training loss; the number behind the name is the seed."),
        _("epoch"),
        _("loss"),
        curves,
        log_y=True,
    )
)
rows = [
    (library, seed, *(format_percent(run.evaluations[part].metrics["accuracy"].value, 1) for part in ("train", "test")))
    for (library, seed), run in runs.items()
]
show(Table((_("library"), _("seed"), _("accuracy, training"), _("accuracy, test")), tuple(rows)))


# %% threshold
def at_threshold(run, threshold):
    """Precision and recall of "yes" on the test rows when "yes" is said from this probability on."""
    says_yes, is_yes = run.test_outputs[:, 1] >= threshold, run.test_truth == 1
    hits = int((says_yes & is_yes).sum())
    return hits / int(says_yes.sum()), hits / int(is_yes.sum())


run = runs["Keras", 1]
thresholds = np.linspace(0.01, 0.95, 95)
precision, recall = np.array([at_threshold(run, t) for t in thresholds]).T
show(
    plots.lines(
        "threshold",
        _("The threshold is yours to choose"),
        _("Of those called yes, how many are (precision); of those that are, how many are called (recall)."),
        _("threshold"),
        _("share"),
        {_("precision"): (thresholds, precision), _("recall"): (thresholds, recall)},
    )
)


# %% programs
def part(text, first, after):
    """The lines of a program from one definition to another."""
    return text[text.index(f"def {first}") : text.index(f"def {after}")].strip()


for to in ("torch", "keras"):
    program = program_text(run, to, "classifier")
    show(f"# {to}", part(program, "build", "trained"), "", part(program, "train(", "predict"), "")
