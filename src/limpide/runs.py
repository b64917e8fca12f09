"""A run: what a training left, in memory and as a folder that anyone can open.

recipe.toml         redoes the run
model.safetensors   weights, and as JSON the network, the preparation and the target
history.jsonl       one line for each epoch
metrics.json        measures, baselines, what was inferred, why it stopped
test.safetensors    the test rows with their truth and their outputs
report.html         all of it to read
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from limpide.arrays import Tree
from limpide.baselines import verdict
from limpide.checkpoint import (
    DAMAGED,
    file_sha256,
    read_arrays,
    read_json,
    read_json_lines,
    write_arrays,
    write_bytes,
    write_file,
    write_folder,
)
from limpide.data.columns import ColumnSummary
from limpide.data.dataset import Dataset, Note
from limpide.data.images import ImagePreparation
from limpide.data.likeness import PREFIX as LIKENESS
from limpide.data.likeness import Likeness
from limpide.data.places import Places
from limpide.data.preparation import TablePreparation, TargetPreparation
from limpide.data.reading import Reading
from limpide.data.rows import Preparation
from limpide.data.sources import open_source
from limpide.data.spools import memory_bytes
from limpide.data.streams import MEMORY, TableStream, large_stream
from limpide.engines.base import get_engine
from limpide.errors import DataError, RecipeError, RunError, did_you_mean, problem
from limpide.evaluation import METRICS, Evaluation, evaluate, format_metric
from limpide.evaluation.streamed import evaluate_stream
from limpide.history import Epoch, Example, Inference, Stop
from limpide.i18n import _, format_count, ngettext
from limpide.nn.network import Network
from limpide.openings import read_openings, record_opening
from limpide.progress import check_trained
from limpide.recipe import Recipe

if TYPE_CHECKING:
    from limpide.explaining import Explanation
    from limpide.figures import Figures

FORMAT = 1
"""The version of the run folder, written into its files."""


@dataclass(eq=False)
class Run:
    """A trained network with everything known of it.

    weights       by full name, such as "0.dense.W"; those of the best epoch
    test_rows     which rows of the data are the test set, in the order of test_truth and test_outputs
    test_truth    values in the target's unit, or class numbers
    test_outputs  predictions in the target's unit, or probabilities (rows, classes)
    reading       how the table was read: what a new file leaves open is read alike
    likeness      what new images are compared with; None for tables
    told          the verdict as it was written down; None: it is worked out when asked for
    """

    recipe: Recipe
    network: Network
    weights: Tree
    preparation: Preparation
    target: TargetPreparation
    engine: str
    engine_why: str
    history: list[Epoch]
    stop: Stop
    seconds: float
    evaluations: Mapping[str, Evaluation]
    baselines: dict[str, Evaluation]
    inferences: list[Inference]
    notes: list[Note]
    environment: dict[str, str]
    split_sizes: dict[str, int]
    columns: list[ColumnSummary]
    image_samples: list[tuple[str, str]]
    class_counts: dict[str, int]
    test_rows: np.ndarray
    test_truth: np.ndarray
    test_outputs: np.ndarray
    examples: list[Example]
    dataset_name: str
    dataset_sha256: str = ""
    reading: Reading = field(default_factory=Reading)
    image_means: list[tuple[str, str]] = field(default_factory=list)
    likeness: Likeness | None = None
    path: Path | None = field(default=None)
    told: str | None = None

    @property
    def task(self) -> str:
        """ "regression", "binary" or "multiclass"."""
        return self.target.task

    @property
    def test(self) -> Evaluation:
        """The measures on the test set, taken once.

        Raises  RunError when the run was measured with its test set shut
        """
        if "test" not in self.evaluations:
            mend = _("train its recipe")
            raise RunError(problem("test", _("a run measured on its test set"), _("one whose test set is shut"), mend))
        return self.evaluations["test"]

    @property
    def openings(self) -> int:
        """How often the test set was opened: by the training, and since."""
        return 1 + (len(read_openings(self.path)) if self.path is not None else 0)

    @cached_property
    def verdict(self) -> str:
        """Whether it beats the best baseline, in a sentence; "" when its test set was kept shut."""
        if self.told is not None:
            return self.told
        return verdict(self.task, self.test, self.baselines) if "test" in self.evaluations else ""

    @cached_property
    def figures(self) -> Figures:
        """The figures of this run: `run.figures.loss()`; they keep the data once one has asked for them."""
        from limpide.figures import Figures

        return Figures(self)

    def predict(self, source: Any) -> pl.DataFrame:
        """Predictions for a file, a folder, a frame or a list of mappings, a row each.

        Returns  regression: a column `prediction` in the target's unit; classes: `prediction`, `confidence`, and
                 `P(label)` for each label; images have an `unlikeness`, above 1 where they are unlike those of the
                 training, and those from files their name first, as `image`
        Raises   DataError when the data lacks a column, or holds what cannot be read as a number
        """
        dataset = self.read(source)
        predictions = self.predictions(dataset.inputs, dataset.places)
        if dataset.names:
            predictions.insert_column(0, pl.Series("image", dataset.names))
        return predictions

    def read(self, source: Any, options: Mapping[str, Any] | None = None) -> Dataset:
        """New data, read the way the training data was; the target may be missing.

        options  how it is written, where that is not as in training: `open_source` has them
        Raises   DataError when it is a table and the training data were images, or the other way round
        """
        if isinstance(source, Sequence) and source and isinstance(source[0], Mapping):
            source = {key: [row.get(key) for row in source] for key in source[0]}
        # what each column is was settled in training, and so was how images are brought to size
        former = self.preparation.reading if isinstance(self.preparation, ImagePreparation) else self.reading
        target = self.recipe.data.target
        dataset = open_source(source, target, need_target=False, options=options or {}, former=former)
        if dataset.is_image != isinstance(self.preparation, ImagePreparation):
            kinds = {True: _("some images"), False: _("a table")}
            raise DataError(problem(dataset.name, kinds[not dataset.is_image], kinds[dataset.is_image]))
        return dataset

    def predictions(self, inputs: Any, places: Places | None = None) -> pl.DataFrame:
        """`predict`, for inputs already read.

        places  where the rows of a table stand in their file
        """
        outputs = self.predictions_array(inputs, places)
        columns: dict[str, Any] = {"prediction": outputs}
        if self.task != "regression":
            labels = self.target.labels
            columns = {"prediction": [labels[i] for i in outputs.argmax(1)], "confidence": outputs.max(1)}
            columns.update({f"P({label})": outputs[:, i] for i, label in enumerate(labels)})
        if self.likeness is not None:
            columns["unlikeness"] = self.likeness.nearest(inputs)[0]
        return pl.DataFrame(columns)

    def notes_on(self, dataset: Dataset) -> list[Note]:
        """What a user should know of data to predict, as `read` gives them."""
        inputs: Any = dataset.inputs
        if isinstance(self.preparation, TablePreparation):
            return self.preparation.notes(inputs, dataset.places)
        return self.preparation.notes(inputs)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """For prepared inputs: predictions in the target's unit, or probabilities (rows, classes)."""
        x = x.astype(self.recipe.dtype, copy=False)
        raw = get_engine(self.engine).forward(self.network, self.weights, x)
        return self.target.decode(raw, self.network.ends_in_probability)

    def large(
        self, source: Any, memory: str | None = None, options: Mapping[str, Any] | None = None
    ) -> TableStream | None:
        """New data that is to be read piece by piece: a table too large to be read at once; None for all else.

        memory   what may be held, such as "500 MB"; None: as in training
        options  how it is written, where that is not as in training: `open_source` has them
        Raises   RecipeError for a memory that is none
        """
        n_bytes = self._memory(memory)
        if isinstance(source, TableStream):
            return source
        if not isinstance(source, (str, PathLike)) or isinstance(self.preparation, ImagePreparation):
            return None
        known = {"missing": self.reading.missing} if self.reading.missing else {}
        return large_stream(str(source), n_bytes, {**known, **(options or {})})

    def _memory(self, given: str | None) -> int:
        text = given or self.recipe.data.memory or MEMORY
        n_bytes = memory_bytes(text)
        if n_bytes is None:
            raise RecipeError(problem("memory", _("at least 32 MB, such as 500 MB or 2 GB"), repr(text)))
        return n_bytes

    def evaluate(self, source: Any = None, memory: str | None = None) -> Evaluation:
        """The measures on labelled data; without data, those of the run's own test set.

        When the test rows are among the data, that opening of the test set is counted in the run folder. A table too
        large to be read at once is measured piece by piece.

        memory  what may be held then, such as "500 MB"; None: as in training
        Raises  DataError when the data has no target, or a label the network never saw
        """
        data = None if source is None else self.large(source, memory) or self.read(source)
        if self.path is not None and (data is None or data.sha256 == self.dataset_sha256 != ""):
            record_opening(self.path)
        if data is None:
            return self.test
        if isinstance(data, TableStream) and self.target.name in data.columns:
            assert isinstance(self.preparation, TablePreparation), "a stream holds tables"
            return evaluate_stream(data, self.preparation, self.target, self.predictions_array, self._memory(memory))
        if isinstance(data, TableStream) or data.target is None:
            raise DataError(
                problem(
                    data.name,
                    _('the column "{name}"').format(name=self.target.name),
                    _("data without it"),
                    _("use predict for data whose answer is unknown"),
                )
            )
        truth = self.target.truth(data.target, data.places)
        outputs = self.predictions_array(data.inputs, data.places)
        return evaluate(self.task, truth, outputs, self.target.labels)

    def predictions_array(self, inputs: Any, places: Places | None = None) -> np.ndarray:
        """`outputs`, for raw inputs; `places` says where the rows of a table stand in their file."""
        if isinstance(self.preparation, TablePreparation):
            return self.outputs(self.preparation.transform(inputs, places=places))
        return self.outputs(self.preparation.transform(inputs))

    def explain(self, **asked: Any) -> Explanation:
        """One step of its training opened, each number with the arithmetic that made it: see `limpide.explain`."""
        from limpide.explaining import explain

        return explain(self, **asked)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report as one HTML file; into the run folder when no path is given.

        Raises  RunError when the run has no folder and no path is given, or the file cannot be written
        """
        from limpide.report import page_place, render_report

        place = page_place(path, self.path, _("a run that is not saved"), _("give one, or save the run"))
        return write_file(place, render_report(self).encode())

    def facts(self) -> dict[str, Any]:
        """The run's main figures as JSON: what `limpide train --json` prints."""
        return {
            "run": str(self.path) if self.path else None,
            "data": self.dataset_name,
            "task": self.task,
            "engine": self.engine,
            "epochs": len(self.history),
            "best_epoch": self.stop.best_epoch,
            "seconds": self.seconds,
            "stopped": self.stop.reason,
            "parameters": self.network.n_parameters,
            "rows": self.split_sizes,
            "test": _values(self.test),
            "baselines": {name: _values(evaluation) for name, evaluation in self.baselines.items()},
            "verdict": self.verdict,
        }

    def summary(self) -> str:
        """The run in one line."""
        judged = self.evaluations.get("test", self.evaluations["validation"])
        main = judged.main
        text = _("{name}: {metric} {value} on {n} validation rows, {parameters} parameters, {epochs} epochs")
        if "test" in self.evaluations:
            text = _("{name}: {metric} {value} on {n} test rows, {parameters} parameters, {epochs} epochs")
        return text.format(
            name=self.dataset_name,
            metric=_(METRICS[main.name].label),
            value=format_metric(main.name, main.value),
            n=format_count(judged.n),
            parameters=format_count(self.network.n_parameters),
            epochs=format_count(len(self.history)),
        )

    def __repr__(self) -> str:
        return f"<Run {self.summary()}>"

    def _repr_html_(self) -> str:
        """The verdict, the curves and the layer table, in a notebook."""
        from html import escape

        curves = self.figures.loss().svg()
        return f"<p><strong>{escape(self.verdict)}</strong></p>{curves}{self.network._repr_html_()}"

    def save(self, path: str | Path, report: bool = True) -> Path:
        """Write the run folder: whole, or not at all.

        Raises  RunError when the folder is there and not empty, or cannot be written
        """
        self.path = write_folder(Path(path), lambda folder: self.write(folder, report))
        return self.path

    def write(self, folder: Path, report: bool = True) -> None:
        """Write every file of the run into a folder that is there; `metrics.json`, which makes it a run, comes last."""
        whys = {inference.what: inference.why for inference in self.inferences}
        write_bytes(folder / "recipe.toml", self.recipe.to_toml(whys).encode())
        model = {
            "format": FORMAT,
            "network": self.network.to_dict(),
            "preparation": self.preparation.to_dict(),
            "target": self.target.to_dict(),
            "reading": self.reading.to_dict(),
        }
        likeness = {} if self.likeness is None else self.likeness.to_arrays()
        write_arrays(folder / "model.safetensors", {**self.weights, **likeness}, model)
        lines = "".join(json.dumps(epoch.to_dict()) + "\n" for epoch in self.history)
        write_bytes(folder / "history.jsonl", lines.encode())
        tests = {"rows": self.test_rows, "truth": self.test_truth, "outputs": self.test_outputs}
        write_arrays(folder / "test.safetensors", tests, {"format": FORMAT})
        if report:
            self.report(folder / "report.html")
        files = {name: file_sha256(folder / name) for name in FILES}
        text = json.dumps(self._metrics() | {"files": files}, ensure_ascii=False, indent=1, allow_nan=False)
        write_bytes(folder / "metrics.json", text.encode())

    def _metrics(self) -> dict[str, Any]:
        """All that is neither arrays, nor history, nor recipe."""
        return {
            "format": FORMAT,
            "recipe_hash": self.recipe.hash(),
            **{name: getattr(self, name) for name in (*_PLAIN, "image_means")},
            "stop": self.stop.to_dict(),
            "evaluations": {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()},
            "baselines": {name: evaluation.to_dict() for name, evaluation in self.baselines.items()},
            **{name: [asdict(row) for row in getattr(self, name)] for name in _LISTS},
        }


