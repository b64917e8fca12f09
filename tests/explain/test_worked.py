"""Worked examples of the courses, with the arithmetic printed as it is there."""

import numpy as np
import pytest

from limpide.explaining import OpenedStep, number_at, prove
from limpide.explaining.arithmetic import Operation
from limpide.explaining.chain import as_product, chain
from limpide.explaining.page import as_parts
from limpide.explaining.printing import as_text
from limpide.explaining.sections import forward_of, of_answer, of_number, of_unit
from limpide.explaining.writing import Text, mathml, show_value
from limpide.i18n import set_language
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer

EXACT = Text()


def step_of(text, weights, x, y=None, loss="mse", rule="sgd", **options):
    given = {name: np.array(array, float) for name, array in weights.items()}
    network = Network.parse(text)
    weights = network.initialize(np.random.default_rng(0), given)
    targets = None if y is None else np.array(y)
    optimizer = make_optimizer(rule, **options)
    return OpenedStep(network, LOSSES[loss], optimizer, weights, np.array(x, float), targets, precision="float64")


def line(step, address, text=EXACT):
    return " = ".join(text.equation(number_at(step, address)))


def test_the_averaging_and_the_weighted_unit():
    third = 1 / 3
    mean = step_of("3, 1 no bias", {"0.dense.W": [[third]] * 3}, [[7, -3, 2]])
    assert number_at(mean, "0.dense.y[0]").value == pytest.approx(2)
    weighted = step_of("3, 1 no bias sigmoid", {"0.dense.W": [[0.6], [0.25], [0.15]]}, [[7, -3, 2]])
    assert line(weighted, "0.dense.y[0]") == (
        "y₀[0] = x[0]·W₀[0,0] + x[1]·W₀[1,0] + x[2]·W₀[2,0] = 7×0.6 + (-3)×0.25 + 2×0.15 = 3.75"
    )
    assert (
        line(weighted, "1.activation.y[0]", Text(6)) == "y₁[0] = 1 / (1 + e^(-y₀[0])) = 1 / (1 + e^(-3.75)) = 0.977023"
    )


def test_the_height_from_weight_and_age():
    grid = np.arange(1, 10).reshape(3, 3) / 10
    weights = {
        "0.dense.W": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], "0.dense.b": [0.1, 0.2, 0.3], "2.dense.W": grid,
        "2.dense.b": [0.1, 0.2, 0.3], "4.dense.W": [[0.1], [0.2], [0.3]], "4.dense.b": [0.1],
    }  # fmt: skip
    step = step_of("2, 3 relu, 3 relu, 1 relu", weights, [[70, 25]])
    assert line(step, "0.dense.y[0]") == "y₀[0] = x[0]·W₀[0,0] + x[1]·W₀[1,0] + b₀[0] = 70×0.1 + 25×0.4 + 0.1 = 17.1"
    assert [number_at(step, f"1.activation.y[{i}]").value for i in range(3)] == pytest.approx([17.1, 26.7, 36.3])
    assert [number_at(step, f"3.activation.y[{i}]").value for i in range(3)] == pytest.approx([37.9, 46.01, 54.12])
    values = line(step, "4.dense.y[0]", Text(5)).split(" = ")[-2:]
    assert values == ["37.9×0.1 + 46.01×0.2 + 54.12×0.3 + 0.1", "29.328"]


CHAIN = {
    "0.dense.W": [[0.5]], "0.dense.b": [0.1], "2.dense.W": [[-0.3]], "2.dense.b": [0.2],
    "4.dense.W": [[0.8]], "4.dense.b": [-0.1],
}  # fmt: skip
SLOPES = {
    "1, 1 sigmoid, 1 sigmoid, 1 sigmoid": (0.573216, 0.091072,
        [0.00234718, 0.00117359, -0.0156642, -0.02087835, -0.05154954, -0.10440818]),
    "1, 1 sigmoid, 1 sigmoid, 1": (0.294985, 0.248523,
        [0.01584934, 0.00792467, -0.10577235, -0.1409809, -0.3480878, -0.70501534]),
}  # fmt: skip


