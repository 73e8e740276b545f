"""Text, which a network that carries its state from word to word continues: model.py takes a prompt."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from torch import Tensor, nn

from netwright import __version__
from netwright.core.errors import ExportError
from netwright.core.objectives import Objective
from netwright.core.protocols import CarriesState, ContinuesText, Task
from netwright.core.shapes import positions
from netwright.core.vocabulary import END, UNKNOWN, numbers_of, spoken, tokens_of
from netwright.data.continuing import continued, written
from netwright.data.spoken import VOCABULARY, to_json
from netwright.export import card
from netwright.export.medium import Checked, Facts, Medium
from netwright.plans import counting

TEMPLATE = Path(__file__).parent.parent / "templates" / "generate.py.txt"
FREQUENT = 12  # tokens that the card names
TAKEN_ALONG = (tokens_of, spoken, numbers_of, written, continued)  # functions whose source stands in model.py
READ = {
    "blanks": f"words are set apart by blanks, and `{END}` ends a line",
    "marks": f"words and marks are tokens, and `{END}` ends a paragraph",
    "characters": "each character is a token",
}


@dataclass(frozen=True)
class Text:
    """The text of a task.

    Args:
        task: Task with the text.
    """

    task: ContinuesText
    example: str = "row"
    inputs: str = "tokens"
    outputs: str = "logits"
    purpose: str = "continue text"
    measure: Objective = Objective("perplexity", -1)

    def raw(self, start: int, inputs: Tensor) -> Tensor:  # noqa: ARG002
        """The batch as it is."""
        return inputs

    def name(self, place: int) -> str:
        """The number of a row, counted over all batches."""
        return f"row {place}"

    def constants(self) -> list[str]:
        """The two tokens with a meaning of their own."""
        return [
            f'UNKNOWN = "{UNKNOWN}"  # stands for what is not in the vocabulary; it is never drawn',
            f'END = "{END}"  # of a line or paragraph',
        ]

    def functions(self) -> str:
        """What makes tokens of text and text of tokens, `generate`, and a function that refuses what is no batch."""
        template = Template(TEMPLATE.read_text(encoding="utf-8"))
        own = "\n\n".join(f"{inspect.getsource(each)}" for each in TAKEN_ALONG)
        return f"{own}\n\n{template.substitute(last=len(self.task.vocabulary) - 1)}"

    def takes(self) -> str:
        """One token of each row, and the states before."""
        return (
            f"Tokens are int64 from 0 to {len(self.task.vocabulary) - 1}, the next one of each row: (B, 1); with them "
            "goes a list of states, float32, zeros before the first token; logits (B, 1, vocabulary) come back, and "
            "the states to go on with."
        )

    def remark(self) -> str:
        """How it is used."""
        return (
            f"`generate` continues a prompt; {VOCABULARY} holds the {self._size()}. The network takes any number of "
            "tokens at a time, and goes on where the call before left it; a new `load` begins anew."
        )

    def files(self) -> Mapping[str, str]:
        """The vocabulary."""
        return {VOCABULARY: to_json(self.task.vocabulary)}

    def mismatch(self, checked: Checked, recorded: float) -> str:
        """The perplexity that was measured, and the one that was recorded."""
        return (
            f"the exported network has a perplexity of {checked.value:.6g} on the test part, but training recorded "
            f"{recorded:.6g}"
        )

    def verdict(self, forms: str, checked: Checked) -> str:
        """Of how many tokens, and the perplexity."""
        return (
            f"{forms} give what training did for {self._tokens('test')} of the test part, at a perplexity of "
            f"{checked.value:.6g}"
        )

    def facts(self, checked: Checked) -> Mapping[str, float]:
        """How many tokens, and in how many places rounding decides which is the likeliest."""
        return {"test_tokens": self.task.tokens("test"), "test_undecided": checked.undecided}

    def about(self, facts: Facts) -> list[str]:
        """What it is, its perplexity, its vocabulary."""
        vocabulary, counts = self.task.vocabulary, counting.count(facts.plan)
        frequent = ", ".join(card.code(each) for each in vocabulary.tokens[:FREQUENT] if each.strip())
        compared = f" ({facts.note})" if facts.note else ""
        steps = positions(facts.plan[0].shape)
        outside = {
            "replaced": f"Others are read as `{UNKNOWN}`, which is never written.",
            "refused": "Others are refused.",
        }
        rule = vocabulary.unknown if UNKNOWN in vocabulary.tokens else "refused"  # nothing stands for others
        return [
            f"A language model found by netwright {__version__}, a neural architecture search: from all "
            f"{vocabulary.unit} so far it tells which comes next, and so continues a text.",
            "",
            f"**Perplexity {facts.checked.value:.2f}**{compared} on {self._tokens('test')} of text that it was not "
            f"trained on, {counts.params:,} parameters, {counts.multiply_adds / steps:,.0f} multiply-adds for one "
            f"token. {card.REPEATED}",
            "",
            f"It knows {self._size()}; {READ[vocabulary.reading]}"
            f"{', in small letters' if vocabulary.lower else ''}. {outside[rule]} The most frequent: "
            f"{frequent}.",
        ]

    def use(self, facts: Facts) -> list[str]:  # noqa: ARG002 - it has no ONNX file
        """The files, and how to continue a text."""
        rows = [
            ("model.py, weights.safetensors", "the network and `generate`; need torch only"),
            (VOCABULARY, "its tokens by number, and how text is read as tokens"),
            ("program.pt2", "the network as a graph: `torch.export.load`; one token of each row, and the states"),
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
            "from model import generate",
            "",
            'print(generate("", tokens=50, temperature=0.8, seed=0))  # your words in place of ""',
            "```",
            "",
            f"{self.takes()} Nothing there checks that; `checked` of model.py checks tokens.",
            "",
            'With netwright, which runs no code of this folder: `netwright predict FOLDER --prompt "..." --tokens 50`.',
        ]

    def data(self, facts: Facts) -> str:
        """How many tokens the network was trained and tested on."""
        return f"Trained on {self._tokens(facts.trained_on)} {facts.whose}, tested on {self._tokens('test')}."

    def limits(self, facts: Facts) -> list[str]:  # noqa: ARG002
        """Other texts, truth, and what it may repeat."""
        return [
            "- Its perplexity holds for text like the test part; that of other text may be far higher, and one of "
            "another vocabulary cannot be compared.",
            "- It writes what is likely to follow, not what is true, and may repeat what it was trained on.",
        ]

    def _size(self) -> str:
        return f"{len(self.task.vocabulary):,} {self.task.vocabulary.unit}"

    def _tokens(self, split: Any) -> str:
        return f"{self.task.tokens(split):,} {self.task.vocabulary.unit}"


def check_vocabulary(task: Task, folder: Path) -> None:
    """Raise ExportError where a training left another vocabulary in its folder than that of the task's text now."""
    path, found = folder / VOCABULARY, task
    if not isinstance(found, ContinuesText) or not path.exists():
        return
    if path.read_bytes() != to_json(found.vocabulary).encode():
        raise ExportError(
            f"the text has changed since the network was trained: its vocabulary is not that of {path}; restore the "
            "text, or train again"
        )


def medium_of(task: Task, network: nn.Module) -> Medium | None:
    """The text of a task; None: it has none, or the network carries no state from one word to the next."""
    found: Any = task
    return Text(found) if isinstance(found, ContinuesText) and isinstance(network, CarriesState) else None
