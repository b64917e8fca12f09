"""Five people, encoded by hand and by limpide; categories with numbers and without."""

import numpy as np
import polars as pl

import limpide as lp
from limpide.data.columns import understand
from limpide.data.preparation import TablePreparation
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_decimal
from limpide.labs import show

# %% people
people = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 5],
        _("age"): [25, 32, 45, 23, 55],
        _("sex"): ["F", "M", "F", "M", "F"],
        _("job"): _("engineer doctor teacher student retired").split(),
        _("income"): [50, 70, 45, 13, 40],
    }
)
columns, notes = understand(people)
show(
    Table(tuple(people.columns), tuple(people.rows())),
    Table((_("column"), _("taken for"), _("because")), tuple((c.name, c.kind, c.why) for c in columns)),
)


# %% numbers
def standardised(values):
    """Distances from the mean, in standard deviations."""
    return (values - values.mean()) / values.std()


rows = []
for name in (_("age"), _("income")):
    values = people[name].to_numpy().astype(float)
    z = "  ".join(format_decimal(value, 4) for value in standardised(values))
    rows.append((name, format_decimal(values.mean(), 1), format_decimal(values.std(), 4), z))
show(Table((_("column"), _("mean"), _("standard deviation"), _("standardised")), tuple(rows)))


# %% categories
def one_hot(cells):
    """The categories in alphabetical order, and a row for each cell: 1 at its category."""
    names = sorted(set(cells))
    return names, np.array([[float(cell == name) for name in names] for cell in cells])


jobs, encoded = one_hot(people[_("job")])
rows = [(cell, *(f"{value:g}" for value in row)) for cell, row in zip(people[_("job")], encoded)]
show(Table((_("job"), *jobs), tuple(rows)))

# %% together
parts = [
    standardised(people[_("age")].to_numpy())[:, None],
    one_hot(people[_("sex")])[1],
    encoded,
    standardised(people[_("income")].to_numpy())[:, None],
]
by_hand = np.concatenate(parts, axis=1)
show(
    " + ".join(str(part.shape[1]) for part in parts) + f" = {by_hand.shape[1]}",
    "\n".join("  ".join(f"{value:7.4f}" for value in row) for row in by_hand),
)

# %% limpide
preparation = TablePreparation.fit(people, columns)
prepared = preparation.transform(people)
known = [i for i, name in enumerate(preparation.feature_names) if not name.endswith(")")]
show(
    Table(
        (_("column"), _("treatment"), _("arithmetic")),
        tuple((row.column, row.treatment, row.arithmetic) for row in preparation.rows()),
    ),
    _("{n} features, of which {m} are those made by hand").format(n=prepared.shape[1], m=len(known)),
    _("largest difference: {gap}").format(gap=f"{np.abs(prepared[:, known] - by_hand).max():.0e}"),
)

# %% newcomers
newcomers = pl.DataFrame(
    {_("age"): [None, 40], _("sex"): ["F", "M"], _("job"): [_("pilot"), jobs[0]], _("income"): [30, 20]}
)
show(
    *(note.text for note in preparation.notes(newcomers)),
    "\n".join("  ".join(f"{value:6.2f}" for value in row) for row in preparation.transform(newcomers)),
)

# %% numbered
rng = np.random.default_rng(0)
cities = np.array([f"city {letter}" for letter in "ABCDEFGH"])
rent = np.array([9.0, 15.0, 7.0, 12.0, 21.0, 8.0, 18.0, 11.0])
place = rng.integers(0, 8, 800)
price = rent[place] + rng.normal(0, 1, 800)
rows = []
for network, name in (("", _("linear")), ("16 relu", _("16 hidden units"))):
    measured = []
    for column in (place.astype(float), cities[place]):
        data = pl.DataFrame({"city": column, "rent": price})
        kinds = {"city": "number" if column.dtype.kind == "f" else "category"}
        how = {"network": network, "epochs": 60, "rate": 0.02, "patience": 0, "save": False, "baselines": False}
        run = lp.train(data, target="rent", kinds=kinds, **how)
        measured.append(run.test.metrics["mae"].value)
    rows.append((name, *measured))
show(Table((_("network"), _("mean error, cities numbered 0 to 7"), _("cities one-hot")), tuple(rows)))

# %% scale
rng = np.random.default_rng(0)
area, rooms = rng.normal(90, 30, 400), rng.normal(3.5, 1, 400)
worth = 2 * standardised(area) + 2 * standardised(rooms) + rng.normal(0, 0.3, 400)
curves = {}
for standardise, name in ((True, _("scaled")), (False, _("as they are"))):
    data = pl.DataFrame({"area": area, "rooms": rooms, "worth": worth})
    fit = lp.fit(
        data,
        target="worth",
        network="",
        optimizer="sgd",
        rate=0.05 if standardise else 0.00003,
        epochs=30,
        patience=0,
        standardise=standardise,
    )
    losses = [epoch.validation_loss for epoch in fit]
    curves[name] = (np.arange(1, len(losses) + 1), losses)
show(
    plots.lines(
        "scale",
        _("The same data on two scales"),
        _("The loss on rows held out, for areas near 90 beside rooms near 3. Unscaled, a larger rate diverges."),
        _("epoch"),
        _("loss"),
        curves,
        log_y=True,
    )
)
