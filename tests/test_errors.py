import inspect
import re

import pytest

from limpide import errors
from limpide.catalogue import Catalogue
from limpide.errors import (
    DataError,
    InputError,
    LimpideError,
    ShapeError,
    UnknownName,
    did_you_mean,
    problem,
)

CLASSES = [kind for _name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LimpideError)]


def test_the_tree_is_the_one_that_is_drawn():
    """Each line of the drawing stands under its parent, as far to the right as it is deep."""
    lines = re.findall(r"^ {4}([│ ]*)(?:[├└]── )?(\w+)", errors.__doc__, re.MULTILINE)
    drawn, last = {}, {}
    for indent, name in lines:
        depth = 0 if name == "LimpideError" else len(indent) // 4 + 1
        drawn[name] = last.get(depth - 1)
        last[depth] = name
    assert drawn == {
        kind.__name__: kind.__bases__[0].__name__ if kind is not LimpideError else None for kind in CLASSES
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_it_is_and_how_a_command_ends_on_it(kind):
    assert kind.__doc__
    wants_mending = issubclass(kind, InputError) or kind.__name__ in ("Unsupported", "MissingPackage")
    assert kind.exit_code == (2 if wants_mending else 1)


def test_what_cannot_be_used_is_a_value_error_for_the_rest_of_python():
    assert all(issubclass(kind, ValueError) == issubclass(kind, InputError) for kind in CLASSES)


def test_a_problem_has_its_four_parts():
    assert problem("layer 3.dense", "a flat input", "8×8", "put a flatten before it") == (
        "layer 3.dense: expected a flat input, got 8×8; put a flatten before it"
    )
    assert problem("rate", "a number above 0", "-1") == "rate: expected a number above 0, got -1"


def test_braces_in_what_came_are_shown_as_they_are():
    assert problem("{a}", "{b}", "{c}", "{d}") == "{a}: expected {b}, got {c}; {d}"


def test_an_error_shows_all_its_problems_one_to_a_line():
    error = DataError("a: expected b, got c", "d: expected e, got f")
    assert error.problems == ("a: expected b, got c", "d: expected e, got f")
    assert str(error) == "a: expected b, got c\nd: expected e, got f"


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("rleu", 'did you mean "relu"?'),
        ("RELU", 'did you mean "relu"?'),
        ("Tanh ", 'did you mean "Tanh"?'),
        ("zzz", "choose among relu, Tanh, leaky_relu"),
        ("", "choose among relu, Tanh, leaky_relu"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_the_list(name, mend):
    assert did_you_mean(name, ["relu", "Tanh", "leaky_relu"]) == mend


def test_a_long_list_of_names_is_cut():
    mend = did_you_mean("zzz", [f"name{i}" for i in range(30)])
    assert mend.startswith("choose among name0, name1, ")
    assert mend.endswith("name19, ...")


def test_names_that_are_no_text_are_shown_too():
    assert did_you_mean("1", [10, 20]) == 'did you mean "10"?'


class Row:
    def __init__(self, name):
        self.name = name


def test_a_catalogue_gives_rows_in_their_order_and_answers_an_unknown_name():
    catalogue = Catalogue("fruit")
    apple, pear = catalogue.add(Row("apple")), catalogue.add(Row("pear"))
    catalogue.alias("golden", of="apple")
    assert catalogue.rows() == [apple, pear]
    assert list(catalogue) == ["apple", "pear"]
    assert len(catalogue) == 2
    assert catalogue["golden"] is catalogue["apple"] is apple
    assert ("golden" in catalogue, "plum" in catalogue, 3 in catalogue) == (True, False, False)
    with pytest.raises(UnknownName) as caught:
        catalogue["gollden"]
    assert str(caught.value) == 'fruit: unknown name "gollden"; did you mean "golden"?'


def test_a_name_stands_once_in_a_catalogue():
    catalogue = Catalogue("fruit")
    catalogue.add(Row("apple"))
    with pytest.raises(AssertionError, match="fruit apple is there twice"):
        catalogue.add(Row("apple"))


def test_a_shape_error_is_caught_as_what_the_user_gave():
    with pytest.raises(InputError):
        raise ShapeError("layer 0.dense: expected a flat input, got 8×8")
