"""The space of a search: knobs of a recipe, each with the values it may take.

A knob's values are written as people say them: `log(1e-4, 1e-1)`, `uniform(0, 0.5)`, `int(8, 64)`, or choices between
commas; where choices hold commas, between semicolons. A third number says how many steps a grid takes.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, inf, isfinite, log, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from limpide.errors import LimpideError, RecipeError, did_you_mean, problem
from limpide.experiment.variants import ACTIVATION, Variant, knob_key
from limpide.i18n import _
from limpide.recipe import SPACE, Recipe
from limpide.words import read_values

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Kind = Literal["log", "uniform", "int", "choices"]

STEPS = 5
"""The values that a grid takes of a range where nothing is said."""

_RANGE = re.compile(r"(\w+)\s*\((.*)\)")
_FORMS = "log(a, b), uniform(a, b), int(a, b)"


@dataclass(frozen=True)
class Knob:
    """A knob and its values.

    key      the recipe's dotted key, or `activation`
    choices  of kind "choices"
    low      of the others, as `high`: both ends belong to the range
    steps    values that a grid takes of the range
    """

    name: str
    key: str
    kind: Kind
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    steps: int = STEPS

    @classmethod
    def parse(cls, name: str, said: Any) -> Knob:
        """A knob from what was said of it: a text, or the choices themselves.

        Raises  UnknownName; RecipeError with what does not fit
        """
        key, where = knob_key(name), _("knob {name}").format(name=name)
        if not isinstance(said, str):
            choices = tuple(said) if isinstance(said, Sequence) else (said,)
            return cls._of_choices(name, key, choices)
        found = _RANGE.fullmatch(said.strip())
        if found is None:
            return cls._of_choices(name, key, tuple(read_values(said)))
        kind, inside = found[1].lower(), found[2]
        if kind not in ("log", "uniform", "int"):
            raise RecipeError(problem(where, _FORMS, repr(said), did_you_mean(kind, ("log", "uniform", "int"))))
        try:
            low, high, *more = (float(part) for part in inside.split(","))
        except ValueError:
            raise RecipeError(problem(where, _FORMS, repr(said))) from None
        if len(more) > 1 or not all(map(isfinite, (low, high, *more))):
            raise RecipeError(problem(where, _FORMS, repr(said)))
        if not low < high:
            mend = _("swap them") if low > high else _("leave the knob out, and set the option itself")
            raise RecipeError(problem(where, _("a low end, then a high one"), repr(said), mend))
        if kind == "log" and low <= 0:
            mend = _("a power of ten, such as 1e-5; or take uniform")
            raise RecipeError(problem(where, _("a number above {bound}").format(bound=0), repr(said), mend))
        if kind == "int" and not (low.is_integer() and high.is_integer()):
            raise RecipeError(problem(where, _("whole numbers"), repr(said)))
        if more and not (more[0].is_integer() and more[0] >= 2):
            raise RecipeError(problem(where, _("at least 2 steps"), repr(said)))
        return cls(name, key, kind, (), low, high, int(more[0]) if more else STEPS)  # type: ignore[arg-type]

    @classmethod
    def _of_choices(cls, name: str, key: str, choices: tuple[Any, ...]) -> Knob:
        where = _("knob {name}").format(name=name)
        if not choices:
            raise RecipeError(problem(where, _("values to try"), _("none")))
        twice = next((value for i, value in enumerate(choices) if value in choices[:i]), None)
        if twice is not None:
            raise RecipeError(problem(where, _("different values"), repr(twice)))
        return cls(name, key, "choices", choices)

    @property
    def size(self) -> float:
        """How many values there are; infinite in a range of real numbers."""
        if self.kind == "choices":
            return len(self.choices)
        return self.high - self.low + 1 if self.kind == "int" else inf

    def grid(self) -> list[Any]:
        """The values that a grid takes: all where they are few, else steps of equal size."""
        if self.kind == "choices":
            return list(self.choices)
        if self.kind == "log":
            ends = [*np.exp(np.linspace(log(self.low), log(self.high), self.steps)).tolist()]
            # powers of ten stay what people wrote
            return [self.low, *(float(f"{value:.6g}") for value in ends[1:-1]), self.high]
        if self.kind == "uniform":
            return [float(f"{value:.6g}") for value in np.linspace(self.low, self.high, self.steps)]
        n = int(min(self.size, self.steps))
        return sorted({round(value) for value in np.linspace(self.low, self.high, n).tolist()})

    def words(self) -> tuple[str, ...]:
        """The choices as texts that differ: what Optuna holds of them."""
        return tuple(json.dumps(value, ensure_ascii=False) for value in self.choices)

    def distribution(self) -> BaseDistribution:
        """What Optuna draws from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind == "choices":
            return CategoricalDistribution(self.words())
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high))
        return FloatDistribution(self.low, self.high, log=self.kind == "log")

    def told(self, value: Any) -> Any:
        """A value as Optuna holds it."""
        return json.dumps(value, ensure_ascii=False) if self.kind == "choices" else value

    def heard(self, value: Any) -> Any:
        """A value that Optuna gave."""
        return self.choices[self.words().index(value)] if self.kind == "choices" else value

    def place(self, value: Any) -> float:
        """Where a value lies between the ends, from 0 to 1."""
        if self.kind == "choices":
            return self.choices.index(value) / max(len(self.choices) - 1, 1)
        if self.kind == "log":
            return log(value / self.low) / log(self.high / self.low)
        return float((value - self.low) / (self.high - self.low))

    def at(self, place: float) -> float:
        """The number that lies there; of ranges."""
        if self.kind == "log":
            return self.low * exp(place * log(self.high / self.low))
        return self.low + place * (self.high - self.low)

    def ends(self) -> list[Any]:
        """Values that stand for all: what holds for them holds for those between."""
        if self.kind == "choices":
            return list(self.choices)
        return [int(self.low), int(self.high)] if self.kind == "int" else [self.low, self.high]


