"""One training step of a hierarchical random network, ours and the plain one, in one process on one core.

Generator D3 of the plain script, whose graphs do not depend on any seed, at a limit of 4e5, batch 64, SGD with
momentum; the plain network's dropout is off. Both start from the same weights: the differences of their outputs are
printed before anything is measured, as are the bytes that each keeps for its backward pass. In training mode these
differ more than in evaluation, because torch sums the statistics of a batch less exactly where channels are last; in
double precision they are equal. `--bf16` adds a step of ours under autocast.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # before numpy and torch: one numerical thread

harness.pin(max(harness.os.sched_getaffinity(0)))
import results  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from plain import hnag_step  # noqa: E402
from torch import nn  # noqa: E402

from netwright.core import seeds  # noqa: E402
from netwright.core.records import IO  # noqa: E402
from netwright.spaces.hnag import HnagSpace  # noqa: E402

BATCH, LIMIT, SETTING = 64, 400_000, "D3"
CIFAR = IO(3, 32, 32, 10)
SPEED, SPEED_BF16, SAME = 1.5, 1.8, 1e-5


def network() -> nn.Module:
    """Ours, as `evaluators.training` has it."""
    space = HnagSpace(limit=LIMIT)
    made = space.build(hnag_step.SETTINGS[SETTING], CIFAR, seeds.rng_for(0, seeds.BUILD))
    return made.to(memory_format=torch.channels_last)


@torch.no_grad()
def copy_weights(plain: nn.Module, ours: nn.Module) -> None:
    """Give our network the plain one's weights and statistics; merges start with the same numbers in both."""
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    for theirs, own in zip(in_order(plain, kinds), in_order(ours, kinds), strict=True):
        own.load_state_dict(theirs.state_dict())


def in_order(module: nn.Module, kinds: tuple[type, ...]) -> list[nn.Module]:
    """Layers in the order in which they run."""
    found: list[nn.Module] = []
    layers: list[nn.Module] = [each for each in module.modules() if isinstance(each, kinds)]
    hooks = [each.register_forward_hook(lambda layer, _inputs, _output: found.append(layer)) for each in layers]
    module.eval()
    module(torch.zeros(1, CIFAR.channels, CIFAR.height, CIFAR.width))
    module.train()
    for hook in hooks:
        hook.remove()
    return found


def step_of(made: nn.Module, images: torch.Tensor, labels: torch.Tensor, is_half: bool = False) -> Callable[[], float]:
    """A closure that makes one step."""
    images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(made.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, fused=True)

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            loss = F.cross_entropy(made(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def difference(plain: nn.Module, ours: nn.Module, images: torch.Tensor) -> float:
    """Largest difference of outputs, relative to the largest output."""
    with torch.no_grad():
        expected = plain(images)
        got = ours(images.contiguous(memory_format=torch.channels_last))
    return float((got - expected).abs().max() / expected.abs().max())


def kept_bytes(made: nn.Module, images: torch.Tensor) -> int:
    """Bytes kept for the backward pass, weights excluded."""
    weights = {each.untyped_storage().data_ptr() for each in (*made.parameters(), *made.buffers())}
    kept: dict[int, int] = {}
    alive: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # an address is not used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        made(images).sum().backward()
    return sum(kept.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="One training step, ours and the plain one.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--bf16", action="store_true", help="also under autocast to bfloat16")
    options = results.options(parser)
    if options.quick:
        options.repeats, options.bf16 = 1, True
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, CIFAR.channels, CIFAR.height, CIFAR.width, generator=generator)
    labels = torch.randint(CIFAR.outputs, (BATCH,), generator=generator)

    plain_step = hnag_step.make_step(setting=SETTING, limit=LIMIT, data=(images, labels))
    plain, ours = plain_step.net, network()
    plain.head[0].p = 0.0
    plain(images)  # statistics for evaluation
    copy_weights(plain, ours)
    off = difference(copy.deepcopy(plain).eval(), copy.deepcopy(ours).eval(), images)
    training = difference(copy.deepcopy(plain), copy.deepcopy(ours), images)
    double = difference(copy.deepcopy(plain).double(), copy.deepcopy(ours).double(), images.double())
    kept = {"plain": kept_bytes(plain, images), "netwright": kept_bytes(ours, images)}
    print(f"outputs differ by {off:.1e} of the largest: {'the same function' if off <= SAME else 'NOT THE SAME'}")
    print(f"in training mode by {training:.1e}, in double precision by {double:.1e}")
    for name, size in kept.items():
        print(f"{name:10} keeps {size / BATCH / 2**20:.2f} MiB per image for its backward pass")

    variants = {"plain": plain_step, "netwright": step_of(ours, images, labels)}
    if options.bf16:
        variants["netwright bf16"] = step_of(network(), images, labels, is_half=True)
    found = harness.measure(variants, repeats=options.repeats)
    rows = [
        results.Row(name, options.repeats, r["median"], r["min"], r["max"], "CPU s/step", f"{r['ratio']:.3f} to plain")
        for name, r in found.items()
    ]
    first = kept["plain"]
    rows += [
        results.Row(f"{name}, kept", 1, size, size, size, "bytes", f"{size / first:.3f} to plain")
        for name, size in kept.items()
    ]
    results.append(options.out, rows)
    for name, target in (("netwright", SPEED), ("netwright bf16", SPEED_BF16)):
        if name in found:
            speed = 1 / found[name]["ratio"]
            verdict = "reached" if speed >= target else "MISSED"
            print(f"{name} makes {speed:.2f} times as many steps a second; the target of {target} is {verdict}")


if __name__ == "__main__":
    main()
