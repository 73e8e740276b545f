"""Training in full: which networks, next to which references, with which settings. Each set of trainings is a run."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from netwright.core import building, genes, in_full, objectives, reading, refs, run_file, seeds, whereabouts
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.finals import BEST, ON_FRONT, RESIDUAL, SAMPLED, Candidate, Final
from netwright.core.protocols import (
    HasFingerprint,
    StatesSeconds,
    Task,
    TrainsInFull,
    has_networks_for,
    of_seed,
    unwrap,
)
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.core.shapes import describe
from netwright.plans.plan import HasPlan
from netwright.runs import beforehand, finals, latencies, ownership, run_folder
from netwright.runs.session import Session, refuse_other_data, short
from netwright.spaces import residual
from netwright.spaces.residual import ResidualSpace

MOST_COSTLY = 8  # times the multiply-adds of the network found, beyond which a reference is not worth its time
Changes = Mapping[str, Mapping[str, Any]]


def published(settings: RunFile, name: str) -> tuple[RunFile, list[Candidate]]:
    """The run file with the space of an entry of the zoo, at the run file's own scale, and the entry."""
    entry = refs.locate("zoo", name)
    own = refs.reference_of("space", entry.space)
    scale = settings.space.options if settings.space.name == own.name else {}
    network = {option: value for option, value in scale.items() if option != "with"}  # no published one has settings
    space = Reference(own.name, {**own.options, **network})
    return replace(_of_training(settings), space=space), [Candidate(f"zoo:{refs.spelled('zoo', name)}", entry.genotype)]


def by_recipe(settings: RunFile, recipe: RunFile, name: str) -> RunFile:
    """The run file of a search with all that a recipe says of training; space and seed stay the search's own.

    Options of the recipe's space say at which scale, so that one for hierarchical cells serves flat ones too.

    Args:
        settings: Run file of the search.
        recipe: What says how to train.
        name: What messages call the recipe.

    Raises:
        BadRunFile: The recipe does not fit the networks of the search.
    """
    given = {"evaluator": recipe.evaluator.options, "task": recipe.task.options, "final": recipe.final or {}}
    _refuse_genes(settings, given)
    scale = {option: value for option, value in recipe.space.options.items() if option != "with"}
    plugin = refs.locate("space", settings.space.name)
    if other := sorted(scale.keys() - refs.options_of(plugin).keys()):
        raise BadRunFile(
            f"{name} sets space.{other[0]}, which the space of the search, {settings.space.name}, does not have; leave "
            "it out of a copy of the recipe"
        )
    found = run_file.override(replace(_of_training(recipe), space=settings.space, seed=settings.seed), "space", scale)
    if building.load_space(found.space).genes != building.load_space(settings.space).genes:
        raise BadRunFile(
            f"{name} changes the genes of the space of the search, {settings.space}, by its own, {recipe.space}; leave "
            "out of a copy of the recipe what is no scale"
        )
    return found


def _of_training(recipe: RunFile) -> RunFile:
    """A recipe by which nothing was searched: the evaluator's length is that of its training in full."""
    budget = in_full.of(recipe.evaluator).budget(recipe.evaluator.options)
    return replace(recipe, final={**budget, **(recipe.final or {})})


def ranked(
    session: Session, folder: Path, settings: RunFile, candidates: Sequence[Candidate], changes: Changes
) -> Candidate:
    """The candidate that does best on the validation data when all are trained in full on the training data."""
    session.say(f"{len(candidates)} networks are trained on the training data and ranked by the validation data")
    found = train(session, folder, settings, candidates, changes, "valid")
    if not found:
        raise StoreError(f"all trainings failed; see the logs in {short(folder)}")
    first = max(found, key=lambda final: final.objective.score(final.mean))
    winner = next(candidate for candidate in candidates if candidate.genotype == first.genotype)
    return replace(winner, label=f"best of {len(candidates)} retrained")


