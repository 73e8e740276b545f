"""Tasks: what every one has, and what some can do besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np

from netwright.core.baselines import Baseline
from netwright.core.objectives import Objective
from netwright.core.records import IO, Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from netwright.core.vocabulary import Vocabulary

Split = Literal["train", "valid", "train+valid", "test"]


class Task(Protocol):
    """Data, loss and metrics. Batches are (inputs, targets) tensors."""

    @property
    def io(self) -> IO:
        """What goes into a network, and what comes out of it."""

    def examples(self, split: Split) -> int:
        """How many examples the split has."""

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of one pass over the split: shuffled and augmented with `rng`, in order and plain without it."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean training loss of a batch, shape ()."""

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Measures of each example of a batch, or of each of its parts: shape (B,), or (B, T) for T tokens.

        Their means over all elements of a split are its metrics, unless the task `Summarizes`.
        """


@runtime_checkable
class StreamsBatches(Protocol):
    """Capability of a task: it is gone through in order, row n of each batch continuing row n of the one before.

    With a generator, batches have as many rows as asked for; without one, as many as suit the split. Their inputs and
    targets may have any number of steps.
    """

    def lengths(self, split: Split, size: int, rng: np.random.Generator | None) -> Sequence[int]:
        """Steps of each batch of the pass that `Task.batches` makes with such arguments, the generator not used yet.

        Raises BadReference where the split is too short for so many rows.
        """


@runtime_checkable
class ContinuesText(Protocol):
    """Capability of a task: its inputs are the tokens of a text, and its targets those that follow."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens, and how text is read as such."""

    def tokens(self, split: Split) -> int:
        """How many tokens the split has."""


