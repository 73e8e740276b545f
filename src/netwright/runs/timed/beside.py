"""What sharing a card costs trainings: the reference network in several processes at once, a few seconds each time.

Usage: `python -m netwright.runs.timed.beside FACTS DESCRIPTOR`, where FACTS are `SharedTraining` as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Final

from netwright.core import run_file
from netwright.core.timetable import Precision
from netwright.data.images import ImageClassification
from netwright.executors import card_service, side_by_side
from netwright.executors.side_by_side import Cast, Gate
from netwright.plans import counting
from netwright.runs.timed import probe
from netwright.training import cards, device, pace

WIDER: Final = 8  # times the memory of the reference network, which networks of the search may take


@dataclass(frozen=True)
class SharedTraining:
    """What a process is told.

    Args:
        io: What goes in and comes out, as a run's table has it.
        batch: Images per step.
        precision: Number format of the forward pass.
        threads: Threads of a training.
        device: Device, as the evaluator has it.
    """

    io: str
    batch: int
    precision: Precision
    threads: int = 1
    device: str = "auto"


def rates(task: ImageClassification, side: int, facts: SharedTraining, most: int) -> Mapping[int, float]:
    """Steps a second by the number of trainings on one card, at most `most`; empty: none could be started.

    Args:
        task: The task, of which the kind of images is taken.
        side: Their size, in pixels.
        facts: What the processes are told.
        most: Most trainings on a card.
    """
    plan = probe.reference(probe.sized(task, side))
    estimate = cards.CONTEXT_MB + WIDER * counting.training_bytes(plan, facts.batch, 3) / 1e6
    mark = f"netwright beside {os.getpid()}|"
    service = card_service.start(mark)
    try:
        environment = service.environment if service else {}
        command = side_by_side.module("netwright.runs.timed.beside", json.dumps(asdict(facts)))
        with Cast(lambda _index: command, environment, mark) as cast:
            return side_by_side.measured(cast, estimate, most)
    finally:
        if service:
            service.stop()


def train(facts: SharedTraining, down: int, up: int) -> None:
    """Take steps until told to leave."""
    io = run_file.read_io(facts.io)
    settings = probe.settings_of(facts.batch, facts.precision)
    gate = Gate(down, up, cards.memory)
    place = device.pick(facts.device, 0)
    with (
        device.working(place, facts.threads, settings.deterministic),
        closing(pace.trained(probe.reference(io), pace.Noise(io), settings, place)) as moments,
    ):
        for at in moments:
            if not at.ends_pass and gate.step():
                return


def main() -> None:
    """Entry point of the process."""
    train(SharedTraining(**json.loads(sys.argv[1])), sys.stdin.fileno(), int(sys.argv[2]))


if __name__ == "__main__":
    main()
