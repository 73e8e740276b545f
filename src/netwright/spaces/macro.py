"""The default space for images: strong plain networks, and what can be changed about them.

A stem, two to four stages of none to four blocks, a global mean and a linear layer (`cells/stages.py` says what blocks
there are and how networks fit themselves to the size of images). Genes choose stages, depths, widths, the kind of block
of each stage, kernel, expansion, normalization, squeeze-and-excitation, stem, what begins a stage, activation, and the
two operations of a searched cell. `starts` are networks that are known to work, the plain residual one first; behind it
those that learn most in minutes on a processor.

A training step of any network of the space takes less than a gigabyte at 64 x 64 pixels and 64 images a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from netwright.cells import staged_graph, stages
from netwright.cells.stages import TRANSITION, Cell, Stage, Staged, rounded
from netwright.core import genes
from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Choice, Gene, Integer
from netwright.core.memory import size_text
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image, size
from netwright.plans import counting, network
from netwright.plans.operation import FLOAT
from netwright.plans.plan import Plan

if TYPE_CHECKING:
    from torch import nn

MOST_STAGES: Final = 4
UNIT: Final = 4  # channels that one step of the width adds
BLOCKS: Final = tuple(stages.BLOCKS)
FIRST: Final = tuple(stages.CELL_OPS)
SECOND: Final = (*FIRST, "identity")
GROWTHS: Final = (1.0, 1.5, 2.0)
WIDEST: Final = (inf, 4.0, 2.0)  # of a stage, as a multiple of the stem's width
POOLINGS: Final = ("stride", "max", TRANSITION)
KERNELS: Final = (3, 5)
EXPANSIONS: Final = (2, 3, 4)

# each gene with the chance of each of its values in a sample, in order; width: see `_width_chances`
_DEPTHS: Final = (0.05, 0.25, 0.45, 0.15, 0.1)
_BLOCKS: Final = (0.35, 0.2, 0.08, 0.05, 0.1, 0.1, 0.1, 0.02)  # inverted ones are slow on processors: docs/spaces.md
_SPREAD: Final = 0.7  # standard deviation of the width in a sample, in octaves around 16
_UNEVEN: Final = 0.2  # chance of widths from 16 on that are no multiples of it, which bfloat16 makes slow, by others'
MIXED: Final = 0.3  # chance that the kinds of blocks of a sample are drawn for each stage instead of once for all
WIDEST_STEP: Final = 3  # most steps of the width in one mutation


def _width_chances() -> tuple[float, ...]:
    return tuple(
        float(np.exp(-(np.log2(width / 16) ** 2) / (2 * _SPREAD**2))) * (_UNEVEN if width > 16 and width % 16 else 1.0)
        for width in range(UNIT, 16 * UNIT + 1, UNIT)
    )


_TABLE: Final[tuple[tuple[Gene, tuple[float, ...]], ...]] = (
    (Integer("stages", 2, MOST_STAGES), (0.15, 0.6, 0.25)),
    *((Integer(f"depth {n}", 0, 4), _DEPTHS) for n in range(1, MOST_STAGES + 1)),
    *((Choice(f"block {n}", BLOCKS, kind="block"), _BLOCKS) for n in range(1, MOST_STAGES + 1)),
    (Integer(f"width / {UNIT}", 1, 16), _width_chances()),
    (Choice("growth", tuple(f"{growth:g}" for growth in GROWTHS)), (0.1, 0.15, 0.75)),
    (Choice("widest", ("any", *(f"{times:g}" for times in WIDEST[1:]))), (0.8, 0.15, 0.05)),
    (Choice("kernel", tuple(map(str, KERNELS))), (0.85, 0.15)),
    (Choice("expansion", tuple(map(str, EXPANSIONS))), (0.3, 0.3, 0.4)),
    (Choice("normalization", ("batch", "group")), (0.93, 0.07)),
    (Choice("squeeze-and-excitation", ("off", "on")), (0.7, 0.3)),
    (Choice("stem", ("3x3", "3x3 / 2", "patch")), (0.75, 0.15, 0.1)),
    (Choice("pooling", POOLINGS), (0.35, 0.1, 0.55)),
    (Choice("activation", ("relu", "silu", "gelu")), (0.7, 0.2, 0.1)),
    (Choice("cell's first", FIRST, kind="cell operation"), (1.0,) * len(FIRST)),
    (Choice("cell's second", SECOND, kind="cell operation"), (1.0,) * len(SECOND)),
    (Choice("cell's second reads", ("input", "first")), (0.5, 0.5)),
)
# chances that differ where stages begin with a transition, by the first word of the gene's name
_APART: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "stages": (0.15, 0.7, 0.15),
        "depth": (0.4, 0.45, 0.1, 0.03, 0.02),
        "block": (0.12, 0.06, 0.06, 0.02, 0.05, 0.09, 0.4, 0.2),
        "widest": (0.6, 0.35, 0.05),
        "stem": (0.85, 0.1, 0.05),
    }
)
GENES: Final = tuple(gene for gene, _ in _TABLE)
_CHANCES: Final = tuple(np.cumsum(chances) for _, chances in _TABLE)
_CHANCES_APART: Final = tuple(np.cumsum(_APART.get(gene.name.split()[0], chances)) for gene, chances in _TABLE)
_PLACES: Final = {gene.name: place for place, gene in enumerate(GENES)}

# positions of genes
_STAGES, _DEPTH, _BLOCK = _PLACES["stages"], _PLACES["depth 1"], _PLACES["block 1"]
_WIDTH, _GROWTH, _WIDEST, _KERNEL, _EXPANSION = range(_PLACES[f"width / {UNIT}"], _PLACES["expansion"] + 1)
_NORM, _SQUEEZE, _STEM, _POOLING, _ACTIVATION = range(_EXPANSION + 1, _EXPANSION + 6)
_CELL = _PLACES["cell's first"]  # and the two genes behind it
_ALWAYS: Final = (_STAGES, _WIDTH, _GROWTH, _WIDEST, _NORM, _STEM, _POOLING, _ACTIVATION)

# what a training step may take at `LARGEST_INPUT`, by `_training_bytes`: the largest networks were measured to
# take 1.1 to 1.35 times as much, which with a process of 250 MB is less than 10**9
MOST_BYTES: Final = 500_000_000
LARGEST_INPUT: Final = IO(3, 64, 64, 10)
TYPICAL_INPUT: Final = IO(3, 32, 32, 10)
BATCH: Final = 64

_TRIES: Final = 1000


@dataclass(frozen=True)
class MacroSpace:
    """Networks of stages of blocks; the space has no settings."""

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Stages; depth and kind of block of each; widths; what all blocks have in common; the cell."""
        return GENES

    def starts(self) -> tuple[Genotype, ...]:
        """Networks that are known to work: plain residual ones, and such whose stages begin with a transition."""
        return STARTS

    def smaller(self, genotype: Genotype) -> Iterator[Genotype]:
        """Networks of the same kinds of blocks with fewer channels, and fewer blocks where transitions do most.

        Where stages begin with a transition, the stem keeps its width longest, which did better than a narrow one with
        more blocks (docs/spaces.md): at each width the first stages lose a block, one after another, and with each
        number of blocks the last stages become narrower. Elsewhere only the width becomes less. Some come twice.
        """
        given = settled(genotype)
        depths, bounds = given[_DEPTH : _DEPTH + int(given[_STAGES])], range(int(given[_WIDEST]), len(WIDEST))
        is_apart = _option(given, _POOLING) == TRANSITION
        losses, bounds = (range(len(depths) + 1), bounds) if is_apart else (range(1), bounds[:1])
        for width, lost, bound in product(range(int(given[_WIDTH]), 0, -1), losses, bounds):
            found = [*given]
            found[_DEPTH : _DEPTH + len(depths)] = (max(0, d - (stage < lost)) for stage, d in enumerate(depths))
            found[_WIDTH], found[_WIDEST] = width, bound
            if (smaller := settled(tuple(found))) != given:
                yield smaller

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype near what works more often than far from it.

        Every gene is drawn by chances of its own, which favor the first starts: three stages, width 16 (the logarithm
        of the width is normal, with 0.7 octaves; from 16 on multiples of 16 are five times as likely as they would be
        then, because processors compute them fast in bfloat16), doubled from stage to stage, batch normalization,
        windows of 3 x 3, ReLU. In 55 of 100 samples stages begin with a transition, and have none or one block, most
        often an additive one; in the others they have two more often than not, most often residual. In 7 of 10
        samples all stages have one kind of block.
        """
        return _drawn(lambda: _prior(rng))

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy in which one gene that matters to the network, drawn uniformly, has another value.

        Numbers change by one, the width by up to three steps of 4 channels. A stage that is added repeats the last
        one, and the first block of a stage is of the kind of the stage before; other genes that come to matter, as
        those of a cell, are drawn like those of a sample.
        """
        return _drawn(lambda: _mutant(genotype, rng))

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value, or a network that takes too much memory to train."""
        genes.check(GENES, genotype)
        taken = _training_bytes(settled(genotype))
        if taken > MOST_BYTES:
            raise InvalidGenotype(
                f"a training step of the network would take {size_text(taken)} at 64 x 64 pixels and 64 images, and at "
                f"most {size_text(MOST_BYTES)} are allowed; give it fewer blocks or a smaller width"
            )

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: images (B, C, H, W) of any size to logits (B, outputs)."""
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of the genes that matter; of width, growth and its end, the widths that follow.

        Networks that differ in their third and fourth stages only have different keys, though on images of fewer than
        16 pixels to a side, where those stages are left out, they are equal; so have stems that would halve less than
        16 pixels.
        """
        return genes.digest(f"macro {_identity(genotype)}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the chain of stages, below it the stages, below them their blocks: for 32 x 32 pixels."""
        return self.graph_for(genotype, TYPICAL_INPUT)

    def graph_for(self, genotype: Genotype, io: IO) -> LabeledGraph:
        """The same for the network that such images get: small ones leave stages and poolings out."""
        return staged_graph.of_network(staged(genotype), io)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        return stages.plan(staged(genotype), io)


