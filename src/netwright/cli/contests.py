"""`netwright bench RECIPE.toml`: strategies compared by searches on a real task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from netwright.core.errors import BadRunFile
from netwright.core.trust import of_typed

SECTIONS = ("space", "task", "evaluator", "executor", "final")  # whose options may be changed
SEEDS, FRACTIONS = "4", "0.99"  # where none are given


@dataclass(frozen=True)
class Asked:
    """What the command line says about a comparison on recipes; None: not given."""

    recipes: Sequence[Path]
    strategies: str | None
    seeds: str | None
    trials: str | None
    fractions: str | None
    is_full: bool
    changes: Mapping[str, Mapping[str, Any]]
    is_trusted: bool


def compared(
    console: Console,
    asked: Asked,
    out: Path,
    workers: int,
    command: str,
    watched: Callable[[Console], AbstractContextManager[Callable[[int, int], None]]],
    say: Callable[[str], None],
) -> tuple[bool, dict[str, Any]]:
    """Play, report and show; returns whether anything failed, and the results as plain values."""
    import numpy as np

    from netwright.comparison import caveats, command_line, folder, numbers, pool
    from netwright.comparison.contests import contest, json_and_csv, recipes, standings
    from netwright.comparison.contests import page as report
    from netwright.comparison.contests.outcome import carry_out

    if "final" in asked.changes and not asked.is_full:
        raise BadRunFile("--final.OPTION says how the best are trained in full; give --full too, or leave it out")
    trust = of_typed(asked.changes, trust=asked.is_trusted)
    fractions = read_fractions(FRACTIONS if asked.fractions is None else asked.fractions)
    runs = recipes.read(asked.recipes, asked.changes, _trials(asked.trials), trust)
    typed = asked.strategies
    given = recipes.standard_strategies(runs) if typed is None else command_line.read_strategies(typed)
    seeds = command_line.read_seeds(SEEDS if asked.seeds is None else asked.seeds)
    prepared = contest.prepare(contest.StrategyContest(given, runs, seeds, asked.is_full))
    said = set()
    for recipe, sentences in prepared.remarks.items():
        for sentence in sentences:
            say(f"{recipe}: {sentence}")
    for (strategy, recipe), sentences in prepared.warnings.items():
        for sentence in sentences:
            said.add(text := f"warning: {recipe}: {strategy}: {sentence}")
            say(text)
    pool.check_workers(workers, len(prepared.cells))
    with folder.taken(out, "recipes"):
        with watched(console) as watch:
            outcome = carry_out(prepared, out, workers, watch, say)
        found = standings.summarize(prepared, outcome, np.random.default_rng(0), fractions)
        page = report.write(out, found, command)
    for standing in found.recipes:
        shown = Table(title=report.title(standing), title_justify="left")
        for number, name in enumerate(report.columns(standing, fractions)):
            shown.add_column(name, justify="right" if number else "left", no_wrap=number > 0, overflow="fold")
        for row in standing.rows:
            shown.add_row(*report.cells(row, standing))
        console.print(shown, highlight=False, markup=False)
        if best := report.top(standing):
            say(best)
        for row in standing.rows:
            for sentence in row.warnings:
                text = f"warning: {standing.name}: {row.strategy}: {sentence}"
                if text not in said:  # it was said before the searches
                    say(text)
        for pair in standing.pairs:
            mean, interval, p, count = numbers.difference(pair)
            doubt = f"{interval}, p = {p}" if pair.difference.seeds > 1 else f"of common seeds: {count}"
            say(f"{pair.measure}: {pair.strategy} less {pair.other}: {mean} ({doubt})")
        if doubt := caveats.few_seeds([pair.difference for pair in standing.pairs]):
            say(doubt)
    for strategy, recipe, seed, why in found.failed:
        say(f"failed: {strategy} on {recipe} from seed {seed}: {why}")
    say(f"report: {page}")
    return bool(found.failed), json_and_csv.as_json(found, out)


def read_fractions(text: str) -> tuple[float, ...]:
    """Reads `0.9,0.99` as numbers, in rising order. Raises BadRunFile."""
    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0 < fraction <= 1 for fraction in found):
        raise BadRunFile(f"--fraction is {text!r}; write numbers above 0 and at most 1, as in 0.99 or 0.9,0.99")
    return found


def _trials(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        trials = int(text)
    except ValueError:
        trials = 0
    if trials < 1:
        raise BadRunFile(f"--trials is {text!r}; with a recipe it is one number of at least 1")
    return trials
