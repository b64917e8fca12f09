"""`limpide compare`: its words, what it shows in a pipe and on a terminal, its exit codes."""

import json

import pytest
from rich.console import Console

from limpide.cli.comparing import Display, read_knobs, strip
from limpide.errors import LimpideError, RecipeError
from limpide.experiment import trials as trials_module
from limpide.training import fit
from limpide.workers import Outcome

FAST = ["--epochs", "2", "--network", "4 relu", "--engine", "numpy", "--seeds", "3"]
VARY = ["--vary", "activation=relu,tanh"]


def train_here(recipes, *, workers=None, source=None, test=True, watch=None):
    for i, recipe in enumerate(recipes):
        try:
            training = fit(recipe)
            for epoch in training:
                if watch:
                    watch(i, epoch)
            yield i, Outcome(recipe, training.run(baselines=False, test=test), None)
        except LimpideError as error:
            yield i, Outcome(recipe, None, error)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setattr(trials_module, "train_many", train_here)


@pytest.mark.parametrize(
    ("words", "knobs"),
    [
        (["activation=relu,leaky_relu 0.2"], {"activation": ["relu", "leaky_relu 0.2"]}),
        (["rate=1e-3,0.1", "batch_size=16, 32"], {"rate": [0.001, 0.1], "batch_size": [16, 32]}),
        (["network=64 relu, 32 relu; 128 relu"], {"network": ["64 relu, 32 relu", "128 relu"]}),
        (['network="64 relu, 32 relu", "9 tanh"'], {"network": ["64 relu, 32 relu", "9 tanh"]}),
        (["standardise=true,false"], {"standardise": [True, False]}),
        (['drop=["a"],["a", "b"]'], {"drop": [["a"], ["a", "b"]]}),
        (["rate=0.1", "rate=0.2"], {"rate": [0.1, 0.2]}),
    ],
)
def test_knobs_are_read_as_people_write_them(words, knobs):
    assert read_knobs(None, None, words) == knobs


@pytest.mark.parametrize("word", ["activation", "=relu", "rate="])
def test_a_knob_without_name_or_values_is_refused(word):
    with pytest.raises(RecipeError, match="--vary: expected KNOB=VALUE"):
        read_knobs(None, None, [word])


def test_in_a_pipe_each_training_has_a_line_then_come_table_verdict_and_places(shown):
    code, out, err = shown("compare", "iris", *VARY, *FAST, "--out", "c")
    assert (code, err) == (0, "")
    places = [
        "relu, seed 0: accuracy",
        "tanh, seed 2: accuracy",
        "95% interval",
        "3 paired seeds",
        "3 seeds each, as asked",
        "22 validation rows",
        "the test set was not opened",
        "c/report.html",
    ]
    found = [out.find(place) for place in places]
    assert -1 not in found
    assert found == sorted(found)


def test_as_json_one_object_stands_alone_on_standard_output(shown):
    code, out, err = shown("compare", "iris", *VARY, *FAST, "--no-report", "--json")
    facts = json.loads(out)
    assert code == 0
    assert out.count("\n") == 1
    assert facts["verdict"] in err
    assert [variant["name"] for variant in facts["variants"]] in (["relu", "tanh"], ["tanh", "relu"])
    assert facts["comparison"].startswith("comparisons/iris-")


def test_the_same_command_goes_on_and_quiet_says_the_last_lines_only(shown):
    shown("compare", "iris", *VARY, *FAST)
    code, out, _err = shown("compare", "iris", *VARY, *FAST, "--quiet")
    assert code == 0
    assert "seed 0:" not in out
    assert "95% interval" not in out
    assert "3 seeds each, as asked" in out


def test_recipes_and_runs_are_compared_by_their_names(shown):
    for name, rate in (("a", "0.1"), ("b", "0.01")):
        shown("train", "iris", *FAST[:-2], "--rate", rate, "--out", name, "--no-report", "--no-baselines", "--quiet")
    code, out, _err = shown("compare", "a", "b", "--seeds", "3", "--no-report")
    assert code == 0
    assert "a, seed 0: accuracy" in out
    assert "b, seed 2: accuracy" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["iris", "--vary", "activaton=relu,tanh"], 'knob: unknown name "activaton"; did you mean "activation"?'),
        (["iris", *VARY, "--metric", "r2"], "metric: expected one for a multiclass target, got 'r2'"),
        (["iris", *VARY, "--budget", "soon"], 'budget: expected a time such as "90s", "10m" or "1h30m"'),
        (["iris", "wine"], "data: expected the same for iris and wine"),
        (["iris", "iris"], "iris twice"),
        (["iris", "--vary", "rate"], "--vary: expected KNOB=VALUE,VALUE,..., got 'rate'"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line(shown, words, message):
    code, out, err = shown("compare", *words, *FAST[:-2])
    assert code == 2
    assert out == ""
    assert message in err


@pytest.mark.filterwarnings("ignore:(invalid|overflow).*:RuntimeWarning")
def test_when_every_variant_fails_the_exit_code_says_so(shown):
    wild = ["--optimizer", "sgd", "--vary", "rate=1e30,1e31"]
    code, out, _err = shown("compare", "iris", *wild, *FAST, "--no-report")
    assert code == 1
    assert "every variant failed" in out
    assert "so nothing is claimed of it" in out


def test_ctrl_c_before_each_variant_has_a_seed_says_how_to_go_on(shown, monkeypatch):
    def interrupted(recipes, **terms):
        yield next(train_here(recipes, test=False))
        raise KeyboardInterrupt

    monkeypatch.setattr(trials_module, "train_many", interrupted)
    code, _out, err = shown("compare", "iris", *VARY, *FAST)
    assert (code, err.strip()) == (
        130,
        "✗ interrupted before each variant had a seed; the same command goes on from there",
    )


def test_on_a_terminal_each_variant_has_a_line_with_its_scores(monkeypatch):
    from limpide.experiment.comparing import compare

    console = Console(width=100, force_terminal=True, record=True, color_system=None)
    seen = []

    class Recorded(Display):
        def draw(self, lines):
            self.live = _Still()
            self.lines = lines

        def __call__(self, trials):
            super().__call__(trials)
            with console.capture() as capture:
                console.print(self.lines)
            seen.append(capture.get())

    options = {"epochs": 2, "network": "4 relu", "engine": "numpy"}
    watch = Recorded(console, None)
    compare("iris", vary={"activation": ["relu", "tanh"]}, seeds=3, save=False, watch=watch, **options)
    assert "0 of 6 trainings" in seen[0]
    assert "3/3" in seen[-1]
    assert "6 of 6 trainings" in seen[-1]
    assert "┃" in seen[-1]


class _Still:
    def stop(self):
        pass


def test_a_strip_shows_scores_interval_and_mean():
    text = strip([0.0, 1.0], 0.5, 0.25, [0.0, 1.0]).plain
    assert len(text) == 32
    assert (text[0], text[-1], text[16]) == ("•", "•", "┃")
    assert text[12] == text[20] == "─"
    assert text[3] == " "
    assert "┃" in strip([2.0], 2.0, float("inf"), [2.0]).plain
