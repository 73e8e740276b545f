"""Evaluators: what every one has, what a worker lends it, and what some can do besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from netwright.core.records import Genotype, Result, Trial

if TYPE_CHECKING:
    from netwright.core.in_full import InFull


class Context(Protocol):
    """What a worker lends an evaluator for one trial."""

    @property
    def folder(self) -> Path:
        """This trial's own folder, made when first asked for."""

    @property
    def threads(self) -> int:
        """How many threads the evaluation uses: part of the run, because sums differ with it."""

    @property
    def worker_index(self) -> int:
        """0, 1, ... among the workers of this machine: picks the GPU."""

    @property
    def run(self) -> str | None:
        """The run file of the run that the trial belongs to, as TOML; None: it belongs to none."""

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Say that the trial goes on (feeds the no-progress limit). False: stop now, nobody waits for it."""

    def checkpoint_of(self, trial_id: int) -> Path | None:
        """The folder that another trial left behind; None: it is gone, train anew."""

    def pool(self) -> Sequence[Trial]:
        """All finished rows, for evaluators that share weights."""


class Evaluator(Protocol):
    """Measures one trial. May raise: the worker turns any exception into a failed row."""

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Build, train, measure."""


@runtime_checkable
class ChecksSettings(Protocol):
    """Capability of an evaluator: it knows before any trial what it would refuse."""

    def check_settings(self, genotype: Genotype, *, budget: int | None = None, data_is_ready: bool = False) -> None:
        """Raise NetwrightError for settings with which no trial of the genotype, with that budget, could succeed.

        `data_is_ready`: the task is prepared, so that what depends on the number of examples is checked too.
        """


@runtime_checkable
class EstimatesMemory(Protocol):
    """Capability of an evaluator: it knows beforehand about how much memory a trial takes."""

    def memory_mb(self, genotype: Genotype) -> float | None:
        """Resident memory of a worker that evaluates the genotype, in 10**6 bytes; None: not known for this space."""


@runtime_checkable
class StatesSeconds(Protocol):
    """Capability of an evaluator: it may state what a trial costs instead of taking that time."""

    @property
    def states_seconds(self) -> bool:
        """Whether it does."""


@runtime_checkable
class LeavesState(Protocol):
    """Capability of an evaluator: a trial may leave, in its folder, what a trial that continues it goes on from."""

    def leaves_state(self, trial: Trial) -> bool:
        """Whether this trial does; its folder then stays until one that continues it has finished."""


@runtime_checkable
class TrainsInFull(Protocol):
    """Capability of an evaluator, held by its plug-in: the networks that it finds can be trained at length and tested.

    It is asked of the plug-in, before an evaluator is made: see `core.in_full`.
    """

    in_full: ClassVar[InFull]


@runtime_checkable
class TrainsToBudgets(Protocol):
    """Capability of an evaluator: it trains as long as a proposal's budget says."""

    @property
    def budget_unit(self) -> str:
        """What a budget counts: "epochs", "steps"."""

    @property
    def own_budget(self) -> int | None:
        """How long a trial is trained whose proposal names no budget; None: the options do not say."""

    def advice(self, largest_budget: int) -> str:
        """Why a trial that continues another would begin anew, and what to give instead; "" where it would go on."""
