"""`limpide network`, `data`, `evaluate`, `runs`, `show`: tables for people, JSON for programs."""

import json
import re

import numpy as np
import polars as pl
import pytest

from limpide.evaluation import format_metric
from limpide.runs import load

FAST = ["--epochs", "3", "--no-report"]


def test_the_network_table_writes_each_count_with_its_arithmetic(shown):
    code, out, _err = shown("network", "28x28, 512 relu, 10")
    assert code == 0
    assert out.splitlines() == [
        "layer      specification    output                 parameters        multiply-adds",
        "─" * 82,
        "0.flatten  28×28 → 784         784",
        "1.dense    784 → 512, bias     512  28·28·512 + 512 = 401,920  28·28·512 = 401,408",
        "2.relu     max(0, z)           512",
        "3.dense    512 → 10, bias       10        512·10 + 10 = 5,130       512·10 = 5,120",
        "─" * 82,
        "total                                                 407,050              406,528",
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_on_a_narrow_terminal_the_network_table_stacks_its_counts_and_cuts_nothing(shown, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, flatten, 10"
    _code, out, _err = shown("network", text)
    assert max(len(line) for line in out.splitlines()) <= width
    flat = " ".join(out.split())
    assert "3·3·1·32 + 32 = 320" in flat
    assert "3·3·1·32·28·28 = 225,792" in flat
    assert "32·14·14·10 + 10 = 62,730" in flat
    assert "63,050 parameters, 288,512 multiply-adds" in flat


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_every_baseline_is_whole(shown, iris, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    run = load(iris)
    for command in ("show", "evaluate"):
        _code, out, _err = shown(command, iris, "--lang", "fr")
        assert "…" not in out
        for baseline in run.baselines.values():
            assert format_metric("log_loss", baseline.metrics["log_loss"].value).replace(".", ",") in out


def test_on_a_narrow_terminal_the_names_of_columns_are_whole(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = [
        "heures machine,date commande,prix",
        *(f"{i * 7919 % 97}.25,20{i % 20 + 10}-0{i % 9 + 1}-11,{i}.5" for i in range(60)),
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    _code, out, _err = shown("data", tmp_path / "t.csv", "--lang", "fr")
    figures = out.split("écart-type")[1].splitlines()
    assert any(line.startswith("heures machine ") for line in figures)
    assert any(line.startswith("date commande ") for line in figures)


def test_the_network_as_json_holds_the_layer_table(shown):
    _code, out, _err = shown("network", "11-6-6-1 relu", "--json")
    facts = json.loads(out)
    assert list(facts) == ["network", "layers", "parameters", "multiply_adds"]
    assert facts["network"] == "11, 6 relu, 6 relu, 1"
    assert (facts["parameters"], facts["multiply_adds"]) == (121, 108)
    assert facts["layers"][0] == {
        "type": "dense",
        "specification": "11 → 6, bias",
        "output": [6],
        "parameters": 72,
        "arithmetic": "11·6 + 6 = 72",
        "multiply_adds": 66,
        "multiply_adds_arithmetic": "11·6 = 66",
    }
    assert sum(layer["parameters"] for layer in facts["layers"]) == 121


def test_evaluate_gives_the_test_rows_or_other_data(shown, iris):
    _code, out, _err = shown("evaluate", iris, "--json")
    facts, run = json.loads(out), load(iris)
    assert facts["metrics"] == {name: metric.value for name, metric in run.test.metrics.items()}
    assert facts["intervals"]["accuracy"] == [run.test.main.low, run.test.main.high]
    assert (facts["rows"], facts["labels"]) == (30, ["setosa", "versicolor", "virginica"])
    assert np.sum(facts["confusion"]) == 30
    _code, out, _err = shown("evaluate", iris)
    assert "gradient boosting" in out
    assert run.verdict in out
    _code, out, _err = shown("evaluate", iris, "iris")
    assert "150 rows" in out
    assert "! iris: the run was trained on this data: it has seen 98 rows of it" in out


def test_runs_lists_what_was_trained_the_newest_last(shown):
    assert shown("runs")[:2] == (0, "no run in runs; train one with: limpide train SOURCE\n")
    shown("train", "iris", *FAST, "--no-baselines", "--quiet", "--network", "2 relu")
    shown("train", "iris", *FAST, "--no-baselines", "--quiet", "--network", "3 relu")
    _code, out, _err = shown("runs", "--json")
    found = json.loads(out)["runs"]
    assert [run["run"] for run in found] == ["runs/iris-001", "runs/iris-002"]
    assert [run["parameters"] for run in found] == [19, 27]
    _code, out, _err = shown("runs")
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["runs/iris-001", "runs/iris-002"]


def test_show_tells_a_run_and_its_report(shown, iris):
    code, out, _err = shown("show", iris)
    assert code == 0
    for part in ("4·6 + 6 = 30", "ROC-AUC", load(iris).verdict, str(iris / "report.html")):
        assert part in out
    _code, out, _err = shown("show", iris, "--json")
    facts = json.loads(out)
    assert [layer["type"] for layer in facts["layers"]] == ["dense", "relu", "dense"]
    assert facts["recipe"]["training"]["epochs"] == 30
    assert {"what", "value", "why"} == set(facts["inferred"][0])


def test_data_shows_what_was_understood_of_a_table(shown, houses):
    code, out, _err = shown("data", houses)
    assert code == 0
    assert "houses.csv: 80 rows, 3 columns besides the target" in out
    assert "! id: left out" in out
    assert "Lyon 40, Nîmes 40" in out
    assert "price: regression (numbers with decimals)" in out
    _code, out, _err = shown("data", houses, "--target", "town", "--drop", "id", "--kind", "price=number", "--json")
    facts = json.loads(out)
    area, price = facts["columns"]
    numbers = pl.read_csv(houses)
    assert (area["name"], area["kind"], area["missing"]) == ("area", "number", 8)
    assert area["mean"] == pytest.approx(numbers["area"].mean())
    assert sum(area["histogram"]) == 72
    assert (price["why"], price["max"]) == ("you said so", pytest.approx(numbers["price"].max()))
    assert facts["target"]["task"] == "binary"
    assert facts["target"]["classes"] == {"Lyon": 40, "Nîmes": 40}


def test_a_french_page_has_the_french_kind_and_how_it_is_typed(shown, houses):
    code, out, _err = shown("data", str(houses), "--target", "price", "--lang", "fr")
    assert code == 0
    assert {"nombre (number)", "catégorie (category)"} <= set(re.split(r"\s{2,}", out))


def test_on_a_narrow_terminal_the_names_of_columns_stay_whole(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "60")
    rows = [f"{i % 3},{i * 0.37 % 9},{i * 0.11 % 5}" for i in range(60)]
    (tmp_path / "sales.csv").write_text("\n".join(["holiday,temperature,sales", *rows]) + "\n")
    code, out, _err = shown("data", str(tmp_path / "sales.csv"), "--target", "sales", "--lang", "fr")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines() if line.startswith("temp")]
    assert names == ["temperature", "temperature"]
