"""A recipe: everything needed to redo a run, as data and as TOML.

What a recipe leaves out is inferred from the data and written into the run's own recipe, which leaves nothing out.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from limpide.engines.base import float_type
from limpide.errors import RecipeError, did_you_mean, problem
from limpide.i18n import N_, _
from limpide.nn.optimizers import Optimizer, make_optimizer
from limpide.sections import Section, problems_in

FORMAT: Literal[1] = 1
"""The version of the recipe's own form, written as `limpide = 1`."""

SPACE = "space"
"""The section that `limpide search` alone reads."""


class DataSection(Section):
    """What to learn from."""

    source: str = Field(description=N_("a built-in name, a file, a folder"))
    target: str | None = Field(default=None, description=N_("the column to predict"))
    task: Literal["regression", "binary", "multiclass"] | None = Field(
        default=None, description=N_("the kind of target")
    )
    kinds: dict[str, str] = Field(default={}, description=N_("columns whose kind is given, not guessed"))
    drop: list[str] = Field(default=[], description=N_("columns left out"))
    accept_leaks: list[str] = Field(default=[], description=N_("leaks to go on with, by name; all for each"))
    options: dict[str, str | int | float | bool] = Field(
        default={}, description=N_("options of a built-in or a reader")
    )
    stream: bool | None = Field(default=None, description=N_("read piece by piece, for tables larger than memory"))
    memory: str | None = Field(default=None, description=N_("what a stream may hold at a time, such as 2 GB"))


class SplitSection(Section):
    """Which rows train, validate and test."""

    method: Literal["random", "stratified", "group", "time", "ordered", "last", "distinct", "hash"] | None = Field(
        default=None, description=N_("how rows are dealt out")
    )
    validation: float | None = Field(
        default=None, gt=0, lt=1, description=N_("share of all rows that stops the training")
    )
    test: float | None = Field(default=None, gt=0, lt=1, description=N_("share of all rows kept for the final exam"))
    column: str | None = Field(default=None, description=N_("column of the groups or of the time"))
    seed: int | None = Field(
        default=None, ge=0, le=2**63 - 1, description=N_("what deals the rows out; else the seed of the recipe")
    )


class PreparationSection(Section):
    """Layer 0: how raw values become numbers; fitted on the training rows only."""

    standardise: bool = Field(default=True, description=N_("inputs to mean 0 and standard deviation 1"))
    missing: Literal["median", "mean"] = Field(default="median", description=N_("what fills a missing number"))
    max_categories: int = Field(
        default=50, ge=1, le=10_000, description=N_("categories kept per column, the rest as one")
    )
    scale_target: bool = Field(default=True, description=N_("regression target to mean 0 and standard deviation 1"))
    image_size: list[int] | None = Field(default=None, description=N_("rows and columns every image is brought to"))
    pixel_range: list[float] | None = Field(
        default=None, description=N_("what black and white become, such as [-1.0, 1.0], instead of standardising")
    )
    centre: bool | None = Field(
        default=None, description=N_("strokes brought to the size and the place of the training images")
    )


class NetworkSection(Section):
    """The layers."""

    layers: str | None = Field(default=None, description=N_("hidden layers, or the whole network"))
    initializer: str | None = Field(default=None, description=N_("how weights are born"))


class OptimizerSection(Section):
    """How a gradient becomes an update."""

    name: str | None = Field(default=None, description=N_("sgd, momentum, nesterov, rmsprop, adam or adamw"))
    rate: float | None = Field(default=None, gt=0, description=N_("learning rate"))
    weight_decay: float | None = Field(default=None, ge=0, description=N_("pull of every weight towards zero"))
    clip_norm: float | None = Field(default=None, gt=0, description=N_("largest norm of a gradient"))
    options: dict[str, float | bool] = Field(
        default={}, description=N_("the optimizer's own numbers, such as momentum")
    )
    schedule: str = Field(default="constant", description=N_("constant, step, cosine or one_cycle"))
    schedule_options: dict[str, float] = Field(default={}, description=N_("warm_up, every, factor"))

    def build(self) -> Optimizer:
        """The optimizer, with the defaults of its own class for what is left out."""
        given = {k: v for k in ("rate", "weight_decay", "clip_norm") if (v := getattr(self, k)) is not None}
        schedule = {"name": self.schedule, **self.schedule_options}
        return make_optimizer(self.name or "adam", **given, **self.options, schedule=schedule)


