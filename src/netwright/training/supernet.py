"""One set of weights for all networks of a space (Luo et al. 2018; Pham et al. 2018; Liu et al. 2019).

Any network of a space that `Shares` is a path through them: its layers run as they would alone, on tensors that others
use too. Only the path is computed, and what it keeps for the backward pass is what that network alone would keep.

A path normalizes by the statistics of each batch, in evaluation mode too, as published: statistics that are averaged
over batches belong to one network, and have to be gathered anew for each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor, nn

from netwright.core import files, sealed
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.protocols import SearchSpace, unwrap
from netwright.core.records import IO, Genotype
from netwright.core.shapes import Shape
from netwright.plans import network, sharing
from netwright.plans.network import Network
from netwright.plans.operation import Operation
from netwright.plans.plan import Plan
from netwright.plans.sharing import CutOut, Joined, Share, Shares
from netwright.training.few_shot import FewShot

_REMEDY: Final = "give the run that wrote it, or remove the file to train its weights anew"


def shared_by(space: SearchSpace) -> Shares:
    """The space, or the one within its wrapper, whose networks share weights. Raises BadReference: they share none."""
    found: Shares | None = unwrap(space, Shares)
    if found is None:
        raise BadReference(
            f"the networks of the space {type(space).__name__} share no weights, so that there is no supernet; take a "
            "space such as nats, nao or nasnet, or an evaluator that trains each network by itself"
        )
    return found


def shapes(space: Shares, io: IO) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors that the networks of a space share, in order of names.

    Raises:
        BadReference: Two networks of the space disagree on the shape of a tensor.
    """
    return {name: origin.shape for name, origin in _origins(space, io).items()}


