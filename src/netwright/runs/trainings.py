"""Networks trained in full: the best of a search, any trial, a published one, and the references they must beat.

Each set of trainings is a search of its own, over a fixed list, in a folder of its own within the run's, so that it is
parallel, survives any crash and is reported like any other. The folder's table also holds the list of candidates.
"""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from netwright.core import genes, objectives, refs, run_file
from netwright.core.errors import BadRunFile
from netwright.core.finals import BEST, RANDOM, TRIVIAL, Candidate, Final, Trained
from netwright.core.places import PLACES
from netwright.core.protocols import HasTrivial, SearchSpace, Store, unwrap
from netwright.core.records import Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.runs import beforehand

CHECKPOINT_MINUTES = 5.0
FULL_EPOCHS = 30  # of a training in full, where nothing says how long
BUDGETS = frozenset({"epochs", "steps"})
INCIDENTAL = frozenset({"checkpoint_minutes", "save", "device", "processes"})
PREFIX = "train-"  # of the folders' names


def candidates(space: SearchSpace, trials: Sequence[Trial]) -> list[Candidate]:
    """The best trial, the best of those without parents, and the trivial genotype where the space has one.

    `trials` carry scores; of equal scores the first to finish counts as best.
    """
    best = objectives.best(trials)
    first = objectives.best([trial for trial in trials if not trial.proposal.parents])
    listed = [Candidate(BEST, best.proposal.genotype, best.id)] if best else []
    if first and best and first.proposal.genotype != best.proposal.genotype:
        listed.append(Candidate(RANDOM, first.proposal.genotype, first.id, is_reference=True))
    with_trivial = unwrap(space, HasTrivial)
    return [*listed, Candidate(TRIVIAL, with_trivial.trivial(), is_reference=True)] if with_trivial else listed


def run_of(
    run: RunFile, chosen: Sequence[Candidate], changes: Mapping[str, Mapping[str, Any]], split: str = "test"
) -> RunFile:
    """The run file of trainings: the run's own settings, then its `final` ones, then `changes`.

    Args:
        run: Of the search.
        chosen: The networks.
        changes: Options by part, "repeats" of the part "final": trainings of each network from different seeds. A
            budget that neither they nor `final` give is 30 epochs: that of the search is for the search.
        split: Where to measure: before "test", training and validation data are both trained on.
    """
    options: dict[str, Any] = {name: value for name, value in run.evaluator.options.items() if name != "repeats"}
    accepted = refs.options_of(refs.locate("evaluator", run.evaluator.name))
    layers = [run.final or {}, changes.get("final", {}), changes.get("evaluator", {})]
    if BUDGETS.isdisjoint({name for layer in layers for name in layer}) and "epochs" in accepted:
        layers.append({"epochs": FULL_EPOCHS})
    for layer in layers:
        options = _put_over(options, layer)
    repeats = options.pop("repeats", 1)
    if type(repeats) is not int or repeats < 1:
        raise BadRunFile(f"final.repeats is {repeats!r}; it must be a whole number of at least 1")
    wanted = {"checkpoint_minutes": CHECKPOINT_MINUTES, "save": True}
    ours = {name: value for name, value in wanted.items() if name in accepted}
    for part in ("space", "task", "executor"):
        run = run_file.override(run, part, run_file.with_absolute_path(changes.get(part, {})))
    genotypes = tuple(dict.fromkeys(candidate.genotype for candidate in chosen))
    workers = run.executor.options.get("workers")
    if isinstance(workers, int) and workers > len(genotypes) * repeats:
        run = run_file.override(run, "executor", {"workers": len(genotypes) * repeats})
        run = replace(run, threads_per_trial=None)  # those that are left share the machine
    final = replace(
        run,
        strategy=Reference("listed", {"genotypes": [list(g) for g in genotypes], "repeats": repeats}),
        evaluator=Reference(run.evaluator.name, {**ours, **options, "split": split}),
        constraints=(),
        reuse=False,
        keep="all",
        limits=Limits(trials=len(genotypes) * repeats, failures_in_a_row=0),
        final=None,
    )
    names = run.objectives or run_file.resolved(final, run_file.measures_of(final)).objectives
    return replace(final, objectives=names and (str(objectives.first(names).moved_to(split)),))


