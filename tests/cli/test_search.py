"""`limpide search`: its words, what it shows in a pipe and on a terminal, its exit codes."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from limpide.cli.searching import Display, history, plan_line, read_spaces
from limpide.errors import RecipeError
from limpide.experiment import trials as trials_module
from limpide.tuning.records import Trial
from limpide.tuning.searching import search
from tests.cli.test_compare import train_here

SPACE = ["--space", "rate=log(1e-3, 1e-1)", "--space", "network=4 relu; 8 relu, 4 relu"]
FAST = [*SPACE, "--trials", "4", "--repeats", "2", "--fresh", "3", "--epochs", "2", "--engine", "numpy"]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setattr(trials_module, "train_many", train_here)


def test_a_space_is_read_as_people_write_it(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text('rate = "log(1e-4, 1e-1)"\nbatch_size = [8, 16]\n')
    assert read_spaces(None, None, [str(file), "batch_size=int(4, 8)"]) == {
        "rate": "log(1e-4, 1e-1)",
        "batch_size": "int(4, 8)",
    }
    assert read_spaces(None, None, []) is None


@pytest.mark.parametrize("word", ["rate", "=log(1, 2)", "rate="])
def test_a_knob_without_name_or_values_is_refused(word):
    with pytest.raises(RecipeError, match=r"--space: expected KNOB=VALUES or FILE\.toml"):
        read_spaces(None, None, [word])


def test_the_plan_counts_in_the_singular_and_in_the_plural():
    explorer = SimpleNamespace(question=SimpleNamespace(repeats=1), n_trials=4, n_final=8, n_fresh=2)
    assert plan_line(explorer) == "4 trials, 1 training each; then the 4 best, 2 each"
    explorer.question.repeats, explorer.n_trials = 3, math.inf
    assert plan_line(explorer) == "as many trials as fit, 3 trainings each; then the 5 best, 2 each"


def test_in_a_pipe_each_trial_has_a_line_then_come_table_numbers_verdict_and_places(shown):
    code, out, err = shown("search", "iris", *FAST, "--out", "s")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "4 trials, 2 trainings each at most; then the 4 best, 3 each"
    assert lines[1].startswith("trial 1: accuracy ")
    assert any(line.startswith("at most about ") and line.endswith(" left") for line in lines)
    assert sum(line.startswith("trial ") and ": accuracy" in line for line in lines) == 4
    places = [
        next(i for i, line in enumerate(lines) if line.startswith(start))
        for start in (
            "training under fresh seeds",
            "trial  accuracy",
            "in the search",
            "under fresh",
            "on the test set",
        )
    ]
    assert places == sorted(places)
    assert "recommended" in out
    assert "· the test set was opened once, for the winner" in lines
    assert "limpide train s/best.toml" in out
    assert {path.name for path in Path("s").iterdir()} >= {"best.toml", "report.html", "search.json", "journal.log"}
    code, out, _err = shown("train", "s/best.toml", "--quiet", "--no-report", "--no-baselines")
    assert code == 0


def test_json_is_one_object_on_standard_output(shown):
    code, out, _err = shown("search", "iris", *FAST, "--json", "--no-report", "--no-test")
    found = json.loads(out)
    assert (code, len(found["trials"]), found["test_score"], found["stopped"]) == (0, 4, None, "trials")
    assert json.loads(Path(found["search"], "search.json").read_text()) == found
    assert not Path(found["search"], "report.html").exists()


def test_quiet_shows_the_last_lines_only(shown):
    code, out, err = shown("search", "iris", *FAST, "--quiet", "--no-report")
    assert (code, err) == (0, "")
    assert out.startswith("Trial ")
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["iris", "--space", "raet=log(1e-3, 1)"], 'knob: unknown name "raet"; did you mean "rate"?'),
        (["iris"], "space: expected something to try, got nothing"),
        (["iris", "--space", "none.toml"], "none.toml: expected a space in TOML, got no file"),
        (["iris", "--space", "rate=log(1, 0.1)"], "expected a low end, then a high one"),
        (["iris", *SPACE, "--metric", "rmse"], "metric: expected one for a multiclass target"),
        (["iris", *SPACE, "--trials", "0"], "trials: expected a number of at least 1"),
        (["iris", *SPACE, "--budget", "x"], "budget: expected a time"),
        (["iris", *SPACE, "--storage", "nowhere"], "expected a database that answers"),
    ],
)
def test_bad_words_are_told_in_a_line_and_nothing_is_written(shown, words, told):
    code, out, err = shown("search", *words)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())
    assert list(Path().iterdir()) == []


def test_when_every_trial_fails_the_exit_code_says_so(shown):
    code, out, _err = shown("search", "iris", *FAST[2:], "--space", "network=9, 4 relu, 3; 8, 3", "--quiet")
    assert code == 1
    assert "Nothing was found" in out
    assert "! failed: trial 1: network, input: expected 4, got 8" in out or "expected 4, got 9" in out


def test_on_a_terminal_the_trials_so_far_are_drawn():
    console = Console(force_terminal=True, width=100, color_system=None, record=True)
    display, drawn = Display(console), []

    def watch(explorer):
        display(explorer)
        with console.capture() as held:
            console.print(display.live.renderable)
        drawn.append(held.get())

    options = {"epochs": 2, "engine": "numpy", "network": "4 relu", "report": False, "save": False}
    with display:
        search("iris", space={"rate": "log(1e-3, 1e-1)"}, trials=5, repeats=1, fresh=2, **options, watch=watch)
    assert "0/5 trials" in drawn[0]
    assert "5/5 trials" in "".join(drawn)
    assert "fresh trainings" in drawn[-1]
    assert "rate 0." in drawn[-1]
    assert "at most about 0:0" in "".join(drawn)


def test_the_history_marks_the_best_and_what_failed():
    made = [Trial(i + 1, {}, None, {0: score}, state="done") for i, score in enumerate((0.7, 0.9, 0.8))]
    text = history([*made, Trial(4, {}, state="failed")], True)
    assert text.plain[1] == "█"
    assert text.plain[3] == "×"
    assert history(made, False).plain[0] == "█"
