"""The compiled update: one step of an optimizer on the whole vector of parameters, in pieces that threads may share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from limpide.engines.compiled_blas import PRODUCT
from limpide.engines.compiled_loops import keep_apart, loops
from limpide.engines.compiled_program import FIRST_SLOT, GRADS, N_PARAMS, SECOND_SLOT
from limpide.engines.compiled_team import TASK, claim, finish, gather_in, is_shared, publish
from limpide.engines.compiled_views import part
from limpide.nn import optimizers as nn

SGD, MOMENTUM_RULE, NESTEROV, RMSPROP, ADAM = range(5)

RULES: dict[type[nn.Optimizer], int] = {
    nn.SGD: SGD,
    nn.Momentum: MOMENTUM_RULE,
    nn.RMSProp: RMSPROP,
    nn.Adam: ADAM,
    nn.AdamW: ADAM,
}
"""The rule of each optimizer."""

UPDATE = PRODUCT + 1
"""The task of `compiled_team` that is an update of the parameters."""

PIECE = 16_384
"""How many parameters a piece of an update moves: some 5 µs."""

WORTH_SHARING = 4
"""Pieces of an update from which several threads are sooner done than one."""


def settings_of(optimizer: nn.Optimizer) -> np.ndarray:
    """The optimizer's numbers, as `update` reads them."""
    keep1 = keep2 = 0.0
    if isinstance(optimizer, nn.Momentum):
        keep1 = optimizer.momentum
    elif isinstance(optimizer, nn.RMSProp):
        keep1 = optimizer.decay
    elif isinstance(optimizer, nn.Adam | nn.AdamW):
        keep1, keep2 = optimizer.beta1, optimizer.beta2
    decays = (0.0, optimizer.weight_decay) if optimizer.decoupled else (optimizer.weight_decay, 0.0)
    said = [keep1, keep2, getattr(optimizer, "epsilon", 0.0), *decays, optimizer.clip_norm or 0.0]
    # the others are said with each update
    return np.array([*said, 0.0, 1.0, 0.0])


@loops
def _clipped(grads: Any, norm: float) -> float:
    """The factor that brings the gradient's norm down to `norm`."""
    square = 0.0
    for t in range(len(grads)):
        square += grads[t] * grads[t]
    # 1e-6 as in torch.nn.utils.clip_grad_norm_
    factor = norm / (math.sqrt(square) + 1e-6)
    return factor if factor < 1 else 1.0


@loops
def _piece(rule: int, memory: Any, places: Any, settings: Any, bounds: Any, i: int) -> None:
    """One step of the optimizer on a piece of the parameters between two bounds.

    settings  shares kept of the two slots, epsilon, decay through the gradient, decay taken off directly, largest norm,
              rate, factor on the gradient, number of the step, 1 for the first
    """
    keep_apart()
    first, real, rate, step = bounds[0] + i * PIECE, memory.dtype.type, settings[6], int(settings[8])
    n = min(PIECE, bounds[1] - first)
    params, grads = part(memory, first, n), part(memory, places[GRADS] + first, n)
    first_slot = part(memory, places[FIRST_SLOT] + first, n)
    second_slot = part(memory, places[SECOND_SLOT] + first, n)
    keep1, keep2, epsilon, decay = real(settings[0]), real(settings[1]), real(settings[2]), real(settings[3])
    add1, add2 = real(1 - settings[0]), real(1 - settings[1])
    factor, scale, taken = real(-rate), real(settings[7]), real(rate * settings[4])
    if rule == SGD:
        for t in range(len(params)):
            params[t] += factor * (scale * grads[t] + decay * params[t])
    elif rule in (MOMENTUM_RULE, NESTEROV):
        ahead, along = (real(1), keep1) if rule == NESTEROV else (real(0), real(1))
        for t in range(len(params)):
            g = scale * grads[t] + decay * params[t]
            velocity = keep1 * first_slot[t] + g
            first_slot[t] = velocity
            params[t] += factor * (ahead * g + along * velocity)
    elif rule == RMSPROP:
        for t in range(len(params)):
            g = scale * grads[t] + decay * params[t]
            square = keep1 * first_slot[t] + add1 * (g * g)
            first_slot[t] = square
            params[t] += factor * g / (math.sqrt(square) + epsilon)
    elif rule == ADAM:
        # both corrections for the start at zero, in two numbers
        root = math.sqrt(1 - settings[1] ** step)
        factor, epsilon = real(-rate * root / (1 - settings[0] ** step)), real(settings[2] * root)
        for t in range(len(params)):
            g = scale * grads[t] + decay * params[t]
            mean = keep1 * first_slot[t] + add1 * g
            square = keep2 * second_slot[t] + add2 * (g * g)
            first_slot[t], second_slot[t] = mean, square
            params[t] += factor * mean / (math.sqrt(square) + epsilon) - taken * params[t]


@loops
def update(tools: Any, rule: int, memory: Any, tables: Any, settings: Any) -> None:
    """One step of the optimizer."""
    places, bounds = tables[2], tables[3]
    grads = part(memory, places[GRADS], places[N_PARAMS])
    settings[7] = _clipped(grads, settings[5]) if settings[5] > 0 else 1.0
    desk = tools[2]
    for j in range(len(bounds) - 1):
        pieces = -(-(bounds[j + 1] - bounds[j]) // PIECE)
        is_together = pieces >= WORTH_SHARING and is_shared(desk)
        if is_together:
            desk[TASK], desk[TASK + 1], desk[TASK + 2], desk[TASK + 3] = UPDATE, rule, bounds[j], bounds[j + 1]
            publish(desk, pieces)
        i = claim(desk, False) if is_together else 0
        while 0 <= i < pieces:
            _piece(rule, memory, places, settings, (bounds[j], bounds[j + 1]), i)
            i = finish(desk, False) if is_together else i + 1
        if is_together:
            gather_in(desk, pieces, tools[1])


@loops
def help_update(memory: Any, places: Any, settings: Any, desk: Any, i: int) -> None:
    """A piece of the update that stands on the desk."""
    _piece(desk[TASK + 1], memory, places, settings, (desk[TASK + 2], desk[TASK + 3]), i)
