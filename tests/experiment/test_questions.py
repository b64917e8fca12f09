"""The questions that come with limpide: each is a fair comparison of what it names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import limpide as lp
from limpide import i18n
from limpide.errors import RecipeError, UnknownName
from limpide.experiment import questions
from limpide.experiment.questions import QUESTIONS, asked_by, question, read_question
from limpide.experiment.variants import Settler, check_same_rows, make_variants

FOLDER = Path(questions.__file__).parent


def test_every_file_has_its_line_and_every_line_its_file():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(QUESTIONS)


def test_names_of_variants_that_are_words_are_told_in_the_language_of_the_user(monkeypatch):
    names = {variant for name in QUESTIONS for variant in read_question(FOLDER / f"{name}.toml").variants}
    known = {"relu", "leaky", "silu", "sgd", "adam", "normal"}
    assert {name for name in names if set(re.findall("[a-z]{3,}", name)) - known} == set(questions._NAMES)
    monkeypatch.setattr(questions, "_", lambda text: {"bare": "réseau nu"}.get(text, text))
    assert next(iter(question("batch-norm-and-dropout").variants)) == "réseau nu"
    i18n.set_language("fr")
    assert list(question("optimizer").variants) == ["sgd 0,01", "sgd 0,1", "adam 0,001", "adam 0,01"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_variants_of_a_question_differ_and_share_their_rows(name):
    asked = question(name)
    variants = make_variants([asked.variants], {}, {})
    assert len(variants) == len(asked.variants) >= 2
    if "mnist" in variants[0].recipe.data.source:
        assert asked.seeds >= 5
        assert len({v.recipe.training.rows for v in variants}) == 1
        return
    assert asked.seeds >= 20
    settler = Settler()
    check_same_rows([settler.settle(variant) for variant in variants])


@pytest.mark.parametrize("name", ["depth-or-width", "shape"])
def test_where_networks_differ_in_shape_they_have_about_as_many_parameters(name):
    settler = Settler()
    sizes = [settler.settle(v).parameters for v in make_variants([question(name).variants], {}, {})]
    assert max(sizes) < 1.11 * min(sizes)


def test_a_question_is_compared_by_its_name(tmp_path):
    told = lp.compare("initial-scale", seeds=2, epochs=2, workers=1, save=False)
    assert {row.name for row in told.rows} == {"normal 0.01", "normal 0.1", "he"}
    assert told.terms.metric == "log_loss"
    assert len(told.seeds) == 2


def test_a_question_of_ones_own_and_all_that_is_wrong_with_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "[compare.variants]\nsmall = {'network.layers' = '2 relu'}\nlarge = {'network.layers' = '9 relu'}\n"
        "[data]\nsource = 'iris'\n"
    )
    assert read_question(path).seeds == 20
    assert asked_by([path]).variants["large"].network.layers == "9 relu"
    path.write_text("[compare]\nseed = 3\nseeds = 'a'\nmetric = 1\nvariants = {a = {}}\n[data]\nsource = 'iris'\n")
    with pytest.raises(RecipeError) as error:
        read_question(path)
    assert len(error.value.problems) == 4
    assert 'did you mean "seeds"' in error.value.problems[0]
    path.write_text("[compare.variants]\na = {'network.layer' = '2'}\nb = {}\n[data]\nsource = 'iris'\n")
    with pytest.raises(UnknownName, match=r"network\.layers"):
        read_question(path)
    with pytest.raises(RecipeError, match="no file"):
        asked_by([tmp_path / "none.toml"])
    with pytest.raises(UnknownName):
        question("momentun")


def test_a_file_without_the_section_is_a_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[data]\nsource = 'iris'\n")
    assert asked_by([path]) is None
    assert asked_by(["iris"]) is None
    assert asked_by([path, path]) is None


def test_the_command_line_answers_a_question_and_takes_options(tmp_path):
    command = [sys.executable, "-m", "limpide", "compare", "shape", "--seeds", "2", "--epochs", "1", "--json"]
    done = subprocess.run([*command, "--workers", "1"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert '"widening, 18-36-72"' in done.stdout