def train_anew(
    session: Session, folder: Path, settings: RunFile, candidates: Sequence[Candidate], changes: Changes
) -> list[Final]:
    """Train what the search has measured, from seeds that it did not draw, which would repeat its luck.

    They are trained on the training data alone and measured on the validation data.

    Args:
        session: Plays the trainings and says what happens.
        folder: Folder of the run.
        settings: Run file of the trainings, which measure what the search did.
        candidates: The networks, at least one, all chosen in one way.
        changes: Options by part, put over those of the run file.

    Raises:
        Drained: The trainings were stopped before their end.
        StoreError: All trainings failed.
    """
    fresh = replace(settings, seed=seeds.trial_seed(settings.seed, candidates[0].label, 0))
    found = train(session, folder, fresh, candidates, changes, "valid")
    if not found:
        raise StoreError(f"all trainings failed; see the logs in {short(folder)}")
    return found


def train_with_reference(
    session: Session, folder: Path, settings: RunFile, candidates: Sequence[Candidate], changes: Changes
) -> list[Final]:
    """Train candidates and test them, then a plain residual network of the first one's size, in the same way."""
    found = train(session, folder, settings, candidates, changes, "test")
    run = run_of(settings, candidates, changes)
    task: Task = refs.load("task", run.task)
    space = building.load_space(run.space)
    if not found or not unwrap(space, HasPlan):
        return found
    plain = Reference("residual")
    rivals: ResidualSpace = refs.load("space", plain)
    if not has_networks_for(rivals, task.io):
        session.say(f"no plain residual network to compare with: there is none for {describe(task.io.input)}")
        return found
    genotype = residual.nearest(rivals, task.io, found[0].params)
    drawn = of_seed(space, found[0].repetitions[0].seed)  # the network of another seed may not fit
    cost, own = (s.count(g, task.io).multiply_adds for s, g in ((rivals, genotype), (drawn, found[0].genotype)))
    if cost > MOST_COSTLY * own:
        session.say(f"no plain residual network to compare with: one of this size costs {cost / own:.0f} times as much")
        return found
    chosen, searched = found[0].genotype, run.space.options.get("with")
    if searched:  # the reference is trained with the settings that the search found
        plain = Reference(plain.name, {"with": searched})
        genotype = (*genotype, *chosen[len(chosen) - len(searched) :])
    reference = Candidate(RESIDUAL, genotype, is_reference=True)
    others = {part: options for part, options in changes.items() if part != "space"}
    if placed := in_full.of(run.evaluator).without_places(run.evaluator.options):
        others["evaluator"] = {**others.get("evaluator", {}), **placed}
    return found + train(session, folder, replace(settings, space=plain), [reference], others, "test")


def train(
    session: Session,
    folder: Path,
    settings: RunFile,
    candidates: Sequence[Candidate],
    changes: Changes,
    split: str,
    *,
    budget: int | None = None,
    exactly: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
) -> list[Final]:
    """Train and measure each network; those in the table already are not trained again.

    Args:
        session: Plays the trainings and says what happens.
        folder: Folder of the run; the trainings have one within it.
        settings: Run file of the search.
        candidates: The networks.
        changes: Options by part, put over those of the run file.
        split: Name of the split to measure on, "valid" or "test".
        budget: Budget of each training, in the evaluator's unit; None: the length that the options say.
        exactly: Options of the evaluator, put over all others as they are.
        threads: Threads of each training; None: those of the search, or where fewer train side by side, more.

    Raises:
        Drained: The trainings were stopped before their end.
    """
    run = run_of(settings, candidates, changes, split, budget=budget, exactly=exactly, threads=threads)
    place = place_of(folder, run)
    if run_folder.holds_run(place):
        run = replace(run, threads_per_trial=None)  # as it began
    command = session.command or _command(folder, candidates, changes)
    with ownership.opened(place, run) as opened:
        parts = latencies.build(opened.settings, place)
        if opened.is_complete:
            refuse_other_data(place, parts.task)
        else:
            names = "; ".join(candidate.name for candidate in candidates[:3]) + ("; ..." * (len(candidates) > 3))
            session.say(f"{run.limits.trials} full training{'s' if run.limits.trials != 1 else ''}: {names}")
        ended = session.play(
            opened,
            parts,
            title="full trainings",
            facts=finals.facts(candidates, command, time.time()),
            genotypes=[candidate.genotype for candidate in candidates],
            goes_on=True,
        )
        with closing(run_folder.open_table(place, "read")) as store:
            found = finals.results(store, opened.settings, place)
    failed = [trial.result.message for trial in ended.trials if trial.result and trial.result.failure]
    if failed:
        reason = failed[0].strip().rpartition("\n")[2]
        session.say(
            f"{len(failed)} of {run.limits.trials} trainings failed: {reason}; remove {short(place)} to train again"
        )
    for final in found:
        session.say(finals.result(final))
    return found


