"""The score of a network with weights that it shares: a few validation batches, by statistics that are right for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.protocols import StreamsBatches, Task
from netwright.core.shapes import plural, positions
from netwright.training import loop
from netwright.training.descent import to_device
from netwright.training.feeding import Batch, fed
from netwright.training.shared_programs import SharedProgram


def check(program: SharedProgram, task: Task) -> None:
    """Refuse validation data that does not have the batches of a score.

    Raises:
        BadReference: It has fewer examples.
    """
    if isinstance(task, StreamsBatches):
        full = sum(steps == positions(task.io.input) for steps in task.lengths("valid", 1, None))
        if full < program.batches:
            raise BadReference(
                f"the validation text has {full} whole batches of {positions(task.io.input)} steps, too few for a "
                f"score by {program.batches}; give fewer task.valid_rows, or a smaller evaluator.batches"
            )
        return
    wanted, there = program.batches * program.valid_batch, task.examples("valid")
    if there < wanted:
        batches = (
            f"{program.batches} batches of {program.valid_batch}" if program.batches > 1 else f"a batch of {wanted}"
        )
        raise BadReference(
            f"there are {there} {plural(task.io.input)} to validate on, too few for a score by {batches}; give a "
            "smaller evaluator.valid_batch"
        )


class ScoringBatches:
    """The validation batches that networks are scored on, kept on the device where that is done.

    Examples are shuffled once, the same for all networks, as they may lie in order of their classes. Of a text, rows
    are those that the task says, and only batches of whole length count.

    Args:
        task: The task.
        program: Says how many batches there are, of which size, and which they are.
        place: Where networks are measured.
    """

    def __init__(self, task: Task, program: SharedProgram, place: torch.device) -> None:
        self._program, size = program, program.valid_batch
        wanted = program.batches if program.scored_on == "same" else None
        self._inputs = self._targets = None
        self._batches: list[Batch] = []
        if isinstance(task, StreamsBatches):
            steps = positions(task.io.input)
            with fed(task, "valid", size, None, place) as coming:
                whole = (batch for batch in coming if batch[0].shape[1] == steps)
                self._batches = [(x.to(place), y.to(place), count) for x, y, count in islice(whole, wanted)]
            return
        inputs, targets = _shuffled(task, size, wanted or task.examples("valid") // size, place)
        if program.scored_on == "drawn":  # any of these
            self._inputs, self._targets = inputs, targets
        else:
            self._batches = [(x, y, size) for x, y in zip(inputs.split(size), targets.split(size), strict=True)]

    def of(self, number: int, seed: int) -> Iterator[Batch]:
        """The batches of a network.

        Args:
            number: Its place among those that are scored, from 0, by which the next batches are found.
            seed: Seed by which others are drawn.
        """
        count, size = self._program.batches, self._program.valid_batch
        rng = seeds.rng_for(seed, seeds.SPLIT)
        if self._inputs is not None and self._targets is not None:
            rows = torch.from_numpy(rng.choice(len(self._inputs), count * size, replace=False)).to(self._inputs.device)
            for part in rows.split(size):
                yield self._inputs[part], self._targets[part], size
            return
        places: np.ndarray = np.arange(count)
        if self._program.scored_on == "next":
            places = (number * count + places) % len(self._batches)
        elif self._program.scored_on == "drawn":
            places = rng.choice(len(self._batches), count, replace=False)
        yield from (self._batches[place] for place in places)


def _shuffled(task: Task, size: int, batches: int, place: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of as many whole batches of validation examples, drawn from all, the same each time."""
    count = task.examples("valid")
    order = torch.from_numpy(seeds.rng_for(0, seeds.SPLIT).permutation(count)[: batches * size])
    places = torch.full((count,), -1)
    places[order] = torch.arange(len(order))
    found, begun = [], 0
    with fed(task, "valid", size, None, place) as coming:
        for inputs, targets, held in coming:
            own = places[begun : begun + held]
            rows = (own >= 0).nonzero().flatten()
            picked = (each.index_select(0, rows.to(each.device)).to(place) for each in (inputs, targets))
            found.append((*picked, own[rows]))
            begun += held
    inputs, targets, ranks = (torch.cat(parts) for parts in zip(*found, strict=True))
    where = ranks.argsort().to(place)
    return inputs[where], targets[where]


class Scoring:
    """Scores networks of one round.

    Args:
        task: The task.
        program: Says by what they are scored.
        place: The device.
        rng: Source of the training batches that recalibrate statistics.
        batch: Examples in each of these.
    """

    def __init__(self, task: Task, program: SharedProgram, place: torch.device, rng: np.random.Generator) -> None:
        check(program, task)
        self._task, self._program = task, program
        self._batches = ScoringBatches(task, program, place)
        self._training: list[torch.Tensor] = []
        if program.statistics == "recalibrated" and not isinstance(task, StreamsBatches):
            with fed(task, "train", program.steps.batch, rng, place) as coming:
                self._training = [inputs.to(place) for inputs, *_ in islice(coming, program.recalibration)]

    @property
    def recalibrates(self) -> bool:
        """Whether networks are to average the statistics of what they are shown in training mode."""
        return bool(self._training)

    def of(
        self, network: nn.Module, number: int, seed: int, memory_format: torch.memory_format = torch.contiguous_format
    ) -> dict[str, float]:
        """The task's metrics of a network.

        Args:
            network: The network, on the device; its normalizations have averages, from nothing on, where they are to be
                recalibrated, and else compute with those of each batch (`SharedWeights.child`).
            number: Its place in the round, from 0.
            seed: Seed by which validation batches are drawn.
            memory_format: Memory format of images.
        """
        network.train()
        with torch.inference_mode():
            for inputs in self._training:  # Guo et al. 2020, section 3.4
                network(to_device(inputs, inputs.device, memory_format))
        network.eval()
        return loop.measured(network, self._task, self._batches.of(number, seed), memory_format)
