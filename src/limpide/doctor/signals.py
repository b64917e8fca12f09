"""What is wrong inside the network: weights too small to begin with, signals that die or grow, units that are lost."""

from __future__ import annotations

from math import isfinite, prod

import numpy as np

from limpide import seeds
from limpide.doctor.diagnosis import DIAGNOSES, Diagnosis, Evidence
from limpide.doctor.examination import NOT_LEARNED, Examination
from limpide.doctor.measures import SATURATED_ROWS, SATURATED_SLOPE, Record, Units
from limpide.i18n import N_, _, format_count, format_number, format_percent, ngettext

SMALLEST_GAIN, FEWEST_WEIGHTS = 0.1, 8
"""Of the root mean square of weights times √fan_in: the initializers of the catalogue give 0.25 to 1.5; of fewer
weights than these it is a matter of luck."""

PLATEAU, PLATEAU_UPDATES = 0.99, 30
VANISHED, EXPLODED = 1e-3, 100.0
LOST_SHARE, FEWEST_LOST = 0.5, 2
WELL_LEARNED = 0.1
"""Below this share of a constant answer's loss dead units are no illness: on MNIST half of a layer may be."""


def _gains(exam: Examination) -> dict[str, float]:
    """For each layer with matrices or kernels at birth, the root mean square of its weights times √fan_in."""
    job = exam.job
    born = job.network.initialize(seeds.stream(job.recipe.seed, "weights"))
    gains = {}
    for slot in job.network.slots:
        if len(slot.shape) > 1 and prod(slot.shape) >= FEWEST_WEIGHTS:
            # a kernel is (out, in, rows, cols), a matrix (in, out)
            fan_in = slot.shape[0] if len(slot.shape) == 2 else prod(slot.shape[1:])
            gains[slot.name] = float(np.sqrt(np.square(born[slot.name]).mean() * fan_in))
    return gains


def _tiny_weights(exam: Examination) -> Evidence | None:
    gains = _gains(exam)
    small = {name: gain for name, gain in gains.items() if gain < SMALLEST_GAIN}
    flat = [epoch for epoch in exam.history if epoch.train_loss >= PLATEAU * exam.constant_loss]
    n = len(flat)
    if not small or not n or exam.history[n - 1] != flat[-1] or flat[-1].updates < PLATEAU_UPDATES:
        return None
    name = min(small, key=lambda name: small[name])
    text = _(
        "for {updates} updates, up to epoch {epoch} of {epochs}, the training loss stayed at {loss}, "
        "what a constant answer costs; {name} was born with a size of {gain} / √inputs"
    )
    shown = {"loss": format_number(exam.constant_loss), "gain": format_number(small[name], 2), "name": name}
    counts = {"updates": flat[-1].updates, "epoch": n, "epochs": len(exam.history)}
    evidence = text.format(**{key: format_count(value) for key, value in counts.items()}, **shown)
    return Evidence(evidence, {**counts, "constant_loss": exam.constant_loss, "gain": small[name], "tensor": name})


DIAGNOSES.add(
    Diagnosis(
        "tiny-weights",
        N_("a plateau from tiny initial weights"),
        N_("the size of each layer's initial weights, and the epochs with the training loss of a constant answer"),
        N_("root mean square below {gain} / √inputs, and {updates} updates or more on the plateau"),
        "Glorot & Bengio 2010, section 4.2; He, Zhang, Ren & Sun 2015, section 2.2",
        N_(
            'Take an initializer that looks at the number of inputs: network.initializer = "he", "xavier" or "pytorch".'
        ),
        _tiny_weights,
        {"gain": SMALLEST_GAIN, "updates": PLATEAU_UPDATES},
        hides=(
            *("vanishing-gradients", "dead-units", "rate-too-low", "rate-too-high"),
            *("batch-size", "too-few-updates", "under-fitting"),
        ),
    )
)


def _passage(exam: Examination) -> tuple[float, Record] | None:
    """The signal at the first layer over that at the last, before the first update."""
    for record in exam.records:
        layers = record.layers
        if record.update == 0 and len(layers) > 2 and layers[-1].signal > 0:
            return layers[0].signal / layers[-1].signal, record
    return None


def _passage_text(exam: Examination, ratio: float, record: Record) -> Evidence:
    text = _(
        "before the first update, on {rows} training rows, the gradient that comes back to {first} is {ratio} times "
        "that at {last}; the training loss kept is {left} of a constant answer's"
    )
    shown = {
        "ratio": format_number(ratio, 2),
        "left": format_percent(exam.left, digits=3) if isfinite(exam.left) else "–",
    }
    first, last = record.layers[0].path, record.layers[-1].path
    signals = {layer.path: layer.signal for layer in record.layers}
    evidence = text.format(rows=format_count(record.rows), first=first, last=last, **shown)
    return Evidence(evidence, {"ratio": ratio, "signals": signals, "left": exam.left})


