"""What every evaluator must do. Call `check_evaluator` from a test of your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.core.protocols import Evaluator, Foretells, ListsMetrics, StatesMeasures
from netwright.core.records import Genotype, Proposal, Trial
from netwright.stores.memory import MemoryStore
from netwright.worker import WorkerContext

SEEDS = (3, 4)


def check_evaluator(evaluator: Evaluator, genotypes: Sequence[Genotype]) -> None:
    """Assert the contract of an evaluator.

    The same trial has the same measures again; what it states to measure is among its metrics; one that lists its
    metrics has no others; one that foretells says exactly what it then measures, whatever the trial's seed, so that a
    strategy may search by it before anything is evaluated.

    Args:
        evaluator: The evaluator.
        genotypes: A few networks that it can measure; each is evaluated three times.
    """
    stated = [each.name for each in evaluator.measures] if isinstance(evaluator, StatesMeasures) else []
    listed = {each.name for each in evaluator.metrics} if isinstance(evaluator, ListsMetrics) else set()
    for genotype in genotypes:
        found = [_metrics(evaluator, genotype, seed) for seed in SEEDS]
        again = _metrics(evaluator, genotype, SEEDS[0])
        for name in stated:
            assert name in found[0], f"{name} is among the measures but not measured"
            assert found[0][name] == again[name], f"{name} of one trial is {found[0][name]}, then {again[name]}"
        for name in found[0] if listed else ():
            assert name in listed, f"{name} is measured but not listed"
        known = evaluator.foretell(genotype) if isinstance(evaluator, Foretells) else {}
        for name, value in known.items():
            for metrics in found:
                assert metrics[name] == value, f"{name} of {genotype} was foretold as {value}, it is {metrics[name]}"


def _metrics(evaluator: Evaluator, genotype: Genotype, seed: int) -> Mapping[str, float]:
    trial = Trial(1, Proposal(genotype), "key", seed, "running")
    result = evaluator.evaluate(trial, WorkerContext(MemoryStore(), None, trial.id))
    assert not result.failure, result.message
    return result.metrics
