"""The proof of an export: a fresh Python process without netwright classifies all test images as training did."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO as File
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core.errors import ExportError
from netwright.export import fresh
from netwright.training import loop

Classify = Callable[[Tensor], Tensor]  # images (B, C, H, W), normalized, to logits (B, classes)


@dataclass(frozen=True)
class Checked:
    """What was found on the test images.

    Args:
        images: How many there are.
        correct: Of them, classified correctly by the exported files.
        undecided: Of them, those whose two highest logits differ by so little that rounding decides.
    """

    images: int
    correct: int
    undecided: int


def check(
    folder: Path, network: nn.Module, task: Any, *, accuracy: float, channels_last: bool, onnx: Classify | None = None
) -> Checked:
    """Compare an exported folder with the trained network on the task's test images, batch by batch.

    Args:
        folder: Holds model.py, weights.safetensors and program.pt2.
        network: The trained network, made by netwright itself.
        task: Has test images, and their pixels before normalization (`ClassifiesImages`).
        accuracy: Recorded at the end of training, a fraction of the test images.
        channels_last: Memory format of that measurement, so that equal means equal.
        onnx: The same network in yet another form.

    Raises:
        ExportError: A prediction, logits or the accuracy differ by more than rounding explains.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.eval().to(memory_format=layout)
    images = correct = undecided = 0
    with torch.inference_mode(), _fresh_process(folder, channels_last, task.io.outputs) as classify:
        for inputs, targets in task.batches("test", loop.evaluation_batch(task.io), None):
            pixels = task.pixels("test", range(images, images + len(targets)))
            expected = network(inputs.contiguous(memory_format=layout))
            answers = {"model.py": classify(pixels)} | ({"model.onnx": onnx(inputs)} if onnx else {})
            is_close = _is_close(expected)
            for file, logits in answers.items():
                _compare(file, logits, expected, is_close, partial(_name, task, images))
            correct += int((answers["model.py"].argmax(1) == targets).sum())
            images, undecided = images + len(targets), undecided + int(is_close.sum())
    if abs(accuracy * images - correct) > undecided + 1e-3:
        raise ExportError(
            f"the exported network classifies {correct} of {images} test images correctly, but training recorded "
            f"{accuracy:.6g}, which is {accuracy * images:.6g}: weights and metrics are not of one training"
        )
    return Checked(images, correct, undecided)


def _is_close(logits: Tensor) -> Tensor:
    """Whether the two highest logits of each image are too close to tell apart, shape (B,)."""
    first, second = logits.topk(2).values.unbind(1)
    return first - second < fresh.TOLERANCE * logits.abs().amax(1).clamp(min=1)


def _compare(file: str, logits: Tensor, expected: Tensor, is_close: Tensor, name: Callable[[int], str]) -> None:
    predictions, wanted = logits.argmax(1), expected.argmax(1)
    unlike = ((predictions != wanted) & ~is_close).nonzero().flatten().tolist()
    if unlike:
        first = unlike[0]
        raise ExportError(
            f"{file} does not compute what was trained: {len(unlike)} of {len(wanted)} test images are classified "
            f"differently, first {name(first)}: class {int(predictions[first])}, not {int(wanted[first])}"
        )
    difference = fresh.worst_difference(logits, expected)
    if not difference <= fresh.TOLERANCE:  # also when it is no number
        raise ExportError(
            f"{file} does not compute what was trained: its logits for test images differ by up to {difference:.2g}, "
            f"more than rounding explains ({fresh.TOLERANCE:g})"
        )


def _name(task: Any, start: int, place: int) -> str:
    return f"{task.names('test', [start + place])[0]} (test image {start + place})"


@contextmanager
def _fresh_process(folder: Path, channels_last: bool, outputs: int) -> Iterator[Callable[[np.ndarray], Tensor]]:
    """A process that classifies pixels (B, H, W, C) by the folder's files."""
    script = [sys.executable, "-I", "-B", str(fresh.__file__), str(folder), str(torch.get_num_threads())]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [*script, str(channels_last), json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        try:
            yield partial(_classify, process, complaints, outputs)
        finally:
            process.kill()
            process.communicate()


def _classify(process: subprocess.Popen[bytes], complaints: File[bytes], outputs: int, pixels: np.ndarray) -> Tensor:
    """Logits (B, outputs). Raises ExportError with the process's last words when it has ended."""
    answer = bytearray()
    if process.stdin is None or process.stdout is None:
        raise AssertionError("unreachable: both are pipes")
    try:
        process.stdin.write(json.dumps(pixels.shape).encode() + b"\n" + np.ascontiguousarray(pixels).tobytes())
        process.stdin.flush()
        answer += process.stdout.read(len(pixels) * outputs * 4)
    except BrokenPipeError:
        pass
    if len(answer) < len(pixels) * outputs * 4:
        process.wait()
        complaints.seek(0)
        words = complaints.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ExportError(f"the exported files do not run in a fresh Python process: {words[-1]}")
    return torch.frombuffer(answer, dtype=torch.float32).view(len(pixels), outputs)
