"""The claims on the calculator, recomputed."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge, over_seeds
from limpide.labs.running import names_of
from limpide.nn.network import Network

STORY = names_of(__file__, "list_of_pairs", "learn")
SIZES = (2, 16, 16, 16, 1)
SEQUENTIAL = (2, 40, 40, 40, 40, 40, 1)


@cache
def calculators() -> list[Any]:
    """Twenty of them, one for each seed."""
    return [STORY.learn(seed) for seed in range(20)]


def spread(values: np.ndarray, decimals: int) -> str:
    """The smallest, the median and the largest."""
    return " / ".join(f"{value:.{decimals}f}" for value in np.quantile(values, (0, 0.5, 1)))


def in_torch(*built_before: tuple[int, ...]) -> float:
    """The test MSE of the experiment written in PyTorch, after other networks were built from the same seed 42."""
    get_engine("torch")
    import torch
    from sklearn.model_selection import train_test_split
    from threadpoolctl import threadpool_limits
    from torch.utils.data import DataLoader

    random.seed(42)
    rng = np.random.RandomState(42)
    # batches this small only wait for a second thread
    with torch.random.fork_rng(devices=[]), threadpool_limits(1):
        torch.manual_seed(42)
        for sizes in built_before:
            _sequential(sizes)
        pairs = rng.randint(0, 101, (10_000, 2))
        parts = train_test_split(pairs / 100, pairs.sum(1, keepdims=True) / 200, test_size=0.2, random_state=42)
        x, x_held, y, y_held = (torch.tensor(part, dtype=torch.float32) for part in parts)
        rows = DataLoader(_Rows(x, y), batch_size=64, shuffle=True, collate_fn=tuple)
        held = DataLoader(_Rows(x_held, y_held), batch_size=64, collate_fn=tuple)
        model = _sequential(SIZES)
        optimizer, cost = torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss()
        for _epoch in range(10):
            for a, b in rows:
                optimizer.zero_grad()
                cost(model(a), b).backward()
                optimizer.step()
            # looking at the validation rows draws a number too
            for _batch in held:
                pass
        fresh = rng.randint(0, 101, (2000, 2))
        with torch.no_grad():
            found = 200 * model(torch.tensor(fresh / 100, dtype=torch.float32)).numpy().ravel()
    return float(np.mean((found - fresh.sum(1)) ** 2))


class _Rows:
    """Rows that a loader takes a batch at a time, not one by one."""

    def __init__(self, *columns: Any) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitems__(self, rows: list[int]) -> list[Any]:
        return [column[rows] for column in self.columns]


def _sequential(sizes: tuple[int, ...]) -> Any:
    from torch import nn

    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@checks("calc-same-results-with-42")
def forty_two() -> Finding:
    """The same seed, with nothing, one and two other networks built before."""
    found = [in_torch(*[SEQUENTIAL] * n) for n in range(3)]
    text = _("test MSE with 0, 1 and 2 other networks built before: {values}; stated 1.6901")
    values = ", ".join(f"{value:.4f}" for value in found)
    if min(abs(value - 1.6901) for value in found) > 1e-3:
        return Finding("not reproducible", text.format(values=values))
    return judge(True, text.format(values=values))


@checks("calc-scaled-to-unit")
def scaled() -> Finding:
    """The smallest value when the smallest number is -10."""
    import limpide as lp

    data = lp.open_source("calculator?scaled=yes&minimum=-10")
    low = float(data.inputs.to_numpy().min())
    assert data.target is not None
    text = _("inputs from {low}, targets from {lowest}")
    return judge(low >= 0, text.format(low=f"{low:.3f}", lowest=f"{data.target.to_numpy().min():.3f}"))


@checks("calc-unseen-test-data")
def unseen() -> Finding:
    """The share of the test pairs that stand among the training pairs."""
    pairs = np.random.RandomState(42).randint(0, 101, (10_000, 2))
    share = float(STORY.come_back(pairs[:8000], pairs[8000:]).mean())
    text = _("{share} already seen, {expected} expected by chance")
    return judge(share == 0, text.format(share=f"{share:.4f}", expected=f"{1 - (1 - 1 / 101**2) ** 8000:.4f}"))


@checks("calc-sequential-four-hidden")
def hidden() -> Finding:
    """The hidden layers and parameters of 2→40, four times 40→40, 40→1."""
    listed, four = Network.parse("2, 40x5 relu, 1"), Network.parse("2, 40x4 relu, 1")
    n = sum(bool(layer.parameters) for layer in listed.table()) - 1
    text = _("{n} hidden layers, {parameters} parameters; four would have {others}")
    evidence = text.format(n=n, parameters=listed.n_parameters, others=four.n_parameters)
    return judge(n == 4, evidence)


@checks("calc-params-per-layer", "calc-params-total", "calc-four-linear-layers")
def counts(name: str) -> Finding:
    """The layer table of 2-16-16-16-1."""
    network = Network.parse("2, 16x3 relu, 1")
    table = network.table()
    numbers = [layer.parameters for layer in table if layer.parameters]
    if name == "calc-params-per-layer":
        return judge(numbers == [48, 272, 272, 17], " ".join(map(str, numbers)))
    if name == "calc-params-total":
        return judge(network.n_parameters == 609, " + ".join(map(str, numbers)) + f" = {network.n_parameters}")
    n_others = len(table) - len(numbers)
    text = _("{n} dense layers, {m} ReLU, {hidden} hidden layers")
    return judge((len(numbers), n_others) == (4, 3), text.format(n=len(numbers), m=n_others, hidden=len(numbers) - 1))


@checks("calc-class-super-name", "calc-model-created")
def names(name: str) -> Finding:
    """A program that uses a name nobody made."""
    programs = {
        "calc-class-super-name": "class Fixed:\n def __init__(self):\n  super(Other, self).__init__()\nFixed()",
        "calc-model-created": "train(model)",
    }
    try:
        exec(programs[name], {"train": lambda model: model})
    except NameError as error:
        return judge(False, f"NameError: {error}")
    return judge(True, "-")


@checks("calc-default-range")
def defaults() -> Finding:
    """What the functions take when nothing is said, beside what the experiment says."""
    return argue("wrong", _("left out: 1,000 pairs up to 10; in the experiment: 10,000 pairs up to 100"))


@checks("calc-mse", "calc-mae", "calc-r2")
def measures(name: str) -> Finding:
    """Twenty seeds beside the one that is stated: is it as good or better?"""
    index, stated, decimals = {"calc-mse": (0, 1.6901, 2), "calc-mae": (1, 1.0354, 2), "calc-r2": (2, 0.9990, 4)}[name]
    values = np.array([STORY.measure(calculator)[index] for calculator in calculators()])
    reached = values >= stated if name == "calc-r2" else values <= stated
    text = _("over 20 seeds {spread} (smallest, median, largest); {n} of them at least as good as stated")
    return over_seeds(reached.tolist(), text.format(spread=spread(values, decimals), n=int(reached.sum())))


@checks("calc-metrics-consistent")
def consistent() -> Finding:
    """R² from the MSE and the variance of a sum of two uniform whole numbers."""
    variance = 2 * (101**2 - 1) / 12
    r2 = 1 - 1.6901 / variance
    text = _("1 − 1.6901/{variance} = {r2}; MAE 1.0354 ≤ √MSE = {root}")
    evidence = text.format(variance=f"{variance:g}", r2=f"{r2:.5f}", root=f"{1.6901**0.5:.4f}")
    return judge(abs(r2 - 0.9990) <= 5e-5 and 1.6901**0.5 >= 1.0354, evidence)


@checks("calc-50-plus-50", "calc-6-plus-6")
def by_hand(name: str) -> Finding:
    """One sum by twenty calculators: does it round to the truth?"""
    a = 50 if name == "calc-50-plus-50" else 6
    values = np.array([calculator([(a, a)])[0] for calculator in calculators()])
    right = np.rint(values) == 2 * a
    text = _("over 20 seeds {spread} (smallest, median, largest); {n} round to {sum}")
    return over_seeds(right.tolist(), text.format(spread=spread(values, 2), n=int(right.sum()), sum=2 * a))


@checks("calc-rounded-called-real")
def label() -> Finding:
    """How often the rounded prediction, printed as the real sum, is not the real sum."""
    values = np.array([calculator([(6, 6)])[0] for calculator in calculators()])
    wrong = int((np.rint(values) != 12).sum())
    text = _("the rounded prediction for 6 + 6 is not 12 for {n} of 20 seeds; it is {low} to {high}")
    low, high = (f"{np.rint(edge):g}" for edge in (values.min(), values.max()))
    return judge(wrong == 0, text.format(n=wrong, low=low, high=high))


@checks("no-grad-halves-memory", "quiz5-q6-eval-gradients")
def gradients(name: str) -> Finding:
    """What evaluation mode and no_grad each switch off."""
    get_engine("torch")
    import torch

    model = torch.nn.Linear(2, 1).eval()
    x = torch.ones(1, 2)
    with torch.no_grad():
        without = model(x).requires_grad
    in_eval = model(x).requires_grad
    if name == "quiz5-q6-eval-gradients":
        text = _("an output records how it was made: {eval} in evaluation mode, {no_grad} under no_grad")
        return judge(not in_eval, text.format(eval=in_eval, no_grad=without))
    there = any(parameter.grad is not None for parameter in model.parameters())
    text = _("gradients of the weights before any backward pass: {n}; no_grad saves the record of the forward pass")
    return judge(there, text.format(n=int(there)))
