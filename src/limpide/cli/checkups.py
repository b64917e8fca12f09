"""What the doctor found, on the screen; and the doctor beside a training of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from limpide.cli.screen import printable
from limpide.errors import Diverged

if TYPE_CHECKING:
    from rich.console import Console

    from limpide.doctor import Checkup, Doctor


def show_checkup(console: Console, checkup: Checkup) -> None:
    """The findings, each with its evidence and its advice; then what was looked at."""
    from rich.padding import Padding

    console.print(checkup.summary(), style="bold")
    for finding in checkup.findings:
        console.print()
        console.print(f"! {finding.title}", style="bold yellow")
        console.print(Padding(printable(finding.evidence), (0, 0, 0, 2), expand=False))
        console.print(Padding(printable("→ " + finding.advice), (0, 0, 0, 2), expand=False))
    console.print(checkup.basis, style="dim")


@contextmanager
def watched(is_asked: bool, console: Console) -> Iterator[Doctor | None]:
    """A doctor where one is asked for; of a training that breaks at once, what was found is shown before the error."""
    from limpide.doctor import Doctor

    doctor = Doctor() if is_asked else None
    try:
        yield doctor
    except Diverged:
        if doctor is not None and doctor.training is not None:
            show_checkup(console, doctor.checkup)
        raise
