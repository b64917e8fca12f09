"""What follows from a data set alone is worked out once for it, however many trainings look at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from limpide.data.dataset import Dataset

More = ParamSpec("More")
Answer = TypeVar("Answer")


def once(work: Callable[Concatenate[Dataset, More], Answer]) -> Callable[Concatenate[Dataset, More], Answer]:
    """A function that keeps its answer for as long as the data set lives; whoever gets it must not change it.

    Two threads may both work it out, to the same end. Words for people would stay in the language of the first one.
    """
    kept: WeakKeyDictionary[Dataset, dict[object, Answer]] = WeakKeyDictionary()

    @wraps(work)
    def answer(dataset: Dataset, /, *args: More.args, **kwargs: More.kwargs) -> Answer:
        known, asked = kept.setdefault(dataset, {}), (args, tuple(kwargs.items()))
        if asked not in known:
            known[asked] = work(dataset, *args, **kwargs)
        return known[asked]

    return answer
