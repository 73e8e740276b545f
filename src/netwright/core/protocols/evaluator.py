"""Evaluators: what every one has, what a worker lends it, and what some can do besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

from netwright.core.objectives import Objective
from netwright.core.records import IO, Genotype, Result, Trial

if TYPE_CHECKING:
    from netwright.core.cards import CardMemory
    from netwright.core.in_full import InFull
    from netwright.core.round_plan import Rounds
    from netwright.core.settings import Setting


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
        """Say that the trial goes on (feeds the no-progress limit). False: stop now, the result is no longer wanted."""

    def should_stop(self) -> bool:
        """Whether to stop now and keep what was done; cheap enough to ask at every step.

        An evaluator that keeps it writes it into `folder`, raises `core.errors.PutBack`, and goes on from there when
        the trial comes again. One that never asks is ended some time later, and begins anew.
        """

    def checkpoint_of(self, trial_id: int) -> Path | None:
        """The folder that another trial left behind; None: it is gone, and training starts anew."""

    @property
    def shared(self) -> Path:
        """The folder of what all trials of the run share, `shared` within the run's, made when first asked for.

        Where a run has no folder, it is a temporary one, which goes with the executor.
        """

    def members(self, budget: int) -> Sequence[Trial]:
        """All rows of a round, in order of id: pending and running ones too, as those with that budget.

        It reads the whole table: to be asked once in a round. Raises `core.errors.TooEarly` until all rows of the round
        are in the table; the worker then puts the trial back and takes it up again a little later.
        """


class Evaluator(Protocol):
    """Measures one trial. May raise: the worker turns any exception into a failed row."""

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Build, train, measure."""


@runtime_checkable
class PlaysRounds(Protocol):
    """Capability of an evaluator: it measures the networks of a round together, round after round."""

    @property
    def rounds(self) -> Rounds:
        """How many rounds there are, and what each is made of."""


@runtime_checkable
class LimitsWorkers(Protocol):
    """Capability of an evaluator: no more than so many of it may work for a run at a time."""

    @property
    def max_workers(self) -> int:
        """The most workers, at least 1."""


@runtime_checkable
class MakesReady(Protocol):
    """Capability of an evaluator: something that many trials need is made before the first of them is measured."""

    def make_ready(self, trial: Trial, context: Context) -> None:
        """Make what must be there before the trial can be measured; at once where it is.

        The worker calls it before `evaluate`. Its time is neither in the row's seconds nor does it count for the limit
        of a trial's time; the limit of silence holds, and `context.report` feeds it. To stop, it writes down where it
        stands, in `context.shared`, and raises `core.errors.PutBack`, as `evaluate` does. What else it raises fails the
        trial.
        """


@runtime_checkable
class ListsMetrics(Protocol):
    """Capability of an evaluator: it names every metric that its results may have, so that others are refused.

    One without it is trusted: the first trial that lacks the objective ends the search.
    """

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """All metrics, each with its direction; empty: not known."""


@runtime_checkable
class ChecksSettings(Protocol):
    """Capability of an evaluator: it knows before any trial what it would refuse."""

    def check_settings(self, genotype: Genotype, *, budget: int | None = None, data_is_ready: bool = False) -> None:
        """Raise NetwrightError for settings with which no trial of the genotype at that budget could succeed.

        `data_is_ready`: the task is prepared, so that what depends on the number of examples is checked too.
        """


@runtime_checkable
class HasRemarks(Protocol):
    """Capability of an evaluator: it knows what is to be said before any trial, such as on what device they run."""

    def remarks(self) -> Sequence[str]:
        """Whole sentences without a full stop."""


@runtime_checkable
class Foretells(Protocol):
    """Capability of an evaluator: some metrics of a network are known exactly before it is evaluated."""

    def foretell(self, genotype: Genotype) -> Mapping[str, float]:
        """Metrics of the network as `evaluate` will measure them, whatever the trial's seed; empty: none is known.

        Raises InvalidGenotype where there is no such network.
        """


@runtime_checkable
class EstimatesMemory(Protocol):
    """Capability of an evaluator: it knows beforehand about how much memory a trial takes."""

    def memory_mb(self, genotype: Genotype) -> float | None:
        """Resident memory of a worker that evaluates the genotype, in 10**6 bytes; None: not known for this space."""


@runtime_checkable
class UsesCards(Protocol):
    """Capability of an evaluator: its trials may lie on cards (GPUs), whose memory they share and which can run out."""

    def cards(self, worker_index: int) -> tuple[str, ...]:
        """Names of the cards that the trials of a worker lie on, the same in all processes; empty: they lie on none."""

    def card_memory(self) -> CardMemory | None:
        """Memory of the card that this process fills most; None: it uses none."""

    def leave_cards(self) -> None:
        """Give back the memory of cards that this process keeps for later use."""


@runtime_checkable
class DividesBatches(Protocol):
    """Capability of an evaluator: it can work through batches in parts, where memory is too small for whole ones."""

    def in_more_parts(self, parts: int, genotype: Genotype) -> Self:
        """This evaluator working through each batch in that many times as many parts, which saves memory.

        Raises:
            NetwrightError: The batches of this genotype cannot be divided so.
        """


@runtime_checkable
class StatesSeconds(Protocol):
    """Capability of an evaluator: it may state what a trial costs instead of taking that time."""

    @property
    def states_seconds(self) -> bool:
        """Whether it states the cost of a trial."""


@runtime_checkable
class StatesIO(Protocol):
    """Capability of an evaluator: it says for which inputs its networks were made, where these are not the task's."""

    @property
    def io(self) -> IO | None:
        """What goes into the networks and comes out; None: what the task gives."""


@runtime_checkable
class LeavesState(Protocol):
    """Capability of an evaluator: a trial may leave in its folder the state from which another trial continues it."""

    def leaves_state(self, trial: Trial) -> bool:
        """Whether this trial leaves one; its folder then stays until a trial that continues it has finished.

        That of a trial which is far from the best is removed before, where the strategy is `PromotesBest`.
        """


@runtime_checkable
class TrainsInFull(Protocol):
    """Capability of an evaluator, held by its plug-in: the networks that it finds can be trained at length and tested.

    The plug-in is asked, before an evaluator is made: see `core.in_full`.
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
        """The budget of a trial whose proposal names none; None: the options do not say."""

    def advice(self, largest_budget: int) -> str:
        """Why a trial that continues another would start anew, and what to give instead; "" where it would continue."""


@runtime_checkable
class Tunes(Protocol):
    """Capability of an evaluator, or of a task: some of its settings can be searched; see `core.settings`."""

    @property
    def tunable(self) -> Mapping[str, Setting]:
        """The settings that can be searched, by name; their defaults are the present values."""

    def tuned(self, values: Mapping[str, Any]) -> Self:
        """A copy with new values for some of these settings.

        Raises:
            BadReference: Values that do not go together.
        """
