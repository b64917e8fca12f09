"""What the sections of a recipe share: no key too many, no type bent, and each problem in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from limpide.errors import did_you_mean, problem
from limpide.i18n import _, format_number
from limpide.words import plain_number


class Section(BaseModel):
    """Keys and values that cannot be changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def problems_in(cls: type[BaseModel], error: ValidationError, where: str) -> Iterator[str]:
    """Each problem pydantic found, in our words and the user's language."""
    for found in error.errors(include_url=False):
        path = ".".join(str(part) for part in found["loc"])
        given = repr(found["input"])
        given = given if len(given) < 60 else given[:57] + "..."
        kind, context = found["type"], found.get("ctx", {})
        if kind == "extra_forbidden":
            known = _known_keys(cls, found["loc"][:-1])
            yield _('{where}unknown key "{key}"; {mend}').format(
                where=where, key=path, mend=did_you_mean(str(found["loc"][-1]), known)
            )
        elif kind == "missing":
            yield _('{where}the key "{key}" is missing').format(where=where, key=path)
        elif kind == "literal_error":
            names = context["expected"].replace(" or ", ", ")
            yield problem(f"{where}{path}", _("one of {names}").format(names=names), given)
        else:
            yield problem(f"{where}{path}", _expected(kind, context, found["msg"]), given, _mend(kind, found["input"]))


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    """What a value should have been, by pydantic's code."""
    bounds = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if kind in bounds:
        words = {
            "gt": _("a number above {bound}"),
            "ge": _("a number of at least {bound}"),
            "lt": _("a number below {bound}"),
            "le": _("a number of at most {bound}"),
        }
        return words[bounds[kind]].format(bound=format_number(context[bounds[kind]]))
    types = {
        "int_type": _("a whole number"),
        "int_from_float": _("a whole number"),
        "float_type": _("a number"),
        "finite_number": _("a finite number"),
        "string_type": _("a text"),
        "bool_type": _("true or false"),
        "list_type": _("a list"),
        "dict_type": _("a table of keys and values"),
        "model_type": _("a section"),
    }
    return types.get(kind, message)


def _mend(kind: str, given: Any) -> str:
    """How a number is typed that somebody wrote as people do; nothing for other values."""
    is_number = kind in ("int_type", "float_type") and isinstance(given, str)
    plain = plain_number(given, is_whole=kind == "int_type") if is_number else ""
    return _("write {number}").format(number=plain) if plain else ""


def _known_keys(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at this path."""
    for part in path:
        annotation = cls.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        cls = annotation
    return list(cls.model_fields)
