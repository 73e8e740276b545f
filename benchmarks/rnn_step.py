"""One training step of NAO's recurrent language model, ours and the plain one, in one process on one core.

The published cell with 300 units, 10,000 words, batch 64, 35 steps; locked dropouts, temporal regularization, SGD with
clipped gradients, the state carried on, as `plain/rnn_step.py` has them. Both start from the same weights: the
differences of their logits, of the loss and of its gradients, without dropout, are printed before anything is measured.
torch.nn.LSTM of as many units stands beside them; its layer has fewer weights. `--bf16` adds a step under autocast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # before numpy and torch: one numerical thread

harness.pin(max(harness.os.sched_getaffinity(0)))
import results  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from plain import rnn_step  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from netwright.core import refs, seeds  # noqa: E402
from netwright.core.records import IO  # noqa: E402
from netwright.core.shapes import Tokens  # noqa: E402
from netwright.data.token_loss import token_loss  # noqa: E402
from netwright.plans.regularization import Regularization  # noqa: E402
from netwright.spaces.rnn import RnnSpace  # noqa: E402

BATCH, STEPS, WORDS, WIDTH = 64, 35, 10_000, 300
SPEED, SPEED_BF16, SAME = 1.15, 1.6, 1e-5
DROPS = Regularization(dropout_embedding=0.2, dropout_input=0.75, dropout_hidden=0.25, dropout_output=0.75)


def network() -> nn.Module:
    """Ours, as `evaluators.training` has it."""
    tokens = Tokens(WORDS, STEPS)
    genotype = refs.locate("zoo", "nao-rnn").genotype
    return RnnSpace(width=WIDTH).build(genotype, IO(tokens, tokens), seeds.rng_for(0, seeds.BUILD))


@torch.no_grad()
def copy_weights(plain: nn.Module, ours: nn.Module) -> None:
    """Give our network the plain one's weights."""
    ours.words.weight.copy_(plain.embedding.weight)
    ours.decoder.bias.copy_(plain.decoder.bias)
    ours.recurrent.entering.copy_(plain.rnn.w0)
    ours.recurrent.weight.copy_(torch.stack(list(plain.rnn.ws)))


def step_of(made: nn.Module, words: Tensor, targets: Tensor, is_half: bool = False) -> Callable[[], float]:
    """A closure that makes one step; words and targets have the shape (B, T)."""
    optimizer = torch.optim.SGD(made.parameters(), 20, weight_decay=8e-7, fused=True)
    generator = torch.Generator().manual_seed(0)
    made.keeps_activations = True
    parameters = list(made.parameters())

    def step() -> float:
        optimizer.zero_grad()
        made.regularize(made.draws(DROPS, 0.0, generator, slice(0, BATCH), BATCH))
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            loss = token_loss(made(words), targets)
        raw = made.activations["recurrent"]
        loss = loss + 1e-3 * (raw[:, 1:] - raw[:, :-1]).pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.25)
        optimizer.step()
        return loss.item()

    return step


def differences(plain: nn.Module, ours: nn.Module, words: Tensor, targets: Tensor) -> dict[str, float]:
    """Largest differences without dropout, from the same state on, relative to the largest value."""
    plain.eval()
    state = torch.randn(BATCH, WIDTH, generator=torch.Generator().manual_seed(1))
    ours.carry({"recurrent": state})
    expected, got = plain(words.t(), state)[0].transpose(0, 1), ours(words)
    found = {"logits": _off(got, expected)}
    F.cross_entropy(expected.flatten(0, 1), targets.flatten()).backward()
    token_loss(got, targets).backward()
    cells = torch.stack([each.grad for each in plain.rnn.ws])
    pairs = {
        "gradient of words": (ours.words.weight.grad, plain.embedding.weight.grad),
        "of entering": (ours.recurrent.entering.grad, plain.rnn.w0.grad),
        "of nodes": (ours.recurrent.weight.grad, cells),
    }
    found |= {name: _off(*pair) for name, pair in pairs.items()}
    plain.train()
    ours.carry(None)
    return found


@torch.no_grad()
def _off(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description="One training step of a language model, ours and the plain one.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--bf16", action="store_true", help="also under autocast to bfloat16")
    options = results.options(parser)
    if options.quick:
        options.repeats, options.bf16 = 1, True
    words, targets = torch.randint(WORDS, (2, STEPS, BATCH), generator=torch.Generator().manual_seed(0))
    plain_step, ours = rnn_step.make_step(data=(words, targets)), network()
    copy_weights(plain_step.net, ours)
    words_first, targets_first = words.t().contiguous(), targets.t().contiguous()
    for name, off in differences(plain_step.net, ours, words_first, targets_first).items():
        print(f"{name} differs by {off:.1e} of the largest: {'the same' if off <= SAME else 'NOT THE SAME'}")

    variants = {"plain": plain_step, "netwright": step_of(ours, words_first, targets_first)}
    if options.bf16:
        half = network()
        copy_weights(plain_step.net, half)
        variants["netwright bf16"] = step_of(half, words_first, targets_first, is_half=True)
    variants["torch.nn.LSTM"] = rnn_step.make_step(kind="lstm", data=(words, targets))
    found = harness.measure(variants, repeats=options.repeats)
    tokens = BATCH * STEPS
    for name, r in found.items():
        print(f"{name} reads {tokens / r['median']:,.0f} tokens a second")
    rows = [
        results.Row(name, options.repeats, r["median"], r["min"], r["max"], "CPU s/step", f"{r['ratio']:.3f} to plain")
        for name, r in found.items()
    ]
    results.append(options.out, rows)
    for name, target in (("netwright", SPEED), ("netwright bf16", SPEED_BF16)):
        if name in found:
            speed, beside = 1 / found[name]["ratio"], found["torch.nn.LSTM"]["median"] / found[name]["median"]
            verdict = "reached" if speed >= target else "MISSED"
            print(f"{name} reads {speed:.2f} times as many tokens; the target of {target} is {verdict}")
            print(f"{name} reads {beside:.2f} times as many tokens as torch.nn.LSTM of as many units")


if __name__ == "__main__":
    main()
