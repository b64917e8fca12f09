"""What the source documents claim, recomputed: `claims.toml` says what was found, the labs' checks find it again."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from limpide.i18n import N_, _, format_text, get_language

_FOLDER = Path(__file__).parent

Verdict = Literal["holds", "wrong", "depends on seed", "not reproducible"]

VERDICTS: dict[str, str] = {
    "holds": N_("holds"),
    "wrong": N_("wrong"),
    "depends on seed": N_("depends on the seed"),
    "not reproducible": N_("cannot be reproduced"),
}

DOCUMENTS: dict[str, str] = {
    "Production-cost chapter (000)": "Chapitre sur le coût de production (000)",
    "Perceptron notebook (001)": "Cahier sur le perceptron (001)",
    "Ninja exercises (003)": "Exercices « Ninja » (003)",
    "University written test no. 2 (004)": "Contrôle écrit universitaire n° 2 (004)",
}
"""The French names of the documents, where they have an English one."""


PLACES: dict[str, str] = {
    "annex (student's entries)": "annexe (copie d’un étudiant)",
    "annex": "annexe",
    "exercise": "exercice",
    "two moons": "deux lunes",
    "and summary": "et résumé",
    "footnote": "note",
    "steps": "étapes",
    "part": "partie",
    "with": "avec",
    "and": "et",
}
"""The French words of the places in them."""


@dataclass(frozen=True)
class Claim:
    """A sentence of a source document, and what recomputing it gave.

    source     document and place
    reported   what the document says
    verified   what was found
    note       what is wrong with it, and the correction
    """

    id: str
    source: str
    statement: str
    setup: str
    reported: str
    verified: str
    tolerance: str
    verdict: Verdict
    note: str

    @property
    def document(self) -> str:
        """The document without the place in it."""
        return self.source.partition(",")[0]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    evidence  the numbers, or the argument where nothing can be computed
    argued    true where it rests on reading and reasoning alone
    """

    verdict: Verdict
    evidence: str
    argued: bool = False


Check = Callable[[], Finding]


def checks(*names: str) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """Marks the function that recomputes these claims; one with a parameter is given the claim's name."""

    def mark(check: Callable[..., Finding]) -> Callable[..., Finding]:
        check.claims = names  # type: ignore[attr-defined]
        return check

    return mark


def judge(is_true: bool, evidence: str) -> Finding:
    """A claim that holds or is wrong by what was computed."""
    return Finding("holds" if is_true else "wrong", evidence)


def argue(verdict: Verdict, evidence: str) -> Finding:
    """A claim about which there is nothing to compute: wording, design, what a listing lacks."""
    return Finding(verdict, evidence, argued=True)


def over_seeds(outcomes: Sequence[bool], evidence: str) -> Finding:
    """A claim that comes out true with some seeds and false with others."""
    if len(set(outcomes)) > 1:
        return Finding("depends on seed", evidence)
    return judge(outcomes[0], evidence)


def _read() -> dict[str, Claim]:
    found = tomllib.loads((_FOLDER / "claims.toml").read_text("utf-8"))["claim"]
    return {facts["id"]: Claim(**facts) for facts in found}


CLAIMS: dict[str, Claim] = _read()
"""Every claim by id, in the order of the documents."""


def in_language(claim: Claim, lang: str | None = None) -> Claim:
    """The claim with its texts in a language.

    What its lab's `claims.fr.toml` leaves out is the same in both but for the marks of its numbers.
    """
    if (lang or get_language()) == "en":
        return claim
    words = "|".join(map(re.escape, PLACES))
    place = re.sub(rf"\b({words})(?!\w)", lambda found: PLACES[found[1]], claim.source[len(claim.document) :])
    texts: dict[str, Any] = {"source": DOCUMENTS.get(claim.document, claim.document) + place}
    texts |= {name: format_text(getattr(claim, name)) for name in ("reported", "verified")}
    return replace(claim, **(texts | dict(french().get(claim.id, {}))))


@lru_cache(maxsize=1)
def french() -> Mapping[str, Mapping[str, Any]]:
    """The French texts by claim."""
    files = sorted(_FOLDER.glob("*/claims.fr.toml"))
    return {name: texts for file in files for name, texts in tomllib.loads(file.read_text("utf-8")).items()}


def checks_of(folder: Path) -> dict[str, Check]:
    """The checks of a lab's folder, by the claim they recompute."""
    path = folder / "checks.py"
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location(f"limpide.labs.{folder.name}.checks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = [value for value in vars(module).values() if hasattr(value, "claims")]
    return {name: partial(check, name) if takes_name(check) else check for check in made for name in check.claims}


def takes_name(check: Callable[..., Finding]) -> bool:
    """Whether a check recomputes several claims, and is told which."""
    return bool(signature(check).parameters)


def verdict_text(verdict: Verdict) -> str:
    """A verdict in the user's language."""
    return _(VERDICTS[verdict])
