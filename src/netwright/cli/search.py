"""`netwright search`: start a search, or go on with it; then train the best in full, test it, draw it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from rich.console import Console

from netwright.cli import options
from netwright.cli.display import Display, clock
from netwright.core.errors import BadRunFile

INTERRUPTED, TERMINATED = 130, 143


def search(
    context: typer.Context,
    recipe: Path = typer.Argument(None, help="A run file (TOML); without one, the defaults or what the folder holds."),
    out: Path = typer.Option(None, help="Folder of the run; by default runs/ and the recipe's name."),
    space: str = typer.Option(None, help="Reference, as in 'flat(nodes=7)'."),
    strategy: str = typer.Option(None, help="Reference."),
    task: str = typer.Option(None, help="Reference."),
    evaluator: str = typer.Option(None, help="Reference."),
    executor: str = typer.Option(None, help="Reference."),
    seed: int = typer.Option(None, help="Of everything that is drawn."),
    trials: int = typer.Option(None, help="Budget in finished trials, over all restarts."),
    hours: float = typer.Option(None, help="Budget in hours of searching, over all restarts."),
    workers: int = typer.Option(None, help="How many worker processes."),
    constraints: list[str] = typer.Option(None, "--constraint", help="As in 'params <= 1e6'; may be given again."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, progress on standard error."),
) -> None:
    """Search; the same command on the same folder goes on where it was stopped, however it was stopped.

    Every option of a plug-in is --space.OPTION, --strategy.OPTION, --task.OPTION, --evaluator.OPTION or
    --executor.OPTION; Ctrl-C lets running trials finish, a second one stops at once.
    """
    changes = options.tables(context.obj)
    given: dict[str, Any] = {
        "space": space,
        "strategy": strategy,
        "task": task,
        "evaluator": evaluator,
        "executor": executor,
    }
    given |= {"seed": seed, "constraints": tuple(constraints) if constraints else None}
    for section, option, value in (("limits", "trials", trials), ("limits", "hours", hours)):
        if value is not None:
            changes.setdefault(section, {})[option] = value
    if workers is not None:
        changes.setdefault("executor", {})["workers"] = workers
    folder = out or Path("runs") / (recipe.stem if recipe else "search")
    console = Console(stderr=as_json)
    tables = _tables(recipe, folder, {name: value for name, value in given.items() if value is not None}, changes)
    try:
        # what plug-ins print must not stand among the JSON
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            ending = _Run(folder.absolute(), tables, console).go()
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(ending.facts))
    raise typer.Exit(ending.code)


@dataclass
class _Ending:
    """How a run ended: exit code, and what --json prints."""

    code: int
    facts: dict[str, Any] = field(default_factory=dict)


class _Run:
    """One command's work on one folder."""

    def __init__(self, folder: Path, tables: Mapping[str, Any], console: Console) -> None:
        from netwright import trainings
        from netwright.core import run_file, seeds

        self.folder, self.console = folder, console
        self.run = run_file.from_tables(tables)
        self.parts = run_file.build(self.run)  # whatever is wrong with the run file is said before anything starts
        if self.run.limits.trials is None and self.run.limits.hours is None:
            raise BadRunFile("the search has no end; give --trials or --hours")
        if self.run.final is not None:
            trainings.check(self.run)
        if self.run.constraints:
            self.parts.space.sample(seeds.rng_for(self.run.seed, seeds.ASK))  # refused here when nothing fits

    def go(self) -> _Ending:
        """Search, train in full, report."""
        from netwright import run_folder

        with run_folder.controlled(self.folder):
            store, self.run = run_folder.take(self.folder, self.run)
            try:
                store.remember("io", options.write_io(self.parts.task.io))
                earlier = store.finished()
                was_complete = self._is_complete(store, len(earlier))
                code, used = self._search(store, earlier)
                if code:
                    self.console.print(f"stopped; the same command goes on in {_short(self.folder)}")
                    return _Ending(code, self._facts(store))
                return self._finish(store, used, was_complete)
            finally:
                store.close()

    def _search(self, store: Any, earlier: list[Any]) -> tuple[int, float | None]:
        """The search itself. Returns an exit code and the utilisation of the workers, when it was measured."""
        run, parts = self.run, self.parts
        begun = time.monotonic()
        ending = self._control(store, earlier, run, parts, self.folder, f"{run.strategy} on {run.space}, {run.task}")
        wall = time.monotonic() - begun
        rows = store.finished(len(earlier))
        busy = sum(row.result.seconds for row in rows if not row.result.reused)
        used = busy / (wall * parts.executor.workers) if rows else None
        return (INTERRUPTED if ending == "drained" else 0), used

    def _control(self, store: Any, earlier: list[Any], run: Any, parts: Any, folder: Path, title: str) -> str:
        """Run one controller with a display and signals."""
        from netwright.core import objectives
        from netwright.search import Search

        finished = objectives.with_scores(earlier, run.objectives)
        display = Display(self.console, store, title=title, trials=run.limits.trials, measure=run.objectives[0])
        controller = Search(
            parts.space,
            parts.strategy,
            store,
            parts.executor,
            objectives=run.objectives,
            limits=run.limits,
            seed=run.seed,
            reuse=run.reuse,
            folder=folder,
            threads=run.threads_per_trial,
            keep=run.keep == "all",
            observers=(display,),
        )
        with display, _signals(controller, display):
            display.replayed(finished)
            return controller.run()

    def _finish(self, store: Any, used: float | None, was_complete: bool) -> _Ending:
        """Everything after the last trial."""
        from netwright.core import objectives

        finished = objectives.with_scores(store.finished(), self.run.objectives)
        best = objectives.best(finished)
        failed = sum(trial.scores is None for trial in finished)
        self.console.print(f"{len(finished)} trials finished, {failed} of them failed", highlight=False)
        if used is not None:
            self.console.print(f"workers were busy {used:.1%} of the time", highlight=False)
        if best is None or best.scores is None:
            self.console.print("no trial succeeded; `netwright report` lists the reasons")
            return _Ending(1, self._facts(store))
        self.console.print(f"best: trial {best.id}, {self.run.objectives[0]} {best.scores[0]:.4f}", highlight=False)
        tested: list[Any] = []
        if self.run.final is not None:
            code, tested = self._train_in_full(finished)
            if code:
                self.console.print("stopped; the same command goes on with the final trainings")
                return _Ending(code, self._facts(store))
        page = self._report(was_complete)
        self.console.print(f"report: {_short(page)}", highlight=False, soft_wrap=True)
        if was_complete:
            self.console.print(
                "This run was done before. More of it: --trials and a larger number. Another one: --seed and --out.",
                highlight=False,
                soft_wrap=True,
            )
        return _Ending(0, self._facts(store, tested))

    def _train_in_full(self, finished: list[Any]) -> tuple[int, list[Any]]:
        """Train the best and its references on training and validation data, and test them."""
        from netwright import run_folder, trainings
        from netwright.core import run_file

        chosen = trainings.candidates(self.parts.space, finished)
        run = trainings.run_of(self.run, chosen)
        folder = self.folder / trainings.folder_name(self.run, len(finished))
        parts = run_file.build(run)
        store, run = run_folder.take(folder, run)
        try:
            earlier = store.finished()
            if len(earlier) != run.limits.trials:
                self.console.print(f"{run.limits.trials} final trainings, then tests", highlight=False)
            if self._control(store, earlier, run, parts, folder, "final trainings") == "drained":
                return INTERRUPTED, []
            finished = store.finished()
        finally:
            store.close()
        failed = sum(trial.status == "failed" for trial in finished)
        if failed:
            self.console.print(f"{failed} of {len(finished)} final trainings failed; see {_short(folder)}")
        rows = trainings.results(run, chosen, finished)
        for row in rows:
            is_share = row.metric.endswith("accuracy")
            mean = f"{row.mean:.2%}" if is_share else f"{row.mean:.4g}"
            spread = "" if row.sd is None else f" +- {row.sd:.2%}" if is_share else f" +- {row.sd:.2g}"
            number = f" (n = {row.n})" if row.n > 1 else ""
            self.console.print(
                f"{row.metric} {mean}{spread}{number}, {row.params:,} parameters: {row.candidate.label}",
                highlight=False,
            )
        return 0, rows

    def _report(self, was_complete: bool) -> Path:
        from netwright.cli import report

        page = self.folder / "report" / "report.html"
        return page if was_complete and page.exists() else report.write([self.folder], self.folder / "report")

    def _is_complete(self, store: Any, finished: int) -> bool:
        limit = self.run.limits.trials
        return limit is not None and not store.unfinished() and finished >= limit

    def _facts(self, store: Any, tested: Sequence[Any] = ()) -> dict[str, Any]:
        from netwright.core import objectives

        finished = objectives.with_scores(store.finished(), self.run.objectives)
        best = objectives.best(finished)
        return {
            "folder": str(self.folder),
            "trials": len(finished) + len(store.unfinished()),
            "done": sum(trial.status == "done" for trial in finished),
            "failed": sum(trial.status == "failed" for trial in finished),
            "best": {"trial": best.id, "score": best.scores[0], "key": best.key} if best and best.scores else None,
            "finals": [
                {
                    "label": t.candidate.label,
                    "metric": t.metric,
                    "mean": t.mean,
                    "sd": t.sd,
                    "n": t.n,
                    "params": t.params,
                }
                for t in tested
            ],
        }


def _tables(
    recipe: Path | None, folder: Path, given: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The run file that the command line asks for: recipe, else what the folder holds, else defaults; then options."""
    from netwright import run_folder
    from netwright.core import run_file

    if recipe is not None:
        tables = run_file.read(recipe)
    elif run_folder.holds_run(folder):
        store = run_folder.open_table(folder, "read")
        text = store.recall("run")
        store.close()
        tables = run_file.to_tables(run_file.from_toml(text)) if text else {}
    else:
        tables = {}
    return options.merged({**tables, **given}, changes)


@contextmanager
def _signals(controller: Any, display: Display) -> Iterator[None]:
    """Ctrl-C once drains, twice stops now; SIGTERM, a job scheduler's, stops now."""
    begun: list[float] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if begun:
            raise KeyboardInterrupt
        begun.append(time.monotonic())
        controller.drain()
        display.say("stopping: running trials finish first; Ctrl-C again stops now")

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    old = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old[0])
        signal.signal(signal.SIGTERM, old[1])
        if begun:
            display.say(f"stopped after {clock(time.monotonic() - begun[0])}")


def _short(path: Path) -> str:
    """The path as seen from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
