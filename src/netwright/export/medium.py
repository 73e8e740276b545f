"""What an export says and does about the data that a network is for.

Each kind of data that users have in a form of their own (image files) has a file in `export/media/` that is asked
whether a task is of it; any other task's examples are what its batches hold (`media/plain.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from netwright.core.objectives import Objective
from netwright.core.protocols import Split
from netwright.plans.plan import Plan


@dataclass(frozen=True)
class Checked:
    """What was found on the test examples.

    Args:
        examples: Number of test examples.
        value: Value of the medium's measure, as the exported files have it.
        undecided: Number of predictions between choices so close that rounding decides.
    """

    examples: int
    value: float
    undecided: int


@dataclass(frozen=True)
class Facts:
    """What a model card tells.

    Args:
        name: Name of the network.
        options: Options of "space", "task" and "evaluator", the reference first.
        key: Key of the network in its space.
        plan: Layers of the network.
        about_data: The task's own description.
        caveats: Sentences to stand beside any result on the data.
        examples: Number of examples that it was trained and tested on, by split.
        trained_on: The split that it was trained on.
        metrics: Metrics of the training.
        checked: What the exported files did on the test examples.
        note: What the measured value is to be compared with, and whether it is no better; "": that is not known.
        seed: Seed of the training.
        command: Command that repeats the training.
        onnx: Whether there is an ONNX file.
        verdict: How it does beside a plain network, in a sentence; "": that is not known.
    """

    name: str
    options: Mapping[str, Mapping[str, Any]]
    key: str
    plan: Plan
    about_data: str
    caveats: tuple[str, ...]
    examples: Mapping[str, int]
    trained_on: Split
    metrics: Mapping[str, float]
    checked: Checked
    note: str
    seed: int
    command: str
    onnx: bool
    verdict: str = ""

    @property
    def whose(self) -> str:
        """Which examples it was trained on, in brackets."""
        if self.trained_on == "train":
            return "(training; the validation part decided which weights are kept or averaged)"
        return "(training and validation)"


class Medium(Protocol):
    """The examples of a task, in the form that users have them in."""

    @property
    def example(self) -> str:
        """What people call an example: "image"."""

    @property
    def inputs(self) -> str:
        """What people call a batch of what goes into the network: "images"."""

    @property
    def outputs(self) -> str:
        """What people call what comes out: "logits"."""

    @property
    def purpose(self) -> str:
        """What the network is ready to do: "classify"."""

    @property
    def measure(self) -> Objective | None:
        """The measure to be repeated, named without a split; None: the first that was measured on the test split."""

    def raw(self, start: int, inputs: Tensor) -> Tensor:
        """The examples of a batch as model.py takes them from users.

        Args:
            start: Position of the first example in the test split.
            inputs: The inputs of the batch, shape (B, ...).
        """

    def name(self, place: int) -> str:
        """What an example of the test split is called in messages."""

    def constants(self) -> list[str]:
        """Lines of model.py that hold what was measured of the data."""

    def functions(self) -> str:
        """A function of model.py, `normalize` or `checked`, that takes examples as users have them.

        It gives a batch in the network's form, and raises ValueError, with a sentence, for whatever is no such example.
        """

    def takes(self) -> str:
        """What goes into the network itself, for the program and the ONNX file, which check nothing: a sentence."""

    def remark(self) -> str:
        """A sentence on such examples, for the head of model.py; "" where there is nothing to say."""

    def files(self) -> Mapping[str, str]:
        """Further files of the export, by name."""

    def mismatch(self, checked: Checked, recorded: float) -> str:
        """The beginning of a refusal: what the exported files measure, and what the training recorded."""

    def verdict(self, forms: str, checked: Checked) -> str:
        """What the check found, as a sentence; `forms` are those of the network, such as "source and program"."""

    def facts(self, checked: Checked) -> Mapping[str, float]:
        """What the check found, for metrics.json."""

    def about(self, facts: Facts) -> list[str]:
        """Lines of the card: what the network does, and how well."""

    def use(self, facts: Facts) -> list[str]:
        """Lines of the card: the files, and how to use them."""

    def data(self, facts: Facts) -> str:
        """A paragraph of the card: what it was trained on."""

    def limits(self, facts: Facts) -> list[str]:
        """Lines of the card: what is not to be expected."""
