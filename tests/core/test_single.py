"""Strategies that take one objective refuse several, and say which take several."""

import contextlib

import pytest

from netwright.core import refs
from netwright.core.errors import BadReference, MissingCapability
from netwright.core.protocols import TakesSeveral
from netwright.core.refs import Reference
from netwright.core.single import check_single, taking_several
from netwright.testing.toys import ToySpace

TRIVIAL = {"listed": {"genotypes": [[0] * 12]}}


@pytest.mark.parametrize("name", refs.available("strategy"))
def test_a_strategy_says_that_it_takes_several_objectives_or_refuses_them(name):
    several, reference = ("valid_accuracy", "-params"), Reference(name, TRIVIAL.get(name, {}))
    takes = name in taking_several() or name in ("listed", "panel")  # which search nothing
    refusal = contextlib.nullcontext() if takes else pytest.raises(BadReference, match="one objective, the run has 2")
    with contextlib.suppress(MissingCapability), refusal:
        refs.load("strategy", reference, space=ToySpace(), objectives=several)


def test_the_refusal_names_those_that_are_there():
    message = "toy ranks by one objective, the run has 2: a, -b; give one, or a --strategy that takes several: "
    with pytest.raises(BadReference, match=message + ", ".join(taking_several())):
        check_single("toy", ("a", "-b"))
    with pytest.raises(BadReference, match="the run has 0: none; give one"):
        check_single("toy", ())
    with pytest.raises(BadReference, match="toy climbs one objective, the run has 3"):
        check_single("toy", ("a", "b", "c"), "climbs")
    check_single("toy", ("a",))
    check_single("toy", None)
    assert {"mobo", "nsga2", "random"} <= set(taking_several())
    assert all(isinstance(refs.locate("strategy", name), TakesSeveral) for name in taking_several())
