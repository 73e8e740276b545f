"""What became of networks trained in full: noted in the table of their trainings, read back, and put into words.

Each set of trainings is a run of its own, over a fixed list, in a folder of its own within the search's, so that it is
parallel, survives any crash and is reported like any other. Its table also holds the list of candidates.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from netwright.core import genes, in_full, objectives, remembered, trial_folders, whereabouts
from netwright.core.finals import Candidate, Final, Measured, Repetition
from netwright.core.objectives import Objective
from netwright.core.protocols import Store
from netwright.core.records import BROKEN_OFF, STEPS_DONE, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import run_folder
from netwright.training.course import end_of
from netwright.training.standing import ends_in


def facts(candidates: Sequence[Candidate], command: str, now: float) -> dict[str, str]:
    """Notes on trainings, by name: networks, command, and the time, in seconds, at which they were asked for."""
    listed = json.dumps([asdict(candidate) for candidate in candidates])
    return {"candidates": listed, "command": command, "asked": repr(now)}


def are_in(folder: Path) -> bool:
    """Whether a folder holds trainings in full."""
    if not run_folder.holds_run(folder):
        return False
    with closing(run_folder.open_table(folder, "read")) as store:
        return store.recall("candidates") is not None


def results(store: Store, run: RunFile, folder: Path) -> list[Final]:
    """What was measured of each candidate; those whose trainings all failed are left out.

    Args:
        store: The table of the trainings.
        run: The run file of the trainings.
        folder: The folder that holds the table.
    """
    found: list[Final] = []
    trials, command = store.finished(), store.recall("command") or ""
    measures = remembered.measures(store)
    known = remembered.baselines(store)
    objective, *others = objectives.shown(objectives.named(run.objectives, trials), measures)
    others += objectives.beside(run.metrics, measures)
    metric = objective.name
    way = Reference(run.evaluator.name, in_full.of(run.evaluator).way(run.evaluator.options))
    for candidate in remembered.candidates(store):
        rows = [
            trial
            for trial in sorted(trials, key=lambda trial: trial.id)
            if trial.proposal.genotype == candidate.genotype and trial.result and metric in trial.result.metrics
        ]
        measured = [(row.seed, row.result.metrics) for row in rows if row.result]
        if not measured:
            continue
        listed = [Repetition(seed, int(metrics.get("params", 0)), metrics[metric]) for seed, metrics in measured]
        values = [each.value for each in listed]
        found.append(
            Final(
                label=candidate.label,
                trial_id=candidate.trial_id,
                space=run.space,
                genotype=candidate.genotype,
                setting=setting(run, rows),
                objective=objective,
                params=round(statistics.fmean(each.params for each in listed)),
                mean=statistics.fmean(values),
                sd=_deviation(values),
                n=len(values),
                reference=candidate.is_reference,
                folder=trial_folders.folder_of(folder / "trials", rows[0].id),
                command=command,
                way=genes.digest(f"{whereabouts.without(run.task)} {way}"),
                repetitions=tuple(listed),
                baselines=known,
                accuracy=_mean(f"{objective.split}_accuracy", [metrics for _, metrics in measured]),
                loss=_mean(f"{objective.split}_loss", [metrics for _, metrics in measured]),
                steps=_mean(STEPS_DONE, [metrics for _, metrics in measured]),
                broken_off=_broken_off([metrics for _, metrics in measured]),
                further=_further(others, [metrics for _, metrics in measured]),
                published=run.published or (),
                curve=_curve(rows[0], metric),
            )
        )
    return found


def _curve(trial: Trial, metric: str) -> tuple[tuple[int, float], ...]:
    """The curve of a trial, which is one of the metric that was measured first; empty where that is another one."""
    return trial.result.curve if trial.result and next(iter(trial.result.metrics), "") == metric else ()


def _mean(name: str, measured: Sequence[Mapping[str, float]]) -> float | None:
    """Mean of a metric; None: some training did not measure it."""
    found = [metrics[name] for metrics in measured if name in metrics]
    return statistics.fmean(found) if len(found) == len(measured) else None


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _further(others: Sequence[Objective], measured: Sequence[Mapping[str, float]]) -> tuple[Measured, ...]:
    """Means of further objectives; those that some training did not measure are left out."""
    found: list[Measured] = []
    for objective in others:
        values = [metrics[objective.name] for metrics in measured if objective.name in metrics]
        if len(values) == len(measured):
            found.append(Measured(objective, statistics.fmean(values), _deviation(values)))
    return tuple(found)


def _broken_off(measured: Sequence[Mapping[str, float]]) -> str:
    """Which cooldowns a deadline broke off, by what was measured of trainings; "" where it did none."""
    count = round(sum(metrics.get(BROKEN_OFF, 0) for metrics in measured))
    if not count:
        return ""
    ends = [(steps, end_of(span, bends)) for metrics in measured for steps, span, *bends in ends_in(metrics)]
    several = f" of {count} trainings" if count > 1 else ""
    if not (known := [end for end in ends if end[0] < end[1]]):  # of trainings that an earlier release began
        return f"the deadline broke off the cooldown{several}"
    steps, span = min(known, key=lambda end: end[0] / end[1])
    one = ", one" if several else ""
    return f"the deadline broke off the cooldown{several}{one} at step {steps:,.0f} of {span:,.0f}"


def setting(run: RunFile, rows: Sequence[Trial] = ()) -> str:
    """Length and scale of trainings in a few words: "30 epochs, channels 64".

    Where trainings measured how many steps they took, as those do that end by the clock, these are their length.
    """
    done = [row.result.metrics.get(STEPS_DONE, math.nan) for row in rows if row.result]
    steps = [int(count) for count in done if math.isfinite(count)]
    length = in_full.of(run.evaluator).words(run.evaluator.options)
    if steps:
        length = " to ".join(f"{count:,}" for count in sorted({min(steps), max(steps)})) + " steps"
    scale = [
        f"{name} {run.space.options[name]}" for name in ("channels", "repeats", "skeleton") if name in run.space.options
    ]
    return ", ".join([*([length] if length else []), *scale])


def measured(final: Final) -> str:
    """Mean, spread and number of trainings as text; shares in percent."""
    return _spread(Measured(final.objective, final.mean, final.sd)) + (f" (n = {final.n})" if final.n > 1 else "")


def _spread(mean: Measured) -> str:
    """A mean and its spread; shares in percent."""
    if mean.objective.is_share:
        return f"{mean.value:.2%}" + ("" if mean.sd is None else f" +- {mean.sd:.2%}")
    return f"{mean.value:.4g}" + ("" if mean.sd is None else f" +- {mean.sd:.2g}")


def result(final: Final) -> str:
    """What was measured of a network and what that is to be compared with, for a line of its own."""
    beside = f" ({final.note})" if final.note else ""
    further = "".join(f", {mean.objective.name} {_spread(mean)}" for mean in final.further)
    return f"{final.metric} {measured(final)}{beside}{further}, {size(final)}: {final.name}"


def size(final: Final) -> str:
    """Number of parameters as text; for several networks of a generator, mean and range."""
    sizes = sorted({each.params for each in final.repetitions})
    if len(sizes) < 2:
        return f"{final.params:,} parameters"
    return f"{final.params:,} parameters on average ({sizes[0]:,} to {sizes[-1]:,})"