def staged(genotype: Genotype) -> Staged:
    """The network that a genotype describes."""
    given = [int(value) for value in genotype]
    kinds = [BLOCKS[given[_BLOCK + n]] for n in range(given[_STAGES])]
    parts = zip(kinds, given[_DEPTH:], widths(genotype), strict=False)
    return Staged(
        stages=tuple(Stage(kind, depth, width) for kind, depth, width in parts),
        width=UNIT * given[_WIDTH],
        stem=_option(genotype, _STEM),
        kernel=KERNELS[given[_KERNEL]],
        expansion=EXPANSIONS[given[_EXPANSION]],
        norm=_option(genotype, _NORM),
        is_squeezed=bool(given[_SQUEEZE]),
        pooling=_option(genotype, _POOLING),
        activation=_option(genotype, _ACTIVATION),
        cell=Cell(FIRST[given[_CELL]], SECOND[given[_CELL + 1]], bool(given[_CELL + 2])),
    )


def widths(genotype: Genotype) -> tuple[int, ...]:
    """Number of channels of each stage: whole multiples of 4. A transition makes the first one wider than the stem."""
    growth, widest = GROWTHS[int(genotype[_GROWTH])], WIDEST[int(genotype[_WIDEST])]
    first = int(_option(genotype, _POOLING) == TRANSITION)
    steps = range(first, first + int(genotype[_STAGES]))
    return tuple(rounded(UNIT * genotype[_WIDTH] * min(growth**step, widest)) for step in steps)


