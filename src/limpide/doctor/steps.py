"""What is wrong with the course of a training: its rate, its length, its batches, what it learned and what it kept."""

from __future__ import annotations

from itertools import pairwise

from limpide.doctor.diagnosis import DIAGNOSES, Diagnosis, Evidence
from limpide.doctor.examination import NOT_LEARNED, Examination
from limpide.i18n import N_, _, format_count, format_number, format_percent
from limpide.nn.layers import BatchNorm

LARGEST_RATIO = 0.3
RISE, RISING = 0.1, 0.2
SMALLEST_RATIO, RATE_GAP = 1e-3, 10.0
STILL_FALLING, STILL_LEFT = 0.03, 0.1
WHOLE = 0.5
FEW_ROWS_OF_NORM = 2
RIVAL_Z, RIVAL_GAP, LEARNED_ENOUGH = 3.0, 0.05, 0.95
OVER = 0.5
GAP, HALVES_GAP, MOST_ROWS = 0.15, 0.1, 5_000


def _divergence(exam: Examination) -> Evidence | None:
    if exam.stop is None or exam.stop.reason != "diverged":
        return None
    text = _("NaN or Inf came up: {place}, at a rate of {rate}")
    rate = exam.job.recipe.optimizer.build().rate
    numbers = {"place": exam.stop.place, "rate": rate}
    return Evidence(text.format(place=exam.stop.place, rate=format_number(rate)), numbers)


DIAGNOSES.add(
    Diagnosis(
        "divergence",
        N_("divergence"),
        N_("the loss of every batch, and the first tensor that is not finite"),
        N_("NaN or Inf"),
        "IEEE 754; Goodfellow, Bengio & Courville 2016, section 8.2.4",
        N_("Take a tenth of the rate, scale inputs and target, or bound the gradient: optimizer.clip_norm = 1.0."),
        _divergence,
        hides=("under-fitting", "too-few-updates", "rate-too-low", "over-fitting", "too-little-data"),
    )
)


def _ratios(exam: Examination) -> dict[str, float]:
    """By layer, the largest real update over the weights, of the steps that were opened."""
    real = [record for record in exam.records if record.is_real]
    layers = real[0].layers if real else ()
    return {layer.path: max(record.layers[i].ratio for record in real) for i, layer in enumerate(layers)}


def _rate_too_high(exam: Examination) -> Evidence | None:
    ratios = _ratios(exam)
    rate, numbers = exam.job.recipe.optimizer.build().rate, {}
    losses = [epoch.train_loss for epoch in exam.history]
    rises = sum(after - before > RISE * exam.constant_loss for before, after in pairwise(losses))
    if ratios and (worst := max(ratios, key=lambda path: ratios[path])) and ratios[worst] > LARGEST_RATIO:
        text = _("at a rate of {rate} an update moves the weights of {path} by up to {share} of themselves")
        text = text.format(rate=format_number(rate), path=worst, share=format_percent(ratios[worst], digits=2))
        numbers = {"ratio": ratios[worst], "layer": worst}
    elif len(losses) > 4 and rises >= RISING * (len(losses) - 1):
        text = _(
            "at a rate of {rate} the training loss rose in {n} of {all} epochs, by more than {rise} of a constant "
            "answer's"
        )
        counts = {"n": format_count(rises), "all": format_count(len(losses) - 1)}
        text = text.format(rate=format_number(rate), rise=format_percent(RISE, digits=4), **counts)
    else:
        return None
    return Evidence(text, {"rate": rate, "rises": rises, **numbers})


DIAGNOSES.add(
    Diagnosis(
        "rate-too-high",
        N_("rate too high"),
        N_("‖Δw‖ / ‖w‖ of the real updates, layer by layer, and the epochs in which the training loss rises"),
        N_("a ratio above {ratio}, or a rise of {rise} of a constant answer's loss in {epochs} of the epochs"),
        "about 0.001 is usual: Karpathy 2015, CS231n, Babysitting the learning process",
        N_("Take a third or a tenth of the rate; `limpide rates` shows the range in which the loss falls."),
        _rate_too_high,
        {"ratio": LARGEST_RATIO, "rise": RISE, "epochs": RISING},
        hides=("rate-too-low", "too-few-updates"),
    )
)


def _is_unfinished(exam: Examination) -> bool:
    """Cut short while it was still learning, or with next to nothing learned."""
    is_falling = exam.is_cut_short and exam.last_fall >= STILL_FALLING and exam.left >= STILL_LEFT
    return is_falling or (not exam.has_learned and exam.is_cut_short)


