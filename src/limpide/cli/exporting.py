"""`limpide export`: a trained network as a program without limpide."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import open_console, print_json, show_notes
from limpide.errors import RunError, problem
from limpide.i18n import _


@click.command(
    "export",
    help=_(
        "Write a trained network as a readable program.\n\n"
        "RUN is its folder. The program holds the preparation, the network and the way back to answers; its weights "
        "lie beside it. It needs the library named, not limpide."
    ),
)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--to", metavar="LIBRARY", required=True, help=_("numpy, torch or keras."))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help=_("The program's file; else NAME.py."))
@as_json
@lang
def export(folder: Path, to: str, out: Path | None, is_json: bool) -> None:
    """Files that are there stay."""
    from limpide.data.dataset import Note
    from limpide.export import export as write
    from limpide.export import is_centred
    from limpide.runs import load

    run = load(folder)
    path = out or Path(f"{folder.resolve().name.replace('-', '_')}_{to}.py")
    for there in (path, path.with_suffix(".npz")):
        if there.exists():
            raise RunError(problem(str(there), _("a new file"), _("one that is there"), _("name another with --out")))
    program, weights = write(run, to, path)
    text = _(
        "takes strokes as the training images have them; limpide predict brings others there, the program does not"
    )
    notes = [Note("warning", str(program), text)] if is_centred(run) else []
    if is_json:
        print_json({"program": str(program), "weights": str(weights), "notes": [asdict(note) for note in notes]})
        return
    text = _("{program} written, its weights in {weights}; try: {command}")
    command = f"python {program} FILE"
    console = open_console()
    console.print(text.format(program=program, weights=weights, command=command), soft_wrap=True)
    show_notes(console, notes)
