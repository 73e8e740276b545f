"""`netwright show --supernet`: what is counted, for scripts and for people, and what has nothing to count."""

import pytest

from tests.cli.test_bad_input import run
from tests.cli.test_commands import as_json

NAO = ("show", "--space", "nao", "--space.channels", "20", "--space.repeats", "3", "--supernet")
RNN = ("show", "rnn", "--space.width", "300", "--io", "tokens=10000x35:tokens=10000x35", "--supernet")


def test_published_supernets_are_counted(capsys):
    facts = as_json(capsys, *NAO)
    assert facts["params"] == 7_387_350
    assert facts["space"] == {"operations": "small"}
    assert len(facts["genes"]) == 40
    assert facts["params_of_network"] < 2_000_000
    assert as_json(capsys, *RNN)["params"] == 50_890_000


@pytest.mark.parametrize("words", [("nao(operations='large')",), ("nao", "--space.operations", "large")])
def test_what_is_asked_for_goes_before_what_was_published(capsys, words):
    facts = as_json(capsys, "show", *words, "--space.channels", "4", "--space.repeats", "1", "--supernet")
    assert "space" not in facts
    assert max(facts["genes"][1::2]) > 4


def test_people_read_sentences(capsys):
    code, out, _ = run(capsys, *NAO)
    assert code == 0
    assert out.startswith(
        "7,387,350 parameters in 7,349 tensors that the networks of the space share on 3x32x32, 10 outp"
    )
    assert "of them make the network of genes [" in out
    assert "space.operations is small, as published for shared weights; --space.operations takes another" in out
    code, out, _ = run(capsys, "show", "zoo:hierarchical", "--supernet")
    assert (code, out.count("\n")) == (0, 2)
    assert "542,138 of them make the network" in out


def test_a_space_that_shares_nothing_is_one_sentence(capsys):
    code, _, err = run(capsys, "show", "macro", "--supernet")
    assert code == 2
    assert err.count("\n") == 1
    assert "the networks of the space MacroSpace share no weights" in err
