"""The variants of an experiment: recipes that differ in what is asked, and in nothing else that matters.

Every variant learns from the same data, and under the same seed from the same rows; what a recipe leaves out is settled
once, the engine too, so that its runs are the same with any number of workers and at any later time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from limpide.data.dataset import Dataset
from limpide.data.streams import TableStream
from limpide.errors import LimpideError, RecipeError, UnknownName, problem
from limpide.i18n import _
from limpide.job import Job, data_key, engine_of, open_recipe, prepare, recipe_of
from limpide.nn.layers import Activation, Dense, Layer, Residual
from limpide.nn.network import Network
from limpide.progress import RECIPE
from limpide.recipe import OPTIONS, Recipe
from limpide.runs import Run
from limpide.streaming import open_stream

ACTIVATION = "activation"
"""The knob that is no key of a recipe: it takes the place of every hidden activation of the network."""

_SAME_DATA = ("data.source", "data.target", "data.task", "data.options")
_TABLES = tuple(key for key in OPTIONS.values() if isinstance(Recipe.from_options("-").value(key), dict))


@dataclass(frozen=True)
class Variant:
    """A recipe as it was asked for, under a name.

    activation  what takes the place of its hidden activations; "" leaves them
    """

    name: str
    recipe: Recipe
    activation: str = ""

    def key(self) -> str:
        """What tells variants apart, whatever their names and seeds."""
        values = {"recipe": self.recipe.with_values({"seed": 0}).hash(), "activation": self.activation}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Settled:
    """A variant made ready: nothing is left to infer.

    rows    examples of each part
    data    the SHA-256 of the data
    drawn   about how many of the validation rows each seed draws to measure on, of data larger than memory; None: all
    """

    name: str
    recipe: Recipe
    parameters: int
    task: str
    rows: dict[str, int]
    data: str
    data_name: str
    drawn: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        return {**self.__dict__, "recipe": self.recipe.model_dump()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Settled:
        """What `to_dict` wrote."""
        return cls(**{**saved, "recipe": Recipe.from_dict(saved["recipe"])})

    def under(self, seed: int, split_seed: int | None) -> Recipe:
        """The recipe of one run.

        split_seed  what deals the rows out; None: the seed of the run does
        """
        return self.recipe.with_values({"seed": seed, "split.seed": split_seed})


def make_variants(
    sources: Sequence[Any], vary: Mapping[str, Sequence[Any]], options: Mapping[str, Any]
) -> list[Variant]:
    """Every source in every combination of the knobs' values.

    sources  recipes, their files, runs, their folders, anything `open_source` takes; or one mapping of names to these
    vary     knob -> values: `activation`, a recipe's flat option, or a dotted key such as `optimizer.options.momentum`
    Raises   UnknownName for a knob that no recipe has; RecipeError for no value, or twice the same variant
    """
    keys = {knob: knob_key(knob) for knob in vary}
    for knob, values in vary.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not values:
            raise RecipeError(problem(_("knob {name}").format(name=knob), _("a list of values"), repr(values)))
        twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
        if twice is not None:
            raise RecipeError(problem(_("knob {name}").format(name=knob), _("different values"), repr(twice)))
    variants = []
    recipes = _recipes(sources, options)
    if not recipes:
        raise RecipeError(problem(_("what is compared"), _("something to compare"), _("nothing")))
    for name, recipe in recipes.items():
        for values in product(*vary.values()):
            chosen = dict(zip(vary, values, strict=True))
            activation = str(chosen.pop(ACTIVATION, ""))
            words = [_word(knob, value) for knob, value in zip(vary, values, strict=True)]
            called = " + ".join(([name] if len(recipes) > 1 or not vary else []) + words)
            changed = recipe.with_values({keys[knob]: value for knob, value in chosen.items()})
            changed.check()
            variants.append(Variant(called, changed, activation))
    _check_distinct(variants)
    return variants


def knob_key(knob: str) -> str:
    """The recipe's dotted key of a knob.

    Raises  UnknownName; RecipeError for what must be the same for all
    """
    key = OPTIONS.get(knob, knob)
    if knob == ACTIVATION:
        return knob
    if key not in OPTIONS.values() and key.rpartition(".")[0] not in _TABLES:
        raise UnknownName(_("knob"), knob, [ACTIVATION, *OPTIONS, *OPTIONS.values()])
    if key == "seed":
        mend = _("say how many with seeds")
        raise RecipeError(problem(_("knob {name}").format(name=knob), _("something to compare"), _("the seed"), mend))
    if key.startswith(("split.", *_SAME_DATA)):
        raise RecipeError(
            problem(
                _("knob {name}").format(name=knob),
                _("the same data and the same rows for every variant"),
                _("others for each"),
                _("scores on different rows cannot be compared"),
            )
        )
    return key


def _recipes(sources: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipe of each source by its name."""
    if len(sources) == 1 and isinstance(sources[0], Mapping):
        return {str(name): _recipe(inner, options) for name, inner in sources[0].items()}
    return {name: _recipe(source, options) for name, source in zip(name_sources(sources), sources, strict=True)}


