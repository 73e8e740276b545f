"""The exported network as a graph without Python: torch's program."""

from __future__ import annotations

from io import BytesIO
from types import ModuleType

import torch
from torch import nn
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


def program(model: nn.Module, io: IO) -> ExportedProgram:
    """The graph of a network, for batches of any size."""
    inputs = torch.zeros(2, *dimensions(io.input), dtype=torch.int64 if isinstance(io.input, Tokens) else torch.float32)
    made = torch.export.export(model, (inputs,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    for node in made.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return made


def to_bytes(made: ExportedProgram, takes: str) -> bytes:
    """The program as a file that `torch.export.load` reads; `takes`, a sentence on its inputs, lies in it as a text."""
    buffer = BytesIO()
    torch.export.save(made, buffer, extra_files={INPUTS: takes})
    return buffer.getvalue()
