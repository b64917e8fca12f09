"""A rule by hand, labels, no labels, few labels, rewards: five small programs."""

import numpy as np

import limpide as lp
from limpide.figures import plots
from limpide.figures.picture import Table
from limpide.i18n import _, format_count, format_decimal
from limpide.labs import show

# %% rule
tumours = lp.open_source("breast-cancer")
x, names = tumours.inputs.to_numpy(), tumours.inputs.columns
is_malignant = tumours.target.to_numpy() == "malignant"
order = np.random.default_rng(0).permutation(len(x))
train, test = order[:400], order[400:]
radius = x[:, names.index("mean_radius")]


def learned_cut(values, answers):
    """The threshold that is right most often on these rows."""
    return max(np.unique(values), key=lambda cut: np.mean((values > cut) == answers))


cut = learned_cut(radius[train], is_malignant[train])
network = lp.NetworkClassifier("16 relu", epochs=30, validation=0, engine="numpy", random_state=0)
network.fit(x[train], is_malignant[train])
rows = (
    (_("a rule by hand: malignant above a radius of 13"), float(np.mean((radius[test] > 13) == is_malignant[test]))),
    (
        _("the same rule, its number learned: {cut}").format(cut=format_decimal(cut, 2)),
        float(np.mean((radius[test] > cut) == is_malignant[test])),
    ),
    (_("a network that reads all 30 measures"), float(network.score(x[test], is_malignant[test]))),
)
show(Table((_("who decides"), _("accuracy on {n} tumours").format(n=len(test))), rows))

# %% machines
tokens, cards, tokens_per_second = 1.4e12, 2048, 380
seconds = tokens / (cards * tokens_per_second)
show(_("{days} days").format(days=format_decimal(seconds / 86_400, 1)))

# %% heads
rows = []
for source in ("diabetes", "breast-cancer", "iris"):
    fit = lp.fit(source, network="16 relu", epochs=1)
    rows.append((source, fit.job.target.task, str(fit.job.network), fit.job.loss.name))
show(Table((_("data"), _("task"), _("network"), _("loss")), tuple(rows)))


# %% clusters
def k_means(x, centres, rounds=20):
    """Move each centre to the middle of the points nearest to it, again and again.

    Returns the centres, the number of each point's centre, and the sum of squared distances of each round.
    """
    sums = []
    for _round in range(rounds):
        distances = ((x[:, None, :] - centres) ** 2).sum(axis=2)
        nearest = distances.argmin(axis=1)
        sums.append(distances.min(axis=1).sum())
        centres = np.stack([x[nearest == k].mean(axis=0) for k in range(len(centres))])
    return centres, nearest, sums


blobs = lp.open_source("blobs?samples=300&centers=3&spread=1.2&seed=4")
x = blobs.inputs.to_numpy()
centres, nearest, sums = k_means(x, x[:3])
show(
    plots.scatter(
        "clusters",
        _("Three groups nobody named"),
        _("300 points, coloured by the centre nearest to them. No label was used."),
        _("first input"),
        _("second input"),
        {
            **{name: x[nearest == k].T for k, name in enumerate("ABC")},
            _("centres"): centres.T,
        },
    ),
    Table((_("round"), _("sum of squared distances")), tuple((i + 1, float(s)) for i, s in enumerate(sums[:8]))),
)


# %% pseudo_labels
def self_training(seed, rounds=3, sure=0.9):
    """Digits with 50 labels: the accuracy on unseen digits, and how many pseudo-labels were used, round by round."""
    digits = lp.open_source("digits")
    x, y = np.asarray(digits.inputs).reshape(len(digits), -1) / 255, np.asarray(digits.target)
    order = np.random.default_rng(seed).permutation(len(x))
    labelled, unlabelled, test = order[:50], order[50:1297], order[1297:]
    x_now, y_now, found = x[labelled], y[labelled], []
    for _round in range(rounds + 1):
        model = lp.NetworkClassifier(
            "32 relu",
            epochs=40,
            batch_size=32,
            rate=0.01,
            validation=0,
            standardise=False,
            engine="numpy",
            random_state=0,
        )
        model.fit(x_now, y_now)
        found.append((len(x_now) - 50, float(model.score(x[test], y[test]))))
        shares = model.predict_proba(x[unlabelled])
        taken = unlabelled[shares.max(axis=1) > sure]
        guesses = model.classes_[shares.argmax(axis=1)][shares.max(axis=1) > sure]
        x_now, y_now = np.concatenate([x[labelled], x[taken]]), np.concatenate([y[labelled], guesses])
    return found


