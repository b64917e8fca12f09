"""What a diagnosis is: what it looks at, from where on it speaks, and what to try next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from limpide.catalogue import Catalogue
from limpide.data.dataset import Note
from limpide.i18n import N_, _, format_count, format_number, ngettext
from limpide.markup import paragraph, table

if TYPE_CHECKING:
    from limpide.doctor.examination import Examination


class Evidence(NamedTuple):
    """What was seen.

    text     a sentence with the numbers
    numbers  the same for a program
    advice   what to try in this very case, instead of the general advice of the diagnosis
    """

    text: str
    numbers: Mapping[str, Any]
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """One thing that can be wrong with a training.

    looks_at   what is measured
    threshold  from where on it is found, with the `limits` to be put in
    source     where the threshold or the idea comes from
    advice     what to try next
    look       what was seen, or None
    hides      the diagnoses that follow from this one, and are not named beside it
    """

    name: str
    title: str
    looks_at: str
    threshold: str
    source: str
    advice: str
    look: Callable[[Examination], Evidence | None]
    limits: Mapping[str, float] = field(default_factory=dict)
    hides: tuple[str, ...] = ()

    def rule(self) -> str:
        """The threshold in words, its numbers put in."""
        return _(self.threshold).format(**{name: format_number(limit) for name, limit in self.limits.items()})


DIAGNOSES: Catalogue[Diagnosis] = Catalogue(N_("diagnosis"))


@dataclass(frozen=True)
class Finding:
    """A diagnosis that was made."""

    name: str
    title: str
    evidence: str
    advice: str
    numbers: Mapping[str, Any]

    def note(self) -> Note:
        """What the run and its report say of it."""
        text = _("{evidence}. {advice}").format(evidence=self.evidence, advice=self.advice)
        return Note("warning", self.title, text)


@dataclass(frozen=True)
class Checkup:
    """What the doctor found: nothing, or the diagnoses with their evidence, causes before what follows from them.

    basis  what was looked at, a sentence
    """

    findings: tuple[Finding, ...]
    basis: str

    @property
    def names(self) -> list[str]:
        """The names of the diagnoses made."""
        return [finding.name for finding in self.findings]

    def summary(self) -> str:
        """How much was found, in a sentence."""
        n, known = len(self.findings), format_count(len(DIAGNOSES))
        if not n:
            return _("nothing wrong was found by {known} diagnoses").format(known=known)
        text = ngettext("{n} finding, of {known} diagnoses", "{n} findings, of {known} diagnoses", n)
        return text.format(n=format_count(n), known=known)

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        found = [{**asdict(finding), "numbers": _plain(finding.numbers)} for finding in self.findings]
        return {"findings": found, "basis": self.basis, "known": [*DIAGNOSES]}

    def __str__(self) -> str:
        lines = [_("{evidence}. {advice}").format(evidence=f.evidence, advice=f.advice) for f in self.findings]
        heads = [_("{name}: {text}").format(name=f.title, text=line) for f, line in zip(self.findings, lines)]
        return "\n".join([self.summary(), *heads])

    def _repr_html_(self) -> str:
        """The findings as a table, in a notebook."""
        rows = [(f.title, f.evidence, f.advice) for f in self.findings]
        shown = table((_("diagnosis"), _("evidence"), _("what to try")), rows) if rows else ""
        return paragraph(self.summary()) + shown + paragraph(self.basis)


def _plain(value: Any) -> Any:
    """Numbers, words and lists as JSON has them: what is not finite is None."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return (float(value) if isfinite(value) else None) if isinstance(value, float) else value


def make_checkup(examination: Examination, only: Sequence[str] = ()) -> Checkup:
    """Every diagnosis of the catalogue, or some of them by name.

    Raises  UnknownName
    """
    rows = [DIAGNOSES[name] for name in only] or DIAGNOSES.rows()
    seen = [(row, evidence) for row in rows if (evidence := row.look(examination)) is not None]
    hidden = {name for row, _evidence in seen for name in row.hides}
    findings = tuple(
        Finding(
            row.name,
            _(row.title),
            evidence.text,
            evidence.advice or _(row.advice),
            evidence.numbers,
        )
        for row, evidence in seen
        if row.name not in hidden
    )
    return Checkup(findings, examination.basis())
