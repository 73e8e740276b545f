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
from netwright.plans.plan import Plan


@dataclass(frozen=True)
class Checked:
    """What was found on the test examples.

    Args:
        examples: How many there are.
        value: Of the medium's measure, by the exported files.
        undecided: Predictions among several that are so close that rounding decides.
    """

    examples: int
    value: float
    undecided: int


@dataclass(frozen=True)
class Facts:
    """What a model card tells.

    Args:
        name: Of the network.
        options: Of "space", "task" and "evaluator", the reference first.
        key: Of the network in its space.
        plan: Its layers.
        about_data: The task's own description.
        caveats: Sentences to stand beside any result on the data.
        examples: How many it was trained and tested on.
        metrics: Of the training.
        checked: What the exported files did on the test examples.
        seed: Of the training.
        command: That repeats the training.
        onnx: Whether there is an ONNX file.
    """

    name: str
    options: Mapping[str, Mapping[str, Any]]
    key: str
    plan: Plan
    about_data: str
    caveats: tuple[str, ...]
    examples: Mapping[str, int]
    metrics: Mapping[str, float]
    checked: Checked
    seed: int
    command: str
    onnx: bool


class Medium(Protocol):
    """The examples of a task, in the form that users have them in."""

    @property
    def example(self) -> str:
        """What people call one: "image"."""

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
        """What the exported files must repeat, without a split; None: the first that was measured on the test split."""

    def raw(self, start: int, inputs: Tensor) -> Tensor:
        """The examples of a batch as model.py takes them from users.

        Args:
            start: Which example of the test split the first one is.
            inputs: The batch.
        """

    def name(self, place: int) -> str:
        """What an example of the test split is called in messages."""

    def constants(self) -> list[str]:
        """Lines of model.py that hold what was measured of the data."""

    def functions(self) -> str:
        """Functions of model.py that bring an example into the network's form; with them, the fresh process does so."""

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
