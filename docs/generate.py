"""The parts of the guide that are read off the program: recipe, commands, variables, catalogues.

A page asks for one with a line `% generated: NAME`. Texts are those that the program shows, in the page's language.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import annotated_types
import click
from pydantic.fields import FieldInfo

from limpide import i18n
from limpide.i18n import _

MARK = re.compile(r"^% generated: (\w+)$", re.MULTILINE)

FRENCH = {
    "key": "clé",
    "takes": "valeurs",
    "left out": "par défaut",
    "meaning": "signification",
    "option": "option",
    "variable": "variable",
    "name": "nom",
    "formula": "formule",
    "derivative": "dérivée",
    "diagnosis": "diagnostic",
    "looks at": "regarde",
    "found from": "trouvé à partir de",
    "figure": "figure",
    "drawn from": "vient de",
    "range": "bornes",
    "source": "source",
    "expects": "reçoit",
    "numbers": "nombres",
    "inferred": "déduit",
    "required": "obligatoire",
    "text": "texte",
    "whole number": "nombre entier",
    "number": "nombre",
    "true or false": "`true` ou `false`",
    "list": "liste",
    "table": "table",
    "values": "des valeurs",
    "scores": "des scores",
    "probabilities": "des probabilités",
    "none": "aucun",
    "the version of this form": "la version de cette forme",
}
"""What the program itself never says."""

TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def speak(language: str) -> str:
    """Say everything in this language from now on; before `limpide.cli` is imported, which asks where it is read."""
    i18n.set_language(language)
    os.environ["LANGUAGE"] = language  # click asks gettext itself
    gettext.bindtextdomain("limpide", str(i18n.LOCALE_FOLDER))
    gettext.textdomain("limpide")
    return language


def fill(page: str) -> str:
    """The page with its marks replaced."""
    return MARK.sub(lambda mark: PARTS[mark[1]](), page)


def say(word: str) -> str:
    """A word of the tables in the page's language."""
    return FRENCH[word] if i18n.get_language() == "fr" else word


def escape(text: str) -> str:
    """Plain text as Markdown; what stands between backticks is code already."""
    pieces = " ".join(text.split()).split("`")
    return "`".join(piece if i % 2 else re.sub(r"([\\*_<>|\[\]])", r"\\\1", piece) for i, piece in enumerate(pieces))


