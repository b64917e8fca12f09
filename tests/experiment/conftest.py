"""Trainings that stay in this process, remembered, interrupted, or invented."""

from types import SimpleNamespace

import pytest

import limpide as lp
from limpide.errors import Diverged, LimpideError
from limpide.experiment import trials
from limpide.training import fit
from limpide.workers import Outcome


class Here:
    """`train_many` in this process, one recipe after the other; remembers what it trained, can be stopped by Ctrl-C."""

    def __init__(self, ctrl_c_after=None):
        self.trained, self.ctrl_c_after = [], ctrl_c_after

    def __call__(self, recipes, *, workers=None, source=None, test=True, watch=None):
        for i, recipe in enumerate(recipes):
            if len(self.trained) == self.ctrl_c_after:
                raise KeyboardInterrupt
            if watch:
                watch(i, None)
            self.trained.append(recipe)
            yield i, self.outcome(recipe, test)

    def outcome(self, recipe, test):
        try:
            training = fit(recipe)
            for _epoch in training:
                pass
            return Outcome(recipe, training.run(baselines=False, test=test), None)
        except LimpideError as error:
            return Outcome(recipe, None, error)


class Invented(Here):
    """Scores out of thin air, by (the network's text, the seed); None is a failure."""

    def __init__(self, score, data="iris"):
        super().__init__()
        self.score, self.sha = score, lp.open_source(data).sha256

    def outcome(self, recipe, test):
        value = self.score(recipe.network.layers, recipe.seed)
        if value is None:
            return Outcome(recipe, None, Diverged("NaN"))
        evaluation = SimpleNamespace(metrics={"accuracy": SimpleNamespace(value=value)})
        history = [SimpleNamespace(updates=10 * (i + 1), validation_loss=2.0 - value * i) for i in range(3)]
        run = SimpleNamespace(
            evaluations={"validation": evaluation, "test": evaluation},
            stop=SimpleNamespace(best_loss=2.0 - 2 * value, reason="epochs", place=""),
            history=history,
            seconds=0.25,
            dataset_sha256=self.sha,
        )
        return Outcome(recipe, run, None)


@pytest.fixture
def here(monkeypatch):
    """Trainings stay in this process; gives what remembers them."""

    def install(ctrl_c_after=None, score=None):
        crew = Here(ctrl_c_after) if score is None else Invented(score)
        monkeypatch.setattr(trials, "train_many", crew)
        return crew

    return install


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
