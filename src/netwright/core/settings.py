"""Settings of training as genes: some genes of a genotype revise the evaluator, the others describe the network.

`Tuned(space, settings)` wraps any space, which need not know of it: its genes are the space's, then one for each
setting. Whoever builds or counts gets the network's part; the evaluator is revised by the rest (`Tuned.parts`); the key
holds both, so that one network trained in two ways is measured twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netwright.core import genes
from netwright.core.errors import BadReference
from netwright.core.genes import Choice, Gene, Integer, Real
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Counts, Genotype, LabeledGraph

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Setting:
    """An option of the evaluator, or of its task, as a gene.

    Args:
        name: The option, as on the command line.
        gene: Its values: of a `Choice`, places in `options`; of a number that is logarithmic, powers of ten.
        options: What a `Choice` stands for.
        default: The value of the gene that stands for the option's usual value, where a network is given without any.
        is_logarithmic: Whether the option is ten to the power of the gene.
    """

    name: str
    gene: Gene
    options: tuple[Any, ...] = ()
    default: float = 0.0
    is_logarithmic: bool = False

    def value(self, number: float) -> Any:
        """The option's value at a value of the gene."""
        if isinstance(self.gene, Choice):
            return self.options[int(number)]
        return 10.0**number if self.is_logarithmic else number

    def table(self) -> dict[str, Any]:
        """The setting as a run file has it."""
        if isinstance(self.gene, Choice):
            return {"name": self.name, "options": [*self.options], "default": self.options[int(self.default)]}
        low, high, default = (self.value(each) for each in (self.gene.low, self.gene.high, self.default))
        return {"name": self.name, "low": low, "high": high, "default": default, "log": self.is_logarithmic}


def choice(name: str, options: Sequence[Any], default: Any) -> Setting:
    """A setting that is one of several values."""
    texts = tuple(option if isinstance(option, str) else json.dumps(option) for option in options)
    if len(set(texts)) != len(texts) or len(texts) < 2:
        raise BadReference(f"the setting {name!r} has the options {list(options)}; give at least two different ones")
    if default not in options:
        raise BadReference(f"the setting {name!r} has the default {default!r}, which is none of {list(options)}")
    return Setting(name, Choice(name, texts), tuple(options), [*options].index(default))


def number(name: str, low: float, high: float, default: float, *, log: bool = False) -> Setting:
    """A setting that is a number in a range, uniform in it or in its logarithm; whole where all three are."""
    if not low <= default <= high or low == high or (log and low <= 0):
        raise BadReference(
            f"the setting {name!r} goes from {low} to {high} with the default {default}; the default must lie within, "
            f"and a logarithmic range above 0"
        )
    if log:
        low, high, default = (math.log10(each) for each in (low, high, default))
        return Setting(name, Real(name, low, high), default=default, is_logarithmic=True)
    if all(type(each) is int for each in (low, high, default)):
        return Setting(name, Integer(name, int(low), int(high)), default=default)
    return Setting(name, Real(name, low, high), default=default)


def read(given: Any, known: Mapping[str, Setting]) -> tuple[Setting, ...]:
    """The settings that a run file names, by themselves ("lr,weight_decay", ["lr"]) or with a range of their own.

    Args:
        given: Names, or tables as `Setting.table` writes them.
        known: What the evaluator and its task offer.

    Raises:
        BadReference: A setting that is not offered, or a table that describes none.
    """
    listed = [word.strip() for word in given.split(",")] if isinstance(given, str) else given
    if not isinstance(listed, list | tuple) or not listed:
        raise BadReference(f"space.with is {given!r}; name settings of training, as in {_some(known)}")
    found = tuple(_read(entry, known) for entry in listed)
    names = [setting.name for setting in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadReference(f"space.with names the setting {twice[0]!r} twice; name it once")
    return found


def _read(entry: Any, known: Mapping[str, Setting]) -> Setting:
    if isinstance(entry, Setting):
        return entry
    name = entry.get("name") if isinstance(entry, Mapping) else entry
    if not isinstance(name, str) or name not in known:
        raise BadReference(f"space.with names {name!r}, which cannot be searched here; there are {', '.join(known)}")
    if not isinstance(entry, Mapping):
        return known[name]
    usual = known[name].table()
    table = {**usual, **entry}
    if unknown := table.keys() - usual.keys():
        raise BadReference(f"the setting {name!r} has no {min(unknown)!r}; it has {', '.join(usual)}")
    if "options" in table:
        return choice(name, table["options"], table["default"])
    values = [table[part] for part in ("low", "high", "default")]
    if any(type(value) not in (int, float) for value in values) or type(table["log"]) is not bool:
        raise BadReference(f"the setting {name!r} goes from {values[0]!r} to {values[1]!r}; give numbers")
    return number(name, *values, log=table["log"])


def _some(known: Mapping[str, Setting]) -> str:
    return ",".join([*known][:3]) or "lr"


@dataclass(frozen=True)
class Tuned:
    """A space whose genotypes also say how to train: the space's genes, then those of the settings."""

    space: SearchSpace
    settings: tuple[Setting, ...]

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Those of the space within, then one for each setting."""
        return (*self.space.genes, *(setting.gene for setting in self.settings))

    def network(self, genotype: Genotype) -> Genotype:
        """The genes of the network."""
        return genotype[: len(genotype) - len(self.settings)]

    def parts(self, genotype: Genotype) -> tuple[Genotype, dict[str, Any]]:
        """The genes of the network, and the options that the others stand for."""
        network = self.network(genotype)
        values = genotype[len(network) :]
        return network, {s.name: s.value(value) for s, value in zip(self.settings, values, strict=True)}

    def with_defaults(self, network: Genotype) -> Genotype:
        """A network that is to be trained as usual."""
        return (*network, *(_plain(setting) for setting in self.settings))

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A sample of the space, and settings drawn uniformly."""
        network = self.space.sample(rng)
        return (*network, *(genes.draw(setting.gene, rng) for setting in self.settings))

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """One mutation: of a setting as often as settings are among the genes, else the space's own."""
        network = self.network(genotype)
        place = int(rng.random() * len(genotype)) - len(network)
        if place < 0:
            return (*self.space.mutate(network, rng), *genotype[len(network) :])
        position = len(network) + place
        return (*genotype[:position], genes.draw(self.settings[place].gene, rng), *genotype[position + 1 :])

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a setting out of range, or where the space does for the network."""
        genes.check(self.genes, genotype)
        self.space.check(self.network(genotype))

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network."""
        return self.space.build(self.network(genotype), io, rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds of the network."""
        return self.space.count(self.network(genotype), io)

    def key(self, genotype: Genotype) -> str:
        """Equal for equal networks that are trained alike."""
        network, values = self.parts(genotype)
        return genes.digest(f"{self.space.key(network)} {json.dumps(values, sort_keys=True)}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """What a drawing of the network shows."""
        return self.space.graph(self.network(genotype))


def _plain(setting: Setting) -> int | float:
    """The default as a value of the gene: a whole number where the gene is one."""
    return setting.default if isinstance(setting.gene, Real) else int(setting.default)
