"""Final trainings: the best network of a search and two references, trained in full and tested, the same way each.

They are a search of their own, over a fixed list, in a folder of their own, so that they too survive any crash.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netwright.core import genes, objectives, run_file
from netwright.core.errors import BadRunFile
from netwright.core.protocols import HasTrivial, SearchSpace, unwrap
from netwright.core.records import Genotype, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile

BEST, RANDOM, TRIVIAL = "best of the search", "best of the first random population", "trivial genotype"


@dataclass(frozen=True)
class Candidate:
    """A network to be trained in full; `trial_id` is where the search found it."""

    label: str
    genotype: Genotype
    trial_id: int | None = None


@dataclass(frozen=True)
class Final:
    """What became of a candidate: mean and standard deviation of the test metric over `n` trainings."""

    candidate: Candidate
    metric: str
    params: int
    mean: float
    sd: float | None
    n: int


def candidates(space: SearchSpace, trials: Sequence[Trial]) -> list[Candidate]:
    """The best trial, the best of those without parents, and the trivial genotype where the space has one.

    `trials` carry scores; of equal scores the first to finish counts as best.
    """
    best = objectives.best(trials)
    first = objectives.best([trial for trial in trials if not trial.proposal.parents])
    listed = [
        Candidate(label, trial.proposal.genotype, trial.id) for label, trial in ((BEST, best), (RANDOM, first)) if trial
    ]
    with_trivial = unwrap(space, HasTrivial)
    return [*listed, Candidate(TRIVIAL, with_trivial.trivial())] if with_trivial else listed


def run_of(run: RunFile, chosen: Sequence[Candidate]) -> RunFile:
    """The run file of the final trainings: the run's own settings, with `final` over those of the evaluator."""
    final: Mapping[str, Any] = run.final or {}
    repeats = final.get("repeats", 1)
    changed = {name: value for name, value in final.items() if name != "repeats"}
    budget = {"epochs", "steps"} & set(changed)
    kept = {
        name: value
        for name, value in run.evaluator.options.items()
        if name != "repeats" and not (budget and name in ("epochs", "steps"))
    }
    genotypes = tuple(dict.fromkeys(candidate.genotype for candidate in chosen))
    return replace(
        run,
        strategy=Reference("listed", {"genotypes": [list(g) for g in genotypes], "repeats": repeats}),
        evaluator=Reference(run.evaluator.name, {**kept, **changed, "split": "test"}),
        objectives=(run.objectives[0].replace("valid_", "test_"),),
        constraints=(),
        reuse=False,
        limits=Limits(trials=len(genotypes) * repeats, failures_in_a_row=0),
        final=None,
    )


def results(run: RunFile, chosen: Sequence[Candidate], finished: Sequence[Trial]) -> list[Final]:
    """What was measured of each candidate; those whose trainings all failed are left out.

    Args:
        run: The run file of the final trainings.
        chosen: The candidates.
        finished: Rows of the final trainings.
    """
    metric, found = run.objectives[0].removeprefix("-"), []
    for candidate in chosen:
        rows = [t.result for t in finished if t.proposal.genotype == candidate.genotype and t.result]
        values = [result.metrics[metric] for result in rows if not result.failure]
        if not values:
            continue
        sd = statistics.stdev(values) if len(values) > 1 else None
        params = int(next(result.metrics.get("params", 0) for result in rows if not result.failure))
        found.append(Final(candidate, metric, params, statistics.fmean(values), sd, len(values)))
    return found


def check(run: RunFile) -> None:
    """Raise BadReference or BadRunFile for a `final` table that could not be used once the search is over."""
    repeats = (run.final or {}).get("repeats", 1)
    if type(repeats) is not int or repeats < 1:
        raise BadRunFile(f"final.repeats is {repeats!r}; it must be a whole number of at least 1")
    run_file.build_evaluator(run_of(run, [Candidate(BEST, ())]))


def folder_name(run: RunFile, trials: int) -> str:
    """Where the final trainings after so many trials stand within the run's folder.

    A longer search has others, and so have other settings of `final`.
    """
    settings = genes.digest(str(sorted((run.final or {}).items())))
    return f"final-{trials}-{settings[:6]}"
