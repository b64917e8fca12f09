"""Searches whose trainings stay in this process, with scores made up from the recipe and the seed."""

import json
import random
from pathlib import Path

import polars as pl
import pytest

import limpide as lp
from limpide import seeds
from limpide.errors import InputError, LimpideError, MissingPackage, RecipeError, RunError
from limpide.experiment import storages, trials
from limpide.tuning import exploring
from limpide.tuning.searching import search
from tests.experiment.conftest import Invented

SPACE = {"rate": "log(1e-4, 1e-1)", "network": ["4 relu", "8 relu", "16 relu"]}
QUICK = {"space": SPACE, "trials": 12, "repeats": 2, "fresh": 3, "at_once": 4, "report": False, "engine": "numpy"}


class Made(Invented):
    """Scores by recipe; outcomes come in any order, so many at a time as there are workers."""

    def __init__(self, score, n_workers=1, stop_after=None):
        super().__init__(score)
        self.n_workers, self.stop_after, self.tested = n_workers, stop_after, []

    def __call__(self, recipes, *, workers=None, source=None, test=True, watch=None):
        chance, given, pending = random.Random(0), iter(recipes), []
        number, is_open = 0, True
        while True:
            while is_open and len(pending) < self.n_workers:
                try:
                    recipe = next(given)
                except StopIteration:
                    is_open = False
                    break
                if recipe is None:
                    break
                if watch:
                    watch(number, None)
                pending.append((number, recipe))
                number += 1
            if not pending:
                return
            if len(self.trained) == self.stop_after:
                raise KeyboardInterrupt
            i, recipe = pending.pop(chance.randrange(len(pending)))
            self.trained.append(recipe)
            self.tested += [recipe] * test
            yield i, self.outcome(recipe, test)

    def outcome(self, recipe, test):
        invented, self.score = self.score, lambda _layers, _seed: invented(recipe)
        try:
            return super().outcome(recipe, test)
        finally:
            self.score = invented


def good(recipe):
    """Better near a rate of 0.01 and with more units, with the luck of the seed."""
    luck = seeds.stream(recipe.seed, "luck", recipe.hash()).normal()
    width = next(at for at, words in enumerate(("4 relu", "8 relu", "16 relu")) if words in recipe.network.layers)
    return 0.8 + 0.05 * width - 0.1 * abs(2 + seeds.np.log10(recipe.optimizer.rate)) + 0.005 * luck


def flat(recipe):
    """Nothing but luck."""
    return 0.8 + 0.02 * seeds.stream(recipe.seed, "luck", recipe.hash()).normal()


@pytest.fixture
def crew(monkeypatch):
    def install(score=good, **terms):
        made = Made(score, **terms)
        monkeypatch.setattr(trials, "train_many", made)
        return made

    return install


def facts(found):
    plain = found.to_dict()
    for trial in plain["trials"]:
        del trial["seconds"]
    return json.loads(json.dumps({**plain, "search": None}))


@pytest.mark.parametrize("method", ["bayes", "random", "grid"])
def test_the_same_seed_finds_the_same_with_any_number_of_workers(crew, method):
    found = []
    for n_workers in (1, 4):
        crew(n_workers=n_workers)
        found.append(facts(search("iris", **QUICK, method=method, save=False)))
    assert found[0] == found[1]
    assert (
        found[0]["trials"][0]["values"]
        != facts(search("iris", **QUICK, method=method, save=False, seed=5))["trials"][0]["values"]
    )


