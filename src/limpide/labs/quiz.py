"""Questions that correct themselves: one right answer, several, or a number within a tolerance."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from limpide.i18n import _, format_number, get_language


@dataclass(frozen=True)
class Answer:
    """A choice, whether it is right, and why; texts by language."""

    texts: Mapping[str, str]
    is_right: bool
    whys: Mapping[str, str]

    @property
    def text(self) -> str:
        """The choice in the user's language."""
        return self.texts[get_language()]

    @property
    def why(self) -> str:
        """Why it is right or wrong, in the user's language."""
        return self.whys[get_language()]


@dataclass(frozen=True)
class Question:
    """A question.

    answers    the choices; empty where a number is asked for
    value      the number asked for
    tolerance  how far from it an answer may lie
    mistakes   numbers that a known mistake gives, with the explanation by language
    """

    texts: Mapping[str, str]
    answers: tuple[Answer, ...] = ()
    value: float | None = None
    tolerance: float = 0.0
    whys: Mapping[str, str] | None = None
    mistakes: tuple[tuple[float, Mapping[str, str]], ...] = ()

    @property
    def text(self) -> str:
        """The question in the user's language."""
        return self.texts[get_language()]

    @property
    def why(self) -> str:
        """The way to the number, in the user's language."""
        return (self.whys or {}).get(get_language(), "")

    @property
    def has_several(self) -> bool:
        """Whether more than one choice is right."""
        return sum(answer.is_right for answer in self.answers) > 1

    def grade(self, given: Sequence[int] | float) -> tuple[bool, list[str]]:
        """Whether the answer is right, and what there is to say of it, in the user's language.

        given  the numbers of the choices from 0, or the number
        """
        if isinstance(given, (int, float)):
            assert self.value is not None
            return self._grade_number(float(given))
        chosen = set(given)
        right = {i for i, answer in enumerate(self.answers) if answer.is_right}
        said = [self.answers[i].why for i in sorted(chosen) if chosen != right or i in right]
        if right - chosen and chosen <= right:
            said.append(_("there is more to choose"))
        return chosen == right, said

    def _grade_number(self, given: float) -> tuple[bool, list[str]]:
        assert self.value is not None
        if abs(given - self.value) <= self.tolerance:
            return True, [self.why]
        for wrong, why in self.mistakes:
            if abs(given - wrong) <= self.tolerance:
                return False, [why[get_language()]]
        return False, [_("expected {value}").format(value=format_number(self.value)), self.why]


def read_quiz(path: Path) -> tuple[Question, ...]:
    """The questions of a file; each has `en` and `fr`, and either choices or a number.

    ```toml
    [[question]]
    en = "..."
    fr = "..."
    [[question.answer]]
    right = true
    en = "..."
    fr = "..."
    why = { en = "...", fr = "..." }
    ```
    """
    return tuple(_question(facts) for facts in tomllib.loads(path.read_text("utf-8"))["question"])


def read_answer(text: str) -> float:
    """A number as people type it: with the decimal comma too, with thousands, with a minus of print.

    Raises  ValueError
    """
    plain = re.sub(r"\s", "", text).replace("−", "-")
    if get_language() == "en" and re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    return float(plain.replace(",", "."))


def _question(facts: Mapping[str, Any]) -> Question:
    texts = {lang: facts[lang] for lang in ("en", "fr")}
    answers = tuple(
        Answer({lang: answer[lang] for lang in ("en", "fr")}, answer.get("right", False), answer["why"])
        for answer in facts.get("answer", ())
    )
    # written with the right one first, which nobody should learn; the same order each time and in both languages
    answers = tuple(sorted(answers, key=lambda answer: sha256((texts["en"] + answer.texts["en"]).encode()).digest()))
    mistakes = tuple((wrong["value"], wrong["why"]) for wrong in facts.get("mistake", ()))
    return Question(texts, answers, facts.get("value"), facts.get("tolerance", 0.0), facts.get("why"), mistakes)
