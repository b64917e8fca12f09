"""English and French: every string a user sees passes through here.

The English text is the key. `locale/fr/LC_MESSAGES/limpide.po` holds the French one; the `.mo` beside it is what is
read, and a test keeps the two in step and finds strings without a translation.
"""

from __future__ import annotations

import gettext as _gettext
import os
import re
from pathlib import Path

LANGUAGES = ("en", "fr")
LOCALE_FOLDER = Path(__file__).parent / "locale"

_language = "en"
_translations: _gettext.NullTranslations = _gettext.NullTranslations()


def set_language(language: str | None = None) -> str:
    """The language from now on: the one named, else the environment's, else English.

    language  "en" or "fr"; None asks `LIMPIDE_LANG`, then `LC_ALL`, `LC_MESSAGES` and `LANG`
    Returns   the language chosen
    """
    global _language, _translations
    names = (
        [language] if language else [os.environ.get(v, "") for v in ("LIMPIDE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")]
    )
    wanted = next((name for name in names if name), "en")
    _language = next((known for known in LANGUAGES if wanted.lower().startswith(known)), "en")
    _translations = (
        _gettext.NullTranslations()
        if _language == "en"
        else _gettext.translation("limpide", LOCALE_FOLDER, [_language], fallback=True)
    )
    return _language


def get_language() -> str:
    """ "en" or "fr"."""
    return _language


def _(message: str) -> str:
    """The message in the user's language."""
    return _translations.gettext(message)


def ngettext(one: str, many: str, n: int) -> str:
    """The singular or plural message for `n`, in the user's language."""
    return _translations.ngettext(one, many, n)


def N_(message: str) -> str:  # noqa: N802  (the name gettext gives it)
    """The message itself, marked for translation: `_` is applied where it is shown."""
    return message


def format_number(value: float, digits: int = 4) -> str:
    """A number to `digits` significant digits, as the language writes it; whole digits are never cut.

    >>> format_number(0.0123456), format_number(29758.3), format_number(3.0), format_number(1.5e-9)
    ('0.01235', '29,758', '3', '1.5e-09')
    """
    size = abs(value)
    if size and not 1e-5 <= size < 1e12:
        text = f"{value:.{digits}g}"
    else:
        decimals = max(0, digits - 1 - int(f"{size:e}".partition("e")[2]))
        # four digits read well without a mark, and years must not have one
        text = f"{value:,.{decimals}f}" if size >= 10_000 else f"{value:z.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return _in_language(text)


def format_decimal(value: float, decimals: int = 3) -> str:
    """A number with a fixed number of decimals, as the language writes it.

    >>> format_decimal(0.95)
    '0.950'
    """
    return _in_language(f"{value:z,.{decimals}f}")


def format_count(n: int) -> str:
    """A whole number with its thousands separated, as the language does.

    >>> format_count(401920)
    '401,920'
    """
    return _in_language(f"{n:,}")


def format_percent(share: float, decimals: int = 0, digits: int | None = None) -> str:
    """A share of one in per cent, with the sign where the language puts it.

    decimals  a fixed number of them
    digits    significant digits instead, as for `format_number`

    >>> format_percent(0.9834, 1), format_percent(0.0000123, digits=2)
    ('98.3%', '0.0012%')
    """
    number = format_decimal(100 * share, decimals) if digits is None else format_number(100 * share, digits)
    return _("{number}%").format(number=number)


def format_written(number: str) -> str:
    """A number already written in English, as the language writes it.

    >>> format_written("0.1")
    '0.1'
    """
    return _in_language(number)


def format_text(text: str) -> str:
    """A text in which Python wrote numbers, with the decimal marks and the spaces of the user's language.

    Sections such as 4.3.2 and whole numbers stay as they are.

    >>> format_text("W 1.5, J 0.375; after 2 steps")
    'W 1.5, J 0.375; after 2 steps'
    """
    if _language == "en":
        return text
    marked = _DECIMAL.sub(r"\1,\2", text)
    if marked != text:
        # a comma within a number and one between two of them cannot be told apart
        marked = re.sub(r"(?<=\d), (?=[-+−]?\d)", "\N{NARROW NO-BREAK SPACE}; ", marked)
    marked = re.sub(r"(?<=\S); ", "\N{NARROW NO-BREAK SPACE}; ", marked)
    return re.sub(r"(?<=\S)(?<!Error): ", "\N{NO-BREAK SPACE}: ", marked)


_DECIMAL = re.compile(r"(?<![\w.,])(\d+)\.(\d+(?:e[-+]?\d+)?)(?!\w|\.\d)")


def _in_language(number: str) -> str:
    """A number written in English, with the marks of the user's language."""
    if _language == "en":
        return number
    return number.replace(",", "\N{NARROW NO-BREAK SPACE}").replace(".", ",")


set_language()
