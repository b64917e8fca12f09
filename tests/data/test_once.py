import gc
import weakref

import numpy as np

from limpide.data.dataset import Dataset
from limpide.data.once import once


def images():
    return Dataset("t", "t", np.zeros((3, 1, 2, 2), np.uint8), None)


def test_each_question_to_a_data_set_is_worked_out_once():
    calls = []

    @once
    def answer(dataset, *more, **named):
        calls.append((id(dataset), more, named))
        return [len(dataset), more, named]

    first, second = images(), images()
    assert answer(first) is answer(first)
    assert answer(first, 1) == [3, (1,), {}]
    assert answer(first, 1, way="b") == [3, (1,), {"way": "b"}]
    assert answer(first, 1) is answer(first, 1)
    assert answer(second) is not answer(first)
    assert len(calls) == 4


def test_an_answer_does_not_keep_its_data_set():
    count = once(lambda dataset: len(dataset))
    dataset = images()
    assert count(dataset) == 3
    kept = weakref.ref(dataset)
    del dataset
    gc.collect()
    assert kept() is None
