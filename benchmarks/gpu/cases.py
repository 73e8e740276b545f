"""The architectures of `gpu_step.py`, each with its plain network from `benchmarks/plain/`, where there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plain"))
import hierarchical_step
import nasnet_step
import nats_step
from plain import hnag_step
from torch import nn

from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Genotype
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import HnagSpace
from netwright.spaces.nats import NatsTopology
from netwright.zoo import amoebanet_a, hierarchical, naonet_a

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """An architecture at a size.

    Args:
        space: Builds our module of the genotype.
        genotype: The architecture.
        batch: Images per step.
        side: Height and width of what the network sees.
        plain: Makes the plain network; None: there is none, and the module itself takes its place.
        of_plain: Target of ours in units of plain.
    """

    space: SearchSpace
    genotype: Genotype
    batch: int
    side: int
    plain: Callable[[], nn.Module] | None
    of_plain: float

    @property
    def io(self) -> IO:
        """What goes into the network and comes out of it."""
        return IO(3, self.side, self.side, CLASSES)


def cases() -> dict[str, Case]:
    cell, amoeba, nao = hierarchical.plugin, amoebanet_a.plugin, naonet_a.plugin
    nats, hnag = NatsTopology(channels=16, repeats=5), HnagSpace(limit=4_000_000)
    wide = HierarchicalSpace(channels=64, repeats=2)
    return {
        "hierarchical-16": Case(
            HierarchicalSpace(channels=16, repeats=1),
            cell.genotype,
            256,
            24,
            lambda: hierarchical_step.Net(16, 1),
            2.5,
        ),
        "hierarchical-64": Case(wide, cell.genotype, 128, 24, lambda: hierarchical_step.Net(64, 2), 1.5),
        "naonet-a": Case(naonet_a.SPACE, nao.genotype, 128, 32, None, 1.5),
        "amoebanet-a": Case(amoebanet_a.SPACE, amoeba.genotype, 128, 32, lambda: nasnet_step.Net(6, 36), 1.5),
        "hnag-d3": Case(
            hnag, hnag_step.SETTINGS["D3"], 128, 32, lambda: hnag_step.Net(hnag_step.SETTINGS["D3"], 4.0e6), 1.5
        ),
        "nats": Case(nats, nats.parse(nats_step.BEST), 256, 32, lambda: nats_step.Net(n=5), 1.5),
    }


def small() -> dict[str, Case]:
    """The two smallest, much smaller: any core does a step of them in a fraction of a second."""
    cell, nats = hierarchical.plugin, NatsTopology(channels=4, repeats=1)
    tiny = HierarchicalSpace(channels=4, repeats=1)
    return {
        "hierarchical-4": Case(tiny, cell.genotype, 16, 16, lambda: hierarchical_step.Net(4, 1), 2.5),
        "nats-4": Case(nats, nats.parse(nats_step.BEST), 16, 16, lambda: nats_step.Net(c=4, n=1), 1.5),
    }