def _rate_too_low(exam: Examination) -> Evidence | None:
    ratios = _ratios(exam)
    if not ratios or max(ratios.values()) >= SMALLEST_RATIO or not _is_unfinished(exam):
        return None
    rate, found = exam.job.recipe.optimizer.build().rate, exam.sweep
    if found.suggested is None or found.suggested < RATE_GAP * rate:
        return None
    text = _(
        "at a rate of {rate} no update moves a layer by more than {share} of itself, and the training loss kept "
        "is still {left} of a constant answer's"
    )
    shown = {"share": format_percent(max(ratios.values()), digits=2), "left": format_percent(exam.left, digits=3)}
    advice = _(
        "Take the {rate} that the rate finder suggests; `limpide rates` shows the range in which the loss falls."
    ).format(rate=format_number(found.suggested, 2))
    numbers = {"rate": rate, "ratio": max(ratios.values()), "left": exam.left, "suggested": found.suggested}
    return Evidence(text.format(rate=format_number(rate), **shown), numbers, advice)


DIAGNOSES.add(
    Diagnosis(
        "rate-too-low",
        N_("rate too low"),
        N_("‖Δw‖ / ‖w‖ of the real updates, the training loss where the training ends, and the rate finder"),
        N_("ratio below {ratio} in every layer, a training cut short, and a suggested rate {times} times higher"),
        "about 0.001 is usual: Karpathy 2015, CS231n; Smith 2017, section 3.3",
        N_("Raise the rate; `limpide rates` shows the range in which the loss falls."),
        _rate_too_low,
        {"ratio": SMALLEST_RATIO, "times": RATE_GAP},
        hides=("too-few-updates", "under-fitting", "batch-size"),
    )
)


def _batch_size(exam: Examination) -> Evidence | None:
    size, n = exam.job.recipe.training.batch_size or 1, exam.n_train
    counts = {"size": format_count(size), "n": format_count(n)}
    if size <= FEW_ROWS_OF_NORM and any(isinstance(layer, BatchNorm) for layer in exam.job.network.layers):
        text = _("batches of {size} for batchnorm, which takes the mean and the variance of each batch").format(
            **counts
        )
        return Evidence(text, {"batch_size": size}, _("Take batches of 16 rows or more, or remove batchnorm."))
    if size < WHOLE * n or not _is_unfinished(exam):
        return None
    text = _(
        "batches of {size} of the {n} training rows: {epochs} epochs were {updates} updates, and the loss was "
        "still falling"
    )
    made = {"epochs": format_count(len(exam.history)), "updates": format_count(exam.updates)}
    numbers = {"batch_size": size, "rows": n, "updates": exam.updates}
    advice = _("Take batches of 32 rows: they make many more updates in the same time.")
    return Evidence(text.format(**counts, **made), numbers, advice)


DIAGNOSES.add(
    Diagnosis(
        "batch-size",
        N_("batch size"),
        N_("the rows of a batch beside the training rows, and whether batchnorm has rows enough"),
        N_("{whole} of the training rows or more in a training cut short, or up to {few} rows under batchnorm"),
        "Masters & Luschi 2018, Revisiting small batch training; Ioffe & Szegedy 2015",
        N_("Change training.batch_size."),
        _batch_size,
        {"whole": WHOLE, "few": FEW_ROWS_OF_NORM},
        hides=("too-few-updates", "under-fitting"),
    )
)


def _too_few_updates(exam: Examination) -> Evidence | None:
    if not (exam.is_cut_short and exam.last_fall >= STILL_FALLING and exam.left >= STILL_LEFT):
        return None
    text = _(
        "{updates} updates ({epochs} epochs on {n} rows), and the training loss was still falling: over the last "
        "quarter by {fall} of a constant answer's, to {left} of it"
    )
    counts = {"updates": exam.updates, "epochs": len(exam.history), "n": exam.n_train}
    shown = {"fall": format_percent(exam.last_fall, digits=2), "left": format_percent(exam.left, digits=3)}
    numbers = {**counts, "fall": exam.last_fall, "left": exam.left}
    return Evidence(text.format(**{key: format_count(n) for key, n in counts.items()}, **shown), numbers)


DIAGNOSES.add(
    Diagnosis(
        "too-few-updates",
        N_("too few updates"),
        N_("the training loss over the last quarter of the epochs, in a training that patience did not end"),
        N_("a fall of {fall} of a constant answer's loss or more, to {left} of it or more"),
        "system 44 of the labs: the same rows do as well with as many updates",
        N_("Train for more epochs, or in smaller batches: it is not more rows that are missing."),
        _too_few_updates,
        {"fall": STILL_FALLING, "left": STILL_LEFT},
        hides=("under-fitting", "too-little-data"),
    )
)