class TrainingSection(Section):
    """How long, and when to stop."""

    loss: str | None = Field(default=None, description=N_("what training lowers"))
    epochs: int | None = Field(
        default=None, ge=1, le=10_000_000, description=N_("passes over the training rows, at most")
    )
    batch_size: int | None = Field(default=None, ge=1, le=10_000_000, description=N_("rows per update"))
    patience: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        description=N_("epochs without a better validation loss before stopping; 0: never"),
    )
    average: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description=N_(
            "share of the mean so far in the mean of the weights that each epoch is measured by; 0: no mean"
        ),
    )
    shift: int | None = Field(
        default=None,
        ge=0,
        le=64,
        description=N_("pixels that a training image is moved by at most, anew in each epoch; 0: none"),
    )
    rows: int | None = Field(
        default=None, ge=2, description=N_("training rows learned from, at most, drawn by the seed of the split")
    )
    measured: int | None = Field(
        default=None, ge=1, description=N_("rows of training and of validation that are measured, at most")
    )


class Recipe(Section):
    """Everything needed to redo a run.

    >>> recipe = Recipe.from_options("iris", epochs=3)
    >>> recipe.training.epochs, recipe.data.source
    (3, 'iris')
    """

    limpide: Literal[1] = FORMAT
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description=N_("root of every random number"))
    engine: str = Field(default="auto", description=N_("what computes: auto, numpy, compiled or torch"))
    precision: Literal["float32", "float64", "mixed"] = Field(
        default="float32", description=N_("the type of every number; mixed: float32, multiplied in 16 bits")
    )
    data: DataSection
    split: SplitSection = SplitSection()
    preparation: PreparationSection = PreparationSection()
    network: NetworkSection = NetworkSection()
    optimizer: OptimizerSection = OptimizerSection()
    training: TrainingSection = TrainingSection()

    @classmethod
    def from_options(cls, source: str, **options: Any) -> Self:
        """The recipe of a source and flat options, such as `epochs=10, network="64 relu"`; None is "not said".

        Raises  RecipeError with every problem
        """
        return cls.from_dict({"data": {"source": source}}).replace(**options)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "") -> Self:
        """The recipe of nested mappings.

        Raises  RecipeError with every problem, each by its dotted key
        """
        version = data.get("limpide")
        if isinstance(version, int) and version > FORMAT:
            expected = _("format {version} or older").format(version=FORMAT)
            raise RecipeError(problem(f"{where}limpide", expected, str(version), _("install a newer limpide")))
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise RecipeError(*problems_in(cls, error, where)) from None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The recipe of a TOML file; a relative source in it is relative to the file.

        Raises  RecipeError: not there, not TOML, or every key that does not fit
        """
        return cls.read_with(path)[0]

    @classmethod
    def read_with(cls, path: str | Path, section: str = "") -> tuple[Self, dict[str, Any]]:
        """The recipe of a TOML file, and the section that the file may have beside it, such as what to compare.

        Raises  RecipeError: not there, not TOML, or every key that does not fit
        """
        path = Path(path)
        data = _read_toml(path)
        beside = data.pop(section, {})
        # what a search tries stands beside what a training needs
        data.pop(SPACE, None)
        if not isinstance(beside, dict):
            raise RecipeError(problem(f"{path.name}, {section}", _("a section"), repr(beside)))
        recipe = cls.from_dict(data, f"{path.name}, ")
        source = path.parent / recipe.data.source
        if source.exists() and not Path(recipe.data.source).is_absolute():
            recipe = recipe.with_values({"data.source": str(source)})
        return recipe, beside

    @staticmethod
    def has_section(path: str | Path, section: str) -> bool:
        """Whether a TOML file has a section.

        Raises  RecipeError: not there, not TOML
        """
        return section in _read_toml(Path(path))

    def replace(self, **options: Any) -> Self:
        """The same recipe with flat options changed; None leaves an option as it is.

        Raises  RecipeError: an unknown option, or a value that does not fit
        """
        unknown = [name for name in options if name not in OPTIONS]
        if unknown:
            raise RecipeError(
                *(_('unknown option "{name}"; {mend}').format(name=n, mend=did_you_mean(n, OPTIONS)) for n in unknown)
            )
        return self.with_values({OPTIONS[name]: value for name, value in options.items() if value is not None})

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The same recipe with dotted keys changed, such as {"training.epochs": 10}."""
        data = self.model_dump()
        for key, value in values.items():
            *sections, field = key.split(".")
            inner = data
            for section in sections:
                inner = inner[section]
            inner[field] = value
        return self.from_dict(data)

    def value(self, key: str) -> Any:
        """The value of a dotted key."""
        found: Any = self
        for part in key.split("."):
            found = getattr(found, part)
        return found

    def check(self) -> None:
        """RecipeError with every name and number that can be judged before the data is read."""
        from limpide.data.spools import memory_bytes
        from limpide.nn.initializers import parse_initializer
        from limpide.nn.losses import LOSSES

        problems: list[str] = []
        checks = [
            (self.optimizer.build, ()),
            (LOSSES.__getitem__, (self.training.loss,) if self.training.loss else None),
            (parse_initializer, (self.network.initializer,) if self.network.initializer else None),
        ]
        for check, arguments in checks:
            if arguments is None:
                continue
            try:
                check(*arguments)  # type: ignore[operator]
            except ValueError as error:
                problems += getattr(error, "problems", (str(error),))
        size = self.preparation.image_size
        if size is not None and (len(size) != 2 or not all(1 <= side <= 4096 for side in size)):
            problems.append(problem("preparation.image_size", _("rows and columns from 1 to 4096"), repr(size)))
        ends = self.preparation.pixel_range
        if ends is not None and (len(ends) != 2 or not ends[0] < ends[1]):
            problems.append(problem("preparation.pixel_range", _("a low number, then a high one"), repr(ends)))
        if self.data.memory is not None and memory_bytes(self.data.memory) is None:
            problems.append(problem("data.memory", _("at least 32 MB, such as 500 MB or 2 GB"), repr(self.data.memory)))
        if (self.split.validation or 0) + (self.split.test or 0) >= 1:
            problems.append(
                problem(
                    "split",
                    _("validation and test together below 1"),
                    repr((self.split.validation or 0) + (self.split.test or 0)),
                    _("leave rows to train on"),
                )
            )
        if self.split.method in ("group", "time") and self.split.column is None:
            problems.append(
                problem("split.column", _("the column of the groups or of the time"), _("nothing"), _("name it"))
            )
        if self.split.column is not None and self.split.method not in (None, "group", "time", "hash"):
            expected = _("group, time or hash, as split.column is named")
            problems.append(problem("split.method", expected, self.split.method))
        if problems:
            raise RecipeError(*problems)

    @property
    def dtype(self) -> str:
        """The type of the weights."""
        return str(float_type(self.precision))

    def hash(self) -> str:
        """What tells recipes apart: the SHA-256 of the values, in a form that does not depend on their order."""
        values = self.model_dump()
        # recipes of before a key was there, or could be left open, keep their hash: their trainings go on
        if self.training.average is None:
            del values["training"]["average"]
        if self.training.shift is None:
            values["training"]["shift"] = 0
        elif self.training.shift == 0 and self.network.layers is None:
            # said where it would else be inferred
            values["training"]["shift"] = None
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_toml(self, comments: Mapping[str, str] | None = None) -> str:
        """TOML that `read` gives back as this recipe; values left to be inferred stand as comments.

        comments  dotted key -> why it has its value; others show what the key is
        """
        import tomlkit

        comments = comments or {}
        document = tomlkit.document()
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not isinstance(value, Section):
                item = tomlkit.item(value)
                if field.description:
                    item.comment(comments.get(name, _(field.description)))
                document.add(name, item)
                continue
            table = tomlkit.table()
            for key, inner in type(value).model_fields.items():
                held = getattr(value, key)
                note = comments.get(f"{name}.{key}", _(inner.description) if inner.description else "")
                if held is None:
                    table.add(tomlkit.comment(f"{key} = ...  # {note}"))
                elif held != {} and held != []:
                    item = tomlkit.item(held) if not isinstance(held, dict) else _inline(held)
                    item.comment(" ".join(note.split()))
                    table.add(key, item)
            document.add(tomlkit.nl())
            document.add(name, table)
        return tomlkit.dumps(document)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RecipeError(problem(str(path), _("a recipe"), _("no file"))) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(problem(str(path), _("a recipe in TOML"), str(error))) from None


def _inline(values: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.inline_table()
    table.update(values)
    return table


def _options() -> Iterator[tuple[str, str]]:
    """The flat name of every key: its own, but for a few that read better."""
    better = {
        "network.layers": "network",
        "optimizer.name": "optimizer",
        "split.method": "split",
        "split.column": "split_column",
        "split.seed": "split_seed",
        "training.rows": "training_rows",
        "data.options": "data_options",
        "optimizer.options": "optimizer_options",
    }
    for name, field in Recipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for key in section.model_fields:
                yield better.get(f"{name}.{key}", key), f"{name}.{key}"
        elif name != "limpide":
            yield name, name


OPTIONS: dict[str, str] = dict(_options())
"""Flat option -> dotted key of the recipe: what `limpide.train` takes by name."""
