"""Randomness as an argument: every ask, tell and evaluation gets a generator of its own.

A stream is addressed by (seed, purpose, n, attempt); the address is the key and counter of a Philox generator
(Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), so that stream n needs no stream before it
and a resumed search draws what the undisturbed one would have drawn.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

ASK: Final = 1
TELL: Final = 2
BUILD: Final = 3
TRAIN: Final = 4
SPLIT: Final = 5


class Streams:
    """Generators of one seed. Each call re-keys the same Philox (1 us; a new one costs 8 to 19).

    The generator handed out is valid until the next call: use it, do not keep it.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=_checked(seed))
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state
        self._words = self._state["state"]
        self._words["key"][0] = seed

    def rng(self, purpose: int, n: int, attempt: int = 0) -> np.random.Generator:
        """Generator of stream (`purpose`, `n`, `attempt`), at its beginning."""
        self._words["key"][1] = purpose
        self._words["counter"][:] = (0, 0, n, attempt)
        self._bits.state = self._state
        return self._generator


def rng_for(seed: int, purpose: int, n: int = 0, attempt: int = 0) -> np.random.Generator:
    """The same stream as `Streams(seed).rng(purpose, n, attempt)`, as a generator to keep."""
    return Streams(seed).rng(purpose, n, attempt)


def trial_seed(seed: int, key: str, times: int) -> int:
    """Seed of an evaluation, in [0, 2**63): from the search's seed, the network, and how often it was asked before."""
    digest = hashlib.blake2b(f"{seed}:{key}:{times}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _checked(seed: int) -> int:
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}; give a whole number from 0 to 2**63 - 1")
    return seed
