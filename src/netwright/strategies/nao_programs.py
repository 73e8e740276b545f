"""The published programs of NAO as settings: which controller, how it learns, how far points move, how big rounds are.

Luo et al. 2018, arXiv:1808.07233; the numbers are those of a description of the programs (its sections 3.3 and 4). The
six do not mix: a search takes one whole by its name, and any option given beside it overrides that number alone.

The programs with shared weights score networks within one network that holds all of them, and train the controller on
a pool whose worst the new ones replace: that is what `nao` does where the evaluator measures in rounds, which then says
`seeds`, `new` and `fresh`. With other evaluators their records serve trainings of one network each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from netwright.surrogates.encoder_predictor_decoder import FlavorName


@dataclass(frozen=True)
class Program:
    """A program's settings.

    Args:
        flavor: Its controller.
        seeds: Number of random networks before the first round.
        new: Number of networks that a round decodes.
        fresh: Number of random networks that are proposed besides in each round.
        top: Number of best networks that are moved in a round.
        steps: Multiples of the gradient by which points are moved, in the order in which they are tried.
        epochs: Passes over all sequences in each training of the controller.
        batch: Sequences per step of such a training.
        trade_off: Weight of the predictor's loss against the decoder's.
        symmetry: Whether other spellings of a network are learned too, where the space has them.
    """

    flavor: FlavorName
    seeds: int
    new: int
    fresh: int = 0
    top: int = 100
    steps: tuple[int, ...] = tuple(range(1, 52))
    epochs: int = 1000
    batch: int = 100
    trade_off: float = 0.8
    symmetry: bool = True


# seeds of "tf" and "tf-rnn" are the paper's, as remembered: how many there were is not in the programs
_TF: Final = Program("tf", seeds=600, new=300, steps=(10, 20, 30), batch=50, symmetry=False)
PROGRAMS: Final[Mapping[FlavorName, Program]] = {
    "tf": _TF,
    "tf-rnn": replace(_TF, flavor="tf-rnn"),
    "tf-ws": Program("tf-ws", seeds=1000, new=500, fresh=50, steps=tuple(range(1, 102))),
    "tf-ws-rnn": Program("tf-ws-rnn", seeds=1000, new=300, fresh=50, steps=tuple(range(1, 31)), symmetry=False),
    "pt1": Program("pt1", seeds=600, new=300),
    "pt2": Program("pt2", seeds=1000, new=300),
}
UNNAMED: Final = replace(
    PROGRAMS["pt1"], new=200
)  # what a search without a program does: the paper's rounds, as remembered
