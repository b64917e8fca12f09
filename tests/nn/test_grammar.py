import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.errors import InputError, LimpideError, RecipeError, ShapeError
from limpide.nn.grammar import complete_network
from limpide.nn.layers import Activation, Dense, Flatten
from limpide.nn.network import Network


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("11-6-6-1 relu", "11, 6 relu, 6 relu, 1"),
        ("2-1", "2, 1"),
        ("2-4x3-1 tanh", "2, 4 tanh, 4 tanh, 4 tanh, 1"),
        ("2, 40x5 relu, 1", "2, 40 relu, 40 relu, 40 relu, 40 relu, 40 relu, 1"),
        ("28x28, 10", "28x28, flatten, 10"),
        ("28×28,10", "28x28, flatten, 10"),
        ("  3 ,  64   relu,1 ", "3, 64 relu, 1"),
        ("3, 4 swish, 1", "3, 4 silu, 1"),
        ("3, 4, batchnorm relu, 1", "3, 4, batchnorm, relu, 1"),
        ("3, 4 leaky_relu 0.2, 1", "3, 4, leaky_relu 0.2, 1"),
        ("3, residual ( 4x2  relu,3 ) relu ,1", "3, residual(4 relu, 4, relu, 3), relu, 1"),
    ],
)
def test_short_forms_are_the_long_ones(short, long):
    assert Network.parse(short) == Network.parse(long)


