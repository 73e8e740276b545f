"""The network that a search has to beat: the plain one that its space starts from, or one that the user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from netwright.core import building, constraints, reading, refs
from netwright.core.contest import Entrant
from netwright.core.errors import BadReference, InvalidGenotype, NetwrightError
from netwright.core.finals import PLAIN, Candidate
from netwright.core.genes import Gene, size
from netwright.core.protocols import (
    HasStarts,
    HasTrivial,
    SearchSpace,
    check_accepts,
    has_networks_for,
    smaller_of,
    starts_of,
    unwrap,
)
from netwright.core.records import IO, Genotype
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.spaces import residual
from netwright.spaces.residual import ResidualSpace


def check_reference(text: str, io: IO, bounds: Sequence[str] = ()) -> None:
    """Refuse, before anything is started, a reference that could not be trained, or not be shipped.

    Args:
        text: What the user gave: a space by name or import path, or the import path of a function
            `net(channels, height, width, classes)` that returns a torch module.
        io: What goes into the network, and what comes out of it.
        bounds: Constraints on what ships, as a run file has them.

    Raises:
        BadReference: A sentence on what is wrong with it.
        BadRunFile: A constraint cannot be read.
    """
    entrant = of_text(text)
    space = building.load_space(refs.parse(entrant.space))
    try:
        check_accepts(space, io)
        space.check(entrant.candidate.genotype)
        counts = space.count(entrant.candidate.genotype, io)
        space.build(entrant.candidate.genotype, io, np.random.default_rng(0))
    except NetwrightError as error:
        raise BadReference(f"--reference {reading.shown(text)} cannot be used: {error}") from error
    if not counts.params:
        raise BadReference(f"--reference {reading.shown(text)} has no parameters to train; give another network")
    for bound in map(constraints.parse, bounds):
        if not bound.holds(counts):
            found = getattr(counts, bound.metric)
            raise BadReference(
                f"--reference {reading.shown(text)} has {found:,} {bound.metric}, and may ship, which is to have "
                f"{bound}; give a network within that, or another --constraint"
            )


def of_text(text: str) -> Entrant:
    """The network that a user names. Raises BadReference where it names none."""
    given = refs.parse(text)
    try:
        space, found = given, building.load_space(given)
    except BadReference as error:
        if ":" not in given.name:
            raise BadReference(f"--reference {reading.shown(text)} cannot be used: {error}") from None
        space = Reference("own", {"network": str(given)})
        try:
            found = building.load_space(space)
        except BadReference as reason:
            raise BadReference(f"--reference {reading.shown(text)} cannot be used: {reason}") from None
    genotype = _first(found)
    if genotype is None:
        raise BadReference(
            f"--reference {reading.shown(text)} has many networks, and none that it starts from; give its space a "
            "method starts(), or name a function that returns one network"
        )
    return Entrant(Candidate(f"network {reading.line(text)}", genotype, is_reference=True), str(space))


def plain(run: RunFile, space: SearchSpace, io: IO, params: int | None) -> Entrant | None:
    """The plain network: the first that the space starts from, or the largest one like it that is allowed.

    Where constraints leave the first start out, that is the smaller version of it which the search began from instead,
    unless a residual network that is allowed, and no larger than the first start, is larger by more than
    residual.TOLERANCE. Where there is neither, or no start, it is a residual network about as large as the best one
    found. The starts behind the first are no plain networks: they are what a search begins from, and may be its winner.

    Args:
        run: Run file of the search.
        space: Its space, with its constraints.
        io: What goes into a network, and what comes out of it.
        params: Size of the best network found; None: none was found.

    Returns:
        None where there is no plain network for such inputs.
    """
    own = building.load_space(run.space)  # without constraints, which leave out starts that do not fit
    first = next(iter(starts_of(own)), None)
    if first is not None and _fits(space, first):
        return Entrant(Candidate(PLAIN, first, is_reference=True))
    size = None if first is None else own.count(first, io).params
    narrower = None if first is None else next((each for each in smaller_of(own, first) if _fits(space, each)), None)
    other = _residual(run, io, size, params if narrower is None else None)
    if narrower is None:
        return other
    is_alike = other is None or own.count(narrower, io).params >= (1 - residual.TOLERANCE) * _params(other, io)
    return Entrant(Candidate(PLAIN, narrower, is_reference=True)) if is_alike else other


def _residual(run: RunFile, io: IO, most: int | None, params: int | None) -> Entrant | None:
    """The largest residual network that is allowed of at most so many parameters, or else of about so many."""
    rivals: ResidualSpace = refs.load("space", Reference("residual"))
    if run.space.name == "residual" or not has_networks_for(rivals, io):
        return None
    limited = constraints.constrain(rivals, io, run.constraints)
    no_larger = residual.within(rivals, io, most) if most is not None else []
    tried = chain(no_larger, _like(rivals, io, params) if params is not None else ())
    allowed = next((each for each in tried if _fits(limited, each)), None)
    return None if allowed is None else Entrant(Candidate(PLAIN, allowed, is_reference=True), "residual")


def _params(entrant: Entrant, io: IO) -> int:
    """Parameters of a network that lies in a space of its own."""
    return building.load_space(refs.parse(entrant.space)).count(entrant.candidate.genotype, io).params


def _like(rivals: ResidualSpace, io: IO, params: int) -> Iterator[Genotype]:
    """The residual network of about that size, then less deep and narrower ones."""
    width, blocks = map(int, residual.nearest(rivals, io, params))
    low = rivals.genes[0].low
    return ((w, b) for b in range(blocks, 0, -1) for w in range(width, low - 1, -1))


def _first(space: SearchSpace) -> Genotype | None:
    """The first network that a space starts from, its trivial one, or its only one; None: there are many."""
    if (starting := unwrap(space, HasStarts)) and (known := starting.starts()):
        first: Genotype = known[0]
        return first
    if with_trivial := unwrap(space, HasTrivial):
        trivial: Genotype = with_trivial.trivial()
        return trivial
    return space.sample(np.random.default_rng(0)) if _is_one(space.genes) else None


def _is_one(genes: Sequence[Gene]) -> bool:
    """Whether there is one genotype only."""
    return all(size(gene) == 1 for gene in genes)


def _fits(space: SearchSpace, genotype: Genotype) -> bool:
    try:
        space.check(genotype)
    except InvalidGenotype:
        return False
    return True
