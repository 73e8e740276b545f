"""Recurrent cells of gated nodes, and the language models that papers put them into (Luo et al. 2018, section 4.2).

A node is the state that it reads and an activation. The model looks words up, runs one recurrent layer over them, and
reads the same table of words again to say what comes next (Inan et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from netwright.core.errors import BadReference
from netwright.core.records import IO, LabeledGraph
from netwright.core.shapes import Tokens, describe
from netwright.plans import sharing
from netwright.plans.ops.sequences import (
    Activation,
    EmbeddingDropout,
    InputDropout,
    LockedDropout,
    Recurrent,
    TiedLinear,
    TokenLookup,
    WordDropout,
    WordVectors,
)
from netwright.plans.plan import Plan, PlanWriter
from netwright.plans.sharing import Share

Node = tuple[int, Activation]  # the node that it reads, 0 being what input and state before make, and its activation
Averaged = Literal["searched", "all"]

ACTIVATIONS: Final[tuple[Activation, ...]] = get_args(Activation)


@dataclass(frozen=True)
class RecurrentCell:
    """A cell.

    Args:
        nodes: Nodes 1, 2, ...
        averaged: The states whose mean is the output: those of "searched" nodes, or "all", state 0 among them.
    """

    nodes: tuple[Node, ...]
    averaged: Averaged = "searched"

    @property
    def text(self) -> str:
        """A text for the cell: equal texts, same cell, whatever the order of its nodes."""
        children: dict[int, list[int]] = {}
        for node, (read, _) in enumerate(self.nodes, 1):
            children.setdefault(read, []).append(node)

        texts: dict[int, str] = {}
        for node in range(len(self.nodes), -1, -1):  # a node is read by later ones only
            within = "".join(sorted(texts[child] for child in children.get(node, ())))
            texts[node] = f"({self.nodes[node - 1][1] if node else ''}{within})"
        return f"{self.averaged} {texts[0]}"

    def graph(self, width: int) -> LabeledGraph:
        """A drawing of the model of a number of units, and of the cell below it."""
        count = len(self.nodes)
        edges = [(0, 1, "tanh")] + [(read + 1, node + 1, name) for node, (read, name) in enumerate(self.nodes, 1)]
        first = 0 if self.averaged == "all" else 1
        edges += [(node + 1, count + 2, "mean") for node in range(first, count + 1)]
        states = tuple(str(node) for node in range(count + 1))
        cell = LabeledGraph("recurrent cell", ("input and state before", *states, "output"), tuple(edges))
        chain = ((0, 1, "look up"), (1, 2, cell.name), (2, 3, "same table"))
        return LabeledGraph("network", ("words", f"{width} features", f"{width} units", "logits"), chain, (cell,))


def plan(cell: RecurrentCell, width: int, io: IO) -> Plan:
    """The layers of a language model.

    Args:
        cell: The cell of its recurrent layer.
        width: Number of units of the layer, and of features of a word.
        io: Tokens in and out, of one vocabulary.

    Raises:
        BadReference: What goes in or comes out is something else.
    """
    words, following = io.input, io.output
    if not isinstance(words, Tokens) or not isinstance(following, Tokens) or words.vocabulary != following.vocabulary:
        raise BadReference(
            f"recurrent cells predict tokens from tokens of the same vocabulary, but {describe(words)} go in and "
            f"{describe(following)} come out; give a task of texts"
        )
    writer = PlanWriter(io)
    table = writer.write(WordVectors(words.vocabulary, width), name="words")
    known = writer.write(WordDropout(), table, name="word_dropout")
    x = writer.write(TokenLookup(), writer.image, known, name="lookup")
    x = writer.write(EmbeddingDropout(), x, name="embedding_dropout")
    x = writer.write(InputDropout(), x, name="input_dropout")
    x = writer.write(recurrent(cell.nodes, cell.averaged), x, name="recurrent")
    x = writer.write(LockedDropout(), x, name="output_dropout")
    writer.write(TiedLinear(), x, table, name="decoder")
    return writer.plan()


def shares(cell: RecurrentCell, plan: Plan) -> dict[str, Share]:
    """Where the weights of a language model lie among those that the models of all cells share.

    A node has weights for each state that it may read and each activation, as in the published program.
    """
    found = sharing.by_name(plan)
    sizes = {f"node{node}.from{read}.{activation}": 1 for node, (read, activation) in enumerate(cell.nodes, 1)}
    sharing.split(found, "recurrent", sizes, dimension=0)
    return found


def recurrent(nodes: Sequence[Node], averaged: Averaged) -> Recurrent:
    """The operation of a cell."""
    return Recurrent(tuple(read for read, _ in nodes), tuple(name for _, name in nodes), averaged)
