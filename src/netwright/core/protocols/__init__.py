"""The protocols that plug-ins fit by having the methods, and the four contracts that they keep.

1. `Strategy.ask` is pure: all learning happens in `tell`.
2. Randomness is an argument: nothing draws from, sets or saves a global generator.
3. Resume is replay: a fresh strategy told every finished trial in `finish` order is the strategy that was lost.
4. A failed trial is a result: the strategy is told it, with `scores=None`.

`netwright.testing` holds a suite for each protocol.
"""

from __future__ import annotations

from netwright.core.protocols.evaluator import (
    ChecksSettings,
    Context,
    EstimatesMemory,
    Evaluator,
    LeavesState,
    ListsMetrics,
    StatesSeconds,
    TrainsInFull,
    TrainsToBudgets,
    Tunes,
)
from netwright.core.protocols.executor import STOP_SECONDS, Executor, Halts, IsBounded, Job, KeepsTime
from netwright.core.protocols.network import CarriesState
from netwright.core.protocols.observer import Observed, Observer, Watcher
from netwright.core.protocols.space import (
    SEEDS,
    Accepts,
    Adapts,
    Generates,
    HasStarts,
    HasTrivial,
    SearchSpace,
    Symmetric,
    check_accepts,
    has_networks_for,
    of_any_seed,
    of_seed,
    starts_of,
    unwrap,
)
from netwright.core.protocols.store import Store
from netwright.core.protocols.strategy import Caches, LearnsAside, NamesBudgets, Strategy
from netwright.core.protocols.task import (
    ClassifiesImages,
    Gathering,
    Gathers,
    HasBaselines,
    HasCaveats,
    HasFingerprint,
    OffersMetrics,
    Prepares,
    Recognizes,
    Recorder,
    Resplits,
    ShowsExamples,
    Split,
    StatesMeasures,
    StatesWhereabouts,
    Summarizes,
    Task,
    WeighsExamples,
)

__all__ = [
    "SEEDS",
    "STOP_SECONDS",
    "Accepts",
    "Adapts",
    "Caches",
    "CarriesState",
    "ChecksSettings",
    "ClassifiesImages",
    "Context",
    "EstimatesMemory",
    "Evaluator",
    "Executor",
    "Gathering",
    "Gathers",
    "Generates",
    "Halts",
    "HasBaselines",
    "HasCaveats",
    "HasFingerprint",
    "HasStarts",
    "HasTrivial",
    "IsBounded",
    "Job",
    "KeepsTime",
    "LearnsAside",
    "LeavesState",
    "ListsMetrics",
    "NamesBudgets",
    "Observed",
    "Observer",
    "OffersMetrics",
    "Prepares",
    "Recognizes",
    "Recorder",
    "Resplits",
    "SearchSpace",
    "ShowsExamples",
    "Split",
    "StatesMeasures",
    "StatesSeconds",
    "StatesWhereabouts",
    "Store",
    "Strategy",
    "Summarizes",
    "Symmetric",
    "Task",
    "TrainsInFull",
    "TrainsToBudgets",
    "Tunes",
    "Watcher",
    "WeighsExamples",
    "check_accepts",
    "has_networks_for",
    "of_any_seed",
    "of_seed",
    "starts_of",
    "unwrap",
]
