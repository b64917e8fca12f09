"""The learning rate of each update as code: the same for every library that trains."""

from __future__ import annotations

from collections.abc import Iterator

from limpide.nn.schedules import Schedule

_SHAPES = {
    "constant": ["return rate"],
    "cosine": ["return rate * (1 + math.cos(math.pi * t)) / 2"],
    "one_cycle": [
        "low = 1 / 25",
        "if t < 0.3:",
        "    return rate * (1 + (low - 1) * (1 + math.cos(math.pi * t / 0.3)) / 2)",
        "return rate * (low / 1e4 + (1 - low / 1e4) * (1 + math.cos(math.pi * (t - 0.3) / 0.7)) / 2)",
    ],
}


def rate_code(schedule: Schedule) -> Iterator[str]:
    """`rate_at(rate, update, updates)`; nothing where the rate never changes."""
    if schedule.name == "constant" and not schedule.warm_up:
        return
    yield "def rate_at(rate, update, updates):"
    yield f'    """The learning rate of an update, counted from 0: {schedule.name}."""'
    yield "    t = min(update / updates, 1.0)"
    if schedule.warm_up:
        yield f"    if t < {schedule.warm_up!r}:"
        yield f"        return rate * (update + 1) / ({schedule.warm_up!r} * updates + 1)"
        yield f"    t = (t - {schedule.warm_up!r}) / {1 - schedule.warm_up!r}"
    if schedule.name == "step":
        yield f"    return rate * {schedule.factor!r} ** int(t / {schedule.every!r} + 1e-9)"
    else:
        yield from (f"    {line}" for line in _SHAPES[schedule.name])
    yield ""
    yield ""
