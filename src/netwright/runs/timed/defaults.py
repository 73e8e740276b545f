"""What a timed run plays where nobody says otherwise: the one place that knows space, strategy and settings by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from netwright.core import refs
from netwright.core.refs import Reference
from netwright.core.timetable import Timetable
from netwright.runs.timed import timetable as plans

HOURS: Final = 0.5  # where nobody says how many
WORKER_MB: Final = 1_300.0  # of a training with all around it, by which workers are counted

SPACE: Final = "macro"
STRATEGY: Final = "mobster"
# settings of training that are genes beside the network's
SETTINGS: Final = tuple(
    f"{name}:centered" for name in ("lr", "weight_decay", "label_smoothing", "mixing", "averaging", "strength", "flip")
)
# of every training of a timed run
TRAINING: Final[Mapping[str, Any]] = {
    "optimizer": "muon",
    "schedule": "constant",
    "weight_decay": 5e-4,
    "label_smoothing": 0.1,
    "decay_on": "weights",
    "mixing": 0.25,
    "averaging": 0.2,
    "checkpoint_minutes": 0.5,
}
VALIDATING: Final = ("keep_best", "reloads", "non_monotone")  # options for which validation decides on the way
WARM_UP: Final = 30  # steps, at most an epoch


def search_training(timetable: Timetable, images: int) -> Mapping[str, Any]:
    """Options of the evaluator in the search: those of any training, and what the timetable decides.

    Args:
        timetable: The timetable of the run.
        images: Number of training images.
    """
    whole = timetable.rungs[-1] + timetable.rank_seconds + timetable.final_seconds
    return {
        **TRAINING,
        "warmup": round(min(1.0, WARM_UP * timetable.batch / images), 4),
        "batch": timetable.batch,
        "precision": timetable.precision,
        "pace": list(timetable.pace),
        "horizon": int(whole) + 1,  # beyond every trial, so that none decays and finalists can go on
        "splits": timetable.splits,
        "early_size": plans.early_size_for(timetable.side),
    }


def sizes_beside(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What takes the place of smaller images beside options of the evaluator that are asked for; nothing: they stay.

    They go with a rate that stays and then falls, and with weights that nothing is decided by on the way.
    """
    is_constant = asked.get("schedule", TRAINING["schedule"]) == "constant"
    if "early_size" in asked or (is_constant and not any(asked.get(name) for name in VALIDATING)):
        return {}
    return {"early_size": 1.0}


def size_in(options: Mapping[str, Any]) -> float:
    """Share of their sides that images have at first, by options of the evaluator; 1 where that is to be refused."""
    share = options.get("early_size", 1.0)
    return float(share) if isinstance(share, int | float) and 0 < share <= 1 else 1.0


@dataclass(frozen=True)
class Defaults:
    """What a timed run is made of.

    Args:
        space: Name of the space.
        settings: Settings of training among its genes, where the space is this one.
        strategy: Name of the strategy.
        training: Gives the options of the evaluator in the search, by the timetable and the number of images.
    """

    space: str = SPACE
    settings: tuple[str, ...] = SETTINGS
    strategy: str = STRATEGY
    training: Callable[[Timetable, int], Mapping[str, Any]] = search_training

    def tables(
        self, timetable: Timetable, images: int, space: Reference | None, strategy: Reference | None
    ) -> dict[str, Any]:
        """Tables of a run file: space, strategy, evaluator, executor and threads.

        Args:
            timetable: The timetable of the run.
            images: Number of training images.
            space: Space in place of the default one; None: the default one.
            strategy: Strategy in place of the default one; None: the default one.
        """
        chosen = space or Reference(self.space)
        given = {} if "with" in chosen.options or not self.settings else {"with": ",".join(self.settings)}
        played = strategy or Reference(self.strategy)
        budgets = _budgets(played, timetable)
        own = {} if budgets else {"seconds": timetable.rungs[len(timetable.rungs) // 2]}
        return {
            "space": {"ref": chosen.name, **chosen.options, **given},
            "strategy": {"ref": played.name, **budgets, **played.options},
            "evaluator": {"ref": "training", **self.training(timetable, images), **own},
            "executor": {"ref": "processes", "workers": timetable.workers},
            "threads_per_trial": timetable.threads,
        }


def _budgets(strategy: Reference, timetable: Timetable) -> dict[str, Any]:
    """Options of a strategy that say which budgets there are, if it has any."""
    options = refs.options_of(refs.locate("strategy", strategy.name))
    if "budgets" in options:
        return {"budgets": list(timetable.rungs)}
    if {"min_budget", "max_budget"} <= options.keys():
        return {"min_budget": timetable.rungs[0], "max_budget": timetable.rungs[-1]}
    return {}
