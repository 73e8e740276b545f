"""Spaces refuse sizes at which nothing could be built, before any work."""

import pytest

from netwright.core import bounds, refs
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.plans.plan import PlanWriter

SIZES = [
    (name, option)
    for name in refs.available("space")
    for option in refs.options_of(refs.locate("space", name))
    if option in bounds.MOST
]


@pytest.mark.parametrize(("name", "option"), SIZES)
def test_a_size_out_of_bounds_is_refused(name, option):
    is_listed = name == "hierarchical" and option in ("nodes", "motifs")
    for value in (0, bounds.MOST[option] + 1, 2**62):
        given = {"motifs": [1], "nodes": [3], option: [value]} if is_listed else {option: value}
        with pytest.raises(BadReference, match=rf"space\.{option} "):
            refs.load("space", Reference(name, given))


def test_a_plan_of_too_many_layers_is_refused(monkeypatch):
    writer = PlanWriter(IO(3, 8, 8, 2))
    monkeypatch.setattr("netwright.plans.plan.LAYERS", 10)
    for _ in range(9):
        writer.conv(0, 4, 1)
    with pytest.raises(BadReference, match="the network has more than 10 layers; make it smaller"):
        writer.conv(0, 4, 1)
