import gettext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide import i18n
from limpide.i18n import (
    N_,
    _,
    format_count,
    format_decimal,
    format_number,
    format_percent,
    format_text,
    get_language,
    ngettext,
    set_language,
)

VARIABLES = ("LIMPIDE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "language"),
    [("fr", "fr"), ("FR", "fr"), ("fr_CA.UTF-8", "fr"), ("en", "en"), ("en_GB", "en"), ("de", "en"), ("C", "en")],
)
def test_a_language_is_known_by_its_beginning_and_english_is_for_the_rest(name, language):
    assert set_language(name) == get_language() == language


@pytest.mark.parametrize(
    ("settings", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "fr_CA"}, "fr"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "en_US", "LIMPIDE_LANG": "fr"}, "fr"),
        ({"LANG": "fr_FR", "LC_ALL": ""}, "fr"),
    ],
)
def test_the_environment_chooses_the_nearest_variable_first(settings, language, environment):
    for name, value in settings.items():
        environment.setenv(name, value)
    assert set_language() == language


def test_a_language_named_wins_over_the_environment(environment):
    environment.setenv("LIMPIDE_LANG", "fr")
    assert set_language("en") == "en"


def test_a_message_without_a_translation_is_shown_as_it_is():
    set_language("fr")
    assert _("no such message in any catalogue") == "no such message in any catalogue"
    assert ngettext("one xyzzy", "{n} xyzzies", 2) == "{n} xyzzies"


def test_a_marked_message_stays_english_until_it_is_shown():
    set_language("fr")
    assert N_("loss") == "loss"


def test_the_translations_are_those_of_the_language_chosen(monkeypatch):
    class French(gettext.NullTranslations):
        def gettext(self, message):
            return {"loss": "perte"}.get(message, message)

        def ngettext(self, one, many, n):
            return {"row": "ligne", "rows": "lignes"}[one if n < 2 else many]

    monkeypatch.setattr(i18n._gettext, "translation", lambda *given, **options: French())
    set_language("fr")
    assert (_("loss"), ngettext("row", "rows", 1), ngettext("row", "rows", 3)) == ("perte", "ligne", "lignes")
    set_language("en")
    assert (_("loss"), ngettext("row", "rows", 1), ngettext("row", "rows", 3)) == ("loss", "row", "rows")


@pytest.mark.parametrize(
    ("language", "number", "decimal", "count"),
    [("en", "0.01235", "1,234.50", "1,234,567"), ("fr", "0,01235", "1\u202f234,50", "1\u202f234\u202f567")],
)
def test_numbers_are_written_as_the_language_does(language, number, decimal, count):
    set_language(language)
    assert format_number(0.0123456) == number
    assert format_decimal(1234.5, 2) == decimal
    assert format_count(1234567) == count


def test_a_share_is_written_in_per_cent():
    assert format_percent(0.9834) == "98%"
    assert format_percent(0.9834, 1) == "98.3%"
    assert format_percent(1.0, digits=3) == "100%"


@given(value=st.floats(-1e6, 1e6), decimals=st.integers(0, 6))
def test_a_written_number_is_read_back(value, decimals):
    for language, mark in (("en", "."), ("fr", ",")):
        set_language(language)
        text = format_decimal(value, decimals)
        group = "," if language == "en" else "\u202f"
        assert float(text.replace(group, "").replace(mark, ".")) == pytest.approx(value, abs=0.51 * 10**-decimals)


@given(n=st.integers(-(10**15), 10**15))
def test_a_written_count_is_read_back(n):
    for language, group in (("en", ","), ("fr", "\u202f")):
        set_language(language)
        assert int(format_count(n).replace(group, "")) == n


@pytest.mark.parametrize(("value", "text"), [(float("nan"), "nan"), (float("inf"), "inf"), (0.0, "0"), (-2.5, "-2.5")])
def test_special_numbers_are_shown_too(value, text):
    assert format_number(value) == text


def test_a_negative_number_that_rounds_to_zero_has_no_sign():
    from limpide.i18n import format_decimal

    assert format_decimal(-0.0004) == "0.000"
    assert format_decimal(-0.0006) == "-0.001"


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("W 1.5, J -0.375; 2 steps", "W 1,5, J -0,375\u202f; 2 steps"),
        ("tanh [-1.0, 0.5]", "tanh [-1,0\u202f; 0,5]"),
        ("784, 512 at rate 1.5e-05: 3", "784\u202f; 512 at rate 1,5e-05\u00a0: 3"),
        ("section 4.3.2 of 0.conv.K at 12:30, 2. the end", "section 4.3.2 of 0.conv.K at 12:30, 2. the end"),
        ("N(0, 1): 1.5", "N(0\u202f; 1)\u00a0: 1,5"),
        ("NameError: name", "NameError: name"),
    ],
)
def test_numbers_that_python_wrote_in_a_text_are_written_as_in_french(text, french):
    assert format_text(text) == text
    set_language("fr")
    assert format_text(text) == french


def test_zero_has_no_sign():
    assert format_number(-0.0) == "0"
