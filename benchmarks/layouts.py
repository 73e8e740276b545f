"""Convolutions of several kinds with channels first and last, forward and backward, on a GPU.

`training.layout` goes by what it measures. It prints one line for each kind of convolution and precision, and appends
rows to the table.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import results
import torch
from torch import Tensor, nn

BATCH, SIDE, CHANNELS = 128, 32, 64
KINDS = {
    "dense 1x1": lambda: nn.Conv2d(CHANNELS, CHANNELS, 1),
    "dense 3x3": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
    "depthwise 3x3": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS),
    "depthwise 5x5": lambda: nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2, groups=CHANNELS),
    "grouped 3x3": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=4),
    "normalization": lambda: nn.BatchNorm2d(CHANNELS),
    "max pooling 3x3": lambda: nn.MaxPool2d(3, 1, 1),
}
LAYOUTS = {"first": torch.contiguous_format, "last": torch.channels_last}


def step(
    make: Callable[[], nn.Module], layout: torch.memory_format, dtype: torch.dtype, device: str, batch: int = BATCH
) -> Callable[[], object]:
    """A forward and backward pass of a layer; float32 is TF32 where the card has it."""
    layer = make().to(device, memory_format=layout)
    shape = (batch, CHANNELS, SIDE, SIDE)
    images, gradient = (torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=layout) for _ in "ab")
    images.requires_grad_(True)

    def run() -> object:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            found: Tensor = layer(images)
        return torch.autograd.grad(found, [images, *layer.parameters()], gradient.to(found.dtype))

    return run


def milliseconds(run: Callable[[], object], repeats: int) -> list[float]:
    """What a pass takes on the card, each time over 10 passes, after 10 that choose kernels."""
    for _ in range(10):
        run()
    found = []
    for _ in range(repeats):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in "ab")
        began.record()
        for _ in range(10):
            run()
        ended.record()
        ended.synchronize()
        found.append(began.elapsed_time(ended) / 10)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory formats of convolutions on a GPU.")
    parser.add_argument("--repeats", type=int, default=9)
    options = results.options(parser)
    if not torch.cuda.is_available():
        print("skipped: layouts.py needs a GPU")
        if options.quick:
            for name, make in KINDS.items():
                for layout in LAYOUTS.values():
                    step(make, layout, torch.bfloat16, "cpu", batch=2)()
                print(f"{name}: passes with channels first and last")
        return
    options.repeats = 1 if options.quick else options.repeats
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    rows = []
    for name, make in KINDS.items():
        for dtype in (torch.float32, torch.bfloat16):
            taken = {
                layout: milliseconds(step(make, LAYOUTS[layout], dtype, "cuda"), options.repeats) for layout in LAYOUTS
            }
            first = statistics.median(taken["first"])
            for layout, each in taken.items():
                middle, ratio = statistics.median(each), f"{statistics.median(each) / first:.3f} to first"
                subject = (
                    f"{name}; {str(dtype).removeprefix('torch.')}; channels {layout}; {torch.cuda.get_device_name()}"
                )
                rows.append(results.Row(subject, options.repeats, middle, min(each), max(each), "ms", ratio))
                print(f"{subject}: {middle:.3f} ms, {ratio}")
    results.append(options.out, rows)


if __name__ == "__main__":
    main()
