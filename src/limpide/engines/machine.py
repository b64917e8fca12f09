"""What this machine computes with: the engines that are installed, their devices and threads, and how fast they are."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from limpide.engines.base import Engine, get_engine, is_compiled
from limpide.errors import MissingPackage, RecipeError, Unsupported
from limpide.i18n import N_, _
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.seeds import stream

SAME_BITS = N_("the same bits again, on the same machine with as many threads; elsewhere equal to rounding")
GPU_BITS = N_(
    "convolutions give the same bits again; other sums on a GPU are made in an order of their own, and runs may differ "
    "in the last digits"
)
ACROSS = N_("between two engines: equal to rounding, never promised bit for bit; limpide check RUN shows by how much")

SECONDS = 0.3
"""Spent on each measurement, its warm-up not counted."""

UPDATES, BLOCK_SECONDS = 50, 0.02
"""Timed in one go: as many updates as take this long, at most."""

SIDE = 1024
"""Of the square matrices of the product."""


@dataclass(frozen=True)
class Workload:
    """A reference network and how it is trained."""

    name: str
    network: str
    optimizer: str
    batch: int
    loss: str = "mse"


CONVOLUTION = "1x28x28, conv 8 3x3 pad 1 relu, maxpool 2, flatten, 10"
WORKLOADS = (
    Workload("3-64-32-1, Adam, batch 32", "3-64-32-1 relu", "adam", 32),
    Workload("784-40×5-10, SGD, batch 32", "784, 40x5 relu, 10", "sgd", 32, "cross_entropy"),
    Workload("conv 8 3×3 on 28×28, Adam, batch 64", CONVOLUTION, "adam", 64, "cross_entropy"),
)


@dataclass(frozen=True)
class EngineFacts:
    """One engine on this machine.

    missing       why it cannot be used and what to do about it; "" where it can
    devices       every device it could take; `device` is the one it takes
    threads       by what they belong to: BLAS, PyTorch, Numba
    is_on_disk    whether its compiled code is kept; None where nothing is compiled
    repeatable    what a training done again is equal to, in words
    microseconds  of one update, by the name of the workload; None where the engine lacks a layer of it
    gflops        rate of a product of two float32 matrices of `SIDE`, in 10⁹ additions and multiplications a second
    """

    name: str
    version: str = ""
    missing: str = ""
    device: str = ""
    devices: tuple[str, ...] = ()
    threads: Mapping[str, int] = field(default_factory=dict)
    is_on_disk: bool | None = None
    repeatable: str = ""
    microseconds: Mapping[str, float | None] = field(default_factory=dict)
    gflops: float | None = None


def busy_tasks() -> float | None:
    """How many tasks wanted a core, on average over the last minute; None where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def inspect_engine(name: str, is_measured: bool = True) -> EngineFacts:
    """What there is to say of an engine; measuring takes about two seconds."""
    was_compiled = is_compiled()
    try:
        engine = get_engine(name)
        facts = {"numpy": _numpy_facts, "compiled": _compiled_facts, "torch": _torch_facts}[name](was_compiled)
    except (MissingPackage, RecipeError) as error:
        return EngineFacts(name, missing=str(error))
    if is_measured:
        facts["microseconds"] = {workload.name: time_update(engine, workload) for workload in WORKLOADS}
        facts["gflops"] = product_rate(_product(name))
    return EngineFacts(name, **facts)


def _numpy_facts(_was_compiled: bool) -> dict[str, Any]:
    threads = {"BLAS": _blas_threads("numpy")}
    return {
        "version": f"NumPy {np.__version__}",
        "device": "cpu",
        "devices": ("cpu",),
        "threads": threads,
        "repeatable": _(SAME_BITS),
    }


def _compiled_facts(was_compiled: bool) -> dict[str, Any]:
    import numba

    return {
        "version": f"Numba {numba.__version__}",
        "device": "cpu",
        "devices": ("cpu",),
        "threads": {"BLAS": _blas_threads("scipy"), "Numba": numba.get_num_threads()},
        "is_on_disk": was_compiled,
        "repeatable": _(SAME_BITS),
    }


def _torch_facts(_was_compiled: bool) -> dict[str, Any]:
    import torch

    from limpide.engines.torch_engine import choose_device

    device = choose_device()
    devices = ["cpu"]
    devices += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return {
        "version": f"PyTorch {version('torch')}",
        "device": str(device),
        "devices": tuple(devices),
        "threads": {"PyTorch": torch.get_num_threads()},
        "repeatable": _(SAME_BITS) if device.type == "cpu" else _(GPU_BITS),
    }


def _blas_threads(package: str) -> int:
    """The threads of the BLAS that a package brings; those of any BLAS where it cannot be told apart."""
    found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    own = [library for library in found if package in library.filepath] or found
    return max((library.num_threads for library in own), default=1)


def time_update(engine: Engine, workload: Workload) -> float | None:
    """Microseconds of one update, the median of many; None where the engine lacks a layer of the network."""
    network, loss, rng = Network.parse(workload.network), LOSSES[workload.loss], stream(0, workload.name)
    n = UPDATES * workload.batch
    x = rng.standard_normal((n, *network.input_shape), np.float32)
    classes = rng.integers(0, network.output_shape[0], n)
    y = classes if loss.labels == "classes" else rng.standard_normal((n, *network.output_shape), np.float32)
    try:
        trainer = engine.trainer(network, loss, make_optimizer(workload.optimizer, rate=1e-4), network.initialize(rng))
    except Unsupported:
        return None
    rows = np.arange(n)

    def updates(k: int) -> None:
        trainer.run(x, y, rows[: k * workload.batch], workload.batch, lambda path: stream(0, path))

    updates(1)  # compiles, allocates, wakes the threads
    k = max(1, min(UPDATES, int(BLOCK_SECONDS / _seconds(lambda: updates(1)))))
    return _median_seconds(lambda: updates(k)) / k * 1e6


def product_rate(product: Callable[[], Any]) -> float:
    """10⁹ additions and multiplications a second: 2n³ of them for a product of two n×n matrices."""
    product()
    return 2 * SIDE**3 / _median_seconds(product) / 1e9


def _median_seconds(act: Callable[[], Any]) -> float:
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while not taken or time.perf_counter() < end:
        taken.append(_seconds(act))
    return statistics.median(taken)


def _seconds(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _product(name: str) -> Callable[[], Any]:
    """A product of two float32 matrices, by the library that the engine calls, on its device."""
    a = stream(0, "product").standard_normal((SIDE, SIDE), np.float32)
    if name == "compiled":
        from scipy.linalg.blas import sgemm

        return lambda: sgemm(1.0, a.T, a.T)
    if name == "torch":
        import torch

        from limpide.engines.torch_engine import choose_device

        device = choose_device()
        on_device = torch.from_numpy(a).to(device)
        # one number brought back: the call returns before a GPU is done
        return lambda: (on_device @ on_device)[0, 0].item()
    return lambda: a @ a