@pytest.mark.parametrize("text", SLOPES)
def test_back_propagation_on_a_chain(text):
    step = step_of(text, CHAIN, [[2.0]], [[1.0]], "half_mse", rate=0.1)
    output, loss, slopes = SLOPES[text]
    assert step.output[0, 0] == pytest.approx(output, abs=5e-7)
    assert number_at(step, "loss").value == pytest.approx(loss, abs=5e-7)
    names = ["0.dense.dW[0,0]", "0.dense.db[0]", "2.dense.dW[0,0]", "2.dense.db[0]", "4.dense.dW[0,0]", "4.dense.db[0]"]
    assert [number_at(step, name).value for name in names] == pytest.approx(slopes, abs=5e-9)


def test_a_slope_is_its_chain_of_factors_down_to_the_loss():
    step = step_of("1, 1 sigmoid, 1 sigmoid, 1 sigmoid", CHAIN, [[2.0]], [[1.0]], "half_mse", rate=0.1)
    slope = number_at(step, "2.dense.dW[0,0]")
    assert [number.name for number in chain(slope)] == [
        "2.dense.dW[0,0]", "2.dense.dy[0]", "3.activation.dy[0]", "4.dense.dy[0]", "5.activation.dy[0]",
    ]  # fmt: skip
    assert Text(5).symbols(as_product(slope).expression()) == (
        "(y₅[0] - t[0])·y₅[0]·(1 - y₅[0])·W₄[0,0]·y₃[0]·(1 - y₃[0])·y₁[0]"
    )
    assert prove(as_product(slope)).holds


def test_an_update_is_told_with_its_optimizer_before_and_after():
    step = step_of("1, 1", {"0.dense.W": [[2.0]], "0.dense.b": [0.0]}, [[3.0]], [[5.0]], rule="momentum", rate=0.25)
    assert line(step, "0.dense.dW[0,0]") == "∂J/∂W₀[0,0] = δ₀[0]·x[0] = 2×3 = 6"
    assert line(step, "velocity/0.dense.W[0,0]") == "v.W₀[0,0] = 0"
    assert line(step, "after/velocity/0.dense.W[0,0]") == "v.W₀′[0,0] = μ·v.W₀[0,0] + ∂J/∂W₀[0,0] = 0.9×0 + 6 = 6"
    assert line(step, "change/0.dense.W[0,0]") == "ΔW₀[0,0] = -α·v.W₀′[0,0] = -0.25×6 = -1.5"
    assert line(step, "after/0.dense.W[0,0]") == "W₀′[0,0] = W₀[0,0] + ΔW₀[0,0] = 2 + (-1.5) = 0.5"


def test_softmax_with_cross_entropy_is_the_probability_minus_the_truth():
    step = step_of("4, 4", {"0.dense.W": np.eye(4), "0.dense.b": [0.0] * 4}, [[2, 1, -1, 3]], [3], "cross_entropy")
    shares = [number_at(step, f"share[{i}]").value for i in range(4)]
    assert shares == pytest.approx([0.242, 0.089, 0.012, 0.657], abs=5e-4)
    assert line(step, "0.dense.dy[3]", Text(3)) == "δ₀[3] = p[3] - t[3] = 0.657 - 1 = -0.343"
    assert number_at(step, "row_loss").value == pytest.approx(-np.log(shares[3]))


def test_a_long_sum_is_shortened_in_the_text_and_whole_in_the_tree():
    rng = np.random.default_rng(0)
    step = step_of("784, 2", {}, rng.normal(size=(1, 784)))
    number = number_at(step, "0.dense.y[1]")
    assert "… 779 more …" in " ".join(EXACT.equation(number))
    assert len(number.expression().parts) == 785
    assert "more" not in " ".join(Text(most=1000).equation(number))