FILES = ("recipe.toml", "model.safetensors", "history.jsonl", "test.safetensors")
"""The files whose SHA-256 stands in `metrics.json`; the report may be written anew, in another language."""

_PLAIN = (
    "dataset_name",
    "dataset_sha256",
    "engine",
    "engine_why",
    "seconds",
    "verdict",
    "environment",
    "split_sizes",
    "image_samples",
    "class_counts",
)
_LISTS: dict[str, Any] = {
    "inferences": Inference,
    "notes": Note,
    "columns": ColumnSummary,
    "examples": Example,
}


def load(path: str | Path) -> Run:
    """The run of a folder.

    Raises  RunError: no such folder, a file missing or damaged, a newer version
    """
    folder = Path(path)
    _check_is_run(folder)
    metrics = read_json(folder / "metrics.json", FORMAT)
    try:
        sums = metrics["files"]
        arrays, model = read_arrays(folder / "model.safetensors", FORMAT, sums["model.safetensors"])
        test, _facts = read_arrays(folder / "test.safetensors", FORMAT, sums["test.safetensors"])
        epochs = read_json_lines(folder / "history.jsonl")
        recipe = Recipe.read(folder / "recipe.toml")
        _check_whole(folder, recipe, len(epochs), metrics["stop"]["epoch"])
        preparation_class = ImagePreparation if model["preparation"]["kind"] == "image" else TablePreparation
        plain = {"told" if name == "verdict" else name: metrics[name] for name in _PLAIN}
        # runs of version 1 have no mean images
        plain |= {name: list(map(tuple, metrics.get(name, []))) for name in ("image_samples", "image_means")}
        records = {name: [cls(**_tuples(row)) for row in metrics[name]] for name, cls in _LISTS.items()}
        return Run(
            recipe=recipe,
            network=Network.from_dict(model["network"]),
            weights={name: array for name, array in arrays.items() if not name.startswith(LIKENESS)},
            likeness=Likeness.from_arrays(arrays),
            preparation=preparation_class.from_dict(model["preparation"]),
            target=TargetPreparation.from_dict(model["target"]),
            reading=Reading.from_dict(model.get("reading", {})),
            history=[Epoch(**epoch) for epoch in epochs],
            stop=Stop(**metrics["stop"]),
            evaluations={name: Evaluation.from_dict(e) for name, e in metrics["evaluations"].items()},
            baselines={name: Evaluation.from_dict(e) for name, e in metrics["baselines"].items()},
            test_rows=test["rows"],
            test_truth=test["truth"],
            test_outputs=test["outputs"],
            path=folder,
            **(plain | records),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(problem(str(folder), _("a whole run folder"), repr(error), _(DAMAGED))) from None


def list_runs(folder: str | Path = "runs") -> list[Run]:
    """Every run in a folder, the newest last; what is not a run is passed over."""
    runs = []
    places = [place for place in Path(folder).glob("*") if (place / "metrics.json").is_file()]
    for place in sorted(places, key=lambda p: (p.stat().st_mtime, p.name)):
        try:
            runs.append(load(place))
        except RunError:
            continue
    return runs


def _values(evaluation: Evaluation) -> dict[str, float | None]:
    return {name: metric.value for name, metric in evaluation.metrics.items()}


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows lists only; the records hold tuples."""
    return {key: tuple(map(_deep_tuple, v)) if isinstance(v, list) else v for key, v in row.items()}


def _deep_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_is_run(folder: Path) -> None:
    if (folder / "metrics.json").is_file():
        return
    where = str(folder)
    if not folder.exists():
        siblings = [str(p.parent) for p in folder.parent.glob("*/metrics.json")]
        raise RunError(
            problem(
                where,
                _("a run folder"),
                _("no folder"),
                did_you_mean(where, siblings) if siblings else _("train one with: limpide train SOURCE"),
            )
        )
    check_trained(folder)
    got = _("a file") if folder.is_file() else _("one without metrics.json")
    raise RunError(problem(where, _("a run folder"), got, _("name the folder of a run")))


def _check_whole(folder: Path, recipe: Recipe, n_epochs: int, expected: int) -> None:
    """RunError for a recipe or a history that was cut where it can still be read."""
    training = recipe.training
    if None in (training.loss, training.epochs, training.batch_size, training.patience):
        expected_recipe, got = _("the recipe of a run, which leaves nothing out"), _("one that does")
        raise RunError(problem(str(folder / "recipe.toml"), expected_recipe, got, _(DAMAGED)))
    if n_epochs != expected:
        wanted = ngettext("{n} epoch", "{n} epochs", expected).format(n=format_count(expected))
        raise RunError(problem(str(folder / "history.jsonl"), wanted, format_count(n_epochs), _(DAMAGED)))
