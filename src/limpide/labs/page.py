"""A lab that ran, as one offline HTML file: story, code, what it gave, claims with their verdicts, quiz."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any

from limpide.figures.picture import Picture, Table
from limpide.i18n import _, format_decimal
from limpide.labs.claims import CLAIMS, in_language, verdict_text
from limpide.labs.lab import Block
from limpide.labs.running import CellRun, LabRun
from limpide.report import fill


def render_page(done: LabRun) -> str:
    """The page of a lab that ran, in the user's language; it asks for nothing else."""
    lab = done.lab
    facts = {"lab": lab, "blocks": list(_blocks(done)), "quiz": lab.quiz}
    return fill("lab.html", {"name": lab.title, "seconds": format_decimal(done.seconds, 1), **facts})


def _blocks(done: LabRun) -> Iterator[dict[str, Any]]:
    for block in done.lab.story():
        if block.kind == "prose":
            yield {"kind": "prose", "html": to_html(block.text)}
        elif block.kind == "cell":
            (name,) = block.names
            cell = done.cells.get(name) or CellRun(done.lab.cells[name])
            yield {
                "kind": "cell",
                "code": _highlight(cell.code),
                "shown": [_shown(thing) for thing in _joined(cell.shown)],
            }
        else:
            yield {"kind": "claims", "rows": list(_claim_rows(block, done))}


def _claim_rows(block: Block, done: LabRun) -> Iterator[dict[str, Any]]:
    for name in block.names:
        claim, found = in_language(CLAIMS[name]), done.findings.get(name)
        verdict = found.verdict if found else claim.verdict
        yield {
            "claim": claim,
            "verdict": verdict_text(verdict),
            "is_good": verdict == "holds",
            "evidence": found.evidence if found else claim.verified,
            "missing": done.missing.get(name, ""),
            "note": re.sub(r"^\[[^\]]*\]\s*", "", claim.note),
        }


def to_html(markdown: str) -> str:
    """Markdown with formulas between dollars, as HTML with MathML; what stands between `::: answer QUESTION` and `:::`
    is revealed by a click."""
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.container import container_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.use(
        dollarmath_plugin,
        double_inline=True,
        renderer=lambda text, options: convert(text, display="block" if options["display_mode"] else "inline"),
    )
    reader.use(container_plugin, "answer", render=_answer)
    html: str = reader.render(markdown)
    return html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")


def _answer(renderer: Any, tokens: Sequence[Any], i: int, *_given: Any) -> str:
    if tokens[i].nesting < 0:
        return "</details>\n"
    question = escape(tokens[i].info.strip().removeprefix("answer").strip())
    return f'<details class="answer"><summary>{question}</summary>\n'


def _highlight(code: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    html: str = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True, classprefix="py-"))
    return html


def _joined(things: list[Any]) -> Iterator[Any]:
    """Texts that follow each other stand in one frame."""
    for is_text, group in groupby(things, key=lambda thing: isinstance(thing, str)):
        if is_text:
            yield "\n".join(group)
        else:
            yield from group


def _shown(thing: Any) -> str:
    if isinstance(thing, Picture):
        words = escape(_("The numbers behind it"))
        table = f"<details><summary>{words}</summary>{_scroll(thing.table)}</details>"
        caption = f"<figcaption><b>{escape(thing.title)}</b> {escape(thing.caption)}</figcaption>"
        return f"<figure>{caption}{thing.svg(titled=False, dark=False)}{table}</figure>"
    if isinstance(thing, Table):
        return _scroll(thing)
    rich = getattr(thing, "_repr_html_", None)
    return f'<div class="scroll">{rich()}</div>' if rich else f"<pre>{escape(str(thing))}</pre>"


def _scroll(table: Table) -> str:
    return f'<div class="scroll" tabindex="0">{table.html()}</div>'
