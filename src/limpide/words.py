"""Values as people type them: as TOML writes them, or bare words."""

from __future__ import annotations

import tomllib
from typing import Any


def read_value(text: str) -> Any:
    """A value as TOML writes it, or a bare word.

    >>> read_value("1e-3"), read_value("true"), read_value("relu")
    (0.001, True, 'relu')
    """
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if len(read) == 1 else text


def read_values(text: str) -> list[Any]:
    """Values between commas, or semicolons where they hold commas themselves.

    >>> read_values("16, 32"), read_values("64 relu, 32 relu; 128 relu")
    ([16, 32], ['64 relu, 32 relu', '128 relu'])
    """
    if ";" not in text:
        try:
            listed: list[Any] = tomllib.loads(f"values = [{text}]")["values"]
            return listed
        except tomllib.TOMLDecodeError:
            pass
    return [read_value(part.strip()) for part in text.split(";" if ";" in text else ",") if part.strip()]
