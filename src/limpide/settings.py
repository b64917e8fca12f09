"""The environment variables that limpide reads, in one table: `limpide settings` shows it.

Nothing else in limpide reads a variable of its own; `i18n` alone, which stands below, asks for the language itself.
"""

from __future__ import annotations

import os
from math import inf
from typing import NamedTuple

from limpide.errors import RecipeError, problem
from limpide.i18n import N_, _, format_number


class Setting(NamedTuple):
    """An environment variable.

    meaning  what it changes, one sentence
    default  what holds where it is not set: a number, or words
    """

    meaning: str
    default: str


SETTINGS: dict[str, Setting] = {
    "LIMPIDE_LANG": Setting(N_("the language of everything shown: en or fr"), N_("the system's, or English")),
    "LIMPIDE_DATA": Setting(
        N_("the folder of data sets that are fetched once and kept"), N_("the system's folder for a user's data")
    ),
    "LIMPIDE_DEVICE": Setting(
        N_("what the torch engine computes on: cpu, cuda, cuda:1 or mps"), N_("a GPU where there is one, else cpu")
    ),
    "LIMPIDE_MAX_FILE_MB": Setting(N_("the largest file that is read, in MB; packed ones unpack to no more"), "2000"),
    "LIMPIDE_CHECKPOINT_SECONDS": Setting(
        N_("the least time between two checkpoints of a training, in seconds; 0 keeps every epoch"), "2"
    ),
    "LIMPIDE_DEBUG": Setting(N_("set to 1, an error shows where in the code it came from"), "0"),
    "LIMPIDE_REQUIRE_ENGINES": Setting(
        N_("engines, separated by commas, whose tests fail instead of being skipped where they are not installed"),
        N_("none"),
    ),
}
"""By name, the ones that people need first."""


def setting(name: str) -> str:
    """What the variable is set to, "" where it is not."""
    assert name in SETTINGS, name
    return os.environ.get(name, "").strip()


def number_setting(name: str) -> float:
    """The number that the variable is set to, else its default.

    Raises  RecipeError  for what is no finite number of at least 0
    """
    text = setting(name)
    try:
        value = float(text or SETTINGS[name].default)
    except ValueError:
        value = -1
    if not 0 <= value < inf:
        expected = _("a number of at least {bound}").format(bound=format_number(0))
        raise RecipeError(problem(name, expected, repr(text), _("set another value, or none")))
    return value


def is_set(name: str) -> bool:
    """Whether the variable is set, and not to 0."""
    return setting(name) not in ("", "0")