def _recipe(source: Any, options: Mapping[str, Any]) -> Recipe:
    if isinstance(source, Run):
        return source.recipe.replace(**options)
    if isinstance(source, (str, os.PathLike)):
        path = recipe_file(source)
        return recipe_of(path if path.name == RECIPE else source, **options)
    return recipe_of(source, **options)


def name_sources(sources: Sequence[Any]) -> list[str]:
    """What people call each source; in full where the short names of two are the same.

    Raises  RecipeError when two have the same name in full
    """
    short = [_short_name(source) for source in sources]
    full = [str(source) if isinstance(source, (str, os.PathLike)) else name for source, name in zip(sources, short)]
    names = [name if short.count(name) == 1 else longer for name, longer in zip(short, full)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        mend = _("name each once; in Python, a mapping of names to recipes tells them apart")
        raise RecipeError(
            problem(_("what is compared"), _("different names"), _("{name} twice").format(name=twice), mend)
        )
    return names


def _short_name(source: Any) -> str:
    if isinstance(source, Run):
        return source.path.name if source.path else source.dataset_name
    if isinstance(source, (str, os.PathLike)):
        path = recipe_file(source)
        name = path.parent.name if path.name == RECIPE else path.name.removesuffix(".toml")
        return name or str(source)
    return source.data.source if isinstance(source, Recipe) else "frame"


def recipe_file(source: str | os.PathLike[str]) -> Path:
    """The recipe in a run's folder; any other path as it is."""
    path = Path(source)
    return path / RECIPE if (path / RECIPE).is_file() else path


def data_of(sources: Sequence[Any]) -> Any:
    """The data itself, where recipes cannot name it: a frame; None where they can."""
    inner = [one for source in sources for one in (source.values() if isinstance(source, Mapping) else [source])]
    return next((one for one in inner if not isinstance(one, (Recipe, Run, str, os.PathLike))), None)


def _word(knob: str, value: Any) -> str:
    """A value as it stands in a name."""
    return value if isinstance(value, str) else f"{knob}={json.dumps(value)}"


def _check_distinct(variants: Sequence[Variant]) -> None:
    seen: dict[str, str] = {}
    for variant in variants:
        twin = seen.setdefault(variant.key(), variant.name)
        if twin != variant.name:
            raise RecipeError(
                problem(
                    _("variant {name}").format(name=variant.name),
                    _("another recipe"),
                    _("the same as {name}").format(name=twin),
                    _("there is nothing to compare"),
                )
            )


class Settler:
    """Makes variants ready. Data that several of them learn from is opened once.

    source  the data, where the recipes cannot name it
    """

    def __init__(self, source: Any = None) -> None:
        self.source = source
        self._opened: dict[str, Dataset | TableStream] = {}
        self._last: tuple[str, Job] | None = None

    def data(self, recipe: Recipe) -> Dataset | TableStream:
        """The data of a recipe; larger than memory, a stream that each training passes over anew."""
        key = data_key(recipe)
        if key not in self._opened:
            stream = open_stream(recipe) if self.source is None else None
            self._opened[key] = stream or open_recipe(recipe, self.source)
        return self._opened[key]

    def settle(self, variant: Variant) -> Settled:
        """The variant with nothing left to infer.

        Raises  as `prepare`
        """
        job = self._prepare(variant.recipe)
        recipe, network = job.recipe, job.network
        if variant.activation:
            network = with_activation(network, variant.activation)
            engine = engine_of(recipe.with_values({"engine": variant.recipe.engine}), network, job.sizes["train"])
            recipe = recipe.with_values({"network.layers": str(network), "engine": engine.name})
        rows = {str(part): n for part, n in job.sizes.items()}
        dataset = job.dataset
        drawn = len(job.parts["validation"].x) if job.streamed else rows["validation"]
        return Settled(
            variant.name,
            recipe,
            network.n_parameters,
            job.target.task,
            rows,
            dataset.sha256,
            dataset.name,
            drawn if drawn < rows["validation"] else None,
        )

    def _prepare(self, recipe: Recipe) -> Job:
        """The job of a recipe; variants that differ in their activation alone share one."""
        if self._last is None or self._last[0] != recipe.hash():
            data = self.data(recipe)
            self._last = recipe.hash(), prepare(recipe, data if isinstance(data, Dataset) else None)
        return self._last[1]


def with_activation(network: Network, words: str) -> Network:
    """A network with other hidden activations; what stands behind the last dense layer stays.

    words   the activation as in the text of a network, such as "leaky_relu 0.2"
    Raises  UnknownName; RecipeError when there is no hidden activation

    >>> print(with_activation(Network.parse("4, 8 relu, 3 softmax"), "tanh"))
    4, 8 tanh, 3 softmax
    """
    other = Activation.from_words(words.split() or [""], _("knob {name}").format(name=ACTIVATION))

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Residual):
            return replace(layer, layers=tuple(map(changed, layer.layers)))
        return other if isinstance(layer, Activation) else layer

    layers = network.layers
    end = max((i for i, layer in enumerate(layers) if isinstance(layer, Dense)), default=len(layers))
    hidden = tuple(map(changed, layers[:end]))
    if not any(isinstance(layer, (Activation, Residual)) for layer in hidden):
        raise RecipeError(
            problem(
                _("knob {name}").format(name=ACTIVATION),
                _("a network with hidden activations"),
                repr(str(network)),
                _('give one, such as network="64 relu"'),
            )
        )
    return Network(network.input_shape, (*hidden, *layers[end:]))


