"""One epoch of NAO's controller on 600 sequences, ours and the plain one, in one process on one core.

The same sizes, batches of 100, optimizer and exchange of branches; before they are timed, both train 20 steps from the
same weights on the same batches without dropout, and their losses must agree.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # before numpy and torch: one numerical thread

harness.pin(max(harness.os.sched_getaffinity(0)))
import numpy as np  # noqa: E402
import results  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from plain import nao_controller as plain  # noqa: E402

from netwright.core.genes import Choice  # noqa: E402
from netwright.surrogates import joint_training  # noqa: E402
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, EncoderPredictorDecoder, TokenChoices  # noqa: E402
from netwright.surrogates.joint_training import JointSettings  # noqa: E402

SEQUENCES, STEPS, CLOSE = 600, 20, 1e-4
COPIES = FLAVORS["pt1"].copies
GENES = tuple(
    Choice(f"{part} of branch {branch}", tuple(map(str, range(5 if part == "operation" else branch // 2 + 2))), part)
    for _ in range(2)
    for branch in range(10)
    for part in ("input", "operation")
)
NAMES = {
    "encoder.embedding": "encoder_embedding",
    "encoder.lstm": "encoder",
    **{f"encoder.mlp.{3 * layer}": f"predictor.{layer}" for layer in range(4)},
    **{name: name for name in (f"decoder.{part}" for part in ("embedding", "lstm", "query", "combine", "out"))},
}


def ours_like(net: torch.nn.Module) -> EncoderPredictorDecoder:
    """Our controller with the weights of the plain one."""
    controller = EncoderPredictorDecoder(TokenChoices.of(GENES), FLAVORS["pt1"], torch.Generator().manual_seed(0))
    state = {}
    for name, value in net.state_dict().items():
        module, _, parameter = name.rpartition(".")
        is_cell = module == "decoder.lstm"  # a single cell has no number of a layer in its names
        state[f"{NAMES[module]}.{parameter}{'_l0' if is_cell else ''}"] = value
    controller.load_state_dict(state)
    return controller


def largest_difference() -> float:
    """Of the two losses, over the steps."""
    rows, scores = plain.random_architectures(SEQUENCES)
    net = plain.Controller()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    ours, settings = ours_like(net), JointSettings()
    optimizer = torch.optim.Adam(net.parameters(), settings.lr, weight_decay=1e-4)
    own_optimizer = joint_training.optimizer_of(ours, settings)
    differences = []
    for step in range(STEPS):
        chosen = [(100 * step + n) % SEQUENCES for n in range(100)]
        tokens, values = torch.tensor([rows[n] for n in chosen]), torch.tensor([scores[n] for n in chosen])
        value, logits = net(tokens, F.pad(tokens[:, :-1], (1, 0)))
        mse, ce = F.mse_loss(value, values), F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        optimizer.zero_grad()
        (0.8 * mse + 0.2 * ce).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        own = joint_training.train_step(ours, own_optimizer, tokens, values, settings, None)
        differences += [abs(own[0] - mse.item()), abs(own[1] - ce.item())]
    return max(differences)


def spellings(rows: list[list[int]], copies: int, rng: np.random.Generator) -> torch.Tensor:
    """Copies of each sequence with the branches of one random node per cell exchanged, shape (N, copies, 40)."""
    branches = torch.tensor(rows).view(len(rows), 1, 2, 5, 2, 2).repeat(1, copies, 1, 1, 1, 1)
    nodes = torch.from_numpy(rng.integers(5, size=(len(rows), copies, 2, 1, 1, 1)))
    is_exchanged = torch.arange(5).view(1, 1, 1, 5, 1, 1) == nodes
    return torch.where(is_exchanged, branches.flip(4), branches).view(len(rows), copies, 40)


def our_epoch() -> Callable[[], object]:
    """A closure that trains one epoch, as `strategies.nao` does."""
    rows, scores = plain.random_architectures(SEQUENCES)
    generator = torch.Generator().manual_seed(0)
    controller = EncoderPredictorDecoder(TokenChoices.of(GENES), FLAVORS["pt1"], generator)
    bank, values = spellings(rows, COPIES, np.random.default_rng(0)), torch.tensor(scores)
    settings = JointSettings(epochs=1)
    return lambda: joint_training.train(controller, bank, values, settings, generator)


def main() -> None:
    parser = argparse.ArgumentParser(description="One epoch of NAO's controller, ours and the plain one.")
    parser.add_argument("--repeats", type=int, default=5)
    options = results.options(parser)
    options.repeats = 1 if options.quick else options.repeats
    difference = largest_difference()
    print(f"losses of {STEPS} steps differ by at most {difference:.1e}")
    if difference > CLOSE:
        raise SystemExit(f"the two do not compute the same: {difference} is above {CLOSE}")
    found = harness.measure({"plain": plain.epoch(SEQUENCES), "netwright": our_epoch()}, repeats=options.repeats)
    rows = [
        results.Row(name, options.repeats, r["median"], r["min"], r["max"], "CPU s/epoch", f"{r['ratio']:.3f} to plain")
        for name, r in found.items()
    ]
    results.append(options.out, rows)
    print(f"netwright trains {1 / found['netwright']['ratio']:.2f} times as many epochs a second")


if __name__ == "__main__":
    main()
