"""Lists in a frame of bars and dashes, as SAP, databases and Markdown print tables."""

from __future__ import annotations

import re

HEAD_LINES = 60
_RULE = r"[ \t]*[|+]?[ \t]*:?[-=]{2,}[-=:+| \t]*"
_RULE_LINE = re.compile(_RULE)
_RULES = re.compile(rf"^{_RULE}$".encode(), re.MULTILINE)
_BARS = re.compile(rb"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", re.MULTILINE)


def is_framed(head: str) -> bool:
    """True for a text whose first lines are rows between bars under a line of dashes.

    >>> is_framed("| a | b |\\n|---|---|\\n| 1 | 2 |\\n| 3 | 4 |\\n"), is_framed("a|b\\n1|2\\n3|4\\n5|6\\n")
    (True, False)
    """
    lines = [line.strip() for line in head.splitlines()[:HEAD_LINES] if line.strip()]
    rules = [line for line in lines if _RULE_LINE.fullmatch(line)]
    n_barred = sum("|" in line for line in lines) - sum("|" in line for line in rules)
    n_closed = sum(line.startswith("|") and line.endswith("|") for line in lines if line not in rules)
    return bool(rules) and n_barred > 2 and (n_closed == n_barred or (not n_closed and any("+" in r for r in rules)))


def unframed(source: bytes) -> bytes:
    """The same lines without their frame; those of dashes are blank, so that the others keep their numbers."""
    return _BARS.sub(b"", _RULES.sub(b"", source.replace(b"\r\n", b"\n")))
