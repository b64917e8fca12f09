"""Files of arrays (safetensors with JSON beside the arrays) and folders, written whole or not at all.

Nothing is unpickled: reading a file runs no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
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


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Arrays by name, and facts as JSON, in one safetensors file; the same content gives the same bytes."""
    from safetensors.numpy import save

    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
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


def write_folder(folder: Path, write: Callable[[Path], None]) -> Path:
    """The folder, filled by `write`: whole, or not there.

    Raises  RunError when the folder is in use, or cannot be written
    """
    check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise RunError(problem(str(folder), _("a folder that can be written"), str(error))) from None
    try:
        write(beside)
        # mkdtemp makes folders private; this one gets the rights that any other would
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o777 & ~umask)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    except OSError as error:
        raise RunError(problem(str(folder), _("a folder that can be written"), str(error))) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def check_free(folder: Path) -> None:
    """RunError when the folder holds something already: nothing is ever overwritten."""
    try:
        in_use = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise RunError(problem(str(folder), _("a folder that can be written"), str(error))) from None
    if in_use:
        raise RunError(
            problem(str(folder), _("a new or empty folder"), _("one that is in use"), _("name another with --out"))
        )


def free_folder(name: str, parent: str | Path = "runs") -> Path:
    """The first of `runs/NAME-001`, `runs/NAME-002`, ... that is not there."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).stem).strip("-") or "run"
    number = 1
    while (folder := Path(parent) / f"{plain}-{number:03d}").exists():
        number += 1
    return folder
