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

from limpide.errors import RunError, problem, reason_of
from limpide.i18n import N_, _

_KEY = "limpide"

DAMAGED = N_("take a copy that is not damaged")


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


def write_file(path: Path, content: bytes) -> Path:
    """`write_bytes` for a file that somebody named, its folder made where there is none; the path itself.

    Raises  RunError when it cannot be written
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        raise cannot_write(path, error) from None
    return path


def cannot_write(path: Path, error: OSError) -> RunError:
    """What to say of a disk that is full or read-only, or a folder that is none."""
    mend = _("make room, or name another")
    return RunError(problem(str(path), _("a file that can be written"), reason_of(error), mend))


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


def read_arrays(
    path: Path, newest: int | None = None, sha256: str | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the facts of `write_arrays`.

    newest  the newest format understood, where the facts name theirs
    sha256  of the file as it was written, where that is known
    Raises  RunError: no such file, a damaged one, one that another program wrote, or a newer limpide
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RunError(problem(str(path), _("a file of arrays"), _("no file"), _(DAMAGED)))
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(problem(str(path), _("a whole safetensors file"), str(error), _(DAMAGED))) from None
    if text is None:
        raise RunError(problem(str(path), _("a file written by limpide"), _("a file of another program")))
    facts = _parsed(path, text)
    if newest is not None:
        _check_format(path, facts, newest)
    if sha256 is not None and file_sha256(path) != sha256:
        expected, got = _("the file as it was written"), _("one that has changed since")
        raise RunError(problem(str(path), expected, got, _(DAMAGED)))
    return arrays, facts


def read_json(path: Path, newest: int) -> dict[str, Any]:
    """The facts of a JSON file, which name their format.

    Raises  RunError: no such file, a damaged one, one that another program wrote, or a newer limpide
    """
    facts = _parsed(path, _text(path))
    _check_format(path, facts, newest)
    return facts


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The facts of a file with JSON on each line.

    Raises  RunError: no such file, or a damaged one
    """
    return [_parsed(path, line, i + 1) for i, line in enumerate(_text(path).splitlines())]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise RunError(problem(str(path), _("a file of a run"), _("no file"), _(DAMAGED))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(problem(str(path), _("a text in UTF-8"), str(error), _(DAMAGED))) from None


def _parsed(path: Path, text: str, line: int = 0) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as error:
        place = _("{name}, line {line}").format(name=path, line=line or error.lineno)
        raise RunError(problem(place, _("whole JSON"), error.msg, _(DAMAGED))) from None
    if not isinstance(facts, dict):
        raise RunError(problem(str(path), _("a file written by limpide"), _("a file of another program")))
    return facts


def _check_format(path: Path, facts: Mapping[str, Any], newest: int) -> None:
    found = facts.get("format")
    if not isinstance(found, int):
        raise RunError(problem(str(path), _("a file written by limpide"), _("a file of another program")))
    if found > newest:
        expected = _("format {version} or older").format(version=newest)
        raise RunError(problem(str(path), expected, str(found), _("install a newer limpide")))


def write_folder(folder: Path, write: Callable[[Path], None], option: str = "--out") -> Path:
    """The folder, filled by `write`: whole, or not there.

    option  the one that names it on the command line
    Raises  RunError when the folder is in use, or cannot be written
    """
    check_free(folder, option)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise RunError(problem(str(folder), _("a folder that can be written"), reason_of(error))) from None
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
        raise RunError(problem(str(folder), _("a folder that can be written"), reason_of(error))) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def check_free(folder: Path, option: str = "--out") -> None:
    """RunError when the folder, which the option names, holds something already: nothing is ever overwritten."""
    try:
        in_use = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise RunError(problem(str(folder), _("a folder that can be written"), reason_of(error))) from None
    if in_use:
        mend = _("name another with {option}").format(option=option)
        raise RunError(problem(str(folder), _("a new or empty folder"), _("one that is in use"), mend))


def plain_name(source: str) -> str:
    """What a folder may be called after a source; "" where nothing is left of its name.

    >>> plain_name("data/my houses.csv")
    'my-houses'
    """
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(source).stem).strip("-")


def free_folder(name: str, parent: str | Path = "runs") -> Path:
    """The first of `runs/NAME-001`, `runs/NAME-002`, ... that is not there."""
    plain, number = plain_name(name) or "run", 1
    while (folder := Path(parent) / f"{plain}-{number:03d}").exists():
        number += 1
    return folder
