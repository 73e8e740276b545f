"""The protocols that plug-ins fit by having the methods, and the four contracts that they keep.

1. `Strategy.ask` is pure: all learning happens in `tell`.
2. Randomness is an argument: nothing draws from, sets or saves a global generator.
3. Resume is replay: a fresh strategy told every finished trial in `finish` order is the strategy that was lost.
4. A failed trial is a result: the strategy is told it, with `scores=None`.

`netwright.testing` holds a suite for each protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Gene
from netwright.core.records import (
    IO,
    Counts,
    Genotype,
    LabeledGraph,
    Preprocessing,
    Proposal,
    Result,
    Trial,
    WorkerState,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from netwright.core.in_full import InFull

Split = Literal["train", "valid", "train+valid", "test"]
SEEDS = 20  # of a generator, tried before there is a trial whose seed draws its network

T = TypeVar("T")


class SearchSpace(Protocol):
    """A family of networks: a frozen dataclass of its settings, scaled up with `dataclasses.replace`."""

    @property
    def genes(self) -> tuple[Gene, ...]:
        """What a genotype holds, one entry per value."""

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype of the start population."""

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A neighbour of `genotype`; may equal it where the paper's mutation may."""

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype, saying what and where, unless `genotype` describes a network.

        A space that `Generates` says so of the network that its own seed draws.
        """

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network, initialised: images (B, C, H, W) in [0, 1] or normalised to logits (B, outputs)."""

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form: a few milliseconds, no module built.

        Raises InvalidGenotype where there is no such network for these images.
        """

    def key(self, genotype: Genotype) -> str:
        """Equal keys: the same network, parts that do nothing left out."""

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """What a drawing of the network shows."""


@runtime_checkable
class HasTrivial(Protocol):
    """Capability of a space: a simplest network, the reference that a search must beat."""

    def trivial(self) -> Genotype:
        """The genotype that the paper's initialisation starts from."""


@runtime_checkable
class Generates(Protocol):
    """Capability of a space: a genotype describes a generator, and each seed draws one of its networks.

    Every method of the space speaks of the network that the space's own seed draws, a setting; equal keys are equal
    generators. A trial's network is the one that the trial's seed draws: a search asks `of_seed(space, seed)` whether
    it fits, so that one network of a generator may be refused, and another is drawn instead. As that seed follows from
    the key, `key` raises InvalidGenotype for what is no generator.
    """

    def seeded(self, seed: int) -> SearchSpace:
        """The same space with another seed, from 0 to 2**63 - 1."""


