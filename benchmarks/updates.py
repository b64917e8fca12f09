"""How long one update takes: the numpy and compiled engines beside the textbook PyTorch loop and scikit-learn.

All train the same network on the same float32 data with the same optimizer, batch and rate, reshuffled every
epoch. The textbook loop is what a course teaches: a Dataset, a shuffling DataLoader, an eager step, `loss.item()`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import Comparison, seconds, take_turns
from limpide.engines.base import get_engine
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.seeds import stream

N_ROUNDS = 15
TEXTBOOK, SKLEARN = "textbook PyTorch", "scikit-learn"


@dataclass(frozen=True)
class Job:
    """A network, what it learns, and how."""

    name: str
    hidden: tuple[int, ...]
    optimizer: str
    rate: float
    batch: int
    epochs: int  # of each turn: long enough that the clock and the start of fit() do not count
    goals: dict[str, dict[str, float]]  # by engine, by peer: how many times faster
    x: np.ndarray
    y: np.ndarray

    @property
    def n_updates(self) -> int:
        """The updates of a turn."""
        return self.epochs * -(-len(self.x) // self.batch)


def jobs() -> list[Job]:
    """Small networks, where what surrounds the arithmetic is most of the work."""
    rng = np.random.default_rng(42)
    costs = rng.uniform(0, 10, (800, 3))
    cost = costs @ [3.0, 2.0, 4.0] + 2 * rng.standard_normal(800)
    pairs = rng.integers(0, 101, (8000, 2)) / 100
    numpy_goals = {TEXTBOOK: 8.0, SKLEARN: 3.0}
    first, second = ({"numpy": numpy_goals, "compiled": {TEXTBOOK: times}} for times in (60.0, 18.0))
    return [
        Job("3-64-32-1, Adam, batch 32", (64, 32), "adam", 0.01, 32, 20, first, *_float32(costs, cost)),
        Job("2-16-16-16-1, SGD, batch 64", (16, 16, 16), "sgd", 0.1, 64, 4, second, *_float32(pairs, pairs.sum(1) / 2)),
    ]


def _float32(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.astype(np.float32), y.astype(np.float32)[:, None]


def limpide_turn(job: Job, engine: str) -> Callable[[], float]:
    """Epochs of an engine's trainer, the order of the rows drawn each time."""
    network = Network.parse(f"{job.x.shape[1]}-{'-'.join(map(str, job.hidden))}-1 relu")
    weights = network.initialize(stream(0, "weights"))
    optimizer = make_optimizer(job.optimizer, rate=job.rate)
    trainer = get_engine(engine).trainer(network, LOSSES["mse"], optimizer, weights)
    rng = stream(0, "order")

    def train() -> None:
        for _ in range(job.epochs):
            trainer.run(job.x, job.y, rng.permutation(len(job.x)), job.batch, lambda path: stream(0, path))

    return lambda: seconds(train) / job.n_updates * 1e6


class Rows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The data set object of a PyTorch course."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One row."""
        return self.x[i], self.y[i]


def textbook_turn(job: Job) -> Callable[[], float]:
    """Epochs of the textbook loop."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(*_torch_layers((job.x.shape[1], *job.hidden)), torch.nn.Linear(job.hidden[-1], 1))
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    optimizer = kinds[job.optimizer](model.parameters(), lr=job.rate)
    criterion = torch.nn.MSELoss()
    loader = DataLoader(Rows(job.x, job.y), batch_size=job.batch, shuffle=True)

    def train() -> None:
        for _ in range(job.epochs):
            total = 0.0
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                total += loss.item()

    return lambda: seconds(train) / job.n_updates * 1e6


def _torch_layers(widths: tuple[int, ...]) -> Iterator[torch.nn.Module]:
    for n_in, n_out in pairwise(widths):
        yield torch.nn.Linear(n_in, n_out)
        yield torch.nn.ReLU()


def sklearn_turn(job: Job) -> Callable[[], float]:
    """Epochs of scikit-learn's `fit`, with its own extras (penalty, momentum, early stop) switched off."""
    model = MLPRegressor(
        hidden_layer_sizes=job.hidden,
        solver=job.optimizer,
        learning_rate_init=job.rate,
        batch_size=job.batch,
        max_iter=job.epochs,
        momentum=0,
        alpha=0,
        tol=0,
        n_iter_no_change=job.epochs + 1,
        random_state=0,
    )

    def train() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is what is asked for
            model.fit(job.x, job.y[:, 0])
        assert model.n_iter_ == job.epochs

    return lambda: seconds(train) / job.n_updates * 1e6


def compare() -> list[Comparison]:
    """Microseconds per update of each engine and peer, all in the same rounds."""
    comparisons = []
    for job in jobs():
        contenders = {engine: limpide_turn(job, engine) for engine in job.goals}
        took = take_turns({**contenders, TEXTBOOK: textbook_turn(job), SKLEARN: sklearn_turn(job)}, N_ROUNDS)
        comparisons += [
            Comparison(f"{engine}: {job.name}", peer, "us/update", took[engine], took[peer], "faster", goal)
            for engine, goals in job.goals.items()
            for peer, goal in goals.items()
        ]
    return comparisons
