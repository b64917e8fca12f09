"""How near each engine comes to what the machine can do; RN_2 beside the textbook PyTorch loop; 32 seeds beside one.

The floor of an update is its multiplications and additions at the rate of one large matrix product, measured in the
same round with the same threads; reading and writing the numbers is not counted. 784-40x5-10 and RN_1 stand beside
their peers in `peers`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers import WORKLOADS, ours
from benchmarks.timing import Comparison, seconds, take_turns
from limpide.engines.base import get_engine
from limpide.many import train_many
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.recipe import Recipe
from limpide.seeds import stream
from limpide.training import train

N_ROUNDS = 11
FLOOR, TEXTBOOK = "arithmetic at the sgemm rate", "textbook PyTorch"
SIDE, LONGER = 1536, 20
MOST = {"3-64-32-1, Adam, batch 32": 2.0, "RN_1, Adam, batch 64": 1 / 0.7}
"""How many times the floor an update may take."""

ALONE = ("3-64-32-1, Adam, batch 32",)
"""So small that an update takes one core, however many there are: the floor of several says nothing of it."""

RN_2 = "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, conv 64 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10"
BATCH, N_ROWS = 64, 640
N_SEEDS = 32


def operations(network: Network, batch: int) -> int:
    """Multiplications and additions of an update: forward, the gradient of the weights, that of the inputs of all
    layers but the first."""
    work = [row.multiply_adds for row in network.table() if row.multiply_adds]
    return 2 * batch * (3 * sum(work) - work[0])


def product_turn() -> Callable[[], float]:
    """Operations per microsecond of a large product of float32."""
    a, b = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)
    c = np.empty_like(a)
    return lambda: 2 * SIDE**3 / (seconds(lambda: np.matmul(a, b, out=c)) * 1e6)


def dense() -> list[Comparison]:
    """The compiled engine beside its floor."""
    comparisons, is_one_thread = [], os.environ.get("OMP_NUM_THREADS") == "1"
    for work in WORKLOADS:
        # turns of tens of milliseconds: the large product leaves nothing of a network in the caches
        longer = replace(work, epochs=LONGER * work.epochs)
        took = take_turns({"compiled": ours(longer), "rate": product_turn()}, N_ROUNDS)
        count = operations(Network.parse(f"{'-'.join(map(str, work.widths))} relu"), work.batch)
        floors = [count / rate for rate in took["rate"]]
        what, is_judged = f"compiled: {work.name}", is_one_thread or work.name not in ALONE
        goal = MOST.get(work.name) if is_judged else None
        comparisons.append(Comparison(what, FLOOR, "us/update", took["compiled"], floors, "share", goal))
    return comparisons


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Random images and classes: what an update costs does not depend on their values."""
    rng = np.random.default_rng(0)
    return rng.random((N_ROWS, 1, 28, 28), np.float32), rng.integers(0, 10, N_ROWS)


def engine_turn(engine: str) -> Callable[[], float]:
    """An epoch of RN_2 with an engine."""
    network, (x, y) = Network.parse(RN_2), rows()
    weights = network.initialize(stream(0, "weights"))
    trainer = get_engine(engine).trainer(network, LOSSES["cross_entropy"], make_optimizer("adam", rate=0.001), weights)
    rng = stream(0, "order")

    def epoch() -> None:
        trainer.run(x, y, rng.permutation(len(x)), BATCH, lambda path: stream(0, path))

    return lambda: seconds(epoch) / (len(x) / BATCH) * 1e6


@cache
def textbook_turn() -> Callable[[], float]:
    """An epoch of RN_2 as a course writes it."""
    torch.manual_seed(0)
    nn, (x, y) = torch.nn, rows()
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=0.001), nn.CrossEntropyLoss()
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=BATCH, shuffle=True)

    def epoch() -> None:
        total = 0.0
        for batch, truth in loader:
            optimizer.zero_grad()
            loss = criterion(model(batch), truth)
            loss.backward()
            optimizer.step()
            total += loss.item()

    return lambda: seconds(epoch) / (len(x) / BATCH) * 1e6


def textbook() -> float:
    """A turn of the textbook loop."""
    return textbook_turn()()


def convolutions() -> list[Comparison]:
    """RN_2: the three engines, the textbook loop, the floor."""
    name = "RN_2, Adam, batch 64"
    turns = {engine: engine_turn(engine) for engine in ("compiled", "torch", "numpy")}
    # in a process of its own, where what limpide says to the C library does not hold
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        theirs = {TEXTBOOK: lambda: apart.submit(textbook).result()}
        took = take_turns({**turns, **theirs, "rate": product_turn()}, N_ROUNDS)
    floors = [operations(Network.parse(RN_2), BATCH) / rate for rate in took["rate"]]
    fast = []
    for engine in ("compiled", "torch"):
        fast += [
            Comparison(f"{engine}: {name}", TEXTBOOK, "us/update", took[engine], took[TEXTBOOK], "faster", 1.5),
            Comparison(f"{engine}: {name}", FLOOR, "us/update", took[engine], floors, "share", 1 / 0.65),
        ]
    return [
        *fast,
        Comparison(f"numpy: {name}", "torch engine", "us/update", took["numpy"], took["torch"], "share", 3.0),
    ]


def seeds() -> list[Comparison]:
    """32 seeds of production-costs side by side beside one alone, all in this process; equal bit for bit."""
    network = {"network": "64 relu, 32 relu", "optimizer": "adam", "rate": 0.01, "batch_size": 32}
    recipe = Recipe.from_options(
        "production-costs", **network, epochs=50, patience=0, engine="compiled", task="regression"
    )
    recipes = [recipe.replace(seed=seed) for seed in range(N_SEEDS)]
    alone = [train(recipe, save=False, baselines=False) for recipe in recipes]
    for i, outcome in train_many(recipes):
        assert outcome.run is not None
        for name, array in alone[i].weights.items():
            np.testing.assert_array_equal(outcome.run.weights[name], array)
    one = {"one": lambda: seconds(lambda: train(recipe, save=False, baselines=False)) * 1e3}
    took = take_turns({**one, "many": lambda: seconds(lambda: list(train_many(recipes))) * 1e3}, N_ROUNDS)
    return [
        Comparison(f"train_many, {N_SEEDS} seeds of 3-64-32-1", "one", "ms", took["many"], took["one"], "share", 18)
    ]


def compare() -> list[Comparison]:
    """Everything; the seeds where the cores are free to be used."""
    return [*dense(), *convolutions(), *([] if os.environ.get("OMP_NUM_THREADS") == "1" else seeds())]
