"""The population in layers, held to a plain one that is sorted anew at every look."""

import numpy as np
import pytest

from netwright.core import front
from netwright.strategies.layered import LayeredPopulation


class _Sorted:
    """The same, without any upkeep: members by place, with the order in which they came."""

    def __init__(self):
        self.members = {}
        self.arrived = 0

    def add(self, place, scores):
        self.members[place] = (tuple(scores), self.arrived)
        self.arrived += 1

    def layers(self):
        places = sorted(self.members)
        if not places:
            return []
        found = front.layers(np.array([self.members[place][0] for place in places], float))
        return [[p for p, layer in zip(places, found, strict=True) if layer == n] for n in range(found.max() + 1)]

    def gaps(self, layer):
        return dict(zip(layer, front.crowding(np.array([self.members[p][0] for p in layer], float)), strict=True))

    def worst(self):
        last = self.layers()[-1]
        gaps = self.gaps(last)
        return min(last, key=lambda place: (gaps[place], self.members[place][1]))

    def better(self, first, second):
        layers = self.layers()
        ranks = {place: (n, -gap) for n, layer in enumerate(layers) for place, gap in self.gaps(layer).items()}
        return second if ranks[second] < ranks[first] else first


def _same(kept, plain):
    found = [[place for place in range(kept.capacity) if layer >> place & 1] for layer in kept.layers]
    assert found == plain.layers()


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("levels", [3, 1000], ids=["many equal", "all different"])
@pytest.mark.parametrize("leaving", ["worst", "oldest", "any"])
def test_layers_worst_and_better_are_those_of_a_sort_anew(objectives, levels, leaving):
    rng = np.random.default_rng(0)
    kept, plain, order = LayeredPopulation(13), _Sorted(), []
    for n in range(150):
        # ever better ones, as a search finds them, so that whole layers are pushed
        scores = (rng.integers(levels, size=objectives) + rng.integers(2) * n // 20).tolist()
        place = kept.add(scores)
        plain.add(place, scores)
        order.append(place)
        _same(kept, plain)
        assert kept.worst() == plain.worst()
        first, second = rng.choice(order, 2).tolist()
        assert kept.better(first, second) == plain.better(first, second)
        if len(order) == 13:
            gone = {"worst": kept.worst(), "oldest": order[0], "any": int(rng.choice(order))}[leaving]
            order.remove(gone)
            kept.remove(gone)
            del plain.members[gone]
            _same(kept, plain)


def test_it_may_be_emptied_and_begun_again():
    kept = LayeredPopulation(2)
    places = [kept.add((1.0, 2.0)), kept.add((0.0, 0.0))]
    for place in places:
        kept.remove(place)
    assert kept.layers == []
    place = kept.add((3.0, 3.0))
    assert kept.layers == [1 << place] and kept.worst() == place
