"""What training in full means for an evaluator, said of its options: the one place that knows them by name.

An evaluator whose trainings can be repeated at length states an `InFull`, as data; whoever trains in full asks that,
and knows no option of any evaluator. It is asked of options as run files have them, before anything is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netwright.core import refs
from netwright.core.protocols import TrainsInFull
from netwright.core.refs import Reference


@dataclass(frozen=True, kw_only=True)
class InFull:
    """What an evaluator says of its options. The defaults say nothing: such an evaluator is given what users give.

    Args:
        lengths: Options that say how long is trained; whoever gives one of them takes the others away.
        length: How long a training in full is where nothing says so.
        usual: Further options of a training in full where nothing else is said.
        searched: Options that are for a search alone.
        incidental: Options that change no result.
        places: Options of what only some networks have a place for, with the value that leaves it out.
    """

    lengths: tuple[str, ...] = ()
    length: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    incidental: tuple[str, ...] = ()
    places: Mapping[str, Any] = field(default_factory=dict)

    def options(
        self, options: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], split: str = "test"
    ) -> dict[str, Any]:
        """The options of a training in full.

        Args:
            options: The evaluator's options in a search. How long that one trains is for the search.
            changes: Put over them, later ones over earlier ones.
            split: Where to measure: before "test", training and validation data are both trained on.
        """
        found = {name: value for name, value in options.items() if name not in self.searched}
        says_length = any(self.budget(change) for change in changes)
        for change in changes if says_length else (*changes, self.length):
            given = self.budget(change)
            found = {name: value for name, value in found.items() if not (given and name in self.lengths)}
            found |= change
        return {**self.usual, **found, "split": split}

    def budget(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the options that say how long is trained."""
        return {name: value for name, value in options.items() if name in self.lengths}

    def words(self, options: Mapping[str, Any]) -> str:
        """How long is trained, for people: "30 epochs"; "" where the options do not say."""
        return ", ".join(f"{options[name]:,} {name}" for name in self.lengths if options.get(name))

    def essential(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options without those that change no result: equal ones give equal results."""
        return {name: value for name, value in options.items() if name not in self.incidental}

    def without_places(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What is to be put over the options so that a network without special places is trained the same way."""
        return {name: off for name, off in self.places.items() if name in options}

    def way(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What decides how any network is trained, so that two that are trained the same way have it equal."""
        return {name: value for name, value in self.essential(options).items() if name not in self.places}


def of(evaluator: Reference) -> InFull:
    """What the evaluator of that name says of its options; one that says nothing is given what users give.

    Raises:
        BadReference: There is no such evaluator.
    """
    plugin = refs.locate("evaluator", evaluator.name)
    return plugin.in_full if isinstance(plugin, TrainsInFull) else InFull()
