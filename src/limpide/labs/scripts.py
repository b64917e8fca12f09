"""A lab as something to run and change, in the user's language: a script in percent form, or a notebook."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from limpide.i18n import _, get_language
from limpide.labs.lab import Lab

_ANSWER = re.compile(r"^::: answer (.*)$", re.MULTILINE)


def to_script(lab: Lab) -> str:
    """The lab as a Python script whose `# %%` cells editors know; its story stands in comments."""
    parts = []
    for kind, text in _cells(lab):
        if kind == "markdown":
            parts.append("# %% [markdown]\n" + "\n".join(f"# {line}".rstrip() for line in text.splitlines()))
        else:
            parts.append(f"# %%\n{text}")
    return "\n\n".join(parts) + "\n"


def to_notebook(lab: Lab) -> str:
    """The lab as a Jupyter notebook, version 4.5 of its format."""
    cells: list[dict[str, Any]] = []
    for i, (kind, text) in enumerate(_cells(lab)):
        cell: dict[str, Any] = {
            "id": f"{lab.name}-{i}",
            "cell_type": kind,
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cells(lab: Lab) -> list[tuple[str, str]]:
    """The kind and the text of each cell: the imports first, then the story and its code."""
    cells = [("markdown", f"# {lab.title}\n\n{lab.aim}"), ("code", in_words(lab.cells[""]))]
    for block in lab.story():
        if block.kind == "prose":
            cells.append(("markdown", _ANSWER.sub(r"**\1**", block.text).replace("\n:::", "")))
        elif block.kind == "cell":
            cells.append(("code", in_words(lab.cells[block.text])))
    return cells


def in_words(code: str) -> str:
    """The code with each text marked for translation written out in the user's language.

    >>> in_words('title = _("loss")')
    'title = _("loss")'
    """
    if get_language() == "en":
        return code
    lines = code.splitlines(keepends=True)
    texts = [text for node in ast.walk(ast.parse(code)) if (text := _marked(node)) is not None]
    for text in sorted(texts, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        assert text.end_lineno is not None and text.end_col_offset is not None
        first, last = text.lineno - 1, text.end_lineno - 1
        # columns count bytes
        head = lines[first].encode()[: text.col_offset].decode()
        tail = lines[last].encode()[text.end_col_offset :].decode()
        english = str(text.value)
        lines[first : last + 1] = [head + json.dumps(_(english), ensure_ascii=False) + tail]
    return "".join(lines)


def _marked(node: ast.AST) -> ast.Constant | None:
    """The text of a call `_("...")`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"):
        return None
    return node.args[0] if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
