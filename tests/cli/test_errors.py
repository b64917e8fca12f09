"""What a wrong command gives: one line for each problem, an exit code."""

import pytest


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["trian", "iris"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "iris", "--epoch", "3"], "No such option '--epoch'. Did you mean '--epochs'?"),
        (["train", "iris", "--epochs", "x"], "--epochs: expected a whole number, got 'x'"),
        (["train", "iris", "--epochs", "1 000"], "--epochs: expected a whole number, got '1 000'; write 1000"),
        (["train", "iris", "--rate", "0,01"], "--rate: expected a number, got '0,01'; write 0.01"),
        (["train", "iris", "--option", "rate=0,01"], "optimizer.rate: expected a number, got '0,01'; write 0.01"),
        (["search", "iris", "--trials", "5,5"], "--trials: expected a whole number, got '5,5'"),
        (["train"], "Missing argument 'SOURCE'."),
        (["train", "iris", "--option", "drop"], "--option: expected NAME=VALUE, got 'drop'"),
        (["train", "iris", "--option", "patence=1"], '--option: unknown name "patence"; did you mean "patience"?'),
        (["train", "irsi"], 'data: unknown name "irsi"; did you mean "iris"?'),
        (["train", "iris", "--target", "specie"], 'column of iris: unknown name "specie"; did you mean "species"?'),
        (["train", "iris", "--optimizer", "adm"], 'optimizer: unknown name "adm"; did you mean "adam"?'),
        (["network", "4, 3 rleu"], 'network, item 2: unknown name "rleu"; did you mean "relu"?'),
        (["show", "nowhere"], "nowhere: expected a run folder, got no folder; train one with: limpide train SOURCE"),
        (["network", "4, 3", "--lang", "de"], "Invalid value for '--lang': 'de' is not one of 'en', 'fr'."),
    ],
)
def test_a_wrong_command_is_told_in_a_line_with_its_mend(shown, words, problem):
    code, out, err = shown(*words)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"✗ {problem}"
    assert "Traceback" not in err


def test_an_unforeseen_error_is_one_line_and_its_trace_is_for_those_who_ask(shown, monkeypatch):
    def broken(text):
        raise ZeroDivisionError("one over nought")

    monkeypatch.setattr("limpide.nn.network.Network.parse", broken)
    code, _out, err = shown("network", "4, 3")
    assert code == 1
    assert err == "✗ unexpected error: ZeroDivisionError: one over nought; LIMPIDE_DEBUG=1 shows where\n"
    monkeypatch.setenv("LIMPIDE_DEBUG", "1")
    code, _out, err = shown("network", "4, 3")
    assert code == 1
    assert "Traceback" in err
