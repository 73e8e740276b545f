"""What a timed run plays where nobody says otherwise: the one place that knows space, strategy and settings by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from netwright.core import building, refs
from netwright.core.constraints import constrain
from netwright.core.protocols import Task, starts_of
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.timetable import Timetable

HOURS: Final = 0.5  # where nobody says how many
WORKER_MB: Final = 1_300.0  # of a training with all around it, by which workers are counted

SPACE: Final = "macro"
STRATEGY: Final = "mobster"
# settings of training that are genes beside the network's
SETTINGS: Final = tuple(
    f"{name}:centered" for name in ("lr", "weight_decay", "label_smoothing", "mixing", "averaging", "strength", "flip")
)
# of every training of a timed run, but for what `any_training` says of small networks
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
WARM_UP: Final = 30  # steps, at most an epoch
# Parameters below which networks that constraints make small cannot fit what is mixed: within 50,000, none at all was
# better by 0.5 to 1.3 points on classes 0 to 3 of CIFAR-10, 300 or 1,000 images each, in four minutes of one core
UNMIXED: Final = 100_000


def any_training(params: int | None = None) -> Mapping[str, Any]:
    """Options of the evaluator in any training of a timed run; `params`: as in `search_training`."""
    is_small = params is not None and params < UNMIXED
    return {**TRAINING, "mixing": 0.0} if is_small else TRAINING


def search_training(timetable: Timetable, images: int, params: int | None = None) -> Mapping[str, Any]:
    """Options of the evaluator in the search: those of any training, and what the timetable decides.

    Args:
        timetable: The timetable of the run.
        images: Number of training images.
        params: Parameters of the largest network that the search begins from, where constraints leave out the first one
            that its space knows; None: they leave it in, or the space knows none.
    """
    whole = timetable.rungs[-1] + timetable.rank_seconds + timetable.final_seconds
    return {
        **any_training(params),
        "warmup": round(min(1.0, WARM_UP * timetable.batch / images), 4),
        "batch": timetable.batch,
        "precision": timetable.precision,
        "pace": list(timetable.pace),
        "horizon": int(whole) + 1,  # beyond every trial, so that none decays and finalists can go on
        "splits": timetable.splits,
    }


@dataclass(frozen=True)
class Defaults:
    """What a timed run is made of.

    Args:
        space: Name of the space.
        settings: Settings of training among its genes, where the space is this one.
        strategy: Name of the strategy.
        training: Gives the options of the evaluator in the search: see `search_training`.
    """

    space: str = SPACE
    settings: tuple[str, ...] = SETTINGS
    strategy: str = STRATEGY
    training: Callable[[Timetable, int, int | None], Mapping[str, Any]] = search_training

    def tables(
        self,
        timetable: Timetable,
        task: Task,
        space: Reference | None,
        strategy: Reference | None,
        constraints: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Tables of a run file: space, strategy, evaluator, executor and threads.

        Args:
            timetable: The timetable of the run.
            task: Its task.
            space: Space in place of the default one; None: the default one.
            strategy: Strategy in place of the default one; None: the default one.
            constraints: Bounds on what may ship, by counts, as a run file has them.

        Raises:
            BadReference: There is no such space.
            BadRunFile: A constraint cannot be read.
        """
        chosen = space or Reference(self.space)
        params = params_instead(chosen, task.io, constraints)
        given = {} if "with" in chosen.options or not self.settings else {"with": ",".join(self.settings)}
        played = strategy or Reference(self.strategy)
        budgets = _budgets(played, timetable)
        own = {} if budgets else {"seconds": timetable.rungs[len(timetable.rungs) // 2]}
        return {
            "space": {"ref": chosen.name, **chosen.options, **given},
            "strategy": {"ref": played.name, **budgets, **played.options},
            "evaluator": {"ref": "training", **self.training(timetable, task.examples("train"), params), **own},
            "executor": {"ref": "processes", "workers": timetable.workers},
            "threads_per_trial": timetable.threads,
        }


def params_instead(space: Reference, io: IO, constraints: Sequence[str]) -> int | None:
    """What `search_training` has to know of the networks that a search of the space begins from within constraints.

    Raises:
        BadReference: There is no such space.
        BadRunFile: A constraint cannot be read.
    """
    options = {name: value for name, value in space.options.items() if name != "with"}
    known = building.load_space(Reference(space.name, options))
    left = starts_of(constrain(known, io, tuple(constraints)))
    is_left_in = left[:1] == starts_of(known)[:1]
    return None if is_left_in or not left else max(known.count(each, io).params for each in left)


def _budgets(strategy: Reference, timetable: Timetable) -> dict[str, Any]:
    """Options of a strategy that say which budgets there are, if it has any."""
    options = refs.options_of(refs.locate("strategy", strategy.name))
    if "budgets" in options:
        return {"budgets": list(timetable.rungs)}
    if {"min_budget", "max_budget"} <= options.keys():
        return {"min_budget": timetable.rungs[0], "max_budget": timetable.rungs[-1]}
    return {}
