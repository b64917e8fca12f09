"""The options that several commands share, and how `NAME=VALUE` is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from limpide.data.reading import OPTIONS as READING
from limpide.errors import RecipeError, UnknownName, problem
from limpide.i18n import LANGUAGES, _
from limpide.words import plain_number, read_value


class Number(click.ParamType[Any]):
    """A number as Python writes it; another way to write one is told how it is typed."""

    name = "number"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises  RecipeError  for what is no number, or not whole where it has to be."""
        try:
            return self.kind(value)
        except ValueError:
            expected = _("a whole number") if self.kind is int else _("a number")
            plain = plain_number(value, is_whole=self.kind is int)
            mend = _("write {number}").format(number=plain) if plain else ""
            where = param.opts[0] if param else self.name
            raise RecipeError(problem(where, expected, repr(value), mend)) from None


lang = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    expose_value=False,
    help=_("Language of everything shown; the system's when left out."),
)
as_json = click.option("--json", "is_json", is_flag=True, help=_("Print one JSON object on standard output."))
quiet_option = click.option("--quiet", is_flag=True, help=_("Show the last lines only."))
no_report_option = click.option("--no-report", is_flag=True, help=_("Write no report."))
no_baselines_option = click.option("--no-baselines", is_flag=True, help=_("Fit no models to compare with."))
workers_option = click.option(
    "--workers", metavar="N", type=Number(int), help=_("Trainings side by side; as many as there are cores.")
)
storage_option = click.option(
    "--storage",
    metavar="ADDRESS",
    help=_("A database that several machines share, such as postgresql://user@host/name; needs Optuna."),
)


def read_pairs(context: click.Context, option: click.Parameter, words: Sequence[str]) -> dict[str, str]:
    """The names and values of words such as `area=70`.

    Raises  RecipeError  with every word that is not of this form
    """
    wrong = [word for word in words if not word.partition("=")[0] or "=" not in word]
    if wrong:
        raise RecipeError(*(problem(option.opts[0], _("NAME=VALUE"), repr(word)) for word in wrong))
    return {name.strip(): value.strip() for name, _equals, value in (word.partition("=") for word in words)}


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What can be said of a table against what would be guessed."""
    for option in (
        click.option("--drop", metavar="COL", multiple=True, help=_("Leave this column out; may be repeated.")),
        click.option(
            "--kind",
            "kinds",
            metavar="COL=KIND",
            multiple=True,
            callback=read_pairs,
            help=_("What a column is: number, category, boolean, date, ...; may be repeated."),
        ),
        click.option("--target", metavar="COL", help=_("The column to predict.")),
    ):
        command = option(command)
    return command


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How a table file is written, against what would be guessed: gathered as `reading`, by name."""

    def gather(context: click.Context, option: click.Parameter, value: Any) -> None:
        reading = context.params.setdefault("reading", {})
        if value is not None:
            reading[option.name] = value

    for name, option in reversed(READING.items()):
        words = f"--{name}/--no-{name}" if name == "header" else f"--{name}"
        kind: dict[str, Any] = {"default": None} if name == "header" else {"metavar": option.metavar}
        command = click.option(words, name, expose_value=False, callback=gather, help=_(option.help), **kind)(command)
    return command


def recipe_values(named: Mapping[str, Any], others: Mapping[str, str]) -> dict[str, Any]:
    """Dotted keys of a recipe with their values.

    named   by flat name; what is None or empty was not said
    others  by flat or dotted name, each value as TOML writes it, or a bare word
    Raises  RecipeError  with every name that no recipe knows
    """
    from limpide.recipe import OPTIONS, Recipe

    values = {OPTIONS[name]: value for name, value in named.items() if value not in (None, [], {})}
    empty = Recipe.from_options("-")
    tables = [key for key in OPTIONS.values() if isinstance(empty.value(key), dict)]
    unknown = []
    for name, text in others.items():
        key = OPTIONS.get(name, name)
        if key not in OPTIONS.values() and key.rpartition(".")[0] not in tables:
            unknown.append(str(UnknownName("--option", name, [*OPTIONS, *OPTIONS.values()])))
        values[key] = read_value(text)
    if unknown:
        raise RecipeError(*unknown)
    return values
