"""The claims on normalisation, recomputed; on the real MNIST in full mode."""

from __future__ import annotations

import limpide as lp
from limpide.i18n import _
from limpide.labs import is_full
from limpide.labs.claims import Finding, checks, judge
from limpide.labs.running import names_of

STORY = names_of(__file__, "data", "surface")

MNIST_MEAN, MNIST_DEVIATION = 0.13066, 0.30811
"""Of the 60,000 training images, pixels from 0 to 1, as they have often been published."""


def after_half() -> tuple[float, float]:
    """Mean and deviation of the training pixels of MNIST after (x - 0.5) / 0.5."""
    if is_full():
        x = lp.open_source("mnist").inputs[:60_000] / 127.5 - 1
        return float(x.mean()), float(x.std())
    return (MNIST_MEAN - 0.5) / 0.5, MNIST_DEVIATION / 0.5


@checks("mnist-normalise-half")
def half() -> Finding:
    """Stated as mean 0 and deviation 1."""
    mean, deviation = after_half()
    text = _("mean {mean}, deviation {deviation}; from the published 0.1307 and 0.3081")
    if is_full():
        text = _("mean {mean}, deviation {deviation}")
    return judge(
        abs(mean) < 1e-4 and abs(deviation - 1) < 1e-4, text.format(mean=f"{mean:.4f}", deviation=f"{deviation:.4f}")
    )


@checks("mnist-normalise-equalises")
def equal() -> Finding:
    """The deviation of each pixel: on the 8 × 8 digits, or on MNIST in full mode."""
    x = lp.open_source("mnist").inputs[:60_000] if is_full() else lp.open_source("digits").inputs
    spread = (x.reshape(len(x), -1) / 127.5 - 1).std(axis=0)
    text = _("the deviation of a pixel goes from {low} to {high}")
    is_even = bool(spread.max() < 1.5 * spread.min())
    return judge(is_even, text.format(low=f"{spread.min():.3f}", high=f"{spread.max():.3f}"))


@checks("quiz5-q11-only-c")
def speed() -> Finding:
    """Whether descent is no faster on standardised inputs."""
    (before, slow), (after, quick) = STORY.study(STORY.f), STORY.study(STORY.z)
    text = _("condition number {before}, {slow} steps and not there; standardised {after}, {quick} steps")
    numbers = {"before": f"{before:.0f}", "slow": slow, "after": f"{after:.2f}", "quick": quick}
    return judge(quick >= slow, text.format(**numbers))


@checks("quiz5-q8-standardise")
def words() -> Finding:
    """What both projects call normalising: mean and deviation after it."""
    pairs = lp.open_source("calculator?scaled=yes").inputs.to_numpy()
    found = {_("calculator"): (float(pairs.mean()), float(pairs.std())), "MNIST": after_half()}
    is_standard = all(abs(mean) < 0.01 and abs(deviation - 1) < 0.01 for mean, deviation in found.values())
    text = _("{name}: mean {mean}, deviation {deviation}")
    shown = [text.format(name=name, mean=f"{m:.4f}", deviation=f"{s:.4f}") for name, (m, s) in found.items()]
    return judge(is_standard, "; ".join(shown))
