"""What an evaluator returns and reports: plain numbers and text that any table can hold, or refused in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from netwright.core.records import Failure, Result

MESSAGE_CHARACTERS = 20_000
NAME_CHARACTERS = 200  # of a metric
SHOWN = 80  # characters of a value that is refused
LARGE = 2**63  # beyond it, a whole number becomes a float


def checked(result: Any, seconds: float) -> Result:
    """What an evaluation returned, as a result that any table can hold.

    Args:
        result: What it returned.
        seconds: What it took, where it states no seconds.

    Returns:
        The result; with a metric that is no finite number it has failed as "diverged".

    Raises:
        TypeError: A sentence on what is wrong with it.
    """
    if not isinstance(result, Result):
        raise TypeError(f"evaluate returned {type(result).__name__}; it must return a Result")
    stated = _number("its seconds are", result.seconds)
    taken = stated if math.isfinite(stated) and stated > 0 else seconds
    if not result.failure:
        return _finite(result, taken)
    if result.failure not in get_args(Failure):
        listed = ", ".join(filter(None, get_args(Failure)))
        raise TypeError(f"evaluate returned the failure {short(result.failure)}; it must be one of {listed}")
    return Result({}, _plain(result.curve), taken, result.failure, storable(result.message))


def storable(message: object) -> str:
    """The end of a message as text that any table can hold."""
    return str(message)[-MESSAGE_CHARACTERS:].encode("utf-8", "replace").decode()


def _finite(result: Result, seconds: float) -> Result:
    """Metrics as plain numbers; one that is not finite makes the trial `diverged`."""
    metrics: dict[str, float] = {}
    if not isinstance(result.metrics, Mapping):
        raise TypeError(f"evaluate returned the metrics {short(result.metrics)}; give numbers by name")
    for name, value in result.metrics.items():
        if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARACTERS or not name.isprintable():
            raise TypeError(
                f"a metric is named {short(name)}; its name must be a text of at most {NAME_CHARACTERS} printable "
                "characters"
            )
        metrics[name] = value if type(value) is int and abs(value) < LARGE else _number(f"metric {name!r} is", value)
        if not math.isfinite(metrics[name]):
            message = f"metric {name!r} is {metrics[name]}"
            return Result(curve=_plain(result.curve), seconds=seconds, failure="diverged", message=message)
    if not metrics:
        raise TypeError("evaluate returned no metrics and no failure; give at least one metric")
    return Result(metrics, _plain(result.curve), seconds, "", storable(result.message) if result.message else "")


def _plain(curve: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """The curve as plain numbers, points that are not finite left out (JSON has none)."""
    try:
        if len(curve) == 0:
            return ()
        points = [(int(step), float(value)) for step, value in curve]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"the curve is {short(curve)}; it must be pairs of a step and a number") from None
    return tuple(point for point in points if math.isfinite(point[1]))


def reported(step: int, metrics: Mapping[str, float]) -> tuple[int, dict[str, float]]:
    """A report as plain numbers by text. Raises TypeError for what is none."""
    try:
        found = {name: float(value) for name, value in metrics.items()}
        step = int(step)
    except (TypeError, ValueError, OverflowError, AttributeError):
        raise TypeError(
            f"context.report was given step {short(step)} and metrics {short(metrics)}; give a whole number and "
            "numbers by name"
        ) from None
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"context.report was given a metric called {short(name)}; its name must be text")
    return step, found


def _number(what: str, value: Any) -> float:
    """A number, or an array of one, as a float; `what` begins the message. Raises TypeError for anything else."""
    try:
        if isinstance(value, str | bytes | bytearray | complex):
            raise TypeError
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:  # whatever a strange object does when it is asked for a number
        raise TypeError(f"{what} {short(value)}; it must be a number") from None


def short(value: object) -> str:
    """A value and its type, for a sentence."""
    try:
        text = repr(value)
    except Exception:  # of a strange object
        text = "a value that cannot be shown"
    line = " ".join(text.split())
    return f"{storable(line[:SHOWN])} ({type(value).__name__})"
