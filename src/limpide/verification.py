"""Whether a run is what it says: its files, its data, its predictions, and that its recipe redoes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limpide.checkpoint import file_sha256
from limpide.data.dataset import Dataset
from limpide.errors import LimpideError
from limpide.i18n import _, format_count, format_number
from limpide.job import open_recipe
from limpide.runs import FILES, Run, load
from limpide.training import train

TOLERANCE = 1e-5
"""Between predictions made now and then, relative to their spread: float32 on another processor."""


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    outcome  "ok", "failed", or "skipped" where it could not be looked at; `text` says why
    """

    name: str
    outcome: str
    text: str


def check_run(path: str | Path, redo: bool = False) -> list[Check]:
    """Every check of a run folder, in order.

    redo    train the recipe again, and compare the weights bit for bit
    Raises  RunError when the folder holds no run that can be read
    """
    run = load(path)
    checks = [*_files(Path(path)), _recipe(Path(path), run)]
    try:
        dataset = open_recipe(run.recipe)
    except LimpideError as error:
        checks.append(Check(_("data"), "skipped", _("the data cannot be read: {error}").format(error=error)))
        return checks
    checks += [_data(run, dataset), _predictions(run, dataset)]
    if redo:
        checks.append(_redo(run))
    return checks


def _files(folder: Path) -> Iterator[Check]:
    recorded = json.loads((folder / "metrics.json").read_text("utf-8")).get("files", {})
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
    recorded = json.loads((folder / "metrics.json").read_text("utf-8"))["recipe_hash"]
    if run.recipe.hash() == recorded:
        return Check(_("recipe"), "ok", _("every value as recorded"))
    return Check(_("recipe"), "failed", _("its values are not those the run was trained with"))


def _data(run: Run, dataset: Dataset) -> Check:
    if dataset.sha256 == run.dataset_sha256:
        return Check(_("data"), "ok", _("{n} rows, unchanged").format(n=format_count(len(dataset))))
    return Check(_("data"), "failed", _("the data has changed since the training"))


def _predictions(run: Run, dataset: Dataset) -> Check:
    """The test rows predicted again."""
    if dataset.sha256 != run.dataset_sha256:
        return Check(_("predictions"), "skipped", _("the data has changed since the training"))
    again = run.predictions_array(dataset.inputs[run.test_rows])
    spread = float(np.ptp(run.test_outputs)) or 1.0
    gap = float(np.abs(again - run.test_outputs).max()) / spread
    text = _("{n} test rows, largest difference {gap} of their spread").format(
        n=format_count(len(again)), gap=format_number(gap, 2)
    )
    return Check(_("predictions"), "ok" if gap <= TOLERANCE else "failed", text)


def _redo(run: Run) -> Check:
    again = train(run.recipe, save=False, baselines=False)
    differing = [name for name, array in run.weights.items() if not np.array_equal(array, again.weights[name])]
    if not differing:
        return Check(_("trained again"), "ok", _("the same weights, bit for bit"))
    gap = max(float(np.abs(run.weights[name] - again.weights[name]).max()) for name in differing)
    text = _("{names} differ, by {gap} at most").format(names=", ".join(differing), gap=format_number(gap, 2))
    return Check(_("trained again"), "failed", text)
