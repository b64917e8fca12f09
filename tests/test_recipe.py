"""A recipe is data: it goes through TOML unchanged, and says all that is wrong with it at once."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.errors import RecipeError
from limpide.recipe import OPTIONS, Recipe

recipes = st.builds(
    lambda **options: Recipe.from_options("iris", **options),
    epochs=st.none() | st.integers(1, 1000),
    rate=st.none() | st.floats(1e-12, 1e6),
    optimizer=st.none() | st.sampled_from(["sgd", "adam", "momentum"]),
    network=st.none() | st.sampled_from(["64 relu", "8 tanh, 8 tanh", '5 "quoted" # no comment', "é\n"]),
    kinds=st.none() | st.dictionaries(st.text(min_size=1), st.sampled_from(["number", "category"]), max_size=3),
    drop=st.none() | st.lists(st.text(), max_size=3),
    seed=st.none() | st.integers(0, 2**63 - 1),
    validation=st.none() | st.floats(0.01, 0.4),
    image_size=st.none() | st.lists(st.integers(1, 64), min_size=2, max_size=2),
    optimizer_options=st.none() | st.dictionaries(st.sampled_from(["momentum", "beta1"]), st.floats(0, 0.99)),
)


@given(recipes)
def test_a_recipe_goes_through_toml_unchanged(recipe):
    text = recipe.to_toml({"training.epochs": "because\nit is so"})
    again = Recipe.from_dict(tomllib.loads(text))
    assert again == recipe
    assert again.hash() == recipe.hash()


def test_every_problem_of_a_recipe_is_told_at_once():
    data = {
        "data": {"source": "iris", "traget": "y"},
        "seed": -1,
        "training": {"epochs": "a", "patience": -3},
        "optimizer": {"rate": -1.0},
    }
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(data, "r.toml, ")
    assert sorted(caught.value.problems) == [
        "r.toml, optimizer.rate: expected a number above 0, got -1.0",
        "r.toml, seed: expected a number of at least 0, got -1",
        "r.toml, training.epochs: expected a whole number, got 'a'",
        "r.toml, training.patience: expected a number of at least 0, got -3",
        'r.toml, unknown key "data.traget"; did you mean "target"?',
    ]


def test_names_and_numbers_are_judged_before_data_is_read():
    recipe = Recipe.from_options("iris", optimizer="adm", loss="mes", initializer="xaver", validation=0.6, test=0.6)
    with pytest.raises(RecipeError) as caught:
        recipe.check()
    assert list(caught.value.problems) == [
        'optimizer: unknown name "adm"; did you mean "adam"?',
        'loss: unknown name "mes"; did you mean "mse"?',
        'initializer: unknown name "xaver"; did you mean "xavier"?',
        "split: expected validation and test together below 1, got 1.2; leave rows to train on",
    ]


def test_an_impossible_rate_names_the_option():
    with pytest.raises(RecipeError, match=r"optimizer\.rate: expected a finite number, got nan"):
        Recipe.from_options("iris", rate=float("nan"))
    with pytest.raises(RecipeError, match=r'unknown option "epohcs"; did you mean "epochs"\?'):
        Recipe.from_options("iris", epohcs=3)


def test_a_group_split_needs_its_column():
    with pytest.raises(RecipeError, match=r"split\.column"):
        Recipe.from_options("iris", split="group").check()


def test_a_file_that_is_no_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match="no file"):
        Recipe.read(tmp_path / "missing.toml")
    place = tmp_path / "bad.toml"
    place.write_text("limpide = ")
    with pytest.raises(RecipeError, match=r"bad\.toml: expected a recipe in TOML"):
        Recipe.read(place)
    place.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"bad\.toml: expected a recipe in TOML"):
        Recipe.read(place)


def test_a_relative_source_is_relative_to_the_recipe(tmp_path):
    (tmp_path / "houses.csv").write_text("a,b\n1,2\n")
    (tmp_path / "recipe.toml").write_text('[data]\nsource = "houses.csv"\n')
    assert Recipe.read(tmp_path / "recipe.toml").data.source == str(tmp_path / "houses.csv")
    (tmp_path / "builtin.toml").write_text('[data]\nsource = "iris"\n')
    assert Recipe.read(tmp_path / "builtin.toml").data.source == "iris"


def test_every_option_leads_to_a_key():
    recipe = Recipe.from_options("iris")
    for key in OPTIONS.values():
        recipe.value(key)
    assert len(set(OPTIONS.values())) == len(OPTIONS)


def test_a_later_format_is_refused():
    with pytest.raises(RecipeError, match="limpide: expected format 1 or older, got 2; install a newer limpide"):
        Recipe.from_dict({"limpide": 2, "data": {"source": "iris"}})


@pytest.mark.parametrize("ends", [[1.0, -1.0], [0.0], [0.0, 0.5, 1.0], [2.0, 2.0]])
def test_a_range_of_pixels_goes_from_low_to_high(ends):
    with pytest.raises(RecipeError, match=r"preparation.pixel_range: expected a low number, then a high one"):
        Recipe.from_options("mnist", pixel_range=ends).check()
    Recipe.from_options("mnist", pixel_range=[-1.0, 1.0]).check()
