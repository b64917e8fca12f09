"""Trainers that train wrong on purpose: the suite must catch each, by the test that is there for it."""

from dataclasses import dataclass

import numpy as np
import pytest

from limpide.engines.numpy_engine import NumpyEngine, NumpyTrainer
from limpide.nn.network import Network
from limpide.testing import failures


@dataclass(frozen=True)
class Trains(NumpyEngine):
    """The NumPy engine with another trainer."""

    trainer_class: type

    def trainer(self, network, loss, optimizer, weights, n_updates=0, precision="float32"):
        return self.trainer_class(network, loss, optimizer, weights, n_updates, precision)


class DropsTheLastBatch(NumpyTrainer):
    def run(self, x, y, order, batch_size, noise):
        whole = max(len(order) // batch_size, 1) * batch_size
        return super().run(x, y, order[:whole], batch_size, noise)


class WeighsTheLastBatchLikeAWholeOne(NumpyTrainer):
    def run(self, x, y, order, batch_size, noise):
        self.batch_size = batch_size
        return super().run(x, y, order, batch_size, noise)

    def _flat(self, grads):
        return super()._flat(grads) * (self.rows / self.batch_size if hasattr(self, "batch_size") else 1)

    def _update(self, x, y, modes):
        self.rows = len(x)
        return super()._update(x, y, modes)


class IgnoresTheOrder(NumpyTrainer):
    def run(self, x, y, order, batch_size, noise):
        return super().run(x, y, np.sort(order), batch_size, noise)


class ForgetsItsMomentum(NumpyTrainer):
    def load_state(self, state):
        super().load_state(state)
        self.optimizer_state = self.optimizer.init(self.parameters.flat)


class ForgetsItsStep(NumpyTrainer):
    def load_state(self, state):
        super().load_state({**state, "step": np.array(0)})


class ForgetsItsBuffers(NumpyTrainer):
    def load_state(self, state):
        buffers = {name: array for name, array in self.state().items() if name.startswith("buffer/")}
        super().load_state({**state, **buffers})


class ResumesOnTheSavedArrays(NumpyTrainer):
    def load_state(self, state):
        super().load_state(state)
        self.parameters = type(self.parameters)(self.network, state["params"], self.parameters.buffers)


class HandsOutItsOwnWeights(NumpyTrainer):
    def weights(self):
        return {**self.parameters.views, **self.parameters.buffers}


class WritesToItsInputs(NumpyTrainer):
    def run(self, x, y, order, batch_size, noise):
        x -= 0
        return super().run(x, y, order, batch_size, noise)


class TrainsTheGivenWeights(NumpyTrainer):
    def __init__(self, network, loss, optimizer, weights, n_updates, precision):
        super().__init__(network, loss, optimizer, weights, n_updates, precision)
        self.given = weights

    def run(self, x, y, order, batch_size, noise):
        losses = super().run(x, y, order, batch_size, noise)
        for name, array in self.given.items():
            if array.flags.writeable:
                array[...] = self.weights()[name]
        return losses


class UpdatesOnNaN(NumpyTrainer):
    def run(self, x, y, order, batch_size, noise):
        before = len(order) // batch_size
        return np.concatenate(
            [
                super(UpdatesOnNaN, self).run(x, y, rows, batch_size, noise)
                for rows in np.array_split(order, before or 1)
            ]
        )


class UpdatesBuffersOnNaN(NumpyTrainer):
    def _update(self, x, y, modes):
        value = super()._update(x, y, modes)
        if not np.isfinite(value):
            for i, w in enumerate(self.parameters.layers):
                self.parameters.set_buffers(i, {key: array * 0.9 for key, array in w.buffers.items()})
        return value


class TracesTheWrongUpdate(NumpyTrainer):
    def trace(self, x, y, noise):
        trace = super().trace(x, y, noise)
        trace.updates = {name: -array for name, array in trace.updates.items()}
        return trace


class StepsWhileTracing(NumpyTrainer):
    def trace(self, x, y, noise):
        trace = super().trace(x, y, noise)
        self.step += 1
        return trace


class KeepsTheNoiseOfTheEpoch(NumpyTrainer):
    """The same mask for every batch of an epoch."""

    def run(self, x, y, order, batch_size, noise):
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        return np.concatenate([super(KeepsTheNoiseOfTheEpoch, self).run(x, y, b, batch_size, noise) for b in batches])


class EvaluatesWithTheFirstWeights(NumpyTrainer):
    def __init__(self, network, loss, optimizer, weights, n_updates, precision):
        super().__init__(network, loss, optimizer, weights, n_updates, precision)
        self.first = {name: array.copy() for name, array in weights.items()}

    def evaluate(self, x):
        return NumpyEngine().forward(self.network, self.first, x)


class ComputesInDouble(NumpyTrainer):
    def evaluate(self, x):
        return super().evaluate(x).astype(np.float64)


class IsNotDeterministic(NumpyEngine):
    def loss_and_gradients(self, network, loss, weights, x, y, noise=None):
        value, grads = super().loss_and_gradients(network, loss, weights, x, y, noise)
        rng = np.random.default_rng()
        return value, {name: grad * (1 + 1e-13 * rng.random()) for name, grad in grads.items()}


class RoundsItsGradients(NumpyEngine):
    def loss_and_gradients(self, network, loss, weights, x, y, noise=None):
        value, grads = super().loss_and_gradients(network, loss, weights, x, y, noise)
        return value, {name: grad.astype(np.float16).astype(grad.dtype) for name, grad in grads.items()}


class HidesInfinity(NumpyTrainer):
    def _update(self, x, y, modes):
        return float(np.clip(super()._update(x, y, modes), 0, 1e30))


class BlamesNobody(NumpyTrainer):
    def trace(self, x, y, noise):
        return super().trace(np.nan_to_num(x), y, noise)


class SkipsWhatItDoesNotKnow(NumpyEngine):
    def trainer(self, network, loss, optimizer, weights, n_updates=0, precision="float32"):
        known = tuple(layer for layer in network.layers if layer.keyword != "doubled")
        return super().trainer(
            Network(network.input_shape, known), loss, optimizer, _renamed(weights), n_updates, precision
        )


def _renamed(weights):
    return {
        name.replace("2.dense", "1.dense") if "1.dense.W" not in weights else name: a for name, a in weights.items()
    }


TRAINING = "test_training_is_the_reference_s"
RESUMED = "test_a_resumed_training_is_the_uninterrupted_one"
ENDS = "test_a_loss_that_is_not_finite_ends_the_epoch"

BUGS = {
    "the same dropout mask for every batch": (Trains(KeepsTheNoiseOfTheEpoch), TRAINING, "dropout"),
    "an update made on NaN": (Trains(UpdatesOnNaN), ENDS, ""),
    "running statistics moved on NaN": (Trains(UpdatesBuffersOnNaN), ENDS, "batchnorm"),
    "last batch dropped": (Trains(DropsTheLastBatch), TRAINING, ""),
    "last batch weighed like a whole one": (
        Trains(WeighsTheLastBatchLikeAWholeOne),
        "test_the_last_small_batch_counts_by_its_own_rows",
        "",
    ),
    "order of the rows ignored": (Trains(IgnoresTheOrder), TRAINING, ""),
    "momentum lost on the way": (
        Trains(ForgetsItsMomentum),
        "test_every_optimizer_resumes_bit_for_bit",
        "momentum",
    ),
    "count of updates lost on the way": (
        Trains(ForgetsItsStep),
        "test_every_optimizer_resumes_bit_for_bit",
        "adam",
    ),
    "running statistics lost on the way": (Trains(ForgetsItsBuffers), RESUMED, "batchnorm"),
    "trains on the saved arrays": (Trains(ResumesOnTheSavedArrays), RESUMED, ""),
    "hands out its own weights": (
        Trains(HandsOutItsOwnWeights),
        "test_what_a_trainer_hands_out_is_a_copy",
        "",
    ),
    "trains the weights it was given": (
        Trains(TrainsTheGivenWeights),
        "test_inputs_are_never_written_to",
        "",
    ),
    "traces an update it does not make": (
        Trains(TracesTheWrongUpdate),
        "test_a_trace_is_the_step_that_follows",
        "",
    ),
    "moves on while tracing": (Trains(StepsWhileTracing), "test_a_trace_is_the_step_that_follows", ""),
    "evaluates with the first weights": (
        Trains(EvaluatesWithTheFirstWeights),
        "test_evaluation_uses_the_weights_of_the_moment_and_no_noise",
        "",
    ),
    "answers in another float type": (
        Trains(ComputesInDouble),
        "test_the_float_type_is_kept",
        "float32",
    ),
    "gradients rounded to half precision": (
        RoundsItsGradients(),
        "test_the_gradients_are_the_reference_s",
        "float32",
    ),
    "infinity hidden": (Trains(HidesInfinity), "test_a_rate_that_is_far_too_large_is_seen", ""),
    "traces a mended input": (Trains(BlamesNobody), "test_what_first_goes_wrong_is_named", ""),
    "not the same bits twice": (IsNotDeterministic(), "test_the_same_call_gives_the_same_bits", ""),
    "skips a layer it does not know": (
        SkipsWhatItDoesNotKnow(),
        "test_what_stands_in_no_catalogue_is_run_right_or_refused",
        "",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_suite_catches(bug):
    engine, name, where = BUGS[bug]
    assert any(where in what for what in failures(engine, name))


def test_an_input_written_to_is_caught():
    with pytest.raises(ValueError, match="read-only"):
        next(failures(Trains(WritesToItsInputs), "test_inputs_are_never_written_to"))