def settled(genotype: Genotype) -> Genotype:
    """The same network with genes that do nothing at fixed values: those of the first start.

    Stages that are not there are like the last one that is. A stage without blocks has the kind of the nearest one
    before it that has some, or else of the first behind it. Of two operations that both read the input of a cell, the
    one that comes first among the options is the first.
    """
    found = [int(value) for value in genotype]
    count = found[_STAGES]
    kinds = [found[_BLOCK + n] for n in range(count) if found[_DEPTH + n]] or [int(REFERENCE[_BLOCK])]
    kind = kinds[0]
    for n in range(MOST_STAGES):
        if n >= count:
            found[_DEPTH + n] = found[_DEPTH + count - 1]
        elif found[_DEPTH + n]:
            kind = found[_BLOCK + n]
        found[_BLOCK + n] = kind
    matter = {*_mattering(genotype), *range(_DEPTH, _BLOCK + MOST_STAGES)}
    found = [value if place in matter else int(REFERENCE[place]) for place, value in enumerate(found)]
    first, second, is_chain = found[_CELL:]
    if not is_chain and second < len(FIRST):
        found[_CELL : _CELL + 2] = sorted((first, second))
    return tuple(found)


def _mattering(genotype: Genotype) -> tuple[int, ...]:
    """Positions of the genes on which the network depends."""
    count = int(genotype[_STAGES])
    full = [_BLOCK + n for n in range(count) if genotype[_DEPTH + n]]
    found = [*_ALWAYS, *range(_DEPTH, _DEPTH + count), *full]
    if full:
        found.append(_SQUEEZE)
    kinds = {_option(genotype, place) for place in full}
    operations = {_option(genotype, _CELL), _option(genotype, _CELL + 1)}
    if kinds - {"cell"} or (kinds and operations - stages.WITHOUT_KERNEL):
        found.append(_KERNEL)
    if kinds & stages.EXPANDED:
        found.append(_EXPANSION)
    if "cell" in kinds:
        found += range(_CELL, _CELL + 3)
    return tuple(found)


def _option(genotype: Genotype, place: int) -> str:
    gene = GENES[place]
    assert isinstance(gene, Choice)
    return gene.options[int(genotype[place])]


