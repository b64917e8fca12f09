"""What can go wrong, as one tree.

    LimpideError                  exit code 1
    ├── InputError                what the user gave cannot be used; exit code 2
    │   ├── UnknownName           a name that stands in no catalogue
    │   ├── ShapeError            sizes that do not fit: the layer, both sizes, the mend
    │   ├── DataError             a file, a frame, an image
    │   │   ├── LeakError         data that give the answers away
    │   │   └── MissingData       data that lie nowhere here and cannot be fetched
    │   ├── RecipeError           a recipe or an option
    │   └── RunError              a run folder
    ├── Unsupported               an engine was asked for what it does not have; exit code 2
    ├── MissingPackage            an optional package is not installed; exit code 2
    ├── Diverged                  NaN or Inf during training: which layer, tensor, step
    └── ProcessLost               a training shared by several processes has lost one

A class exists only where a caller would act differently on it. Every message says where, what was expected, what came
and what to do; an error may carry several problems, so that a user mends a file once.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Any

from limpide.i18n import N_, _

SYSTEM_REASONS = (
    N_("Permission denied"),
    N_("Operation not permitted"),
    N_("No space left on device"),
    N_("Disk quota exceeded"),
    N_("Read-only file system"),
    N_("No such file or directory"),
    N_("File exists"),
    N_("Not a directory"),
    N_("Is a directory"),
    N_("File name too long"),
    N_("Too many open files"),
    N_("Device or resource busy"),
    N_("Input/output error"),
    N_("Name or service not known"),
    N_("Temporary failure in name resolution"),
    N_("Network is unreachable"),
    N_("Connection refused"),
    N_("Connection timed out"),
)
"""Why a system refuses a file or finds no mirror, in its own words, so that they are translated."""


def problem(where: str, expected: str, got: str, mend: str = "") -> str:
    """One line of an error: `<where>: expected ..., got ...; <what to do>`.

    >>> problem("layer 3.dense", "a flat input (features,)", "(8, 8, 4)", "put a flatten before it")
    'layer 3.dense: expected a flat input (features,), got (8, 8, 4); put a flatten before it'
    """
    if mend:
        return _("{where}: expected {expected}, got {got}; {mend}").format(
            where=where, expected=expected, got=got, mend=mend
        )
    return _("{where}: expected {expected}, got {got}").format(where=where, expected=expected, got=got)


def reason_of(error: OSError) -> str:
    """Why the system refused, in the user's language where it is among `SYSTEM_REASONS`.

    >>> reason_of(PermissionError(13, "Permission denied", "runs"))
    'Permission denied'
    """
    return _(error.strerror) if error.strerror else str(error)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest known one, else the list of them.

    >>> did_you_mean("rleu", ["relu", "tanh"])
    'did you mean "relu"?'
    >>> did_you_mean("cout", ["Site", "Coût total"])
    'did you mean "Coût total"?'
    >>> did_you_mean("zzz", ["relu", "tanh"])
    'choose among relu, tanh'
    """
    names = [str(k) for k in known]
    plain, asked = {_plain(k): k for k in names}, _plain(name)
    near = difflib.get_close_matches(asked, plain, n=1, cutoff=0.6)
    near = near or [word for word in plain if len(asked) > 2 and asked in word]
    if len(near) == 1:
        return _('did you mean "{name}"?').format(name=plain[near[0]])
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return _("choose among {names}").format(names=shown)


def _plain(name: str) -> str:
    """A name without capitals and accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(sign))


class LimpideError(Exception):
    """The root: one or several problems, each a full sentence."""

    exit_code = 1

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        # between processes: some are made of other words than their problems
        return _again, (type(self), self.problems, self.__dict__)


def _again(cls: type[LimpideError], problems: tuple[str, ...], held: dict[str, Any]) -> LimpideError:
    error = cls.__new__(cls, *problems)
    error.__dict__.update(held)
    return error


class InputError(LimpideError, ValueError):
    """What the user gave cannot be used."""

    exit_code = 2


class UnknownName(InputError):
    """A name that stands in no catalogue."""

    def __init__(self, where: str, name: str, known: Iterable[str]) -> None:
        super().__init__(
            _('{where}: unknown name "{name}"; {mend}').format(where=where, name=name, mend=did_you_mean(name, known))
        )


class ShapeError(InputError):
    """Sizes that do not fit."""


class DataError(InputError):
    """A file, a frame or an image that cannot be used."""


class LeakError(DataError):
    """Data that give the answers away: `names` is what `accept_leaks` takes to go on all the same."""

    def __init__(self, *problems: str, names: Iterable[str] = ()) -> None:
        super().__init__(*problems)
        self.names = tuple(names)


class MissingData(DataError):
    """Data that lie nowhere here and cannot be fetched."""


class RecipeError(InputError):
    """A recipe or an option that cannot be used."""


class RunError(InputError):
    """A run folder that cannot be used."""


class Unsupported(LimpideError):
    """An engine was asked for what it does not have."""

    exit_code = 2


class MissingPackage(LimpideError):
    """An optional package is not installed."""

    exit_code = 2


class Diverged(LimpideError):
    """NaN or Inf during training."""


class ProcessLost(LimpideError):
    """A training shared by several processes has lost one."""
