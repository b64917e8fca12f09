import json
from types import SimpleNamespace

import numpy as np
import pytest

import limpide as lp
from limpide.errors import InputError, LimpideError, RecipeError, RunError
from limpide.experiment import trials
from limpide.experiment.comparing import compare, read_time
from limpide.experiment.scores import Shelf
from limpide.many import train_many

SMALL = {"epochs": 2, "network": "4 relu", "engine": "numpy"}
QUICK = {**SMALL, "report": False}
ACTIVATIONS = {"activation": ["relu", "tanh"]}


def scores_of(comparison):
    return {name: {seed: s.metrics for seed, s in of.items()} for name, of in comparison.scores.items()}


def test_variants_share_seeds_and_split(here):
    crew = here()
    compare("iris", vary=ACTIVATIONS, seeds=3, save=False, **QUICK, seed=7)
    assert [(r.seed, r.split.seed) for r in crew.trained] == [(7, 7), (7, 7), (8, 7), (8, 7), (9, 7), (9, 7)]
    crew.trained.clear()
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, splits=True, save=False, **QUICK)
    assert {r.split.seed for r in crew.trained} == {None}
    assert comparison.terms.overlap == pytest.approx(22 / 98)


def test_the_scores_are_those_of_single_runs_on_their_validation_rows(here):
    here()
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, save=False, **QUICK)
    for name, of in comparison.scores.items():
        for seed, score in of.items():
            recipe = comparison.settled[name].recipe.with_values({"seed": seed, "split.seed": 0})
            run = lp.train(recipe, save=False, baselines=False)
            assert score.metrics == {n: m.value for n, m in run.evaluations["validation"].metrics.items()}
            assert (score.epochs, score.loss) == (len(run.history), run.stop.best_loss)


def test_the_test_set_stays_shut_unless_it_is_asked_for(here, monkeypatch):
    crew, opened = here(), []
    outcome = crew.outcome
    monkeypatch.setattr(crew, "outcome", lambda recipe, test: opened.append(test) or outcome(recipe, test))
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, **QUICK)
    assert set(opened) == {False}
    assert "the test set was not opened" in comparison.notes()
    opened.clear()
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, open_test=True, **QUICK)
    name, scores = comparison.test
    assert (opened, name, sorted(scores)) == ([True] * 3, comparison.standings.order[0], [0, 1, 2])
    assert any(note.startswith(f"the test set was opened, once, for {name}: accuracy") for note in comparison.notes())
    opened.clear()
    compare("iris", vary=ACTIVATIONS, seeds=3, open_test=True, **QUICK)
    assert opened == []


def test_what_is_done_is_not_done_again_and_more_seeds_train_those_alone(here, tmp_path):
    crew = here()
    compare("iris", vary=ACTIVATIONS, seeds=3, **QUICK)
    crew.trained.clear()
    again = compare("iris", vary=ACTIVATIONS, seeds=3, **QUICK)
    assert crew.trained == []
    more = compare("iris", vary=ACTIVATIONS, seeds=5, **QUICK)
    assert sorted(recipe.seed for recipe in crew.trained) == [3, 3, 4, 4]
    whole = compare("iris", vary=ACTIVATIONS, seeds=5, out=tmp_path / "other", **QUICK)
    assert scores_of(more) == scores_of(whole)
    assert [again.terms.n_looks, more.terms.n_looks, whole.terms.n_looks] == [1, 2, 1]
    assert [again.terms.alpha, more.terms.alpha, whole.terms.alpha] == [0.05, 0.0125, 0.05]


def test_a_variant_more_trains_that_one_alone(here, tmp_path):
    crew = here()
    compare("iris", vary=ACTIVATIONS, seeds=3, out="c", **QUICK)
    crew.trained.clear()
    comparison = compare("iris", vary={"activation": ["relu", "tanh", "silu"]}, seeds=3, out="c", **QUICK)
    assert len(crew.trained) == 3
    assert len(comparison.rows) == 3


def test_ctrl_c_gives_the_verdict_so_far_and_the_rest_is_trained_later(here, tmp_path):
    here(ctrl_c_after=7)
    part = compare("iris", vary=ACTIVATIONS, seeds=5, out="c", **QUICK)
    assert (part.stopped, part.seeds) == ("interrupted", (0, 1, 2))
    assert part.terms.alpha == 0.025
    assert "interrupted after 3 seeds each; the same command goes on" in part.ending()
    crew = here()
    whole = compare("iris", vary=ACTIVATIONS, seeds=5, out="c", **QUICK)
    assert len(crew.trained) == 3
    fresh = compare("iris", vary=ACTIVATIONS, seeds=5, save=False, **QUICK)
    assert scores_of(whole) == scores_of(fresh)


