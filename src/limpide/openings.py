"""How often the test set of a run was looked at: once by the training, and each time since.

A test set measures something once. To look again and again, and to change the network in between, is to fit it to the
test rows; so every later look is counted in the run folder, and the count is shown beside the figures.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from limpide.checkpoint import write_bytes
from limpide.errors import RunError, problem
from limpide.i18n import _, format_count

FILE = "openings.json"


def read_openings(folder: Path) -> list[str]:
    """When the test set was opened since the training, as moments in UTC.

    Raises  RunError  when the file is damaged
    """
    path = folder / FILE
    try:
        moments = json.loads(path.read_text("utf-8"))["moments"]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        moments = None
    if not isinstance(moments, list) or not all(isinstance(moment, str) for moment in moments):
        raise RunError(
            problem(str(path), _("the moments at which the test set was opened"), _("a damaged file"), _("remove it"))
        )
    return moments


def record_opening(folder: Path) -> None:
    """Count one more opening, now; a folder that cannot be written keeps its count.

    Raises  RunError  when the file is damaged
    """
    moments = [*read_openings(folder), datetime.now(UTC).isoformat(timespec="seconds")]
    # a run on a read-only disk can still be evaluated
    with suppress(OSError):
        write_bytes(folder / FILE, json.dumps({"moments": moments}, indent=1).encode())


def openings_sentence(n: int) -> str:
    """What the count means.

    n  all openings, the training's among them
    """
    if n <= 1:
        return _("the test set was opened once, by the training")
    text = _("the test set was opened {n} times, by the training first; who chooses by its figures needs new test rows")
    return text.format(n=format_count(n))
