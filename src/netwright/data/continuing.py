"""A text that a language model continues. Exports take the source of both functions along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.core.vocabulary import UNKNOWN, numbers_of, spoken


def written(
    network: Callable[[Tensor], Tensor],
    vocabulary: Mapping[str, Any],
    prompt: str,
    tokens: int,
    temperature: float,
    seed: int,
) -> str:
    """A prompt, and what a network writes behind it; arguments as `numbers_of` and `continued` have them.

    Raises:
        ValueError: The vocabulary lacks a word of the prompt, a number is out of range, or the network gives none.
    """
    known, listed = numbers_of(prompt, **vocabulary), vocabulary["tokens"]
    never = listed.index(UNKNOWN) if UNKNOWN in listed else None
    found = continued(network, known, tokens, temperature, seed, never)
    whole = [*known, *found] if prompt.strip() else found
    return spoken([listed[number] for number in whole], vocabulary["reading"])


@torch.inference_mode()
def continued(
    network: Callable[[Tensor], Tensor],
    known: Sequence[int],
    count: int,
    temperature: float,
    seed: int,
    never: int | None = None,
) -> list[int]:
    """Numbers of the tokens that a network writes behind known ones, each drawn by the probabilities that it gives.

    Args:
        network: Takes tokens (1, T), of any T, and gives logits (1, T, vocabulary); it goes on where the call before
            left it.
        known: Numbers of the tokens before, at least one.
        count: How many tokens to write, from 1 to 100,000.
        temperature: Logits are divided by it; 0: the likeliest token is always taken.
        seed: Equal seeds draw equal tokens.
        never: A token that is not drawn.

    Raises:
        ValueError: A number is out of range, or the network gives what is no number.
    """
    if not 1 <= count <= 100_000:
        raise ValueError(f"tokens is {count}; it must be from 1 to 100,000")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature:g}; it must be at least 0")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}; it must be from 0 to {2**63 - 1:,}")
    generator = torch.Generator().manual_seed(seed)
    found: list[int] = []
    coming = torch.tensor([list(known)])
    while len(found) < count:
        for piece in coming.split(100, 1):
            outputs = network(piece)
        logits = outputs[0, -1].double().cpu()
        if not torch.isfinite(logits).all():
            raise ValueError("the network gives no finite numbers; train it again")
        if never is not None:
            logits[never] = -float("inf")
        if temperature:
            shares = ((logits - logits.max()) / temperature).softmax(0)
            found.append(int(torch.multinomial(shares, 1, generator=generator)))
        else:
            found.append(int(logits.argmax()))
        coming = torch.tensor([found[-1:]])
    return found
