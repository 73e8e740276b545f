"""The report of one search, or of several overlaid: figures as files, and one HTML page that holds everything.

A reader finds first how it came out, what was tested and what to do next, then the network and what it gets wrong,
then the search. What there is nothing to show of is left out. The drawing is that of the network that ships after a
contest, else of the best of the search. With several runs the curves are overlaid and the drawing, the lineage and the
tables are those of the run with the best first objective (among those that share the first run's).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from netwright.core import building, files, run_file
from netwright.core.genes import Choice, Gene
from netwright.core.objectives import shortened
from netwright.core.protocols import graph_of, of_seed
from netwright.core.records import Genotype, LabeledGraph, Trial
from netwright.core.round_plan import AGE
from netwright.report import costs, curves, drawing, examined, figures, markup, opening, reported, trained
from netwright.report.examined import Examined
from netwright.report.figures import RunData
from netwright.report.files import save, smallest_text
from netwright.report.markup import MISSING, Html
from netwright.report.reported import ReportedRun

MOST_CHANGES = 8  # spelled out of one mutation
MOST_STEPS = 300  # in the table of a lineage
MOST_REASONS = 100  # in the table of failures
CURVES: dict[str, tuple[str, Callable[[Sequence[RunData]], Figure | None]]] = {
    "fitness": ("Objective of every trial", figures.fitness),
    "best": ("Best so far", figures.best),
    "hours": ("Objective against time", costs.hours),
    "size": ("Objective against parameters", costs.size),
    "parameters": ("Parameters of every trial", figures.parameters),
}
CAPTIONS = {
    **{name: caption for name, (caption, _) in CURVES.items()},
    "lineage": "From the start population to the best",
    "cell": "The best architecture, at every level",
}
NARROW = "-narrow"  # ends the name of a drawing that takes the place of another one on a narrow screen


def write(folder: Path, runs: Sequence[ReportedRun], page: Path | None = None) -> Path:
    """Write the report.

    Args:
        folder: Gets report.html, and the figures named in CAPTIONS, by a part of the page or by a kind of examples, as
            .png and .svg, the drawing twice (NARROW); made when missing. Figures that would be empty are not there, as
            without a successful trial or without a network trained in full that left examples; those of an earlier
            report are then removed.
        runs: At least one.
        page: Path of the page; None: report.html in the folder.

    Returns:
        The path of the page.

    Raises:
        ValueError: `runs` is empty.
    """
    if not runs:
        raise ValueError("runs is empty; a report needs at least one run")
    folder.mkdir(parents=True, exist_ok=True)
    winner = _winner(runs)
    winner = replace(winner, overlaid=tuple(runs)) if len(runs) > 1 else winner
    best = winner.history.best()
    line = np.zeros(0, np.int64) if best is None else curves.lineage(winner.history, best)
    owner, seen = _examined(runs, winner)
    drawn = _figures(folder, runs, winner, line, seen)
    title = f"Search report: {', '.join(run.name for run in runs)}"
    examples = seen.examples.section(seen.final, owner, drawn) if seen else ""
    html = markup.page(title, _parts(runs, winner, line, drawn, examples))
    path = page or folder / "report.html"
    if path != folder / "report.html":
        (folder / "report.html").unlink(missing_ok=True)  # of before, when the page lay there
    files.write(path, html.encode(errors="replace"))  # names of files may be no Unicode
    return path


def changes(genes: Sequence[Gene], old: Genotype, new: Genotype) -> list[str]:
    """What was changed, gene by gene: "cell 2->4: none → motif 3"."""
    return [
        f"{gene.name}: {_option(gene, before)} → {_option(gene, after)}"
        for gene, before, after in zip(genes, old, new, strict=True)
        if before != after
    ]


def _figures(
    folder: Path,
    runs: Sequence[ReportedRun],
    winner: ReportedRun,
    line: np.ndarray,
    seen: Examined | None,
) -> dict[str, Html]:
    """Write the figures; returns each as part of a page."""
    named = {"cell": "The architecture that ships, at every level"} if winner.shipped else {}
    captions = {**CAPTIONS, **named, **{part.name: part.caption for part in reported.parts()}, **examined.captions()}
    data = [run.data for run in runs]
    made = {name: figure for name, (_, draw) in CURVES.items() if (figure := draw(data))}
    made |= {part.name: figure for part in reported.parts() if (figure := part.figure(winner))}
    if len(line) > 1:
        made["lineage"] = figures.lineage(winner.history, line, winner.objective)
    if graph := _architecture(winner, line):
        made["cell"] = drawing.draw(graph)
        made[f"cell{NARROW}"] = drawing.draw_narrow(graph)
    if seen:
        made |= seen.examples.figures()
    for name in {*captions, f"cell{NARROW}"} - made.keys():
        for suffix in (".png", ".svg"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    for name, figure in made.items():
        save(figure, folder / name)
    drawn = {name: (folder / f"{name}.svg").read_text(encoding="utf-8") for name in made}
    return {
        name: markup.figure(drawn[name], name, captions[name], smallest_text(figure), drawn.get(f"{name}{NARROW}", ""))
        for name, figure in made.items()
        if not name.endswith(NARROW)
    }


def _parts(
    runs: Sequence[ReportedRun],
    winner: ReportedRun,
    line: np.ndarray,
    drawn: dict[str, Html],
    examples: str,
) -> list[str]:
    whose = f" of {winner.name}" if len(runs) > 1 else ""
    return [
        opening.section(runs, winner, whose),
        _damage(runs),
        _runs(runs) if len(runs) > 1 else "",
        markup.section(_architecture_title(winner, whose), drawn["cell"]) if "cell" in drawn else "",
        _finals(runs),
        examples,
        _search(winner, whose, drawn),
        *(
            part.section(winner, whose, drawn[part.name]) if part.name in drawn else part.instead(winner, whose)
            for part in reported.parts()
        ),
        _lineage(winner, line, drawn, whose),
        _best_networks(winner, whose),
        _failures(runs),
        markup.section("Run files" if len(runs) > 1 else "Run file", *_run_files(runs)),
        _repeated(runs),
    ]


def _search(run: ReportedRun, whose: str, drawn: dict[str, Html]) -> str:
    """The search in numbers and curves."""
    curves_drawn = "".join(drawn[name] for name in CURVES if name in drawn)
    shown = Html(f'<div class="curves">{curves_drawn}</div>') if curves_drawn else ""
    best = opening.best(run) if opening.tested(run) else ""  # else it stands first on the page
    return markup.section(f"The search{whose}", _objectives_note(run), best, _numbers(run), shown)


def _numbers(run: ReportedRun) -> Html:
    facts, answers = _facts(run), run.history.is_reused.any()
    listed = [
        (f"best {run.objective.label}", facts["best"]),
        ("its trial", facts["trial"]),
        ("its parameters", facts["params"]),
        ("trials finished", facts["finished"]),
        ("done", facts["done"]),
        ("failed", facts["failed"]),
        *([("trainings", facts["trainings"]), ("answers from the table", facts["answers"])] if answers else []),
        ("time searched", _duration(run.hours)),
        ("time in evaluations", _duration(curves.evaluation_seconds(run.history) / 3600)),
    ]
    if run.objective.name == "params":
        del listed[2]
    if run.simulated_hours:
        listed.append(("simulated time", _duration(run.simulated_hours)))
    if run.workers and (hours := run.simulated_hours or run.hours):
        share = curves.utilization(run.history, run.workers, hours * 3600)
        if share <= 1:  # else the time is a table's, or that of workers that joined
            listed.append(("workers busy", f"{share:.0%}"))
    return markup.tiles(listed)


def _damage(runs: Sequence[ReportedRun]) -> str:
    """What of the runs is left out, as their tables are damaged there."""
    rows = [(run.name, fault) for run in runs for fault in run.faults]
    told = "All that stands here leaves this out; it is asked again when the search goes on."
    return markup.section("Damaged", told, markup.table(("run", "damage"), rows)) if rows else ""


def _facts(run: ReportedRun) -> dict[str, str]:
    history, best = run.history, run.history.best_trial
    return {
        "finished": f"{len(history):,}",
        "done": f"{len(history) - history.failed:,}",
        "failed": f"{history.failed:,}",
        "trainings": f"{np.count_nonzero(~history.is_reused):,}",
        "answers": f"{np.count_nonzero(history.is_reused):,}",
        "best": _metric(best, run.objective.name) if best else MISSING,
        "trial": str(best.id) if best else MISSING,
        "params": _metric(best, "params") if best else MISSING,
    }


def _runs(runs: Sequence[ReportedRun]) -> str:
    columns = ("run", "strategy", "space", "seed", "objective", "finished", "failed", "best", "trial", "params", "time")
    rows = []
    for run in runs:
        facts, made = _facts(run), run.run
        names = (run.name, made.strategy.name, made.space.name, str(made.seed), str(run.objective))
        numbers = [facts[name] for name in ("finished", "failed", "best", "trial", "params")]
        rows.append((*names, *numbers, _duration(run.hours)))
    return markup.section("Runs", markup.table(columns, rows, (columns[3], *columns[5:])))


def _finals(runs: Sequence[ReportedRun]) -> str:
    named = [(f"{run.name}: " if len(runs) > 1 else "", run) for run in runs if run.finals]
    if not named:
        return ""
    finals = [(name, final) for name, run in named for final in run.finals]
    listed = trained.table(finals)
    told = [f"Note: {name}{final.broken_off} of the {final.label}." for name, final in finals if final.broken_off]
    told += [f"Note: {fault}." for _, run in named for fault in examined.faults(run.finals)]
    beside = trained.published(finals)
    told += ["Beside what papers print, errors on the test data:"] if beside else []
    return markup.section("Trained in full", listed, *told, *beside)


def _examined(runs: Sequence[ReportedRun], winner: ReportedRun) -> tuple[str, Examined | None]:
    """The end of the title, and the network whose examples are shown: one of the winner's, if it has any."""
    for run in (winner, *runs):
        if seen := examined.examined(run.finals, run.shipped):
            return f" of {run.name}" if len(runs) > 1 else "", seen
    return "", None


