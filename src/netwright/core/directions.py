"""Which way a metric is better, as far as it is known, and the refusal of objectives that say otherwise.

An objective that is written the wrong way round calls the worst network the best, and nothing in the result shows it.
So what an evaluator, a task or the name of a metric says of the direction is held against what is written. Whoever
means it writes the metric with an exclamation mark behind it: "valid_loss!" maximizes the loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from netwright.core.errors import BadRunFile
from netwright.core.objectives import Objective

# words of names, without a number behind them
LOWER = frozenset(
    (
        *("loss", "losses", "error", "errors", "err", "perplexity", "ppl", "entropy", "nll", "regret", "distance"),
        *("rmse", "mse", "mae", "mape", "wer", "cer", "fid"),
        *("latency", "time", "runtime", "duration", "seconds", "secs", "millis", "microseconds"),
        *("params", "param", "parameters", "size", "flops", "macs", "adds", "memory", "cost", "energy"),
    )
)
HIGHER = frozenset(
    (
        *("accuracy", "accuracies", "acc", "f1", "auc", "auroc", "precision", "recall", "top1", "top5", "kappa"),
        *("bleu", "rouge", "iou", "dice", "psnr", "ssim", "correlation", "reward", "throughput"),
    )
)
# words that turn what the others say around, or may
TURNING = frozenset(
    (
        *("neg", "negative", "minus", "inv", "inverse", "inverted", "reciprocal"),
        *("saved", "saving", "savings", "reduction", "reduced", "decrease", "gain", "improvement", "free", "margin"),
    )
)
# ends of words that are written as one, as in "valloss"
LOWER_ENDS = ("loss", "error", "perplexity", "latency", "params")
HIGHER_ENDS = ("accuracy",)


def sign_of(name: str) -> Literal[1, -1] | None:
    """Which way a metric is better as its name tells: 1: higher, -1: lower, None: the name does not tell.

    A name with words of both kinds, such as "accuracy_loss", does not tell either, nor does "neg_log_loss"; of
    "seconds_per_epoch", what stands before "per" counts.
    """
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*", name)]
    words = {*parts[: parts.index("per") if "per" in parts else None]}
    words |= {word.rstrip("0123456789") for word in words}
    is_lower = any(word in LOWER or word.endswith(LOWER_ENDS) for word in words)
    is_higher = any(word in HIGHER or word.endswith(HIGHER_ENDS) for word in words)
    if is_lower == is_higher or words & TURNING:
        return None
    return -1 if is_lower else 1


def fault(objective: Objective, stated: Sequence[Objective] = ()) -> str:
    """Why the direction of an objective is wrong, and what to write instead; "" where it is right, not known, or meant.

    Args:
        objective: What is written.
        stated: Metrics whose direction is stated; of others, the name may tell.
    """
    known = next((each.sign for each in stated if each.name == objective.name), None) or sign_of(objective.name)
    if objective.is_meant or known is None or known == objective.sign:
        return ""
    name = objective.name
    if known < 0:
        return f"{name} is better when lower; write -{name}, or {name}! to call the highest best"
    return f"{name} is better when higher; write {name}, or -{name}! to call the lowest best"


def check(names: Sequence[str], stated: Sequence[Objective] = (), reported: Sequence[Objective] = ()) -> None:
    """Refuse objectives that cannot be meant.

    Args:
        names: The objectives as a run file has them.
        stated: Metrics whose direction is stated.
        reported: All metrics that a result may have; empty: that is not known.

    Raises:
        BadRunFile: An objective is named twice, is reported by nobody, or says of a metric the wrong direction.
    """
    asked = [Objective.read(text) for text in names]
    for place, objective in enumerate(asked):
        if objective.name in (before.name for before in asked[:place]):
            raise BadRunFile(f"objectives name {objective.name} twice; name it once")
        if reported and objective.name not in (each.name for each in reported):
            raise BadRunFile(_by_nobody(f"objective {str(objective)!r}", map(str, reported)))
        if wrong := fault(objective, [*stated, *reported]):
            raise BadRunFile(f"objective {str(objective)!r}: {wrong}")


def check_beside(names: Sequence[str], objectives: Sequence[str] = (), reported: Sequence[Objective] = ()) -> None:
    """Refuse metrics to be reported beside the objectives that say nothing there.

    Args:
        names: The metrics as a run file has them.
        objectives: The objectives of the run.
        reported: As in `check`.

    Raises:
        BadRunFile: A metric is named twice, is an objective, or is reported by nobody.
    """
    searched = {Objective.read(text).name for text in objectives}
    for place, name in enumerate(names):
        if name in names[:place]:
            raise BadRunFile(f"metrics name {name} twice; name it once")
        if name in searched:
            raise BadRunFile(f"metrics name {name}, which is an objective and so reported; leave it out of them")
        if reported and name not in (each.name for each in reported):
            raise BadRunFile(_by_nobody(f"metric {name!r}", (each.name for each in reported)))


def _by_nobody(what: str, reported: Iterable[str]) -> str:
    return (
        f"{what} is measured by nobody here; there are {', '.join(reported)} (a task of your own states what it "
        "measures in `measures`)"
    )
