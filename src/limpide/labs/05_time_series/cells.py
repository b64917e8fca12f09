"""Windows of a series, a network that forecasts the next value, and the naive forecast beside it."""

import numpy as np
import polars as pl

import limpide as lp
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _
from limpide.labs import show


# %% series
def weather(rng, n):
    """A temperature each day: the seasons, and weather that lasts for some days."""
    days, spell = np.arange(n), np.zeros(n)
    for day in range(1, n):
        spell[day] = 0.7 * spell[day - 1] + rng.normal(0, 2)
    return 12 - 9 * np.cos(2 * np.pi * days / 365) + spell


def traffic(rng, n):
    """Visitors each day: a rhythm of seven days, and noise."""
    week = np.array([100, 96, 95, 99, 120, 160, 150])
    return week[np.arange(n) % 7] + rng.normal(0, 6, n)


def price(rng, n):
    """A price each day: yesterday's, and a step to either side."""
    return 100 + np.cumsum(rng.normal(0, 1, n))


rng = np.random.default_rng(0)
series = {_("temperature"): weather(rng, 1500), _("visitors"): traffic(rng, 1500), _("price"): price(rng, 1500)}
for (name, values), n in zip(series.items(), (400, 60, 400)):
    days = np.arange(n)
    title = _("{name}, one value a day").format(name=name.capitalize())
    caption = _("The first {n} days.").format(n=n)
    show(plots.lines(f"series-{name}", title, caption, _("day"), name, {name: (days, values[:n])}, size=(5.4, 2.2)))


# %% windows
def windows(values, length):
    """Each run of `length` values, and the value that comes next."""
    x = np.lib.stride_tricks.sliding_window_view(values, length)[:-1]
    return x, values[length:]


x, y = windows(np.array([3.0, 5.0, 4.0, 6.0, 8.0, 7.0]), 3)
rows = [("  ".join(f"{value:g}" for value in row), float(nxt)) for row, nxt in zip(x, y)]
show(Table((_("window"), _("next value")), tuple(rows)))

# %% naive
rows = []
for name, values in series.items():
    last = values[1200:]
    rows.append((name, float(np.abs(last[1:] - last[:-1]).mean()), float(np.abs(last - values[:1200].mean()).mean())))
show(Table((_("series"), _("tomorrow as today"), _("always the mean of the past")), tuple(rows)))


# %% network
def forecast(values, length=14, change=False):
    """The forecasts of a network for the last fifth of a series, and the truth.

    change  forecast the step from the last value of the window instead of the value
    """
    x, y = windows(values, length)
    base = x[:, -1] if change else np.zeros(len(x))
    lags = {f"lag {length - i}": x[:, i] - base for i in range(length - change)}  # in changes, the last lag is 0
    table = pl.DataFrame({**lags, "next": y - base})
    run = lp.train(
        table,
        target="next",
        split="ordered",
        validation=0.1,
        test=0.2,
        network="16 silu",
        epochs=40,
        patience=10,
        save=False,
        baselines=False,
    )
    first = len(x) - len(x) // 5
    return run, run.predictions_array(table[first:].drop("next")) + base[first:], y[first:]


rows = []
for name, values in series.items():
    _run, guess, truth = forecast(values)
    error = float(np.abs(guess - truth).mean())
    naive = float(np.abs(truth - values[len(values) - len(truth) - 1 : -1]).mean())
    rows.append((name, naive, error, error / naive))
show(Table((_("series"), _("error of tomorrow as today"), _("error of the network"), _("ratio")), tuple(rows)))

# %% change
rows, found = [], {}
for name, values in series.items():
    _run, guess, truth = forecast(values, change=True)
    error = float(np.abs(guess - truth).mean())
    naive = float(np.abs(truth - values[len(values) - len(truth) - 1 : -1]).mean())
    rows.append((name, error, error / naive))
    found[name] = guess, truth
show(Table((_("series"), _("error when it forecasts the change"), _("ratio")), tuple(rows)))

# %% look
guess, truth = found[_("price")]
days = np.arange(60)
show(
    plots.lines(
        "price-forecast",
        _("A forecast that looks good"),
        _("The price of 60 days and its forecasts from the day before. Look at the turns."),
        _("day"),
        _("price"),
        {_("truth"): (days, truth[:60]), _("forecast"): (days, guess[:60])},
    )
)

# %% ahead
values = series[_("temperature")]
run, _guess, _truth = forecast(values)
starts, horizon, length = np.arange(1200, 1480), 14, 14
window = np.stack([values[start - length : start] for start in starts])
errors, naive = [], []
for step in range(horizon):
    table = pl.DataFrame({f"lag {length - i}": window[:, i] for i in range(length)})
    guess = run.predictions_array(table)
    truth = values[starts + step]
    errors.append(float(np.abs(guess - truth).mean()))
    naive.append(float(np.abs(values[starts - 1] - truth).mean()))
    window = np.column_stack([window[:, 1:], guess])
show(
    plots.lines(
        "ahead",
        _("Further ahead"),
        _("The mean error of the temperature for 1 to 14 days ahead. The network reads its own forecasts."),
        _("days ahead"),
        _("mean error"),
        {_("tomorrow as today"): (np.arange(1, 15), naive), _("network"): (np.arange(1, 15), errors)},
    )
)
