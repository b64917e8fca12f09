"""A figure asked for in words, as the command line does: `boundary x=area y=rooms`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from limpide.errors import RunError, UnknownName, problem
from limpide.figures import FIGURES, Figures, Picture
from limpide.i18n import _


def options_of(name: str) -> dict[str, tuple[str, ...]]:
    """The options of a figure; for each, the words it takes, or none where it takes any."""
    return {option: tuple(map(str, _choices(hint))) for option, hint in _hints(name).items()}


def ask(figures: Figures, name: str, options: Mapping[str, str]) -> Picture:
    """The figure of that name.

    options  by name, each as a word
    Raises   UnknownName  for a figure or an option that does not exist, or a word that an option does not take;
             RunError  for one that is no number
    """
    if name not in FIGURES:
        raise UnknownName(_("figure"), name, FIGURES)
    hints = _hints(name)
    for option in options:
        if option not in hints:
            raise UnknownName(_("option of {figure}").format(figure=name), option, hints)
    read = {option: _read(f"figures.{name}, {option}", word, hints[option]) for option, word in options.items()}
    picture: Picture = getattr(figures, name)(**read)
    return picture


def _hints(name: str) -> dict[str, Any]:
    method = getattr(Figures, name)
    hints = get_type_hints(method)
    return {option: hints[option] for option in inspect.signature(method).parameters if option != "self"}


def _kinds(hint: Any) -> tuple[Any, ...]:
    """What an annotation allows, None left out."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(part for part in parts if part is not type(None))


def _choices(hint: Any) -> tuple[Any, ...]:
    (first, *_rest) = _kinds(hint)
    if first is bool:
        return ("true", "false")
    return get_args(first) if get_origin(first) is Literal else ()


def _read(where: str, word: str, hint: Any) -> Any:
    """A word as what the option takes."""
    choices, kinds = _choices(hint), _kinds(hint)
    if choices and word not in choices:
        raise UnknownName(where, word, map(str, choices))
    if bool in kinds:
        return word == "true"
    for kind, expected in ((int, _("a whole number")), (float, _("a number"))):
        if kind in kinds:
            try:
                return kind(word)
            except ValueError:
                raise RunError(problem(where, expected, repr(word))) from None
    return word
