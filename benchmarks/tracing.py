"""What a look inside costs: a step of the numpy engine that is traced beside one that is not.

On one thread, in processor time: what the machine does for others meanwhile does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.timing import Comparison, take_turns
from limpide.engines.base import Noise
from limpide.engines.numpy_engine import NumpyEngine
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.seeds import stream

N_ROUNDS, STEPS, BATCH = 61, 100, 32
GOAL = 1.35
"""A traced step takes at most this many times as long."""

JOBS = {
    "3-64-32-1, Adam": ("3-64-32-1 relu", "adam", "mse"),
    "784-40×5-10, SGD": ("784, 40x5 relu, 10", "sgd", "cross_entropy"),
}


def spent(work: Callable[[], None]) -> float:
    """Microseconds of processor time of each step."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / STEPS * 1e6


def noise_of(step: int) -> Noise:
    """Streams that dense layers do not ask for."""
    return lambda path: stream(0, path, step)


def turns(text: str, optimizer: str, loss: str) -> dict[str, Callable[[], float]]:
    """Microseconds of a step, made and traced; both with the same weights and rows."""
    network, rng = Network.parse(text), stream(0, text)
    trainer = NumpyEngine().trainer(network, LOSSES[loss], make_optimizer(optimizer), network.initialize(rng))
    x = rng.normal(size=(BATCH * STEPS, *network.input_shape)).astype(np.float32)
    y = rng.integers(0, 10, len(x)) if loss == "cross_entropy" else rng.normal(size=(len(x), 1)).astype(np.float32)
    order, noise = np.arange(len(x)), noise_of(0)

    def made() -> None:
        trainer.run(x, y, order, BATCH, noise)

    def traced() -> None:
        for start in range(0, len(x), BATCH):
            trainer.trace(x[start : start + BATCH], y[start : start + BATCH], noise)

    return {"made": lambda: spent(made), "traced": lambda: spent(traced)}


def compare() -> list[Comparison]:
    """A traced step beside one that is only made, in the same rounds."""
    lines = []
    for name, job in JOBS.items():
        took = take_turns(turns(*job), N_ROUNDS)
        lines.append(
            Comparison(f"traced: {name}, batch {BATCH}", "made", "us/step", took["traced"], took["made"], "share", GOAL)
        )
    return lines
