"""One update beside all that a user would take instead: PyTorch as taught and as tuned, JAX, Keras, scikit-learn.

JAX and Keras live in an environment of their own, made on the first call (`.venv-peers`); each peer trains in its own
process and they take turns, so that the ratios of a line come from one run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.timing import ROOT, Comparison, seconds, take_turns
from limpide.engines.base import get_engine
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.seeds import stream

N_ROUNDS = 11
PLACE = ROOT / ".venv-peers"
PYTHON = PLACE / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PACKAGES = ("jax>=0.5", "keras>=3.8")
NAMES = {
    "textbook": "PyTorch, textbook",
    "tuned": "PyTorch, tuned",
    "jax": "JAX, scan",
    "keras": "Keras on JAX",
    "sklearn": "scikit-learn",
}


@dataclass(frozen=True)
class Workload:
    """A dense network of the sources, and how many times faster than each peer an update should be."""

    name: str
    widths: tuple[int, ...]
    optimizer: str
    rate: float
    batch: int
    n_rows: int
    epochs: int
    goals: dict[str, float]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random rows of the shape: what an update costs does not depend on their values."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.n_rows, self.widths[0]), np.float32)
        if self.widths[-1] > 1:
            return x, rng.integers(0, self.widths[-1], self.n_rows)
        return x, rng.standard_normal((self.n_rows, 1), np.float32)


WORKLOADS = [
    Workload("3-64-32-1, Adam, batch 32", (3, 64, 32, 1), "adam", 0.01, 32, 800, 8, {"textbook": 60, "jax": 2}),
    Workload("2-16-16-16-1, SGD, batch 64", (2, 16, 16, 16, 1), "sgd", 0.1, 64, 8000, 2, {"textbook": 18, "jax": 1.4}),
    Workload("784-40x5-10, SGD, batch 32", (784, *[40] * 5, 10), "sgd", 0.01, 32, 6400, 1, {"textbook": 7, "jax": 1}),
    Workload("RN_1, Adam, batch 64", (784, 512, 256, 128, 10), "adam", 0.001, 64, 3200, 1, {"textbook": 2.7, "jax": 1}),
]


def ours(work: Workload) -> Callable[[], float]:
    """Epochs of the compiled engine's trainer, the order of the rows drawn each time."""
    text = "-".join(map(str, work.widths))
    network = Network.parse(f"{text} relu")
    loss = LOSSES["cross_entropy" if work.widths[-1] > 1 else "mse"]
    optimizer = make_optimizer(work.optimizer, rate=work.rate)
    trainer = get_engine("compiled").trainer(network, loss, optimizer, network.initialize(stream(0, "weights")))
    rng, (x, y) = stream(0, "order"), work.data()

    def train() -> None:
        for _ in range(work.epochs):
            trainer.run(x, y, rng.permutation(len(x)), work.batch, lambda path: stream(0, path))

    return lambda: seconds(train) / (work.epochs * -(-work.n_rows // work.batch)) * 1e6


@contextmanager
def peer(name: str, file: Path) -> Iterator[Callable[[], float]]:
    """A peer at work in its own process; each call is a turn."""
    python = sys.executable if name in ("textbook", "tuned", "sklearn") else str(PYTHON)
    command = [python, str(ROOT / "benchmarks" / "peer_worker.py"), name, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        ask, answers = process.stdin, process.stdout
        assert ask is not None
        assert answers is not None

        def turn() -> float:
            print(file=ask, flush=True)
            answer = answers.readline()
            if not answer:
                raise RuntimeError(f"{NAMES[name]} ended before it answered; its words are above")
            return float(answer)

        try:
            yield turn
        finally:
            ask.close()


def make_environment() -> None:
    """The environment of the peers, once."""
    settings = {**os.environ, "KERAS_BACKEND": "jax"}
    probe: list[str | Path] = [PYTHON, "-c", "import jax, keras"]
    if PYTHON.exists() and not subprocess.run(probe, env=settings, capture_output=True).returncode:
        return
    print(f"making {PLACE.name} with {', '.join(PACKAGES)}; this takes a minute or two", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)


def compare() -> list[Comparison]:
    """Microseconds per update of the compiled engine and of each peer, all in the same rounds."""
    make_environment()
    comparisons = []
    for work in WORKLOADS:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
            file = Path(folder) / "workload.npz"
            x, y = work.data()
            about = {key: getattr(work, key) for key in ("widths", "optimizer", "rate", "batch", "epochs")}
            np.savez(file, about=json.dumps(about), x=x, y=y)
            turns = {name: running.enter_context(peer(name, file)) for name in NAMES}
            took = take_turns({"compiled": ours(work), **turns}, N_ROUNDS)
        comparisons += [
            Comparison(
                work.name, NAMES[name], "us/update", took["compiled"], took[name], "faster", work.goals.get(name)
            )
            for name in NAMES
        ]
    return comparisons