@runtime_checkable
class Symmetric(Protocol):
    """Capability of a space: one network has several genotypes, and one can be turned into another."""

    def equivalents(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Another genotype of the same network, drawn; the same one where there is no other."""


class Strategy(Protocol):
    """Chooses what to evaluate next."""

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """The next proposal; None: not until something finishes, or, with nothing pending, the search is over."""

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Learn from a finished trial; `trial.scores` is None when it failed."""


@runtime_checkable
class Caches(Protocol):
    """Capability of a strategy: it can keep what is dear to relearn, by the hash of all that it learned from.

    What a cache holds is what learning would find again: deleting it changes nothing but the time.
    """

    def cache_in(self, folder: Path) -> None:
        """Keep it in `folder`, made when first written to. Called before anything is told."""


@runtime_checkable
class LearnsAside(Protocol):
    """Capability of a strategy: it learns in a thread of its own, and at stated numbers of trials it waits for that."""

    def is_ready(self) -> bool:
        """Whether the next `ask` or `tell` would return without waiting for what is still being learned."""


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
class NamesBudgets(Protocol):
    """Capability of a strategy: its proposals name budgets."""

    @property
    def largest_budget(self) -> int:
        """The largest that it ever names."""


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


class Task(Protocol):
    """Data, loss and metrics. Batches are (inputs, targets) tensors."""

    @property
    def io(self) -> IO:
        """Shape of the inputs and number of outputs."""

    def examples(self, split: Split) -> int:
        """How many examples the split has."""

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the split: shuffled and augmented with `rng`, in order and plain without one."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean training loss of a batch, shape ()."""

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Per-example measures of a batch, each of shape (B,): their means over a split are its metrics."""


@runtime_checkable
class Prepares(Protocol):
    """Capability of a task: its data can be made ready before any worker starts."""

    def prepare(self) -> Iterator[str]:
        """Decode and cache what is not yet; yields sentences for people: first what it will take, then what was found.

        Raises NetwrightError for data that cannot be trained on.
        """


@runtime_checkable
class HasFingerprint(Protocol):
    """Capability of a task: it can tell whether its data is what it was."""

    def fingerprint(self) -> str:
        """Equal for equal data and splits, wherever they are."""


@runtime_checkable
class ClassifiesImages(Protocol):
    """Capability of a task: its inputs are images of named classes, outputs (B, classes), targets (B,) int64."""

    def preprocessing(self) -> Preprocessing:
        """What happens to an image before the network sees it."""

    def pixels(self, split: Split, positions: Sequence[int]) -> np.ndarray:
        """Images of a split before normalization, without augmentation: uint8, shape (B, H, W, C)."""

    def names(self, split: Split, positions: Sequence[int]) -> list[str]:
        """Where images of a split come from: a file's path within the data, or "test 17"."""

    def caveats(self) -> tuple[str, ...]:
        """Sentences to stand beside any accuracy on this data, such as that it is not the original."""


class Store(Protocol):
    """The table of trials: the only channel between controller and workers. Safe for many threads."""

    @property
    def address(self) -> str:
        """A reference by which another process opens the same table; "" when none can."""

    def add(self, proposal: Proposal, key: str, seed: int, result: Result | None = None) -> int:
        """Write a pending row, or, with `result`, one that is finished at once; returns its id."""

    def claim(self, worker: str) -> Trial | None:
        """Make the oldest pending row `running` for this worker, atomically."""

    def beat(self, worker: str, activity: str = "") -> None:
        """The worker is alive; called by the process that watches over it, not by the busy one.

        Worker names are unique: a name that is used again would vouch for the rows of a dead namesake.
        """

    def finish(self, trial_id: int, result: Result) -> bool:
        """Write a result; the first finish of a row wins, later ones change nothing. Whether this one did."""

    def finished(self, after: int = 0) -> list[Trial]:
        """Rows whose `finish` is greater than `after`, in that order."""

    def unfinished(self) -> list[Trial]:
        """Pending and running rows in order of id."""

    def requeue(self, lost_for: float, worker: str | None = None) -> int:
        """Put running rows back to pending whose worker is dead or silent for `lost_for` seconds; returns how many.

        With `worker`, only that worker's rows. A row lost for the fourth time fails as `lost` instead.
        """

    def put_back(self, worker: str | None = None) -> int:
        """Put running rows (of one worker, or all) back to pending, counting no loss: they were stopped on purpose."""

    def remember(self, name: str, text: str) -> None:
        """Keep a fact about the run (its run file, its elapsed time)."""

    def recall(self, name: str) -> str | None:
        """A fact kept before."""

    def workers(self) -> list[WorkerState]:
        """Workers that have beaten, for people who watch."""

    def close(self) -> None:
        """Release files; the store is not used afterwards."""


@dataclass(frozen=True)
class Job:
    """What an executor needs to start workers.

    A worker in another process gets `store.address` and finds the rest (run file, evaluator, seed) in the table.
    """

    store: Store
    folder: Path | None = None
    threads: int = 1
    keep: bool = False  # leave the folders of finished trials


class Executor(Protocol):
    """Runs workers: in this process, in processes, on a cluster."""

    @property
    def workers(self) -> int:
        """How many trials it evaluates at a time."""

    def start(self, job: Job) -> None:
        """Bring the workers up."""

    def poll(self, seconds: float) -> None:
        """Let work happen for about `seconds`; restart dead workers."""

    def drain(self) -> None:
        """Let running trials finish, start no other."""

    def is_idle(self) -> bool:
        """After `drain`: nothing runs any more."""

    def stop(self) -> None:
        """Stop every worker now. Returns when none is left."""


@runtime_checkable
class KeepsTime(Protocol):
    """Capability of an executor: its work goes by a simulated clock."""

    @property
    def elapsed_seconds(self) -> float:
        """On that clock, since the executor was made."""

    @property
    def utilization(self) -> float:
        """Share of the workers' time that went into evaluations while there were rows to ask; NaN before any."""


class Observer(Protocol):
    """Someone who watches a search: a live display, a test."""

    def asked(self, trial: Trial) -> None:
        """A row was added."""

    def told(self, trial: Trial) -> None:
        """The strategy was told a finished trial."""

    def tick(self) -> None:
        """The loop went round once more."""


def of_seed(space: SearchSpace, seed: int) -> SearchSpace:
    """The space, in the wrapper that it has, as a trial with this seed has it; one that draws nothing is as it is."""
    generator = unwrap(space, Generates)
    if generator is None:
        return space
    found: SearchSpace = generator.seeded(seed)
    wrapper: Any = space
    return found if generator is space else replace(wrapper, space=found)


def of_any_seed(space: SearchSpace, use: Callable[[SearchSpace], T]) -> T:
    """What `use` gives of the space as the first of a few seeds has it whose network fits.

    Before a search there is no trial and so no seed of a network: one that does not fit says little of its generator. A
    space that draws nothing is used once, as it is.

    Raises:
        InvalidGenotype: That of the first seed, where all of them are refused.
    """
    if unwrap(space, Generates) is None:
        return use(space)
    refusal: InvalidGenotype | None = None
    for seed in range(SEEDS):
        try:
            return use(of_seed(space, seed))
        except InvalidGenotype as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def unwrap(value: Any, capability: type) -> Any:
    """`value`, or the space within a wrapper, that has the capability; None when neither has."""
    if isinstance(value, capability):
        return value
    inner = getattr(value, "space", None)
    return inner if isinstance(inner, capability) else None
