"""Comparisons on a toy task: real searches that cost nothing."""

from pathlib import Path

from netwright.comparison import folder, plan, trained

TOYS = "netwright.testing.toys"


def write(path: Path, space: str = f"{TOYS}:ToySpace", trials: int = 12, **evaluator) -> Path:
    """A recipe of the toy task."""
    options = "".join(f", {name} = {value}" for name, value in evaluator.items())
    path.write_text(
        f"""space = {{ref = "{space}"}}
task = {{ref = "{TOYS}:ToyTask"}}
evaluator = {{ref = "{TOYS}:ToyEvaluator"{options}}}
executor = {{ref = "inline"}}
limits = {{trials = {trials}}}
"""
    )
    return path


def prepared(path: Path, strategies="random,aging(population=4,sample=2)", seeds="2", trials=None, is_full=False):
    """A contest on the recipe."""
    recipes = trained.read_recipes([path], {}, trials)
    return trained.prepare(trained.Contest(plan.read_strategies(strategies), recipes, plan.read_seeds(seeds), is_full))


def carried_out(contest, out: Path, workers: int = 1):
    """Its outcome."""
    with folder.taken(out):
        return trained.carry_out(contest, out, workers)


def rows(outcome):
    """What of an outcome does not depend on time."""
    return {
        cell: [(trial.proposal, trial.seed, trial.scores) for trial in trials]
        for cell, trials in outcome.trials.items()
    }
