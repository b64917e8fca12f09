"""The test set of a run is opened once by the training; every later look at it is counted."""

import json

import pytest

import limpide
from limpide.data.builtin import BUILTIN
from limpide.errors import RunError
from limpide.openings import openings_sentence, record_opening

FAST = {"epochs": 2, "network": "4 relu", "baselines": False, "report": False}


@pytest.fixture
def folder(tmp_path):
    return limpide.train("iris", out=tmp_path / "run", **FAST).path


def test_a_look_at_the_test_rows_is_counted_whoever_loads_the_run(folder):
    run = limpide.load(folder)
    assert run.openings == 1
    assert run.evaluate() == run.test
    assert limpide.load(folder).openings == 2
    limpide.load(folder).evaluate("iris")
    assert run.openings == 3
    assert len(json.loads((folder / "openings.json").read_text())["moments"]) == 2


def test_other_data_and_reading_a_run_open_nothing(folder):
    run = limpide.load(folder)
    dataset = BUILTIN["iris"].open()
    others = dataset.inputs.with_columns(dataset.target).head(20)
    run.evaluate(others)
    run.predict(others)
    run.summary()
    run.facts()
    assert run.openings == 1
    assert not (folder / "openings.json").exists()


def test_a_run_that_is_not_saved_counts_nothing():
    run = limpide.train("iris", save=False, **FAST)
    run.evaluate()
    assert run.openings == 1


def test_a_folder_that_cannot_be_written_can_still_be_evaluated(folder, monkeypatch):
    def refuse(path, data):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("limpide.openings.write_bytes", refuse)
    run = limpide.load(folder)
    assert run.evaluate().n == 30
    assert run.openings == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"moments": 3}', '{"moments": [1]}'])
def test_a_damaged_count_says_so(folder, text):
    (folder / "openings.json").write_text(text)
    with pytest.raises(RunError) as caught:
        record_opening(folder)
    assert str(caught.value) == (
        f"{folder}/openings.json: expected the moments at which the test set was opened, got a damaged file; remove it"
    )


def test_the_count_is_told_with_what_it_means():
    assert openings_sentence(1) == "the test set was opened once, by the training"
    assert openings_sentence(3) == (
        "the test set was opened 3 times, by the training first; who chooses by its figures needs new test rows"
    )