def check_same_rows(settled: Sequence[Settled]) -> None:
    """RecipeError when two variants differ in their data, their target or how rows are dealt out."""
    first = settled[0]
    for other in settled[1:]:
        pairs = {
            _("data"): (first.data or first.recipe.data.source, other.data or other.recipe.data.source),
            **{
                key: (first.recipe.value(key), other.recipe.value(key))
                for key in OPTIONS.values()
                if key in ("data.target", "data.task") or key.startswith("split.")
            },
        }
        differ = [(what, a, b) for what, (a, b) in pairs.items() if a != b]
        if differ:
            mend = _("scores on different rows cannot be compared")
            raise RecipeError(
                *(
                    problem(
                        what,
                        _("the same for {a} and {b}").format(a=first.name, b=other.name),
                        _("{a} and {b}").format(a=_shown(a), b=_shown(b)),
                        mend,
                    )
                    for what, a, b in differ
                )
            )


def _shown(value: Any) -> str:
    return str(value)[:40]


def differing(settled: Sequence[Settled]) -> dict[str, list[Any]]:
    """The recipe's keys that are not the same for all, with the value of each variant: what was compared in truth."""
    keys = [key for key in OPTIONS.values() if key not in ("seed", "data.source")]
    values = {key: [variant.recipe.value(key) for variant in settled] for key in keys}
    return {key: held for key, held in values.items() if any(value != held[0] for value in held)}


def settle_all(
    variants: Sequence[Variant], settler: Settler, known: Mapping[str, Settled]
) -> tuple[dict[str, Settled], dict[str, str]]:
    """Each variant's settled form by its key, and by name the reason of those that do not fit the data.

    known   what was settled before, by key; it holds for as long as the data is the same
    Raises  RecipeError, UnknownName: a mistake in what was asked; the error of all when none fits
    """
    settled: dict[str, Settled] = {}
    errors: dict[str, LimpideError] = {}
    # variants of one recipe behind one another: they share its preparation
    for variant in sorted(variants, key=lambda variant: variant.recipe.hash()):
        before = known.get(variant.key())
        if before is not None and before.data == settler.data(variant.recipe).sha256 != "":
            settled[variant.key()] = replace(before, name=variant.name)
            continue
        try:
            settled[variant.key()] = settler.settle(variant)
        except (RecipeError, UnknownName):
            raise
        except LimpideError as error:
            errors[variant.name] = error
    if not settled:
        raise next(iter(errors.values()))
    in_order = {variant.key(): settled[variant.key()] for variant in variants if variant.key() in settled}
    check_same_rows(list(in_order.values()))
    return in_order, {name: str(error) for name, error in errors.items()}
