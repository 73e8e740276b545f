"""The torch module of a layer plan."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core.shapes import Shape, dimensions
from netwright.plans import torch_rng
from netwright.plans.names import module_of
from netwright.plans.operation import Operation
from netwright.plans.plan import Layer, Plan, is_auxiliary
from netwright.plans.regularization import Regularization

Computing = Callable[..., Tensor]  # a module where an operation has weights, a function where not


def computing(op: Operation, *entering: Shape) -> Computing:
    """What computes an operation on inputs of these shapes."""
    return op.module(*entering)


@dataclass(frozen=True)
class _Step:
    """A layer to be run: what computes it, from which layers, and which of them are not needed afterwards."""

    run: Computing
    inputs: tuple[int, ...]
    done: tuple[int, ...]
    is_auxiliary: bool
    takes_factors: bool


@dataclass(frozen=True)
class _Drop:
    """An operation that drops something at random, and the shape of its factors.

    The factors are those of one example, except for "entries": they are those of all examples.
    """

    op: Operation
    size: tuple[int, ...]


class Network(nn.Module):
    """Runs a plan: a batch of inputs to logits (B, outputs). Weights are undefined until `initialize`.

    Weights are named after their layers, as in `cell1.state3_a_sep_3x3_conv1.weight`: see `Layer.attribute`.
    Each output is dropped as soon as its last reader has run, and an operation that can write over its input does so
    where no other layer reads it. The auxiliary head, where the plan has one, runs in `with_auxiliary` only.

    Args:
        plan: The layers.
        make: What makes modules and functions for operations.
    """

    def __init__(self, plan: Plan, make: Callable[..., Computing] = computing) -> None:
        super().__init__()
        readers = Counter(source for layer in plan for source in layer.inputs)
        last_read = {source: position for position, layer in enumerate(plan) for source in layer.inputs}
        self._steps: list[_Step] = []
        for position, layer in enumerate(plan[1:], start=1):
            run = _computing(plan, layer, [readers[source] for source in layer.inputs] == [1], make)
            if isinstance(run, nn.Module):
                self._add(layer, run)
            done = tuple(source for source in set(layer.inputs) if last_read[source] == position)
            self._steps.append(_Step(run, layer.inputs, done, is_auxiliary(layer), layer.op.drops == "within"))
        dropping = [(position, layer) for position, layer in enumerate(plan) if layer.op.drops]
        found = {position: _Drop(layer.op, _factors_of(layer)) for position, layer in dropping}
        self._of_samples = {position: drop for position, drop in found.items() if drop.op.drops == "samples"}
        self._of_parts = {position: drop for position, drop in found.items() if drop.op.drops != "samples"}
        self._auxiliary_outputs = tuple(
            position for position, layer in enumerate(plan) if is_auxiliary(layer) and not readers[position]
        )
        self._factors: Sequence[Tensor | None] = ()
        self._watched: Mapping[int, str] = {}
        self.keeps_activations = False
        self.activations: dict[str, Tensor] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, shape (B, outputs)."""
        return self._run(inputs, is_auxiliary_wanted=False)[0]

    def with_auxiliary(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, and those of each auxiliary head, all of shape (B, outputs); () without such a head."""
        logits, *others = self._run(inputs, is_auxiliary_wanted=True)
        return logits, tuple(others)

    def draws(
        self, regularization: Regularization, progress: float, generator: torch.Generator, rows: slice, batch: int
    ) -> tuple[Tensor | None, ...]:
        """Draw what some examples of a batch lose in a step; `regularize` takes it.

        Args:
            regularization: What is dropped, and how much of it.
            progress: Share of the training that is done, in [0, 1].
            generator: Source of all randomness; one on the CPU gives every device the same numbers.
            rows: The examples' places in the whole batch. Parts and processes that draw for a common batch drop what
                the whole batch would.
            batch: Number of examples in the whole batch.

        Returns:
            Factors, 0 where dropped, else 1 / keep, on the generator's device: of all layers that drop examples in one,
            shape (layers, rows); then of each that drops parts of them, shape (rows, ...), or of weights, shape
            (entries, 1). None: all is kept.

        Raises:
            ValueError: The rows are no part of the batch.
        """
        if rows.stop > batch:
            raise ValueError(f"examples {rows.start} to {rows.stop} are no part of a batch of {batch}")
        samples, parts = None, []
        keeps = [drop.op.keep(regularization, progress) for drop in self._of_samples.values()]
        if min(keeps, default=1.0) < 1:
            drawn = torch.rand(len(keeps), batch, generator=generator, device=generator.device)
            keep = torch.tensor(keeps, device=generator.device)[:, None]
            samples = (drawn < keep)[:, rows] / keep
        for drop in self._of_parts.values():
            chance = drop.op.keep(regularization, progress)
            factor = None
            if chance < 1:
                is_common = drop.op.drops == "entries"
                of_whole = drop.size if is_common else (batch, *drop.size)
                drawn = torch.rand(*of_whole, generator=generator, device=generator.device) >= 1 - chance
                factor = (drawn if is_common else drawn[rows]) / chance
            parts.append(factor)
        return samples, *parts

    def regularize(self, factors: Sequence[Tensor | None]) -> None:
        """Multiply by what `draws` gave, on the network's device, in the next pass if it is in training mode."""
        self._factors = factors

    def _run(self, inputs: Tensor, is_auxiliary_wanted: bool) -> list[Tensor]:
        """The logits, followed by those of auxiliary heads if wanted."""
        given, self._factors = self._factors, ()
        factors = self._by_layer(*given) if given and self.training else {}
        values: dict[int, Tensor] = {0: inputs}
        others: list[Tensor] = []
        for position, step in enumerate(self._steps, start=1):
            if is_auxiliary_wanted or not step.is_auxiliary:
                read = [values[source] for source in step.inputs]
                if step.takes_factors:
                    value = step.run(*read, factors.get(position))
                else:
                    value = step.run(*read)
                    if position in factors:
                        value = value * factors[position].to(value.dtype)
                values[position] = value
                if self.keeps_activations and position in self._watched:
                    self.activations[self._watched[position]] = value
                if is_auxiliary_wanted and position in self._auxiliary_outputs:
                    others.append(value)
            for source in step.done:
                values.pop(source, None)  # an auxiliary head that did not run left none
        return [values[len(self._steps)], *others]

    def _by_layer(self, samples: Tensor | None, *parts: Tensor | None) -> dict[int, Tensor]:
        """The factors of each layer's output, only for layers that drop something."""
        factors: dict[int, Tensor] = {}
        if samples is not None:
            for (position, drop), factor in zip(self._of_samples.items(), samples, strict=True):
                factors[position] = factor.view(-1, *(1 for _ in drop.size))
        found = zip(self._of_parts, parts, strict=True)
        return factors | {position: factor for position, factor in found if factor is not None}

    def _add(self, layer: Layer, module: nn.Module) -> None:
        """Take in the module of a layer. Raises ValueError where another has its name."""
        scope, attribute = module_of(layer.name)
        if scope and scope not in self._modules:
            self.add_module(scope, nn.Module())
        container = self._modules[scope] if scope else self
        if attribute in container._modules or (scope and type(container) is not nn.Module):
            raise ValueError(f"the weights of {layer.name} would have the name of another layer's")
        container.add_module(attribute, module)


class CarryingNetwork(Network):
    """A network with recurrent layers, which carries their states from batch to batch (`CarriesState`).

    Attributes:
        keeps_activations: Whether a pass leaves its activations.
        activations: What a recurrent layer gave in the last pass, by the layer's name, shape (B, T, features), and by
            "NAME dropped" the same after the dropout that follows it; with gradients, for penalties on them.
    """

    def __init__(self, plan: Plan, make: Callable[..., Computing] = computing) -> None:
        super().__init__(plan, make)
        carrying = {position: layer.name for position, layer in enumerate(plan) if layer.op.carries}
        self._carrying: dict[str, Any] = {name: self._steps[position - 1].run for position, name in carrying.items()}
        dropped = {
            position: f"{carrying[layer.inputs[0]]} dropped"
            for position, layer in enumerate(plan)
            if layer.op.drops == "features" and layer.inputs[0] in carrying
        }
        self._watched = carrying | dropped

    def carried(self) -> dict[str, Tensor]:
        """The states after the last batch, by layer, each (B, features), without gradients; empty after a reset."""
        return {name: layer.state for name, layer in self._carrying.items() if layer.state is not None}

    def carry(self, state: Mapping[str, Tensor] | None) -> None:
        """Continue from these states, as `carried` gave them; None: reset."""
        for name, layer in self._carrying.items():
            layer.state = None if state is None else state[name]


def made(plan: Plan, make: Callable[..., Computing] = computing) -> Network:
    """The plan's network, whose weights are undefined until `initialize`, or whatever its modules draw themselves."""
    return CarryingNetwork(plan, make) if any(layer.op.carries for layer in plan) else Network(plan, make)


def build(plan: Plan, rng: np.random.Generator) -> Network:
    """The plan's network, initialized from `rng`: also what modules draw themselves when they are made."""
    generator = torch_rng.from_numpy(rng)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed accelerators too; another seed, so that no module draws what `initialize` does
        torch.default_generator.manual_seed(generator.initial_seed() + 1)
        network = made(plan)
    initialize(network, generator)
    return network


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all convolution and linear weights: normal, variance 2 / fan-in (He et al. 2015) and 1 / fan-in; biases 0.

    The code that AmoebaNets were published with draws by fan-out instead: a departure, so that networks of all spaces
    begin alike.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = 2.0 if isinstance(layer, nn.Conv2d) else 1.0
            layer.weight.normal_(0.0, math.sqrt(gain / layer.weight[0].numel()), generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


def _factors_of(layer: Layer) -> tuple[int, ...]:
    """The shape of what a layer's output, or what it reads, is multiplied with where it drops parts."""
    found = dimensions(layer.shape)
    if layer.op.drops == "features":  # of a sequence
        return (1, found[-1])
    if layer.op.drops == "entries":
        return (found[0], 1)
    return found[-1:] if layer.op.drops == "within" else found


def _computing(plan: Plan, layer: Layer, is_only_reader: bool, make: Callable[..., Computing]) -> Computing:
    """What computes the layer from its inputs: a module where it has weights, a function where not."""
    if layer.op.is_passage:
        return lambda x: x
    overwriting = layer.op.overwriting()
    if overwriting is not None and is_only_reader and plan[layer.inputs[0]].op.is_overwritable:
        return overwriting
    return make(layer.op, *[plan[source].shape for source in layer.inputs])
