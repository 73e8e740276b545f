"""Genes, and every encoding of a genotype that a strategy may want.

A genotype is a tuple with one number per gene. Because a space states its genes, uniform samples, unit-cube vectors,
tokens and JSON are the same few functions for all spaces.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from netwright.core.errors import InvalidGenotype
from netwright.core.reading import shown
from netwright.core.records import Genotype

MAX_JSON_CHARACTERS = 1_000_000
MOST_TOKENS = 256  # for a whole number that states no grid: a vocabulary, and a model of it, has a row for each token
LARGEST_GROUP = 8  # genes that a token model reads in one step; longer patterns are read gene by gene


@dataclass(frozen=True)
class Choice:
    """One of `options`; the value is the option's index. Genes of one `kind` share their tokens."""

    name: str
    options: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, both included.

    `bins` is the number of points of its grid when a strategy needs tokens; None: every value has a token, or, where
    there are more than MOST_TOKENS values, the grid has that many points.

    Raises:
        ValueError: `bins` is less than 1.
    """

    name: str
    low: int
    high: int
    bins: int | None = None

    def __post_init__(self) -> None:
        if self.bins is not None:
            _check_bins(self.name, self.bins)


@dataclass(frozen=True)
class Real:
    """A number in [`low`, `high`]; `bins` is the number of points of its grid when a strategy needs tokens.

    Raises:
        ValueError: `bins` is less than 1.
    """

    name: str
    low: float
    high: float
    bins: int = 10

    def __post_init__(self) -> None:
        _check_bins(self.name, self.bins)


Gene: TypeAlias = Choice | Integer | Real


def size(gene: Gene) -> int:
    """How many values the gene has; for a real gene, how many grid points."""
    if isinstance(gene, Choice):
        return len(gene.options)
    return gene.high - gene.low + 1 if isinstance(gene, Integer) else gene.bins


def levels(gene: Gene) -> int:
    """How many tokens the gene has: its values, or the points of its grid where that is coarser."""
    if isinstance(gene, Integer):
        return min(MOST_TOKENS if gene.bins is None else gene.bins, size(gene))
    return size(gene)


def check(genes: Sequence[Gene], genotype: Genotype) -> None:
    """Raise InvalidGenotype unless `genotype` has one value in range per gene."""
    if not isinstance(genotype, tuple):
        raise InvalidGenotype(f"a genotype is a tuple of {len(genes)} numbers, got {type(genotype).__name__}")
    if len(genotype) != len(genes):
        raise InvalidGenotype(f"the genotype has {len(genotype)} values, the space has {len(genes)} genes")
    for gene, value in zip(genes, genotype, strict=True):
        if type(gene) is Choice and type(value) is int and 0 <= value < len(gene.options):
            continue  # by far the most common case, settled without a call
        if not _admits(gene, value):
            position = next(n for n, pair in enumerate(zip(genes, genotype, strict=True)) if not _admits(*pair))
            raise InvalidGenotype(f"gene {position} ({gene.name}) is {value!r}; it takes {_domain(gene)}")


def sample(genes: Sequence[Gene], rng: np.random.Generator) -> Genotype:
    """A genotype with every gene drawn uniformly over its values."""
    return tuple(draw(gene, rng) for gene in genes)


def draw(gene: Gene, rng: np.random.Generator) -> int | float:
    """A value of the gene, uniform over its domain."""
    if isinstance(gene, Real):
        return min(gene.low + (gene.high - gene.low) * float(rng.random()), gene.high)  # the sum may round past the end
    low = gene.low if isinstance(gene, Integer) else 0
    return low + int(rng.random() * size(gene))


def mutate(genes: Sequence[Gene], genotype: Genotype, rng: np.random.Generator) -> Genotype:
    """A copy in which one gene, drawn uniformly, has a value drawn uniformly (which may be the old one)."""
    position = int(rng.random() * len(genes))
    return (*genotype[:position], draw(genes[position], rng), *genotype[position + 1 :])


def to_vector(genes: Sequence[Gene], genotype: Genotype) -> np.ndarray:
    """The genotype as a point of the unit cube, shape (genes,), float64; a discrete value sits mid-cell."""
    return np.array([_to_unit(gene, value) for gene, value in zip(genes, genotype, strict=True)])


def from_vector(genes: Sequence[Gene], vector: np.ndarray) -> Genotype:
    """The genotype at a point of the unit cube, shape (genes,); coordinates outside [0, 1] are clipped."""
    return tuple(_from_unit(gene, float(u)) for gene, u in zip(genes, vector, strict=True))


def vocabulary(genes: Sequence[Gene]) -> dict[str, tuple[int, int]]:
    """First token and number of tokens of each kind of gene, in order of first appearance; token 0 is left free.

    Genes of one non-empty `kind` share tokens (as many as the largest of them needs); others have their own.
    """
    counts: dict[str, int] = {}
    for gene in genes:
        kind = _kind(gene)
        counts[kind] = max(counts.get(kind, 0), levels(gene))
    spans, start = {}, 1
    for kind, count in counts.items():
        spans[kind] = (start, count)
        start += count
    return spans


def to_tokens(genes: Sequence[Gene], genotype: Genotype) -> tuple[int, ...]:
    """One token per gene, >= 1; a value goes to the nearest point of its gene's grid."""
    spans = vocabulary(genes)
    return tuple(spans[_kind(g)][0] + _level(g, value) for g, value in zip(genes, genotype, strict=True))