def code(text: str) -> str:
    """Text as it is typed; in a table a bar has to be marked."""
    return f"`{' '.join(text.split())}`".replace("|", "\\|") if text else ""


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [[say(header) for header in headers], ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# ---------------------------------------------------------------------------------------------------------- the recipe


def recipe() -> str:
    """Every key of a recipe, section by section, from the types that read it."""
    from limpide.recipe import OPTIONS, Recipe

    flat = {key: name for name, key in OPTIONS.items()}
    fields = Recipe.model_fields
    top = [(name, field) for name, field in fields.items() if not hasattr(field.annotation, "model_fields")]
    text = table(("key", "takes", "left out", "meaning"), (recipe_row(name, name, field) for name, field in top))
    for name, field in fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        if inner is not None:
            rows = (recipe_row(key, flat[f"{name}.{key}"], one) for key, one in inner.items())
            text += f"\n## `[{name}]`\n\n{table(('key', 'takes', 'left out', 'meaning'), rows)}"
    return text


def recipe_row(key: str, option: str, field: FieldInfo) -> tuple[str, str, str, str]:
    """A key; its flat name, which Python takes, stands below it where it is another."""
    name = code(key) if option in (key, "limpide") else f"{code(key)} ({code(option + '=')})"
    return (
        name,
        takes(field),
        default_of(field),
        escape(_(field.description) if field.description else say("the version of this form")),
    )


def takes(field: FieldInfo) -> str:
    """What a key accepts, with its bounds."""
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return ", ".join(code(str(kind)) for kind in kinds)
    if get_origin(field.annotation) in (list, dict):
        return say("list" if get_origin(field.annotation) is list else "table")
    if get_origin(kinds[0]) is Literal:
        return ", ".join(code(str(value)) for value in get_args(kinds[0]))
    if get_origin(kinds[0]) is list:
        return say("list")
    return " ".join([say(TYPES[kinds[0]]), *bounds(field.metadata)])


def bounds(metadata: Iterable[Any]) -> list[str]:
    """The limits of a number, as they are written in mathematics."""
    signs: dict[type, tuple[str, str]] = {
        annotated_types.Gt: (">", "gt"),
        annotated_types.Ge: ("≥", "ge"),
        annotated_types.Lt: ("<", "lt"),
        annotated_types.Le: ("≤", "le"),
    }
    found = [
        (sign, getattr(one, name)) for one in metadata for kind, (sign, name) in signs.items() if type(one) is kind
    ]
    return [escape(f"{sign} {'2⁶³ − 1' if bound == 2**63 - 1 else i18n.format_number(bound)}") for sign, bound in found]


def default_of(field: FieldInfo) -> str:
    """What holds where the key is left out."""
    if field.is_required():
        return say("required")
    if field.default is None:
        return say("inferred")
    shown = {True: "true", False: "false"}.get(field.default) if isinstance(field.default, bool) else field.default
    return say("none") if shown in ([], {}) else code(str(shown))


# -------------------------------------------------------------------------------------------------------- the commands


def cli() -> str:
    """Every command with its usage, its words and its options, from the commands themselves."""
    from limpide.cli import group

    return "\n".join(command_text(name, one) for name, one in commands(group, "limpide"))


def commands(group: click.Group, path: str) -> Iterable[tuple[str, click.Command]]:
    """The commands of a group and of the groups in it, each behind the words that call it."""
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def command_text(path: str, command: click.Command) -> str:
    """A command as a section."""
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    paragraphs = [escape(paragraph.replace("\b", "")) for paragraph in (command.help or "").split("\n\n")]
    if command.epilog:
        paragraphs.append(escape(command.epilog))
    asked = [option for option in command.get_params(context) if isinstance(option, click.Option)]
    records = [record for option in asked if (record := option.get_help_record(context))]
    options = table(("option", "meaning"), ((code(words), escape(meaning)) for words, meaning in records))
    return "\n\n".join([f"## `{path}`", f"```text\n{path} {usage}\n```", *paragraphs, options])


# --------------------------------------------------------------------------------------- the variables and catalogues


def environment() -> str:
    """The environment variables."""
    from limpide.settings import SETTINGS

    rows = ((code(name), escape(_(one.default)), escape(_(one.meaning))) for name, one in SETTINGS.items())
    return table(("variable", "left out", "meaning"), rows)


def activations() -> str:
    """The activation functions."""
    from limpide.nn.activations import ACTIVATIONS

    rows = (
        (code(row.name), *(code(_(text)) for text in (row.formula, row.derivation, row.bounds)), escape(row.source))
        for row in ACTIVATIONS.rows()
    )
    return table(("name", "formula", "derivative", "range", "source"), rows)


def losses() -> str:
    """The losses."""
    from limpide.nn.losses import LOSSES

    rows = ((code(row.name), code(_(row.formula)), say(row.expects), escape(row.source)) for row in LOSSES.rows())
    return table(("name", "formula", "expects", "source"), rows)


def optimizers() -> str:
    """The optimizers, with the default of each of their numbers."""
    from dataclasses import MISSING, fields

    from limpide.nn.optimizers import OPTIMIZERS

    def numbers(kind: Any) -> str:
        own = ((one.name, one.default) for one in fields(kind) if one.default not in (None, MISSING))
        return ", ".join(code(f"{name} = {i18n.format_number(value)}") for name, value in own if value is not False)

    rows = ((code(name), code(one.formula), numbers(one), escape(one.source)) for name, one in OPTIMIZERS.items())
    return table(("name", "formula", "numbers", "source"), rows)


def schedules() -> str:
    """The schedules of the learning rate."""
    from limpide.nn.schedules import SCHEDULES

    return simple(SCHEDULES.rows())


def initializers() -> str:
    """The initializers."""
    from limpide.nn.initializers import INITIALIZERS

    return simple(INITIALIZERS.rows())


def diagnoses() -> str:
    """What the doctor looks for."""
    from limpide.doctor import DIAGNOSES

    rows = (
        (code(row.name), escape(_(row.looks_at)), escape(row.rule()), escape(row.source)) for row in DIAGNOSES.rows()
    )
    return table(("diagnosis", "looks at", "found from", "source"), rows)


def figures() -> str:
    """Every figure of a run."""
    from limpide.figures import FIGURES
    from limpide.figures.asking import options_of
    from limpide.figures.catalogue import NEEDS

    rows = []
    for name, kind in FIGURES.items():
        options = ", ".join(code(f"{o}={'|'.join(words)}" if words else o) for o, words in options_of(name).items())
        rows.append((code(name), escape(_(kind.shows)), escape(_(NEEDS[kind.needs])), options))
    return table(("figure", "meaning", "drawn from", "option"), rows)


def boundary() -> str:
    """What a network answers where, drawn while the guide is made."""
    picture: str = example().figures.boundary(x="petal_length_cm", y="petal_width_cm")._repr_html_()
    return picture + "\n"


def path() -> str:
    """The way of its training."""
    picture: str = example().figures.path()._repr_html_()
    return picture + "\n"


@lru_cache(maxsize=1)
def example() -> Any:
    """The run that the pictures show."""
    from limpide.training import train

    return train("iris", epochs=40, network="8 relu", rate=0.01, save=False, baselines=False)


def simple(rows: Iterable[Any]) -> str:
    """Rows that have a name, a formula and a source."""
    return table(
        ("name", "formula", "source"), ((code(row.name), code(_(row.formula)), escape(row.source)) for row in rows)
    )


PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part
    for part in (
        recipe,
        cli,
        environment,
        activations,
        losses,
        optimizers,
        schedules,
        initializers,
        diagnoses,
        figures,
        boundary,
        path,
    )
}
"""By the name that a page asks for."""
