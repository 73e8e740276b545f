"""Operations on tokens and sequences: a table of word vectors, looked up and read again by the decoder; dropouts."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from netwright.core.shapes import Sequence, Shape, Tokens, Weights, describe
from netwright.plans.operation import FLOAT, Drops, Numerals, Operation

if TYPE_CHECKING:
    from torch import Tensor

MODULES = "netwright.plans.ops.sequence_modules"
INDEX = 8  # bytes of a position in a vocabulary


@dataclass(frozen=True, slots=True)
class WordVectors(Operation):
    """A learned vector for each entry of a vocabulary. It reads nothing; whoever reads it shares its weights.

    Args:
        entries: Size of the vocabulary.
        features: Length of a vector.
    """

    entries: int
    features: int

    name: ClassVar[str] = "word_vectors"
    fewest: ClassVar[int] = 0
    most: ClassVar[int | None] = 0
    has_weights: ClassVar[bool] = True
    defined: ClassVar[tuple[str, ...]] = (f"{MODULES}:VectorTable",)

    def shape(self) -> Weights:
        """The table."""
        if self.entries < 1 or self.features < 1:
            raise ValueError(f"word_vectors has {self.entries} vectors of {self.features} numbers; it has at least 1")
        return Weights(self.features, self.entries)

    def params(self) -> int:
        """One weight for each entry and feature."""
        return self.entries * self.features

    def module(self) -> Callable[..., Tensor]:
        """A module whose output is its weights."""
        return importlib.import_module(MODULES).VectorTable(self.entries, self.features)

    def constructor(self, numerals: Numerals) -> str:
        """The call of the class."""
        return f"VectorTable({numerals.channels(self.entries)}, {numerals.channels(self.features)})"


@dataclass(frozen=True, slots=True)
class TokenLookup(Operation):
    """The vectors of tokens, out of a table of them."""

    name: ClassVar[str] = "token_lookup"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = 2
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, x: Shape, table: Shape) -> Sequence:
        """A sequence of vectors."""
        if type(x) is not Tokens or type(table) is not Weights:
            raise ValueError(f"token_lookup takes tokens and weights, not {describe(x)} and {describe(table)}")
        if table.entries != x.vocabulary:
            raise ValueError(f"token_lookup has {table.entries} vectors for a vocabulary of {x.vocabulary}")
        return Sequence(table.features, x.steps)

    def saved_bytes(self, x: Tokens, table: Weights) -> int:  # noqa: ARG002 - the weights are the table's
        """Which token it was, at each step."""
        return INDEX * x.steps

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """Torch's function."""
        return importlib.import_module("torch.nn.functional").embedding

    def expression(self, *inputs: str) -> str:
        """A call of torch's function."""
        return f"F.embedding({inputs[0]}, {inputs[1]})"


@dataclass(frozen=True, slots=True)
class TiedLinear(Operation):
    """Linear layer at each step of a sequence whose weights are a table of vectors; it has a bias of its own.

    Source: Inan et al. 2017 and Press and Wolf 2017, for decoders that share the vectors of their inputs.
    """

    name: ClassVar[str] = "tied_linear"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = 2
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True
    defined: ClassVar[tuple[str, ...]] = (f"{MODULES}:TiedDecoder",)

    def shape(self, x: Shape, table: Shape) -> Sequence:
        """One number for each entry of the table, at each step."""
        if type(x) is not Sequence or type(table) is not Weights:
            raise ValueError(f"tied_linear takes a sequence and weights, not {describe(x)} and {describe(table)}")
        if table.features != x.features:
            raise ValueError(f"tied_linear has vectors of {table.features} numbers for {x.features} features")
        return Sequence(table.entries, x.steps)

    def params(self, x: Sequence, table: Weights) -> int:  # noqa: ARG002 - the weights are the table's
        """The biases."""
        return table.entries

    def multiply_adds(self, x: Sequence, table: Weights) -> int:
        """One multiply-add for each number of the table, at each step."""
        return x.steps * table.features * table.entries

    def module(self, x: Sequence, table: Weights) -> Callable[..., Tensor]:  # noqa: ARG002
        """A module with the biases, and faster products."""
        return importlib.import_module("netwright.plans.ops.lean_decoder").LeanDecoder(table.entries)

    def constructor(self, numerals: Numerals, x: Sequence, table: Weights) -> str:  # noqa: ARG002
        """The call of the class."""
        return f"TiedDecoder({numerals.channels(table.entries)})"


