"""The plain residual network of `plain/plain_tonight.py` on a card, for as many seconds as the searched one has.

    python benchmarks/gpu/plain.py IMAGES.npz --seconds 600 --keep FOLDER

Network, batches and recipe are those of that file, whose functions are used unchanged. What differs: the data lies on
the card, the forward pass is in bfloat16 where the card has it, else in TF32, the batch is 512 and the peak rate 0.4
after a short rise, the network 64 wide (2.8 million parameters). The number of steps is planned from the speed of the
first ones. SIGTERM writes down where it stands, and the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "plain"))
import plain_tonight

STOPPED = 143
FIRST, PLANNED = 10, 40  # steps: speed is measured from the one to the other
SHARE = 0.97  # of the time left that is planned
RISE = 0.05  # share of the steps in which the rate rises
PASSES_AT_MOST = 10**6


class Training:
    """A training that can be stopped between two steps.

    Args:
        given: Options of the command.
        device: Where it runs.
    """

    def __init__(self, given: argparse.Namespace, device: torch.device) -> None:
        torch.manual_seed(given.seed)
        self.given, self.device = given, device
        with np.load(given.images) as file:
            images, labels, split = file["images"], file["labels"], file["split"]
        self.labels = torch.from_numpy(labels.astype(np.int64)).to(device)
        parts = torch.from_numpy(split).to(device)
        self.seen, self.test = torch.where(parts < 2)[0], torch.where(parts == 2)[0]
        pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
        mean = pixels[self.seen].mean((0, 2, 3), keepdim=True)
        sd = pixels[self.seen].std((0, 2, 3), keepdim=True)
        self.images = (pixels - mean) / sd.clamp_min(1e-3)
        classes = int(self.labels.max()) + 1
        network = plain_tonight.resnet(self.images.shape[1], classes, given.width, self.images.shape[2])
        self.network: nn.Module = network.to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), given.lr, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        self.per_pass = max(1, len(self.seen) // given.batch)
        self.step, self.total, self.before = 0, 0, 0.0
        self.begun = time.perf_counter()
        if self._standing.exists():
            self._read()

    @property
    def elapsed(self) -> float:
        """Seconds so far, those of earlier processes among them."""
        return self.before + time.perf_counter() - self.begun

    def run(self, is_to_stop: Any) -> bool:
        """Train to the end of the plan, unless asked to stop; whether the end was reached."""
        self.network.train()
        first, pad = self.step, max(1, self.images.shape[2] // 8)
        draws = torch.Generator(self.device).manual_seed(self.given.seed + self.step)
        order, of_pass, since = self.seen, -1, 0.0
        while not self.total or self.step < self.total:
            if is_to_stop():
                return False
            if not self.total and self.step - first == FIRST:
                self._wait()
                since = time.perf_counter()
            if not self.total and self.step - first == PLANNED:
                self._wait()
                each = (time.perf_counter() - since) / (PLANNED - FIRST)
                self.total = self.step + max(1, int(SHARE * (self.given.seconds - self.elapsed) / each))
            number, place = divmod(self.step, self.per_pass)
            if number != of_pass:
                generator = torch.Generator().manual_seed(self.given.seed * PASSES_AT_MOST + number)
                order = self.seen[torch.randperm(len(self.seen), generator=generator).to(self.device)]
                of_pass = number
            self._take(order[place * self.given.batch : (place + 1) * self.given.batch], pad, draws)
        self._wait()
        return True

    def _take(self, index: Tensor, pad: int, draws: torch.Generator) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.given.lr * self._factor()
        with torch.device(self.device):  # what is drawn in there is drawn on the device
            batch = plain_tonight.batch_of(self.images, index, pad, True, draws)
        loss = F.cross_entropy(self._outputs(batch), self.labels[index])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1

    def _factor(self) -> float:
        """The cosine of the plan, behind a rise; before there is one, the steps of the measured start rise slowly."""
        if not self.total:
            return (self.step + 1) / (10 * PLANNED)
        share = self.step / self.total
        return min(share / RISE, 1.0) * 0.5 * (1 + math.cos(math.pi * share))

    def _outputs(self, images: Tensor) -> Tensor:
        is_half = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_half):
            return self.network(images).float()

    def accuracy(self) -> float:
        """Share of the test images that are right."""
        self.network.eval()
        right = 0
        with torch.inference_mode():
            for index in self.test.split(1000):
                images = self.images[index].contiguous(memory_format=torch.channels_last)
                right += int((self._outputs(images).argmax(1) == self.labels[index]).sum())
        return right / len(self.test)

    @property
    def _standing(self) -> Path:
        return self.given.keep / "standing.json"

    def write(self) -> None:
        """Leave where it stands: two files, so that neither is large; the small one, last, makes them valid."""
        self.given.keep.mkdir(parents=True, exist_ok=True)
        torch.save(self.network.state_dict(), self.given.keep / f"network-{self.step}.pt")
        torch.save(self.optimizer.state_dict(), self.given.keep / f"momentum-{self.step}.pt")
        draft = self._standing.with_suffix(".draft")
        draft.write_text(json.dumps({"step": self.step, "total": self.total, "seconds": self.elapsed}))
        draft.replace(self._standing)
        for path in self.given.keep.glob("*.pt"):
            if not path.stem.endswith(f"-{self.step}"):
                path.unlink()

    def _read(self) -> None:
        facts = json.loads(self._standing.read_text())
        self.step, self.total, self.before = facts["step"], facts["total"], facts["seconds"]
        options = {"map_location": self.device, "weights_only": True}
        self.network.load_state_dict(torch.load(self.given.keep / f"network-{self.step}.pt", **options))
        self.optimizer.load_state_dict(torch.load(self.given.keep / f"momentum-{self.step}.pt", **options))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def main() -> None:
    parser = argparse.ArgumentParser(description="A plain residual network for some seconds.")
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--keep", type=Path, required=True, help="folder of where it stands")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a tiny network, few seconds: whether it runs")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.width, given.batch = 2.0, 4, 16
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    stops: list[int] = []
    with suppress(ValueError):  # only the main thread may
        signal.signal(signal.SIGTERM, lambda number, _frame: stops.append(number))
    training = Training(given, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if not training.run(lambda: bool(stops)):
        training.write()
        print(f"stopped at step {training.step}; the same command goes on", file=sys.stderr)
        raise SystemExit(STOPPED)
    passes = training.step * given.batch / len(training.seen)
    params = sum(each.numel() for each in training.network.parameters())
    facts = {"test_accuracy": training.accuracy(), "steps": training.step, "passes": passes, "params": params}
    print(json.dumps({**facts, "seconds": training.elapsed}))


if __name__ == "__main__":
    main()
