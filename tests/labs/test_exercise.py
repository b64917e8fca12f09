"""The layer table as an exercise: right is right in every spelling, and each usual mistake is called by its name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.__main__ import main
from limpide.errors import DataError, RecipeError, UnknownName
from limpide.labs.exercise import EXERCISES, blank_sheet, correct, exercise, layer_names, read_sheet, read_sizes
from limpide.nn.layers import LAYERS
from limpide.nn.network import Network

RN_2 = exercise("rn-2")


def right_answers(network):
    """A sheet in which all is right."""
    return {cell.layer: {} for cell in correct(network, {})} | {
        name: {c.column: c.expected for c in correct(network, {}) if c.layer == name} for name in layer_names(network)
    }


def why(network, layer, column, answer, **others):
    """What is said of one answer; "" for a right one."""
    rows = {layer: {column: answer, **others}}
    return next(c.why for c in correct(network, rows) if (c.layer, c.column) == (layer, column))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answers_are_right(name):
    network = exercise(name)
    assert all(cell.is_right for cell in correct(network, right_answers(network)))
    assert {cell.why for cell in correct(network, {})} == {"left empty"}


@pytest.mark.parametrize(("layer", "shape"), [example for row in LAYERS.values() for example in row.examples])
def test_every_kind_of_layer_can_stand_in_a_sheet(layer, shape):
    network = Network(shape, (layer,))
    assert all(cell.is_right for cell in correct(network, right_answers(network)))


@pytest.mark.parametrize(
    ("layer", "column", "answer", "said"),
    [
        ("fc1", "parameters", "3136x128", "the biases are missing: one for each of the 128 units"),
        ("fc1", "parameters", "64x128+128", "that is the channels alone"),
        ("fc1", "parameters", "8192", "that is the channels alone"),
        ("fc1", "parameters", "49x128+128", "the channels are missing"),
        ("fc1", "parameters", "3136x128+3136", "for each output, not for each input"),
        ("conv2", "parameters", "320", "that is the count of conv1"),
        ("conv2", "parameters", "32x64x3x3+64 = 320", "32x64x3x3+64 is 18,496, not 320; that is the count of conv1"),
        ("conv2", "parameters", "64x3x3+64", "each filter reaches over all 32 input channels"),
        ("conv2", "parameters", "64x3x3", "the biases are missing"),
        ("conv2", "parameters", "32x3x3+1", "that is one filter: there are 64"),
        ("conv2", "parameters", "32x64x3x3x14x14", "counted once"),
        ("pool1", "parameters", "4", "nothing to learn"),
        ("conv1", "output", "32", "the rows and columns are missing"),
        ("conv1", "output", "28x28", "the channels are missing"),
        ("conv1", "output", "32x26x26", "without padding"),
        ("pool1", "output", "32x28x28", "fewer rows and columns"),
        ("pool1", "output", "16x14x14", "leaves the channels as they are"),
        ("pool2", "output", "3136", "right as a count"),
        ("flatten", "output", "64", "that is the channels alone"),
        ("flatten", "output", "64x7", "worked out otherwise"),
        ("fc1", "input", "64", "that is the channels alone"),
        ("fc1", "output", "120", "the layer has 128 units"),
        ("fc1", "output", "many", "not a size"),
        ("fc1", "parameters", "a lot", "not a number"),
        ("fc1", "type", "linear regression", "a regression is a task"),
        ("fc1", "type", "convolution", "fully connected"),
    ],
)
def test_a_usual_mistake_is_called_by_its_name(layer, column, answer, said):
    assert said in why(RN_2, layer, column, answer)


def test_what_follows_from_an_own_mistake_is_said_to_follow():
    rn_1 = exercise("rn-1")
    assert "your own size 572, which is wrong" in why(rn_1, "fc1", "parameters", "784x572+572", output="572")
    assert "your own size 572, which is wrong" in why(rn_1, "fc2", "parameters", "572x256+256", input="572")
    both = why(rn_1, "fc2", "parameters", "572x250+250", input="572", output="250")
    assert "follows from your own sizes, 572 and 250, which are wrong" in both
    assert "the biases are missing too" in why(rn_1, "fc1", "parameters", "784x572", output="572")
    rows = {"fc1": {"output": "572"}, "relu1": {"output": "572"}, "fc2": {"input": "572"}}
    said = {(c.layer, c.column): c.why for c in correct(rn_1, rows)}
    assert "follows from your own output of fc1" in said["relu1", "output"]
    assert "follows from your own output of relu1" in said["fc2", "input"]
    left_empty = {"fc1": {"output": "572"}, "fc2": {"input": "572"}}
    said = {(c.layer, c.column): c.why for c in correct(rn_1, left_empty)}
    assert "follows from your own output of fc1" in said["fc2", "input"]


@pytest.mark.parametrize("answer", ["18496", "18 496", "18\u202f496", "18,496", "64·32·3·3 + 64", "32x64x3x3+64=18496"])
def test_a_right_count_is_right_in_every_spelling(answer):
    assert why(RN_2, "conv2", "parameters", answer) == ""


@pytest.mark.parametrize("answer", ["32x28x28", "(32, 28, 28)", "28×28×32", "32 X 28 X 28"])
def test_a_right_size_is_right_in_every_spelling(answer):
    assert why(RN_2, "conv1", "output", answer) == ""


@given(st.text(alphabet="0123456789x+= (),.a", max_size=20))
def test_nothing_that_stands_in_a_cell_is_an_error(text):
    read_sizes(text)
    for column in ("type", "input", "output", "parameters"):
        why(RN_2, "conv2", column, text)


def test_a_sheet_is_written_filled_in_and_corrected(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["labs", "exercise", "rn-1"]) == 0
    assert (tmp_path / "layers.csv").read_text() == blank_sheet(exercise("rn-1"))
    assert main(["labs", "exercise", "rn-1"]) != 0, "a sheet that is there is never written over"
    rows = ["layer;type;input;output;parameters"]
    rows += [";".join([name, *cells.values()]) for name, cells in right_answers(exercise("rn-1")).items()]
    (tmp_path / "mine.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    capsys.readouterr()
    assert main(["labs", "correct", "rn-1", "mine.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["right"] == 32
    (tmp_path / "mine.toml").write_text('[fc1]\noutput = 512\nparameters = "784x512"\n')
    assert main(["labs", "correct", "rn-1", "mine.toml"]) == 1
    assert "1 of 32 right" in capsys.readouterr().out


def test_a_sheet_that_is_none_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    for text, said in (("", "got nothing"), ("layer,type\n", "expected the columns"), ("\0\xff", "expected")):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_sheet(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="in CSV or TOML"):
        read_sheet(path)
    with pytest.raises(DataError):
        read_sheet(tmp_path)
    path = path.rename(tmp_path / "a.toml")
    path.write_text("fc1 = 3")
    with pytest.raises(DataError, match="a table for each layer"):
        read_sheet(path)
    with pytest.raises(UnknownName, match="fc1"):
        correct(RN_2, {"fc_1": {}})
    with pytest.raises(RecipeError):
        exercise("3, nothing")
