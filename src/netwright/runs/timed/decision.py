"""Deciding which network of a contest ships: by what validation says of it, and by where longer training takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netwright.core import settings
from netwright.core.contest import Entrant, Heat
from netwright.core.finals import Final
from netwright.core.protocols import SearchSpace
from netwright.runs.timed import choice, extrapolation, heats, states
from netwright.runs.timed.choice import Contender
from netwright.runs.timed.extrapolation import TwoPoints
from netwright.runs.timed.heats import Floor, Standings


def best_of(
    ranked: Sequence[tuple[Entrant, Final]],
    images: int = 0,
    space: SearchSpace | None = None,
    gains: Mapping[Entrant, float] | None = None,
) -> tuple[Entrant, str]:
    """Who ships, by validation, and why in a sentence: a network of the search must be better than the reference.

    What counts is where a network will come to when it ships. Where accuracies on so many images do not tell the best
    one from others, losses do, see `choice`. Of those that are equal in what decides, the reference counts as better,
    then the smaller one.

    Args:
        ranked: Networks, and what became of them.
        images: Number of different images that validate.
        space: Tells the settings of training that a genotype holds; None: none does.
        gains: By what the loss of each will be multiplied in its last training; None: that of all alike.

    Raises:
        ValueError: There are none.
    """
    if not ranked:
        raise ValueError("nobody was ranked")
    measure, factors = ranked[0][1].objective, gains or {}

    def expected(each: tuple[Entrant, Final]) -> float:
        return extrapolation.drawn(each[1].mean, measure, factors.get(each[0], 1.0))

    def loss_of(each: tuple[Entrant, Final]) -> float | None:
        return None if each[1].loss is None else each[1].loss * factors.get(each[0], 1.0)

    preferred = sorted(ranked, key=lambda each: (not each[0].candidate.is_reference, each[1].params))
    known = [Contender(measure.score(expected(each)), loss_of(each), _settings(space, each[0])) for each in preferred]
    order = [preferred[place] for place in choice.best_first(known, measure, images)]
    first, others = order[0], order[1:]
    is_by_loss = any(measure.score(expected(each)) > measure.score(expected(first)) for each in others)
    is_drawn = len(ranked) > 1 and any(expected(each) != each[1].mean for each in ranked)

    def told(each: tuple[Entrant, Final]) -> str:
        loss = loss_of(each)
        more = [f"{measure.text(expected(each))} expected"] if is_drawn else []
        more += [f"loss {loss:.4f}"] if is_by_loss and loss is not None else []
        return measure.text(each[1].mean) + (f" ({', '.join(more)})" if more else "")

    said = f"{called(first[0])} has {told(first)} {measure.label}"
    if not others:
        return first[0], f"{said}; no other training succeeded"
    rival = next((each for each in others if each[0].candidate.is_reference), None)
    if first[0].candidate.is_reference:
        said += f", the best network of the search {told(others[0])}"
        is_overtaken = measure.score(others[0][1].mean) > measure.score(first[1].mean)
        said += "" if is_by_loss else f", which is not {'expected to be ' * is_overtaken}better"
    elif rival is None:
        said += f", the best of {len(ranked)}"
    else:
        said += f", the {rival[1].label} {told(rival)}"
    if is_drawn:
        said += "; expected is what longer training brings, by the course of their losses"
    if is_by_loss:
        within = choice.standard_error(max(map(expected, ranked)), images)
        said += f"; accuracies less than {measure.amount(within)} apart say nothing here, and the loss decides"
    return first[0], said


def gains(floor: Floor, heat: Heat, ranked: Standings) -> dict[Entrant, float]:
    """By what the loss of each network will be multiplied in its last training, by its course since the search.

    All courses begin at the same budget of the search, the largest that all networks had, since slopes become flatter.
    Times are those of the timetable, so that a contest that is repeated without a clock decides alike; what more
    threads gain in the last trainings (`threads`) is not known yet, and left out.

    Args:
        floor: The contest.
        heat: The heat that ranked the networks.
        ranked: What became of them.
    """
    if not floor.counts_seconds:
        return {}
    keys = {entrant: "" if entrant.space else floor.key(entrant) for entrant in heat.entrants}
    metric = f"{floor.objective.split or 'valid'}_loss"
    points = states.points_of_search(floor.folder, frozenset(keys.values()), metric)
    common = set.intersection(*map(set, points.values())) if points else set()
    earlier = {key: own[max(common)] for key, own in points.items()} if common else {}
    courses = {
        entrant: TwoPoints(final.steps, final.loss, *earlier[keys[entrant]])
        if final.steps and final.loss and keys[entrant] in earlier
        else None
        for entrant, final in ranked
    }
    begins = points if floor.takes("begin") else {}
    had = [[max(begins.get(keys[each], (0.0,))) for each in own] for own in heats.sets(heat.entrants)]
    ranking = heats.total(floor.timetable.rank_seconds, had, floor.workers)
    return extrapolation.factors(courses, _longer(floor, [entrant for entrant, _ in ranked], ranking))


def _longer(floor: Floor, entrants: Sequence[Entrant], ranking: float) -> dict[Entrant, float]:
    """How many times as long as in the ranking each network will have been trained when it ships.

    A network of the search shares the last time with the reference, which has all of it to itself where it ships.
    """
    rival = [each for each in entrants if each.candidate.is_reference]
    searched = [each for each in entrants if not each.candidate.is_reference]
    both = [len(own) for own in heats.sets([*searched[:1], *rival])]
    room = floor.timetable.final_seconds * heats.waves(both, floor.workers)
    before = ranking / (floor.option("splits") or 1)  # of one division, of which the last training goes on
    found = {}
    for entrant in entrants:
        repeats, seconds = heats.last_seconds(floor, [entrant, *(each for each in rival if each != entrant)], room)
        goes_on = floor.takes("begin") and repeats == 1
        found[entrant] = (seconds + before * goes_on) / before
    return found


def called(entrant: Entrant) -> str:
    """The network with its article, and the trial that it comes from."""
    candidate = entrant.candidate
    trial = f" of trial {candidate.trial_id}" if candidate.trial_id is not None else ""
    return f"the {candidate.label}{trial}"


def _settings(space: SearchSpace | None, entrant: Entrant) -> Mapping[str, Any]:
    """Settings of its training that an entrant's genotype holds."""
    is_ours = space is not None and not entrant.space
    return settings.values(space, entrant.candidate.genotype) if space is not None and is_ours else {}
