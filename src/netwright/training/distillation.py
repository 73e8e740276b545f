"""Distillation: one network learns from the labels and from the averaged outputs of several (Hinton et al. 2015).

Teachers see the very inputs that the network sees, augmentation included (Beyer et al. 2022), at the size that they
were trained on. They lie in a folder of weights with a list that says which networks these are.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from netwright.core import files, reading, sealed, seeds
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.protocols import SearchSpace, of_seed
from netwright.core.reading import BadText
from netwright.core.records import IO, Genotype
from netwright.core.shapes import Classes
from netwright.training import resizing

LIST: Final = "teachers.json"


@dataclass(frozen=True)
class Trained:
    """A network that was trained.

    Args:
        genotype: The network.
        seed: Seed of its training, which draws the network where the genotype is a generator.
        weights: File of its weights, as `checkpoint.write_weights` leaves it.
        size: Share of their sides that images had which it was trained on to its end.
    """

    genotype: Genotype
    seed: int
    weights: Path
    size: float = 1.0


class Averaged(nn.Module):
    """Several networks as one: gives the logarithm of their mean probabilities, shape (B, classes)."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks).eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits that stand for the mean of all networks' probabilities."""
        outputs = torch.stack([network(inputs).float().log_softmax(-1) for network in self.networks])
        return outputs.logsumexp(0) - torch.log(torch.tensor(float(len(self.networks))))


@dataclass(frozen=True)
class Teacher:
    """What a training learns from besides the labels.

    Args:
        network: Gives logits, and is not trained.
        share: Share of the loss, in (0, 1], that is the cross entropy with its probabilities.
    """

    network: nn.Module
    share: float

    def mixed(self, loss: Tensor, logits: Tensor, inputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch from labels and teachers.

        Args:
            loss: The loss from the labels, shape ().
            logits: Outputs of the network that is trained, shape (B, classes).
            inputs: What it was given, shape (B, ...).
            weights: Weight of each example, shape (B,); None: all are 1.
        """
        with torch.no_grad():
            wanted = self.network(inputs).softmax(-1)
        losses = -(wanted * logits.float().log_softmax(-1)).sum(-1)
        soft = (losses if weights is None else losses * weights).mean()
        return (1 - self.share) * loss + self.share * soft


def write(folder: Path, teachers: Sequence[Trained]) -> None:
    """Gather the weights of teachers in a folder, with their list, which is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for number, each in enumerate(teachers, 1):
        link(each.weights, folder / f"{number}.safetensors")
        listed.append({"genotype": list(each.genotype), "seed": each.seed, "size": each.size})
    files.write(folder / LIST, files.with_checksum(json.dumps(listed) + "\n").encode())


def read(folder: Path, space: SearchSpace, io: IO, layout: torch.memory_format = torch.contiguous_format) -> Averaged:
    """The teachers in a folder, as one network on the CPU. Raises NetwrightError where they cannot be read."""
    try:
        text = files.without_checksum(reading.file(folder / LIST))
        listed: list[Mapping[str, Any]] = reading.json_value(text)
        networks = [_network(folder / f"{n}.safetensors", each, space, io) for n, each in enumerate(listed, 1)]
        if not networks:
            raise ValueError("its list is empty")
    except BadText as error:
        raise NetwrightError(f"the list of teachers {folder / LIST} {error}; train them again") from None
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise NetwrightError(
            f"the teachers in {folder} cannot be read: {reading.line(str(error))}; train them again"
        ) from None
    return Averaged(networks).to(memory_format=layout)


def check(teachers: str, share: float, processes: int, io: IO) -> None:
    """Refuse settings of a distillation that do not go together. Raises BadReference."""
    if not 0 <= share < 1 or bool(share) != bool(teachers):
        raise BadReference(
            f"evaluator.distill is {share} and evaluator.teachers {teachers!r}; give a folder of teachers and a share "
            "above 0 and below 1, or neither"
        )
    if teachers and processes > 1:
        raise BadReference("evaluator.teachers goes with one process for a training; set evaluator.processes to 1")
    if teachers and not isinstance(io.output, Classes):
        raise BadReference("evaluator.teachers are for tasks of classes; leave it out")


def link(source: Path, target: Path) -> None:
    """Let a second name stand for a file, or a copy of it where the disk has no second names."""
    draft = files.draft_of(target)
    draft.unlink(missing_ok=True)
    try:
        os.link(source, draft)
    except OSError:
        shutil.copyfile(source, draft)
    os.replace(draft, target)
    draft.unlink(missing_ok=True)  # left where both were names of one file already


def _network(path: Path, listed: Mapping[str, Any], space: SearchSpace, io: IO) -> nn.Module:
    data = path.read_bytes()
    if not sealed.is_whole(data):
        raise ValueError(f"{path.name} is damaged")
    genotype, seed = tuple(listed["genotype"]), int(listed["seed"])
    network = of_seed(space, seed).build(genotype, io, seeds.rng_for(seed, seeds.BUILD))
    network.load_state_dict(safetensors.torch.load(data))
    small = resizing.of(resizing.fitting(of_seed(space, seed), genotype, io, float(listed.get("size", 1))))
    return small.seeing(network, 0) if small else network
