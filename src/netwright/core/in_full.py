"""What training in full means for the options of an evaluator: the one place that knows these options by name.

An evaluator whose networks can be trained at length states an `InFull` as data; code that trains in full asks it and
knows no option of any evaluator. It works on options as run files have them, before anything is made of them.
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
    """What an evaluator says of its options. With the defaults it says nothing and gets the options that users give.

    Args:
        lengths: Names of the options that say how long to train; giving one of them drops the others.
        length: The length of a training in full, as options, where no other is given.
        usual: Further options of a training in full where no others are given.
        searched: Names of options that only a search uses.
        incidental: Names of options that change no result.
        places: Options for which only some networks have a place, each with the value that turns it off.
        trainer: Name of the evaluator that trains its networks in full; "": it does so itself.
        kept: Names of options that this one has too, and that it is to have.
    """

    lengths: tuple[str, ...] = ()
    length: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    incidental: tuple[str, ...] = ()
    places: Mapping[str, Any] = field(default_factory=dict)
    trainer: str = ""
    kept: tuple[str, ...] = ()

    def options(
        self, options: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], split: str = "test"
    ) -> dict[str, Any]:
        """The options of a training in full.

        Args:
            options: The evaluator's options in a search. Their length is that of the search's own trainings.
            changes: Options that replace these, later ones over earlier ones.
            split: The split to measure on. For "test", training and validation data are both trained on.
        """
        found = {name: value for name, value in options.items() if name not in self.searched}
        says_length = any(self.budget(change) for change in changes)
        for change in changes if says_length else (*changes, self.length):
            given = self.budget(change)
            found = {name: value for name, value in found.items() if not (given and name in self.lengths)}
            found |= change
        return {**self.usual, **found, "split": split}

    def budget(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The part of the options that says how long to train."""
        return {name: value for name, value in options.items() if name in self.lengths}

    def words(self, options: Mapping[str, Any]) -> str:
        """The length of the training for people: "30 epochs"; "" where the options do not say."""
        return ", ".join(f"{options[name]:,} {name}" for name in self.lengths if options.get(name))

    def essential(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options without those that change no result: equal ones give equal results."""
        return {name: value for name, value in options.items() if name not in self.incidental}

    def incidental_of(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options that change no result."""
        return {name: value for name, value in options.items() if name in self.incidental}

    def without_places(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options to put over these so that a network without such places is trained the same way."""
        return {name: off for name, off in self.places.items() if name in options}

    def way(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options that decide how any network is trained: equal for networks that are trained the same way."""
        return {name: value for name, value in self.essential(options).items() if name not in self.places}


def of(evaluator: Reference) -> InFull:
    """What the evaluator of that name says of its options; the defaults for one that says nothing.

    Raises:
        BadReference: There is no such evaluator.
    """
    plugin = refs.locate("evaluator", evaluator.name)
    return plugin.in_full if isinstance(plugin, TrainsInFull) else InFull()


def trainer(evaluator: Reference) -> Reference:
    """The evaluator that trains in full what an evaluator measures: mostly itself.

    Raises:
        BadReference: There is no such evaluator.
    """
    says = of(evaluator)
    if not says.trainer:
        return evaluator
    return Reference(says.trainer, {name: value for name, value in evaluator.options.items() if name in says.kept})
