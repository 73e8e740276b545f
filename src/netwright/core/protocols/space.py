"""Search spaces: what every space has, what some can do besides, and how a wrapped or drawn one is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Gene
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import NAMES, describe

if TYPE_CHECKING:
    from torch import nn

MOST_SMALLER = 1_000  # networks that are smaller than another one, which are looked at
SEEDS = 20  # number of seeds of a generator to try before there is a trial whose seed draws its network

T = TypeVar("T")


class SearchSpace(Protocol):
    """A family of networks: a frozen dataclass of its settings, scaled up with `dataclasses.replace`."""

    @property
    def genes(self) -> tuple[Gene, ...]:
        """What a genotype holds, one entry per value."""

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype of the start population."""

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A neighbor of `genotype`; may equal it where the paper's mutation may."""

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype, saying what and where, unless `genotype` describes a network.

        A space that `Generates` checks the network that its own seed draws.
        """

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network, initialized: batches of `io.input` to batches of `io.output`, such as images to logits."""

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form: a few milliseconds, no module built.

        Raises InvalidGenotype where there is no such network for these inputs.
        """

    def key(self, genotype: Genotype) -> str:
        """Digest of the network without parts that do nothing: equal keys, same network."""

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """What a drawing of the network shows."""


@runtime_checkable
class HasTrivial(Protocol):
    """Capability of a space: a simplest network, the reference that a search must beat."""

    def trivial(self) -> Genotype:
        """The genotype that the paper's initialization starts from."""


@runtime_checkable
class HasStarts(Protocol):
    """Capability of a space: networks that are known to work, from which a search begins before it draws any."""

    def starts(self) -> tuple[Genotype, ...]:
        """Strong plain networks, the best known first: all of them pass `check`, and no two are the same network."""


@runtime_checkable
class Shrinks(Protocol):
    """Capability of a space that `HasStarts`: it knows smaller networks of the same design as another one.

    Where bounds on counts leave a start out, a search begins from the first of these that they admit.
    """

    def smaller(self, genotype: Genotype) -> Iterator[Genotype]:
        """Such networks, the best known first: all of them pass `check` where `genotype` does."""


@runtime_checkable
class DrawsFor(Protocol):
    """Capability of a space: what there is of a network depends on what goes in, and so does its drawing."""

    def graph_for(self, genotype: Genotype, io: IO) -> LabeledGraph:
        """What a drawing shows of the network that is built for these inputs."""


@runtime_checkable
class Generates(Protocol):
    """Capability of a space: a genotype describes a generator, and each seed draws one of its networks.

    Every method of the space is about the network that the space's own seed, a setting, draws; equal keys mean equal
    generators. A trial's network is the one that the trial's seed draws: a search asks `of_seed(space, seed)` whether
    it fits, so that one network of a generator may be refused and another drawn instead. As that seed follows from the
    key, `key` raises InvalidGenotype for a genotype that is no generator.

    With an option `fixed`, `seeded` gives the space itself, so that its own seed draws the network of every trial: a
    front of generators is trained anew only where there is one, since one of its networks is then trained again.
    """

    def seeded(self, seed: int) -> SearchSpace:
        """The same space with another seed, from 0 to 2**63 - 1."""


@runtime_checkable
class Symmetric(Protocol):
    """Capability of a space: one network has several genotypes, and one can be turned into another."""

    def equivalents(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Another genotype of the same network, drawn at random; the same one where there is no other."""


@runtime_checkable
class Adapts(Protocol):
    """Capability of a wrapper of a space: its genotypes hold more than those of the space within."""

    def adapted(self, found: Any) -> Any:
        """`found`, the space within or what its wrapper gave, with its capabilities for this wrapper's genotypes."""


@runtime_checkable
class Accepts(Protocol):
    """Capability of a space: it says for which kinds of inputs it has networks; a space without it takes any."""

    @property
    def accepts(self) -> tuple[type, ...]:
        """The kinds of inputs, out of `Image`, `Sequence`, `Vector` and `Tokens`."""


def has_networks_for(space: SearchSpace, io: IO) -> bool:
    """Whether the space, or the one within its wrapper, has networks for such inputs."""
    found = unwrap(space, Accepts)
    return found is None or isinstance(io.input, found.accepts)


def check_accepts(space: SearchSpace, io: IO) -> None:
    """Raise BadReference unless the space, or the one within its wrapper, has networks for such inputs."""
    if has_networks_for(space, io):
        return
    found = unwrap(space, Accepts)
    kinds, given = " or ".join(NAMES[kind] for kind in found.accepts), NAMES[type(io.input)]
    raise BadReference(
        f"the space builds networks for {kinds}, but {describe(io.input)} go in; give a task of {kinds}, or a space "
        f"for {given}"
    )


def starts_of(space: SearchSpace) -> tuple[Genotype, ...]:
    """The networks from which a search of the space, or of the one within its wrapper, begins; (): it has none."""
    found = unwrap(space, HasStarts)
    return () if found is None else found.starts()


def smaller_of(space: SearchSpace, genotype: Genotype) -> Iterator[Genotype]:
    """Smaller networks like that one, the best known first, at most MOST_SMALLER; none where the space knows none."""
    found = unwrap(space, Shrinks)
    return iter(()) if found is None else islice(found.smaller(genotype), MOST_SMALLER)


def graph_of(space: SearchSpace, genotype: Genotype, io: IO | None) -> LabeledGraph:
    """What a drawing of a network shows: of the one for these inputs, where that matters and they are known."""
    found = unwrap(space, DrawsFor)
    return space.graph(genotype) if found is None or io is None else found.graph_for(genotype, io)


def of_seed(space: SearchSpace, seed: int) -> SearchSpace:
    """The space, with its wrappers, as a trial with this seed sees it; a space that draws nothing stays as it is."""
    if isinstance(space, Generates):
        return space.seeded(seed)
    wrapper: Any = space
    inner = getattr(wrapper, "space", None)
    if inner is None:
        return space
    found = of_seed(inner, seed)
    return space if found is inner else replace(wrapper, space=found)


def draws_networks(space: SearchSpace) -> bool:
    """Whether trials of one genotype have networks of their own, each drawn by its seed."""
    return unwrap(space, Generates) is not None and of_seed(space, 1) != of_seed(space, 2)


def of_any_seed(space: SearchSpace, use: Callable[[SearchSpace], T]) -> T:
    """What `use` returns for the space with the first of a few seeds whose network fits.

    Before a search there is no trial and so no seed of a network, and one network that does not fit says little about
    its generator. A space that draws nothing is used once, as it is.

    Raises:
        InvalidGenotype: All seeds are refused; the error is that of the first.
    """
    if unwrap(space, Generates) is None:
        return use(space)
    refusal: InvalidGenotype | None = None
    for seed in range(SEEDS):
        try:
            return use(of_seed(space, seed))
        except InvalidGenotype as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def unwrap(space: Any, capability: type) -> Any:
    """The space, or the one within a wrapper, that has the capability; None when none of them has.

    Where a wrapper's genotypes are not those of the space within (`Adapts`), what is returned takes and gives the
    wrapper's.
    """
    if isinstance(space, capability):
        return space
    inner = getattr(space, "space", None)
    found = None if inner is None else unwrap(inner, capability)
    return space.adapted(found) if found is not None and isinstance(space, Adapts) else found
