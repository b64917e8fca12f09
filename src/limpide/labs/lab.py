"""What a lab is: its story in blocks, its cells of code, its claims and its quiz."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from limpide.errors import UnknownName
from limpide.i18n import _, get_language
from limpide.labs.quiz import Question, read_quiz

FOLDER = Path(__file__).parent

_DIRECTIVE = re.compile(r"^\{(cell|claims)\}[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_CELL = re.compile(r"^# %% (\w+)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A piece of a story.

    kind   "prose": Markdown; "cell": the name of a cell; "claims": names of claims
    """

    kind: Literal["prose", "cell", "claims"]
    text: str

    @property
    def names(self) -> tuple[str, ...]:
        """The cell or the claims that it shows."""
        return () if self.kind == "prose" else tuple(self.text.split())


@dataclass(frozen=True)
class Lab:
    """A lesson: a folder with its story, code, claims and quiz.

    systems  numbers of the systems of the source documents that run in it
    minutes  about how long a learner needs
    """

    name: str
    folder: Path
    systems: tuple[int, ...]
    minutes: int
    titles: Mapping[str, str]
    aims: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Lab:
        """The lab of a folder named such as `03_first_network`."""
        facts = tomllib.loads((folder / "lab.toml").read_text("utf-8"))
        name = folder.name.partition("_")[2].replace("_", "-")
        return cls(name, folder, tuple(facts["systems"]), facts["minutes"], facts["title"], facts["aim"])

    @property
    def number(self) -> str:
        """Its place in the course."""
        return self.folder.name.partition("_")[0].lstrip("0")

    @property
    def title(self) -> str:
        """The title in the user's language."""
        return self.titles[get_language()]

    @property
    def aim(self) -> str:
        """What one knows afterwards, in the user's language."""
        return self.aims[get_language()]

    def story(self, lang: str | None = None) -> list[Block]:
        """The blocks of the story, in order."""
        text = (self.folder / f"story.{lang or get_language()}.md").read_text("utf-8")
        pieces = _DIRECTIVE.split(text)
        blocks = [Block("prose", pieces[0].strip())]
        for kind, argument, prose in zip(pieces[1::3], pieces[2::3], pieces[3::3]):
            blocks += [Block("cell" if kind == "cell" else "claims", argument), Block("prose", prose.strip())]
        return [block for block in blocks if block.text]

    @cached_property
    def cells(self) -> dict[str, str]:
        """The code of each cell by name, in order; what stands before the first has the name ""."""
        pieces = _CELL.split((self.folder / "cells.py").read_text("utf-8"))
        named = zip(pieces[1::2], pieces[2::2])
        return {"": pieces[0].strip(), **{name: code.strip() for name, code in named}}

    @cached_property
    def claims(self) -> tuple[str, ...]:
        """The claims that the story shows."""
        return tuple(name for block in self.story("en") if block.kind == "claims" for name in block.names)

    @cached_property
    def quiz(self) -> tuple[Question, ...]:
        """The questions, in both languages."""
        place = self.folder / "quiz.toml"
        return read_quiz(place) if place.exists() else ()


LABS: dict[str, Lab] = {
    lab.name: lab for lab in (Lab.read(place.parent) for place in sorted(FOLDER.glob("[0-9][0-9]_*/lab.toml")))
}
"""Every lab by name, in the order of the course."""


def open_lab(name: str) -> Lab:
    """The lab of that name, or of that number.

    Raises  UnknownName
    """
    by_number = {lab.number: lab for lab in LABS.values()}
    if name.lstrip("0") in by_number:
        return by_number[name.lstrip("0")]
    if name not in LABS:
        raise UnknownName(_("lab"), name, LABS)
    return LABS[name]
