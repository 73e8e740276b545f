"""The exported network as a graph without Python: torch's program."""

from __future__ import annotations

from io import BytesIO
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from netwright.core.records import IO
from netwright.core.shapes import Tokens, dimensions

FILE = "program.pt2"
INPUTS = "inputs.txt"  # the extra file of a program that says what goes in


def run_source(text: str, name: str) -> ModuleType:
    """The module that a source text of our own writing makes; no file of it is needed and none is written."""
    module = ModuleType(name)
    module.__file__ = f"{name}.py"
    exec(compile(text, module.__file__, "exec"), vars(module))
    return module


class Stepwise(nn.Module):
    """A network that carries states, as a function of them: from one token of each row to logits and the next states.

    Args:
        network: Its layers that carry one have it as `state`; None: the same as zeros.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, 1, vocabulary), and the states after, of tokens (B, 1) and the states before."""
        layers = carrying(self.network)
        for layer, state in zip(layers, states, strict=True):
            layer.state = state
        logits = self.network(tokens)
        found = [layer.state for layer in layers]
        for layer in layers:
            layer.state = None
        return logits, found


def carrying(network: nn.Module) -> list[nn.Module]:
    """The layers of a network that carry a state from batch to batch."""
    return [layer for layer in network.modules() if hasattr(layer, "state")]


def program(model: nn.Module, io: IO) -> ExportedProgram:
    """The graph of a network, for batches of any size; of one that carries states, that of `Stepwise`."""
    batch = {0: torch.export.Dim("batch", min=1)}
    inputs = torch.zeros(2, *dimensions(io.input), dtype=torch.int64 if isinstance(io.input, Tokens) else torch.float32)
    if layers := carrying(model):
        with torch.inference_mode():
            model(inputs[:, :1])
        states = [torch.zeros(layer.state.shape) for layer in layers]
        for layer in layers:
            layer.state = None
        made = torch.export.export(
            Stepwise(model), (inputs[:, :1], states), dynamic_shapes=(batch, [batch for _ in states])
        )
    else:
        made = torch.export.export(model, (inputs,), dynamic_shapes=(batch,))
    for node in made.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return made


def to_bytes(made: ExportedProgram, takes: str) -> bytes:
    """The program as a file that `torch.export.load` reads; `takes`, a sentence on its inputs, lies in it as a text."""
    buffer = BytesIO()
    torch.export.save(made, buffer, extra_files={INPUTS: takes})
    return buffer.getvalue()
