import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

import limpide as lp
from limpide.errors import InputError, RecipeError
from limpide.tuning.proposals import METHODS, propose
from limpide.tuning.records import Trial, frozen
from limpide.tuning.space import Knob, Space, read_space, space_of

RATE = "log(1e-4, 1e-1)"


@pytest.mark.parametrize(
    ("said", "kind", "values"),
    [
        ("log(1e-4, 1e-1, 4)", "log", [0.0001, 0.001, 0.01, 0.1]),
        ("uniform(0,1)", "uniform", [0, 0.25, 0.5, 0.75, 1]),
        ("int(1, 3)", "int", [1, 2, 3]),
        ("int(8, 64)", "int", [8, 22, 36, 50, 64]),
        ("16, 32", "choices", [16, 32]),
        ("64 relu, 32 relu; 8 relu", "choices", ["64 relu, 32 relu", "8 relu"]),
        ([1, None], "choices", [1, None]),
        ("adam", "choices", ["adam"]),
    ],
)
def test_a_knob_is_read_as_people_write_it(said, kind, values):
    knob = Knob.parse("batch_size", said)
    assert (knob.kind, knob.grid()) == (kind, values)


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"raet": RATE}, r'knob: unknown name "raet"; did you mean "rate"?'),
        ({}, r"space: expected something to try, got nothing"),
        ({"rate": ""}, "knob rate: expected values to try, got none"),
        ({"rate": []}, "knob rate: expected values to try, got none"),
        ({"rate": "log(1e-1, 1e-4)"}, "expected a low end, then a high one, got 'log(1e-1, 1e-4)'; swap them"),
        ({"rate": "log(1, 1)"}, "expected a low end, then a high one"),
        ({"rate": "log(0, 1)"}, "knob rate: expected a number above 0"),
        ({"rate": "log(-1, 1)"}, "knob rate: expected a number above 0"),
        ({"rate": "log(1)"}, "knob rate: expected log(a, b), uniform(a, b), int(a, b)"),
        ({"rate": "log(a, b)"}, "knob rate: expected log(a, b)"),
        ({"rate": "uniform(0.1, inf)"}, "knob rate: expected log(a, b)"),
        ({"rate": "log(0.1, 1, 1)"}, "expected at least 2 steps"),
        ({"rate": "lg(0.1, 1)"}, 'did you mean "log"?'),
        ({"batch_size": "int(0.5, 3)"}, "expected whole numbers"),
        ({"rate": [0.1, 0.1]}, "expected different values, got 0.1"),
        ({"rate": RATE, "optimizer.rate": RATE}, "expected each knob once, got it twice"),
        ({"seed": [1, 2]}, "knob seed: expected something to compare"),
        ({"split": ["random", "time"]}, "expected the same data and the same rows"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(space, told):
    with pytest.raises(InputError) as error:
        Space.parse(space)
    assert told in str(error.value)


def test_all_problems_of_a_space_are_told_at_once():
    with pytest.raises(RecipeError) as error:
        Space.parse({"raet": RATE, "rate": "log(0, 1)", "epochs": ""})
    assert len(error.value.problems) == 3


def test_values_that_a_recipe_refuses_are_found_before_anything_is_trained():
    space = Space.parse({"rate": "uniform(-1, 1)", "optimizer": ["adam", "adm"], "batch_size": "int(0, 8)"})
    with pytest.raises(RecipeError) as error:
        space.check(lp.Recipe.from_options("iris"))
    told = "\n".join(error.value.problems)
    assert "optimizer.rate: expected a number above 0, got -1.0" in told
    assert 'did you mean "adam"?' in told
    assert "training.batch_size: expected a number of at least 1, got 0" in told


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e6), st.floats(0, 1), st.sampled_from(["log", "uniform"]))
def test_a_place_on_a_range_and_back(low, factor, place, kind):
    knob = Knob("rate", "optimizer.rate", kind, (), low, low * factor)
    value = knob.at(place)
    assert low * (1 - 1e-9) <= value <= low * factor * (1 + 1e-9)
    assert math.isclose(knob.place(value), place, abs_tol=1e-6)


def test_a_space_stands_in_a_file_or_beside_a_recipe(tmp_path):
    written = 'rate = "log(1e-4, 1e-1)"\nnetwork = ["8 relu", "4 relu"]\noptimizer.options.beta1 = [0.8, 0.9]\n'
    (tmp_path / "space.toml").write_text(written)
    said = {"rate": RATE, "network": ["8 relu", "4 relu"], "optimizer.options.beta1": [0.8, 0.9]}
    assert read_space(tmp_path / "space.toml") == said
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[data]\nsource = "iris"\n\n[space]\n{written}')
    assert space_of(recipe) == said
    assert read_space(recipe) == said
    assert lp.Recipe.read(recipe) == lp.Recipe.from_options("iris")
    with pytest.raises(RecipeError, match="expected a space in TOML, got no file"):
        read_space(tmp_path / "none.toml")
    assert space_of("iris") == {}


def over(number, values, score):
    return Trial(number, values, None, {0: score}, state="done")


def run_rounds(space, method, score, rounds, size=4):
    before = []
    for _round in range(rounds):
        points = propose(space, method, 0, True, [frozen(trial, space) for trial in before], size)
        before += [over(len(before) + i + 1, values, score(values)) for i, values in enumerate(points)]
    return [trial.values for trial in before]


SPACE = Space.parse({"rate": RATE, "network": ["4 relu", "8 relu", "16 relu"], "batch_size": "int(8, 64)"})


@pytest.mark.parametrize("method", ["bayes", "random", "grid"])
def test_a_shorter_round_is_the_beginning_of_a_longer_one(method):
    before = [
        frozen(over(i + 1, values, 0.1 * i), SPACE) for i, values in enumerate(propose(SPACE, method, 3, True, [], 8))
    ]
    whole = propose(SPACE, method, 3, True, before, 8)
    assert len(whole) == 8
    assert propose(SPACE, method, 3, True, before, 5) == whole[:5]
    assert propose(SPACE, method, 4, True, before, 8) != whole


def test_a_grid_has_every_combination_once():
    points = run_rounds(SPACE, "grid", lambda values: 0.0, 25)
    assert len(points) == 5 * 3 * 5
    assert sorted(map(str, points)) == sorted(map(str, SPACE.grid()))


@pytest.mark.parametrize("method", ["bayes", "random"])
def test_no_point_of_a_small_space_is_proposed_twice_and_its_end_is_found(method):
    space = Space.parse({"network": ["4 relu", "8 relu", "16 relu"], "batch_size": "int(8, 10)"})
    points = run_rounds(space, method, lambda values: float(values["batch_size"]), 5)
    assert len(points) == len({str(point) for point in points}) == 9


def test_bayes_goes_where_trials_did_well():
    def score(values):
        return -abs(math.log10(values["rate"]) + 2) - abs(values["batch_size"] - 40) / 20

    space = Space.parse({"rate": "log(1e-6, 1e2)", "batch_size": "int(8, 64)"})
    late = {method: [score(point) for point in run_rounds(space, method, score, 6, 8)[16:]] for method in METHODS}
    assert median(late["bayes"]) > median(late["random"]) / 2
