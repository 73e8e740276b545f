"""Strategies and seeds as they are typed, or one clear sentence."""

import pytest

from netwright.comparison import command_line
from netwright.core.errors import BadReference, BadRunFile


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("random", ["random"]),
        (
            "random, aging(population=10, sample=3),local_search",
            ["random", "aging(population=10, sample=3)", "local_search"],
        ),
        ("x(a=[1,(2,3)],b={'c,)':4}),y", ["x(a=[1,(2,3)],b={'c,)':4})", "y"]),
        ("""x(a="it's, so"),y""", ["""x(a="it's, so")""", "y"]),
        ("a,,b", ["a", "", "b"]),
        ("", [""]),
    ],
)
def test_commas_within_brackets_and_quotes_part_nothing(text, parts):
    assert command_line.split(text) == parts


@pytest.mark.parametrize("text", ["random,,aging", "random,", ",", ""])
def test_an_empty_strategy_is_refused(text):
    with pytest.raises(BadReference, match="names no strategy between two commas or at an end"):
        command_line.read_strategies(text)


def test_seeds():
    assert command_line.read_seeds("3") == (0, 1, 2)
    assert command_line.read_seeds("100:102") == (100, 101)
    for text in ("0", "-3", "5:5", "7:3", "-2:4"):
        with pytest.raises(BadRunFile, match=f"--seeds {text} leaves no seed; write how many"):
            command_line.read_seeds(text)
    for text in ("many", "1:2:3", "", "1.5"):
        with pytest.raises(BadRunFile, match="write how many, as in 200, or from and to"):
            command_line.read_seeds(text)


def test_seeds_are_numbers_of_63_bits_and_not_too_many():
    assert command_line.read_seeds(f"{2**63 - 1}:{2**63}") == (2**63 - 1,)
    with pytest.raises(BadRunFile, match=r"--seeds is 9223372036854775808:9223372036854775809; seeds go from 0 to 2"):
        command_line.read_seeds("9223372036854775808:9223372036854775809")
    with pytest.raises(BadRunFile, match="are 1,000,001 searches a strategy; give at most 1,000,000"):
        command_line.read_seeds("1000001")
