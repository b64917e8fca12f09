"""The optimizers, as PyTorch's fused operations: one pass over the flat vector where the formula's text makes ten.

These are the operations that `torch.optim` itself calls. The classes around them are left aside: making the first of
them loads PyTorch's compiler, which takes longer than many a training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limpide.nn.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp


class Update(NamedTuple):
    """One update, made in place.

    made        (), updates made before
    rate        of this update
    overflowed  () 1 to leave the update out; None where no gradient overflows
    """

    flat: Tensor
    grad: Tensor
    slots: Mapping[str, Tensor]
    made: Tensor
    rate: float
    overflowed: Tensor | None


def _sgd(optimizer: SGD | Momentum, u: Update) -> None:
    momentum = optimizer.momentum if isinstance(optimizer, Momentum) else 0.0
    torch._fused_sgd_(
        [u.flat],
        [u.grad],
        list(u.slots.values()) if momentum else [],
        weight_decay=optimizer.weight_decay,
        momentum=momentum,
        lr=u.rate,
        dampening=0.0,
        nesterov=bool(momentum) and isinstance(optimizer, Momentum) and optimizer.nesterov,
        maximize=False,
        is_first_step=False,
        found_inf=u.overflowed,
    )


def _adam(optimizer: Adam | AdamW, u: Update) -> None:
    fused = torch._fused_adamw_ if isinstance(optimizer, AdamW) else torch._fused_adam_
    u.made.add_(1)
    fused(
        [u.flat],
        [u.grad],
        [u.slots["mean"]],
        [u.slots["square"]],
        [],
        [u.made],
        lr=u.rate,
        beta1=optimizer.beta1,
        beta2=optimizer.beta2,
        weight_decay=optimizer.weight_decay,
        eps=optimizer.epsilon,
        amsgrad=False,
        maximize=False,
        found_inf=u.overflowed,
    )
    if u.overflowed is not None:
        u.made.sub_(u.overflowed)


def _rmsprop(optimizer: RMSProp, u: Update) -> None:
    # PyTorch has no fused one
    if u.overflowed is not None and u.overflowed:
        return
    grad = u.grad.add(u.flat, alpha=optimizer.weight_decay) if optimizer.weight_decay else u.grad
    square = u.slots["square"].mul_(optimizer.decay).addcmul_(grad, grad, value=1 - optimizer.decay)
    u.flat.addcdiv_(grad, square.sqrt().add_(optimizer.epsilon), value=-u.rate)


UPDATES: dict[type[Optimizer], Callable[[Any, Update], None]] = {
    SGD: _sgd,
    Momentum: _sgd,
    RMSProp: _rmsprop,
    Adam: _adam,
    AdamW: _adam,
}
"""(optimizer, update): the weights and the slots are moved in place."""