def _under_fitting(exam: Examination) -> Evidence | None:
    if not exam.weights or 1 - float(exam.misses("train").mean()) > LEARNED_ENOUGH:
        return None
    better = [r for r in exam.rivals if r.z > RIVAL_Z and r.its - r.own > RIVAL_GAP and r.its > r.train]
    if not better:
        return None
    best = max(better, key=lambda rival: rival.its)
    text = _(
        "the network reaches {train} on rows it learned from, {rival} {its} on rows it never saw (the network {own})"
    )
    shown = {name: format_number(getattr(best, name), 3) for name in ("train", "its", "own")}
    numbers = {"train": best.train, "validation": best.own, "rival": best.label, "rival_validation": best.its}
    advice = ""
    if exam.stop is not None and exam.stop.reason == "patience":
        advice = _("Raise training.patience, now {n}; else take wider or more layers, less dropout, or a higher rate.")
        advice = advice.format(n=format_count(exam.stop.patience))
    return Evidence(text.format(rival=best.label, **shown), numbers, advice)


DIAGNOSES.add(
    Diagnosis(
        "under-fitting",
        N_("under-fitting"),
        N_("the score (R² or accuracy) on training rows, beside a simpler model on validation rows"),
        N_(
            "the simpler model better by {gap}, beyond {z} standard errors, and better than the network on its own rows"
        ),
        "Goodfellow, Bengio & Courville 2016, section 5.2",
        N_("Take wider or more layers, less dropout and weight decay, another activation, or a higher rate."),
        _under_fitting,
        {"gap": RIVAL_GAP, "z": RIVAL_Z},
    )
)


def _gap_text(exam: Examination) -> tuple[str, dict[str, float]]:
    assert exam.kept is not None
    best, last = exam.kept, exam.history[-1]
    text = _(
        "validation loss {best} and training loss {train} at epoch {epoch}, whose weights are kept; {last} and "
        "{last_train} at the end"
    )
    numbers = {
        "best": best.validation_loss,
        "train": best.train_loss,
        "last": last.validation_loss,
        "last_train": last.train_loss,
    }
    shown = {name: format_number(value, 3) for name, value in numbers.items()}
    return text.format(epoch=format_count(best.epoch), **shown), {**numbers, "epoch": best.epoch}


def _too_little_data(exam: Examination) -> Evidence | None:
    kept = exam.kept
    if kept is None or not exam.has_learned or exam.n_train > MOST_ROWS or exam.job.streamed is not None:
        return None
    if kept.validation_loss - kept.train_loss < GAP * exam.constant_loss:
        return None
    halves = exam.halves
    worse = [(loss - kept.validation_loss) / exam.constant_loss for _n, loss in halves]
    if min(worse) < HALVES_GAP / 2 or sum(worse) / len(worse) < HALVES_GAP:
        return None
    text, numbers = _gap_text(exam)
    learned = _("{gap}; with half of the rows and as many updates the validation loss is {first} or {second}")
    first, second = (format_number(loss, 3) for _n, loss in halves)
    return Evidence(
        learned.format(gap=text, first=first, second=second),
        {**numbers, "halves": [loss for _n, loss in halves], "rows": exam.n_train},
    )


DIAGNOSES.add(
    Diagnosis(
        "too-little-data",
        N_("too little data"),
        N_("the gap between validation and training loss, and trainings on each half of the rows with as many updates"),
        N_("a gap of {gap} of a constant answer's loss, and halves that are worse by {halves} of it on the mean"),
        "Cortes, Jackel, Solla, Vapnik & Denker 1994, Learning curves",
        N_("Collect more rows: half of them do clearly worse, so that more would do better. Else a smaller network."),
        _too_little_data,
        {"gap": GAP, "halves": HALVES_GAP},
        hides=("over-fitting",),
    )
)


def _over_fitting(exam: Examination) -> Evidence | None:
    kept = exam.kept
    if kept is None or exam.history[-1].train_loss > NOT_LEARNED * exam.constant_loss:
        return None
    last, most = exam.history[-1], OVER * exam.constant_loss
    has_risen = last.validation_loss - kept.validation_loss > most and last.train_loss < kept.train_loss
    if not has_risen and kept.validation_loss - kept.train_loss < most:
        return None
    return Evidence(*_gap_text(exam))


DIAGNOSES.add(
    Diagnosis(
        "over-fitting",
        N_("over-fitting"),
        N_("the validation loss beside the training loss, at the epoch kept and at the end"),
        N_("a rise since the best epoch, or a gap at it, of {over} of a constant answer's loss or more"),
        "Prechelt 1998, Early stopping - but when?; Goodfellow, Bengio & Courville 2016, section 5.2",
        N_("Stop earlier (training.patience), take a smaller network, dropout or weight decay, or collect more rows."),
        _over_fitting,
        {"over": OVER},
    )
)
