"""Examples of any kind, in the form in which batches hold them: vectors, tokens, whatever a task has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from torch import Tensor

from netwright import __version__
from netwright.core.objectives import Objective
from netwright.core.protocols import StatesMeasures, Task
from netwright.core.shapes import Numbers, Tokens, describe, dimensions
from netwright.export import card
from netwright.export.medium import Checked, Facts
from netwright.plans import counting

TEMPLATES = Path(__file__).parent.parent / "templates"


@dataclass(frozen=True)
class Plain:
    """The examples of a task of which nothing else is known."""

    task: Task
    example: str = "example"
    inputs: str = "inputs"
    purpose: str = "run"

    @property
    def outputs(self) -> str:
        """Logits, unless the network gives numbers."""
        return "outputs" if isinstance(self.task.io.output, Numbers) else "logits"

    @property
    def measure(self) -> Objective | None:
        """The first measure of the task; None: it states none."""
        return self.task.measures[0] if isinstance(self.task, StatesMeasures) and self.task.measures else None

    def raw(self, start: int, inputs: Tensor) -> Tensor:  # noqa: ARG002
        """The batch as it is."""
        return inputs

    def name(self, place: int) -> str:
        """The number of an example."""
        return f"test example {place}"

    def constants(self) -> list[str]:
        """No lines: nothing is known to be measured."""
        return []

    def functions(self) -> str:
        """A function that refuses what is no batch of the network's form."""
        given = self.task.io.input
        is_tokens = isinstance(given, Tokens)
        shape = tuple(dimensions(given))
        inside = f"((inputs >= 0) & (inputs < {given[0]})).all()" if is_tokens else "torch.isfinite(inputs).all()"
        return Template((TEMPLATES / "checked.py.txt").read_text(encoding="utf-8")).substitute(
            takes=self._form(),
            dtype="int64" if is_tokens else "float32",
            rank=1 + len(shape),
            shape=repr(shape),
            test=inside,
            fault=f"some lie outside 0 to {given[0] - 1}" if is_tokens else "some are no finite numbers",
        )

    def takes(self) -> str:
        """Type and shape of a batch."""
        return f"Inputs are {self._form()}; nothing here checks that, `checked` of model.py does."

    def _form(self) -> str:
        """Type and shape of a batch in words."""
        given = self.task.io.input
        shape = ", ".join(map(str, dimensions(given)))
        if isinstance(given, Tokens):
            return f"int64 from 0 to {given.vocabulary - 1} of shape (B, {shape})"
        return f"finite float32 of shape (B, {shape})"

    def remark(self) -> str:
        """What goes in and what comes out."""
        io = self.task.io
        return f"It takes {describe(io.input)} and gives {describe(io.output)}."

    def files(self) -> Mapping[str, str]:
        """No further files."""
        return {}

    def mismatch(self, checked: Checked, recorded: float) -> str:
        """The value that was measured, and the one that was recorded."""
        return (
            f"the exported network measures {checked.value:.6g} on {checked.examples:,} test examples, but training "
            f"recorded {recorded:.6g}"
        )

    def verdict(self, forms: str, checked: Checked) -> str:
        """How many examples, and the value that was measured."""
        close = f"; {checked.undecided} too close to call were left out" if checked.undecided else ""
        return (
            f"{forms} give what training did for {checked.examples:,} test examples, and measure "
            f"{checked.value:.6g}{close}"
        )

    def facts(self, checked: Checked) -> Mapping[str, float]:
        """How many examples, and how many were too close to call."""
        return {"test_examples": checked.examples, "test_undecided": checked.undecided}

    def about(self, facts: Facts) -> list[str]:
        """What goes in, what comes out, and the measured value."""
        counts, measure = counting.count(facts.plan), self.measure
        label = "measured" if measure is None else measure.on("test").label
        compared = f" ({facts.note})" if facts.note else ""
        return [
            f"A network found by netwright {__version__}, a neural architecture search. {self.remark()}",
            "",
            f"**{label} {facts.checked.value:.6g}**{compared} on {facts.checked.examples:,} test examples, "
            f"{counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds for one example. {card.REPEATED}",
        ]

    def use(self, facts: Facts) -> list[str]:
        """The files, and how to run the network."""
        given = self.task.io.input
        shape = ", ".join(map(str, (1, *dimensions(given))))
        kind = ", dtype=torch.long" if isinstance(given, Tokens) else ""
        rows = [
            ("model.py, weights.safetensors", "the network; needs torch only"),
            ("program.pt2", f"the same as a graph: `torch.export.load`; any number of {self.inputs}, unchecked"),
            *[("model.onnx", f"the same for ONNX runtimes; input `{self.inputs}`, output `{self.outputs}`")]
            * facts.onnx,
            ("metrics.json", "what was measured"),
            ("architecture.json, cell.svg, cell.png", "genes, counts, every layer; the drawing"),
            ("run.toml", "the settings of the training"),
        ]
        return [
            *card.table(("file", "what"), rows),
            "",
            "From Python, in this folder, without netwright:",
            "",
            "```python",
            "import torch",
            "from model import checked, load",
            "",
            "network = load()",
            f"inputs = torch.zeros({shape}{kind})  # yours, any number of them",
            "print(network(checked(inputs)))",
            "```",
            "",
            self.takes(),
            "",
            "With netwright, which runs no code of this folder:",
            "",
            "```python",
            "import netwright",
            "",
            'network = netwright.load(".")',
            "```",
        ]

    def data(self, facts: Facts) -> str:
        """How many examples the network was trained and tested on."""
        return (
            f"Trained on {facts.examples[facts.trained_on]:,} examples {facts.whose}, tested on "
            f"{facts.examples['test']:,} others."
        )

    def limits(self, facts: Facts) -> list[str]:  # noqa: ARG002
        """Other examples, groups of examples."""
        return [
            "- What is measured holds for examples like the test examples. Others may do worse.",
            "- It was measured on all test examples together. How it does for groups of them is not known.",
        ]