class SharedWeights:
    """The shared weights of a space, and the networks on them.

    Args:
        space: The space.
        io: What goes into its networks, and what comes out.
        seed: Source of all randomness, from 0 on. Each tensor has a stream of its own, addressed by its name.
        device: Where the tensors lie.
        layout: Memory format of those that convolve images (`training.layout`).
        few_shot: Which of several sets of weights a network uses; None: there is one. They begin alike.

    Attributes:
        tensors: The weights, by name, in order of names; further sets follow as `supernet2.NAME` and so on. Those that
            a backward pass did not use have no gradient.
        is_joint: Whether all networks still use the first set, as before `split`.

    Raises:
        BadReference: The space shares nothing, or its networks disagree on the shape of a tensor.
    """

    def __init__(
        self,
        space: SearchSpace,
        io: IO,
        seed: int,
        device: torch.device | str = "cpu",
        layout: torch.memory_format = torch.contiguous_format,
        few_shot: FewShot | None = None,
    ) -> None:
        self._space, self._io, self._device = shared_by(space), io, torch.device(device)
        self._few_shot, self.is_joint = few_shot, few_shot is not None
        self.tensors: dict[str, nn.Parameter] = {}
        for name, origin in _origins(self._space, io).items():
            tensor = _drawn(origin, seed, name).to(self._device)
            self.tensors[name] = nn.Parameter(tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor)
        self._sets = [dict(self.tensors)]
        for number in range(2, few_shot.count + 1 if few_shot else 2):
            self._sets.append({name: nn.Parameter(tensor.detach().clone()) for name, tensor in self._sets[0].items()})
            self.tensors |= {f"supernet{number}.{name}": tensor for name, tensor in self._sets[-1].items()}

    @property
    def params(self) -> int:
        """Number of all weights."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def split(self) -> Iterator[tuple[nn.Parameter, nn.Parameter]]:
        """From now on each network uses its own set of weights, which begins as a copy of the first.

        Returns:
            Pairs of a tensor of the first set and its copy in another, for what else is to be copied.
        """
        self.is_joint = False
        with torch.no_grad():
            for others in self._sets[1:]:
                for name, tensor in others.items():
                    tensor.copy_(self._sets[0][name])
        return ((self._sets[0][name], tensor) for others in self._sets[1:] for name, tensor in others.items())

    def names(self, genotype: Genotype) -> frozenset[str]:
        """The tensors that a network uses, by the names that they have in one set."""
        shares = self._space.shares(genotype, self._space.shared_plan(genotype, self._io))
        return frozenset(part.name for share in shares.values() for part in share.parts)

    def child(self, genotype: Genotype, *, averages: bool = False, alone: bool = False) -> Network:
        """A network on the shared weights, for a few passes: making it costs less than a pass of the smallest ones.

        Its parameters are shared tensors where a weight is a whole one; other weights are cut out in each pass, so that
        gradients arrive in the shared tensors, which an optimizer is to be given: `tensors`, not its parameters.

        Args:
            genotype: The network.
            averages: Whether batch normalization averages statistics over the batches of training mode, from nothing
                on and all alike, and normalizes by the averages in evaluation mode. If not, it normalizes by each
                batch in both.
            alone: Whether it has copies of its weights as parameters of its own, to be trained without the others.
        """
        plan = self._space.shared_plan(genotype, self._io)
        shares, tensors = self._space.shares(genotype, plan), self._of(genotype)
        found = network.made(plan, _twin_with_averages if averages else _twin)
        for path, module in found.named_modules():
            for name in [name for name, value in module._parameters.items() if value is not None]:
                share = shares[f"{path}.{name}"]
                if alone:
                    with torch.no_grad():
                        module._parameters[name] = nn.Parameter(_cut(share, tensors).clone())
                elif isinstance(share, CutOut) and not share.index:
                    module._parameters[name] = tensors[share.name]
                else:
                    _cut_in_each_pass(module, name, _cutting(share, tensors))
        return found if self._device.type == "cpu" else found.to(self._device)

    def copied(self, genotype: Genotype) -> dict[str, Tensor]:
        """The state of a network by itself, of the plan that `Shares.shared_plan` gives, with copies of its weights."""
        plan = self._space.shared_plan(genotype, self._io)
        shares, tensors = self._space.shares(genotype, plan), self._of(genotype)
        with torch.random.fork_rng(devices=[]):
            alone = network.made(plan)
        state = alone.to(self._device).state_dict()
        with torch.no_grad():
            return {name: _cut(shares[name], tensors).clone() if name in shares else state[name] for name in state}

    def _of(self, genotype: Genotype) -> dict[str, nn.Parameter]:
        """The set of weights that a network uses."""
        return self._sets[0 if self._few_shot is None or self.is_joint else self._few_shot.number(genotype)]

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write all tensors, whole and sealed; a reader finds either these or what was there before.

        Args:
            path: The file.
            about: What the weights belong to, such as space and round, as JSON; to read them takes the same.
        """
        metadata = {"about": _text(about), **sealed.UNSEALED}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        files.write(path, sealed.seal(safetensors.torch.save(tensors, metadata)))

    def load(self, path: Path, about: Mapping[str, Any]) -> None:
        """Take the tensors of a file, in place.

        Raises:
            NetwrightError: The file is not there or damaged, or is about something else. Nothing is changed then.
        """
        tensors = _read(path, about)
        for name in (*self.tensors, *tensors):
            here, there = (_shape(found.get(name)) for found in (self.tensors, tensors))
            if here != there:
                raise NetwrightError(
                    f"{path} has the shared weights of another space: {name} is {there} there and {here} here; "
                    f"{_REMEDY}"
                )
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(tensors[name])


@dataclass(frozen=True)
class _Origin:
    """The first weight of a cover that uses a shared tensor: the layer that draws it, and the tensor's full shape."""

    op: Operation
    entering: tuple[Shape, ...]
    weight: str
    shape: tuple[int, ...]


def _origins(space: Shares, io: IO) -> dict[str, _Origin]:
    """Where all shared tensors come from, in order of names. Raises BadReference where their shapes disagree."""
    found: dict[str, _Origin] = {}
    for genotype in space.cover():
        plan = space.shared_plan(genotype, io)
        for name, origin in _used(plan, space.shares(genotype, plan)):
            known = found.setdefault(name, origin)
            if known.shape != origin.shape:
                raise BadReference(
                    f"networks of the space {type(space).__name__} disagree on the shared weights {name}: one has "
                    f"{known.shape}, another {origin.shape}; give them two names in `shares`"
                )
    return dict(sorted(found.items()))


