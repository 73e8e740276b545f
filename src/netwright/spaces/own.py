"""A network of one's own as a space of one: whatever a function of channels, height, width and classes returns.

The function is named by import path, as in own(network='mylab:net'); options behind the name are handed to it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, get_type_hints

import numpy as np
import torch
from torch import nn

from netwright.core import genes, reading, refs
from netwright.core.errors import BadReference
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Classes, Image
from netwright.plans import flops
from netwright.plans.kept import kept_bytes


@dataclass(frozen=True)
class OwnSpace:
    """The space that holds one network.

    Args:
        network: Import path of a function `net(channels, height, width, classes)` that is annotated to return a torch
            module, or of a class of such: images (B, channels, height, width) to logits (B, classes).

    Raises:
        BadReference: There is no such function.
    """

    network: str
    accepts: ClassVar[tuple[type, ...]] = (Image,)

    def __post_init__(self) -> None:
        _ = self._make

    @property
    def genes(self) -> tuple[Choice, ...]:
        """One choice, of one network."""
        return (Choice("network", (self.network,)),)

    def starts(self) -> tuple[Genotype, ...]:
        """The one genotype."""
        return ((0,),)

    def sample(self, rng: np.random.Generator) -> Genotype:  # noqa: ARG002
        """The one genotype."""
        return (0,)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:  # noqa: ARG002
        """The same genotype: there is no other."""
        return genotype

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for any other genotype."""
        genes.check(self.genes, genotype)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:  # noqa: ARG002
        """The network, whose initial weights torch's own generator draws, seeded by `rng`. Raises BadReference."""
        if not isinstance(io.output, Classes):
            raise BadReference(f"{self.network} is made for a number of classes, which the task does not have")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            try:
                found = self._make(io.channels, *_sides(io), io.outputs)
            except (Exception, SystemExit) as error:  # whatever the user's function does
                raise BadReference(f"{self.network} cannot be built: {_reason(error)}") from error
        if not isinstance(found, nn.Module) or not any(each.requires_grad for each in found.parameters()):
            raise BadReference(
                f"{self.network} returned {reading.shown(type(found).__name__)}; it must return a torch module with "
                "parameters to train"
            )
        return found

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Trainable parameters, and the multiply-adds of one forward pass, counted by torch; memory is measured.

        The memory is not known of a network that cannot run on two images while it trains. Raises BadReference.
        """
        network = self.build(genotype, io, np.random.default_rng(0)).eval()
        params = sum(each.numel() for each in network.parameters() if each.requires_grad)
        try:
            with flops.counted() as found:
                outputs = network(torch.zeros(1, io.channels, *_sides(io)))
        except (Exception, SystemExit) as error:  # whatever the user's module does
            raise BadReference(f"{self.network} cannot run: {_reason(error)}") from error
        if not isinstance(outputs, torch.Tensor) or outputs.shape != (1, io.outputs):
            shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
            raise BadReference(
                f"{self.network} gives {shape} for one image; it must give logits of shape (1, {io.outputs}), one for "
                "each class"
            )
        return Counts(params, found.multiply_adds, _memory(network, io))

    def key(self, genotype: Genotype) -> str:  # noqa: ARG002
        """Digest of the function's name."""
        return genes.digest(f"own {self.network}")

    def graph(self, genotype: Genotype) -> LabeledGraph:  # noqa: ARG002
        """An edge from images to logits: nothing is known of what lies between."""
        return LabeledGraph("network", ("image", "logits"), ((0, 1, self.network),))

    @cached_property
    def _make(self) -> Callable[..., Any]:
        reference = refs.parse(self.network)
        module, _, name = reference.name.partition(":")
        if not name:
            raise BadReference(f"own.network is {reading.shown(self.network)}; give an import path, as in mylab:net")
        try:
            found = getattr(importlib.import_module(module), name)
        except (Exception, SystemExit) as error:  # whatever a module does as it is imported
            raise BadReference(f"{reference.name} cannot be imported: {_reason(error)}") from error
        if not _makes_networks(found):  # nothing is called that does not say so, as os:system
            raise BadReference(
                f"{reference.name} does not say that it returns a network; annotate the function, as in "
                "def net(channels, height, width, classes) -> torch.nn.Module, or name a class derived from that"
            )
        return lambda *sizes: found(*sizes, **reference.options)


def _makes_networks(found: Any) -> bool:
    """Whether it is a class of torch modules, or a function annotated to return one."""
    try:
        made = found if isinstance(found, type) else get_type_hints(found).get("return")
    except Exception:  # of what has no annotations, or some that cannot be read
        return False
    return isinstance(made, type) and issubclass(made, nn.Module)


def _sides(io: IO) -> tuple[int, int]:
    assert isinstance(io.input, Image)
    return io.input.height, io.input.width


def _memory(network: nn.Module, io: IO) -> int | None:
    """Bytes that each image keeps for the backward pass; what the network draws leaves torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        try:
            return kept_bytes(network.train(), torch.zeros(2, io.channels, *_sides(io)))
        except (Exception, SystemExit):  # whatever the user's module does; a training says so
            return None


def _reason(error: BaseException) -> str:
    return reading.line(f"{type(error).__name__}: {error}")


plugin = OwnSpace
