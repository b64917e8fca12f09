"""Data sets that are drawn: each function takes its options, and draws in the order its source draws."""

from __future__ import annotations

import numpy as np

from limpide.errors import DataError, problem
from limpide.i18n import _

Table = tuple[dict[str, np.ndarray], np.ndarray]
"""Columns by name, and the target: numbers, or whole numbers for classes."""


def production_costs(samples: int, seed: int) -> Table:
    """Cost = 3 material + 2 hours + 4 labour + noise of sd 2; each input is uniform on [0, 10)."""
    rng = np.random.RandomState(seed)
    x = rng.rand(samples, 3) * 10
    cost = 3 * x[:, 0] + 2 * x[:, 1] + 4 * x[:, 2] + 2 * rng.randn(samples)
    return {"material_kg": x[:, 0], "production_hours": x[:, 1], "labour_cost": x[:, 2]}, cost


def calculator(samples: int, minimum: int, maximum: int, operation: str, scaled: bool, seed: int) -> Table:
    """Pairs of whole numbers, both bounds included, and their sum or their product.

    scaled  as the source feeds its network: inputs / maximum, and sum / (2 maximum) or product / maximum²
    """
    if minimum > maximum:
        where = _("data set {name}").format(name="calculator")
        raise DataError(problem(where, _("a minimum up to the maximum, {n}").format(n=maximum), str(minimum)))
    pairs = np.random.RandomState(seed).randint(minimum, maximum + 1, (samples, 2)).astype(np.float64)
    result, largest = (pairs.sum(1), 2.0 * maximum) if operation == "add" else (pairs.prod(1), float(maximum) ** 2)
    if scaled:
        pairs, result = pairs / maximum, result / largest
    return {"a": pairs[:, 0], "b": pairs[:, 1]}, result


def random_classes(seed: int) -> tuple[Table, tuple[np.ndarray, ...]]:
    """100 rows of 4 normals whose classes are drawn apart from them, and the weights of a 4-5-4-3 network."""
    rng = np.random.RandomState(seed)
    x, labels = rng.randn(100, 4), rng.randint(0, 3, 100)
    return (_columns(x), labels), tuple(rng.randn(*shape) * 0.01 for shape in ((4, 5), (5, 4), (4, 3)))


def random_labels(seed: int) -> tuple[Table, tuple[np.ndarray, ...]]:
    """100 points whose two labels are drawn apart from them, and the weights of a 2-4-1 network."""
    rng = np.random.RandomState(seed)
    x, labels = rng.randn(100, 2), (rng.rand(100) > 0.5).astype(np.int64)
    return (_columns(x), labels), tuple(rng.randn(*shape) * 0.01 for shape in ((2, 4), (4, 1)))


def moons_weights(seed: int = 1) -> tuple[np.ndarray, ...]:
    """The weights from which a 2-6-1 network learns the two moons."""
    rng = np.random.RandomState(seed)
    return tuple(rng.randn(*shape) * 0.01 for shape in ((2, 6), (6, 1)))


def moons(samples: int, noise: float, seed: int) -> Table:
    """Two half circles, one in the other's hollow."""
    from sklearn.datasets import make_moons

    x, labels = make_moons(samples, noise=noise, random_state=seed)
    return _columns(x), labels


def circles(samples: int, noise: float, factor: float, seed: int) -> Table:
    """A circle (class 1) inside another; `factor` is the ratio of their radii."""
    from sklearn.datasets import make_circles

    x, labels = make_circles(samples, noise=noise, factor=factor, random_state=seed)
    return _columns(x), labels


def blobs(samples: int, centers: int, features: int, spread: float, seed: int) -> Table:
    """Round clouds of standard deviation `spread` around centres uniform on [-10, 10]."""
    from sklearn.datasets import make_blobs

    x, labels = make_blobs(samples, centers=centers, n_features=features, cluster_std=spread, random_state=seed)
    return _columns(x), labels


def spirals(samples: int, arms: int, turns: float, noise: float, seed: int) -> Table:
    """Arms that wind round one another; arm k is turned by k / arms of a full turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % arms
    radius = np.sqrt(rng.uniform(0.01, 1, samples))
    angle = 2 * np.pi * (turns * radius + labels / arms)
    x = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, noise, (samples, 2))
    return _columns(x), labels


def xor(samples: int, noise: float, seed: int) -> Table:
    """Points of a square, class 1 where exactly one coordinate is positive; noise moves the points, not the classes."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, 2))
    labels = ((x[:, 0] > 0) != (x[:, 1] > 0)).astype(np.int64)
    return _columns(x + rng.normal(0, noise, (samples, 2))), labels


def clouds(samples: int, shifted: bool, seed: int) -> Table:
    """Two clouds of sd 0.5: around (-2, -2) and (2, 2), or shifted to (2, 2) and (5, 5), where a bias is needed.

    Both pairs are drawn one after the other from one generator.
    """
    rng = np.random.default_rng(seed)
    half = samples // 2
    for centres in (((-2, -2), (2, 2)), ((2, 2), (5, 5)))[: 1 + shifted]:
        x = np.concatenate([rng.normal(centres[0], 0.5, (half, 2)), rng.normal(centres[1], 0.5, (samples - half, 2))])
    return _columns(x), (np.arange(samples) >= half).astype(np.int64)


def line(samples: int, noise: float, seed: int) -> Table:
    """Y = 3 x + 2 + noise, x uniform on [-1, 1]."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, samples)
    return {"x": x}, 3 * x + 2 + rng.normal(0, noise, samples)


def sine(samples: int, noise: float, seed: int) -> Table:
    """Y = sin(2 π x) + noise, x evenly spaced on [0, 1]."""
    x = np.linspace(0, 1, samples)
    return {"x": x}, np.sin(2 * np.pi * x) + np.random.default_rng(seed).normal(0, noise, samples)


def two_scales(samples: int, seed: int) -> Table:
    """Y = 0.5 f1 - 2 f2 + noise of sd 0.5, with f1 of mean 50 and sd 10 beside f2 of mean 5 and sd 1."""
    rng = np.random.default_rng(seed)
    f1, f2 = rng.normal(50, 10, samples), rng.normal(5, 1, samples)
    return {"f1": f1, "f2": f2}, 0.5 * f1 - 2 * f2 + rng.normal(0, 0.5, samples)


def _columns(x: np.ndarray) -> dict[str, np.ndarray]:
    return {f"x{i + 1}": x[:, i] for i in range(x.shape[1])}
