"""The claims on the production-cost networks, recomputed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from limpide.i18n import _
from limpide.labs import is_full
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.nn.grammar import complete_network

STORY = names_of(__file__, "data", "training", "yardsticks")
SMALL, DEEP = "64 relu, 32 relu, 1", "128 relu, 64 relu, 32 relu, 16 relu, 1"


@lru_cache(maxsize=1)
def small() -> Any:
    """The log of the small network: training loss, test error, mean of the batch errors."""
    return STORY.train(*STORY.rows_of("production-costs"), SMALL, rate=0.01, epochs=50, batch=32)[2]


@checks("cost-generator")
def generator() -> Finding:
    """Least squares on 4,000 rows, and the error of the formula on the others."""
    data = STORY.rows_of("production-costs-5000")
    best, _error = STORY.line_error(*data)
    deviation = STORY.formula_error(*data) ** 0.5
    is_so = np.allclose(best, [3, 2, 4, 0], atol=0.2) and abs(deviation - 2) < 0.2 and 0 <= data[0].min() < 10
    return judge(bool(is_so), " ".join(f"{v:.3f}" for v in best) + f"; σ {deviation:.3f}")


@checks("cost-split-80-20")
def split() -> Finding:
    """How many rows each part has."""
    parts = []
    for source in ("production-costs", "production-costs-5000"):
        x, _y, n = STORY.rows_of(source)
        parts.append((n, len(x) - n))
    return judge(parts == [(800, 200), (4000, 1000)], ", ".join(f"{n}/{m}" for n, m in parts))


@checks("cost-loss-is-mean-of-batch-means")
def batch_means() -> Finding:
    """The largest gap between both means over the epochs."""
    log = small()
    gap = float(np.abs(log[:, 2] - log[:, 1]).max())
    return judge(gap < 1e-3, _("largest gap {gap}: the last batch has 8 rows").format(gap=f"{gap:.3f}"))


@checks("cost-normalised-data")
def normalised() -> Finding:
    """The ranges that reach the network."""
    x, y, n = STORY.rows_of("production-costs")
    is_normalised = abs(x[:n].mean()) < 0.1 and abs(y[:n].std() - 1) < 0.1
    text = _("inputs from {a} to {b}, costs from {c} to {d}: nothing is scaled")
    numbers = (x[:n].min(), x[:n].max(), y[:n].min(), y[:n].max())
    return judge(bool(is_normalised), text.format(**{k: f"{v:.1f}" for k, v in zip("abcd", numbers)}))


@checks("cost-test-used-as-validation")
def roles() -> Finding:
    """A matter of design."""
    return argue("wrong", _("one and the same set draws the curve of every epoch and gives the last figure"))


@checks("cost-deep-captures-complexity")
def deep() -> Finding:
    """The deep network as listed against four coefficients."""
    data = STORY.rows_of("production-costs-5000")
    seeds = (42, 0, 1) if is_full() else (42,)
    errors = [STORY.train(*data, DEEP, 0.001, 100, 64, seed)[2][-1, 1] for seed in seeds]
    _best, line = STORY.line_error(*data)
    text = _("network {network}, least squares {line}, the formula {formula}")
    shown = ", ".join(f"{error:.3f}" for error in errors)
    return judge(
        bool(min(errors) < 0.95 * line),
        text.format(network=shown, line=f"{line:.3f}", formula=f"{STORY.formula_error(*data):.3f}"),
    )


@checks("cost-deep-five-layers")
def layers() -> Finding:
    """Weight layers and parameters."""
    network = complete_network(DEEP, (3,), 1)
    counts = [row.parameters for row in network.table() if row.parameters]
    text = _("{n} layers with weights: {counts} = {total}")
    return judge(
        len(counts) == 5 and sum(counts) == 11393,
        text.format(n=len(counts), counts=" + ".join(map(str, counts)), total=sum(counts)),
    )


@checks("cost-overfitting-lesson")
def lesson() -> Finding:
    """A matter of what the text contains."""
    return argue("not reproducible", _("no run of the text varies the width or shows over-fitting; this lab has one"))
