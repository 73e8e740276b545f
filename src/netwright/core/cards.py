"""How many trials share a card (GPU): what fits into its memory, and which number measured best. Pure numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MOST: Final = 16  # trials on a card: beyond it, none has been seen to gain anything
KEPT: Final = 0.06  # share of the card that is left free, for what comes and goes
GAIN: Final = 1.1  # times the best rate of fewer trials, which more trials must bring


@dataclass(frozen=True)
class CardMemory:
    """Memory of a card while one process trains on it, in 10**6 bytes.

    Args:
        total: All of it.
        free: What is free.
        held: What the process holds, or has held at most so far.
    """

    total: float
    free: float
    held: float


def most_that_fit(card: CardMemory, estimate: float | None, most: int = MOST) -> int:
    """How many trials fit on a card, at least one and at most `most`.

    Args:
        card: The card with one trial on it.
        estimate: What the largest of a few trials was estimated to take of it, in 10**6 bytes; None: not known.
        most: Most trials that are asked for.
    """
    each = max(card.held, estimate or 0.0, 1.0)
    beside = card.free - KEPT * card.total - (each - card.held)  # once the first trial is as large as any
    return max(1, min(most, 1 + int(max(0.0, beside) / each)))


def numbers(most: int) -> tuple[int, ...]:
    """Numbers of trials that are tried, ascending: doublings, and the most itself."""
    doubled = [2**power for power in range(most.bit_length()) if 2**power < most]
    return (*doubled, most)


def goes_on(rates: Mapping[int, float]) -> bool:
    """Whether more trials may bring more: the largest number so far was better than any smaller one, by `GAIN`."""
    largest = max(rates)
    return all(rates[largest] >= GAIN * rate for number, rate in rates.items() if number != largest)


def best(rates: Mapping[int, float]) -> int:
    """The number of trials with the best rate, where more of them must bring clearly more.

    Args:
        rates: Steps a second of all trials together, by their number; at least one.
    """
    chosen = min(rates)
    for number in sorted(rates):
        if rates[number] >= GAIN * rates[chosen]:
            chosen = number
    return chosen


def slowdown(rates: Mapping[int, float], number: int) -> float:
    """How many times longer a step of each trial takes where so many share the card; at least 1."""
    alone, shared = rates[min(rates)] / min(rates), rates[number] / number
    return max(1.0, alone / shared)


def rates_text(rates: Mapping[int, float]) -> str:
    """Rates for people: steps a second by the number of trials."""
    return ", ".join(f"{number}: {rates[number]:.3g}" for number in sorted(rates))


def shares(cards: Sequence[tuple[str, ...]]) -> int:
    """How many groups of cards the workers have to themselves, by the cards of each worker."""
    return len({group for group in cards if group})
