from dataclasses import FrozenInstanceError, fields

import pytest

from netwright.core import refs
from netwright.core.records import IO
from netwright.spaces.flat import flat_space
from netwright.zoo.published import Published

ZOO = [refs.locate("zoo", name) for name in refs.available("zoo")]


def test_fields():
    assert [field.name for field in fields(Published)] == ["space", "genotype", "io", "source", "params", "note"]
    published = Published(flat_space(), (6,) * 55, IO(3, 32, 32, 10), "a paper, table 1", "1.0 M")
    assert published.note == ""
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
