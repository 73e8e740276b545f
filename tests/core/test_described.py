"""Options of plug-ins in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from netwright.core import described, refs
from netwright.core.described import Option
from netwright.core.errors import BadReference
from netwright.core.kinds import FOLDERS


@dataclass
class Base:
    """A base.

    Args:
        lr: The learning rate,
            which goes on: over lines.
        kind: Of the base.
    """

    lr: float = 0.1
    kind: Literal["a", "b"] = "a"


@dataclass
class Wild(Base):
    """A plug-in.

    Args:
        space: Wired.
        kind: Its own word.

    Raises:
        ValueError: No argument.
    """

    space: object = None
    sizes: tuple[int, ...] | None = None


def test_options_have_names_types_defaults_and_the_sentences_of_all_docstrings():
    assert described.of(Wild, ("space",)) == (
        Option("lr", "number", "0.1", "The learning rate, which goes on: over lines."),
        Option("kind", "a | b", "a", "Its own word."),
        Option("sizes", "list of whole numbers", "none", ""),
    )


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "whole number"),
        (bool | Literal["auto"], "true or false or auto"),
        (str | tuple[str, ...], "text or list of texts"),
        (tuple[tuple[int, ...], ...], "list of lists of whole numbers"),
        (tuple[float, float], "list of numbers"),
        (tuple[int, str], "list"),
        (Sequence[Literal["a"]], "list of a"),
        (Mapping[str, int], "table"),
        (Any, "any value"),
        (Wild, "Wild"),
    ],
)
def test_types_in_words(hint, words):
    assert described.type_text(hint) == words


def test_defaults_as_they_are_typed():
    values = (None, True, 0.5, "cifar", "", (6, 1), {"a": None})
    assert [*map(described.default_text, values)] == ["none", "true", "0.5", "cifar", "''", "[6, 1]", "{a = none}"]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in FOLDERS if kind != "zoo" for name in refs.available(kind)]
)
def test_every_option_of_every_plug_in_has_a_type_and_a_sentence(kind, name):
    for option in described.options(kind, name):
        assert option.sentence.endswith("."), f"{kind} {name}: its docstring has no whole sentence on {option.name}"
        assert option.type[:1].islower() or "|" in option.type, f"{kind} {name}: {option.name} is a {option.type}"


def test_what_is_said_is_what_is_taken():
    found = {option.name: option for option in described.options("space", "hierarchical")}
    assert found["nodes"] == Option(
        "nodes",
        "list of whole numbers",
        "[4, 5]",
        "Number of nodes of each graph, at each level from 2 up, at least 2.",
    )
    assert found.keys() - {"with"} == refs.options_of(refs.locate("space", "hierarchical")).keys()
    assert "space" not in {option.name for option in described.options("evaluator", "training")}, "it is wired"
    with pytest.raises(BadReference, match="did you mean 'hierarchical'"):
        described.options("space", "hierarchicle")
