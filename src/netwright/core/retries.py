"""A trial whose memory ran out, tried again: by which evaluator, and whether there is a further attempt."""

from __future__ import annotations

from netwright.core import attempts, memory
from netwright.core.attempts import Attempt, Memory
from netwright.core.errors import NetwrightError
from netwright.core.protocols import DividesBatches, EstimatesMemory, Evaluator
from netwright.core.records import Trial


class Indivisible(NetwrightError):
    """The batches of a trial cannot be worked through in more parts; says why."""


def in_parts(evaluator: Evaluator, trial: Trial, attempt: Attempt) -> Evaluator:
    """The evaluator of an attempt. Raises Indivisible where it cannot be made."""
    if not attempt.is_in_parts:
        return evaluator
    if not isinstance(evaluator, DividesBatches):
        raise Indivisible("its evaluator cannot work through half a batch at a time")
    try:
        return evaluator.in_more_parts(attempts.PARTS, trial.proposal.genotype)
    except NetwrightError as error:
        raise Indivisible(f"and its batches cannot be halved: {error}") from None


def following(
    evaluator: Evaluator, trial: Trial, attempt: Attempt, place: Memory, message: str, needed: str
) -> tuple[Attempt | None, str]:
    """The next attempt where memory ran out at one; None, with the reason where there is one to be said: there is none.

    Args:
        evaluator: What evaluates.
        trial: The trial.
        attempt: The attempt that was made.
        place: Whose memory ran out.
        message: What was said of that, which ends with the sizes.
        needed: What the trial is estimated to need (`estimate`).
    """
    last = (message.strip().splitlines() or [""])[-1]
    found = attempt.next(place, f"{last}{needed}")
    if found is None:
        return None, ""
    try:
        in_parts(evaluator, trial, found)
    except Indivisible as error:
        return None, str(error)
    return found, ""


def estimate(evaluator: Evaluator, trial: Trial) -> str:
    """What a trial was estimated to take, with a comma before it; "": it is not known."""
    if not isinstance(evaluator, EstimatesMemory):
        return ""
    try:
        estimate = evaluator.memory_mb(trial.proposal.genotype)
    except NetwrightError:
        return ""
    return f", by an estimate of {memory.size_text(1e6 * estimate)} with whole batches" if estimate else ""
