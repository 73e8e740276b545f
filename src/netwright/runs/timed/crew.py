"""Who works in a timed run: how many trainings run side by side, and how many of them share a card (GPU)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from netwright.core import cards, reading, refs, room
from netwright.core.errors import BadRunFile
from netwright.core.refs import Reference
from netwright.core.timetable import Timetable
from netwright.runs.timed.defaults import WORKER_MB
from netwright.runs.timed.timetable import Speed
from netwright.runs.timed.wish import Wish, typed_of

SHARED_HOURS: Final = 0.25  # from which on it is measured whether trainings share a card, for most of a minute


@dataclass(frozen=True)
class Crew:
    """The workers of a timed run.

    Args:
        executor: The executor that was typed; None: none was.
        workers: Trainings that run side by side.
        cards: Cards that they lie on; 0: none.
        is_asked: Whether the number of workers was asked for.
    """

    executor: Reference | None
    workers: int
    cards: int = 0
    is_asked: bool = True

    @property
    def most_on_a_card(self) -> int:
        """Trainings that may share a card, by cores and memory of the machine; 1 where their number is decided."""
        if self.is_asked or not self.cards:
            return 1
        return max(1, min(cards.MOST, cores() // self.cards, room.held(WORKER_MB) // self.cards))

    def sharing(self, each: int) -> Crew:
        """The same with so many trainings on each card."""
        return self if self.is_asked else replace(self, workers=self.cards * each)

    def options(self, played: Reference) -> dict[str, object]:
        """Options of the executor that is played: its workers, and how many of them share a card."""
        known = refs.options_of(refs.locate("executor", played.name))
        shared = {"trials_per_gpu": -(-self.workers // self.cards)} if self.cards else {}
        found = {**shared, **played.options, "workers": self.workers}
        return {name: value for name, value in found.items() if name in known or name in played.options}


def of(wish: Wish, given: Timetable | None) -> Crew:
    """The workers that were asked for, by whatever way; else one for each card, or each core, as far as memory goes.

    Raises:
        BadRunFile: There can be no such number of them.
    """
    typed, changes = typed_of(wish, "executor"), wish.changes.get("executor", {})
    options = {**(typed.options if typed else {}), **changes}
    asked = options.get("workers") if wish.workers is None else wish.workers
    if asked is not None and (type(asked) is not int or asked < 1):
        raise BadRunFile(f"workers is {reading.shown(asked)}; it must be a whole number of at least 1")
    used = cards_of(device_in(asked_of_trainings(wish)), torch.cuda.device_count())
    if typed is None or "workers" in refs.options_of(refs.locate("executor", typed.name)):
        shared = options.get("trials_per_gpu", "auto")
        each = shared if type(shared) is int and shared > 0 else 1
        usual = used * each or max(1, min(cores(), room.held(WORKER_MB)))
        is_asked = asked is not None or given is not None or shared != "auto"
        return Crew(typed, asked or (given.workers if given else usual), used, is_asked)
    if asked is not None:
        raise BadRunFile(f"workers is {asked}, but executor {typed.name!r} has no such option; leave one of them out")
    return Crew(typed, 1, min(used, 1))


def asked_of_trainings(wish: Wish) -> dict[str, Any]:
    """The options of the evaluator that were typed."""
    typed = typed_of(wish, "evaluator")
    return {**(typed.options if typed else {}), **wish.changes.get("evaluator", {})}


def device_in(asked: Mapping[str, Any]) -> str:
    """The device that was typed for trainings, or "auto"."""
    return str(asked.get("device", "auto"))


def cards_of(device: str, count: int) -> int:
    """How many of so many cards trainings on a device lie on."""
    if device in ("auto", "cuda"):
        return count
    return min(1, count) if device.startswith("cuda") else 0


def slower(speeds: Sequence[Speed], factor: float) -> list[Speed]:
    """The speeds where every step takes so many times longer, as with others on the same card."""
    return [
        replace(each, pace=tuple(factor * number for number in each.pace), image_seconds=factor * each.image_seconds)
        for each in speeds
    ]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
