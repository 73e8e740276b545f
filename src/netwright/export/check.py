"""The proof of an export: a fresh Python process without netwright repeats what training measured in the test split."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO as File

import torch
from torch import Tensor, nn

from netwright.core.errors import ExportError
from netwright.core.protocols import Task
from netwright.core.shapes import Classes, Tokens
from netwright.export import fresh
from netwright.export.medium import Checked, Medium
from netwright.training import carrying, loop
from netwright.training.summing import summarized

Run = Callable[[Tensor], Tensor]  # inputs, as batches hold them, to outputs
SLACK = 1e-3  # by which the measure may differ from training's record: relative, or, for a share, in examples


def check(
    folder: Path,
    network: nn.Module,
    task: Task,
    medium: Medium,
    *,
    measure: str,
    recorded: float,
    channels_last: bool,
    onnx: Run | None = None,
) -> Checked:
    """Compare an exported folder with the trained network on the task's test examples, batch by batch.

    Args:
        folder: Holds model.py, weights.safetensors and program.pt2.
        network: The trained network, made by netwright itself.
        task: Task with the test examples.
        medium: The same examples in the form in which users have them.
        measure: Name of the metric of the task to repeat.
        recorded: Value of this metric at the end of training.
        channels_last: Whether that was measured with channels last in memory, so that equal means equal.
        onnx: What runs the network's ONNX file; None: there is none.

    Raises:
        ExportError: A prediction, outputs or the measure differ by more than rounding explains.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.eval().to(memory_format=layout)
    has_choices = isinstance(task.io.output, Classes | Tokens) and task.io.outputs > 1
    sums, counts = defaultdict[str, float](float), Counter[str]()
    examples = choices = undecided = 0
    with (
        carrying.left_as_found(network),
        torch.inference_mode(),
        _fresh_process(folder, channels_last, medium) as run,
    ):
        for inputs, targets in task.batches("test", loop.evaluation_batch(task.io), None):
            expected = network(inputs.contiguous(memory_format=layout) if inputs.dim() == 4 else inputs)
            answers = {"model.py": run(medium.raw(examples, inputs), expected.shape)}
            answers |= {"model.onnx": onnx(inputs)} if onnx else {}
            is_close = _is_close(expected) if has_choices else None
            if is_close is not None:
                choices += is_close.numel()
                undecided += int(is_close.sum())
            for file, outputs in answers.items():
                _compare(file, outputs, expected, is_close, medium, examples)
            for name, values in task.metrics(answers["model.py"], targets).items():
                sums[name] += float(values.double().sum())
                counts[name] += values.numel()
            examples += len(targets)
    found = summarized(task, sums, counts)
    if measure not in found:
        raise ExportError(f"the task measures {', '.join(found)} but no {measure}; train the network again")
    checked = Checked(examples, found[measure], undecided)
    is_share = medium.measure is not None and medium.measure.is_share
    slack = (undecided + SLACK) / counts[measure] if is_share else undecided / max(1, choices) + SLACK * abs(recorded)
    if not abs(recorded - checked.value) <= slack:
        raise ExportError(f"{medium.mismatch(checked, recorded)}: weights and metrics are not of one training")
    return checked


def _is_close(logits: Tensor) -> Tensor:
    """Whether the two highest logits (..., choices) are too close to tell apart."""
    first, second = logits.topk(2).values.unbind(-1)
    return first - second < fresh.TOLERANCE * logits.abs().amax(-1).clamp(min=1)


def _compare(
    file: str, outputs: Tensor, expected: Tensor, is_close: Tensor | None, medium: Medium, start: int = 0
) -> None:
    """Refuse outputs that differ by more than rounding explains.

    Args:
        file: Name of the file that gave the outputs.
        outputs: Outputs for a batch, shape (B, ...).
        expected: Outputs of the trained network for the same batch, same shape.
        is_close: Which choices among several are too close to tell apart; None: outputs are no choices.
        medium: Names examples.
        start: Position of the first example in the test split.

    Raises:
        ExportError: The outputs differ so.
    """
    examples, wrong = f"test {medium.example}s", f"{file} does not compute what was trained"
    if is_close is not None:
        chosen, wanted = outputs.argmax(-1), expected.argmax(-1)
        unlike = ((chosen != wanted) & ~is_close).nonzero().tolist()
        if unlike:
            first = tuple(unlike[0])
            count = len({place[0] for place in unlike})
            raise ExportError(
                f"{wrong}: {count} of {len(wanted)} {examples} are classified differently, first "
                f"{medium.name(start + first[0])}: class {int(chosen[first])}, not {int(wanted[first])}"
            )
    difference = fresh.worst_difference(outputs, expected)
    if not difference <= fresh.TOLERANCE:  # also when it is no number
        raise ExportError(
            f"{wrong}: its {medium.outputs} for {examples} differ by up to {difference:.2g}, more than rounding "
            f"explains ({fresh.TOLERANCE:g})"
        )


@contextmanager
def _fresh_process(
    folder: Path, channels_last: bool, medium: Medium
) -> Iterator[Callable[[Tensor, torch.Size], Tensor]]:
    """A process that computes outputs of a shape from a batch, as users have it, by the folder's files."""
    script = [sys.executable, "-I", "-B", str(fresh.__file__), str(folder), str(torch.get_num_threads())]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [*script, str(channels_last), medium.outputs, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        try:
            yield partial(_run, process, complaints)
        finally:
            process.kill()
            process.communicate()


def _run(process: subprocess.Popen[bytes], complaints: File[bytes], raw: Tensor, shape: torch.Size) -> Tensor:
    """Outputs of a shape. Raises ExportError with the process's last words when it has ended."""
    answer, size = bytearray(), shape.numel() * 4
    if process.stdin is None or process.stdout is None:
        raise AssertionError("unreachable: both are pipes")
    try:
        form = {"shape": list(raw.shape), "type": str(raw.dtype).removeprefix("torch.")}
        process.stdin.write(json.dumps(form).encode() + b"\n" + raw.contiguous().numpy().tobytes())
        process.stdin.flush()
        answer += process.stdout.read(size)
    except BrokenPipeError:
        pass
    if len(answer) < size:
        process.wait()
        complaints.seek(0)
        words = complaints.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ExportError(f"the exported files do not run in a fresh Python process: {words[-1]}")
    return torch.frombuffer(answer, dtype=torch.float32).view(shape)
