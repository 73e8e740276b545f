"""The end of a timed run: the few best and a plain network are trained alike, one is chosen by validation and tested.

Two heats. In the first, finalists and reference go on from what the search left, are trained on the training data and
ranked by validation; a network distilled from their averaged outputs may join. In the second, the best one and the
reference are trained on both and tested, which is when the test data is first looked at. What ships is decided before.
All is noted in the table of the run: a contest that was stopped goes on, and trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from netwright.core import building, remembered, settings
from netwright.core.contest import ContestRecord, Entrant, Heat, Shipped
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.finals import SEARCHED, Candidate, Final
from netwright.core.records import Trial, has_stopped_early
from netwright.core.run_file import RunFile
from netwright.core.timetable import PlayedHeat
from netwright.report import curves
from netwright.runs import run_folder
from netwright.runs.session import Session, short
from netwright.runs.timed import averaging, choice, decision, heats, reference, states, threads, verdict
from netwright.runs.timed.choice import Contender
from netwright.runs.timed.heats import Floor, Standings, Times
from netwright.runs.timed.states import Begun
from netwright.training import promotion

SHORTEST = 5.0  # seconds of a training: below, the search's own numbers say as much as a ranking of finalists
MOST_LOOKED_AT = 100  # trials of the search, of which finalists are chosen
COSTLIER = 2.0


@dataclass(frozen=True)
class Contest:
    """How a contest ended.

    Args:
        shipped: Whether what ships is a network of the search or the reference.
        winner: What ships, as it was tested.
        reference: The reference, as it was tested: the winner itself where it ships; None: there is none, or its
            training failed.
        metric: Name of what was measured: "test_accuracy".
        verdict: How the winner does beside the reference, with its interval, in a sentence.
        reason: How validation decided, in a sentence.
        heats: What the clock decided in its heats, by which it can be repeated.
    """

    shipped: Shipped
    winner: Final
    reference: Final | None
    metric: str
    verdict: str
    reason: str
    heats: tuple[PlayedHeat, ...] = ()


def play(
    session: Session,
    folder: Path,
    settings: RunFile,
    timetable: Times,
    until: float,
    reference: str | None = None,
    start_up: float = 0.0,
) -> Contest:
    """Play the contest of a run whose search is over, or go on with it.

    Args:
        session: Plays the trainings and says what happens.
        folder: Folder of the run.
        settings: Its run file.
        timetable: How many enter, and the planned lengths of trainings, whose proportion holds; or heats, which are
            repeated without a clock if the search found the same networks.
        until: `time.monotonic()` at which it must be over.
        reference: The reference that the user names (`reference.check_reference`); None: the plain network.
        start_up: Seconds that a process took to start in this run.

    Raises:
        Drained: It was stopped before its end; the same call goes on.
        BadRunFile: It has begun against another reference.
        StoreError: Nothing could be trained.
    """
    record = recorded(folder) or ContestRecord(reference or "")
    if record.reference != (reference or ""):
        began = f"with --reference {record.reference}" if record.reference else "without --reference"
        raise BadRunFile(f"the contest of {short(folder)} began {began}; give the same, or another folder with --out")
    task = building.build_task(settings)
    floor = Floor(session, folder, settings, task, timetable, until, start_up, timetable.heats)
    if record.heat("final") is None:
        record = _decided(floor, record)
    return _tested(floor, record)


def recorded(folder: Path) -> ContestRecord | None:
    """How far the contest of a run has come; None: none has begun. Raises StoreError where what is noted is damaged."""
    if not run_folder.holds_run(folder):
        return None
    with closing(run_folder.open_table(folder, "read")) as store:
        return remembered.contest(store)


def _decided(floor: Floor, record: ContestRecord) -> ContestRecord:
    """The first heat, the decision, and the second heat as it is noted before it begins."""
    heat = record.heat("rank")
    best: list[Trial] = []
    if heat is None:
        best = _finalists(floor)
        heat = _rank(floor, record.reference, best)
    rival = next((each for each in heat.entrants if each.candidate.is_reference), None)
    ranked: Standings = []
    if floor.repeats and not _is_repeated(floor, heat, rival):
        floor.session.say("the search did not come to the networks of the timetable, so its contest goes by the clock")
        floor = replace(floor, repeats=())
    if len(heat.entrants) == 1:
        first = heat.entrants[0]
        reason = "there is no plain network to compare with" if rival is None else _alone(first, best)
    elif not heat.ends if floor.repeats else heat.seconds < SHORTEST and floor.is_limited:
        first, reason = heat.entrants[0], "the search decided: there is no time to rank its best networks anew"
    else:
        if record.heat("rank") is None:
            record = floor.saved(replace(record, heats=(*record.heats, heat)))
        floor.session.say(f"contest: {len(heat.entrants)} networks are trained alike and ranked by validation")
        ranked = heats.held(floor, heat)
        if not ranked:
            raise StoreError(f"all trainings failed; see the logs in {short(floor.folder)}")
        validating = _validating(floor)
        first, reason = decision.best_of(ranked, validating, floor.space, decision.gains(floor, heat, ranked))
        reason += _broken_off(final for _, final in ranked)
    floor.session.say(f"decided by validation: {reason}" if ranked else reason)
    shipped: Shipped = "reference" if first.candidate.is_reference else "searched"
    if ranked and shipped == "searched":
        record, first, ranked = averaging.distilled(floor, record, heat, ranked, first)
    entrants = (first, rival) if rival and shipped == "searched" else (first,)
    final = _last(floor, "final", entrants, heat, ranked)
    return floor.saved(replace(record, heats=(*record.heats, final), shipped=shipped, reason=reason))


def _rank(floor: Floor, given: str, best: Sequence[Trial]) -> Heat:
    """The first heat: who enters, the one that the search holds best first; for how long; from which states.

    Raises:
        StoreError: Nobody can enter.
    """
    params = int(best[0].result.metrics.get("params", 0)) if best and best[0].result else 0
    task_io = floor.task.io
    rival = reference.of_text(given) if given else reference.plain(floor.run, floor.space, task_io, params or None)
    known = floor.key(rival) if rival and not rival.space else None
    found = [Entrant(Candidate(SEARCHED, each.proposal.genotype, each.id)) for each in best if each.key != known]
    holds_plain_best = bool(best) and best[0].key == known
    ahead, behind = ([rival], []) if rival and holds_plain_best else ([], [rival] if rival else [])
    entrants = (*ahead, *found, *behind)
    if not entrants:
        raise StoreError(
            f"no trial of {short(floor.folder)} has succeeded, and there is no plain network to train instead; "
            "`netwright report` lists the reasons"
        )
    counts, last = [len(own) for own in heats.sets(entrants)], [2] if known else [1, 1] if rival else [1]
    rank, final = (floor.timetable.rank_seconds, heats.waves(counts, floor.workers)), floor.timetable.final_seconds
    planned = rank[0] * rank[1] + final * heats.waves(last, floor.workers)
    heat = Heat("rank", entrants)
    if len(entrants) > 1:  # else it is not held
        heat = threads.with_threads(floor, heat)
    room = max(0.0, floor.left - floor.start * (len(counts) + len(last)))
    keys = frozenset(floor.key(each) for each in entrants if not each.space)
    begun = states.of_search(floor.folder, keys) if floor.takes("begin") else {}
    seconds = max(heats.LEAST_SECONDS, rank[0] * room / planned)  # 0 would be no limit
    return heats.timed(floor, replace(heat, seconds=seconds), begun)


def _finalists(floor: Floor) -> list[Trial]:
    """The best different networks of the search, costlier ones among them."""
    history = run_folder.history(floor.folder, floor.run.objectives)
    ranked = curves.finalists(history, MOST_LOOKED_AT)
    top = max((each.proposal.budget or 0 for each in ranked), default=0)
    longest = [each for each in ranked if has_stopped_early(each) or (each.proposal.budget or 0) == top]
    objective = floor.objective
    known = [
        Contender(
            (each.scores or (0.0,))[0],
            each.result.metrics.get(f"{objective.split}_loss") if each.result else None,
            settings.values(floor.space, each.proposal.genotype),
        )
        for each in longest
    ]
    best = [longest[place] for place in choice.best_first(known, objective, _validating(floor))]
    return varied(best + [each for each in ranked if each not in longest], max(1, floor.timetable.finalists))


def _validating(floor: Floor) -> int:
    """Number of different images that validate, on all divisions; 0 where they decide nothing."""
    if not choice.is_by_accuracy(floor.objective):
        return 0
    train, valid = floor.task.examples("train"), floor.task.examples("valid")
    return min((floor.option("splits") or 1) * valid, train + valid)


def varied(ranked: Sequence[Trial], count: int) -> list[Trial]:
    """Those of a ranking that enter a contest: the best in order, but every second one is costlier than all before it.

    Trials of a search are short, which favors networks that cost little; in the longer trainings of a contest, costlier
    ones gain more. So each second place goes to the best one that takes at least `COSTLIER` times the multiply-adds.
    """
    chosen: list[Trial] = []
    while len(chosen) < count and (rest := [each for each in ranked if each not in chosen]):
        bound = COSTLIER * max((_cost(each) for each in chosen), default=0.0) if len(chosen) % 2 else 0.0
        chosen.append(next((each for each in rest if _cost(each) >= bound), rest[0]))
    return chosen


def _cost(trial: Trial) -> float:
    return trial.result.metrics.get("multiply_adds", 0.0) if trial.result else 0.0


def _alone(rival: Entrant, best: Sequence[Trial]) -> str:
    """Why the reference ships without a contest."""
    if best:
        return f"the best network of the search is the {rival.candidate.label} itself: it is trained, with all the time"
    return f"no trial has succeeded, so the {rival.candidate.label} is trained, with all the time"


def _is_repeated(floor: Floor, heat: Heat, rival: Entrant | None) -> bool:
    """Whether the networks are those of the heats that are to be repeated."""
    if any(each.name == "rank" for each in floor.repeats):
        return bool(heat.ends)
    first = heat.entrants[0]
    entrants = (first, rival) if rival and rival != first else (first,)
    return floor.repeated(Heat("final", entrants)) is not None


def _last(
    floor: Floor, name: Literal["final", "instead"], entrants: tuple[Entrant, ...], rank: Heat, ranked: Standings
) -> Heat:
    """The second heat: for how long, from how many seeds, and from which states, those of the first one first."""
    given = floor.repeated(Heat(name, entrants))
    repeats = given.repeats if given else heats.last_seconds(floor, entrants, _room(floor, entrants))[0]
    heat = threads.with_threads(floor, Heat(name, entrants, repeats=repeats))
    _, seconds = heats.last_seconds(floor, entrants, _room(floor, entrants), repeats)
    begun: dict[str, Begun] = {}
    if floor.takes("begin") and repeats == 1:  # several seeds are to be several trainings
        own = {floor.key(each): each for each in entrants}
        begun |= states.of_search(floor.folder, frozenset(own))
        begun |= _left(floor, rank, ranked, frozenset(own))
        share = 1 / (floor.option("splits") or 1)  # the training that goes on is that of one division
        begun = {key: Begun(each.place, share * each.seconds, share * each.most) for key, each in begun.items()}
    return heats.timed(floor, replace(heat, seconds=seconds), begun)


def _room(floor: Floor, entrants: Sequence[Entrant]) -> float:
    """Seconds for the steps of last trainings."""
    return max(1.0, floor.left - floor.start * len(heats.sets(entrants)))


def _left(floor: Floor, rank: Heat, ranked: Standings, keys: frozenset[str]) -> dict[str, Begun]:
    """The states that trainings of the first heat left, whose rates did not fall."""
    found = {floor.key(entrant): final.folder for entrant, final in ranked}
    return {
        key: Begun(place, rank.gain * rank.total, float(rank.budget or 0))
        for key, place in found.items()
        if place and promotion.end_of(place, 0).exists() and key in keys
    }


def _tested(floor: Floor, record: ContestRecord) -> Contest:
    """The second heat, and the verdict."""
    heat = record.heat("final")
    assert heat is not None and record.shipped is not None, "what ships is noted with the second heat"
    names = " and ".join(decision.called(each) for each in heat.entrants)
    floor.session.say(f"final: {names}, trained on training and validation data together, alike, and tested once")
    standings = heats.held(floor, heat)
    if not standings:
        record = _instead(floor, record, heat)
        standings = heats.held(floor, record.heats[-1])
    found = {entrant.candidate.is_reference: final for entrant, final in standings}
    if not found:
        raise StoreError(f"the last trainings failed; see the logs in {short(floor.folder)}")
    assert record.shipped is not None
    shipped, reason = record.shipped, record.reason
    if (shipped == "reference") not in found:
        shipped = "reference" if shipped == "searched" else "searched"
        reason += f"; the training of the other failed, so the {next(iter(found.values())).label} ships"
    winner, rival = found[shipped == "reference"], found.get(True)
    if shipped == "reference":
        told = verdict.of_reference(winner, floor.example, reason)
    else:
        failed = next((each.candidate.label for each in heat.entrants if each.candidate.is_reference), "")
        told = verdict.sentence(winner, rival, floor.example, failed and f"the training of the {failed} failed")
    told += _broken_off(found.values())
    if winner.folder is not None:
        place, genotype = winner.folder.parent.parent.name, winner.genotype
        record = replace(record, shipped=shipped, reason=reason, trainings=place, genotype=genotype, verdict=told)
        floor.saved(record)
    came = tuple(heats.played(floor, each) for each in record.heats)
    return Contest(shipped, winner, rival, winner.metric, told, reason, came)


def _instead(floor: Floor, record: ContestRecord, failed: Heat) -> ContestRecord:
    """The best of the other finalists in place of networks whose last trainings all failed, and its training.

    Raises:
        StoreError: There is no other.
    """
    if record.heat("instead"):
        return record
    rank = record.heat("rank")
    ranked = heats.held(floor, rank) if rank else []
    others = [each for each in ranked if each[0] not in failed.entrants]
    if rank is None:
        rank = _rank(floor, record.reference, _finalists(floor))
    first = (
        decision.best_of(others, _validating(floor), floor.space, decision.gains(floor, rank, others))[0]
        if others
        else next((e for e in rank.entrants if e not in failed.entrants), None)
    )
    names = " and ".join(decision.called(each) for each in failed.entrants)
    if first is None:
        raise StoreError(f"the last training of {names} failed; see the logs in {short(floor.folder)}")
    reason = f"{record.reason}; the last training of {names} failed, so {decision.called(first)} ships instead"
    floor.session.say(f"the last training of {names} failed; {decision.called(first)} is trained instead")
    heat = _last(floor, "instead", (first,), rank, ranked)
    return floor.saved(replace(record, heats=(*record.heats, heat), shipped="searched", reason=reason))


def _broken_off(finals: Iterable[Final]) -> str:
    """A part of a sentence for each training whose end was broken off; "" where none was."""
    return "".join(f"; {each.broken_off} of the {each.label}" for each in finals if each.broken_off)
