"""Questions of the source documents that one run cannot answer: a recipe each, with the variants to compare.

A file is a recipe with a section `compare` more: `variants`, the recipe's keys that each variant has otherwise, and
`seeds` and `metric`. To add one, put a file here and a line in `QUESTIONS`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limpide.errors import RecipeError, UnknownName, did_you_mean, problem
from limpide.experiment.variants import knob_key
from limpide.i18n import N_, _, format_text
from limpide.recipe import Recipe

SEEDS = 20

QUESTIONS: dict[str, str] = {
    "momentum": N_("Does momentum help, or is it a larger rate?"),
    "activations": N_("ReLU, leaky ReLU or SiLU in a convolutional network?"),
    "dense-or-convolutions": N_("Are convolutions better than dense layers on MNIST?"),
    "optimizer": N_("Plain descent or Adam?"),
    "depth-or-width": N_("One wide layer, or several narrow ones?"),
    "shape": N_("A network that narrows, or one that widens?"),
    "samples": N_("Too few samples, or too few updates?"),
    "batch-size": N_("How many rows for an update?"),
    "initial-scale": N_("How large should the first weights be?"),
    "batch-norm-and-dropout": N_("What do batch normalisation and dropout bring?"),
}
"""By name, what each asks."""

_NAMES = (
    *(N_("plain"), N_("momentum 0.9"), N_("plain, ten times the rate")),
    *(N_("RN_1, dense"), N_("RN_2, convolutions")),
    *(N_("one layer of 64"), N_("two layers of 44"), N_("four layers of 30")),
    *(N_("narrowing, 52-26-13"), N_("even, 35-35-35"), N_("widening, 18-36-72")),
    *(N_("6,400 rows, 10 epochs"), N_("640 rows, 10 epochs"), N_("640 rows, 100 epochs")),
    *(N_("64 rows, 10 epochs"), N_("64 rows, 1,000 epochs")),
    *(N_("8 rows"), N_("32 rows"), N_("128 rows"), N_("all rows")),
    *(N_("bare"), N_("batch norm"), N_("dropout 0.3"), N_("batch norm + dropout 0.3")),
)
"""The names of their variants that are words of a language."""


@dataclass(frozen=True)
class Question:
    """Variants by name, and how they are to be compared.

    metric  None: the main metric of the task
    """

    variants: dict[str, Recipe]
    seeds: int = SEEDS
    metric: str | None = None


def asked_by(sources: Sequence[Any]) -> Question | None:
    """The question that a single source names: one of `QUESTIONS`, or a file with a section `compare`.

    Raises  as `read_question`
    """
    if len(sources) != 1 or not isinstance(sources[0], (str, os.PathLike)):
        return None
    name = os.fspath(sources[0])
    if name in QUESTIONS:
        return question(name)
    is_asked = name.lower().endswith(".toml") and Recipe.has_section(name, "compare")
    return read_question(name) if is_asked else None


def question(name: str) -> Question:
    """A question that comes with limpide, its variants named in the user's language.

    Raises  UnknownName

    >>> list(question("momentum").variants)
    ['plain', 'momentum 0.9', 'plain, ten times the rate']
    """
    if name not in QUESTIONS:
        raise UnknownName(_("question"), name, QUESTIONS)
    asked = read_question(Path(__file__).parent / f"{name}.toml")
    named = {
        _(variant) if variant in _NAMES else format_text(variant): recipe for variant, recipe in asked.variants.items()
    }
    return replace(asked, variants=named)


def read_question(path: str | Path) -> Question:
    """The question of a TOML file.

    Raises  RecipeError: not there, not TOML, no variants, or every key that does not fit
    """
    path = Path(path)
    recipe, asked = Recipe.read_with(path, "compare")
    where = f"{path.name}, compare"
    known = ("variants", "seeds", "metric")
    problems = [
        _('{where}: unknown key "{key}"; {mend}').format(where=where, key=key, mend=did_you_mean(key, known))
        for key in asked
        if key not in known
    ]
    variants, seeds, metric = asked.get("variants", {}), asked.get("seeds"), asked.get("metric")
    if not isinstance(variants, dict) or len(variants) < 2 or not all(isinstance(v, dict) for v in variants.values()):
        expected = _("a table of at least two variants, each with the keys that it has otherwise")
        problems.append(problem(f"{where}.variants", expected, repr(variants)))
    if seeds is not None and (not isinstance(seeds, int) or seeds < 1):
        problems.append(problem(f"{where}.seeds", _("a whole number"), repr(seeds)))
    if metric is not None and not isinstance(metric, str):
        problems.append(problem(f"{where}.metric", _("a text"), repr(metric)))
    if problems:
        raise RecipeError(*problems)
    made = {
        name: recipe.with_values({knob_key(knob): value for knob, value in changed.items()})
        for name, changed in variants.items()
    }
    return Question(made, seeds or SEEDS, metric)
