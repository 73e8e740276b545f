"""Settings of training as genes: some genes of a genotype revise the evaluator, the others describe the network.

`Tuned(space, settings)` wraps any space, which need not know of it: its genes are the space's, then one for each
setting. Building and counting read the network's part; the evaluator is revised by the rest (`Tuned.parts`); the key
holds both, so that one network trained in two ways is measured twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from netwright.core import genes
from netwright.core.errors import BadReference
from netwright.core.genes import Choice, Gene, Integer, Real
from netwright.core.protocols import SearchSpace, unwrap
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.refs import Reference

if TYPE_CHECKING:
    from torch import nn

CENTERED = "centered"  # as in "lr:centered"
KEPT = 0.75  # probability that a centered choice is its default
WIDTH = 1 / 6  # standard deviation of a centered number, as a share of its range (in the logarithm, if it is such)
_CHOICE, _RANGE = frozenset(("name", "options", "default")), frozenset(("name", "low", "high", "default", "log"))


@dataclass(frozen=True)
class Setting:
    """An option of the evaluator, or of its task, as a gene: one of several values, or a number in a range.

    Args:
        name: Name of the option, as on the command line.
        default: The usual value, for a network that is given without one.
        options: The values to choose from, at least two; empty: the setting is a number.
        low: The least number.
        high: The largest number.
        log: Whether the number is drawn in its logarithm; the gene is then the power of ten.
        centered: Whether values are drawn around the default instead of uniformly: one of several values is the default
            with probability KEPT, and the others are equally likely; a number is normally distributed around it (in its
            logarithm with `log`), with a standard deviation of WIDTH of the range, cut off at the ends.

    Raises:
        BadReference: Options that are not different, a range that is none, or a default that lies outside.
    """

    name: str
    default: Any
    options: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    centered: bool = False

    def __post_init__(self) -> None:
        if self.options:
            if len(set(self._texts)) < max(2, len(self.options)) or self.default not in self.options:
                raise BadReference(
                    f"the setting {self.name!r} has the options {[*self.options]} and the default {self.default!r}; "
                    "give at least two different options, with the default among them"
                )
            return
        is_finite = all(math.isfinite(each) for each in (self.low, self.high))
        if (
            not is_finite
            or not self.low <= self.default <= self.high
            or self.low == self.high
            or (self.log and self.low <= 0)
        ):
            raise BadReference(
                f"the setting {self.name!r} goes from {self.low} to {self.high} and is {self.default} by default; the "
                f"default must lie within{', and a logarithmic range above 0' if self.log else ''}"
            )

    @cached_property
    def gene(self) -> Gene:
        """The gene; a number is whole where its range and default are."""
        if self.options:
            return Choice(self.name, self._texts)
        if self.log:
            return Real(f"log10 {self.name}", math.log10(self.low), math.log10(self.high))
        if all(type(each) is int for each in (self.low, self.high, self.default)):
            return Integer(self.name, int(self.low), int(self.high))
        return Real(self.name, self.low, self.high)

    @property
    def usual(self) -> int | float:
        """The value of the gene that stands for the default."""
        if self.options:
            return self.options.index(self.default)
        return math.log10(self.default) if self.log else self.default

    def value(self, number: float) -> Any:
        """What the option is at a value of the gene."""
        if self.options:
            return self.options[int(number)]
        if number == self.usual:  # powers of ten would give it but for rounding
            return self.default
        return min(max(10.0**number, self.low), self.high) if self.log else number

    def draw(self, rng: np.random.Generator) -> int | float:
        """A value of the gene: uniform over its domain, or around the default; one number is drawn from `rng`."""
        if not self.centered:
            return genes.draw(self.gene, rng)
        if self.options:
            return self._choice(float(rng.random()))
        gene = self.gene
        assert not isinstance(gene, Choice)
        rounds = 0.5 if isinstance(gene, Integer) else 0.0  # the ends of a whole number's range are as wide as others
        low, high = gene.low - rounds, gene.high + rounds
        around = NormalDist(self.usual, WIDTH * (high - low))
        below, above = around.cdf(low), around.cdf(high)
        share = below + (above - below) * float(rng.random())
        found = min(max(around.inv_cdf(share), gene.low), gene.high)
        return round(found) if rounds else found

    def table(self) -> dict[str, Any]:
        """The setting as a run file has it."""
        about: dict[str, Any] = {"name": self.name}
        if self.options:
            about |= {"options": [*self.options], "default": self.default}
        else:
            about |= {"low": self.low, "high": self.high, "default": self.default, "log": self.log}
        return about | ({CENTERED: True} if self.centered else {})

    def _choice(self, share: float) -> int:
        """The option at a share of the probability: the default first, then the others in order."""
        usual, others = int(self.usual), len(self.options) - 1
        if share < KEPT:
            return usual
        place = min(int((share - KEPT) / (1 - KEPT) * others), others - 1)
        return place + (place >= usual)

    @property
    def _texts(self) -> tuple[str, ...]:
        return tuple(option if isinstance(option, str) else json.dumps(option) for option in self.options)


def resolved(given: Any, known: Mapping[str, Setting]) -> list[dict[str, Any]]:
    """The settings that a run file names, as tables that say all there is to know, for `of_tables` to read.

    Args:
        given: "lr,weight_decay", or a list of names and of tables with a range or options of their own; a name may end
            in ":centered", as a table may say `centered = true`, for draws around the default.
        known: The settings that the evaluator and its task offer, by name.

    Raises:
        BadReference: A setting that is not offered, or a table that describes none.
    """
    listed = [word.strip() for word in given.split(",")] if isinstance(given, str) else given
    if not isinstance(listed, list | tuple) or not listed:
        raise BadReference(
            f"space.with is {given!r}; name settings of training, as in {','.join([*known][:3]) or 'lr'}"
        )
    return [setting.table() for setting in of_tables([_completed(entry, known) for entry in listed])]


def is_resolved(given: Any) -> bool:
    """Whether these settings are tables that say all there is to know."""
    return isinstance(given, list | tuple) and all(
        isinstance(each, Mapping) and each.keys() - {CENTERED} in (_CHOICE, _RANGE) for each in given
    )


def spelled(space: Reference) -> Reference:
    """The space with its settings by name, as a command has them: for people, who need no ranges there."""
    given = space.options.get("with", ())
    if not given or not is_resolved(given):
        return space
    return replace(space, options={**space.options, "with": ",".join(str(table["name"]) for table in given)})


def of_tables(tables: Any) -> tuple[Setting, ...]:
    """The settings of tables as `resolved` writes them. Raises BadReference for any other value."""
    if not isinstance(tables, list | tuple) or not all(isinstance(table, Mapping) for table in tables):
        raise BadReference(
            f"space.with is {tables!r}, names that only a search can look up; leave it out here, or give each setting "
            "with name, range and default"
        )
    found = tuple(_of_table(table) for table in tables)
    names = [setting.name for setting in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadReference(f"space.with names the setting {twice[0]!r} twice; name it once")
    return found


def _completed(entry: Any, known: Mapping[str, Setting]) -> dict[str, Any]:
    """A name, or a table that says some of a setting, as a table that says all of it."""
    given = entry if isinstance(entry, Mapping) else _named(entry)
    name = given.get("name")
    if not isinstance(name, str) or name not in known:
        raise BadReference(
            f"space.with names {name!r}, which cannot be searched here; there are {', '.join(known) or 'no settings'}"
        )
    usual = known[name].table() | {CENTERED: known[name].centered}
    if unknown := given.keys() - usual.keys():
        raise BadReference(f"the setting {name!r} has no {min(map(str, unknown))!r}; it has {', '.join(usual)}")
    return {**usual, **{part: _of_kind(name, usual[part], value) for part, value in given.items()}}


def _named(entry: Any) -> dict[str, Any]:
    """What "lr" or "lr:centered" says of a setting. Raises BadReference for another word behind the colon."""
    if not isinstance(entry, str) or ":" not in entry:
        return {"name": entry}
    name, _, way = (part.strip() for part in entry.partition(":"))
    if way != CENTERED:
        raise BadReference(f"space.with has {entry!r}; behind a name may stand :{CENTERED} only, as in lr:{CENTERED}")
    return {"name": name, CENTERED: True}


def _of_kind(name: str, usual: Any, value: Any) -> Any:
    """A value as the setting has it: whole numbers stay whole, others become real. Raises BadReference."""
    if type(usual) is int and type(value) is float:
        raise BadReference(f"the setting {name!r} counts whole numbers; {value!r} is none")
    return float(value) if type(usual) is float and type(value) is int else value


def _of_table(table: Mapping[str, Any]) -> Setting:
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise BadReference(f"a setting of space.with has the name {name!r}; give the name of an option")
    centered, parts = table.get(CENTERED, False), table.keys() - {CENTERED}
    if type(centered) is not bool:
        raise BadReference(f"the setting {name!r} has {CENTERED} = {centered!r}; give true or false")
    if parts == _CHOICE and isinstance(table["options"], list | tuple):
        if not table["options"]:
            raise BadReference(f"the setting {name!r} has no options to choose from; give at least two")
        return Setting(name, table["default"], tuple(table["options"]), centered=centered)
    if parts != _RANGE or type(table["log"]) is not bool:
        raise BadReference(f"the setting {name!r} is {dict(table)}; give options, or low, high, default and log")
    low, high, default = (table[part] for part in ("low", "high", "default"))
    if any(type(value) not in (int, float) for value in (low, high, default)):
        raise BadReference(f"the setting {name!r} goes from {low!r} to {high!r}, by default {default!r}; give numbers")
    return Setting(name, default, low=low, high=high, log=table["log"], centered=centered)


@dataclass(frozen=True)
class Tuned:
    """A space whose genotypes also say how to train: the space's genes, then those of the settings."""

    space: SearchSpace
    settings: tuple[Setting, ...]

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes of the space within, then one for each setting."""
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
        """The genotype of a network that is to be trained as usual."""
        return (*network, *(setting.usual for setting in self.settings))

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A sample of the space, and settings drawn uniformly or around their defaults, as each of them says."""
        network = self.space.sample(rng)
        return (*network, *(setting.draw(rng) for setting in self.settings))

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A mutant: a setting drawn again, as often as settings are among the genes, else the space's own mutation."""
        network = self.network(genotype)
        place = int(rng.random() * len(genotype)) - len(network)
        if place < 0:
            return (*self.space.mutate(network, rng), *genotype[len(network) :])
        position = len(network) + place
        return (*genotype[:position], self.settings[place].draw(rng), *genotype[position + 1 :])

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
        """Digest that is equal for equal networks that are trained alike."""
        network, values = self.parts(genotype)
        return genes.digest(f"{self.space.key(network)} {json.dumps(values, sort_keys=True)}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """What a drawing of the network shows."""
        return self.space.graph(self.network(genotype))

    def adapted(self, found: Any) -> Adapted:
        """The space within for genotypes of this one; see `protocols.Adapts`."""
        return Adapted(self, found)


@dataclass(frozen=True)
class Adapted:
    """Capabilities of a space within `Tuned`, for genotypes that also say how to train.

    It is never asked for a capability that the space lacks: `protocols.unwrap` gives it only where one was found.
    """

    tuned: Tuned
    found: Any

    @property
    def accepts(self) -> tuple[type, ...]:
        """The kinds of inputs that there are networks for."""
        kinds: tuple[type, ...] = self.found.accepts
        return kinds

    def plan(self, genotype: Genotype, io: IO) -> Any:
        """The layers of the network."""
        return self.found.plan(self.tuned.network(genotype), io)

    def shared_plan(self, genotype: Genotype, io: IO) -> Any:
        """The layers of the network among those that share weights."""
        return self.found.shared_plan(self.tuned.network(genotype), io)

    def shares(self, genotype: Genotype, plan: Any) -> Any:
        """Where the weights of that network lie."""
        return self.found.shares(self.tuned.network(genotype), plan)

    def cover(self) -> Iterator[Genotype]:
        """The networks that together use all shared weights, trained as usual."""
        return map(self.tuned.with_defaults, self.found.cover())

    def graph_for(self, genotype: Genotype, io: IO) -> LabeledGraph:
        """What a drawing of the network for these inputs shows."""
        graph: LabeledGraph = self.found.graph_for(self.tuned.network(genotype), io)
        return graph

    def trivial(self) -> Genotype:
        """The simplest network, trained as usual."""
        return self.tuned.with_defaults(self.found.trivial())

    def starts(self) -> tuple[Genotype, ...]:
        """The networks that are known to work, trained as usual."""
        return tuple(self.tuned.with_defaults(network) for network in self.found.starts())

    def smaller(self, genotype: Genotype) -> Iterator[Genotype]:
        """Smaller networks like that one, trained the same way."""
        network = self.tuned.network(genotype)
        return ((*found, *genotype[len(network) :]) for found in self.found.smaller(network))

    def equivalents(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Another genotype of the same network, trained the same way."""
        network = self.tuned.network(genotype)
        return (*self.found.equivalents(network, rng), *genotype[len(network) :])

    def seeded(self, seed: int) -> Tuned:
        """The tuned space with another seed."""
        return replace(self.tuned, space=self.found.seeded(seed))


def values(space: SearchSpace, genotype: Genotype) -> dict[str, Any]:
    """The options of training that a genotype stands for; {} of a space without settings among its genes."""
    tuned: Tuned | None = unwrap(space, Tuned)
    return tuned.parts(genotype)[1] if tuned else {}
