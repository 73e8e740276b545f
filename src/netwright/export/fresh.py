"""Run as a script in a Python process of its own: an exported folder classifies images with netwright out of reach.

Arguments: the folder, threads, whether memory is channels last, and where Python finds modules. Each image batch comes
on standard input as a line of JSON, its shape (B, H, W, C), and then its bytes; its logits, float32, go to standard
output as bytes. program.pt2 must agree with model.py on the first batch, and on parts of it of 1 and 3 images.
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

TOLERANCE = 1e-4  # of logits, absolute and relative to the largest of an image: rounding differs with memory formats


@torch.inference_mode()
def main(folder: Path, threads: int, channels_last: bool) -> None:
    """Answer batches until standard input ends. Whatever is wrong is an exception and ends the process."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    file = _module(folder / "model.py")
    model = file.load(folder).to(memory_format=layout)
    program: Any = torch.export.load(folder / "program.pt2").module()
    while line := sys.stdin.buffer.readline():
        shape = json.loads(line)
        data = bytearray(sys.stdin.buffer.read(math.prod(shape)))
        images = file.normalize(torch.frombuffer(data, dtype=torch.uint8).view(shape)).contiguous(memory_format=layout)
        logits = model(images)
        if program is not None:
            for size in {len(images), 1, min(3, len(images))}:
                difference = worst_difference(program(images[:size]), logits[:size])
                if not difference <= TOLERANCE:
                    raise SystemExit(f"program.pt2 gives logits that differ by {difference:.2g} from those of model.py")
            program = None
        answers.write(logits.float().contiguous().numpy().tobytes())
        answers.flush()


def worst_difference(logits: Tensor, others: Tensor) -> float:
    """The largest difference between logits (B, classes), where those of an image exceed 1 relative to the largest."""
    scale = others.abs().amax(1, keepdim=True).clamp(min=1)
    return float(((logits - others).abs() / scale).max())


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("model", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    _folder, _threads, _channels_last, _path = sys.argv[1:]
    sys.path[:] = json.loads(_path)
    sys.modules["netwright"] = None  # type: ignore[assignment]  # importing it raises ModuleNotFoundError
    main(Path(_folder), int(_threads), _channels_last == "True")
