"""Run as a script in a Python process of its own: an exported folder computes with netwright out of reach.

Arguments: the folder, threads, whether memory is channels last, what outputs are called, and where Python finds
modules. Each batch comes on standard input as a line of JSON, its shape and type, and then its bytes; model.py brings
it into the network's form, or checks that it has it. The outputs, float32, go to standard output as bytes.
program.pt2 must agree with model.py on the first batch, and on 1 and 3 examples of it; that of a network that carries
states from batch to batch takes them, zeros at first, and gives them back with one step's outputs.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-4  # of outputs, absolute and relative to an example's largest: rounding differs with memory formats
TYPES = {"uint8": torch.uint8, "int64": torch.int64, "float32": torch.float32}


@torch.inference_mode()
def main(folder: Path, threads: int, channels_last: bool, word: str) -> None:
    """Answer batches until standard input ends. Whatever is wrong is an exception and ends the process."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    file = _module(folder / "model.py")
    model = file.load(folder).to(memory_format=layout)
    program: Any = torch.export.load(folder / "program.pt2").module()
    while line := sys.stdin.buffer.readline():
        form = json.loads(line)
        kind = TYPES[form["type"]]
        data = bytearray(sys.stdin.buffer.read(math.prod(form["shape"]) * kind.itemsize))
        inputs = torch.frombuffer(data, dtype=kind).view(form["shape"])
        inputs = file.normalize(inputs) if hasattr(file, "normalize") else file.checked(inputs)
        if inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=layout)
        outputs = model(inputs)
        if program is not None:
            shapes = [layer.state.shape[1:] for layer in model.modules() if hasattr(layer, "state")]
            for size in {len(inputs), 1, 3}:
                chosen = torch.arange(size) % len(inputs)
                found = _by_steps(program, inputs[chosen], shapes) if shapes else program(inputs[chosen])
                difference = worst_difference(found, outputs[chosen])
                if not difference <= TOLERANCE:
                    raise SystemExit(f"program.pt2 gives {word} that differ by {difference:.2g} from those of model.py")
            program = None
        answers.write(outputs.float().contiguous().numpy().tobytes())
        answers.flush()


def _by_steps(program: Any, tokens: Tensor, shapes: list[torch.Size]) -> Tensor:
    """Outputs of a program that takes one step at a time, and states of such shapes."""
    states, found = [torch.zeros(len(tokens), *shape) for shape in shapes], []
    for step in tokens.split(1, 1):
        outputs, states = program(step, states)
        found.append(outputs)
    return torch.cat(found, 1)


def worst_difference(outputs: Tensor, others: Tensor) -> float:
    """The largest difference between outputs (B, ...), relative to the largest of an example where that exceeds 1."""
    outputs, others = outputs.flatten(1), others.flatten(1)
    scale = others.abs().amax(1, keepdim=True).clamp(min=1)
    return float(((outputs - others).abs() / scale).max())


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("model", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    _folder, _threads, _channels_last, _word, _path = sys.argv[1:]
    sys.path[:] = json.loads(_path)
    sys.modules["netwright"] = None  # type: ignore[assignment]  # importing it raises ModuleNotFoundError
    main(Path(_folder), int(_threads), _channels_last == "True", _word)