def _used(plan: Plan, shares: Mapping[str, Share]) -> Iterator[tuple[str, _Origin]]:
    """The shared tensors of one network, by name, with where they come from."""
    for layer in plan:
        if layer.op.has_weights:
            entering = tuple(plan[source].shape for source in layer.inputs)
            for weight in sharing.weights(plan, layer):
                for part in shares[sharing.parameter(layer.name, weight)].parts:
                    yield part.name, _Origin(layer.op, entering, weight, part.shape)


def _drawn(origin: _Origin, seed: int, name: str) -> Tensor:
    """A shared tensor as the layer that first uses it draws its weights, over and over until there are enough."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    wanted = prod(origin.shape)
    found: list[Tensor] = []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator.initial_seed() + 1)
        while wanted > sum(each.numel() for each in found):
            module: Any = origin.op.module(*origin.entering)
            network.initialize(module, generator)
            found.append(module.get_parameter(origin.weight).detach().flatten())
    return torch.cat(found)[:wanted].reshape(origin.shape)


def _twin(op: Operation, *entering: Shape) -> network.Computing:
    """What computes an operation, without weights and averages: a module of its own, far sooner than a new one."""
    found = _without_weights(op, *entering)
    return _copied(found, averages=False) if isinstance(found, nn.Module) else found


def _twin_with_averages(op: Operation, *entering: Shape) -> network.Computing:
    found = _without_weights(op, *entering)
    return _copied(found, averages=True) if isinstance(found, nn.Module) else found


@lru_cache(maxsize=2**12, typed=True)
def _without_weights(op: Operation, *entering: Shape) -> network.Computing:
    with torch.random.fork_rng(devices=[]):  # what the module draws is nobody's
        found = op.module(*entering)
    for module in found.modules() if isinstance(found, nn.Module) else ():
        for name, value in module._parameters.items():
            module._parameters[name] = None if value is None else nn.Parameter(value.new_empty(0))
    return found


def _copied(module: nn.Module, *, averages: bool) -> nn.Module:
    """A module with entries of its own for weights, buffers, hooks and the modules within."""
    found = module.__class__.__new__(module.__class__)
    for name, value in vars(module).items():
        vars(found)[name] = value.copy() if isinstance(value, dict) else value
    is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
    is_averaging = averages or not is_norm
    if averages and is_norm:
        vars(found)["momentum"] = None  # torch's plain mean; else much of the first 0 and 1 stays after a few batches
    for name, value in module._buffers.items():
        found._buffers[name] = value.clone() if value is not None and is_averaging else None
    for name, each in module._modules.items():
        found._modules[name] = None if each is None else _copied(each, averages=averages)
    return found


def _cut_in_each_pass(module: nn.Module, name: str, cutting: Callable[[], Tensor]) -> None:
    """Make a module take a weight anew whenever it runs, and drop it afterwards."""
    del module._parameters[name]
    module.register_forward_pre_hook(lambda module, _: setattr(module, name, cutting()))
    module.register_forward_hook(lambda module, _, __: delattr(module, name))


def _cutting(share: Share, tensors: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    """What cuts a weight out of the shared tensors, or joins it."""
    return lambda: _cut(share, tensors)


def _cut(share: Share, tensors: Mapping[str, Tensor]) -> Tensor:
    """A weight, of which gradients flow into the shared tensors."""
    if isinstance(share, Joined):
        return torch.cat([_cut(part, tensors) for part in share.parts], share.dimension)
    found = tensors[share.name]
    for dimension, positions in enumerate(share.index):
        if isinstance(positions, range) and positions.step == 1:
            found = found.narrow(dimension, positions.start, len(positions))
        else:
            found = found.index_select(dimension, torch.tensor(positions, device=found.device))
    return found


def _read(path: Path, about: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file. Raises NetwrightError unless it is whole and about this."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NetwrightError(f"the shared weights {path} cannot be read: {error.strerror}; {_REMEDY}") from None
    if not sealed.is_whole(data):
        raise NetwrightError(f"the shared weights {path} are damaged; {_REMEDY}")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    found = header["__metadata__"].get("about", "nothing")
    if found != _text(about):
        raise NetwrightError(f"{path} has shared weights of {found}, not of {_text(about)}; {_REMEDY}")
    return safetensors.torch.load(data)


def _text(about: Mapping[str, Any]) -> str:
    return json.dumps(about, sort_keys=True)


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"
