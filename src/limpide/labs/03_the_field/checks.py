"""The claims on the field and on kinds of networks, recomputed where there is something to compute."""

from __future__ import annotations

import numpy as np

import limpide as lp
from limpide.i18n import _, format_percent
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of

STORY = names_of(__file__, "clusters", "world", "recurrent")


@checks("dl-inside-classical-ml")
def classical() -> Finding:
    """Two definitions that exclude each other."""
    return argue(
        "wrong",
        _("classical machine learning is defined as what leaves deep learning out, which then is no branch of it"),
    )


@checks("nested-rl-dl")
def nested() -> Finding:
    """A learner of rewards without a network: so reinforcement learning does not lie inside deep learning."""
    values, totals = STORY.learn(400)
    text = _(
        "a table of {n} numbers and no network: {first} a game in the first ten, {last} in the last hundred; "
        "and a network that learns labels meets no reward: neither contains the other"
    )
    evidence = text.format(n=values.size, first=f"{totals[:10].mean():.2f}", last=f"{totals[-100:].mean():.2f}")
    return argue("wrong", evidence)


@checks("dl-three-inventors")
def inventors() -> Finding:
    """History."""
    return argue(
        "wrong",
        _("polynomial networks were trained layer by layer in the 1960s, the neocognitron dates from 1980"),
    )


@checks("llama-five-months")
def months() -> Finding:
    """Tokens by tokens a day."""
    days = 1.4e12 / (380 * 2048) / 86_400
    return judge(abs(days - 150) < 2, _("{days} days").format(days=f"{days:.1f}"))


@checks("unsupervised-error-per-prediction")
def groups() -> Finding:
    """The groups of k-means renamed: its sum is the same, so no single answer is right or wrong."""
    x = lp.open_source("blobs?samples=300&centers=3&spread=1.2&seed=4").inputs.to_numpy()
    centres, nearest, _sums = STORY.k_means(x, x[:3])
    order = np.array([2, 0, 1])
    again, renamed, _sums = STORY.k_means(x, centres[order], 1)
    sums = [float(((x - c[k]) ** 2).sum()) for c, k in ((centres, nearest), (again, renamed))]
    changed = float(np.mean(nearest != renamed))
    text = _("{changed} of the points under another number: the sum is {one} and {other}, there is no error per answer")
    return argue("wrong", text.format(changed=format_percent(changed), one=f"{sums[0]:.2f}", other=f"{sums[1]:.2f}"))


@checks("quiz2-q2-mutual-subsets")
def subsets() -> Finding:
    """Sets that contain each other are one set."""
    learning = {"linear regression", "deep network"}
    intelligence, deep = learning | {"rules by hand"}, {"deep network"}
    is_chain = deep < learning < intelligence
    text = _("deep < learning < all: {chain}; the other way round: {back}")
    words = {True: _("yes"), False: _("no")}
    shown = text.format(chain=words[is_chain], back=words[intelligence <= learning])
    return judge(intelligence <= learning <= deep, shown)


@checks("feedforward-means-dense")
def convolution() -> Finding:
    """A convolution goes forward and has far fewer connections."""
    dense, sparse = (lp.Network.parse(f"1x28x28, {layer}").n_parameters for layer in ("25088", "conv 32 3x3 pad 1"))
    return judge(dense == sparse, _("{dense} parameters, a convolution {sparse}").format(dense=dense, sparse=sparse))


@checks("rnn-both-directions")
def backwards() -> Finding:
    """Whether a later input reaches an earlier state, over 200 random sequences."""
    rng, largest = np.random.default_rng(0), 0.0
    for _sequence in range(200):
        sequence = rng.normal(size=12)
        place = int(rng.integers(1, 12))
        changed = sequence.copy()
        changed[place:] = rng.normal(size=12 - place)
        largest = max(largest, float(np.abs(STORY.states(sequence) - STORY.states(changed))[:place].max()))
    return judge(largest > 0, _("later inputs changed, earlier states moved by {gap}").format(gap=f"{largest:g}"))


@checks("quiz3-q14-reference")
def reference() -> Finding:
    """A reference."""
    return argue("wrong", _("the example of the height stands in 3.4.1"))


@checks("quiz3-q3-two-right-options")
def options() -> Finding:
    """The connections that each of the two options describes, for layers of 3, 4 and 2 units."""
    sizes = (3, 4, 2)
    feeds = {(layer, i, j) for layer in (0, 1) for i in range(sizes[layer]) for j in range(sizes[layer + 1])}
    hears = {(layer - 1, i, j) for layer in (1, 2) for j in range(sizes[layer]) for i in range(sizes[layer - 1])}
    text = _("{n} connections by either option: they say the same")
    return judge(feeds != hears, text.format(n=len(feeds)))
