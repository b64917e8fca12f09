"""`limpide figure`: the figures of a run, listed or drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import as_json, lang, read_pairs
from limpide.cli.screen import as_command, make_table, open_console, print_json
from limpide.i18n import _

if TYPE_CHECKING:
    from rich.console import Console

    from limpide.figures import Picture
    from limpide.runs import Run


@click.command(
    "figure",
    help=_(
        "Draw a figure of a run, or list what there is.\n\n"
        "RUN is the folder of a run, NAME one of its figures; without NAME they are listed with their options. Some "
        "read the data again, and some make the training again."
    ),
)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("options", metavar="[OPTION=VALUE]...", nargs=-1, callback=read_pairs)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=_("The file, .png, .svg or .pdf; else a PNG in the folder figures of the run."),
)
@click.option("--data", metavar="FILE", help=_("The data of the run, where its recipe cannot name them."))
@as_json
@lang
def figure(
    folder: Path, name: str | None, options: dict[str, str], out: Path | None, data: str | None, is_json: bool
) -> None:
    """A file that is there is written anew."""
    from limpide.runs import load

    run, console = load(folder), open_console(is_json)
    if name is None:
        rows = _listed(run)
        print_json({"figures": rows}) if is_json else _show(console, folder, rows)
        return
    picture = _drawn(console, run, name, options, data)
    path = out or folder / "figures" / f"{picture.name}.png"
    picture.save(path)
    if is_json:
        facts = {"figure": name, "title": picture.title, "caption": picture.caption, "file": str(path)}
        print_json(facts | {"header": picture.table.header, "rows": _finite(picture)})
        return
    console.print(picture.title, style="bold")
    console.print(picture.caption)
    console.print(_("{path} written").format(path=path), soft_wrap=True)


def _drawn(console: Console, run: Run, name: str, options: dict[str, str], data: str | None) -> Picture:
    """The picture; while the training is made again, the epoch is shown."""
    from limpide.figures import Figures
    from limpide.figures.asking import ask

    with console.status("") as status:
        told = lambda epoch, n: status.update(_("epoch {n} of {all}").format(n=epoch, all=n))  # noqa: E731
        return ask(Figures(run, data, told), name, options)


def _listed(run: Run) -> list[dict[str, Any]]:
    from limpide.figures import FIGURES
    from limpide.figures.asking import options_of

    return [
        {"name": name, "shows": _(kind.shows), "needs": kind.needs, "options": options_of(name)}
        for name, kind in FIGURES.items()
        if kind.fits(run)
    ]


def _show(console: Console, folder: Path, rows: list[dict[str, Any]]) -> None:
    from limpide.figures.catalogue import NEEDS

    headers = (_("figure"), _("what it shows"), _("drawn from"), _("options"))
    needs = [NEEDS[row["needs"]] for row in rows]
    cells = [(row["name"], row["shows"], _(of), _options(row["options"])) for row, of in zip(rows, needs)]
    console.print(make_table(headers, cells, fixed=(0,)))
    console.print()
    note = _("The data are read again where a figure is drawn from them; the training is made again likewise.")
    console.print(note, style="dim")
    example = as_command("figure", folder, rows[-1]["name"])
    console.print(_("Draw one: {command}").format(command=example), soft_wrap=True)


def _options(options: dict[str, tuple[str, ...]]) -> str:
    return ", ".join(f"{name}={'|'.join(words)}" if words else name for name, words in options.items())


def _finite(picture: Picture) -> list[list[Any]]:
    """The table as JSON, which has no infinity."""
    from math import isfinite

    return [[None if isinstance(c, float) and not isfinite(c) else c for c in row] for row in picture.table.rows]