def run_of(
    run: RunFile,
    chosen: Sequence[Candidate],
    changes: Changes,
    split: str = "test",
    *,
    budget: int | None = None,
    exactly: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
) -> RunFile:
    """The run file of trainings: the run's own options, over them those of `final`, over them `changes`.

    Args:
        run: Run file of the search.
        chosen: The networks.
        changes: Options by part; "repeats" of "final" is the number of trainings of each network, from different seeds.
        split: Split to measure on; for "test", training and validation data are both trained on.
        budget: Budget of each training, which replaces the length that the options say; None: there is none.
        exactly: Options of the evaluator, put over all others as they are.
        threads: Threads of each training; None: those of the search, or where fewer train side by side, more.
    """
    _refuse_genes(run, changes)
    layers = [dict(layer) for layer in (run.final or {}, changes.get("final", {}), changes.get("evaluator", {}))]
    repeats = [layer.pop("repeats") for layer in layers if "repeats" in layer][-1:]
    each = repeats[0] if repeats else 1
    if type(each) is not int or each < 1:
        raise BadRunFile(f"final.repeats is {each!r}; it must be a whole number of at least 1")
    run = replace(run, evaluator=in_full.trainer(run.evaluator))
    says = in_full.of(run.evaluator)
    options = says.options(run.evaluator.options, layers, split)
    if budget is not None:
        options = {name: value for name, value in options.items() if name not in says.lengths}
    options |= exactly
    for part in ("space", "task", "executor"):
        run = run_file.override(run, part, run_file.with_absolute_path(changes.get(part, {})))
    genotypes = tuple(dict.fromkeys(candidate.genotype for candidate in chosen))
    count, workers = len(genotypes) * each, run.executor.options.get("workers")
    if isinstance(workers, int) and workers > count:
        run = run_file.override(run, "executor", {"workers": count})
        run = replace(run, threads_per_trial=None)  # the remaining workers share the machine
    if threads is not None:
        run = replace(run, threads_per_trial=threads)
    at_length = {} if budget is None else {"budget": budget}
    return replace(
        run,
        strategy=Reference("listed", {"genotypes": [list(g) for g in genotypes], "repeats": each, **at_length}),
        evaluator=Reference(run.evaluator.name, options),
        objectives=run.objectives and _measured_on(split, run.objectives),
        metrics=run.metrics and tuple(str(each.moved_to(split)) for each in objectives.beside(run.metrics)),
        reference_point=None,
        constraints=(),
        reuse=False,
        keep="all",
        limits=Limits(trials=count, failures_in_a_row=0),
        final=None,
    )


def _measured_on(split: str, names: Sequence[str]) -> tuple[str, ...]:
    """The first objective on that split, and the others that belong to a split."""
    first, *others = objectives.shown(names)
    return tuple(str(each.moved_to(split)) for each in (first, *(other for other in others if other.split)))


