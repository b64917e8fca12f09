"""What is wrong with the data as the network sees them: their scale, their classes, their leaks, and the last layer."""

from __future__ import annotations

import numpy as np

from limpide.data.targets import RARE
from limpide.doctor.diagnosis import DIAGNOSES, Diagnosis, Evidence
from limpide.doctor.examination import Examination
from limpide.i18n import N_, _, format_count, format_number, format_percent, ngettext
from limpide.nn.layers import Activation

LARGEST_RMS = 10.0
SMALLEST_RMS = 0.1
OUTSIDE = 0.01
TWO_VALUES = 2
LOW_RECALL = 0.5
TOO_GOOD = 0.9
COPIES_Z, COPIES_GAP, FEWEST_COPIES = 3.0, 0.05, 5

_SCALE = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.3"


def _rms(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=0)))


def _unscaled_target(exam: Examination) -> Evidence | None:
    if exam.job.target.task != "regression":
        return None
    size = float(_rms(exam.job.parts["train"].y).max())
    if SMALLEST_RMS <= size <= LARGEST_RMS or size == 0:
        return None
    text = _("the target that the network must give has a root mean square of {size} on the training rows")
    return Evidence(text.format(size=format_number(size)), {"rms": size})


DIAGNOSES.add(
    Diagnosis(
        "unscaled-target",
        N_("unscaled target"),
        N_("the root mean square of the target, as the loss takes it, on every training row"),
        N_("above {largest} or below {smallest}"),
        _SCALE,
        N_("Standardise the target: preparation.scale_target = true; predictions come back in its own unit."),
        _unscaled_target,
        {"largest": LARGEST_RMS, "smallest": SMALLEST_RMS},
        hides=("exploding-gradients", "under-fitting", "too-few-updates", "rate-too-low"),
    )
)


def _unscaled_inputs(exam: Examination) -> Evidence | None:
    x = exam.job.parts["train"].x
    # of an image, all pixels together: those at its edges may well be constant
    sizes = (
        _rms(x.reshape(len(x), -1)) if x.ndim == 2 else np.array([float(np.sqrt(np.mean(np.square(x, dtype=float))))])
    )
    largest = int(sizes.argmax())
    if SMALLEST_RMS <= sizes[largest] <= LARGEST_RMS or sizes[largest] == 0:
        return None
    text = _(
        "of the inputs ({n}) the largest has a root mean square of {size} on the training rows, the smallest {least}"
    )
    shown = {"size": format_number(float(sizes[largest])), "least": format_number(float(sizes.min()))}
    numbers = {"input": largest, "rms": float(sizes[largest]), "least_rms": float(sizes.min())}
    return Evidence(text.format(n=format_count(len(sizes)), **shown), numbers)


DIAGNOSES.add(
    Diagnosis(
        "unscaled-inputs",
        N_("unscaled inputs"),
        N_("the root mean square of each prepared input on every training row; of images, of all pixels together"),
        N_("the largest above {largest} or below {smallest}"),
        _SCALE,
        N_("Standardise the inputs: preparation.standardise = true; of images, leave pixel_range out."),
        _unscaled_inputs,
        {"largest": LARGEST_RMS, "smallest": SMALLEST_RMS},
        hides=("exploding-gradients", "saturated-units"),
    )
)


def _bounds(layer: Activation) -> tuple[float, float]:
    """The least and the greatest value of an activation function, as far as they are finite within ±1000."""
    z = np.linspace(-1000, 1000, 20_001)
    y = layer.row.value(z[:, None] if layer.function == "softmax" else z, layer.start_slope)
    return float(y.min()), float(y.max())


def _wrong_pair(exam: Examination) -> Evidence | None:
    last, loss = exam.job.network.layers[-1], exam.job.loss
    if exam.job.target.task != "regression":
        return None
    y = exam.job.parts["train"].y
    if len(np.unique(y)) == TWO_VALUES:
        text = _("the target has two values only, but {loss} is a loss for numbers")
        return Evidence(
            text.format(loss=loss.name),
            {"distinct": TWO_VALUES},
            _('Two values are two classes: data.task = "binary".'),
        )
    if not isinstance(last, Activation):
        return None
    low, high = _bounds(last)
    ends = {"function": last.function, "low": format_number(low, 2), "high": format_number(high, 2)}
    share = float(((y < low) | (y > high)).mean())
    if share <= OUTSIDE:
        return None
    text = _("the last layer, {function}, gives nothing outside {low} to {high}, where {share} of the targets lie")
    numbers = {"low": low, "high": high, "function": last.function, "share": share}
    return Evidence(text.format(share=format_percent(share, digits=2), **ends), numbers)


