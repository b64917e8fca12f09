"""What is made of a training once it is over: measures, baselines, the worst predictions, gathered in a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

import limpide
from limpide.arrays import Tree
from limpide.baselines import fit_baselines
from limpide.data.columns import describe
from limpide.data.dataset import Dataset, Note
from limpide.data.images import to_png_base64
from limpide.data.likeness import Likeness
from limpide.data.once import once
from limpide.data.reading import Reading
from limpide.data.rows import PARTS, Part
from limpide.engines.base import engine_versions, get_engine
from limpide.evaluation import Evaluation, check_measurable, evaluate
from limpide.history import Epoch, Example, Stop
from limpide.i18n import N_, _, format_number
from limpide.job import Job
from limpide.runs import Run

N_EXAMPLES = 12
"""How many of the worst predictions a run keeps to show."""


class Measures(Mapping[str, Evaluation]):
    """The evaluation of each part, worked out when somebody first looks at it; it can take longer than the training.

    The numbers do not depend on who looks, or when.
    """

    def __init__(
        self,
        task: str,
        labels: tuple[str, ...],
        seed: int,
        truths: Mapping[Part, np.ndarray],
        outputs: Mapping[Part, np.ndarray],
    ) -> None:
        """Raises  ShapeError, DataError   what cannot be measured"""
        self._task, self._labels, self._seed = task, labels, seed
        self._answers: dict[str, tuple[np.ndarray, np.ndarray]] = {p: (truths[p], outputs[p]) for p in outputs}
        self._done: dict[str, Evaluation] = {}
        for truth, output in self._answers.values():
            check_measurable(task, truth, output, labels)

    def __getitem__(self, part: str) -> Evaluation:
        if part not in self._done:
            truth, outputs = self._answers[part]
            self._done[part] = evaluate(self._task, truth, outputs, self._labels, part == "test", self._seed)
        return self._done[part]

    def __contains__(self, part: object) -> bool:
        return part in self._answers

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def __repr__(self) -> str:
        return repr(dict(self))


def conclude(
    job: Job, stop: Stop, history: list[Epoch], weights: Tree, seconds: float, baselines: bool, test: bool = True
) -> Run:
    """Measure every part with the weights kept, fit the baselines, gather the rest.

    test  False keeps the test set shut: the validation rows alone are measured, and nothing is gathered for a report
    """
    recipe, target, parts = job.recipe, job.target, job.parts
    dtype = np.dtype(recipe.dtype)
    weights = {name: array.astype(dtype) for name, array in weights.items()}
    engine = get_engine(job.engine.name)
    outputs: dict[Part, np.ndarray] = {}
    truths: dict[Part, np.ndarray] = {}
    measured: tuple[Part, ...] = PARTS if test else ("validation",)
    for name in measured:
        rows = job.measured("train") if name == "train" else parts[name]
        raw = engine.forward(job.network, weights, rows.x.astype(dtype, copy=False))
        outputs[name], truths[name] = target.decode(raw, job.network.ends_in_probability), rows.truth
    evaluations = Measures(target.task, target.labels, recipe.seed, truths, outputs)
    compared: dict[str, Evaluation] = {}
    notes = list(job.notes)
    if baselines and test:
        train, exam = parts["train"], parts["test"]
        found, cuts = fit_baselines(target.task, train.x, train.truth, exam.x, recipe.seed, len(target.labels))
        notes += [Note("info", _("baselines"), text) for text in cuts]
        for baseline, guesses in found.items():
            compared[baseline] = evaluate(target.task, exam.truth, guesses, target.labels, True, recipe.seed)
    return Run(
        recipe=recipe,
        network=job.network,
        weights=weights,
        preparation=job.preparation,
        target=target,
        engine=job.engine.name,
        engine_why=job.engine.why,
        history=history,
        stop=stop,
        seconds=seconds,
        evaluations=evaluations,
        baselines=compared,
        inferences=job.inferences,
        notes=notes,
        environment=_environment(),
        split_sizes=dict(job.sizes),
        columns=list(_described(job.dataset)) if test and not job.dataset.is_image else [],
        image_samples=_samples(job) if test and job.dataset.is_image else [],
        class_counts=_class_counts(job),
        test_rows=_test_rows(job),
        test_truth=parts["test"].truth if test else np.empty(0),
        test_outputs=outputs["test"] if test else np.empty(0),
        examples=_worst(job, outputs["test"]) if test else [],
        dataset_name=job.dataset.name,
        dataset_sha256=job.dataset.sha256,
        reading=job.dataset.reading or Reading(),
        image_means=_means(job) if test and job.dataset.is_image else [],
        likeness=_likeness(job) if test and job.dataset.is_image else None,
    )


_described = once(describe)


def _environment() -> dict[str, str]:
    return {
        "limpide": limpide.__version__,
        "python": platform.python_version(),
        N_("system"): f"{platform.system()} {platform.machine()}",
        N_("cores"): str(os.cpu_count()),
        **engine_versions(),
    }


def _test_rows(job: Job) -> np.ndarray:
    """Which rows of the data the test rows measured on are."""
    return job.streamed.test_rows if job.streamed else np.asarray(job.split.test)


def _class_counts(job: Job) -> dict[str, int]:
    if job.streamed:
        return job.streamed.class_counts
    if job.target.task == "regression":
        return {}
    truth = np.concatenate([rows.truth for rows in job.parts.values()]).astype(np.int64)
    counts = np.bincount(truth, minlength=len(job.target.labels))
    return {label: int(n) for label, n in zip(job.target.labels, counts, strict=True)}


def _samples(job: Job) -> list[tuple[str, str]]:
    """One training image of each class, of at most 20."""
    truth = job.parts["train"].truth
    samples = []
    for i, label in enumerate(job.target.labels[:20]):
        found = np.flatnonzero(truth == i)
        if len(found):
            samples.append((label, to_png_base64(np.asarray(job.dataset.inputs[int(job.split.train[found[0]])]))))
    return samples


def _means(job: Job) -> list[tuple[str, str]]:
    """The mean training image of each class, of at most 20."""
    inputs, truth = np.asarray(job.dataset.inputs), job.parts["train"].truth
    found = [(label, job.split.train[truth == i]) for i, label in enumerate(job.target.labels[:20])]
    return [(label, to_png_base64(inputs[rows].mean(axis=0))) for label, rows in found if len(rows)]


def _likeness(job: Job) -> Likeness | None:
    """What new images will be compared with."""
    truth = job.parts["train"].truth if job.target.labels else np.zeros(len(job.split.train))
    return Likeness.fit(np.asarray(job.dataset.inputs), truth, job.split.train, job.split.validation)


def _worst(job: Job, outputs: np.ndarray) -> list[Example]:
    """The test rows that the network gets most wrong: the largest errors, or the truths given the least chance."""
    truth, labels, numbers = job.parts["test"].truth, job.target.labels, _test_rows(job)
    if job.target.task == "regression":
        errors = np.asarray(outputs - truth, np.float64)
        order = np.argsort(-np.abs(errors), kind="stable")[:N_EXAMPLES]
    else:
        errors = 1 - outputs[np.arange(len(truth)), truth.astype(np.int64)]
        wrong = outputs.argmax(1) != truth
        order = np.flatnonzero(wrong)[np.argsort(-errors[wrong], kind="stable")][:N_EXAMPLES]
    examples = []
    for i in order:
        row = int(job.split.test[i])
        if job.target.task == "regression":
            shown = (format_number(float(truth[i])), format_number(float(outputs[i])))
            confidence = None
        else:
            best = int(outputs[i].argmax())
            shown, confidence = (labels[int(truth[i])], labels[best]), float(outputs[i, best])
        inputs = job.dataset.inputs
        if isinstance(inputs, np.ndarray):
            values, png = {}, to_png_base64(inputs[row])
        else:
            values, png = _shown_values(inputs.row(row, named=True), job.dataset), ""
        examples.append(Example(int(numbers[i]), *shown, float(errors[i]), confidence, values, png))
    return examples


def _shown_values(row: Mapping[str, Any], dataset: Dataset) -> dict[str, str]:
    """The raw values of a row's features, as text."""
    kinds = {column.name: column.kind for column in dataset.columns}
    return {name: _shown(row[name], kinds.get(name) == "number") for name in dataset.input_names}


def _shown(value: Any, is_number: bool) -> str:
    """A cell as people read it: where words stand among the numbers of a column, these are texts as well."""
    if is_number and isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    return format_number(value) if isinstance(value, float) else "" if value is None else str(value)