def _put_over(options: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Options with others put over them; a budget in epochs replaces one in steps, and the other way round."""
    kept = options if BUDGETS.isdisjoint(over) else {n: v for n, v in options.items() if n not in BUDGETS}
    return {**kept, **over}


def check(
    run: RunFile,
    changes: Mapping[str, Mapping[str, Any]],
    chosen: Sequence[Candidate] = (),
    *,
    data_is_ready: bool = False,
) -> None:
    """Refuse trainings that could not be made, of `chosen` or of whatever is found.

    Args:
        run: Of the search.
        changes: Options by part.
        chosen: The networks; none: they are not known yet.
        data_is_ready: The task is prepared.

    Raises:
        NetwrightError: Settings that cannot be used, or with which each training would fail.
    """
    _refuse_lookup(run, chosen)
    final = run_of(run, [Candidate(BEST, ())], changes)
    evaluator = run_file.build_evaluator(final)
    known = [candidate.genotype for candidate in chosen]
    genotypes = known or beforehand.samples(refs.load("space", final.space), run.seed)
    beforehand.check(evaluator, genotypes, data_is_ready=data_is_ready)


def _refuse_lookup(run: RunFile, chosen: Sequence[Candidate]) -> None:
    """Where results come from a table, there are no data and no training to repeat at length."""
    plugin = refs.locate("evaluator", run.evaluator.name)
    if not hasattr(plugin, "states_seconds") or "split" in refs.options_of(plugin):
        return
    if not chosen:
        raise BadRunFile(
            f"the evaluator {run.evaluator.name!r} looks results up in a table and trains nothing, so that there is no "
            "training in full; leave `final` out"
        )
    listed = json.dumps([list(candidate.genotype) for candidate in chosen], separators=(",", ":"))
    alone = shlex.join(["--space", str(run.space), "--strategy", f"listed(genotypes={listed})"])
    raise BadRunFile(
        "the run looked its results up in a table, so that nothing was trained; train in a run of its own, by "
        f"`netwright search {alone} --task TASK --trials {len(chosen)} --out FOLDER` and then `netwright train FOLDER`"
    )


def folder_name(run: RunFile) -> str:
    """Where trainings of this run file stand within the run's folder: other networks or settings stand elsewhere."""
    same = replace(run, limits=Limits(), executor=RunFile.executor, threads_per_trial=None, evaluator=_essential(run))
    tables = run_file.to_tables(same)
    return PREFIX + genes.digest(json.dumps(tables, sort_keys=True))[:8]


def remember(store: Store, chosen: Sequence[Candidate], command: str, now: float) -> None:
    """Note in the table of trainings what they are of, the command that repeats them, and the time, in seconds."""
    store.remember("candidates", json.dumps([asdict(candidate) for candidate in chosen]))
    store.remember("command", command)
    store.remember("asked", repr(now))


def are_in(store: Store) -> bool:
    """Whether the table, which is closed, is one of trainings."""
    try:
        return store.recall("candidates") is not None
    finally:
        store.close()


def recall(store: Store) -> list[Candidate]:
    """The candidates of a table of trainings."""
    listed = json.loads(store.recall("candidates") or "[]")
    return [Candidate(**{**fields, "genotype": tuple(fields["genotype"])}) for fields in listed]


def results(store: Store, run: RunFile, folder: Path) -> list[Final]:
    """What was measured of each candidate; those whose trainings all failed are left out.

    Args:
        store: The table of the trainings.
        run: Their run file.
        folder: Where the table is.
    """
    found: list[Final] = []
    trials, command = store.finished(), store.recall("command") or ""
    measures = objectives.from_json(store.recall("measures"))
    objective = objectives.first(objectives.named(run.objectives, trials), measures)
    metric = objective.name
    for candidate in recall(store):
        rows = [
            trial
            for trial in sorted(trials, key=lambda trial: trial.id)
            if trial.proposal.genotype == candidate.genotype and trial.result and metric in trial.result.metrics
        ]
        measured = [(row.seed, row.result.metrics) for row in rows if row.result]
        if not measured:
            continue
        trained = [Trained(seed, int(metrics.get("params", 0)), metrics[metric]) for seed, metrics in measured]
        values = [each.value for each in trained]
        found.append(
            Final(
                label=candidate.label,
                trial_id=candidate.trial_id,
                space=run.space,
                genotype=candidate.genotype,
                setting=setting(run),
                objective=objective,
                params=round(statistics.fmean(each.params for each in trained)),
                mean=statistics.fmean(values),
                sd=statistics.stdev(values) if len(values) > 1 else None,
                n=len(values),
                reference=candidate.is_reference,
                folder=folder / "trials" / f"{rows[0].id:06d}",
                command=command,
                way=genes.digest(f"{run.task} {_essential(run, PLACES)}"),
                trained=tuple(trained),
            )
        )
    return found


def setting(run: RunFile) -> str:
    """How long is trained, and at which scale, in a few words."""
    options = run.evaluator.options
    length = [f"{options[name]:,} {name}" for name in ("epochs", "steps") if options.get(name)]
    scale = [
        f"{name} {run.space.options[name]}" for name in ("channels", "repeats", "skeleton") if name in run.space.options
    ]
    return ", ".join([*length, *scale])


def _essential(run: RunFile, without: Collection[str] = ()) -> Reference:
    """The evaluator without what changes no result, and without further options."""
    left_out = INCIDENTAL.union(without)
    options = {name: value for name, value in run.evaluator.options.items() if name not in left_out}
    return Reference(run.evaluator.name, options)
