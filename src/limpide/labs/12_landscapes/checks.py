"""The claims on landscapes, recomputed."""

from __future__ import annotations

import numpy as np

from limpide.i18n import _, format_percent
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of

STORY = names_of(__file__, "curve", "shaken", "saddle", "batches")


@checks("local-minima-depend-on-start")
def valleys() -> Finding:
    """Where four starts end."""
    ends = {start: float(STORY.descend(start)[-1]) for start in (-5.0, -1.5, 1.5, 5.0)}
    stated = {-5.0: -4.0, -1.5: 0.0, 1.5: 0.0, 5.0: 4.0}
    shown = ", ".join(f"{start:g}: w {abs(end) if end == 0 else end:.3f}" for start, end in ends.items())
    return judge(all(abs(ends[start] - stated[start]) < 1e-3 for start in stated), shown)


@checks("plateau-is-vanishing-gradient")
def plateau() -> Finding:
    """A slope of nearly 0 without any layer."""
    moved = abs(float(STORY.descend(8.0)[-1]) - 8.0)
    has_no_layers_but_is_flat = abs(STORY.slope(8.0)) < 1e-5 and moved < 1e-3
    text = _("a curve of one parameter, without layers, has the slope {slope}: 500 steps move {moved}")
    return judge(not has_no_layers_but_is_flat, text.format(slope=f"{STORY.slope(8.0):.1e}", moved=f"{moved:.1e}"))


@checks("small-batch-gets-stuck")
def stuck() -> Finding:
    """The share that stays in a bad valley, small batches against large ones."""
    shares = {batch: STORY.still_there(batch) for batch in (1, 4, 16, 64, 256)}
    is_more_stuck = shares[1] > shares[256]
    return judge(is_more_stuck, ", ".join(f"{batch}: {format_percent(share)}" for batch, share in shares.items()))


@checks("quiz4-q6-all")
def reasons() -> Finding:
    """Speed: how many updates come within 1% of the lowest cost, with one row each and with all rows."""
    needed = {}
    for size in (1, 256):
        costs = np.array([STORY.cost(p) for p in STORY.by_batches(size, epochs=4 if size == 1 else 400)])
        needed[size] = int(np.flatnonzero(costs < 1.01 * STORY.cost(STORY.best))[0])
    text = _("cheaper updates, not fewer: {one} with one row each, {all} with all rows")
    return argue("wrong", text.format(one=needed[1], all=needed[256]))


@checks("saddle-zero-gradient")
def ridge() -> Finding:
    """From exactly the ridge."""
    end = STORY.leave(0.0)[-1]
    return judge(bool(end[1] == 0 and abs(end[0]) < 1e-6), f"x {end[0]:.1e}, y {end[1]:g}")


@checks("saddle-stops-early")
def stops() -> Finding:
    """From beside the ridge, and with noise."""
    steps = {"y 0.000001": len(STORY.leave(1e-6)) - 1, _("y 0 with noise"): len(STORY.leave(0.0, 0.01)) - 1}
    text = _("gone after {steps} steps")
    return judge(min(steps.values()) >= 200, "; ".join(f"{k}: {text.format(steps=n)}" for k, n in steps.items()))


@checks("quiz4-q7-sufficient")
def sufficient() -> Finding:
    """Three surfaces whose gradient at the origin is 0, measured."""
    surfaces = {"x² + y²": (1, 1), "−x² − y²": (-1, -1), "x² − y²": (1, -1)}
    flat = {}
    for name, signs in surfaces.items():
        ends = [[sum(s * c**2 for s, c in zip(signs, step * np.eye(2)[i])) for step in (1e-3, -1e-3)] for i in (0, 1)]
        flat[name] = all(abs(up - down) < 1e-12 for up, down in ends)
    saddles = [name for name, (a, b) in surfaces.items() if a * b < 0]
    text = _("zero gradient at the origin: {flat}; a saddle: {saddles}")
    found = [name for name, is_flat in flat.items() if is_flat]
    return judge(found == saddles, text.format(flat=", ".join(found), saddles=", ".join(saddles)))


@checks("sgd-can-go-backwards")
def uphill() -> Finding:
    """The share of updates that raise the cost over all rows, by the size of the batch."""
    shares = {}
    for size in (1, 8, 32, 256):
        costs = [STORY.cost(p) for p in STORY.by_batches(size)]
        shares[size] = float(np.mean(np.diff(costs) > 0))
    is_so = shares[1] > shares[8] > shares[32] > shares[256] == 0
    return judge(is_so, ", ".join(f"{size}: {format_percent(share)}" for size, share in shares.items()))


@checks("full-gradient-optimal-direction")
def angle() -> Finding:
    """Between the step from (0, 0) and the minimum of the two-parameter example."""
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])
    step = np.array([(2 * x * y).mean(), (2 * y).mean()])
    minimum = np.linalg.lstsq(np.stack([x, np.ones(4)], axis=1), y)[0]
    cosine = float(step @ minimum / np.linalg.norm(step) / np.linalg.norm(minimum))
    degrees = float(np.degrees(np.arccos(cosine)))
    return judge(degrees < 0.1, _("{angle}° off").format(angle=f"{degrees:.1f}"))