@dataclass(frozen=True)
class Space:
    """Every knob of a search."""

    knobs: tuple[Knob, ...]

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Space:
        """The space of names and what was said of each: a text such as "log(1e-4, 1e-1)", or a list of choices.

        Raises  RecipeError with every problem
        """
        knobs: list[Knob] = []
        problems: list[str] = []
        for name, values in said.items():
            try:
                knobs.append(Knob.parse(str(name), values))
            except LimpideError as error:
                problems += error.problems
        if not said:
            mend = _('name a knob and its values, such as rate="log(1e-4, 1e-1)"')
            problems.append(problem(_("space"), _("something to try"), _("nothing"), mend))
        keys = [knob.key for knob in knobs]
        problems += [
            problem(_("knob {name}").format(name=knob.name), _("each knob once"), _("it twice"))
            for i, knob in enumerate(knobs)
            if knob.key in keys[:i]
        ]
        if problems:
            raise RecipeError(*problems)
        return cls(tuple(knobs))

    def check(self, recipe: Recipe) -> None:
        """RecipeError with every value that a recipe refuses."""
        problems: list[str] = []
        for knob in self.knobs:
            for value in knob.ends():
                try:
                    self.variant("", recipe, {knob.name: value})
                except LimpideError as error:
                    problems += error.problems
        if problems:
            raise RecipeError(*dict.fromkeys(problems))

    def variant(self, name: str, recipe: Recipe, values: Mapping[str, Any]) -> Variant:
        """A recipe with these values of the knobs.

        Raises  RecipeError
        """
        keys = {knob.name: knob.key for knob in self.knobs}
        others = {keys[knob]: value for knob, value in values.items() if keys[knob] != ACTIVATION}
        activation = next((str(value) for knob, value in values.items() if keys[knob] == ACTIVATION), "")
        changed = recipe.with_values(others)
        changed.check()
        return Variant(name, changed, activation)

    @property
    def size(self) -> float:
        """How many points there are; infinite where a knob has a range of real numbers."""
        return prod(knob.size for knob in self.knobs)

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the values that a grid takes."""
        names = [knob.name for knob in self.knobs]
        return [dict(zip(names, values)) for values in product(*(knob.grid() for knob in self.knobs))]

    def to_dict(self) -> dict[str, Any]:
        """JSON: what tells spaces apart, and what a reader wants to know."""
        return {knob.key: list(knob.choices) or [knob.kind, knob.low, knob.high, knob.steps] for knob in self.knobs}


def read_space(path: str | Path) -> dict[str, Any]:
    """What a TOML file says of the knobs, at its top or in a section `space`.

    Raises  RecipeError: not there, or not TOML
    """
    path = Path(path)
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RecipeError(problem(str(path), _("a space in TOML"), _("no file"))) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(problem(str(path), _("a space in TOML"), str(error))) from None
    said = said.get(SPACE, said)
    if not isinstance(said, dict):
        raise RecipeError(problem(f"{path.name}, {SPACE}", _("a section"), repr(said)))
    return _flat(said)


def _flat(said: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Names with their dots: TOML reads `optimizer.rate = ...` as tables within tables."""
    flat: dict[str, Any] = {}
    for name, value in said.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def space_of(source: Any) -> dict[str, Any]:
    """The section `space` of a recipe's file; nothing where there is none.

    Raises  RecipeError as `Recipe.read_with`
    """
    is_file = isinstance(source, (str, Path)) and str(source).lower().endswith(".toml") and Path(source).is_file()
    return _flat(Recipe.read_with(source, SPACE)[1]) if is_file else {}
