"""How many trials of a run share a card: what was asked for, or what measures best here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netwright.core import cards, reading
from netwright.core.building import Parts
from netwright.core.errors import NetwrightError
from netwright.core.protocols import EstimatesMemory, Evaluator, NamesBudgets, SharesCards, Store, UsesCards
from netwright.core.reading import BadText
from netwright.core.records import Genotype
from netwright.core.run_file import Limits
from netwright.executors import card_service, side_by_side
from netwright.executors.rehearsal import Rehearsal
from netwright.executors.side_by_side import Cast

FACT: Final = "trials_per_gpu"  # of a run's table: what was measured
WORTH_TRIALS: Final = 16  # for each card, below which measuring costs more than it brings
WORTH_HOURS: Final = 0.1

Measure = Callable[[Cast, float | None, int], Mapping[int, float]]


@dataclass(frozen=True)
class Sharing:
    """How the trials of a run share cards.

    Args:
        cards: Groups of cards that trials have to themselves or share: usually, cards.
        each: Most trials on each of them.
        why: For people: what decided it.
    """

    cards: int
    each: int
    why: str

    def applied(self, parts: Parts) -> tuple[Parts, str]:
        """The parts of the run with as many workers, and a sentence."""
        executor = parts.executor
        assert isinstance(executor, SharesCards)
        fewer = executor.on_cards(self.cards, self.each)
        from_each = "trial" if self.each == 1 else "trials"
        text = f"{self.cards} GPU{'s' if self.cards > 1 else ''}, at most {self.each} {from_each} on each ({self.why})"
        return replace(parts, executor=fewer), f"{text}: {fewer.workers} at a time"


def shared(
    parts: Parts,
    store: Store,
    genotypes: Sequence[Genotype],
    limits: Limits,
    left: int | None,
    threads: int = 1,
    measure: Measure = side_by_side.measured,
) -> tuple[Parts, str]:
    """The parts of a run with as many workers as its cards take, and a sentence; as they were where none are used.

    What was measured is a fact of the run's table, so that it is measured once.

    Args:
        parts: The parts of the run.
        store: Its table, which holds the run file.
        genotypes: A few networks to come.
        limits: When the run ends.
        left: Trials that are still to finish; None: as many as the time allows.
        threads: Threads of a trial.
        measure: Measures steps a second by the number of trials on one card.
    """
    executor, evaluator = parts.executor, parts.evaluator
    if not isinstance(executor, SharesCards) or not isinstance(evaluator, UsesCards):
        return parts, ""
    used = [evaluator.cards(index) for index in range(executor.workers)]
    groups = cards.shares(used)
    if not groups:
        return parts, ""
    if executor.trials_per_gpu != "auto":
        return Sharing(groups, executor.trials_per_gpu, "as asked").applied(parts)
    if (known := _known(store)) is not None:
        return Sharing(groups, cards.best(known), _measured(known)).applied(parts)
    most = -(-executor.workers // groups)
    if most == 1 or len(used[0]) > 1 or not _is_worth_it(limits, left, groups):
        why = "each trial has several" if len(used[0]) > 1 else "as this is short" if most > 1 else "as asked"
        return Sharing(groups, 1, why).applied(parts)
    rates = _rehearsed(parts, store, genotypes, most, threads, measure)
    if not rates:
        return Sharing(groups, 1, "no trial could be rehearsed").applied(parts)
    store.remember(FACT, json.dumps({str(number): rate for number, rate in rates.items()}))
    return Sharing(groups, cards.best(rates), _measured(rates)).applied(parts)


def estimate_mb(evaluator: Evaluator, genotypes: Sequence[Genotype]) -> float | None:
    """The largest memory that trials of these networks are estimated to take, in 10**6 bytes; None: not known."""
    if not isinstance(evaluator, EstimatesMemory):
        return None
    found = []
    for genotype in genotypes:
        try:
            found.append(evaluator.memory_mb(genotype))
        except NetwrightError:  # others will be drawn
            continue
    return max((each for each in found if each is not None), default=None)


def _rehearsed(
    parts: Parts,
    store: Store,
    genotypes: Sequence[Genotype],
    most: int,
    threads: int,
    measure: Measure,
) -> Mapping[int, float]:
    """Steps a second by the number of trials on the first card; empty: none could be rehearsed."""
    executor, text = parts.executor, store.recall("run")
    assert isinstance(executor, SharesCards)
    if text is None or not genotypes:
        return {}
    budget = parts.strategy.largest_budget if isinstance(parts.strategy, NamesBudgets) else None
    mark = f"{store.address}|rehearsal|"
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netwright-rehearsal-"))) / "run.toml"
        place.write_text(text, encoding="utf-8")
        environment: Mapping[str, str] = {}
        service = card_service.start(mark) if executor.card_service == "auto" else None
        if service is not None:
            stack.callback(service.stop)
            environment = service.environment

        def command(index: int) -> list[str]:
            told = Rehearsal(str(place), tuple(genotypes), budget, index, threads)
            return side_by_side.module("netwright.executors.rehearsal", told.to_json())

        cast = stack.enter_context(Cast(command, environment, mark))
        return measure(cast, estimate_mb(parts.evaluator, genotypes), most)


def _is_worth_it(limits: Limits, left: int | None, groups: int) -> bool:
    is_long = limits.hours is None or limits.hours >= WORTH_HOURS
    return is_long and (left is None or left >= WORTH_TRIALS * groups)


def _known(store: Store) -> dict[int, float] | None:
    """What was measured before; None: nothing that can be read."""
    text = store.recall(FACT)
    try:
        found = reading.json_value(text) if text else None
    except BadText:
        return None
    if not isinstance(found, dict) or not found:
        return None
    pairs = [(name, rate) for name, rate in found.items() if name.isdecimal() and isinstance(rate, int | float)]
    rates = {int(name): float(rate) for name, rate in pairs if int(name) and rate > 0}
    return rates if len(rates) == len(found) else None


def _measured(rates: Mapping[int, float]) -> str:
    return f"measured steps a second by their number: {cards.rates_text(rates)}"