def from_tokens(genes: Sequence[Gene], tokens: Sequence[int], like: Genotype | None = None) -> Genotype:
    """Inverse of `to_tokens`; a gene with a grid gets the value of its grid point.

    Args:
        genes: The genes of the space.
        tokens: One token per gene, in the order of the genes.
        like: A genotype whose values are kept wherever its tokens are the same, so that unchanged values do not jump to
            the grid.

    Raises:
        InvalidGenotype: A token does not belong to its gene.
    """
    spans = vocabulary(genes)
    genotype = []
    for position, (gene, token) in enumerate(zip(genes, tokens, strict=True)):
        level = token - spans[_kind(gene)][0]
        if not 0 <= level < levels(gene):
            raise InvalidGenotype(f"token {token} at position {position} does not belong to gene {gene.name}")
        is_kept = like is not None and _level(gene, like[position]) == level
        genotype.append(like[position] if like is not None and is_kept else _value(gene, level))
    return tuple(genotype)


def token_masks(genes: Sequence[Gene]) -> np.ndarray:
    """Which tokens each gene admits, shape (genes, vocabulary with token 0), bool."""
    spans = vocabulary(genes)
    masks = np.zeros((len(genes), 1 + sum(count for _, count in spans.values())), dtype=bool)
    for row, gene in zip(masks, genes, strict=True):
        start = spans[_kind(gene)][0]
        row[start : start + levels(gene)] = True
    return masks


def group_size(genes: Sequence[Gene]) -> int:
    """How many genes make one step of a sequence: the shortest pattern of kinds that the genes repeat.

    Cells of (input, operation) pairs have 2, cells of (input, family, size) triples 3; genes without such a pattern,
    or with one longer than LARGEST_GROUP, are read one by one.
    """
    kinds = [_kind(gene) for gene in genes]
    for group in range(1, min(LARGEST_GROUP, len(kinds) // 2) + 1):
        if len(kinds) % group == 0 and kinds == kinds[:group] * (len(kinds) // group):
            return group
    return 1


def to_json(genotype: Genotype) -> str:
    """The genotype as a JSON array."""
    return json.dumps(genotype, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Genotype:
    """Read a JSON array of numbers. Raises InvalidGenotype for anything else, in time linear in its length."""
    if len(text) > MAX_JSON_CHARACTERS:
        raise InvalidGenotype(f"the genotype has {len(text):,} characters; at most {MAX_JSON_CHARACTERS:,} are read")
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidGenotype("the genotype is not a JSON array of numbers: it holds lists within lists") from None
    except ValueError as error:
        reason = str(error).partition("; use sys")[0]  # advice for programmers
        raise InvalidGenotype(f"the genotype is not a JSON array of numbers: {reason}") from None
    if not isinstance(values, list):
        raise InvalidGenotype(f"the genotype is a JSON {type(values).__name__}; it must be an array of numbers")
    for position, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidGenotype(f"value {position} of the genotype is {str(value)[:40]!r}; it must be a number")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InvalidGenotype(f"value {position} of the genotype is {shown(value)}; at most 64 bits are read")
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidGenotype(f"value {position} of the genotype is too large for a floating-point number")
    return tuple(values)


def digest(text: str) -> str:
    """32 hexadecimal characters that stand for `text`: the key of a network."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _check_bins(name: str, bins: int) -> None:
    if bins < 1:
        raise ValueError(f"gene {name} has {bins} bins; its grid needs at least 1")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON has")


def _admits(gene: Gene, value: object) -> bool:
    if isinstance(gene, Choice):
        return type(value) is int and 0 <= value < len(gene.options)
    if isinstance(gene, Integer):
        return type(value) is int and gene.low <= value <= gene.high
    return type(value) in (int, float) and gene.low <= value <= gene.high  # type: ignore[operator] # False for NaN


def _domain(gene: Gene) -> str:
    if isinstance(gene, Choice):
        listed = ", ".join(f"{i} = {option}" for i, option in enumerate(gene.options))
        return f"a whole number: {listed}"
    whole = "a whole number" if isinstance(gene, Integer) else "a number"
    return f"{whole} from {gene.low} to {gene.high}"


def _kind(gene: Gene) -> str:
    # a name can never look like a kind: kinds are prefixed
    return f"kind:{gene.kind}" if isinstance(gene, Choice) and gene.kind else f"gene:{gene.name}"


def _level(gene: Gene, value: int | float) -> int:
    if isinstance(gene, Choice):
        return int(value)
    steps, span = levels(gene) - 1, gene.high - gene.low
    if isinstance(gene, Integer) and steps == span:
        return int(value) - gene.low
    return 0 if span == 0 else round((value - gene.low) / span * steps)


def _value(gene: Gene, level: int) -> int | float:
    if isinstance(gene, Choice):
        return level
    steps, span = levels(gene) - 1, gene.high - gene.low
    if isinstance(gene, Integer):
        return gene.low + (span * level + steps // 2) // max(1, steps)  # whole numbers: large ones are no floats
    value = gene.low if steps == 0 else gene.low + span * level / steps
    return min(value, gene.high)  # the sum may round past the end


def _to_unit(gene: Gene, value: int | float) -> float:
    if isinstance(gene, Real):
        span = gene.high - gene.low
        return 0.5 if span == 0 else (value - gene.low) / span
    return (value - _lowest(gene) + 0.5) / size(gene)


def _from_unit(gene: Gene, unit: float) -> int | float:
    unit = min(max(unit, 0.0), 1.0)
    if isinstance(gene, Real):
        return min(gene.low + (gene.high - gene.low) * unit, gene.high)
    return _lowest(gene) + min(math.floor(unit * size(gene)), size(gene) - 1)


def _lowest(gene: Choice | Integer) -> int:
    return gene.low if isinstance(gene, Integer) else 0
