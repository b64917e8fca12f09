"""Whether a run is what it says: its files, its data, its predictions, its gradients, and that its recipe redoes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from limpide.checkpoint import file_sha256, read_json
from limpide.data.dataset import Dataset
from limpide.engines.base import ENGINES
from limpide.errors import Diverged, LimpideError, RunError
from limpide.i18n import _, format_count, format_decimal, format_number, ngettext
from limpide.job import Job, open_recipe, prepare
from limpide.progress import DONE
from limpide.runs import FILES, FORMAT, Run, load
from limpide.training import train
from limpide.verification.agreement import N_UPDATES, StepGap, compare_engines
from limpide.verification.gradients import GradientGap, check_job

TOLERANCE = 1e-5
"""Between predictions made now and then, relative to their spread: float32 on another processor."""


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    outcome  "ok", "failed", or "skipped" where it could not be looked at; `text` says why
    gaps     what was measured, where it is more than one number
    """

    name: str
    outcome: str
    text: str
    gaps: tuple[GradientGap, ...] | tuple[StepGap, ...] = ()


def check_run(path: str | Path, redo: bool = False, quick: bool = False) -> list[Check]:
    """Every check of a run folder, in order.

    redo    train the recipe again, and compare the weights bit for bit
    quick   leave out the gradients and the engines
    Raises  RunError when the folder holds no run that can be read
    """
    checks = list(_files(Path(path)))
    try:
        run = load(path)
    except RunError as error:
        if not any(check.outcome == "failed" for check in checks):
            raise
        return [*checks, Check(_("run"), "failed", str(error))]
    checks.append(_recipe(Path(path), run))
    job, why = _job(run)
    try:
        dataset = open_recipe(run.recipe) if job is None else job.dataset
    except LimpideError as error:
        checks.append(Check(_("data"), "skipped", _("the data cannot be read: {error}").format(error=error)))
        return checks
    # of data larger than memory the job holds the test rows that were measured on, and few others
    rows = job.split.test if job is not None and job.streamed else run.test_rows
    checks += [_data(run, dataset), _predictions(run, dataset, rows)]
    if not quick and job is None:
        checks += [Check(name, "skipped", why) for name in (_("gradients"), _("engines"))]
    elif not quick and job is not None:
        checks += [_gradients(job), *_engines(job)]
    if redo:
        checks.append(_redo(run))
    return checks


def format_gap(gap: float) -> str:
    """A relative difference, as a power of ten.

    >>> format_gap(6.12e-05), format_gap(0.0)
    ('6.1e-5', '0')
    """
    if not gap:
        return "0"
    number, _e, power = f"{gap:.1e}".partition("e")
    return f"{format_decimal(float(number), 1)}e{int(power)}" if isfinite(gap) else _("without bound")


def _job(run: Run) -> tuple[Job | None, str]:
    """The recipe made ready once more; None, and why, where the data no longer lets it."""
    try:
        return prepare(run.recipe), ""
    except LimpideError as error:
        return None, _("the recipe cannot be followed: {error}").format(error=error)


def _files(folder: Path) -> Iterator[Check]:
    recorded = read_json(folder / DONE, FORMAT).get("files", {}) if (folder / DONE).is_file() else {}
    for name in FILES:
        place = folder / name
        if name not in recorded:
            continue
        if not place.is_file():
            yield Check(name, "failed", _("the file is gone"))
        elif file_sha256(place) != recorded[name]:
            yield Check(name, "failed", _("the file is not the one that was written"))
        else:
            yield Check(name, "ok", _("SHA-256 as recorded"))


def _recipe(folder: Path, run: Run) -> Check:
    recorded = read_json(folder / DONE, FORMAT)["recipe_hash"]
    if run.recipe.hash() == recorded:
        return Check(_("recipe"), "ok", _("every value as recorded"))
    return Check(_("recipe"), "failed", _("its values are not those the run was trained with"))


def _data(run: Run, dataset: Dataset) -> Check:
    if dataset.sha256 == run.dataset_sha256:
        return Check(_("data"), "ok", _("{n} rows, unchanged").format(n=format_count(sum(run.split_sizes.values()))))
    return Check(_("data"), "failed", _("the data has changed since the training"))


def _predictions(run: Run, dataset: Dataset, rows: np.ndarray) -> Check:
    """The test rows predicted again: these rows of the data."""
    if dataset.sha256 != run.dataset_sha256:
        return Check(_("predictions"), "skipped", _("the data has changed since the training"))
    again = run.predictions_array(dataset.inputs[rows])
    spread = float(np.ptp(run.test_outputs)) or 1.0
    gap = float(np.abs(again - run.test_outputs).max()) / spread
    text = _("{n} test rows, largest difference {gap} of their spread").format(
        n=format_count(len(again)), gap=format_number(gap, 2)
    )
    return Check(_("predictions"), "ok" if gap <= TOLERANCE else "failed", text)


def _gradients(job: Job) -> Check:
    """The backward of every layer, proved on the first rows of the training."""
    gaps = tuple(check_job(job))
    slopes = [gap.by_differences for gap in gaps if gap.by_differences is not None]
    others = [gap.by_pytorch for gap in gaps if gap.by_pytorch is not None]
    wrong = [f"{gap.layer}.{gap.tensor}" for gap in gaps if not gap.is_close]
    text = ngettext(
        "{n} tensor, at most {gap} from central differences",
        "{n} tensors, at most {gap} from central differences",
        len(gaps),
    ).format(n=len(gaps), gap=format_gap(max(slopes, default=0.0)))
    there = _("{gap} from PyTorch").format(gap=format_gap(max(others))) if others else _("PyTorch is not installed")
    text = _("; ").join((text, there))
    if wrong:
        text = _("{text}; wrong: {names}").format(text=text, names=", ".join(wrong))
    return Check(_("gradients"), "failed" if wrong else "ok", text, gaps)


def _engines(job: Job) -> Iterator[Check]:
    """Each engine on the first updates of the run."""
    try:
        gaps, left_out = compare_engines(job)
    except Diverged as error:
        yield Check(_("engines"), "skipped", _("the reference itself breaks: {error}").format(error=error))
        return
    for engine in ENGINES:
        name = _("engine {name}").format(name=engine)
        if engine in left_out:
            yield Check(name, "skipped", left_out[engine])
            continue
        own = tuple(gap for gap in gaps if gap.engine == engine)
        worst = {gap.precision: gap for gap in sorted(own, key=lambda gap: gap.difference)}
        text = _("{n} updates, from the reference at most {gap} in float64 and {other} in float32 ({where})").format(
            n=N_UPDATES,
            gap=format_gap(worst["float64"].difference),
            other=format_gap(worst["float32"].difference),
            where=worst["float32"].where,
        )
        yield Check(name, "ok" if all(gap.is_close for gap in own) else "failed", text, own)


def _redo(run: Run) -> Check:
    again = train(run.recipe, save=False, baselines=False)
    differing = [name for name, array in run.weights.items() if not np.array_equal(array, again.weights[name])]
    if not differing:
        return Check(_("trained again"), "ok", _("the same weights, bit for bit"))
    gap = max(float(np.abs(run.weights[name] - again.weights[name]).max()) for name in differing)
    text = _("{names} differ, by {gap} at most").format(names=", ".join(differing), gap=format_number(gap, 2))
    return Check(_("trained again"), "failed", text)