def _vanishing(exam: Examination) -> Evidence | None:
    passage = _passage(exam)
    if passage is None or passage[0] >= VANISHED or exam.has_learned:
        return None
    return _passage_text(exam, *passage)


def _exploding(exam: Examination) -> Evidence | None:
    passage = _passage(exam)
    if passage is None or not passage[0] > EXPLODED or exam.has_learned:
        return None
    return _passage_text(exam, *passage)


DIAGNOSES.add(
    Diagnosis(
        "vanishing-gradients",
        N_("vanishing gradients"),
        N_("‖∂J/∂output‖ of the first layer with weights over that of the last, before the first update"),
        N_("below {ratio}, in a network that keeps more than {left} of a constant answer's loss"),
        "Hochreiter 1991; Glorot & Bengio 2010, section 4",
        N_("Take relu or silu instead of sigmoid or tanh, the initializer he, batchnorm, or fewer layers."),
        _vanishing,
        {"ratio": VANISHED, "left": NOT_LEARNED},
        hides=("rate-too-low", "too-few-updates", "under-fitting", "saturated-units", "batch-size"),
    )
)
DIAGNOSES.add(
    Diagnosis(
        "exploding-gradients",
        N_("exploding gradients"),
        N_("‖∂J/∂output‖ of the first layer with weights over that of the last, before the first update"),
        N_("above {ratio}, in a network that keeps more than {left} of a constant answer's loss"),
        "Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks",
        N_("Take smaller initial weights (he, xavier), batchnorm, or bound the gradient: optimizer.clip_norm = 1.0."),
        _exploding,
        {"ratio": EXPLODED, "left": NOT_LEARNED},
        hides=("under-fitting", "rate-too-low", "too-few-updates"),
    )
)


def _lost(units: list[Units], kind: str) -> Units | None:
    """The layer that has lost the largest share of its units, where that is much."""
    worst = max(units, key=lambda layer: getattr(layer, kind) / layer.n, default=None)
    if worst is None or getattr(worst, kind) < max(FEWEST_LOST, LOST_SHARE * worst.n):
        return None
    return worst


def _dead(exam: Examination) -> Evidence | None:
    worst = _lost(exam.units, "dead")
    if worst is None or exam.left < WELL_LEARNED:
        return None
    text = ngettext(
        "{path}: {n} of {all} unit is negative before relu on every one of the {rows} training rows",
        "{path}: {n} of {all} units are negative before relu on every one of the {rows} training rows",
        worst.n,
    )
    counts = {"n": worst.dead, "all": worst.n, "rows": worst.rows}
    return Evidence(
        text.format(path=worst.path, **{key: format_count(n) for key, n in counts.items()}),
        {"layer": worst.path, "dead": worst.dead, "units": worst.n, "rows": worst.rows},
    )


def _saturated(exam: Examination) -> Evidence | None:
    worst = _lost(exam.units, "saturated")
    if worst is None:
        return None
    text = _(
        "{path}: {n} of {all} units have less than {slope} of the largest slope of {function} on {share} "
        "of the {rows} training rows or more"
    )
    counts = {"n": worst.saturated, "all": worst.n, "rows": worst.rows}
    shown = {"slope": format_percent(SATURATED_SLOPE, digits=4), "share": format_percent(SATURATED_ROWS, digits=4)}
    return Evidence(
        text.format(
            path=worst.path, function=worst.function, **{key: format_count(n) for key, n in counts.items()}, **shown
        ),
        {"layer": worst.path, "saturated": worst.saturated, "units": worst.n, "rows": worst.rows},
    )


DIAGNOSES.add(
    Diagnosis(
        "dead-units",
        N_("dead units"),
        N_("the sum of each hidden relu unit on every training row, with the weights kept"),
        N_(
            "negative on every row, for {share} of a layer's units, in a network that keeps {left} of a constant "
            "answer's loss or more"
        ),
        "Lu, Shin, Su & Karniadakis 2020, Dying ReLU and initialization",
        N_("Take a lower rate, the initializer he, or leaky_relu or silu, which let a gradient through below zero."),
        _dead,
        {"share": LOST_SHARE, "left": WELL_LEARNED},
        hides=("under-fitting", "too-few-updates", "rate-too-low", "vanishing-gradients", "batch-size"),
    )
)
DIAGNOSES.add(
    Diagnosis(
        "saturated-units",
        N_("saturated units"),
        N_("the slope of each hidden sigmoid or tanh unit on every training row, with the weights kept"),
        N_("below {slope} of the largest on {rows} of the rows, for {share} of a layer's units, and at least {n}"),
        "Glorot & Bengio 2010, section 3",
        N_("Standardise the inputs, take smaller initial weights (xavier) or a lower rate, or relu or silu."),
        _saturated,
        {"slope": SATURATED_SLOPE, "rows": SATURATED_ROWS, "share": LOST_SHARE, "n": FEWEST_LOST},
        hides=("rate-too-low", "too-few-updates", "under-fitting", "batch-size"),
    )
)
