"""The leak guard on the command line: it stops a training before anything is written, and can be overruled by name."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from limpide.recipe import Recipe
from limpide.runs import load

FAST = ["--epochs", "2", "--network", "4 relu", "--no-report", "--no-baselines"]


@pytest.fixture
def bills(tmp_path, rng):
    """A table with the target in another currency, and its two parts; a fifth of the rows stands there twice."""
    net = rng.gamma(2, 50, 300).round(2)
    tax = (net * rng.choice([0.05, 0.2], 300)).round(2)
    shop = rng.choice(["a", "b", "c"], 300)
    total = (net + tax).round(2)
    table = pl.DataFrame({"net": net, "tax": tax, "shop": shop, "dollars": (1.08 * total).round(2), "total": total})
    path = tmp_path / "bills.csv"
    table.write_csv(path)
    return path


def test_every_leak_is_told_at_once_and_nothing_is_written(shown, bills):
    code, _out, err = shown("train", bills, *FAST, "--target", "total")
    assert code == 2
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["✗ column dollars", "✗ columns net, tax"]
    assert lines[0].endswith("--drop dollars, or go on with --accept-leak target-in-disguise:dollars")
    assert lines[1].endswith("--drop net --drop tax, or go on with --accept-leak target-is-a-sum:net+tax")
    assert not Path("runs").exists()


def test_a_leak_is_mended_by_dropping_or_accepted_by_name_and_the_run_says_so(shown, bills):
    words = ["--target", "total", "--drop", "dollars", "--accept-leak", "target-is-a-sum:net+tax", "--out", "run"]
    code, out, err = shown("train", bills, *FAST, *words)
    assert (code, err) == (0, "")
    assert "! columns net, tax: leak accepted: total is net + tax (net " in out
    run = load("run")
    assert run.recipe.data.accept_leaks == ["target-is-a-sum:net+tax"]
    assert any("leak accepted" in note.text for note in run.notes if note.level == "warning")
    assert any(note.text == "fitted on the 195 training rows alone, after the split" for note in run.notes)
    assert shown("train", Path("run") / "recipe.toml", *FAST, "--out", "again")[0] == 0


def test_all_accepts_every_leak_and_new_writes_it_down(shown, bills):
    assert shown("new", bills, "--target", "total", "--out", "r.toml")[0] == 2
    assert shown("new", bills, "--target", "total", "--accept-leak", "all", "--out", "r.toml")[0] == 0
    assert Recipe.read("r.toml").data.accept_leaks == ["all"]


def test_split_distinct_keeps_equal_rows_together(shown, tmp_path, rng):
    x = rng.normal(size=(200, 3))
    y = np.where(x[:, 0] + rng.normal(size=200) > 0, "yes", "no")
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    path = tmp_path / "twice.csv"
    pl.concat([table, table.head(80)]).write_csv(path)
    code, _out, err = shown("train", path, *FAST)
    assert code == 2
    assert "equal to row" in err
    assert shown("train", path, *FAST, "--split", "distinct", "--out", "run")[0] == 0
    assert not [note for note in load("run").notes if "stand among the rows trained on" in note.text]


def test_evaluate_and_show_tell_how_often_the_test_set_was_opened(shown):
    assert shown("train", "iris", *FAST, "--out", "run")[0] == 0
    _code, out, _err = shown("show", "run")
    assert "the test set was opened once, by the training" in out
    _code, out, _err = shown("evaluate", "run")
    assert "the test set was opened 2 times" in out
    _code, out, _err = shown("evaluate", "run", "--json")
    assert json.loads(out)["openings"] == 3
