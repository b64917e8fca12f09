"""`limpide doctor`, `limpide rates` and `limpide train --doctor`: findings in words and in JSON, and exit codes."""

import json

import pytest

from limpide.doctor import DIAGNOSES

SLOW = ["--optimizer", "sgd", "--rate", "0.00001", "--epochs", "10", "--engine", "numpy"]
SHORT = ["--quiet", "--no-report", "--no-baselines", "--lang", "en"]


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A run that is too slow, watched."""
    from limpide.__main__ import main

    folder = tmp_path_factory.mktemp("slow") / "run"
    assert main(["train", "iris", *SLOW, *SHORT, "--doctor", "--out", str(folder)]) == 0
    return folder


def test_a_run_with_a_finding_is_named_with_its_evidence_and_advice(shown, slow):
    code, out, _err = shown("doctor", slow)
    assert code == 1
    assert "! rate too low" in out
    assert "at a rate of 0.00001" in out
    assert "that the rate finder suggests" in out
    assert f"1 finding, of {len(DIAGNOSES)} diagnoses" in out


def test_json_holds_the_findings_with_their_numbers(shown, slow):
    code, out, _err = shown("doctor", slow, "--json")
    found = json.loads(out)
    assert code == 1
    assert found["findings"][0]["name"] == "rate-too-low"
    assert found["findings"][0]["numbers"]["rate"] == 1e-5
    assert found["known"] == [*DIAGNOSES]


def test_the_findings_speak_french(shown, slow):
    _code, out, _err = shown("doctor", slow, "--lang", "fr")
    assert "0,00001" in out


def test_a_healthy_run_ends_with_exit_code_0(shown, tmp_path):
    assert shown("train", "iris", "--engine", "numpy", *SHORT, "--out", tmp_path / "run")[0] == 0
    code, out, _err = shown("doctor", tmp_path / "run")
    assert (code, "nothing wrong was found" in out) == (0, True)


def test_the_catalogue_is_listed(shown):
    code, out, _err = shown("doctor", "--list")
    assert code == 0
    assert all(name in out for name in DIAGNOSES)
    _code, text, _err = shown("doctor", "--list", "--json")
    assert [row["name"] for row in json.loads(text)["diagnoses"]] == [*DIAGNOSES]


def test_without_a_run_there_is_nothing_to_look_at(shown):
    code, _out, err = shown("doctor")
    assert (code, "expected the folder of a run" in err) == (2, True)


def test_a_training_watched_says_what_is_wrong_at_its_end(shown, tmp_path):
    code, out, err = shown("train", "iris", *SLOW, *SHORT, "--doctor", "--json", "--out", tmp_path / "run")
    assert code == 0
    assert json.loads(out)["doctor"]["findings"][0]["name"] == "rate-too-low"
    assert "! rate too low" in err


def test_a_training_that_breaks_at_once_is_explained_before_the_error(shown):
    broken = ["--option", "preparation.scale_target=false", "--optimizer", "sgd", "--rate", "0.1", "--engine", "numpy"]
    code, out, err = shown("train", "production-costs?samples=200", *broken, *SHORT, "--doctor")
    assert code == 1
    assert "! unscaled target" in out
    assert "! divergence" in out
    assert "NaN or Inf in the first epoch" in err


def test_rates_say_the_range_and_draw_it(shown, tmp_path):
    code, out, _err = shown("rates", "iris", "--engine", "numpy", "--updates", "60", "--figure", tmp_path / "rates.svg")
    assert code == 0
    assert "the loss falls from" in out
    assert (tmp_path / "rates.svg").read_text().startswith("<svg")


def test_rates_as_json(shown):
    _code, out, _err = shown("rates", "iris", "--engine", "numpy", "--updates", "60", "--json")
    found = json.loads(out)
    assert len(found["rates"]) == len(found["losses"])
    assert found["low"] <= found["suggested"] <= found["high"]


def test_data_that_moved_are_named_again(shown, houses, tmp_path):
    folder, moved = tmp_path / "run", tmp_path / "elsewhere.csv"
    assert shown("train", houses, "--target", "price", "--epochs", "3", *SHORT, "--out", folder)[0] == 0
    houses.rename(moved)
    code, _out, err = shown("doctor", folder)
    assert (code, "houses.csv" in err) == (2, True)
    code, out, err = shown("doctor", folder, "--data", moved)
    assert (code, err) == (1, "")
    assert "looked at" in out
