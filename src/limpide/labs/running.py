"""Running a lab: each cell in turn, then each claim; what they gave is kept for the page and the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from limpide.errors import MissingData, MissingPackage
from limpide.i18n import format_text
from limpide.labs.claims import CLAIMS, Claim, Finding, checks_of
from limpide.labs.lab import Lab
from limpide.labs.showing import OnlyFull, collecting

Watch = Callable[[str, int, int], None]
"""Told before each step: what it is, its number from 1, how many there are."""


@dataclass
class CellRun:
    """A cell that ran: what it showed, in order."""

    code: str
    shown: list[Any] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class LabRun:
    """A lab that ran.

    findings  what each claim came to, by its id
    missing   why a cell or a claim was left out, by its name: data or a package that is not there, or time
    full      whether the long experiments ran whole
    """

    lab: Lab
    full: bool
    cells: dict[str, CellRun] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def disagreements(self) -> list[tuple[Claim, Finding]]:
        """The claims that came out otherwise than recorded."""
        return [(CLAIMS[n], found) for n, found in self.findings.items() if found.verdict != CLAIMS[n].verdict]


def run_lab(
    lab: Lab, *, full: bool = False, cells: bool = True, claims: bool = True, watch: Watch | None = None
) -> LabRun:
    """Run the cells of a lab in their order, then recompute its claims.

    full           the long experiments whole, instead of the part that the story states
    cells, claims  False leaves them out

    A cell that lacks its data or a package is left out with those behind it, a claim alone; all the rest runs.
    """
    started = time.perf_counter()
    done = LabRun(lab, full)
    checks = {name: check for name, check in checks_of(lab.folder).items() if name in lab.claims} if claims else {}
    code = lab.cells if cells else {}
    n_steps, step = len(code) + len(checks), 0
    names: dict[str, Any] = {"__name__": "__main__"}
    for name, text in code.items():
        step += 1
        if watch:
            watch(name, step, n_steps)
        try:
            done.cells[name] = _run_cell(lab, name, text, names, full)
        except (MissingData, MissingPackage) as error:
            done.missing[name] = str(error)
            done.cells[name] = CellRun(text, [str(error)])
            step = len(code)
            break
    for name, check in checks.items():
        step += 1
        if watch:
            watch(name, step, n_steps)
        try:
            with collecting(lambda thing: None, full):
                found = check()
            done.findings[name] = replace(found, evidence=format_text(found.evidence))
        except (MissingData, MissingPackage, OnlyFull) as error:
            done.missing[name] = str(error)
    done.seconds = time.perf_counter() - started
    return done


def _run_cell(lab: Lab, name: str, text: str, names: dict[str, Any], full: bool) -> CellRun:
    cell = CellRun(text)
    started = time.perf_counter()
    with collecting(cell.shown.append, full):
        exec(compile(text, f"{lab.name}: {name or 'cells.py'}", "exec"), names)
    cell.seconds = time.perf_counter() - started
    return cell


def names_of(lab_file: str, *cells: str) -> SimpleNamespace:
    """What the named cells of a lab define, its imports first: so that checks use the very functions of the story.

    lab_file  `__file__` of the lab's checks.py
    """
    code = Lab.read(Path(lab_file).parent).cells
    names: dict[str, Any] = {}
    with collecting(lambda thing: None, full=False):
        for cell in ("", *cells):
            exec(compile(code[cell], f"{lab_file}: {cell}", "exec"), names)
    return SimpleNamespace(**{name: value for name, value in names.items() if not name.startswith("__")})