@lru_cache(maxsize=4096)  # checked with each proposal, and by strategies that rank many
def _training_bytes(genotype: Genotype) -> int:
    """What a training step takes, by a rule of its own that never changes, since it decides what there is to draw.

    Outputs of all layers but ReLU are kept, half as much again comes and goes, and weights are there three times.
    """
    plan = stages.plan(staged(genotype), LARGEST_INPUT)
    kept = sum(size(layer.shape) for layer in plan if not (layer.op.overwrites or layer.op.drops))
    return FLOAT * (3 * BATCH * kept // 2 + 3 * counting.count(plan, auxiliary=True).params)


def _identity(genotype: Genotype) -> tuple[Genotype, tuple[int, ...]]:
    """What the network depends on: settled genes but those of widths, and the widths that follow from these."""
    given = settled(genotype)
    return (*given[:_WIDTH], *given[_WIDEST + 1 :]), (UNIT * int(given[_WIDTH]), *widths(given))


def _drawn(draw: Callable[[], Genotype]) -> Genotype:
    """The first draw that may be trained, settled. Raises InvalidGenotype where none may."""
    for _ in range(_TRIES):
        genotype = settled(draw())
        if _training_bytes(genotype) <= MOST_BYTES:
            return genotype
    raise InvalidGenotype("no neighbor of the network takes little enough memory; begin from a smaller network")


def _prior(rng: np.random.Generator) -> Genotype:
    """Every gene by its chances; see `MacroSpace.sample`."""
    drawn = rng.random(len(GENES))
    chances = _CHANCES_APART if POOLINGS[_at(_CHANCES[_POOLING], drawn[_POOLING])] == TRANSITION else _CHANCES
    lows = (gene.low if isinstance(gene, Integer) else 0 for gene in GENES)
    found = [low + _at(each, share) for low, each, share in zip(lows, chances, drawn, strict=True)]
    if rng.random() >= MIXED:
        found[_BLOCK : _BLOCK + MOST_STAGES] = [found[_BLOCK]] * MOST_STAGES
    return tuple(found)


def _at(chances: np.ndarray, share: float) -> int:
    """Position of the value in which a share of all chances, which are summed, lies."""
    return int(np.searchsorted(chances, share * chances[-1], side="right"))


def _mutant(genotype: Genotype, rng: np.random.Generator) -> Genotype:
    """The genotype with another value of one gene that matters, and new ones of those that do not yet."""
    given, fresh = settled(genotype), _prior(rng)
    before, matter = _identity(given), _mattering(given)
    kept = {*matter, *range(_DEPTH, _BLOCK + MOST_STAGES)}
    loose = [value if place in kept else fresh[place] for place, value in enumerate(given)]
    found = tuple(loose)
    while _identity(found) == before:  # widths of few channels may be the same for two growths
        place = matter[int(rng.random() * len(matter))]
        found = (*loose[:place], _other(place, loose[place], rng), *loose[place + 1 :])
    return found


def _other(place: int, value: int | float, rng: np.random.Generator) -> int | float:
    """Another value of a gene: a number nearby, or any other option."""
    gene = GENES[place]
    if not isinstance(gene, Integer):
        return (value + 1 + int(rng.random() * (genes.size(gene) - 1))) % genes.size(gene)
    step = 1 + int(rng.random() * (WIDEST_STEP if place == _WIDTH else 1))
    step = step if rng.random() < 0.5 else -step
    return value + step if gene.low <= value + step <= gene.high else value - step


def _plain(
    width: int,
    block: str = "residual",
    depths: tuple[int, int, int] = (2, 2, 2),
    *,
    pooling: str = "stride",
    widest: float = inf,
    is_halved: bool = False,
) -> Genotype:
    """A genotype of three stages of one kind, of which each is twice as wide as the one before; else as usual.

    `is_halved` says whether the stem halves the images, which makes a network about four times as fast.
    """
    kind = BLOCKS.index(block)
    shape = (width // UNIT, GROWTHS.index(2.0), WIDEST.index(widest), KERNELS.index(3), EXPANSIONS.index(2))
    common = (0, 0, int(is_halved), POOLINGS.index(pooling), 0)
    return (3, *depths, depths[-1], *[kind] * MOST_STAGES, *shape, *common, 0, SECOND.index("identity"), 1)


def _apart(width: int, block: str, depths: tuple[int, int, int], *, widest: float = inf) -> Genotype:
    """The same with stages that begin with a transition."""
    return _plain(width, block, depths, pooling=TRANSITION, widest=widest)


REFERENCE: Final = _plain(16)  # the plain residual network, as everybody would write it
STARTS: Final = (  # those that learn most in the same seconds on a processor come first: see docs/spaces.md
    REFERENCE,
    _apart(16, "additive", (1, 0, 1)),
    _apart(16, "convolution", (1, 1, 1), widest=4.0),
    _apart(8, "additive", (1, 0, 1)),
    _apart(8, "convolution", (1, 1, 1), widest=4.0),
    _plain(32, "depthwise", is_halved=True),
    _apart(8, "additive", (1, 0, 1), widest=4.0),
    _apart(24, "additive", (1, 0, 1)),
    _apart(8, "additive", (1, 1, 0)),
    _plain(32, is_halved=True),
)


plugin = MacroSpace