def _architecture(run: ReportedRun, line: np.ndarray) -> LabeledGraph | None:
    """The network that a page draws: the one that ships or, without a contest, the best; None: there is neither."""
    if final := run.shipped:
        space = of_seed(building.load_space(final.space), final.repetitions[0].seed)
        return graph_of(space, final.genotype, run.io)
    if not len(line):
        return None
    [best] = run.history.trials(line[-1:])
    return graph_of(of_seed(run.space, best.seed), best.proposal.genotype, run.io)


def _architecture_title(run: ReportedRun, whose: str) -> str:
    """Says which network is drawn."""
    if run.shipped is None:
        return f"Best architecture{whose}"
    reference = ", the reference" if run.shipped.reference else ""
    return f"What ships{whose}: {run.shipped.name}{reference}"


def _lineage(run: ReportedRun, line: np.ndarray, drawn: dict[str, Html], whose: str) -> str:
    """The table starts with the ancestor and says at each step what was changed."""
    if not len(line):
        return ""
    oldest, *shown = run.history.trials([line[0], *line[-MOST_STEPS:]])
    first = oldest.proposal.parents
    named = ("budget",) if (run.history.budgets[line] > 0).any() else ()

    def row(trial: Trial, changed: str) -> tuple[str, ...]:
        return (str(trial.id), *(_budget(trial) for _ in named), _metric(trial, run.objective.name), changed)

    rows = [row(oldest, f"derived from {first[0]}" if first else "start population")]
    if len(line) > MOST_STEPS:
        rows.append(("…", *("" for _ in named), "", f"{len(line) - MOST_STEPS:,} generations left out"))
    for parent, child in pairwise(shown):
        found = changes(run.space.genes, parent.proposal.genotype, child.proposal.genotype)
        more = [f"and {len(found) - MOST_CHANGES} more"] if len(found) > MOST_CHANGES else []
        text = "; ".join((*found[:MOST_CHANGES], *more)) or "nothing (the same genotype again)"
        if child.proposal.continues == parent.id and child.proposal.budget is not None:
            text = f"goes on to the budget {child.proposal.budget:,}"
        elif child.proposal.notes.get(AGE):
            text = f"stays for round {child.proposal.budget:,}"
        rows.append(row(child, text))
    objective = run.objective.label
    listed = markup.table(("trial", *named, objective, "changed"), rows, ("trial", *named, objective))
    return markup.section(f"Lineage of the best{whose}", drawn.get("lineage", ""), listed)


