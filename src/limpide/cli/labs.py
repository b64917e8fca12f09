"""`limpide labs`: executable lessons, their claims, their quizzes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import as_command, labelled, make_table, open_console, print_json
from limpide.i18n import _, format_count, format_decimal, ngettext

if TYPE_CHECKING:
    from rich.console import Console

    from limpide.labs.quiz import Question
    from limpide.labs.running import LabRun


@click.group("labs", invoke_without_command=True, help=_("Executable lessons: list them, run one, take its quiz."))
@as_json
@lang
@click.pass_context
def labs(context: click.Context, is_json: bool) -> None:
    """Without a word more: the list."""
    if context.invoked_subcommand is not None:
        return
    from limpide.labs.lab import LABS

    if is_json:
        print_json({"labs": [{"name": lab.name, "title": lab.title, "systems": lab.systems} for lab in LABS.values()]})
        return
    headers = ["", _("lab"), _("what it is about"), _("minutes"), _("claims")]
    rows = [
        (lab.number, lab.name, lab.title, format_count(lab.minutes), format_count(len(lab.claims)))
        for lab in LABS.values()
    ]
    console = open_console()
    console.print(make_table(headers, rows, right=(0, 3, 4), fixed=(1,)))
    console.print()
    console.print(_("Begin with: limpide labs run {name}").format(name=next(iter(LABS))))


@labs.command("run", help=_("Run a lab, and write its page.\n\nNAME is a lab, its number, or all."))
@click.argument("name")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), default="labs", help=_("Where pages go."))
@click.option("--full", is_flag=True, help=_("The long experiments whole, not the part the story states."))
@as_json
@lang
def run(name: str, out: Path, full: bool, is_json: bool) -> int:
    """Exit code 1 when a claim comes out otherwise than recorded."""
    from limpide.checkpoint import write_file
    from limpide.labs.lab import LABS, open_lab
    from limpide.labs.page import render_page
    from limpide.labs.running import run_lab

    console, runs = open_console(is_json), []
    chosen = list(LABS.values()) if name == "all" else [open_lab(name)]
    for number, lab in enumerate(chosen, 1):
        with console.status("") as status:
            place = f"{number}/{len(chosen)}  {lab.title}" if name == "all" else lab.title
            told = lambda what, i, n: status.update(f"{place}  {i}/{n}  {what}")  # noqa: B023, E731
            done = run_lab(lab, full=full, watch=told)
        path = write_file(out / f"{lab.name}.html", render_page(done).encode())
        _tell(console, done, path)
        runs.append(done)
    if name == "all":
        _tell_all(console, runs)
    if is_json:
        print_json({"labs": [_facts(done) for done in runs]})
    return int(any(done.disagreements() for done in runs))


def _tell(console: Console, done: LabRun, path: Path) -> None:
    """A line on the lab, and one for each claim that came out otherwise than recorded."""
    text = ngettext(
        "{n} claim recomputed, {wrong} otherwise than recorded; {seconds} s; {path}",
        "{n} claims recomputed, {wrong} otherwise than recorded; {seconds} s; {path}",
        len(done.findings),
    ).format(
        n=format_count(len(done.findings)),
        wrong=format_count(len(done.disagreements())),
        seconds=format_decimal(done.seconds, 1),
        path=path,
    )
    console.print(labelled(done.lab.title, text), soft_wrap=True)
    for reason, names in _missing(done).items():
        text = ngettext("{n} step left out: {reason}", "{n} steps left out: {reason}", len(names))
        console.print("  · " + text.format(n=format_count(len(names)), reason=reason), soft_wrap=True)
    for claim, found in done.disagreements():
        console.print(f"  ✗ {claim.id}: {found.evidence}", soft_wrap=True)


def _tell_all(console: Console, runs: list[LabRun]) -> None:
    """A line on all the labs together."""
    n_claims = sum(len(done.findings) for done in runs)
    text = ngettext(
        "{n} claim recomputed, {wrong} otherwise than recorded; {seconds} s",
        "{n} claims recomputed, {wrong} otherwise than recorded; {seconds} s",
        n_claims,
    ).format(
        n=format_count(n_claims),
        wrong=format_count(sum(len(done.disagreements()) for done in runs)),
        seconds=format_decimal(sum(done.seconds for done in runs), 0),
    )
    title = ngettext("{n} lab", "{n} labs", len(runs)).format(n=format_count(len(runs)))
    console.print(labelled(title, text), soft_wrap=True)


def _missing(done: LabRun) -> dict[str, list[str]]:
    """The cells and claims that lacked something, by what they lacked."""
    reasons: dict[str, list[str]] = {}
    for name, reason in done.missing.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _facts(done: LabRun) -> dict[str, Any]:
    findings = {name: {"verdict": found.verdict, "evidence": found.evidence} for name, found in done.findings.items()}
    return {"name": done.lab.name, "seconds": done.seconds, "findings": findings, "missing": done.missing}


@labs.command("errata", help=_("The errors found in the source documents, by document."))
@as_json
@lang
def errata(is_json: bool) -> None:
    """Wrong, with what is right instead."""
    from itertools import groupby

    from limpide.labs.claims import CLAIMS, in_language

    wrong = [in_language(claim) for claim in CLAIMS.values() if claim.verdict == "wrong"]
    if is_json:
        print_json({"errata": [vars(claim) for claim in wrong]})
        return
    console = open_console()
    for document, claims in groupby(wrong, key=lambda claim: claim.document):
        rows = [(claim.source, claim.statement, claim.reported, claim.verified, claim.note) for claim in claims]
        headers = [_("place"), _("statement"), _("stated"), _("found"), _("note")]
        console.print(f"\n{document} ({format_count(len(rows))})", style="bold")
        console.print(make_table(headers, rows))


@labs.command("quiz", help=_("Take the quiz of a lab."))
@click.argument("name")
@lang
def quiz(name: str) -> int:
    """Exit code 0 when all is right."""
    from limpide.labs.lab import open_lab

    console, questions = open_console(), open_lab(name).quiz
    n_right = sum(_ask(console, i, question) for i, question in enumerate(questions, 1))
    console.print(_("{n} of {total} right").format(n=format_count(n_right), total=format_count(len(questions))))
    return int(n_right < len(questions))


def _ask(console: Console, i: int, question: Question) -> bool:
    from limpide.labs.quiz import read_answer

    console.print(f"\n{i}. {question.text}", style="bold")
    for j, answer in enumerate(question.answers, 1):
        console.print(f"   {j}. {answer.text}")
    if question.value is not None:
        hint = _("Your answer")
    else:
        hint = _("Numbers of the answers, separated by commas") if question.has_several else _("Number of the answer")
    asked = "   " + _("{name}: {text}").format(name=hint, text="")
    while True:
        words = click.prompt(asked, default="", show_default=False, prompt_suffix="")
        try:
            if question.value is not None:
                given: Any = read_answer(words)
            else:
                given = [range(len(question.answers))[int(word) - 1] for word in words.split(",")]
            break
        except (ValueError, IndexError):
            console.print("   " + _("expected one of the numbers above, or a number"))
    is_right, said = question.grade(given)
    console.print("   " + (_("Right.") if is_right else _("Not yet.")), style="green" if is_right else "yellow")
    for text in said:
        console.print("   " + text)
    return is_right


@labs.command(
    "exercise", help=_("Write the layer table of a network as a sheet to fill in.\n\nNETWORK is rn-1, rn-2 or a text.")
)
@click.argument("network")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), default="layers.csv", help=_("The sheet."))
@lang
def write_exercise(network: str, out: Path) -> None:
    """Never over a sheet that is there: it may be filled in."""
    from limpide.checkpoint import write_file
    from limpide.errors import RunError, problem
    from limpide.labs.exercise import blank_sheet
    from limpide.labs.exercise import exercise as network_of

    parsed = network_of(network)
    if out.exists():
        raise RunError(problem(str(out), _("a new file"), _("one that is there"), _("give another name with --out")))
    write_file(out, blank_sheet(parsed).encode())
    console = open_console()
    console.print(_("{path} written").format(path=out))
    console.print(_("network: {text}").format(text=parsed))
    console.print(_("once filled in: {command}").format(command=as_command("labs", "correct", network, str(out))))


@labs.command("correct", help=_("Correct a filled-in layer table, cell by cell.\n\nNETWORK is rn-1, rn-2 or a text."))
@click.argument("network")
@click.argument("sheet", metavar="FILE", type=click.Path(path_type=Path))
@as_json
@lang
def correct(network: str, sheet: Path, is_json: bool) -> int:
    """Exit code 0 when all is right."""
    from limpide.labs.exercise import correct as correct_sheet
    from limpide.labs.exercise import exercise as network_of
    from limpide.labs.exercise import read_sheet

    found = correct_sheet(network_of(network), read_sheet(sheet))
    wrong = [cell for cell in found if not cell.is_right]
    if is_json:
        print_json({"right": len(found) - len(wrong), "cells": [vars(cell) for cell in found]})
        return int(bool(wrong))
    console = open_console()
    if wrong:
        headers = (_("layer"), _("cell"), _("you wrote"), _("right"), _("why"))
        rows = [(cell.layer, cell.column, cell.given or "–", cell.expected, cell.why) for cell in wrong]
        console.print(make_table(headers, rows, fixed={0, 1}))
    total = format_count(len(found))
    console.print(_("{n} of {total} right").format(n=format_count(len(found) - len(wrong)), total=total))
    return int(bool(wrong))


@labs.command("export", help=_("Write a lab as a script or a notebook to run and change."))
@click.argument("name")
@click.option("--to", "form", type=click.Choice(["script", "notebook"]), default="script", help=_("What to write."))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help=_("The file; else NAME.py or NAME.ipynb."))
@lang
def export(name: str, form: str, out: Path | None) -> None:
    """In the user's language."""
    from limpide.checkpoint import write_file
    from limpide.labs.lab import open_lab
    from limpide.labs.scripts import to_notebook, to_script

    lab = open_lab(name)
    path = out or Path(lab.name + (".py" if form == "script" else ".ipynb"))
    write_file(path, (to_script(lab) if form == "script" else to_notebook(lab)).encode())
    open_console().print(_("{path} written").format(path=path))
