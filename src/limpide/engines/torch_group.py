"""Several processes that train one network: what each does of a batch, and what they tell one another.

All hold the same weights and know the whole order of the rows. Of each batch a process takes the rows that are next to
one another in its place, and weighs their loss by their number; the sum over the processes is then the loss, and the
gradient, of the whole batch. One all-reduce of the flat gradient with the loss behind it does it: PyTorch's
DistributedDataParallel, which sends the gradient in pieces while others are being computed, knows no flat vector, and
could neither weigh uneven shares nor keep batch norm and dropout those of the whole batch.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from limpide import distributed
from limpide.arrays import Shape
from limpide.errors import RecipeError, problem
from limpide.i18n import _
from limpide.nn.layers import BatchNorm, Mode, Weights

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
"""By the kind of the device, what carries the numbers."""


class Share(NamedTuple):
    """What one process does of a batch.

    rows    of the batch, the ones it computes
    n_rows  of the whole batch
    weight  what a mean over its rows counts in the mean over the batch
    """

    rows: slice
    n_rows: int
    weight: float


class Group:
    """The processes of one job, this one among them."""

    def __init__(self, device: torch.device) -> None:
        """Wait for all to join.

        Raises  RecipeError for a device that cannot be shared; ProcessLost when one does not come
        """
        here = distributed.place()
        self.rank, self.size = here.rank, here.size
        if device.type not in BACKENDS:
            raise RecipeError(problem("LIMPIDE_DEVICE", " / ".join(BACKENDS), device.type))
        if not torch.distributed.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)
            with _together():
                torch.distributed.init_process_group(BACKENDS[device.type])
            atexit.register(_leave)

    def share(self, n_rows: int) -> Share:
        """This process's part of a batch; of one with fewer rows than processes, each computes all."""
        if n_rows < self.size:
            return Share(slice(0, n_rows), n_rows, 1 / self.size)
        first, last = (n_rows * place // self.size for place in (self.rank, self.rank + 1))
        return Share(slice(first, last), n_rows, (last - first) / n_rows)

    def add(self, tensor: Tensor) -> None:
        """The sum over the processes, in place, the same bits in each."""
        with _together():
            torch.distributed.all_reduce(tensor)

    def make_equal(self, tensors: Iterable[Tensor]) -> None:
        """The first process's numbers for all, in place."""
        with _together():
            for tensor in tensors:
                torch.distributed.broadcast(tensor, 0)

    def check_same(self, number: int, device: torch.device) -> None:
        """RecipeError where this number is another in the first process."""
        first = torch.tensor([number], device=device)
        self.make_equal([first])
        is_other = torch.tensor([int(first.item() != number)], device=device)
        self.add(is_other)
        if is_other.item():
            mend = _("give every machine the same files and the same version of limpide")
            raise RecipeError(problem(str(distributed.place()), _("the same rows in every process"), _("others"), mend))


class SharedMode(NamedTuple):
    """How a layer runs its share of a batch in training: `Mode`, and what makes the shares one batch."""

    training: bool
    rng: np.random.Generator | None
    share: Share
    group: Group

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the batch, of this process's mean over its rows; gradients pass through."""
        mean: Tensor = _Sum.apply(value * self.share.weight, self.group)  # type: ignore[no-untyped-call]
        return mean


class _Sum(torch.autograd.Function):
    """The sum over the processes. Each one's loss depends on it, so that its gradient is a sum too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Group) -> Tensor:
        ctx.group = group
        total = value.contiguous().clone()
        group.add(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].contiguous().clone()
        ctx.group.add(total)
        return total, None


def uniform(mode: Mode | SharedMode, shape: Shape) -> np.ndarray:
    """Numbers from 0 to 1 for each number of these rows: of a shared batch, those that one process would draw."""
    assert mode.rng is not None, "a training pass through dropout needs its stream"
    if isinstance(mode, Mode):
        return mode.rng.random(shape, dtype=np.float32)
    return mode.rng.random((mode.share.n_rows, *shape[1:]), dtype=np.float32)[mode.share.rows]


def shared_batch_norm(layer: BatchNorm, w: Weights, x: Tensor, mode: SharedMode) -> Tensor:
    """Batch norm in training with the mean and the variance of the whole batch."""
    axes, behind = (0, *range(2, x.ndim)), (1,) * (x.ndim - 2)
    mean = mode.mean(x.mean(axes))
    centred = x - mean.view(-1, *behind)
    variance = mode.mean((centred * centred).mean(axes))
    n = mode.share.n_rows * x[0, 0].numel()
    w.buffers["mean"].lerp_(mean.detach(), layer.momentum)
    w.buffers["variance"].lerp_(variance.detach() * (n / max(n - 1, 1)), layer.momentum)
    scale = w.params["gamma"] * torch.rsqrt(variance + layer.epsilon)
    y: Tensor = centred * scale.view(-1, *behind) + w.params["beta"].view(-1, *behind)
    return y


@contextmanager
def _together() -> Iterator[None]:
    """Where processes wait for one another: one that does not answer ends the job."""
    try:
        yield
    except RuntimeError as error:
        raise distributed.lost(str(error).splitlines()[0]) from error


def _leave() -> None:
    # where others are gone there is nobody to take leave of
    with suppress(RuntimeError):
        torch.distributed.destroy_process_group()
