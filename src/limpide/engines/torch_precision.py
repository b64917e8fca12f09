"""Mixed precision: the weights, the gradient and the update in float32, the products in 16 bits.

bfloat16 has the range of float32 with 8 bits of precision. A GPU without it gets float16, whose smallest numbers are
too large for many gradients: the loss is multiplied by a scale before backward, and the gradient divided by it after.
An update whose gradient overflows is left out and the scale halved; after 2,000 updates that held it is doubled.

Source  Micikevicius et al. 2018; PyTorch's GradScaler for the numbers
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from limpide.engines.base import Precision

FIRST_SCALE, GROWTH, BACKOFF, HELD_FOR = 2.0**16, 2.0, 0.5, 2000


def half_type(device: torch.device) -> torch.dtype:
    """bfloat16, but float16 on a CUDA GPU that only imitates it."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


class Mixed:
    """What mixed precision adds to a trainer; for another precision, nothing.

    half   the type of the products; None where they are those of the weights
    scale  what the loss is multiplied by; None where no gradient is too small
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.kind = device.type
        self.half = half_type(device) if precision == "mixed" else None
        self.scale: Tensor | None = None
        if self.half == torch.float16:
            self.scale = torch.full((), FIRST_SCALE, device=device)
            self.held = torch.zeros((), dtype=torch.int32, device=device)

    def products(self) -> AbstractContextManager[object]:
        """Where a training pass runs."""
        return nullcontext() if self.half is None else torch.autocast(self.kind, self.half)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss that the gradient is taken of."""
        return loss if self.scale is None else loss * self.scale

    def unscale(self, grad: Tensor) -> Tensor | None:
        """Divide the gradient by the scale, in place; () 1 where it overflowed, else 0; None where nothing can."""
        if self.scale is None:
            return None
        grad.div_(self.scale)
        overflowed = (~torch.isfinite(grad).all()).float()
        torch._amp_update_scale_(self.scale, self.held, overflowed, GROWTH, BACKOFF, HELD_FOR)
        return overflowed

    def tensors(self) -> dict[str, Tensor]:
        """What the next update depends on besides."""
        return {} if self.scale is None else {"mixed/scale": self.scale, "mixed/held": self.held}
