"""What a report shows of a run, read from its folder. No torch: a look at a run costs no framework."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np

from netwright.core import building, in_full, objectives, remembered, run_file, trained_rounds
from netwright.core.contest import ContestRecord
from netwright.core.finals import ON_FRONT, SAMPLED, Final
from netwright.core.objectives import Objective
from netwright.core.protocols import SearchSpace
from netwright.core.run_file import RunFile
from netwright.core.trust import Trust
from netwright.report import importance as importances
from netwright.report import ranking as rankings
from netwright.report import retrained as retrained_fronts
from netwright.report.history import History
from netwright.report.importance import Importance
from netwright.report.ranking import SampleRanking, Trainings
from netwright.report.reported import ReportedRun
from netwright.report.retrained import RetrainedFront
from netwright.runs import finals, run_folder


def reported(folder: Path, trust: Trust = Trust(), *, importance: bool = False) -> ReportedRun:
    """What a report shows of a run, or of its last trainings where nothing was searched; what is damaged is left out.

    Args:
        folder: The folder of the run.
        trust: Which plug-ins may be loaded.
        importance: Whether to work out which genes matter, which takes seconds.

    Raises:
        BadReference: The run names a plug-in that is not trusted.
    """
    folders = run_folder.trainings(folder, "inspect")
    place = folder if run_folder.holds_run(folder) or not folders else folders[-1]
    with closing(run_folder.open_table(place, "inspect")) as store:
        settings = run_folder.stored_run(store, place, trust)
        hours, command = remembered.number(store, "hours"), store.recall("command")
        simulated = remembered.number(store, "simulated_hours")
        versions, caveats = remembered.table(store, "versions"), remembered.texts(store, "caveats")
        measures = remembered.measures(store)
        known = remembered.baselines(store)
        count = len(settings.objectives or ())
        reference = remembered.reference_point(store, count) if count > 1 else None
        contest, io = remembered.contest(store), store.recall("io")
    history, space = run_folder.history(place, settings.objectives), building.load_space(settings.space)
    found, faults = _trained(folders, trust, "inspect")
    return ReportedRun(
        folder.name,
        settings,
        history,
        space,
        hours or None,
        tuple(found),
        settings.workers,
        command or "",
        versions,
        caveats,
        simulated or None,
        measures,
        known,
        (*history.faults, *(fault for fault in faults if place == folder)),
        contest.verdict if contest else "",
        _shipped(contest, found) if contest else None,
        run_file.read_io(io) if io else None,
        folder,
        export if (export := folder / run_folder.EXPORT).is_dir() else None,
        reference,
        importance_of(history, space, settings, measures) if importance else None,
        retrained=_retrained(folders, history, objectives.shown(settings.objectives, measures)) if count > 1 else None,
        ranking=_ranking(folder, folders, history, objectives.first(settings.objectives, measures)),
    )


def measures(folder: Path) -> tuple[Objective, ...]:
    """What the evaluator of a run measures."""
    with closing(run_folder.open_table(folder, "inspect")) as store:
        return remembered.measures(store)


def retrained(folder: Path, names: Sequence[str] | None) -> RetrainedFront | None:
    """The front of a run as it was last trained anew; None: it never was, or there is one objective.

    Args:
        folder: Folder of the run.
        names: Its objectives, as the run file has them.
    """
    if len(names or ()) < 2:
        return None
    goals = objectives.shown(names, measures(folder))
    return _retrained(run_folder.trainings(folder, "inspect"), run_folder.history(folder, names), goals)


def retrained_in(place: Path, history: History, goals: Sequence[Objective]) -> RetrainedFront | None:
    """The front as it was trained anew in a folder of trainings; None: these are others, or none has succeeded.

    Args:
        place: The folder of the trainings.
        history: Finished trials of the search.
        goals: Its objectives, at least two.
    """
    with closing(run_folder.open_table(place, "inspect")) as store:
        candidates, rows = remembered.candidates(store), store.finished()
    own = run_folder.settings_in(place)
    if own is None or not candidates or any(candidate.label != ON_FRONT for candidate in candidates):
        return None
    return retrained_fronts.of(history, goals, candidates, rows, finals.setting(own, rows))


def _retrained(folders: Sequence[Path], history: History, goals: Sequence[Objective]) -> RetrainedFront | None:
    every = (retrained_in(place, history, goals) for place in reversed(folders))
    return next((found for found in every if found), None)


def ranking(folder: Path, names: Sequence[str] | None) -> SampleRanking | None:
    """What the sample of a run that was trained alone says of its scores; None: none was, or fewer than 3 networks.

    Args:
        folder: Folder of the run.
        names: Its objectives, as the run file has them.
    """
    goal = objectives.first(names, measures(folder))
    return _ranking(folder, run_folder.trainings(folder, "inspect"), run_folder.history(folder, names), goal)


def _ranking(folder: Path, folders: Sequence[Path], history: History, goal: Objective) -> SampleRanking | None:
    rounds = trained_rounds.noted(folder / trained_rounds.SHARED)
    spent = rounds[-1].seconds if rounds else 0.0
    return rankings.of(history, goal, [found for place in folders if (found := _sampled(place))], spent)


def _sampled(place: Path) -> Trainings | None:
    """The trainings of a sample in a folder; None: these are others."""
    with closing(run_folder.open_table(place, "inspect")) as store:
        candidates = remembered.candidates(store)
        if not candidates or any(candidate.label != SAMPLED for candidate in candidates):
            return None
        rows = store.finished()
    own = run_folder.settings_in(place)
    if own is None:
        return None
    length = list(in_full.of(own.evaluator).budget(own.evaluator.options).items())
    known = length[0] if len(length) == 1 and isinstance(length[0][1], int | float) else None
    return Trainings(candidates, rows, finals.setting(own, rows), known)


def importance_of(history: History, space: SearchSpace, settings: RunFile, measures: Sequence[Objective]) -> Importance:
    """How much each gene of the space decides of the first objective, by the trials of a run."""
    objective = objectives.first(settings.objectives, measures)
    return importances.of_history(history, space.genes, objective, np.random.default_rng(settings.seed))


def _shipped(contest: ContestRecord, finals: Sequence[Final]) -> Final | None:
    """What ships after a contest, among all networks that were trained in full; None: that is not known yet."""
    return next(
        (
            final
            for final in finals
            if final.folder is not None
            and final.folder.parent.parent.name == contest.trainings
            and final.genotype == contest.genotype
        ),
        None,
    )


def trained(folder: Path, trust: Trust = Trust()) -> list[Final]:
    """Every network of a run that was trained in full, those asked for last first, references at the end.

    Networks of a sample (`ranking`) are left out.

    Raises:
        StoreError: The table of trainings is damaged.
    """
    return _trained(run_folder.trainings(folder), trust, "read")[0]


def _trained(folders: Sequence[Path], trust: Trust, mode: Literal["read", "inspect"]) -> tuple[list[Final], list[str]]:
    """The networks of trainings, in order of their folders, and what of them is damaged."""
    found: list[Final] = []
    faults: list[str] = []
    for place in reversed(folders):
        with closing(run_folder.open_table(place, mode)) as store:
            came = finals.results(store, run_folder.stored_run(store, place, trust), place)
            found += [final for final in came if final.label != SAMPLED]
            faults += [f"{place.name}: {fault}" for fault in (store.faults() if mode == "inspect" else ())]
    return sorted(found, key=lambda final: final.reference), faults
