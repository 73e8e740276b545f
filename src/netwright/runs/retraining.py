"""Full trainings: which networks, next to which references, in which folders; the work itself is a search's."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netwright.core import objectives, refs, run_file
from netwright.core.errors import BadReference, StoreError
from netwright.core.finals import BEST, RESIDUAL, Candidate, Final
from netwright.core.places import PLACES
from netwright.core.protocols import SearchSpace, Task, has_networks_for, of_seed, unwrap
from netwright.core.records import Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.shapes import describe
from netwright.plans.plan import HasPlan
from netwright.report import curves
from netwright.runs import beforehand, run_folder, trainings
from netwright.runs.session import Session, memory_estimate, short
from netwright.spaces import residual
from netwright.spaces.residual import ResidualSpace
from netwright.training import ranks

DEAREST = 8  # times the multiply-adds of the network found, beyond which a reference is not worth its time
Changes = Mapping[str, Mapping[str, Any]]


def chosen(folder: Path, trials: Sequence[Trial], trial: int | None, top: int | None) -> list[Candidate]:
    """Networks of a search.

    Args:
        folder: Of the search, for messages.
        trials: Finished, with scores.
        trial: This one; None: the best.
        top: Instead: so many of the best, of different networks.

    Raises:
        BadReference: No such trial.
        StoreError: None has succeeded.
    """
    if top is not None:
        found = enumerate(curves.ten_best(trials, top), 1)
        listed = [Candidate(f"number {n} of the search", t.proposal.genotype, t.id) for n, t in found]
    elif trial is not None:
        rows = {row.id: row for row in trials}
        if trial not in rows:
            known = f"it has finished trials {min(rows)} to {max(rows)}" if rows else "nothing was searched there"
            raise BadReference(f"{short(folder)} has no finished trial {trial}; {known}")
        listed = [Candidate(f"trial {trial}", rows[trial].proposal.genotype, trial)]
    else:
        best = objectives.best(trials)
        listed = [Candidate(BEST, best.proposal.genotype, best.id)] if best else []
    if not listed:
        raise StoreError(f"{short(folder)} has no successful trial to train; give the folder of a search, or zoo:NAME")
    return listed


def published(settings: RunFile, name: str) -> tuple[RunFile, list[Candidate]]:
    """Settings whose space is that of an entry of the zoo, at the settings' own scale, and the entry."""
    entry = refs.locate("zoo", name)
    own = refs.reference_of("space", entry.space)
    scale = settings.space.options if settings.space.name == own.name else {}
    space = Reference(own.name, {**own.options, **scale})
    budget = {option: value for option, value in settings.evaluator.options.items() if option in trainings.BUDGETS}
    final = {**budget, **(settings.final or {})}  # nothing was searched: the evaluator's budget is for this training
    return replace(settings, space=space, final=final), [Candidate(f"zoo:{name}", entry.genotype)]


def ranked(
    session: Session, folder: Path, settings: RunFile, candidates: Sequence[Candidate], changes: Changes
) -> Candidate:
    """The one that does best on the validation data when all are trained in full on the training data."""
    session.say(f"{len(candidates)} networks are trained on the training data and ranked by the validation data")
    finals = train(session, folder, settings, candidates, changes, "valid")
    if not finals:
        raise StoreError(f"all trainings failed; see the logs in {short(folder)}")
    first = max(finals, key=lambda final: final.objective.score(final.mean))
    winner = next(candidate for candidate in candidates if candidate.genotype == first.genotype)
    return replace(winner, label=f"best of {len(candidates)} retrained")


def train_with_reference(
    session: Session, folder: Path, settings: RunFile, candidates: Sequence[Candidate], changes: Changes
) -> list[Final]:
    """Train candidates and test them, then a plain residual network of the size of the first, the same way."""
    finals = train(session, folder, settings, candidates, changes, "test")
    run = trainings.run_of(settings, candidates, changes)
    task: Task = refs.load("task", run.task)
    space: SearchSpace = refs.load("space", run.space)
    if not finals or not unwrap(space, HasPlan):
        return finals
    plain = Reference("residual")
    rivals: ResidualSpace = refs.load("space", plain)
    if not has_networks_for(rivals, task.io):
        session.say(f"no plain residual network to compare with: there is none for {describe(task.io.input)}")
        return finals
    genotype = residual.nearest(rivals, task.io, finals[0].params)
    drawn = of_seed(space, finals[0].trained[0].seed)  # that of another seed need not fit
    cost, own = (s.count(g, task.io).multiply_adds for s, g in ((rivals, genotype), (drawn, finals[0].genotype)))
    if cost > DEAREST * own:
        session.say(f"no plain residual network to compare with: one of this size costs {cost / own:.0f} times as much")
        return finals
    reference = Candidate(RESIDUAL, genotype, is_reference=True)
    others = {part: options for part, options in changes.items() if part != "space"}
    if placed := {name: place.off for name, place in PLACES.items() if name in run.evaluator.options}:
        others["evaluator"] = {**others.get("evaluator", {}), **placed}
    return finals + train(session, folder, replace(settings, space=plain), [reference], others, "test")


