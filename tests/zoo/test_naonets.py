"""The cells against the strings and token sequences that the authors' programs hold; state 0 is the skip input."""

import pytest

from netwright.core import genes, refs
from netwright.plans import source

# input and operation, twice per node, five nodes; operations of the large set are numbered from 5
STRINGS = {
    "naonet_a": (
        "0 7 1 15 2 8 1 7 0 6 1 7 0 8 4 7 1 5 0 7",
        "0 7 1 13 0 6 0 14 0 9 1 10 0 14 2 6 1 11 0 7",
    ),
    "naonet": (
        "0 7 1 15 2 8 1 7 0 6 1 7 0 8 4 7 1 5 0 7",
        "0 7 1 13 0 6 0 14 1 9 0 10 0 14 2 6 1 11 0 7",
    ),
    "naonet_b": (
        "0 1 0 2 0 1 2 2 1 3 0 2 4 0 1 3 2 1 0 3",
        "1 1 1 0 2 1 2 4 1 0 2 3 3 1 2 2 0 2 0 2",
    ),
    "naonet_ws": (
        "0 1 0 4 2 2 1 3 1 0 2 0 2 3 1 3 1 2 0 4",
        "1 1 0 3 2 3 2 3 1 0 0 1 0 4 2 4 2 3 2 3",
    ),
    "naonet_v2": (
        "1 1 0 1 2 4 0 0 0 0 2 1 0 0 0 2 0 3 0 0",
        "0 2 0 2 2 2 1 0 0 0 0 1 0 0 0 3 0 0 0 1",
    ),
}


@pytest.mark.parametrize("name", STRINGS)
def test_the_cells_are_the_published_strings(name):
    entry = refs.locate("zoo", name)
    first = 5 if entry.space.operations == "large" else 0
    numbers = [int(number) for number in " ".join(STRINGS[name]).split()]
    assert list(entry.genotype[::2]) == numbers[::2]
    assert [value + first for value in entry.genotype[1::2]] == numbers[1::2]
    genes.check(entry.space.genes, entry.genotype)


@pytest.mark.parametrize("name", STRINGS)
def test_twenty_cells_are_a_handful_of_classes(name):
    entry = refs.locate("zoo", name)
    text = source.classes(entry.space.plan(entry.genotype, entry.io))
    assert len([line for line in text.splitlines() if line.startswith("class ")]) <= 10
    assert len(text.splitlines()) < 1000
