"""Files that hold arrays: safetensors with JSON beside the arrays, written whole or not at all.

Nothing is unpickled: reading a file runs no code.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limpide.errors import RunError, problem
from limpide.i18n import _

_KEY = "limpide"


def write_bytes(path: Path, data: bytes) -> None:
    """A file that is either the old one or the new one, whatever happens: written beside, synced, then renamed."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Arrays by name, and facts as JSON, in one safetensors file; the same content gives the same bytes."""
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, allow_nan=False)
    write_bytes(path, save(plain, metadata={_KEY: text}))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the facts of `write_arrays`.

    Raises  RunError: no such file, a damaged one, or one that another program wrote
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RunError(problem(str(path), _("a file of arrays"), _("no file")))
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            problem(str(path), _("a whole safetensors file"), str(error), _("take a copy that is not damaged"))
        ) from None
    if text is None:
        raise RunError(problem(str(path), _("a file written by limpide"), _("a file of another program")))
    facts: dict[str, Any] = json.loads(text)
    return arrays, facts
