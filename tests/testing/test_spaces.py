"""The contract of spaces finds what breaks it: a suite that passes anything would say nothing of a plug-in."""

from dataclasses import dataclass, field

import pytest

from netwright.core.records import Counts
from netwright.spaces.residual import ResidualSpace
from netwright.testing.spaces import check_space


class Small(ResidualSpace):
    """Few and small networks, quickly built."""

    @property
    def genes(self):
        width, blocks = super().genes
        return type(width)(width.name, 2, 9), type(blocks)(blocks.name, 1, 1)


class OneKey(Small):
    def key(self, _genotype):
        return "x"


@dataclass(frozen=True)
class Forgetful(Small):
    calls: list = field(default_factory=list)

    def key(self, genotype):
        self.calls.append(genotype)
        return f"{super().key(genotype)} {len(self.calls)}"


class Stubborn(Small):
    def mutate(self, genotype, _rng):
        return genotype


class SquareOnly(Small):
    """Its counts are those of a square of the height."""

    def count(self, genotype, io):
        found = super().count(genotype, io)
        times = io.height / io.width
        return Counts(found.params, round(found.multiply_adds * times), None)


class Growing(Small):
    """What it calls smaller than its start is larger."""

    def starts(self):
        return ((4, 1),)

    def smaller(self, genotype):
        return ((width, 1) for width in (3, genotype[0] + 1))


class Shrinking(Growing):
    def smaller(self, genotype):
        return ((width, 1) for width in range(genotype[0] - 1, 1, -1))


def test_a_space_that_keeps_it_passes():
    check_space(Small(), samples=2)
    check_space(Shrinking(), samples=1)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (OneKey(), "two networks have one key"),
        (Forgetful(), "a key depends on more than the genotype"),
        (Stubborn(), "no mutant differs from its parent"),
        (Growing(), "smaller than a start is larger"),
        (SquareOnly(), "count says other multiply-adds"),
    ],
)
def test_what_breaks_it_is_found(space, said):
    with pytest.raises(AssertionError, match=said):
        check_space(space, samples=3)
