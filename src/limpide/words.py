"""Values as people type them: as TOML writes them, or bare words."""

from __future__ import annotations

import re
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


def plain_number(text: str, is_whole: bool = False) -> str:
    """How a number is typed that somebody wrote as people do; "" for what is no number.

    is_whole  a whole number is asked for

    >>> plain_number("0,01"), plain_number("1 000", is_whole=True), plain_number("1e3", is_whole=True)
    ('0.01', '1000', '1000')
    >>> plain_number("0,5", is_whole=True), plain_number("fast")
    ('', '')
    """
    plain = "".join(text.split())
    plain = re.sub(r"(?<=\d)[,.\u2019'](?=\d{3}\b)", "", plain) if is_whole else plain.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", plain):
        return ""
    if not is_whole:
        return plain
    return str(int(float(plain))) if float(plain).is_integer() else ""
