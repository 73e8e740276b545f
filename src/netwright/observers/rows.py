"""A trial as observers write it down: genes and metrics by name, each a plain value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netwright.core import building, files, genes, run_file
from netwright.core.genes import Choice, Gene
from netwright.core.objectives import rank
from netwright.core.protocols import Observed
from netwright.core.records import Trial

Value = str | int | float


def genes_of(run: Observed) -> tuple[Gene, ...]:
    """The genes of the run's space, settings of training among them."""
    return tuple(building.load_space(run_file.from_tables(run.settings).space).genes)


def named(genes_: Sequence[Gene], trial: Trial) -> dict[str, Value]:
    """What each gene of the trial is, by the gene's name: the option that was chosen, or the number."""
    return {
        gene.name: gene.options[int(value)] if isinstance(gene, Choice) else value
        for gene, value in zip(genes_, trial.proposal.genotype, strict=True)
    }


def metrics(trial: Trial) -> Mapping[str, float]:
    """What was measured; {} of a trial that failed or has not finished."""
    return trial.result.metrics if trial.result else {}


def row(genes_: Sequence[Gene], trial: Trial) -> dict[str, Value | None]:
    """The trial as one line of a table: what was asked, what came of it, its genes, its metrics; None for a blank."""
    asked, result = trial.proposal, trial.result
    return {
        "trial": trial.id,
        "finish": trial.finish,
        "status": trial.status,
        "failure": result.failure if result else None,
        "seconds": result.seconds if result else None,
        "budget": asked.budget,
        "continues": asked.continues,
        "reused": result.reused if result else None,
        "parents": " ".join(map(str, asked.parents)),
        "seed": trial.seed,
        "key": trial.key,
        "genotype": genes.to_json(asked.genotype),
        **{f"gene {name}": value for name, value in named(genes_, trial).items()},
        **metrics(trial),
    }


def settings(tables: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """The run file's values by dotted names, as in ("space.nodes", 7); lists as text."""
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", each) for inner, each in settings(value))
        elif value is not None:
            yield name, value if isinstance(value, Value) else str(value)


def better(best: Trial | None, trial: Trial) -> Trial | None:
    """The better of two trials, the first of equals; one that failed is never better."""
    return trial if trial.scores and (best is None or rank(trial) > rank(best)) else best


def title(run: Observed) -> str:
    """The search in a few words: "aging on hierarchical, digits"."""
    read = run_file.from_tables(run.settings)
    return f"{read.strategy.name} on {read.space.name}, {read.task.name}"


def identity(run: Observed, name: str, make: Callable[[], str], is_known: Callable[[str], bool]) -> tuple[str, bool]:
    """The name by which a service knows the run, the same whenever the run goes on, and whether it is a new one.

    Args:
        run: The run.
        name: Name of the file in the run's folder that keeps it.
        make: Makes one for a run that has none yet, or of which no trial has finished.
        is_known: Whether the service still knows a name; else another one is made.
    """
    path = run.folder / name
    if run.finished and path.is_file() and is_known(kept := path.read_text(encoding="utf-8").strip()):
        return kept, False
    made = make()
    files.write(path, made.encode())
    return made, True