def test_a_dense_layer_right_behind_an_image_gets_its_flatten():
    assert Network.parse("1x2x2, relu, 3").layers == (Flatten(), Activation("relu"), Dense(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'network: expected layers, got an empty text; write for example "64 relu, 1"'),
        ("relu, 3", "network: expected the shape of the input first, such as 3 or 1x28x28, got 'relu'; "
            'write "INPUT, relu, 3"'),
        ("0, 3", "network: expected the shape of the input first, such as 3 or 1x28x28, got '0'; "
            'write "INPUT, 0, 3"'),
        ("3", "network: expected at least one layer behind the input, got '3'"),
        ("3,, 1", "network, item 2: expected a layer, got nothing; remove a comma"),
        ("3-", "network, item 2: expected a layer, got nothing; remove a hyphen"),
        ("3--1 relu", "network, item 2: expected a layer, got nothing; remove a hyphen"),
        ("3, 64 rleu, 1", 'network, item 2: unknown name "rleu"; did you mean "relu"?'),
        ("3, 64 relu tanh, 1", "network, item 2: expected \"relu\", got 'relu tanh'"),
        ("3, 64 relu 0.1, 1", "network, item 2: expected \"relu\", got 'relu 0.1'"),
        ("3, dense 64 relu, 1", "network, item 2: expected a dense layer by its number of neurons alone, got "
            "'dense 64 relu'; write \"8 relu\", or \"8 identity\""),
        ("3, dropuot 0.2, 1", 'network, item 2: unknown name "dropuot"; did you mean "dropout"?'),
        ("3, dropout, 1", "network, item 2: expected share of units dropped, got the end of 'dropout'"),
        ("3, dropout 2, 1", "network, item 2: expected share of units dropped: a number from 0 to below 1, got '2'"),
        ("3, 0, 1", "network, item 2: expected number of units: a whole number from 1, got '0'"),
        ("3, 4x0, 1", "network: expected 1 to 1000 layers, got '4x0'"),
        ("3, 4x999, 4x2, 1", "network: expected at most 1000 layers, got 1003"),
        ("3, residual, 1", "network, item 2: expected residual(conv 16 3x3 pad 1 relu, conv 16 3x3 pad 1), "
            "got 'residual'"),
        ("3, residual(), 1", "network, item 2.1: expected a layer, got nothing; remove a comma"),
        ("3, residual(4, residual(3,,4)), 1", "network, item 2.2.2: expected a layer, got nothing; remove a comma"),
        ("3, residual(4, 3 rleu), 1", 'network, item 2.2: unknown name "rleu"; did you mean "relu"?'),
        ("3, residual(3) rleu, 1", 'network, item 2: unknown name "rleu"; did you mean "relu"?'),
        ("3, resdual(3), 1", 'network, item 2: unknown name "resdual(3)"; did you mean "residual"?'),
        ("3, residual(3", "network: expected a closing parenthesis for each opening one, at most 20 within one "
            "another, got '3, residual(3'"),
        ("3, 4), 1", "network: expected a closing parenthesis for each opening one, at most 20 within one another, "
            "got '3, 4), 1'"),
        ("1x8x8, conv 4 3x3 stride 0, flatten, 1", "network, item 2: expected stride: a whole number from 1, got '0'"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_network_names_its_item(text, message):
    with pytest.raises(InputError) as caught:
        Network.parse(text)
    assert str(caught.value) == message


def test_all_the_problems_of_a_text_are_reported_at_once():
    with pytest.raises(RecipeError) as caught:
        Network.parse("3, 0 relu, dropout 1.5, 4 rleu, 1")
    assert caught.value.problems == (
        "network, item 2: expected number of units: a whole number from 1, got '0'",
        "network, item 3: expected share of units dropped: a number from 0 to below 1, got '1.5'",
        'network, item 4: unknown name "rleu"; did you mean "relu"?',
    )
    with pytest.raises(RecipeError) as caught:
        Network.parse("3,,4,,1")
    assert len(caught.value.problems) == 2


def test_shapes_that_do_not_fit_name_the_layer():
    with pytest.raises(ShapeError) as caught:
        Network.parse("1x8x8, conv 4 3x3, 10")
    assert str(caught.value) == ("layer 1.dense: expected a flat input (features,), got 4×6×6; put a flatten before it")
    with pytest.raises(ShapeError) as caught:
        Network.parse("1x4x4, maxpool 2, maxpool 2, maxpool 2, flatten, 10")
    assert str(caught.value).startswith("layer 2.maxpool: expected an image of at least 2×2, got 1×1×1; ")


def test_residuals_within_residuals_have_an_end():
    assert Network.parse("3, " + "residual(" * 20 + "3" + ")" * 20).n_parameters == 12
    with pytest.raises(RecipeError, match="at most 20 within one another"):
        Network.parse("3, " + "residual(" * 21 + "3" + ")" * 21)


def test_the_problems_of_a_residual_are_reported_with_the_others():
    with pytest.raises(RecipeError) as caught:
        Network.parse("3, 0 relu, residual(4 rleu, 0), 1")
    assert caught.value.problems == (
        "network, item 2: expected number of units: a whole number from 1, got '0'",
        'network, item 3.1: unknown name "rleu"; did you mean "relu"?',
        "network, item 3.2: expected number of units: a whole number from 1, got '0'",
    )


words = st.sampled_from(
    ["3", "28x28", "1x8x8", "relu", "conv", "maxpool", "dropout", "0.5", "-1", "x", "pad", "stride", "no", "bias", "",
     "residual", "residual(", "residual(3", "(", ")", "relu)", "groups", "globalavgpool",
     "4x2", "-", "2-3", "flatten", "batchnorm", "prelu", "dense", "activation", "nan", "é", "٣", "1e9", "99999999999"]
)  # fmt: skip


def read(text):
    """The network of a text, None where it is refused by an error of ours; any other error is let through."""
    try:
        return Network.parse(text)
    except LimpideError:
        return None


@given(items=st.lists(st.lists(words, max_size=4).map(" ".join), max_size=5))
def test_any_text_is_a_network_or_an_error_of_ours(items):
    network = read(", ".join(items))
    assert network is None or read(str(network)) == network


@given(text=st.text(max_size=30))
def test_any_characters_are_a_network_or_an_error_of_ours(text):
    network = read(text)
    assert network is None or read(str(network)) == network


@pytest.mark.parametrize(
    ("text", "shape", "outputs", "expected"),
    [
        ("64 relu, 32 relu", (3,), 1, "3, 64 relu, 32 relu, 1"),
        ("64 relu, 1", (3,), 1, "3, 64 relu, 1"),
        ("3, 64 relu, 1", (3,), 1, "3, 64 relu, 1"),
        ("3-64-1 relu", (3,), 1, "3, 64 relu, 1"),
        ("", (3,), 2, "3, 2"),
        ("64 relu", (1, 8, 8), 10, "1x8x8, flatten, 64 relu, 10"),
        ("8x8, 64 relu, 10", (1, 8, 8), 10, "1x8x8, flatten, 64 relu, 10"),
        ("64, 32 relu, 10", (1, 8, 8), 10, "1x8x8, flatten, 32 relu, 10"),
        ("conv 4 3x3 relu", (1, 8, 8), 10, "1x8x8, conv 4 3x3 relu, flatten, 10"),
        ("", (1, 8, 8), 10, "1x8x8, flatten, 10"),
        ("64 relu, 10 softmax", (3,), 10, "3, 64 relu, 10 softmax"),
        ("64 relu, 10, softmax", (3,), 10, "3, 64 relu, 10 softmax"),
        ("64 relu, dropout 0.5", (3,), 2, "3, 64 relu, dropout 0.5, 2"),
        ("64 identity", (3,), 1, "3, 64 identity, 1"),
        ("residual(3)", (3,), 1, "3, residual(3), 1"),
        ("conv 4 3x3, residual(conv 4 1x1), globalavgpool", (1, 8, 8), 10,
            "1x8x8, conv 4 3x3, residual(conv 4 1x1), globalavgpool, 10"),
        ("40x2 relu", (3,), 1, "3, 40 relu, 40 relu, 1"),
    ],
)  # fmt: skip
def test_hidden_layers_are_completed_for_the_data(text, shape, outputs, expected):
    assert str(complete_network(text, shape, outputs)) == expected


def test_a_completed_network_takes_the_initializer_named():
    network = complete_network("64 relu", (3,), 1, initializer="he")
    assert [layer.initializer for layer in network.layers if isinstance(layer, Dense)] == ["he", "he"]
    (block, *_rest) = complete_network("residual(4, residual(4), 3)", (3,), 1, initializer="he").layers
    assert [slot.name for slot in Network((3,), (block,)).slots][-2:] == [
        "0.residual.2.dense.W",
        "0.residual.2.dense.b",
    ]
    assert [layer.initializer for layer in (block.layers[0], block.layers[1].layers[0])] == ["he", "he"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64, 32 relu, 1", "network, input: expected 3, got 64; "
            'leave the input out, or write "64 relu" if it is a hidden layer, '
            '"64 identity" if it has no activation'),
        ("64 relu, 7", "network, output: expected 1, got 7; "
            'leave the output out, or write "7 relu" if it is a hidden layer'),
        ("64 relu, 7 sigmoid", "network, output: expected 1, got 7; "
            'leave the output out, or write "7 relu" if it is a hidden layer'),
    ],
)  # fmt: skip
def test_a_network_for_other_data_is_refused(text, message):
    with pytest.raises(ShapeError) as caught:
        complete_network(text, (3,), 1)
    assert str(caught.value) == message
