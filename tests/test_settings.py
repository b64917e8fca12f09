"""The environment variables: one table, and nothing read beside it."""

import re
from pathlib import Path

import pytest

import limpide
from limpide.errors import RecipeError
from limpide.settings import SETTINGS, is_set, number_setting, setting

SOURCES = sorted(Path(limpide.__file__).parent.rglob("*.py"))
README = Path(__file__).parents[1] / "README.md"
NAME = re.compile(r"(?<![A-Z_])LIMPIDE_[A-Z][A-Z_]+")


def test_every_variable_that_the_code_names_is_in_the_table():
    named = {name for path in SOURCES for name in NAME.findall(path.read_text("utf-8"))}
    assert named == set(SETTINGS)


def test_variables_are_read_through_the_table_alone():
    reads = re.compile(r"environ\S*[\[(]\s*[\"']LIMPIDE|getenv")
    readers = [path.name for path in SOURCES if reads.search(path.read_text("utf-8"))]
    assert readers == []


def test_the_readme_names_every_variable():
    assert set(NAME.findall(README.read_text("utf-8"))) == set(SETTINGS)


def test_a_variable_that_is_not_set_has_its_default(monkeypatch):
    monkeypatch.delenv("LIMPIDE_MAX_FILE_MB", raising=False)
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", " ")
    assert number_setting("LIMPIDE_MAX_FILE_MB") == 2000
    assert number_setting("LIMPIDE_CHECKPOINT_SECONDS") == 2
    monkeypatch.setenv("LIMPIDE_DATA", " /data ")
    assert setting("LIMPIDE_DATA") == "/data"


@pytest.mark.parametrize("text", ["often", "-1", "nan", "inf"])
def test_a_number_that_is_none_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", text)
    with pytest.raises(RecipeError) as error:
        number_setting("LIMPIDE_CHECKPOINT_SECONDS")
    message = "LIMPIDE_CHECKPOINT_SECONDS: expected a number of at least 0, got {!r}; set another value, or none"
    assert str(error.value) == message.format(text)


@pytest.mark.parametrize(("text", "answer"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_a_switch_is_on_unless_it_is_empty_or_nought(monkeypatch, text, answer):
    monkeypatch.setenv("LIMPIDE_DEBUG", text)
    assert is_set("LIMPIDE_DEBUG") is answer


def test_a_bad_number_stops_a_training_before_its_first_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "often")
    seen = []
    with pytest.raises(RecipeError, match="LIMPIDE_CHECKPOINT_SECONDS"):
        limpide.train("iris", out=tmp_path / "run", epochs=2, watch=lambda _fit, epoch: seen.append(epoch))
    assert seen == []
    assert list(tmp_path.iterdir()) == []
