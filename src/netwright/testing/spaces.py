"""What every search space must do. Call `check_space` from a test of your own space."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from netwright.core import genes, seeds
from netwright.core.genes import Real
from netwright.core.protocols import SearchSpace, has_networks_for, smaller_of, starts_of
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Tokens, dimensions, output_dimensions
from netwright.plans import flops
from netwright.plans.kept import kept_bytes

MEMORY_OFF = 0.03  # share by which counted and measured memory may differ
USUAL, ODD = IO(3, 16, 16, 10), IO(1, 17, 13, 2)  # inputs and outputs
MUTANTS = 50  # of which one must differ from its parent
SMALLER = 20  # networks that are smaller than a start, which are looked at


def check_space(space: SearchSpace, io: IO = USUAL, samples: int = 5) -> None:
    """Assert the contract of a space on `samples` drawn genotypes, and on as many mutants.

    Samples and mutants are valid and repeatable; JSON, tokens and vectors give them back; counts equal those of the
    built network (memory within 3 %), in which every parameter has a gradient; equal generators build equal weights;
    drawings are acyclic. Starts, where the space has some, are valid and different networks, and smaller ones like them
    are valid and no larger. Keys are repeatable, and networks of equal keys have equal counts; some mutants differ from
    their parent. With the default `io`, one network is for images of odd and unequal sides, where the space has
    networks for such.
    """
    starts = starts_of(space)
    assert len({space.key(genotype) for genotype in starts}) == len(starts), "two starts are the same network"
    for genotype in starts:
        space.check(genotype)
        for smaller in islice(smaller_of(space, genotype), SMALLER):
            space.check(smaller)
            assert _is_no_larger(space, smaller, genotype, io), "what is called smaller than a start is larger"
    seen = list(starts)
    for n in range(samples):
        genotype = space.sample(seeds.rng_for(1, seeds.ASK, n))
        assert genotype == space.sample(seeds.rng_for(1, seeds.ASK, n)), "a sample depends on more than its generator"
        mutant = space.mutate(genotype, seeds.rng_for(2, seeds.ASK, n))
        assert mutant == space.mutate(genotype, seeds.rng_for(2, seeds.ASK, n)), "a mutant depends on more than rng"
        for each in (genotype, mutant):
            space.check(each)
            check_encodings(space, each)
            check_graph(space.graph(each))
        check_network(space, mutant, io, n)
        assert _mutates(space, genotype), "no mutant differs from its parent"
        seen += [genotype, mutant]
    check_keys(space, seen, io)
    if io == USUAL and has_networks_for(space, ODD):
        check_network(space, seen[-1], ODD, 0)


def _is_no_larger(space: SearchSpace, smaller: Genotype, genotype: Genotype, io: IO) -> bool:
    """Whether a network has no more parameters and multiply-adds than another one."""
    own, other = (space.count(each, io) for each in (smaller, genotype))
    return own.params <= other.params and own.multiply_adds <= other.multiply_adds


def check_keys(space: SearchSpace, genotypes: Sequence[Genotype], io: IO) -> None:
    """Keys depend on the genotype alone, whatever it came from, and networks of equal keys have equal counts."""
    counts: dict[str, Counts] = {}
    for genotype in dict.fromkeys(genotypes):
        key = space.key(genotype)
        assert key == space.key(genes.from_json(genes.to_json(genotype))), "a key depends on more than the genotype"
        assert counts.setdefault(key, found := space.count(genotype, io)) == found, "two networks have one key"


def _mutates(space: SearchSpace, genotype: Genotype) -> bool:
    """Whether a mutant differs, or there is nothing to mutate."""
    is_one = all(genes.size(gene) == 1 for gene in space.genes)
    mutants = (space.mutate(genotype, seeds.rng_for(4, seeds.ASK, n)) for n in range(MUTANTS))
    return is_one or any(mutant != genotype for mutant in mutants)


def check_encodings(space: SearchSpace, genotype: Genotype) -> None:
    """JSON, tokens and vectors give the genotype back (real genes: tokens to their grid, vectors to rounding)."""
    assert genes.from_json(genes.to_json(genotype)) == genotype
    assert json.loads(genes.to_json(genotype)) == list(genotype), "a genotype holds plain numbers only"
    tokens = genes.to_tokens(space.genes, genotype)
    assert genes.to_tokens(space.genes, genes.from_tokens(space.genes, tokens)) == tokens
    vector = genes.to_vector(space.genes, genotype)
    assert vector.shape == (len(space.genes),)
    assert np.all((vector >= 0) & (vector <= 1))
    back = genes.from_vector(space.genes, vector)
    for gene, value, other in zip(space.genes, genotype, back, strict=True):
        assert math.isclose(value, other) if isinstance(gene, Real) else value == other


def check_graph(graph: LabeledGraph) -> None:
    """Edges run forward between existing nodes, in parts too."""
    for source, target, _ in graph.edges:
        assert 0 <= source < target < len(graph.nodes), f"{graph.name}: edge {source}->{target} does not run forward"
    for part in graph.parts:
        check_graph(part)


def check_network(space: SearchSpace, genotype: Genotype, io: IO, n: int) -> None:
    """The built network is the counted one, trains, and has the same weights for the same genotype and generator."""
    network = space.build(genotype, io, seeds.rng_for(3, seeds.BUILD, n))
    counts = space.count(genotype, io)
    built = sum(parameter.numel() for parameter in network.parameters())
    assert counts.params == built, f"count says {counts.params} parameters, the network has {built}"
    generator = torch.Generator().manual_seed(n)
    inputs = _inputs(io, generator)
    network.eval()
    with flops.counted() as found:
        assert network(inputs[:1]).shape == (1, *output_dimensions(io.output)), "a batch of 1 must work"
    assert found.multiply_adds == counts.multiply_adds, "count says other multiply-adds than torch's counter"
    network.train()
    if counts.memory_per_sample is not None:
        kept = kept_bytes(copy.deepcopy(network), inputs)
        assert math.isclose(counts.memory_per_sample, kept, rel_tol=MEMORY_OFF), (
            f"count says {counts.memory_per_sample:,} bytes of memory per sample, the network keeps {kept:,}"
        )
    network(inputs).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient: it is built but not used"
        assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"
    state = torch.random.get_rng_state()
    twin = space.build(genotype, io, seeds.rng_for(3, seeds.BUILD, n))
    assert torch.equal(state, torch.random.get_rng_state()), "build must not draw from torch's global generator"
    again = space.build(genotype, io, seeds.rng_for(3, seeds.BUILD, n))
    for one, other in zip(twin.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), "build depends on more than its generator"


def _inputs(io: IO, generator: torch.Generator) -> torch.Tensor:
    """Two random examples of the task's inputs."""
    shape = (2, *dimensions(io.input))
    if isinstance(io.input, Tokens):
        return torch.randint(io.input.vocabulary, shape, generator=generator)
    return torch.randn(shape, generator=generator)
