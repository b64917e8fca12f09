"""One peer in a process of its own: it trains a network when told to, and says how long an update took.

Run by `benchmarks.peers`, in an environment that holds the peer and need not hold limpide:
`python peer_worker.py PEER WORKLOAD.npz`. Every line on standard input asks for one turn; every answer is a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")


@dataclass(frozen=True)
class Task:
    """What to train, as written by `benchmarks.peers`.

    widths  of the dense layers, inputs and outputs included; a classification where the targets are whole numbers
    """

    widths: tuple[int, ...]
    optimizer: str
    rate: float
    batch: int
    epochs: int
    x: np.ndarray
    y: np.ndarray

    @property
    def has_classes(self) -> bool:
        """Whether the targets are class numbers."""
        return self.y.dtype.kind == "i"


def read_task(path: str) -> Task:
    """The task of a file."""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        return Task(**{**about, "widths": tuple(about["widths"])}, x=file["x"], y=file["y"])


Turn = Callable[[], object]


def torch_parts(task: Task) -> tuple[Any, Any, Any, Any, Any]:
    """Model, loss, optimizer class, inputs and targets of the PyTorch peers."""
    import torch

    torch.manual_seed(0)
    layers: list[Any] = []
    for n_in, n_out in pairwise(task.widths):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    criterion = torch.nn.CrossEntropyLoss() if task.has_classes else torch.nn.MSELoss()
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[task.optimizer]
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)
    return torch.nn.Sequential(*layers[:-1]), criterion, kind, x, y


def textbook(task: Task) -> Turn:
    """What a course teaches: a data set object, a shuffling loader, an eager step, `loss.item()`."""
    from torch.utils.data import DataLoader, TensorDataset

    model, criterion, kind, x, y = torch_parts(task)
    optimizer = kind(model.parameters(), lr=task.rate)
    loader = DataLoader(TensorDataset(x, y), batch_size=task.batch, shuffle=True)

    def train() -> None:
        for _ in range(task.epochs):
            total = 0.0
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                total += loss.item()

    return train


def tuned(task: Task) -> Turn:
    """PyTorch as an expert writes it: no loader, a fused optimizer, the loss read once an epoch."""
    import torch

    model, criterion, kind, x, y = torch_parts(task)
    optimizer = kind(model.parameters(), lr=task.rate, fused=True)

    def train() -> None:
        for _ in range(task.epochs):
            total = torch.zeros(())
            for rows in torch.randperm(len(x)).split(task.batch):
                optimizer.zero_grad(set_to_none=True)
                loss = criterion(model(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach()
            total.item()

    return train


def sklearn(task: Task) -> Turn:
    """scikit-learn's `fit`, with its own extras (penalty, momentum, early stop) switched off."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    model = (MLPClassifier if task.has_classes else MLPRegressor)(
        hidden_layer_sizes=task.widths[1:-1],
        solver=task.optimizer,
        learning_rate_init=task.rate,
        batch_size=task.batch,
        max_iter=task.epochs,
        momentum=0,
        alpha=0,
        tol=0,
        n_iter_no_change=task.epochs + 1,
        random_state=0,
    )

    def train() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(task.x, task.y.ravel())

    return train


def jax_scan(task: Task) -> Turn:
    """JAX at its best on a CPU: a whole epoch compiled as one `lax.scan`, the buffers given away."""
    import functools

    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    params = [
        (rng.normal(0, (2 / n) ** 0.5, (n, m)).astype(np.float32), np.zeros(m, np.float32))
        for n, m in pairwise(task.widths)
    ]
    x, y = jnp.asarray(task.x), jnp.asarray(task.y)
    full = len(x) // task.batch * task.batch

    def loss_of(params: Any, inputs: Any, targets: Any) -> Any:
        for W, b in params[:-1]:
            inputs = jax.nn.relu(inputs @ W + b)
        out = inputs @ params[-1][0] + params[-1][1]
        if task.has_classes:
            return -jnp.take_along_axis(jax.nn.log_softmax(out), targets[:, None], 1).mean()
        return ((out - targets) ** 2).mean()

    def step(state: Any, rows: Any) -> Any:
        params, mean, square, t = state
        loss, grads = jax.value_and_grad(loss_of)(params, x[rows], y[rows])
        if task.optimizer == "sgd":
            return (jax.tree.map(lambda p, g: p - task.rate * g, params, grads), mean, square, t), loss
        t = t + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, grads)
        rate = task.rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = jax.tree.map(lambda p, m, s: p - rate * m / (jnp.sqrt(s) + 1e-8), params, mean, square)
        return (params, mean, square, t), loss

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state: Any, order: Any) -> Any:
        return jax.lax.scan(step, state, order)

    zeros = lambda: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
    held = [(jax.tree.map(jnp.asarray, params), zeros(), zeros(), jnp.zeros(()))]

    def train() -> None:
        for _ in range(task.epochs):
            # the rows of a last small batch are left out: a scan takes batches of one size
            order = rng.permutation(len(x))[:full].reshape(-1, task.batch)
            held[0], losses = epoch(held[0], order)
            losses.block_until_ready()

    return train


def keras(task: Task) -> Turn:
    """Keras on JAX: `compile`, `fit`."""
    import keras as k

    k.utils.set_random_seed(0)
    layers = [k.layers.Dense(n, activation="relu") for n in task.widths[1:-1]]
    model = k.Sequential([k.Input((task.widths[0],)), *layers, k.layers.Dense(task.widths[-1])])
    kind = {"adam": k.optimizers.Adam, "sgd": k.optimizers.SGD}[task.optimizer]
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True) if task.has_classes else "mse"
    model.compile(kind(learning_rate=task.rate), loss)
    return lambda: model.fit(task.x, task.y, batch_size=task.batch, epochs=task.epochs, verbose=0)


PEERS: dict[str, Callable[[Task], Turn]] = {
    "textbook": textbook,
    "tuned": tuned,
    "sklearn": sklearn,
    "jax": jax_scan,
    "keras": keras,
}


def hold_to_one_core() -> None:
    """One thread for every peer: JAX starts as many as it sees cores, whatever `OMP_NUM_THREADS` says."""
    if os.environ.get("OMP_NUM_THREADS") == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> None:
    """Answer turns until the input ends."""
    hold_to_one_core()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    task = read_task(sys.argv[2])
    train = PEERS[sys.argv[1]](task)
    updates = task.epochs * -(-len(task.x) // task.batch)
    if sys.argv[1] == "jax":
        updates = task.epochs * (len(task.x) // task.batch)
    for _line in sys.stdin:
        started = time.perf_counter()
        train()
        print((time.perf_counter() - started) / updates * 1e6, file=answers, flush=True)


if __name__ == "__main__":
    main()