def test_ctrl_c_before_every_variant_has_a_seed_is_passed_on_and_loses_nothing(here):
    here(ctrl_c_after=1)
    with pytest.raises(KeyboardInterrupt):
        compare("iris", vary=ACTIVATIONS, seeds=3, out="c", **QUICK)
    crew = here()
    compare("iris", vary=ACTIVATIONS, seeds=3, out="c", **QUICK)
    assert len(crew.trained) == 5


def test_a_score_that_is_damaged_is_trained_again(here, tmp_path):
    crew = here()
    first = compare("iris", vary=ACTIVATIONS, seeds=3, out="c", **QUICK)
    files = sorted((tmp_path / "c" / "results").iterdir())
    assert len(files) == 6
    files[0].write_text(files[0].read_text()[:50])
    files[1].write_text("{}")
    crew.trained.clear()
    assert scores_of(compare("iris", vary=ACTIVATIONS, seeds=3, out="c", **QUICK)) == scores_of(first)
    assert len(crew.trained) == 2


def test_data_that_changed_is_trained_on_anew(here, tmp_path, rng):
    table = tmp_path / "t.csv"

    def write(shift):
        rows = [f"{x:.4f},{x * 2 + shift:.4f}" for x in np.random.default_rng(0).normal(size=60)]
        table.write_text("a,b\n" + "\n".join(rows) + "\n")

    crew = here()
    for shift, n in ((0, 6), (0, 0), (1, 6)):
        write(shift)
        crew.trained.clear()
        compare(table, vary={"rate": [0.1, 0.01]}, seeds=3, out="c", **QUICK)
        assert len(crew.trained) == n


def test_a_folder_of_something_else_is_left_alone(here, tmp_path):
    here()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="expected a new or empty folder"):
        compare("iris", vary=ACTIVATIONS, seeds=3, out="c", **QUICK)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "plan.json").write_text('{"format": 9}')
    with pytest.raises(RunError, match="install a newer limpide"):
        Shelf(tmp_path / "d")
    (tmp_path / "d" / "plan.json").write_text('{"format')
    with pytest.raises(RunError, match="expected whole JSON"):
        Shelf(tmp_path / "d")


def test_the_number_of_workers_changes_nothing():
    options = {**QUICK, "engine": "compiled"}
    one, two = (compare("iris", vary=ACTIVATIONS, seeds=3, workers=n, save=False, **options) for n in (1, 2))
    assert scores_of(one) == scores_of(two)
    facts, others = one.to_dict(), two.to_dict()
    for variant in (*facts["variants"], *others["variants"]):
        del variant["seconds"]
    assert facts == others


def test_a_run_folder_is_not_written_without_its_test(tmp_path):
    with pytest.raises(InputError, match="test: expected runs kept in memory, got a folder"):
        train_many([lp.Recipe.from_options("iris")], test=False, out=tmp_path)


def test_processes_train_with_the_test_set_shut():
    ((_i, outcome),) = train_many([lp.Recipe.from_options("iris", **SMALL)], test=False)
    assert set(outcome.run.evaluations) == {"validation"}
    with pytest.raises(RunError, match="expected a run measured on its test set"):
        _ = outcome.run.test
    assert "validation rows" in repr(outcome.run)


def test_a_budget_adds_seeds_until_the_verdict_is_settled(here):
    crew = here(score=lambda layers, seed: (0.9 if "relu" in layers else 0.7) + 0.01 * (seed % 5))
    comparison = compare("iris", vary=ACTIVATIONS, seeds=4, budget="10m", save=False, **QUICK)
    assert (comparison.stopped, len(comparison.seeds)) == ("settled", 9)
    assert len(crew.trained) == 18
    # a difference that is always the same is judged by the sign test: 2/2^9 is the first below the third look's level
    assert comparison.terms.alpha == 0.05 / 2**3
    assert comparison.terms.n_looks == 3
    assert "relu is better than tanh by 20" in comparison.verdict