def train(
    session: Session,
    folder: Path,
    settings: RunFile,
    candidates: Sequence[Candidate],
    changes: Changes,
    split: str,
) -> list[Final]:
    """Train and measure each network; those in the table already are not trained again.

    Args:
        session: Says what happens.
        folder: Of the run; the trainings stand in one within.
        settings: Of the search.
        candidates: The networks.
        changes: Options by part.
        split: Where to measure.

    Raises:
        Drained: It was stopped on the way.
    """
    run = trainings.run_of(settings, candidates, changes, split)
    command = _command(folder, candidates, changes)
    place = folder / trainings.folder_name(run)
    parts = run_file.build(run)
    ranks.check_workers(parts.executor.workers)
    if not _is_complete(place, run):
        names = ", ".join(candidate.label for candidate in candidates[:3]) + (", ..." if len(candidates) > 3 else "")
        session.say(f"{run.limits.trials} full training{'s' if run.limits.trials != 1 else ''}: {names}")
        session.prepare(run.task, parts)
        genotypes = [candidate.genotype for candidate in candidates]
        beforehand.check(parts.evaluator, genotypes, data_is_ready=True)
        if estimate := memory_estimate(parts, genotypes):
            session.say(estimate)
    if run_folder.holds_run(place):
        run = replace(
            run, threads_per_trial=None, evaluator=_begun(place).evaluator
        )  # what changes no result, as it was
    store, run = run_folder.take(place, run)
    try:
        session.note(store, command, parts)
        trainings.remember(store, candidates, session.command or command, time.time())
        session.control(store, run, parts, place, "full trainings")
        finals = trainings.results(store, run, place)
        failed = [trial.result.message for trial in store.finished() if trial.result and trial.result.failure]
    finally:
        store.close()
    if failed:
        reason = failed[0].strip().rpartition("\n")[2]
        session.say(
            f"{len(failed)} of {run.limits.trials} trainings failed: {reason}; remove {short(place)} to train again"
        )
    for final in finals:
        session.say(f"{final.metric} {measured(final)}, {size(final)}: {final.label}")
    return finals


def _is_complete(place: Path, run: RunFile) -> bool:
    """Whether all trainings of the run are in the folder."""
    if not run_folder.holds_run(place):
        return False
    store = run_folder.open_table(place, "read")
    try:
        return len(store.finished()) == run.limits.trials
    finally:
        store.close()


def _begun(place: Path) -> RunFile:
    """The run file with which the trainings of a folder began."""
    store = run_folder.open_table(place, "read")
    try:
        return run_folder.stored_run(store, place)
    finally:
        store.close()


def _command(folder: Path, candidates: Sequence[Candidate], changes: Changes) -> str:
    """What does the same on a command line."""
    first = candidates[0]
    target = first.label if first.label.startswith("zoo:") else short(folder)
    which = [] if first.trial_id is None else ["--trial", str(first.trial_id)]
    options = [(f"--{part}.{name}", str(value)) for part, given in changes.items() for name, value in given.items()]
    return shlex.join(["netwright", "train", target, *which, *(word for pair in options for word in pair)])


def measured(final: Final) -> str:
    """Mean, spread and number of trainings as text; shares in percent."""
    is_share = final.objective.is_share
    mean = f"{final.mean:.2%}" if is_share else f"{final.mean:.4g}"
    spread = "" if final.sd is None else f" +- {final.sd:.2%}" if is_share else f" +- {final.sd:.2g}"
    return mean + spread + (f" (n = {final.n})" if final.n > 1 else "")


def size(final: Final) -> str:
    """Parameters as text; of several networks of a generator their mean and range."""
    sizes = sorted({each.params for each in final.trained})
    if len(sizes) < 2:
        return f"{final.params:,} parameters"
    return f"{final.params:,} parameters on average ({sizes[0]:,} to {sizes[-1]:,})"
