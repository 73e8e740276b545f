"""`train --front`: every network of a front trained anew, then one of them in full.

The search measured each point once, and kept those that were lucky. So all of them are trained again, from seeds that
the search did not draw, on the training data alone, and measured where the search measured: old and new values stand
side by side. By the new ones a point is chosen, and of a generator's networks the best, which is then trained on
training and validation data and tested: what `export` ships.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from netwright.core import choosing, objectives, refs
from netwright.core.building import load_space
from netwright.core.choosing import Which
from netwright.core.errors import BadReference, StoreError
from netwright.core.finals import KNEE, ON_FRONT, Candidate, Final
from netwright.core.latency import LATENCY
from netwright.core.objectives import Objective
from netwright.core.protocols import draws_networks
from netwright.core.run_file import RunFile, override
from netwright.report import fronts
from netwright.report.history import History
from netwright.report.retrained import Retrained
from netwright.runs import reporting, retraining
from netwright.runs.candidates import refuse_damaged
from netwright.runs.session import Session, short


def candidates(folder: Path, settings: RunFile, history: History, which: Which) -> list[Candidate]:
    """The networks of the front, each once.

    Args:
        folder: Folder of the search, for messages.
        settings: Its run file.
        history: Its finished trials.
        which: The point that is to be chosen, once all are trained.

    Raises:
        BadReference: The run has one objective, a generator of it cannot be held to one network, or the point is chosen
            by what no trial measured.
        StoreError: No trial has succeeded, or some are damaged, which may be on the front.
    """
    if len(settings.objectives or ()) < 2:
        raise BadReference(
            f"--front trains the front of several objectives, and {short(folder)} has one; leave it out for the best, "
            "or search with --objectives"
        )
    if _draws_networks(settings, {}) and "fixed" not in refs.options_of(refs.locate("space", settings.space.name)):
        raise BadReference(
            f"--front trains one network of a generator again, and the space {settings.space.name} has no option "
            "`fixed` to hold to it; train one point, by --knee or --trial"
        )
    refuse_damaged(folder, history)
    trials = history.trials(fronts.places(history))
    if not trials:
        raise StoreError(f"{short(folder)} has no successful trial to train; give the folder of a search")
    choosing.refuse_unmeasured([trial.result.metrics for trial in trials if trial.result], which.conditions)
    first = {trial.proposal.genotype: trial.id for trial in reversed(trials)}
    ordered = dict.fromkeys(trial.proposal.genotype for trial in trials)
    return [Candidate(ON_FRONT, genotype, first[genotype]) for genotype in ordered]


def measuring(settings: RunFile, searched: RunFile) -> RunFile:
    """Settings of trainings that measure what a search measured, also where a recipe says how to train.

    Args:
        settings: Run file of the trainings.
        searched: Run file of the search.
    """
    first = Objective.read((searched.objectives or ("",))[0]).name
    names = tuple(settings.metrics or ())
    if searched.names_latency and LATENCY.name not in (first, *names):  # the networks may have another scale now
        names = (*names, LATENCY.name)
    return replace(settings, objectives=searched.objectives, metrics=names or None, latency=searched.latency)


def train(
    session: Session,
    folder: Path,
    settings: RunFile,
    history: History,
    listed: list[Candidate],
    which: Which,
    changes: Mapping[str, Mapping[str, Any]],
    *,
    reference: bool,
) -> list[Final]:
    """Train a front anew, say what came of it, and train in full what is chosen.

    Args:
        session: Plays the trainings and says what happens.
        folder: Folder of the run.
        settings: Run file of the trainings, which measure what the search did (`measuring`).
        history: Finished trials of the search.
        listed: The networks of the front.
        which: The point that is trained in full, by the new values; nothing: the best by the first objective.
        changes: Options by part, put over those of the run file.
        reference: Train also a plain residual network of similar size, to compare with.

    Returns:
        What was measured of the one trained in full and its reference, then of those of the front.

    Raises:
        Drained: The trainings were stopped before their end.
        StoreError: All trainings failed.
    """
    session.say(f"the front is trained anew: {len(listed)} points, on the training data alone")
    again = retraining.train_anew(session, folder, settings, listed, changes)
    assert again[0].folder is not None
    goals = objectives.shown(settings.objectives, reporting.measures(folder))
    found = reporting.retrained_in(again[0].folder.parent.parent, history, goals)
    assert found is not None, "else there would be no result"
    for line in found.lines():
        session.say(line)
    point = found.chosen(which)
    chosen = [Candidate(_label(which), point.genotype, point.trial)]
    own = _of_one_network(settings, point, changes)
    play = retraining.train_with_reference if reference else _alone
    return [*play(session, folder, settings, chosen, own), *again]


def _alone(
    session: Session, folder: Path, settings: RunFile, chosen: list[Candidate], changes: retraining.Changes
) -> list[Final]:
    return retraining.train(session, folder, settings, chosen, changes, "test")


def _of_one_network(settings: RunFile, point: Retrained, changes: retraining.Changes) -> retraining.Changes:
    """The changes with which a generator gives that network which did best, trained once; else the same."""
    if not _draws_networks(settings, changes):
        return changes
    network = {"seed": point.seed, "fixed": True}
    final = {**changes.get("final", {}), "repeats": 1}
    return {**changes, "space": {**changes.get("space", {}), **network}, "final": final}


def _draws_networks(settings: RunFile, changes: retraining.Changes) -> bool:
    """Whether the seed of a training draws its network; not of a generator that is held to one."""
    space = load_space(override(settings, "space", changes.get("space", {})).space)
    return draws_networks(space)


def _label(which: Which) -> str:
    if which.knee:
        return f"{KNEE}, trained anew"
    beside = f" with {' and '.join(map(str, which.conditions))}" if which.at else ""
    return f"best of the front trained anew{beside}"
