import re

import pytest

import limpide as lp
from limpide.errors import RecipeError, UnknownName
from limpide.experiment.comparing import compare
from limpide.experiment.variants import make_variants, with_activation
from limpide.experiment.verdict import default_zone
from limpide.nn.network import Network

SMALL = {"epochs": 2, "network": "4 relu", "engine": "numpy"}
QUICK = {**SMALL, "report": False}
ACTIVATIONS = {"activation": ["relu", "tanh"]}


def scores_of(comparison):
    return {name: {seed: s.metrics for seed, s in of.items()} for name, of in comparison.scores.items()}


def test_every_combination_of_the_knobs_is_a_variant():
    variants = make_variants(["iris"], {"activation": ["relu", "tanh"], "rate": [0.1, 0.01]}, {})
    assert [v.name for v in variants] == [
        "relu + rate=0.1", "relu + rate=0.01", "tanh + rate=0.1", "tanh + rate=0.01",
    ]  # fmt: skip
    assert [(v.activation, v.recipe.optimizer.rate) for v in variants[:2]] == [("relu", 0.1), ("relu", 0.01)]
    dotted = make_variants(["iris"], {"optimizer.options.momentum": [0.0, 0.9]}, {"optimizer": "momentum"})
    assert [v.recipe.optimizer.options for v in dotted] == [{"momentum": 0.0}, {"momentum": 0.9}]


@pytest.mark.parametrize(
    ("vary", "error", "message"),
    [
        ({"activaton": ["relu"]}, UnknownName, 'knob: unknown name "activaton"; did you mean "activation"?'),
        ({"seed": [1, 2]}, RecipeError, "the seed; say how many with seeds"),
        ({"validation": [0.1, 0.2]}, RecipeError, "scores on different rows cannot be compared"),
        ({"data.target": ["a", "b"]}, RecipeError, "scores on different rows cannot be compared"),
        ({"rate": []}, RecipeError, "knob rate: expected a list of values, got []"),
        ({"activation": "relu"}, RecipeError, "knob activation: expected a list of values, got 'relu'"),
        ({"rate": [0.1, 0.1]}, RecipeError, "knob rate: expected different values, got 0.1"),
        ({"rate": [0.1, "fast"]}, RecipeError, "optimizer.rate: expected a number, got 'fast'"),
        ({"optimizer": ["adam", "adma"]}, UnknownName, 'did you mean "adam"?'),
    ],
)
def test_a_knob_that_cannot_be_turned_is_refused(vary, error, message):
    with pytest.raises((error, RecipeError), match=re.escape(message)):
        make_variants(["iris"], vary, {})


def test_an_unknown_activation_is_refused_before_anything_is_trained(here):
    crew = here()
    with pytest.raises(UnknownName, match='did you mean "relu"'):
        compare("iris", vary={"activation": ["relu", "rleu"]}, seeds=3, **QUICK)
    assert crew.trained == []


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("4, 8 relu, 3 softmax", "4, 8 elu 0.5, 3 softmax"),
        ("4, 8 leaky_relu 0.2, dropout 0.5, 6 tanh, 3", "4, 8 elu 0.5, dropout 0.5, 6 elu 0.5, 3"),
        ("4, residual(8 relu, 4) relu, 3", "4, residual(8 elu 0.5, 4) elu 0.5, 3"),
    ],
)
def test_the_hidden_activations_are_replaced_and_no_other(text, changed):
    assert str(with_activation(Network.parse(text), "elu 0.5")) == changed


def test_a_network_without_hidden_activation_has_none_to_replace():
    with pytest.raises(RecipeError, match="expected a network with hidden activations, got '4, 3'"):
        with_activation(Network.parse("4, 3"), "tanh")


@pytest.mark.parametrize("sources", [(), ({},)])
def test_no_source_at_all_is_refused(sources):
    with pytest.raises(RecipeError, match=r"^what is compared: expected something to compare, got nothing$"):
        compare(*sources)


def test_the_same_recipe_twice_is_nothing_to_compare():
    with pytest.raises(RecipeError, match="variant b: expected another recipe, got the same as a"):
        make_variants([{"a": "iris", "b": "iris"}], {}, {})
    with pytest.raises(RecipeError, match="iris twice"):
        make_variants(["iris", "iris"], {}, {})


def test_recipes_with_other_data_or_another_split_are_refused(here, tmp_path):
    here()
    with pytest.raises(RecipeError, match="data: expected the same for iris and wine"):
        compare("iris", "wine", seeds=3, **QUICK)
    for name, options in (("a", {"validation": 0.2}), ("b", {"validation": 0.3})):
        (tmp_path / f"{name}.toml").write_text(lp.Recipe.from_options("iris", **options).to_toml())
    with pytest.raises(RecipeError, match=r"split\.validation: expected the same for a and b, got 0\.2 and 0\.3"):
        compare("a.toml", "b.toml", seeds=3, **QUICK)


def test_runs_are_compared_by_their_recipes(here):
    crew = here()
    runs = [lp.train("iris", out=name, report=False, baselines=False, **SMALL, rate=rate, seed=seed)
            for name, rate, seed in (("slow", 0.001, 3), ("fast", 0.1, 4))]  # fmt: skip
    by_run = compare(*runs, seeds=3, save=False)
    by_folder = compare("slow", "fast", seeds=3, save=False)
    assert list(by_run.scores) == list(by_folder.scores) == ["slow", "fast"]
    assert scores_of(by_run) == scores_of(by_folder)
    assert {recipe.seed for recipe in crew.trained} == {3, 4, 5}
    assert by_run.differing == {"optimizer.rate": [0.001, 0.1]}


def test_a_metric_that_does_not_fit_the_task_is_refused(here):
    here()
    with pytest.raises(RecipeError, match=r"metric: expected one for a multiclass target, got 'r2'; choose among acc"):
        compare("iris", vary=ACTIVATIONS, seeds=3, metric="r2", save=False, **QUICK)
    with pytest.raises(UnknownName, match='did you mean "accuracy"'):
        compare("iris", vary=ACTIVATIONS, seeds=3, metric="acuracy", save=False, **QUICK)


def test_another_metric_trains_nothing(here):
    crew = here()
    compare("iris", vary=ACTIVATIONS, seeds=3, **QUICK)
    crew.trained.clear()
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, metric="log_loss", **QUICK)
    assert crew.trained == []
    best, worst = comparison.rows
    assert best.mean < worst.mean


def test_the_test_set_is_not_opened_where_its_rows_chose_the_best():
    with pytest.raises(RecipeError, match="rows that test under one seed chose the best under another"):
        compare("iris", vary=ACTIVATIONS, splits=True, open_test=True, **QUICK)


@pytest.mark.parametrize("bad", [{"seeds": 0}, {"seeds": 2.5}, {"workers": 0}, {"zone": -1.0}, {"zone": float("nan")}])
def test_numbers_that_make_no_sense_are_refused(bad):
    with pytest.raises(RecipeError, match=next(iter(bad))):
        compare("iris", vary=ACTIVATIONS, save=False, **bad)


def test_the_zone_has_a_default_for_each_metric_and_is_given_in_the_unit_shown(here):
    assert default_zone("accuracy", [0.9]) == 0.002
    assert default_zone("r2", [0.3]) == 0.005
    assert default_zone("rmse", [50.0, 60.0]) == pytest.approx(0.55)
    here(score=lambda layers, seed: 0.9)
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, zone=1.5, save=False, **QUICK)
    assert comparison.terms.zone == pytest.approx(0.015)