def test_a_budget_that_is_used_up_says_so(here, monkeypatch):
    rng = np.random.default_rng(0)
    here(score=lambda layers, seed: float(rng.uniform(0.5, 0.9)))
    clock = iter(range(10**6))
    monkeypatch.setattr(trials.time, "monotonic", lambda: next(clock))
    comparison = compare("iris", vary=ACTIVATIONS, seeds=4, budget=100, save=False, **QUICK)
    assert comparison.stopped == "time"
    assert 4 <= len(comparison.seeds) < 100
    assert comparison.ending().startswith("the time is up after ")
    assert not comparison.standings.is_settled


def test_a_budget_too_small_for_one_seed_is_no_failure_of_the_variants(here, monkeypatch):
    crew = here(score=lambda layers, seed: 0.5)
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(trials.time, "monotonic", lambda: next(clock))
    with pytest.raises(RunError, match="budget: expected time for a training of each variant, got less; give more"):
        compare("iris", vary=ACTIVATIONS, seeds=4, budget=1, save=False, **QUICK)
    assert crew.trained == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("10m30", 630), ("1h30m", 5400), ("1h30", 5400), ("1.5h", 5400), (42, 42)],
)
def test_a_budget_is_read_as_people_write_it(text, seconds):
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "ten minutes", "0", "-5m", "10x", float("nan"), 0])
def test_a_budget_that_is_no_time_is_refused(text):
    with pytest.raises(RecipeError, match=r"budget: expected a time such as"):
        read_time(text)


@pytest.mark.filterwarnings("ignore:(invalid|overflow).*:RuntimeWarning")
def test_a_variant_that_does_not_fit_or_diverges_is_reported_and_never_dropped(here):
    here()
    recipes = {
        "sound": lp.Recipe.from_options("iris", **SMALL),
        "sound too": lp.Recipe.from_options("iris", **SMALL, rate=0.1),
        "misfit": lp.Recipe.from_options("iris", epochs=2, network="9, 4 relu, 3"),
        "wild": lp.Recipe.from_options("iris", **SMALL, optimizer="sgd", rate=1e30),
    }
    comparison = compare(recipes, seeds=3, save=False)
    rows = {row.name: row for row in comparison.rows}
    assert set(rows) == set(recipes)
    assert (rows["misfit"].standing, rows["wild"].standing) == ("failed", "failed")
    assert set(rows["wild"].failed) == {0, 1, 2}
    told = "\n".join(comparison.troubles())
    assert "misfit was not trained: network, input: expected 4, got 9" in told
    assert "wild failed under 3 of 3 seeds, so nothing is claimed of it" in told
    assert "wild" not in comparison.verdict


def test_a_variant_that_failed_once_is_neither_better_nor_equal(here):
    here(score=lambda layers, seed: None if "relu" in layers and seed == 2 else 0.9 if "relu" in layers else 0.5)
    comparison = compare("iris", vary={"activation": ["relu", "tanh", "silu"]}, seeds=8, save=False, **QUICK)
    pair = comparison.standings.pair("relu", "tanh")
    assert (pair.finding, pair.failed) == ("open", ("relu",))
    assert comparison.standings.leaders == ("tanh", "silu")
    assert "relu failed under 1 of 8 seeds" in comparison.troubles()[0]
    assert comparison.words.pair(pair) == "Not shown: relu failed under some seeds"


def test_when_none_fits_the_reason_is_the_answer(here):
    here()
    with pytest.raises(LimpideError, match="network, input: expected 4, got 9"):
        compare("iris", vary={"rate": [0.1, 0.2]}, seeds=3, network="9, 4 relu, 3", save=False)
    here(score=lambda layers, seed: None)
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, **QUICK)
    assert comparison.verdict == "Nothing is shown: every variant failed under some seed."
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_a_training_that_diverges_late_counts_with_the_weights_kept(here, monkeypatch):
    crew = here(score=lambda layers, seed: 0.5 + 0.01 * seed)
    outcome = crew.outcome

    def diverged(recipe, test):
        made = outcome(recipe, test)
        if recipe.seed == 1:
            made.run.stop = SimpleNamespace(best_loss=1.0, reason="diverged", place="update 9")
        return made

    monkeypatch.setattr(crew, "outcome", diverged)
    comparison = compare("iris", vary=ACTIVATIONS, seeds=3, save=False, **QUICK)
    assert [row.diverged for row in comparison.rows] == [(1,), (1,)]
    assert len(comparison.rows[0].scores) == 3
    assert "diverged under 1 of 3 seeds; the weights kept before were scored" in comparison.troubles()[0]