rows = []
for seed in range(3):
    for i, (n, share) in enumerate(self_training(seed)):
        rows.append((seed, i, format_count(n), format_decimal(share, 3)))
show(Table((_("draw of the 50"), _("round"), _("pseudo-labels"), _("accuracy")), tuple(rows)))

# %% world
WORLD = ("....G", ".##.P", "S....")
MOVES = {"↑": (-1, 0), "→": (0, 1), "↓": (1, 0), "←": (0, -1)}


def step(place, move):
    """Where a move leads, its reward, and whether the game ends; a wall (#) and the edge hold one back."""
    row, column = place[0] + move[0], place[1] + move[1]
    if not (0 <= row < 3 and 0 <= column < 5) or WORLD[row][column] == "#":
        row, column = place
    reward = {"G": 1.0, "P": -1.0}.get(WORLD[row][column], -0.02)
    return (row, column), reward, WORLD[row][column] in "GP"


def learn(episodes, seed=0, rate=0.5, discount=0.95, curiosity=0.2):
    """Q-learning: a value for each place and move, and the sum of the rewards of each game."""
    rng, values, totals = np.random.default_rng(seed), np.zeros((3, 5, 4)), []
    moves = list(MOVES.values())
    for _episode in range(episodes):
        place, total, is_over = (2, 0), 0.0, False
        for _step in range(100):
            move = rng.integers(4) if rng.random() < curiosity else int(values[place].argmax())
            new, reward, is_over = step(place, moves[move])
            promise = 0.0 if is_over else discount * values[new].max()
            values[place][move] += rate * (reward + promise - values[place][move])
            place, total = new, total + reward
            if is_over:
                break
        totals.append(total)
    return values, np.array(totals)


values, totals = learn(400)
arrows = np.array(list(MOVES))[values.argmax(axis=2)]
show("\n".join("  ".join(c if c in "#GP" else a for c, a in zip(*rows)) for rows in zip(WORLD, arrows)))
runs = np.array([learn(100, seed)[1] for seed in range(20)])
smooth = np.convolve(runs.mean(axis=0), np.ones(10) / 10, mode="valid")
show(
    plots.lines(
        "rewards",
        _("Learning from rewards"),
        _("The sum of the rewards of a game, over ten games and twenty learners. The first games are a random walk."),
        _("game"),
        _("reward"),
        {_("reward"): (np.arange(10, 101), smooth)},
    )
)

# %% wiring
dense, convolution = lp.Network.parse("1x28x28, 25088"), lp.Network.parse("1x28x28, conv 32 3x3 pad 1")
show(
    Table(
        (_("from 28 × 28 pixels to 32 × 28 × 28 units"), _("parameters")),
        (
            (_("each unit feeds each"), format_count(dense.n_parameters)),
            (_("each unit sees 3 × 3 neighbours"), format_count(convolution.n_parameters)),
        ),
    )
)


# %% recurrent
def states(sequence):
    """The states of a unit that hears its own last output."""
    state, seen = 0.0, []
    for value in sequence:
        state = np.tanh(0.8 * state + 0.5 * value)
        seen.append(state)
    return np.array(seen)


first, changed = states([1, 2, -1, 0, 3]), states([1, 2, -1, 0, -3])
rows = [(i + 1, format_decimal(a, 4), format_decimal(b, 4)) for i, (a, b) in enumerate(zip(first, changed))]
show(Table((_("time"), _("state"), _("after a change of the last input")), tuple(rows)))