@dataclass(frozen=True, slots=True)
class LockedDropout(Operation):
    """A sequence, of which features are dropped at all steps alike while a regularized network trains: its output's.

    Source: Gal and Ghahramani 2016; "locked" is what the language models of Merity et al. 2018 call it.
    """

    name: ClassVar[str] = "locked_dropout"
    drops: ClassVar[Drops] = "features"
    setting: ClassVar[str] = "dropout_output"

    def shape(self, x: Shape) -> Shape:
        """The shape of the input, a sequence."""
        if type(x) is not Sequence:
            raise ValueError(f"{self.name} takes a sequence, not {describe(x)}")
        return x


@dataclass(frozen=True, slots=True)
class EmbeddingDropout(LockedDropout):
    """Locked dropout of the vectors that were looked up."""

    name: ClassVar[str] = "embedding_dropout"
    setting: ClassVar[str] = "dropout_embedding"


@dataclass(frozen=True, slots=True)
class InputDropout(LockedDropout):
    """Locked dropout of what goes into a recurrent layer."""

    name: ClassVar[str] = "input_dropout"
    setting: ClassVar[str] = "dropout_input"


@dataclass(frozen=True, slots=True)
class WordDropout(Operation):
    """A table, of which whole vectors are dropped, for all examples of a batch alike, while a network trains."""

    name: ClassVar[str] = "word_dropout"
    drops: ClassVar[Drops] = "entries"
    setting: ClassVar[str] = "dropout_words"

    def shape(self, x: Shape) -> Shape:
        """The shape of the input, a table."""
        if type(x) is not Weights:
            raise ValueError(f"word_dropout takes weights, not {describe(x)}")
        return x


# what the nodes of a recurrent cell may apply
Activation = Literal["tanh", "relu", "identity", "sigmoid"]


@dataclass(frozen=True, slots=True)
class Recurrent(Operation):
    """A recurrent layer with a searched cell of gated nodes, whose state goes on from batch to batch.

    State 0 is made of the input and of the output of the step before. Each further node has a state of its own: that of
    the one node that it reads, moved towards an activation by as much as a gate is open. The output is a mean of
    states.

    Args:
        reads: For nodes 1, 2, ... the node whose state it reads, 0 or an earlier one.
        activations: For nodes 1, 2, ... the function of the candidate.
        averaged: The states in the mean: those of the "searched" nodes 1, 2, ..., or "all", state 0 among them.

    Source: Luo et al. 2018, arXiv:1808.07233, after Pham et al. 2018 and Liu et al. 2019.
    """

    reads: tuple[int, ...]
    activations: tuple[Activation, ...]
    averaged: Literal["searched", "all"] = "searched"

    name: ClassVar[str] = "recurrent"
    has_weights: ClassVar[bool] = True
    carries: ClassVar[bool] = True
    drops: ClassVar[Drops] = "within"
    setting: ClassVar[str] = "dropout_hidden"
    defined: ClassVar[tuple[str, ...]] = (f"{MODULES}:Recurrence",)

    def shape(self, x: Shape) -> Sequence:
        """The shape of the input, a sequence."""
        if type(x) is not Sequence:
            raise ValueError(f"recurrent takes a sequence, not {describe(x)}")
        if not self.reads or len(self.reads) != len(self.activations):
            raise ValueError(f"recurrent has {len(self.reads)} nodes and {len(self.activations)} activations")
        for node, read in enumerate(self.reads, 1):
            if not 0 <= read < node:
                raise ValueError(f"node {node} of a recurrent layer reads {read}; it reads one of 0 to {node - 1}")
        return x

    def params(self, x: Sequence) -> int:
        """Gate and candidate of state 0, which reads two vectors, and of each node; there are no biases."""
        return (4 + 2 * len(self.reads)) * x.features**2

    def multiply_adds(self, x: Sequence) -> int:
        """One multiply-add for each weight, at each step."""
        return x.steps * self.params(x)

    def saved_bytes(self, x: Sequence) -> int:
        """Of state 0 and of each node its state, its gate and its activation, at each step, and two vectors besides."""
        return FLOAT * x.steps * x.features * (3 * (1 + len(self.reads)) + 2)

    def module(self, x: Sequence) -> Callable[..., Tensor]:
        """The layer, with a backward pass of its own."""
        lean = importlib.import_module("netwright.plans.ops.lean_recurrence").LeanRecurrence
        return lean(x.features, self.reads, self.activations, self.averaged == "all")

    def constructor(self, numerals: Numerals, x: Sequence) -> str:
        """The call of the class."""
        listed = ", ".join(f'"{name}"' for name in self.activations)
        reads = ", ".join(map(str, self.reads))
        comma = "," if len(self.reads) == 1 else ""
        more = ", averages_all=True" if self.averaged == "all" else ""
        units = numerals.channels(x.features)
        return f"Recurrence({units}, reads=({reads}{comma}), activations=({listed}{comma}){more})"
