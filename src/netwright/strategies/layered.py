"""A small population in layers of dominance, kept up as members come and go instead of being sorted anew.

Sets of members are the bits of whole numbers, so that a set operation over a population is one operation of the
processor or a few. A member that comes pushes those of its layer that it dominates into the next one, which push others
in turn; one that goes lets those rise that nothing else of its layer dominates. Where a whole layer is pushed, all
behind it keep together (Li et al. 2017, "Efficient nondomination level update method for steady-state evolutionary
multiobjective optimization").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from netwright.core.front import crowding


class LayeredPopulation:
    """Scores of at most `capacity` members, each to be maximized, and what layer each is in.

    A member is named by its place, from 0 to `capacity` - 1, which another one gets once it is removed.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.layers: list[int] = []  # the front first; bit p stands for the member at place p; none is empty
        self._scores = np.empty((0, 0))  # (objectives, capacity), made by the first member; not a number where none is
        self._arrivals = np.zeros(capacity, np.int64)
        self._arrived = 0
        self._free = list(range(capacity - 1, -1, -1))
        self._above = [0] * capacity  # whoever dominates the member at a place
        self._below = [0] * capacity  # whoever it dominates
        # a memo, made anew when needed: places and crowding of a layer
        self._crowded: tuple[int, np.ndarray, np.ndarray] | None = None

    def add(self, scores: Sequence[float]) -> int:
        """Let a member with these finite scores come, and return its place, which must be there to give."""
        if not self._arrived:
            self._scores = np.full((len(scores), self.capacity), np.nan)
        place = self._free.pop()
        bit, coming = 1 << place, np.array(scores, float)
        no_worse = _members(self._scores >= coming[:, None])
        no_better = _members(self._scores <= coming[:, None])
        above, below = no_worse & ~no_better, no_better & ~no_worse
        self._scores[:, place] = coming
        self._arrivals[place] = self._arrived
        self._arrived += 1
        self._crowded = None
        self._above[place], self._below[place] = above, below
        for other in _places(above):
            self._below[other] |= bit
        for other in _places(below):
            self._above[other] |= bit
        depth = 0
        while depth < len(self.layers) and self.layers[depth] & above:
            depth += 1
        self._push(bit, depth)
        return place

    def remove(self, place: int) -> None:
        """Let the member at this place go."""
        bit = 1 << place
        for other in _places(self._above[place]):
            self._below[other] ^= bit
        for other in _places(self._below[place]):
            self._above[other] ^= bit
        self._scores[:, place] = np.nan
        self._crowded = None
        self._free.append(place)
        self._pull(bit, self._below[place], next(n for n, layer in enumerate(self.layers) if layer & bit))

    def worst(self) -> int:
        """The place of the most crowded member of the last layer; of equally crowded ones that of the oldest."""
        layer = self.layers[-1]
        if layer & (layer - 1) == 0:
            return layer.bit_length() - 1
        places, gaps = self._crowding(layer)
        tied = places[gaps == gaps.min()]
        return int(tied[np.argmin(self._arrivals[tied])])

    def better(self, first: int, second: int) -> int:
        """The place of the member in the layer before the other's, or less crowded in the same one; if equal, `first`.

        This is the crowded comparison of Deb et al. 2002, section III.B.
        """
        if first == second:
            return first
        pair = 1 << first | 1 << second
        layer = next(layer for layer in self.layers if layer & pair)
        if layer & pair != pair:
            return first if layer >> first & 1 else second
        places, gaps = self._crowding(layer)
        return second if gaps[places.searchsorted(second)] > gaps[places.searchsorted(first)] else first

    def _crowding(self, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Places of a layer's members, ascending, and how far each lies from its neighbors."""
        if self._crowded is None or self._crowded[0] != layer:
            packed = np.frombuffer(layer.to_bytes((self.capacity + 7) // 8, "little"), np.uint8)
            places = np.unpackbits(packed, bitorder="little").nonzero()[0]
            self._crowded = (layer, places, crowding(self._scores[:, places].T))
        return self._crowded[1:]

    def _push(self, coming: int, depth: int) -> None:
        """Put members into a layer none of which dominates them; those that they dominate go on to the next."""
        while depth < len(self.layers):
            pushed = 0
            for place in _places(coming):
                pushed |= self._below[place]
            pushed &= self.layers[depth]
            if pushed == self.layers[depth]:
                break
            self.layers[depth] ^= pushed | coming
            if not pushed:
                return
            coming, depth = pushed, depth + 1
        self.layers.insert(depth, coming)

    def _pull(self, going: int, below: int, depth: int) -> None:
        """Take members, who together dominate `below`, out of a layer; whom nothing else of it dominates rises."""
        while True:
            self.layers[depth] ^= going
            if not self.layers[depth]:
                del self.layers[depth]
                return
            if depth + 1 == len(self.layers):
                return
            rising, dominated = 0, 0
            for place in _places(self.layers[depth + 1] & below):
                if not self._above[place] & self.layers[depth]:
                    rising |= 1 << place
                    dominated |= self._below[place]
            if not rising:
                return
            self.layers[depth] |= rising
            going, below, depth = rising, dominated, depth + 1


def _members(holds: np.ndarray) -> int:
    """The members for which it holds in every objective, of shape (objectives, capacity)."""
    return int.from_bytes(np.packbits(holds.all(0), bitorder="little").tobytes(), "little")


def _places(members: int) -> Iterator[int]:
    while members:
        lowest = members & -members
        yield lowest.bit_length() - 1
        members ^= lowest
