"""The claims on handwritten digits, recomputed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import limpide as lp
from limpide.i18n import N_, _, format_percent
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.labs.showing import is_full
from limpide.nn.losses import LOSSES

STORY = names_of(__file__, "learn")


@cache
def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The images (rows, 28, 28) and the digits."""
    data = lp.open_source("mnist")
    assert data.target is not None
    return np.asarray(data.inputs)[:, 0], data.target.cast(int).to_numpy()


@cache
def by_the_book(seed: int, epochs: int = 20) -> dict[int, tuple[float, float, np.ndarray]]:
    """The training loss, the validation loss and the test answers after epochs 16, 20 and 40."""
    images, digits = mnist()
    x = STORY.to_inputs(images)
    train, held = STORY.deal(60_000, seed)
    found = {}
    for epoch, (loss, network) in enumerate(STORY.learn(x, digits, train, seed=seed, epochs=epochs), 1):
        if epoch in (16, 20, 40):
            validation = LOSSES["cross_entropy"].mean(network(x[held]), digits[held])
            found[epoch] = (loss, validation, network(x[60_000:]).argmax(axis=1))
    return found


def answers() -> dict[int, np.ndarray]:
    """The test answers after 20 epochs by seed: one seed, or four where the whole is asked for."""
    found = {42: by_the_book(42, 40)[20][2]}
    return found | {seed: by_the_book(seed)[20][2] for seed in ((0, 1, 2) if is_full() else ())}


