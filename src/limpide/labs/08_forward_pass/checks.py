"""The forward pass of the 2-3-3-1 network, recomputed by the reference engine."""

from __future__ import annotations

import numpy as np

from limpide.engines.base import get_engine
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.nn.network import Network

B = np.array([0.1, 0.2, 0.3])
W1 = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
W2 = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
W3 = np.array([[0.1], [0.2], [0.3]])
X = np.array([[70.0, 25.0]])


def outputs(text: str) -> np.ndarray:
    """What the first layers, as many as the text names, give for the input."""
    weights = {"0.dense.W": W1, "0.dense.b": B, "2.dense.W": W2, "2.dense.b": B, "4.dense.W": W3, "4.dense.b": B[:1]}
    network = Network.parse(text)
    known = {slot.name: weights[slot.name] for slot in network.slots}
    found: np.ndarray = get_engine("numpy").forward(network, known, X)[0]
    return found


def agree(found: np.ndarray, stated: list[float]) -> Finding:
    """Whether the numbers are those stated."""
    return judge(np.allclose(found, stated, rtol=0, atol=1e-9), " ".join(f"{value:.6g}" for value in found))


@checks("ff-hidden1")
def first_sums() -> Finding:
    """The sums of the first layer."""
    return agree(outputs("2, 3 relu"), [17.1, 26.7, 36.3])


@checks("ff-hidden2")
def second_sums() -> Finding:
    """The sums of the second layer."""
    return agree(outputs("2, 3 relu, 3 relu"), [37.9, 46.01, 54.12])


@checks("ff-output")
def output() -> Finding:
    """The output."""
    return agree(outputs("2, 3 relu, 3 relu, 1 relu"), [29.328])


@checks("ff-hidden1-by-hand")
def first_by_hand() -> Finding:
    """The first unit of the first layer."""
    return agree(np.array([70 * 0.1 + 25 * 0.4, 70 * 0.1 + 25 * 0.4 + 0.1]), [17.0, 17.1])


@checks("ff-hidden2-by-hand")
def second_by_hand() -> Finding:
    """The first unit of the second layer."""
    products = outputs("2, 3 relu") * W2[:, 0]
    return agree(np.array([*products, products.sum(), products.sum() + 0.1]), [1.71, 10.68, 25.41, 37.8, 37.9])


@checks("ff-output-by-hand")
def output_by_hand() -> Finding:
    """The last unit."""
    products = outputs("2, 3 relu, 3 relu") * W3[:, 0]
    return agree(np.array([*products, products.sum(), products.sum() + 0.1]), [3.79, 9.202, 16.236, 29.228, 29.328])


@checks("unit-sums-values")
def plain_sum() -> Finding:
    """Without the weights the numbers are others: 70 + 25 + 0.1 is not 17.1."""
    text = _("without weights: {plain}; with them: {weighted}")
    plain, weighted = X.sum() + 0.1, outputs("2, 3 relu")[0]
    return judge(bool(np.isclose(plain, weighted)), text.format(plain=f"{plain:g}", weighted=f"{weighted:g}"))


@checks("quiz3-q5-orientation")
def orientation() -> Finding:
    """Both ways of writing give the same sums."""
    rows, columns = X[0] @ W1, W1.T @ X[0]
    if not np.array_equal(rows, columns):
        return argue("holds", f"{rows} {columns}")
    return argue("wrong", _("both are right: a row of inputs times W, or the transposed W times a column"))
