"""The tests themselves: one class, one method for each promise of an engine."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np

from limpide.arrays import Array, Tree
from limpide.engines.base import ENGINES, Engine, Precision, Trainer, get_engine
from limpide.errors import LimpideError, MissingPackage, Unsupported
from limpide.nn.network import Parameters
from limpide.nn.optimizers import make_optimizer
from limpide.settings import setting
from limpide.testing.cases import (
    FOREIGN,
    LAYER_CASES,
    LOSS_CASES,
    RULES,
    WHOLE_CASES,
    Case,
    Rule,
    assert_close,
    assert_same_bits,
    noise_of,
)
from limpide.testing.reference import (
    central_differences,
    modes_of,
    reference_loss,
    reference_output,
    reference_pass,
    reference_training,
)

MODES = ("train", "eval")
PRECISIONS: tuple[Precision, ...] = ("float64", "float32")

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "case": (*LAYER_CASES, *LOSS_CASES, *WHOLE_CASES),
    "whole": WHOLE_CASES,
    "rule": RULES,
    "mode": MODES,
    "precision": PRECISIONS,
}
"""What each argument of a test takes, one after the other."""

RULE_CASE = WHOLE_CASES[1]
ADAM = make_optimizer("adam", rate=0.02)
MOMENTUM = make_optimizer("momentum", rate=0.02)


class EngineConformance:
    """What every engine must satisfy. A test class names the engine and nothing else.

    engine  its name in `ENGINES`; where it is not installed the tests are skipped, or fail if the environment variable
            `LIMPIDE_REQUIRE_ENGINES` names it
    lacks   catalogue names (layers, activations, losses, optimizers, schedules) that the engine does not have and
            refuses by name; nothing else may be missing
    """

    engine: ClassVar[str | Engine]
    lacks: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def values(cls, argument: str) -> list[Any]:
        """What an argument of a test takes for this engine."""
        return [value for value in PARAMETERS[argument] if not getattr(value, "needs", set()) & cls.lacks]

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Each test once for every value of its arguments."""
        for argument in metafunc.fixturenames:
            if argument in PARAMETERS:
                metafunc.parametrize(argument, self.values(argument), ids=str)

    def open(self) -> Engine:
        """The engine under test."""
        if not isinstance(self.engine, str):
            return self.engine
        if self.engine not in ENGINES:
            return get_engine(self.engine)
        try:
            return get_engine(self.engine)
        except (MissingPackage, ImportError) as error:
            if self.engine in setting("LIMPIDE_REQUIRE_ENGINES").replace(" ", "").split(","):
                raise AssertionError(f"the engine {self.engine} is required here: {error}") from error
            raise SkipTest(f"the engine {self.engine} is not installed: {error}") from error

    def start(self, case: Case, optimizer: Any = MOMENTUM, n: int = 0, precision: Precision = "float64") -> Trainer:
        """A trainer of the case from its own weights."""
        return self.open().trainer(case.network, case.loss, optimizer, case.weights(), n, precision)

    # one pass

    def test_the_outputs_are_the_reference_s(self, case: Case, precision: Precision) -> None:
        """`Engine.forward`, with running statistics that are not those of birth."""
        x, _y = case.rows(precision=precision)
        output = self.open().forward(case.network, case.weights(), x)
        assert_close(output, reference_output(case.network, case.weights(), x), "pass", precision)

    def test_the_gradients_are_the_slopes_of_the_loss(self, case: Case, mode: str) -> None:
        """`Engine.loss_and_gradients` against central differences of the loss, for every parameter."""
        network, weights, (x, y) = case.network, case.weights(), case.rows()
        noise = noise_of(0) if mode == "train" else None
        loss, grads = self.open().loss_and_gradients(network, case.loss, weights, x, y, noise)
        assert_close(loss, reference_loss(network, case.loss, weights, x, y, noise), "pass", what="loss")
        assert grads.keys() == {slot.name for slot in network.slots}
        for name, grad in grads.items():

            def loss_at(array: Array, name: str = name) -> float:
                return reference_loss(network, case.loss, {**weights, name: array}, x, y, noise)

            assert_close(grad, central_differences(loss_at, weights[name]), "slopes", what=name)

    def test_the_gradients_are_the_reference_s(self, case: Case, mode: str, precision: Precision) -> None:
        """The same against the layers' own backward, in both float types."""
        network, weights, (x, y) = case.network, case.weights(), case.rows(precision=precision)
        noise = noise_of(0) if mode == "train" else None
        loss, grads = self.open().loss_and_gradients(network, case.loss, weights, x, y, noise)
        parameters = Parameters.of(network, weights, np.float64)
        expected = reference_pass(network, case.loss, parameters, x, y, modes_of(network, noise))
        assert_close(loss, expected.loss, "pass", precision, "loss")
        for name, grad in expected.grads.items():
            assert_close(grads[name], grad, "pass", precision, name)

    def test_the_gradient_for_the_input_is_the_slope_of_the_loss(self, case: Case) -> None:
        """`Trace.grad_input` against central differences: it shows a wrong layer that has no parameters."""
        network, weights, (x, y) = case.network, case.weights(), case.rows()
        trace = self.start(case).trace(x, y, noise_of(0))
        slopes = central_differences(lambda x: reference_loss(network, case.loss, weights, x, y, noise_of(0)), x)
        assert_close(trace.grad_input, slopes, "slopes")

    def test_a_trace_is_the_step_that_follows(self, case: Case) -> None:
        """Every number of `Trainer.trace` against the reference, the updates against the step then made."""
        network, (x, y) = case.network, case.rows()
        trainer = self.start(case, ADAM)
        before, state = trainer.weights(), trainer.state()
        trace = trainer.trace(x, y, noise_of(0))
        assert_same_bits(trainer.state(), state)
        assert trace.first_non_finite() is None

        parameters = Parameters.of(network, before, np.float64)
        expected = reference_pass(network, case.loss, parameters, x, y, modes_of(network, noise_of(0)))
        assert_close(trace.loss, expected.loss, "pass")
        assert_close(trace.output, expected.output, "pass")
        assert [layer.path for layer in trace.layers] == network.paths
        for i, (layer, out) in enumerate(zip(trace.layers, expected.outs)):
            assert_close(layer.input, expected.outs[i - 1].y if i else x, "pass", what=f"{layer.path} input")
            assert_close(layer.output, out.y, "pass", what=f"{layer.path} output")
            assert layer.grad_output.shape == out.y.shape
            for key, grad in layer.grads.items():
                assert_close(grad, expected.grads[f"{layer.path}.{key}"], "pass", what=f"{layer.path} {key}")
        assert {f"{layer.path}.{key}" for layer in trace.layers for key in layer.grads} == expected.grads.keys()

        losses = trainer.run(x, y, np.arange(len(x)), len(x), noise_of(0))
        assert_close(losses, [trace.loss], "pass")
        after = trainer.weights()
        assert trace.updates.keys() == expected.grads.keys()
        for name, update in trace.updates.items():
            assert_close(after[name] - before[name], update, "training", what=name)
        slots = ADAM.update(parameters.flat, expected.flat, ADAM.init(parameters.flat), 0, 0)[1]
        for slot, array in slots.items():
            laid_out = Parameters(network, array, {})
            for name in expected.grads:
                assert_close(trace.state[f"{slot}/{name}"], laid_out.views[name], "pass", what=f"{slot}/{name}")

    def test_what_first_goes_wrong_is_named(self, whole: Case) -> None:
        """`Trace.first_non_finite` on a row that holds NaN: the output of the first layer."""
        x, y = whole.rows()
        x[0] = np.nan
        trace = self.start(whole).trace(x, y, noise_of(0))
        assert trace.first_non_finite() == f"layer {whole.network.paths[0]}, output"

    # training

    def test_training_is_the_reference_s(self, case: Case, precision: Precision) -> None:
        """Two epochs of three batches, the last of two rows: losses, weights and running statistics."""
        x, y = case.rows(12, precision)
        orders = [np.random.default_rng(epoch).permutation(12)[:10] for epoch in range(2)]
        noises = [noise_of(epoch) for epoch in range(2)]
        trainer = self.start(case, precision=precision)
        losses = [trainer.run(x, y, order, 4, noise) for order, noise in zip(orders, noises)]
        expected, weights = reference_training(
            case.network, case.loss, MOMENTUM, case.weights(), x, y, orders, 4, noises, 0
        )
        assert_close(np.concatenate(losses), expected, "training", precision, "losses")
        for name, array in trainer.weights().items():
            assert_close(array, weights.pop(name), "training", precision, name)
        assert not weights

    def test_thirty_updates_are_the_reference_s(self, rule: Rule, precision: Precision) -> None:
        """Every optimizer, with weight decay, clipping and schedules."""
        case = RULE_CASE
        x, y = case.rows(38, precision)
        orders = [np.random.default_rng(epoch).permutation(38) for epoch in range(3)]
        noises = [noise_of(epoch) for epoch in range(3)]
        trainer = self.start(case, rule.optimizer, 30, precision)
        losses = [trainer.run(x, y, order, 4, noise) for order, noise in zip(orders, noises)]
        expected, weights = reference_training(
            case.network, case.loss, rule.optimizer, case.weights(), x, y, orders, 4, noises, 30
        )
        assert_close(np.concatenate(losses), expected, "training", precision, "losses")
        for name, array in trainer.weights().items():
            assert_close(array, weights[name], "training", precision, name)

    def test_the_last_small_batch_counts_by_its_own_rows(self, whole: Case) -> None:
        """Four rows and two in one epoch are an epoch of four and one of two."""
        x, y = whole.rows(6)
        noise = _one_stream_for_all_epochs()
        together, apart = self.start(whole), self.start(whole)
        losses = together.run(x, y, np.arange(6), 4, noise_of(0))
        first = apart.run(x, y, np.arange(4), 4, noise)
        last = apart.run(x, y, np.arange(4, 6), 2, noise)
        assert_close(losses, np.concatenate([first, last]), "training")
        for name, array in apart.weights().items():
            assert_close(together.weights()[name], array, "training", what=name)

    def test_evaluation_uses_the_weights_of_the_moment_and_no_noise(self, whole: Case, precision: Precision) -> None:
        """`Trainer.evaluate` after some updates."""
        x, y = whole.rows(8, precision)
        trainer = self.start(whole, precision=precision)
        trainer.run(x, y, np.arange(8), 4, noise_of(0))
        before = trainer.state()
        output = trainer.evaluate(x)
        assert_close(output, reference_output(whole.network, trainer.weights(), x), "pass", precision)
        assert_same_bits(trainer.state(), before)

    # divergence

    def test_nan_is_never_swallowed(self, case: Case) -> None:
        """One NaN in a row comes out of every layer: a loss that hides it would hide a divergence."""
        x, y = case.rows()
        x.reshape(5, -1)[0, 0] = np.nan
        assert np.isnan(self.open().forward(case.network, case.weights(), x)[0]).all()
        losses = self.start(case).run(x, y, np.arange(5), 5, noise_of(0))
        assert np.isnan(losses).tolist() == [True]

    def test_a_loss_that_is_not_finite_ends_the_epoch(self, whole: Case) -> None:
        """It is the last one returned, and its update was not made."""
        x, y = whole.rows(16)
        diverging, stopped = self.start(whole, ADAM), self.start(whole, ADAM)
        expected = stopped.run(x, y, np.arange(8), 4, noise_of(0))
        x[8] = np.nan
        losses = diverging.run(x, y, np.arange(16), 4, noise_of(0))
        assert len(losses) == 3
        assert np.isfinite(losses).tolist() == [True, True, False]
        np.testing.assert_array_equal(losses[:2], expected)
        assert_same_bits(diverging.state(), stopped.state())

    def test_a_rate_that_is_far_too_large_is_seen(self, precision: Precision) -> None:
        """Infinity, reached by the updates themselves, ends the epoch without a warning."""
        case = WHOLE_CASES[0]
        x, y = case.rows(4, precision)
        trainer = self.start(case, make_optimizer("sgd", rate=1e6), precision=precision)
        losses = trainer.run(x, y, np.tile(np.arange(4), 100), 4, noise_of(0))
        assert len(losses) < 100
        assert np.isfinite(losses[:-1]).all()
        assert not np.isfinite(losses[-1])

    # going on

    def test_a_resumed_training_is_the_uninterrupted_one(self, whole: Case, precision: Precision) -> None:
        """Bit for bit, dropout noise and running statistics included."""
        self._assert_resumes(whole, ADAM, precision)

    def test_every_optimizer_resumes_bit_for_bit(self, rule: Rule) -> None:
        """Its slots and its count of updates are part of the state."""
        self._assert_resumes(RULE_CASE, rule.optimizer, "float64")

    def _assert_resumes(self, case: Case, optimizer: Any, precision: Precision) -> None:
        x, y = case.rows(12, precision)
        orders = [np.random.default_rng(epoch).permutation(12) for epoch in range(3)]
        uninterrupted = self.start(case, optimizer, 9, precision)
        uninterrupted.run(x, y, orders[0], 4, noise_of(0))
        saved = uninterrupted.state()
        assert all(isinstance(array, np.ndarray) for array in saved.values())
        kept = {name: array.copy() for name, array in saved.items()}

        blank = {name: np.zeros_like(array) for name, array in case.weights().items()}
        resumed = self.open().trainer(case.network, case.loss, optimizer, blank, 9, precision)
        resumed.load_state(saved)
        for epoch in (1, 2):
            expected = uninterrupted.run(x, y, orders[epoch], 4, noise_of(epoch))
            np.testing.assert_array_equal(resumed.run(x, y, orders[epoch], 4, noise_of(epoch)), expected)
        assert_same_bits(resumed.state(), uninterrupted.state())
        assert_same_bits(resumed.weights(), uninterrupted.weights())
        assert_same_bits(saved, kept)

    # what is left alone

    def test_inputs_are_never_written_to(self, case: Case) -> None:
        """Arrays that cannot be written are accepted, and hold what they held."""
        weights, (x, y), order = case.weights(), case.rows(6), np.arange(6)
        copies = {**{name: array.copy() for name, array in weights.items()}, "x": x.copy(), "y": y.copy()}
        for array in (*weights.values(), x, y, order):
            array.flags.writeable = False
        engine = self.open()
        engine.forward(case.network, weights, x)
        engine.loss_and_gradients(case.network, case.loss, weights, x, y, noise_of(0))
        trainer = engine.trainer(case.network, case.loss, MOMENTUM, weights, precision="float64")
        trainer.trace(x, y, noise_of(0))
        trainer.run(x, y, order, 4, noise_of(0))
        trainer.evaluate(x)
        assert_same_bits({**weights, "x": x, "y": y}, copies)

        writeable = {name: array.copy() for name, array in weights.items()}
        moving = engine.trainer(case.network, case.loss, MOMENTUM, writeable, precision="float64")
        moving.run(x, y, order, 4, noise_of(0))
        assert_same_bits(writeable, {name: copies[name] for name in weights})

    def test_what_a_trainer_hands_out_is_a_copy(self, whole: Case) -> None:
        """Writing to its weights or its state moves nothing."""
        x, y = whole.rows()
        trainer = self.start(whole, ADAM)
        trainer.run(x, y, np.arange(5), 5, noise_of(0))
        weights, state = trainer.weights(), trainer.state()
        for array in (*trainer.weights().values(), *trainer.state().values()):
            array[...] = 7
        assert_same_bits(trainer.weights(), weights)
        assert_same_bits(trainer.state(), state)

    def test_the_same_call_gives_the_same_bits(self, case: Case, precision: Precision) -> None:
        """Twice the same pass, twice the same training."""
        x, y = case.rows(6, precision)
        engine, weights = self.open(), case.weights()
        trees: list[Tree] = []
        for _repeat in range(2):
            loss, grads = engine.loss_and_gradients(case.network, case.loss, weights, x, y, noise_of(0))
            trainer = self.start(case, precision=precision)
            losses = trainer.run(x, y, np.arange(6), 4, noise_of(0))
            output = engine.forward(case.network, weights, x)
            trees.append({"loss": loss, **grads, "losses": losses, "output": output, **trainer.state()})
        assert_same_bits(*trees)

    def test_the_float_type_is_kept(self, case: Case, precision: Precision) -> None:
        """Outputs, gradients, weights, state and trace: the precision asked for, whatever the weights came in."""
        x, y = case.rows(6, precision)
        engine = self.open()
        _loss, grads = engine.loss_and_gradients(case.network, case.loss, case.weights(), x, y, noise_of(0))
        trainer = self.start(case, ADAM, precision=precision)
        trainer.run(*case.rows(6), np.arange(6), 4, noise_of(0))
        trace = trainer.trace(x, y, noise_of(1))
        found: Tree = {
            "forward": engine.forward(case.network, case.weights(), x),
            "evaluate": trainer.evaluate(x),
            "trace": trace.output,
            "input gradient": trace.grad_input,
            **{f"gradient of {name}": array for name, array in grads.items()},
            **{f"weight {name}": array for name, array in trainer.weights().items()},
            **{f"update of {name}": array for name, array in trace.updates.items()},
            **{f"state {name}": array for name, array in trainer.state().items() if array.dtype.kind == "f"},
        }
        assert {name: str(array.dtype) for name, array in found.items()} == dict.fromkeys(found, precision)

    # what is missing

    def test_what_the_engine_lacks_is_refused(self) -> None:
        """`Unsupported`, and nothing else, for each case that needs what stands in `lacks`."""
        for argument in ("case", "rule"):
            for refused in [value for value in PARAMETERS[argument] if value.needs & self.lacks]:
                case, optimizer = (refused, MOMENTUM) if argument == "case" else (RULE_CASE, refused.optimizer)
                assert self._is_unsupported(case, optimizer), refused

    def test_what_stands_in_no_catalogue_is_run_right_or_refused(self) -> None:
        """A layer, a loss and an optimizer of someone else: right numbers or `Unsupported`, never silence."""
        for case, optimizer in FOREIGN:
            if self._is_unsupported(case, optimizer):
                continue
            x, y = case.rows(6)
            trainer = self.start(case, optimizer)
            losses = trainer.run(x, y, np.arange(6), 3, noise_of(0))
            expected, weights = reference_training(
                case.network, case.loss, optimizer, case.weights(), x, y, [np.arange(6)], 3, [noise_of(0)], 0
            )
            assert_close(losses, expected, "training", what=case.name)
            for name, array in trainer.weights().items():
                assert_close(array, weights[name], "training", what=f"{case.name}, {name}")

    def _is_unsupported(self, case: Case, optimizer: Any) -> bool:
        try:
            self.start(case, optimizer)
        except Unsupported:
            return True
        except LimpideError as error:
            raise AssertionError(f"{case}: {type(error).__name__} instead of Unsupported") from error
        return False


def _one_stream_for_all_epochs() -> Any:
    """Streams that are not opened anew: a second epoch goes on where the first stopped."""
    streams: dict[str, np.random.Generator] = {}
    return lambda path: streams.setdefault(path, noise_of(0)(path))
