"""`netwright bench`: compare strategies on tables of measured results, or on real tasks, over many seeds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from netwright.cli import contests, options
from netwright.cli.signals import INTERRUPTED
from netwright.core import room
from netwright.core.errors import BadRunFile

if TYPE_CHECKING:
    from netwright.comparison.tables.comparison import Comparison
    from netwright.comparison.tables.plan import ComparisonPlan
    from netwright.comparison.tables.summary import ProblemPair, ProblemRow, Results

WIDE = 200  # columns, where no terminal sets them
BEAT = 30.0  # seconds between plain lines
SHOWN = 5  # failed searches that are spelled out
SEEDS = "200"

Watch = Callable[[int, int], None]


def bench(
    context: typer.Context,
    recipe: list[Path] = typer.Argument(None, help="Run files (TOML), to search for real; else give --table."),
    table: list[str] = typer.Option(None, help="Reference, or a CSV or Parquet file; may be given again."),
    dataset: str = typer.Option(None, help="Data sets of the table, with commas between."),
    strategies: str = typer.Option(
        None,
        help="References with commas between, as in 'random,aging(population=10,sample=3)'; by default predictor, "
        "random, aging(population=10,sample=3) and local_search; on recipes random, the recipe's own (else aging), "
        "non_aging and reinforce.",
    ),
    trials: str = typer.Option(
        None, help="Per search; on tables 100,200 reports after both. By default 100, or the recipe's."
    ),
    table_seconds: float = typer.Option(None, help="End a search when its evaluations have cost so much."),
    seeds: str = typer.Option(None, help="How many, or from and to, as in 100:300; by default 200, or 4 on recipes."),
    out: Path = typer.Option(Path("runs/bench"), help="Folder of the comparison."),
    workers: int = typer.Option(None, help="Processes at a time; by default one per core."),
    genes: str = typer.Option(None, help="Of a file: columns that are genes, with commas between."),
    text: str = typer.Option(None, help="Of a file: column with the architecture's text, instead of genes."),
    space: str = typer.Option(None, help="Of a file: space that reads the text."),
    signal: str = typer.Option(None, help="Of a file: column that a search sees; a leading minus: lower is better."),
    final: str = typer.Option(None, help="Of a file: column that is reported; by default the signal."),
    seconds: str = typer.Option(None, help="Of a file: column with the cost of one evaluation."),
    objectives: str = typer.Option(
        None, help="Of a table: several objectives, the signal first, as signal,-params; judged by hypervolume."
    ),
    fraction: str = typer.Option(
        None, help="Of a recipe: time to these fractions of the best of all; by default 0.99."
    ),
    full: bool = typer.Option(False, "--full", help="Of a recipe: train each search's best in full and test it."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a recipe names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, all else on standard error."),
) -> None:
    """Compare strategies on tables or recipes; the same command goes on where it was stopped, more seeds add to it.

    Any other option of a table is --table.OPTION; recipes take --space.OPTION, --task.OPTION, --evaluator.OPTION,
    --executor.OPTION and --final.OPTION. Writes curves, bench.csv, pairs.csv, bench.json and index.html.
    """
    columns = {"text": text, "space": space, "signal": signal, "final": final, "seconds": seconds}
    if recipe:
        of_tables = {"--table": table, "--dataset": dataset, "--table-seconds": table_seconds}
        _refuse_beside("a recipe", of_tables | {"--objectives": objectives})
        _refuse_beside("a recipe", {f"--{name}": value for name, value in columns.items()} | {"--genes": genes})
    elif not table:
        raise BadRunFile("bench needs something to compare on; give a recipe (a TOML file), or --table")
    else:
        _refuse_beside("--table", {"--fraction": fraction, "--full": full or None})
    given: dict[str, Any] = {name: value for name, value in columns.items() if value is not None}
    if genes is not None:
        given["genes"] = list(options.names("--genes", genes))
    changes = options.tables(context.obj.pairs, contests.SECTIONS if recipe else (options.TABLE,))
    given |= changes.get(options.TABLE, {})
    if workers is not None and workers < 1:
        raise BadRunFile(f"--workers is {workers}; it must be at least 1")
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = WIDE
    # what plug-ins print must not stand among the JSON
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        from netwright.comparison import pool

        at_once = workers or room.per_core(pool.PROCESS_MB)
        try:
            if recipe:
                wanted = contests.Asked(recipe, strategies, seeds, trials, fraction, full, changes, trust)
                failed, facts = contests.compared(
                    console, wanted, out, at_once, context.obj.command, _watched, lambda text: _say(console, text)
                )
            else:
                from netwright.comparison import command_line
                from netwright.comparison.tables import json_and_csv, plan

                several = () if objectives is None else options.names("--objectives", objectives)
                asked = plan.ComparisonPlan(
                    plan.standard(several) if strategies is None else command_line.read_strategies(strategies),
                    plan.read_tables(table, options.names("--dataset", dataset) if dataset is not None else (), given),
                    command_line.read_seeds(SEEDS if seeds is None else seeds),
                    plan.read_trials(trials, table_seconds),
                    table_seconds,
                    tuple(several),
                )
                found = _compared(console, asked, out, at_once, context.obj.command)
                failed, facts = bool(found.failed), json_and_csv.as_json(found, out)
        except KeyboardInterrupt:
            _say(console, "stopped; the same command goes on")
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(facts))
    raise typer.Exit(1 if failed else 0)


def _compared(console: Console, asked: ComparisonPlan, out: Path, workers: int, command: str) -> Results:
    import numpy as np

    from netwright.comparison import folder, pool
    from netwright.comparison.tables import cell_file, comparison, summary
    from netwright.comparison.tables import page as report

    prepared = comparison.prepare(asked)
    pool.check_workers(workers, len(prepared.cells))
    with folder.taken(out):
        _announce(console, prepared)
        with _watched(console) as watch:
            outcome = comparison.carry_out(prepared, out, workers, watch)
        if outcome.damaged:
            _say(
                console,
                f"{outcome.damaged:,} {'line' if outcome.damaged == 1 else 'lines'} of {out / cell_file.CELLS} cut or "
                "damaged: left out, and the cells of such lines were played anew",
            )
        found = summary.summarize(prepared, outcome, np.random.default_rng(0))
        page = report.write(out, found, command)
    for rows in report.groups(found.rows):
        _show(
            console,
            rows,
            [pair for pair in found.pairs if (pair.problem, pair.trials) == (rows[0].problem, rows[0].trials)],
        )
    _complain(console, found)
    _say(console, f"report: {page}")
    return found


def _announce(console: Console, prepared: Comparison) -> None:
    """Say what must be known before anything is played."""
    from netwright.comparison import caveats

    for problem in prepared.problems:
        for remark in prepared.remarks(problem):
            _say(console, f"{problem.name}: {remark}")
    for strategy, starts in prepared.starts.items():
        for horizon in prepared.plan.horizons:
            for sentence in caveats.long_starts(starts, horizon):
                _say(console, f"warning: {strategy}: {sentence}")


@contextmanager
def _watched(console: Console) -> Iterator[Watch]:
    """Shows progress: a bar on a terminal, a line now and then elsewhere."""
    if console.is_terminal:
        columns = (TextColumn("searches"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("searches", total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    shown = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= BEAT:
            shown = time.monotonic()
            _say(console, f"{done:,} of {total:,} searches")

    yield line


def _show(console: Console, rows: Sequence[ProblemRow], pairs: Sequence[ProblemPair]) -> None:
    """Print the table of one problem and horizon, and below it the difference of every two strategies."""
    from netwright.comparison import caveats
    from netwright.comparison.tables import page as report

    shown = Table(
        title=f"{report.title(rows[0])}, {rows[0].problem.reported} by {rows[0].problem.searched}", title_justify="left"
    )
    for number, name in enumerate(report.columns(rows[0].problem)):
        shown.add_column(name, justify="right" if number else "left", no_wrap=number > 0, overflow="fold")
    for row in rows:
        shown.add_row(*report.cells(row))
    console.print(shown, highlight=False, markup=False)
    if pairs:
        console.print(_matrix(rows, pairs), highlight=False, markup=False)
        if caveat := caveats.few_seeds([pair.difference for pair in pairs]):
            _say(console, caveat)
    for row in rows:
        for warning in row.warnings:
            _say(console, f"warning: {row.strategy}: {warning}")


def _matrix(rows: Sequence[ProblemRow], pairs: Sequence[ProblemPair]) -> Table:
    """Differences of regret or hypervolume, row less column; a star where the 95 % interval leaves zero out."""
    from netwright.comparison import numbers

    names = [row.strategy for row in rows]
    measure = "hypervolume" if rows[0].hypervolume else "regret"
    shown = Table(title=f"{measure}, row less column; *: the 95 % interval leaves 0 out", title_justify="left")
    shown.add_column("")
    for number in range(1, len(names) + 1):
        shown.add_column(str(number), justify="right", no_wrap=True)
    differences = {(pair.strategy, pair.other): pair.difference for pair in pairs if pair.measure == measure}
    for number, name in enumerate(names, start=1):
        texts = []
        for other in names:
            sign = 1 if (name, other) in differences else -1
            found = differences.get((name, other)) or differences.get((other, name))
            if found is None or not found.seeds:
                texts.append("")
                continue
            places = numbers.decimals((found.high - found.low) / 4)
            star = "*" if found.is_clear else ""
            texts.append(f"{sign * found.mean + 0.0:+.{places}f}{star}")
        shown.add_row(f"{number} {name}", *texts)
    return shown


def _complain(console: Console, found: Results) -> None:
    """Say why the first searches of a comparison failed, and how many more did."""
    for strategy, problem, seed, why in found.failed[:SHOWN]:
        _say(console, f"failed: {strategy} on {problem} from seed {seed}: {why}")
    if len(found.failed) > SHOWN:
        _say(console, f"failed: {len(found.failed) - SHOWN:,} more searches; see bench.json")


def _refuse_beside(what: str, given: dict[str, Any]) -> None:
    """Raise BadRunFile for an option that says nothing beside `what`."""
    for option, value in given.items():
        if value is not None and value != []:
            raise BadRunFile(f"{option} does not go with {what}; leave one of the two out")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