def test_the_sums_of_the_courses_are_written_whole():
    step = step_of("11, 6 relu", {}, np.ones((1, 11)))
    assert "more" not in line(step, "0.dense.y[5]")
    filtered = step_of("1x4x4, conv 1 3x3", {}, np.ones((1, 1, 4, 4)))
    assert "more" not in line(filtered, "0.conv.y[0,0,0]")


def test_a_number_opened_alone_is_written_with_more_of_its_terms():
    step = step_of("63, 2", {}, np.ones((1, 63)), [[0.0, 0.0]])
    view = step.views[0]
    assert "… 58 more …" in as_text([], [forward_of(view, 2, 5)], [], 10_000)
    for sections in (list(of_unit(view, (1,), 5)), [of_number(step, number_at(step, "0.dense.y[1]"), 5)]):
        assert "more …" not in as_text([], sections, [], 10_000)
        assert "more …" not in as_parts(sections)


def test_a_long_sum_has_several_lines_on_a_page():
    step = step_of("9, 1", {}, np.ones((1, 9)))
    page = mathml(number_at(step, "0.dense.y[0]"))
    assert page.count("<mo>=</mo>") == 3
    assert page.count("<mtd><mrow><mo>+</mo>") == 2 * 2, "ten terms in symbols, and in values: three lines each"
    assert "-" not in page, "minus signs are none of a keyboard"


def test_the_answer_names_what_the_classes_do_not_say_by_themselves():
    step = step_of("2, 2", {}, [[1, 2]], [1], "cross_entropy")
    answer = [step.top(0), step.share(0, 0), step.share(1, 0)]
    assert of_answer(step, ["0", "1"], [], 5).lines == []
    assert of_answer(step, ["no", "yes"], answer, 5).lines == [
        "the classes: 0 = no, 1 = yes",
        "m is the greatest score: with it taken off, no power of e is too large",
    ]


def test_a_probability_is_divided_by_and_not_multiplied_with_its_inverse():
    step = step_of("1, 1 sigmoid", {}, [[1.0]], [[0.0]], "binary_cross_entropy")
    symbols = Text(5).symbols(number_at(step, "1.activation.dy[0]").expression())
    assert symbols == "(1 - t[0]) / (1 - y₁[0]) - t[0] / y₁[0]"


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (1.00004, "float64", "1.0000"),
        (0.000741004, "float32", "0.00074100"),
        (7.4100123e-5, "float64", "7.4100e-5"),
        (0.93289715, "float32", "0.93290"),
        (0.94, "float32", "0.94"),
        (37.900000000000006, "float64", "37.9"),
        (17.0, "float32", "17"),
        (1e-8, "float64", "1e-8"),
    ],
)
def test_zeros_at_the_end_say_that_a_number_was_rounded(value, dtype, text):
    assert show_value(value, np.dtype(dtype), 5) == text


def test_numbers_are_written_as_the_language_does():
    step = step_of("3, 2 relu", {"0.dense.W": [[0.5, 0.25]] * 3, "0.dense.b": [0.0, 0.0]}, [[1, 2, 4]])
    set_language("fr")
    assert line(step, "1.activation.y[1]") == "y₁[1] = max(0; y₀[1]) = max(0; 1,75) = 1,75"
    assert "<mn>1,75</mn>" in mathml(number_at(step, "1.activation.y[1]"))
    assert show_value(-0.0) == "0"


def test_an_expression_may_be_walked():
    step = step_of("2, 1", {"0.dense.W": [[3.0], [4.0]], "0.dense.b": [5.0]}, [[1, 2]])
    expression = number_at(step, "0.dense.y[0]").expression()
    assert isinstance(expression, Operation)
    assert expression.kind == "sum"
    assert [part.name for part in expression.parts[0].parts] == ["x[0]", "0.dense.W[0,0]"]
