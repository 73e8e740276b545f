"""Which networks of a search are trained in full: the best and its references, or those that a user means."""

from __future__ import annotations

from pathlib import Path

from netwright.core.choosing import Which
from netwright.core.errors import BadReference, StoreError
from netwright.core.finals import BEST, KNEE, RANDOM, TRIVIAL, Candidate
from netwright.core.protocols import HasTrivial, SearchSpace, unwrap
from netwright.report import curves, fronts
from netwright.report.history import History
from netwright.runs.session import short


def of_search(space: SearchSpace, history: History) -> list[Candidate]:
    """The best trial, the best of those without parents, and the trivial genotype where the space has one.

    Of equal scores the first to finish counts as best.
    """
    best, unborn = history.best_trial, history.best(among=history.parents == 0)
    first = None if unborn is None else history.trials([unborn])[0]
    listed = [Candidate(BEST, best.proposal.genotype, best.id)] if best else []
    if first and best and first.proposal.genotype != best.proposal.genotype:
        listed.append(Candidate(RANDOM, first.proposal.genotype, first.id, is_reference=True))
    with_trivial = unwrap(space, HasTrivial)
    return [*listed, Candidate(TRIVIAL, with_trivial.trivial(), is_reference=True)] if with_trivial else listed


def chosen(folder: Path, history: History, which: Which, top: int | None = None) -> list[Candidate]:
    """Networks of a search that are to be trained in full.

    Args:
        folder: Folder of the search, for messages.
        history: Finished trials of the search.
        which: The trial to take.
        top: Number of the best trials of different networks to take instead; None: one alone.

    Raises:
        BadReference: No trial with that number has finished, or the front has no such point.
        StoreError: No trial has succeeded; or the best is asked for, and some are damaged, which may be the best.
    """
    if top is not None or which.trial is None:
        refuse_damaged(folder, history)
    if top is not None:
        found = enumerate(curves.finalists(history, top), 1)
        listed = [Candidate(f"number {n} of the search", t.proposal.genotype, t.id) for n, t in found]
    else:
        trial = fronts.chosen(history, which)
        if trial is None and which.trial is not None:
            finished = f"it has finished trials {history.ids.min()} to {history.ids.max()}" if len(history) else ""
            known = finished or "nothing was searched there"
            raise BadReference(f"{short(folder)} has no finished trial {which.trial}; {known}")
        listed = [Candidate(_label(which), trial.proposal.genotype, trial.id)] if trial else []
    if not listed:
        raise StoreError(f"{short(folder)} has no successful trial to train; give the folder of a search, or zoo:NAME")
    return listed


def refuse_damaged(folder: Path, history: History) -> None:
    """Refuse to say what is best where trials are damaged. Raises StoreError."""
    if history.faults:
        raise StoreError(
            f"{short(folder)} holds trials that are damaged or missing ({history.faults[0]}), one of which may be the "
            f"best; `netwright search --out {short(folder)}` asks them again, or name a trial with --trial"
        )


def _label(which: Which) -> str:
    if which.trial is not None:
        return f"trial {which.trial}"
    if which.knee:
        return KNEE
    return f"best of the front with {' and '.join(map(str, which.conditions))}" if which.at else BEST