def _refuse_genes(run: RunFile, changes: Changes) -> None:
    """Refuse options that are among the genes of the run's space, which decide all the same. Raises BadRunFile."""
    if "with" in changes.get("space", {}):
        raise BadRunFile(
            "--space.with says what a search draws; a network is trained with what was drawn, so leave it out"
        )
    searched = [table["name"] for table in run.space.options.get("with", ())]
    given = {"final": run.final or {}, **changes}
    for part in ("final", "evaluator", "task"):
        for option in given.get(part, {}):
            if option in searched:
                raise BadRunFile(
                    f"{part}.{option} is given, but {option} is among the genes of the search, so that each network is "
                    "trained with its own; leave it out"
                )


def folder_name(run: RunFile) -> str:
    """Name of the folder of these trainings within the run's: another one for other networks or options."""
    evaluator = Reference(run.evaluator.name, in_full.of(run.evaluator).essential(run.evaluator.options))
    same = replace(run, limits=Limits(), executor=RunFile.executor, threads_per_trial=None, evaluator=evaluator)
    same = replace(same, published=None)
    return run_folder.TRAININGS + genes.digest(json.dumps(run_file.to_tables(same), sort_keys=True))[:8]


def place_of(folder: Path, run: RunFile) -> Path:
    """The folder of these trainings within the run's, also where they began with the same data in another place."""
    place = folder / folder_name(run)
    if run_folder.holds_run(place) or not whereabouts.of(run.task):
        return place
    for other in run_folder.trainings(folder):
        begun = run_folder.settings_in(other)
        if begun is None or begun.evaluator.name != run.evaluator.name:
            continue
        is_same = folder_name(replace(begun, task=run.task)) == place.name
        if is_same and whereabouts.differ_alone(begun.task, run.task) and _has_data_of(other, run.task):
            return other
    return place


def _has_data_of(folder: Path, reference: Reference) -> bool:
    """Whether the trainings in a folder have the data that a task has now."""
    with closing(run_folder.open_table(folder, "read")) as store:
        known = store.recall("data")
    task: Task = refs.load("task", reference)
    if known is None or not isinstance(task, HasFingerprint):
        return False
    return whereabouts.is_same_data(known, task.fingerprint())


def check(run: RunFile, changes: Changes, chosen: Sequence[Candidate] = (), *, data_is_ready: bool = False) -> None:
    """Refuse trainings that could not be made.

    Args:
        run: Run file of the search.
        changes: Options by part, put over those of the run file.
        chosen: The networks; empty: they are not known yet, and samples of the space are checked.
        data_is_ready: Whether the task is prepared.

    Raises:
        NetwrightError: Options cannot be used, or each training would fail with them.
    """
    _refuse_lookup(run, chosen)
    final = run_of(run, [Candidate(BEST, ())], changes)
    evaluator = building.build_evaluator(final)
    known = [candidate.genotype for candidate in chosen]
    genotypes = known or beforehand.samples(building.load_space(final.space), run.seed)
    beforehand.check(evaluator, genotypes, data_is_ready=data_is_ready)


def _refuse_lookup(run: RunFile, chosen: Sequence[Candidate]) -> None:
    """Refuse training in full where results come from a table: there are no data and no training to repeat."""
    plugin = refs.locate("evaluator", run.evaluator.name)
    if not isinstance(plugin, StatesSeconds) or isinstance(plugin, TrainsInFull):
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


def _command(folder: Path, candidates: Sequence[Candidate], changes: Changes) -> str:
    """The command that does the same."""
    first = candidates[0]
    target = first.label if first.label.startswith("zoo:") else short(folder)
    which = [] if first.trial_id is None else ["--trial", str(first.trial_id)]
    if first.label == ON_FRONT:
        which = ["--front"]
    if first.label == SAMPLED:
        which = ["--sample", str(len(candidates))]
    options = [(f"--{part}.{name}", _typed(value)) for part, given in changes.items() for name, value in given.items()]
    return shlex.join(["netwright", "train", target, *which, *(word for pair in options for word in pair)])


def _typed(value: Any) -> str:
    """A value as an option is typed: text as it is, all else as run files have it."""
    return value if isinstance(value, str) else reading.spelled(value)