def test_what_was_interrupted_goes_on_and_more_trials_are_made_alone(crew):
    whole = facts(search("iris", **QUICK, save=False)) if crew() else None
    crew(stop_after=9, n_workers=2)
    part = search("iris", **QUICK, out="s")
    assert (part.stopped, part.test, part.ties) == ("interrupted", {}, [])
    assert part.recommended is part.winner
    assert "the same command goes on" in part.ending()
    rest = crew(n_workers=2)
    assert facts(search("iris", **QUICK, out="s")) == whole
    n_rest = len(rest.trained)
    assert crew()
    assert facts(search("iris", **QUICK, out="s")) == whole
    more = crew()
    longer = search("iris", **{**QUICK, "trials": 18}, out="s")
    assert {recipe.seed for recipe in more.trained} <= {0, 1, 1000, 1001, 1002}
    again = crew()
    at_once = facts(search("iris", **{**QUICK, "trials": 18}, save=False))
    # the test set may have been opened for a former winner
    assert at_once == facts(longer) | {name: at_once[name] for name in ("openings", "notes")}
    assert len(again.trained) > len(more.trained)
    assert n_rest < len(again.trained)


def test_ctrl_c_before_any_trial_is_over_is_passed_on(crew):
    crew(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        search("iris", **QUICK, out="s")


def test_a_trial_behind_the_middle_of_the_rounds_before_is_given_up(crew):
    crew(n_workers=3)
    found = search("iris", **QUICK, save=False)
    firsts = {trial.number: trial.scores[0] for trial in found.trials}
    for trial in found.trials:
        before = sorted(firsts[i] for i in range(1, (trial.number - 1) // 4 * 4 + 1))
        middle = (before[len(before) // 2] + before[(len(before) - 1) // 2]) / 2 if before else -1
        assert (trial.state == "pruned") == (firsts[trial.number] < middle)
        assert set(trial.scores) == ({0} if trial.state == "pruned" else {0, 1})
    assert {trial.state for trial in found.trials} == {"done", "pruned"}


def test_the_winner_has_fresh_seeds_and_its_test_score_is_taken_once(crew):
    made = crew()
    found = search("iris", **QUICK, out="s")
    assert found.winner.mean == max(trial.mean for trial in found.ranked)
    assert [(recipe.seed, recipe.optimizer.rate) for recipe in made.tested] == [
        (1000 + i, found.winner.values["rate"]) for i in range(3)
    ]
    assert set(found.fresh) == set(found.finalists)
    assert {tuple(of) for of in found.fresh.values()} == {(1000, 1001, 1002)}
    assert len(made.trained) == len({(r.hash()) for r in made.trained})
    assert (found.openings, set(found.test)) == (1, {1000, 1001, 1002})
    shut = crew()
    assert search("iris", **QUICK, save=False, open_test=False).test == {}
    assert shut.tested == []


def test_an_opening_for_another_winner_is_counted(crew):
    crew(lambda recipe: 0.5 + 0.001 * recipe.optimizer.rate)
    first = search("iris", **{**QUICK, "trials": 4}, out="s")
    second = search("iris", **{**QUICK, "trials": 20}, out="s")
    assert first.winner.number != second.winner.number
    assert (first.openings, second.openings) == (1, 2)
    assert any("opened for 2 winners" in note for note in second.notes())


def test_luck_is_not_in_the_fresh_score(crew):
    crew(flat)
    found = search("iris", **{**QUICK, "trials": 30, "repeats": 1, "fresh": 8}, save=False)
    numbers = found.to_dict()
    assert numbers["search_score"] > 0.815
    assert abs(numbers["fresh_score"] - 0.8) < 0.02
    assert len(found.ties) == 4
    near = [found.winner, *(one.trial for one in found.beside if one.is_near)]
    assert found.recommended.parameters == min(trial.parameters for trial in near)
    said = f"The simplest within a standard error of it is {found.recommended.number}"
    if found.recommended is found.winner:
        said = "None of them is simpler: it is recommended."
    assert said in found.verdict


def test_a_simpler_one_that_is_worse_is_not_recommended(crew):
    crew(lambda recipe: good(recipe) + (0.2 if "16" in recipe.network.layers else 0))
    found = search("iris", **{**QUICK, "trials": 16, "fresh": 6}, save=False)
    assert "16" in found.recommended.settled.recipe.network.layers
    assert all("16" in trial.settled.recipe.network.layers for trial in found.ties)


def test_a_simpler_one_that_ties_by_its_spread_alone_is_not_recommended(crew):
    crew(lambda recipe: good(recipe) if "16" in recipe.network.layers else 0.35 + 0.5 * (recipe.seed % 2))
    found = search("iris", **{**QUICK, "trials": 8, "fresh": 5}, save=False)
    small = [trial for trial in found.ties if "16" not in trial.settled.recipe.network.layers]
    assert small
    assert "16" in found.recommended.settled.recipe.network.layers
    assert "The simpler ones are more than a standard error behind" in found.verdict


def test_lower_is_better_for_errors(crew):
    made = crew(lambda recipe: abs(2 + seeds.np.log10(recipe.optimizer.rate)))
    made.sha = lp.open_source("diabetes").sha256
    outcome = made.outcome

    def measured(recipe, test):
        found = outcome(recipe, test)
        for evaluation in found.run.evaluations.values():
            evaluation.metrics["rmse"] = evaluation.metrics["accuracy"]
        return found

    made.outcome = measured
    found = search("diabetes", **QUICK, save=False, metric="rmse")
    assert found.winner.mean == min(trial.mean for trial in found.ranked)
    assert all(trial.mean >= found.winner.mean for trial in found.trials)


def test_trials_that_fail_are_told_and_never_dropped(crew):
    crew(lambda recipe: None if recipe.optimizer.rate > 0.003 else good(recipe))
    space = {**SPACE, "network": ["4 relu", "9, 4 relu, 3"]}
    found = search("iris", **{**QUICK, "space": space, "trials": 16}, out="s")
    assert len(found.trials) == 16
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert {trial.error for trial in failed} >= {"NaN"}
    told = "\n".join(found.troubles())
    assert "NaN" in told
    assert "network, input: expected 4, got 9" in told
    assert all(str(trial.number) in told for trial in failed)
    crew()
    again = search("iris", **{**QUICK, "space": space, "trials": 16}, out="s")
    assert facts(again) == facts(found)


def test_when_every_trial_fails_that_is_said(crew):
    crew(lambda recipe: None)
    found = search("iris", **QUICK, out="s")
    assert found.verdict == "Nothing was found: no trial came to its end."
    assert (found.winner, found.recommended, found.importance) == (None, None, {})
    with pytest.raises(RunError, match="expected a trial that came to its end"):
        _ = found.recipe
    json.dumps(found.to_dict(), allow_nan=False)
    found.report()


def test_the_recommended_recipe_is_one_that_train_takes(crew):
    crew()
    found = search("iris", **QUICK, out="s", epochs=2)
    run = lp.train("s/best.toml", save=False, baselines=False)
    assert run.recipe.optimizer.rate == found.recommended.values["rate"]
    assert run.network.n_parameters == found.recommended.parameters
    assert f"trial {found.recommended.number} of the search" in Path("s/best.toml").read_text()


def test_real_trainings_are_scored_as_single_runs_are(here):
    here()
    found = search("iris", **{**QUICK, "trials": 2, "fresh": 1}, save=False, epochs=2)
    for trial in found.ranked:
        for seed, score in trial.scores.items():
            run = lp.train(found.question.training(trial, seed).recipe, save=False, baselines=False)
            assert run.evaluations["validation"].metrics["accuracy"].value == score
    run = lp.train(found.question.training(found.winner, 1000).recipe, save=False, baselines=False)
    assert found.test == {1000: run.test.main.value}


def test_a_small_space_ends_the_search(crew):
    crew()
    found = search("iris", **{**QUICK, "space": {"network": ["4 relu", "8 relu"]}}, save=False)
    assert (len(found.trials), found.stopped) == (2, "trials")
    crew(flat)
    grid = search(
        "iris", **{**QUICK, "trials": None, "space": {"rate": "log(1e-3, 1e-1, 3)"}}, method="grid", save=False
    )
    assert sorted(trial.values["rate"] for trial in grid.trials) == [0.001, 0.01, 0.1]


def test_a_budget_leaves_time_for_what_follows_the_search(crew, monkeypatch):
    made = crew()
    monkeypatch.setattr(exploring.time, "monotonic", lambda: 10.0 * len(made.trained))
    found = search("iris", **{**QUICK, "trials": None}, budget="15m", save=False)
    assert found.stopped == "time"
    n_search = sum(len(trial.scores) for trial in found.trials)
    assert 70 <= n_search <= 76
    # the one that was under way when the time was up is lost
    assert len(made.trained) == n_search + 1 + 5 * 3 <= 91
    assert "the time is up after" in found.ending()


def test_a_space_beside_the_recipe_is_searched(crew, tmp_path):
    crew()
    (tmp_path / "r.toml").write_text(
        '[data]\nsource = "iris"\n[space]\nrate = "log(1e-3, 1e-1)"\nnetwork = "4 relu, 8 relu"\n'
    )
    found = search("r.toml", **{**QUICK, "space": None, "trials": 3}, save=False)
    assert [knob.name for knob in found.question.space.knobs] == ["rate", "network"]


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"space": None}, "space: expected something to try, got nothing"),
        ({"metric": "r2"}, "metric: expected one for a multiclass target, got 'r2'"),
        ({"metric": "acuracy"}, 'did you mean "accuracy"?'),
        ({"method": "baies"}, 'did you mean "bayes"?'),
        ({"trials": 0, "repeats": -1}, "trials: expected a number of at least 1, got 0"),
        ({"repeats": 1001}, "repeats: expected a number of at most 1000"),
        ({"budget": "soon"}, "budget: expected a time"),
        ({"space": {"raet": "log(1e-3, 1)"}}, 'did you mean "rate"?'),
    ],
)
def test_bad_input_is_told_before_anything_is_written(tmp_path, terms, told):
    with pytest.raises(InputError) as error:
        search("iris", **{**QUICK, **terms})
    assert told in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_another_search_in_the_folder_is_refused(crew):
    crew()
    search("iris", **{**QUICK, "trials": 2}, out="s")
    with pytest.raises(RunError, match="expected trials of this search, got those of another"):
        search("iris", **{**QUICK, "space": {"rate": "log(1e-3, 1e-1)"}}, out="s")


def test_without_optuna_the_command_that_brings_it_is_told(monkeypatch):
    monkeypatch.setattr(storages, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"pip install 'limpide\[search\]'"):
        search("iris", **QUICK)


def test_the_report_and_the_figures_say_what_was_found(crew):
    crew()
    found = search("iris", **{**QUICK, "trials": 20, "report": True}, out="s")
    page = Path("s/report.html").read_text()
    for text in (found.verdict, "The finalists", "Which knobs matter", "From values to scores", "Why fresh seeds"):
        assert text in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert found.figures.names() == ["history", "importance", "parallel"]
    assert next(iter(found.importance)) == "rate"
    assert sum(found.importance.values()) == pytest.approx(1)
    assert found._repr_html_().startswith("<p><strong>Trial")


def test_a_line_cut_short_by_a_power_failure_is_taken_away(crew, tmp_path):
    crew()
    whole = facts(search("iris", **QUICK, out="s"))
    journal = tmp_path / "s" / "journal.log"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert facts(search("iris", **QUICK, out="s")) == whole
    journal.write_bytes(b"not a line\n" + journal.read_bytes())
    with pytest.raises(LimpideError, match="expected a journal of Optuna"):
        search("iris", **QUICK, out="s")


def test_a_seed_outside_a_recipe_is_refused():
    with pytest.raises(RecipeError, match="seed"):
        search("iris", **QUICK, seed=-1)


def test_where_the_metric_is_defined_nowhere_a_search_says_why_and_draws_nothing():
    pytest.importorskip("optuna")
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
    terms = {"method": "grid", "repeats": 1, "fresh": 1, "workers": 1, "save": False}
    found = lp.search(frame, space={"rate": [0.1, 0.01]}, **terms, target="y", epochs=2, engine="numpy")
    assert found.troubles() == ["failed: trial 1, 2: the metric is not defined on these rows"]
    assert found.verdict == "Nothing was found: no trial came to its end."
    assert found.verdict in found._repr_html_()