def weighted(answer: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1, each class counted by its share."""
    table = np.zeros((10, 10))
    np.add.at(table, (truth, answer), 1)
    hits, support = np.diag(table), table.sum(1)
    precision, recall = hits / np.maximum(table.sum(0), 1), hits / support
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    shares = support / len(truth)
    return {"precision": float(precision @ shares), "recall": float(recall @ shares), "f1": float(f1 @ shares)}


@checks("mnist-sizes", "mnist-digits-0-to-10", "mnist-black-and-white", "mnist-shape", "mnist-split")
def sizes(name: str) -> Finding:
    """What the files hold."""
    images, digits = mnist()
    if name == "mnist-sizes":
        shape = " × ".join(map(str, images.shape[1:]))
        return judge(images.shape == (70_000, 28, 28), f"{len(images) - 10_000} + 10000, {shape}")
    if name == "mnist-digits-0-to-10":
        return judge(set(digits.tolist()) == set(range(11)), f"{digits.min()} … {digits.max()}")
    if name == "mnist-black-and-white":
        n = sum(bool((images[:10_000] == level).any()) for level in range(256))
        return judge(n == 2, _("{n} grey levels").format(n=n))
    if name == "mnist-shape":
        shapes = {np.asarray(lp.open_source("mnist?rows=70").inputs[i]).shape for i in (0, 50, 69)}
        return judge(shapes == {(1, 28, 28)}, " ".join(map(str, shapes)))
    n_train = int(0.8 * (len(images) - 10_000))
    return judge((n_train, 60_000 - n_train) == (48_000, 12_000), f"{n_train} / {60_000 - n_train}")


@checks("mnist-split-seed")
def unseeded() -> Finding:
    """What is left to chance when no seed is set."""
    truth = mnist()[1][60_000:]
    found = ", ".join(f"{seed}: {format_percent(np.mean(answer == truth), 2)}" for seed, answer in answers().items())
    text = _("no seed is set in the project; test accuracy by seed here: {found}")
    return argue("not reproducible", text.format(found=found))


@checks("mnist-shuffle-validation")
def shuffled() -> Finding:
    """The validation loss of a network in two orders of the rows, by batches of 32."""
    rng = np.random.default_rng(0)
    scores, digits = rng.normal(size=(12_000, 10)), rng.integers(0, 10, 12_000)
    cost = LOSSES["cross_entropy"]
    found = []
    for order in (np.arange(12_000), rng.permutation(12_000)):
        batches = order.reshape(375, 32)
        found.append(float(np.mean([cost.mean(scores[rows], digits[rows]) for rows in batches])))
    text = _("mean of 375 batch losses in order and shuffled: they differ by {difference}; no weight is updated")
    return judge(abs(found[0] - found[1]) > 1e-9, text.format(difference=f"{abs(found[0] - found[1]):.1g}"))


@checks("mnist-numpy-import")
def not_imported() -> Finding:
    """A program that uses a module it does not import."""
    try:
        exec("means = np.zeros(10)", {})
    except NameError as error:
        return judge(False, f"NameError: {error}")
    return judge(True, "-")


@checks("mnist-hidden-layers")
def hidden() -> Finding:
    """The layers that the class builds for 4: one into the width, then four more."""
    network = lp.Network.parse("784, " + "40 relu, " * (1 + 4) + "10")
    n = sum(layer.parameters > 0 for layer in network.table()) - 1
    text = _("{n} hidden layers, {parameters} parameters")
    return judge(n == 4, text.format(n=n, parameters=network.n_parameters))


@checks("mnist-softmax-plus-cross-entropy")
def twice() -> Finding:
    """The same training with raw scores and with softmax before a loss that applies softmax itself."""
    images, digits = mnist()
    n = 60_000 if is_full() else 12_000
    x, x_test = STORY.to_inputs(images[:n]), STORY.to_inputs(images[60_000:])
    shares = []
    for last in ("10", "10 softmax"):
        *_others, (_loss, network) = STORY.learn(x, digits, STORY.deal(n, 42)[0], last)
        shares.append(float(np.mean(network(x_test).argmax(axis=1) == digits[60_000:])))
    best = LOSSES["cross_entropy"].mean(np.eye(10)[:1], np.zeros(1, np.int64))
    text = _("trained on {n} images: test accuracy {twice}, with raw scores {raw}; its loss cannot fall below {floor}")
    evidence = text.format(n=n, twice=f"{shares[1]:.4f}", raw=f"{shares[0]:.4f}", floor=f"{best:.4f}")
    return judge(shares[1] >= shares[0] - 0.03, evidence)


@checks("mnist-accuracy", "mnist-precision", "mnist-recall", "mnist-f1")
def measures(name: str) -> Finding:
    """After 20 epochs on all the images, to a point of 0.96."""
    truth, measure = mnist()[1][60_000:], name.removeprefix("mnist-")
    found = {
        seed: float(np.mean(answer == truth)) if measure == "accuracy" else weighted(answer, truth)[measure]
        for seed, answer in answers().items()
    }
    evidence = _("by seed: {found}").format(found=", ".join(f"{seed}: {value:.4f}" for seed, value in found.items()))
    return judge(all(abs(value - 0.96) <= 0.01 for value in found.values()), evidence)


@checks("mnist-percent-print")
def printed() -> Finding:
    """A share under a percent sign."""
    line = f"{0.96:.2f}%"
    return judge(line == "96%", line)


@checks("mnist-weighted-recall")
def twins() -> Finding:
    """Weighted recall beside accuracy, and the mean over the classes."""
    truth, answer = mnist()[1][60_000:], answers()[42]
    accuracy, recall = float(np.mean(answer == truth)), weighted(answer, truth)["recall"]
    macro = float(np.mean([np.mean(answer[truth == digit] == digit) for digit in range(10)]))
    text = _("accuracy {accuracy}, weighted recall {recall}, mean over the classes {macro}")
    evidence = text.format(accuracy=f"{accuracy:.4f}", recall=f"{recall:.4f}", macro=f"{macro:.4f}")
    return judge(abs(accuracy - recall) > 1e-12, evidence)


@checks("mnist-equality-operator")
def collected() -> Finding:
    """A matter of what a listing holds."""
    return argue("wrong", _("the listing collects labels and predictions; it neither compares nor counts them"))


@checks("mnist-plateau")
def plateau() -> Finding:
    """The losses at epochs 16, 20 and 40."""
    found = by_the_book(42, 40)
    shown = ", ".join(f"{epoch}: {train:.3f} / {held:.3f}" for epoch, (train, held, _answer) in found.items())
    # level would be the same training loss after twenty epochs more
    is_level = found[40][0] > 0.9 * found[20][0]
    return judge(is_level, _("training / validation loss by epoch: {found}").format(found=shown))


@cache
def always_nine() -> dict[str, float]:
    """The measures of a classifier that answers 9 where 90 of 100 are nines."""
    truth: Any = np.array([9] * 90 + [0, 1, 2, 3, 4, 5, 6, 7, 8, 8])
    answer = np.full(100, 9)
    found = weighted(answer, truth)
    recalls = [np.mean(answer[truth == digit] == digit) for digit in range(10)]
    of_nine = float(np.mean(truth[answer == 9] == 9))
    return {
        N_("accuracy"): float(np.mean(answer == truth)),
        N_("precision of 9"): of_nine,
        N_("recall of 9"): float(recalls[9]),
        N_("weighted recall"): found["recall"],
        N_("macro recall"): float(np.mean(recalls)),
        N_("macro precision"): of_nine / 10,
    }


@checks("always-nine-low-recall", "accuracy-called-precision")
def nines(name: str) -> Finding:
    """Which of the measures are 0.9."""
    found = always_nine()
    evidence = ", ".join(f"{_(word)} {value:g}" for word, value in found.items())
    if name == "accuracy-called-precision":
        # precision belongs to a class; over all classes it is not 0.9
        return judge(found["macro precision"] == found["accuracy"], evidence)
    return judge(found["recall of 9"] < 0.5 and found["weighted recall"] < 0.5, evidence)