DIAGNOSES.add(
    Diagnosis(
        "wrong-pair",
        N_("loss and last layer do not fit"),
        N_("the bounds of the last layer's activation, and the values of the target; softmax twice is refused before"),
        N_("more than {outside} of the targets out of reach, or a target of {values} values under a loss for numbers"),
        "Bishop 1995, Neural Networks for Pattern Recognition, chapter 6",
        N_("End the network without an activation: a number needs none, and each loss for classes applies its own."),
        _wrong_pair,
        {"outside": OUTSIDE, "values": TWO_VALUES},
        hides=("under-fitting", "dead-units", "too-few-updates", "rate-too-low", "vanishing-gradients"),
    )
)


def _class_imbalance(exam: Examination) -> Evidence | None:
    labels = exam.job.target.labels
    if not labels or not exam.weights:
        return None
    truth = exam.job.measured("train").truth.astype(np.int64)
    counts = np.bincount(truth, minlength=len(labels))
    rare = np.flatnonzero((counts > 0) & (counts < RARE / len(labels) * len(truth)))
    if not len(rare):
        return None
    missed = exam.misses("train")
    found = {int(label): int((missed[truth == label] == 0).sum()) for label in rare}
    worst = min(found, key=lambda label: found[label] / counts[label])
    if found[worst] >= LOW_RECALL * counts[worst]:
        return None
    text = ngettext(
        "of {n} training rows of the class {label}, {found} is found, while {right} of all {all} answers are right",
        "of {n} training rows of the class {label}, {found} are found, while {right} of all {all} answers are right",
        found[worst],
    )
    shown = {"n": format_count(int(counts[worst])), "all": format_count(len(truth))}
    right = 1 - float(missed.mean())
    evidence = text.format(label=labels[worst], found=found[worst], right=format_percent(right, digits=3), **shown)
    numbers = {"class": labels[worst], "rows": int(counts[worst]), "found": found[worst], "accuracy": right}
    return Evidence(evidence, numbers)


DIAGNOSES.add(
    Diagnosis(
        "class-imbalance",
        N_("class imbalance"),
        N_("the rows of each class, and how many of the rarest the network finds among its training rows"),
        N_("a class with less than {rare} of an even share, of which less than {recall} is found"),
        "Japkowicz & Stephen 2002, The class imbalance problem",
        N_(
            "Collect rows of this class, or repeat those there are; judge by the recall of each class, not by accuracy."
        ),
        _class_imbalance,
        {"rare": RARE, "recall": LOW_RECALL},
    )
)


def _leak(exam: Examination) -> Evidence | None:
    score = exam.score("validation")
    for leak in exam.leaks:
        if leak.name.startswith("repeated-"):
            evidence = _copies(exam)
        elif leak.level == "block" and score >= TOO_GOOD:
            text = _("a score of {score} on the validation rows, and a leak that was accepted: {found}")
            evidence = Evidence(
                text.format(score=format_number(score), found=leak.found), {"score": score, "leak": leak.name}
            )
        else:
            evidence = None
        if evidence is not None:
            return evidence
    return None


def _copies(exam: Examination) -> Evidence | None:
    """Whether the network is better on validation rows that are equal to a training row than on the others."""
    if not exam.weights:
        return None
    known = {row.tobytes() for row in exam.job.parts["train"].x}
    copied = np.array([row.tobytes() in known for row in exam.job.measured("validation").x])
    missed = exam.misses("validation")
    on, off = missed[copied], missed[~copied]
    if min(len(on), len(off)) < FEWEST_COPIES:
        return None
    gap = float(off.mean() - on.mean())
    spread = float(np.sqrt(on.var() / len(on) + off.var() / len(off)))
    if gap < COPIES_GAP or gap < COPIES_Z * spread:
        return None
    text = _(
        "{n} of {all} validation rows are equal to training rows: the score is {on} on them, and {off} on the others"
    )
    scores = {"on": format_number(1 - float(on.mean()), 3), "off": format_number(1 - float(off.mean()), 3)}
    counts = {"n": format_count(len(on)), "all": format_count(len(missed))}
    numbers = {"copies": len(on), "score_on_copies": 1 - float(on.mean()), "score_on_others": 1 - float(off.mean())}
    return Evidence(text.format(**counts, **scores), numbers)


DIAGNOSES.add(
    Diagnosis(
        "leak",
        N_("a leak is suspected"),
        N_("the score on the validation rows, what the leak guard finds, and the score on copies of training rows"),
        N_("a score from {good} with an accepted leak; or better by {gap} on copies than on other rows, beyond chance"),
        "Kaufman, Rosset, Perlich & Stitelman 2012, Leakage in data mining",
        N_("Leave the column out (--drop), or split by what is shared (--split group, time, distinct)."),
        _leak,
        {"good": TOO_GOOD, "gap": COPIES_GAP},
    )
)
