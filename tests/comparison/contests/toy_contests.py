"""Comparisons on a toy task: real searches that cost nothing, played in this process unless it is told otherwise."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from netwright.comparison import command_line, folder
from netwright.comparison.contests import recipes
from netwright.comparison.contests.contest import StrategyContest, prepare
from netwright.comparison.contests.outcome import carry_out
from netwright.core.round_plan import AGE, MEMBERS, PLACE
from netwright.core.trust import Trust
from tests.comparison import in_process

TOYS = "netwright.testing.toys"


PICTURES = '"tests.comparison.strange:Pictures"'


def write(
    path: Path,
    space: str = f"{TOYS}:ToySpace",
    trials: int = 12,
    task: str = f'"{TOYS}:ToyTask"',
    kind: str = f"{TOYS}:ToyEvaluator",
    **evaluator,
) -> Path:
    """A recipe of the toy task; `task` may go on with options, `kind` is the evaluator."""
    options = "".join(f", {name} = {json.dumps(value)}" for name, value in evaluator.items())
    path.write_text(
        f"""space = {{ref = "{space}"}}
task = {{ref = {task}}}
evaluator = {{ref = "{kind}"{options}}}
executor = {{ref = "inline"}}
limits = {{trials = {trials}}}
"""
    )
    return path


def prepared(path: Path, strategies="random,aging(population=4,sample=2)", seeds="2", trials=None, is_full=False):
    """A contest on the recipe."""
    runs = recipes.read([path], {}, trials, Trust(is_full=True))
    given, numbers = command_line.read_strategies(strategies), command_line.read_seeds(seeds)
    return prepare(StrategyContest(given, runs, numbers, is_full))


def carried_out(contest, out: Path, workers: int | None = None):
    """Its outcome; with `workers`, cells are played by so many processes."""
    with folder.taken(out, "recipes"), in_process.playing() if workers is None else nullcontext():
        return carry_out(contest, out, workers or 1)


def rows(outcome):
    """What of an outcome does not depend on time."""
    return {
        cell: [(trial.proposal, trial.seed, trial.scores) for trial in trials]
        for cell, trials in outcome.trials.items()
    }


def in_rounds(outcome, members):
    """The outcome, as if all trials of a search had been scored in one round of shared training."""
    notes = {PLACE: 0, MEMBERS: members, AGE: 0}

    def in_round(trial):
        return replace(trial, proposal=replace(trial.proposal, budget=1, notes=notes))

    return replace(outcome, trials={cell: [*map(in_round, rows)] for cell, rows in outcome.trials.items()})