@runtime_checkable
class Summarizes(Protocol):
    """Capability of a task: its metrics are not all means, as a perplexity is the exponential of one."""

    def summary(self, sums: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
        """The metrics of a split, from the sum and the number of all elements of each measure of `Task.metrics`."""


@runtime_checkable
class AsksNetwork(Protocol):
    """Capability of a recorder: it has the network say something more, once the pass is over."""

    def ask(self, network: torch.nn.Module) -> None:
        """Ask the network, which is in evaluation mode, and begins without a state."""


class Recorder(Protocol):
    """Gathers what may be shown of the examples of a split, batch by batch, in the order of a plain pass."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in the next batch: what the network gave, and what was wanted."""

    def files(self) -> Mapping[str, bytes]:
        """Files by name, to be written beside the weights of the network."""


@runtime_checkable
class ShowsExamples(Protocol):
    """Capability of a task: it can keep what became of each example, for reports to show."""

    def recorder(self, split: Split) -> Recorder:
        """A recorder for one pass over the split."""


@runtime_checkable
class StatesMeasures(Protocol):
    """Capability of a task, or of an evaluator: it says what it measures before anything is measured.

    The first is the main one: where a run names no objective, it is the run's. A task's names have no split yet
    ("accuracy"), an evaluator's are those of its metrics ("valid_accuracy"). Without this capability, the first metric
    counts, the higher the better, and it is shown as a plain number.
    """

    @property
    def measures(self) -> tuple[Objective, ...]:
        """What is measured, which way it is better, and how it is shown; metrics that are not among them may follow."""


@runtime_checkable
class OffersMetrics(Protocol):
    """Capability of a task or an evaluator: it can measure more than unasked, where objectives or metrics name it."""

    @property
    def offered(self) -> tuple[Objective, ...]:
        """What it can measure besides; names have no split yet ("balanced_accuracy")."""

    def measuring(self, names: Sequence[str]) -> Self:
        """A copy that also measures some of what is offered. Raises BadReference for what says nothing here."""


class Gathering(Protocol):
    """Takes in one pass over a split, batch by batch, for metrics that are no means over examples."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in the next batch: what the network gave, and what was wanted."""

    def metrics(self) -> dict[str, float]:
        """The metrics of all that was added. Raises NetwrightError where they are not defined."""


@runtime_checkable
class Gathers(Protocol):
    """Capability of a task: some of its metrics come from all outputs of a split together, as a rank statistic does."""

    def gathering(self) -> Gathering | None:
        """What takes in a pass over a split; None: there are no such metrics now."""


@runtime_checkable
class Resplits(Protocol):
    """Capability of a task: its training and validation examples can be divided in other ways, known by numbers."""

    def resplit(self, index: int, count: int) -> Self:
        """The task with another division, `index` of `count`: 0 is the task as it is. The test part is the same in all.

        Each division has as many training and as many validation examples as any other.
        """


@runtime_checkable
class HasBaselines(Protocol):
    """Capability of a task: it knows how well a constant answer does, without a pass over its examples.

    Of other tasks of classes or numbers, `training.constant` finds it out by a pass over the targets.
    """

    def baselines(self, split: Split) -> tuple[Baseline, ...]:
        """Metrics of the best constant answer on a split; names have no split yet."""


@runtime_checkable
class WeighsExamples(Protocol):
    """Capability of a task: its training loss counts some examples more than others."""

    def weights(self, targets: Tensor) -> Tensor | None:
        """The factor on the loss of each example, shape (B,), with mean 1 over the training data; None: all are 1."""


@runtime_checkable
class AdjustsLogits(Protocol):
    """Capability of a task of classes: its training loss adds something to the logits (Menon et al. 2021)."""

    def adjustment(self, device: torch.device) -> Tensor | None:
        """Logarithms of shares of the classes, shape (classes,), that sum to 1, on that device; None: nothing is."""


@runtime_checkable
class TakesHalf(Protocol):
    """Capability of a task: its loss takes outputs of half precision, and is computed in single precision.

    Those of other tasks are converted before: a copy, which counts where each token has an output for every word.
    """

    takes_half: ClassVar[bool]


class DeviceSplit(Protocol):
    """A split whose batches a device makes: of examples that lie there, or that the host hands it in time."""

    @property
    def is_resident(self) -> bool:
        """Whether the examples lie on the device, so that `parts` need not be drawn ahead; it changes no batch."""

    def parts(
        self,
        size: int,
        rng: np.random.Generator | None,
        shares: Callable[[int], Sequence[slice]] | None = None,
        start: int = 0,
    ) -> Iterator[Any]:
        """What the host does for the batches of a pass, one item for each, from batch `start` on.

        Batches are those of `Task.batches`; where examples are augmented, the draws may be others. With `shares`, only
        the examples of a batch of B that are in `shares(B)` are wanted.
        """

    def batch(self, part: Any, /) -> tuple[Tensor, Tensor, int]:
        """What the device does with an item of `parts`: inputs and targets there, and the whole batch's size B."""


@runtime_checkable
class OnDevice(Protocol):
    """Capability of a task: a device can make its batches, so that the CPU need not."""

    def on_device(self, split: Split, device: torch.device) -> DeviceSplit:
        """The split for a device. Its examples lie there afterwards if the device has room, once for all that asks."""


@runtime_checkable
class Prepares(Protocol):
    """Capability of a task: its data can be made ready before any worker starts."""

    def prepare(self) -> Iterator[str]:
        """Decode and cache what is not yet; yields sentences for people: first what it will take, then what was found.

        Raises NetwrightError for data that cannot be trained on.
        """


@runtime_checkable
class HasFingerprint(Protocol):
    """Capability of a task, or of an evaluator that answers from results: it tells whether its data is what it was."""

    def fingerprint(self) -> str:
        """A text that is equal for equal data and splits, wherever they are."""


@runtime_checkable
class StatesWhereabouts(Protocol):
    """Capability of a task, held by its plug-in: it names the options that say where its data lies or how it is kept.

    They change no result: a run goes on when they differ, as long as the task's fingerprint is what it was.
    """

    whereabouts: Sequence[str]


@runtime_checkable
class Recognizes(Protocol):
    """Capability of a task, held by its plug-in: it can tell whether it reads what lies at a path."""

    def recognizes(self, path: Path) -> Mapping[str, Any] | None:
        """Options with which the task reads what is there, left out where the defaults do; None: it is not for it.

        It looks at names and heads alone. What looks like data of its kind is taken, damaged or not: the task then says
        what is wrong with it.
        """


@runtime_checkable
class HasCaveats(Protocol):
    """Capability of a task: every result on its data comes with a warning."""

    def caveats(self) -> tuple[str, ...]:
        """Sentences to stand beside any result, such as that the data is not the original."""


@runtime_checkable
class ClassifiesImages(Protocol):
    """Capability of a task: its inputs are images of named classes, outputs (B, classes), targets (B,) int64."""

    def preprocessing(self) -> Preprocessing:
        """What happens to an image before the network sees it."""

    def pixels(self, split: Split, positions: Sequence[int]) -> np.ndarray:
        """Images of a split before normalization, without augmentation: uint8, shape (B, H, W, C)."""

    def names(self, split: Split, positions: Sequence[int]) -> list[str]:
        """Where images of a split come from: a file's path within the data, or "test 17"."""
