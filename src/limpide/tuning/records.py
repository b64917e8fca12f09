"""Trials: points of the space with what they were worth, and the Optuna study that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from limpide.errors import RunError, problem
from limpide.evaluation import METRICS
from limpide.experiment.storages import open_study
from limpide.experiment.variants import Settled
from limpide.i18n import N_, _
from limpide.tuning.space import Space

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

State = Literal["open", "done", "pruned", "failed"]

STATES: dict[State, str] = {
    "open": N_("under way"),
    "done": N_("done"),
    "pruned": N_("given up"),
    "failed": N_("failed"),
}


@dataclass
class Trial:
    """A point of the space.

    number    from 1
    values    by knob
    settled   the recipe with these values; None where they do not fit the data
    scores    the metric on the validation rows, by seed
    seconds   of all its trainings
    state     "pruned": the first seed was behind the middle of the rounds before, and no other was trained
    error     why it failed
    diverged  seeds whose training diverged; the weights kept before were scored
    """

    number: int
    values: dict[str, Any]
    settled: Settled | None = None
    scores: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0
    state: State = "open"
    error: str = ""
    diverged: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float | None:
        """Of its scores; None before the first."""
        return fmean(self.scores.values()) if self.scores else None

    @property
    def parameters(self) -> int | None:
        """Of its network."""
        return self.settled.parameters if self.settled else None

    def facts(self) -> dict[str, Any]:
        """JSON."""
        return {
            **self.__dict__,
            "settled": self.settled.to_dict() if self.settled else None,
            "scores": {str(seed): score for seed, score in self.scores.items()},
        }

    @classmethod
    def from_facts(cls, saved: Mapping[str, Any]) -> Trial:
        """What `facts` made of one."""
        settled = Settled.from_dict(saved["settled"]) if saved["settled"] else None
        scores = {int(seed): score for seed, score in saved["scores"].items()}
        return cls(**{**saved, "settled": settled, "scores": scores})


def frozen(trial: Trial, space: Space) -> FrozenTrial:
    """A trial that is over as Optuna holds it: given up is "pruned", failed is "fail"."""
    from optuna.trial import TrialState, create_trial

    states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    return create_trial(
        state=states[trial.state],
        value=trial.mean if trial.state == "done" else None,
        params={knob.name: knob.told(trial.values[knob.name]) for knob in space.knobs},
        distributions={knob.name: knob.distribution() for knob in space.knobs},
        intermediate_values=dict(enumerate(trial.scores.values())),
        user_attrs={"limpide": trial.facts()},
    )


class Records:
    """The trials that are over, in an Optuna study: one of a storage, or with None of this process alone."""

    def __init__(self, storage: BaseStorage | None, name: str, space: Space, metric: str, question: str) -> None:
        """question  what tells searches apart

        Raises  RunError when the study holds another search
        """
        self._storage, self._space = storage, space
        self._here: dict[int, Trial] = {}
        if storage is None:
            return
        from optuna.study import StudyDirection

        best = StudyDirection.MAXIMIZE if METRICS[metric].higher_is_better else StudyDirection.MINIMIZE
        self._study = open_study(storage, name, best)
        held = storage.get_study_user_attrs(self._study).setdefault("question", question)
        if held != question:
            mend = _("name another folder; a search is one recipe, space, method and metric on one data")
            raise RunError(problem(name, _("trials of this search"), _("those of another"), mend))
        storage.set_study_user_attr(self._study, "question", question)

    def load(self) -> dict[int, Trial]:
        """Every trial by its number; of two with one number the first."""
        if self._storage is None:
            return dict(self._here)
        found: dict[int, Trial] = {}
        for held in self._storage.get_all_trials(self._study, deepcopy=False):
            facts = held.user_attrs.get("limpide")
            if facts is not None and facts["number"] not in found:
                found[facts["number"]] = Trial.from_facts(facts)
        return found

    def add(self, trial: Trial) -> None:
        """Keep a trial that is over."""
        self._here[trial.number] = trial
        if self._storage is not None:
            self._storage.create_new_trial(self._study, frozen(trial, self._space))