def _best_networks(run: ReportedRun, whose: str) -> str:
    found = curves.finalists(run.history)
    if not found:
        return ""
    told = (*run.objectives, *run.metrics)
    measured = [each.label for each in told]
    extra = () if "params" in measured else ("params",)
    named = _budget_column(found)
    columns = ("trial", *named, *measured, *extra, "key", "parents")
    rows = [
        (
            str(trial.id),
            *(_budget(trial) for _ in named),
            *(_metric(trial, each.name) for each in told),
            *(_metric(trial, name) for name in extra),
            markup.code(trial.key),
            ", ".join(map(str, trial.proposal.parents)) or MISSING,
        )
        for trial in found
    ]
    return markup.section(f"Best networks{whose}", markup.table(columns, rows, columns[:-2]))


def _budget_column(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The head of a column of budgets, where any trial has one."""
    return ("budget",) if any(trial.proposal.budget is not None for trial in trials) else ()


def _budget(trial: Trial) -> str:
    return MISSING if trial.proposal.budget is None else f"{trial.proposal.budget:,}"


def _failures(runs: Sequence[ReportedRun]) -> str:
    columns = ("failure", "reason", "times", "trials")
    rows = []
    for run in runs:
        groups = curves.failures(run.history)
        for group in groups[:MOST_REASONS]:
            ids = ", ".join(map(str, group.trial_ids)) + (", …" if group.times > len(group.trial_ids) else "")
            cells = (group.failure.replace("_", " "), group.reason or MISSING, f"{group.times:,}", ids)
            rows.append((run.name, *cells) if len(runs) > 1 else cells)
        if more := groups[MOST_REASONS:]:
            cells = ("…", f"{len(more):,} other reasons", f"{sum(group.times for group in more):,}", "")
            rows.append((run.name, *cells) if len(runs) > 1 else cells)
    if not rows:
        return ""
    return markup.section("Failures", markup.table(("run", *columns) if len(runs) > 1 else columns, rows, ("times",)))


def _run_files(runs: Sequence[ReportedRun]) -> list[Html]:
    named = [run.name if len(runs) > 1 else "all settings of the search" for run in runs]
    return [markup.listing(run_file.to_toml(run.run), name) for name, run in zip(named, runs, strict=True)]


def _repeated(runs: Sequence[ReportedRun]) -> str:
    """Commands of the search and of the trainings, and what they ran with."""
    parts: list[Html] = []
    for run in runs:
        commands = [each for each in dict.fromkeys((run.command, *(final.command for final in run.finals))) if each]
        texts = ["\n".join(commands), "\n".join(f"{name} {version}" for name, version in run.versions.items())]
        listed = [markup.listing(text) for text in texts if text]
        parts += [markup.subsection(run.name, *listed)] if len(runs) > 1 and listed else listed
    return markup.section("To repeat this", *parts) if parts else ""


def _objectives_note(run: ReportedRun) -> str:
    first, *others = run.objectives
    direction = "minimized" if first.is_minimized else "maximized"
    more = f" Further objectives: {', '.join(map(str, others))}; curves of one show the first." if others else ""
    beside = f" Reported beside: {', '.join(each.name for each in run.metrics)}." if run.metrics else ""
    return f"Objective: {first.name}, {direction}.{more}{beside}"


def _winner(runs: Sequence[ReportedRun]) -> ReportedRun:
    """The run of the highest first score among those with the first run's objective; the first one of equals."""
    rivals = [run for run in runs if str(run.objective) == str(runs[0].objective)]

    def best_score(run: ReportedRun) -> float:
        best = run.history.best()
        return float("-inf") if best is None else float(run.history.scores[best])

    return max(rivals, key=best_score)


def _metric(trial: Trial, name: str) -> str:
    """A metric as text; whole numbers keep all digits."""
    value = trial.result.metrics.get(name) if trial.result else None
    if value is None:
        return MISSING
    return f"{int(value):,}" if name in ("params", "multiply_adds") else shortened(name, value)


def _option(gene: Gene, value: float) -> str:
    return gene.options[int(value)] if isinstance(gene, Choice) else f"{value:g}"


def _duration(hours: float | None) -> str:
    if hours is None:
        return MISSING
    seconds = hours * 3600
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
