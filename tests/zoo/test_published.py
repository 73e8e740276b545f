from dataclasses import FrozenInstanceError, fields, replace

import pytest

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.spaces.flat import flat_space
from netwright.zoo.published import Published

ZOO = [refs.locate("zoo", name) for name in refs.available("zoo")]


def test_fields():
    names = ["space", "genotype", "io", "source", "params", "note", "sizes"]
    assert [field.name for field in fields(Published)] == names
    published = Published(flat_space(), (6,) * 55, IO(3, 32, 32, 10), "a paper, table 1", "1.0 M")
    assert published.note == ""
    assert published.sizes == ()
    with pytest.raises(FrozenInstanceError):
        published.params = "2.0 M"


@pytest.mark.parametrize("published", ZOO)
def test_every_entry_is_a_network_with_a_source_and_a_printed_size(published):
    assert isinstance(published, Published)
    published.space.check(published.genotype)
    assert published.space.count(published.genotype, published.io).params > 0
    assert any(character.isdigit() for character in published.source), "a year at least"
    number, _, unit = published.params.partition(" ")
    assert float(number) > 0
    assert unit in ("k", "M", "B")


@pytest.mark.parametrize("published", ZOO)
def test_counts_are_exact_at_every_setting(published):
    assert published.sizes, "an entry says what it costs"
    for size in published.sizes:
        counts = replace(published.space, **size.options).count(published.genotype, size.io)
        assert (counts.params, counts.multiply_adds) == (size.params, size.multiply_adds), size.options
    printed = [size.published.partition(",")[0] for size in published.sizes]
    assert published.params in printed


def test_a_hyphen_names_a_file_with_an_underscore():
    assert refs.locate("zoo", "amoebanet-a") is refs.locate("zoo", "amoebanet_a")
    with pytest.raises(BadReference, match="there is no zoo 'amoebanet-e'; did you mean 'amoebanet-"):
        refs.locate("zoo", "amoebanet-e")
