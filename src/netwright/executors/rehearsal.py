"""A process that rehearses trials of a run: it evaluates networks as a worker does, one step at a time as it is told.

Usage: `python -m netwright.executors.rehearsal FACTS DESCRIPTOR`, where FACTS are a `Rehearsal` as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from netwright import worker
from netwright.core import building, refs, run_file, trial_folders
from netwright.core.errors import PutBack
from netwright.core.protocols import UsesCards
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.refs import Reference
from netwright.executors.side_by_side import Gate


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsing process is told.

    Args:
        run: File with the run file.
        genotypes: Networks that are trained in turn.
        budget: Budget of each training; None: the evaluator's own.
        first: Number of the network to begin with, from 0.
        threads: Threads of a trial.
    """

    run: str
    genotypes: tuple[Genotype, ...]
    budget: int | None = None
    first: int = 0
    threads: int = 1

    def to_json(self) -> str:
        """The facts as text for a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Rehearsal:
        """Inverse of `to_json`."""
        found = Rehearsal(**json.loads(text))
        return replace(found, genotypes=tuple(map(tuple, found.genotypes)))


def rehearse(told: Rehearsal, down: int, up: int) -> None:
    """Evaluate networks until told to leave, or until one fails; the folders of trials are removed."""
    text = Path(told.run).read_text(encoding="utf-8")
    evaluator = building.build_evaluator(run_file.from_toml(text))
    store = refs.load("store", Reference("memory"))
    store.remember("run", text)
    gate = Gate(down, up, evaluator.card_memory if isinstance(evaluator, UsesCards) else lambda: None)

    def on_report(step: int, metrics: Mapping[str, float]) -> bool:  # noqa: ARG001
        return True

    number = told.first
    with tempfile.TemporaryDirectory(prefix="netwright-rehearsal-") as folder:
        while not gate.is_over:
            genotype = told.genotypes[number % len(told.genotypes)]
            number += 1
            trial = Trial(number, Proposal(genotype, budget=told.budget), str(number), number, "running")
            lent = worker.WorkerContext(
                store, Path(folder, "trials"), trial.id, told.threads, on_report=on_report, on_look=gate.step
            )
            try:
                result = worker.evaluate(evaluator, trial, lent)
            except PutBack:
                return
            if result.failure:
                sys.exit(result.message)
            trial_folders.remove(Path(folder, "trials"), trial.id)


def main() -> None:
    """Entry point of the process."""
    rehearse(Rehearsal.from_json(sys.argv[1]), sys.stdin.fileno(), int(sys.argv[2]))


if __name__ == "__main__":
    main()
