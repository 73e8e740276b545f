"""The outputs of several trained networks, averaged: whether that is better, and one network distilled from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from netwright.core.contest import ContestRecord, Entrant, Heat
from netwright.core.finals import Final
from netwright.core.shapes import Classes
from netwright.runs.timed import heats
from netwright.runs.timed.heats import Floor, Standings
from netwright.training import checkpoint, device, distillation, loop
from netwright.training.distillation import Trained

FOLDER = "teachers"  # within that of the run
SEEN_FROM_TRAININGS = f"../{FOLDER}"
TEACHERS = 3  # networks whose outputs are averaged
MARGIN = 0.01  # by which their average must be better than the best of them, in shares of 1
SHARE_OF_TIME = 0.25  # of what is left, which distilling may take at most: most where five are ranked one by one


def distilled(
    floor: Floor, record: ContestRecord, rank: Heat, ranked: Standings, first: Entrant
) -> tuple[ContestRecord, Entrant, Standings]:
    """The best network, distilled from the average of several where validation pays, else as it is.

    Args:
        floor: The contest.
        record: How far it has come.
        rank: The heat that ranked the networks.
        ranked: What became of them.
        first: The best of them.

    Returns:
        The record, the network, and the standings with the distilled one where it is the network.
    """
    best = next(final for entrant, final in ranked if entrant == first)
    heat = record.heat("distill")
    if heat is None:
        if reason := _why_not(floor, rank, ranked, first, best):
            floor.session.say(f"nothing is distilled: {reason}")
            return record, first, ranked
        pupil = replace(first, teachers=SEEN_FROM_TRAININGS)
        heat = _heat_of(floor, rank, pupil, ranked_as=first)
        record = floor.saved(replace(record, heats=(*record.heats, heat)))
    found, measure = heats.held(floor, heat), best.objective
    if not found:
        floor.session.say("nothing is distilled: the training failed")
        return record, first, ranked
    value = found[0][1].mean
    is_better = measure.score(value) > measure.score(best.mean)
    told = f"distilled from the averaged outputs, it has {measure.text(value)} {measure.label}"
    floor.session.say(f"{told}, {'so it is trained so' if is_better else f'not better than {measure.text(best.mean)}'}")
    return (record, heat.entrants[0], [*ranked, *found]) if is_better else (record, first, ranked)


def _heat_of(floor: Floor, rank: Heat, pupil: Entrant, ranked_as: Entrant) -> Heat:
    """The heat in which a network learns from several, for as long as it was trained for its ranking."""
    seconds = rank.deadlines[rank.entrants.index(ranked_as)] if rank.deadlines else rank.seconds
    heat = replace(rank, name="distill", entrants=(pupil,), seconds=seconds, deadlines=(), ends=())
    given = floor.repeated(heat)
    return replace(heat, ends=given.ends) if given else heat


def _why_not(floor: Floor, rank: Heat, ranked: Standings, first: Entrant, best: Final) -> str:
    """Why nothing is distilled, as far as that is known before; "" where it is to be tried, and teachers lie ready."""
    measure, io = best.objective, floor.task.io
    if first.space or not floor.takes("teachers") or not isinstance(io.output, Classes) or not measure.is_share:
        return "there are no shares of classes to learn from"
    if (floor.option("splits") or 1) > 1:
        return "the networks were trained on several divisions of the images, whose validation images they know"
    if floor.repeats:
        if not any(each.name == "distill" for each in floor.repeats):
            return "nor was it in the run that is repeated"
    elif rank.seconds + floor.start > SHARE_OF_TIME * floor.left:
        return "there is no time for it"
    order = sorted(ranked, key=lambda each: -measure.score(each[1].mean))
    known = [_trained(floor, rank, final) for entrant, final in order if not entrant.space]
    teachers = [each for each in known if each is not None and each.weights.exists()][:TEACHERS]
    mine = _trained(floor, rank, best)
    if len(teachers) < TEACHERS or mine is None or not mine.weights.exists():
        return "fewer than three networks left their weights"
    place = floor.folder / FOLDER
    alone, together = (_measured(floor, place, each, measure.bare) for each in ([mine], teachers))
    gain = measure.score(together) - measure.score(alone)
    told = f"the averaged outputs of {len(teachers)} networks have {measure.text(together)} {measure.label}"
    if gain <= MARGIN:
        return f"{told}, not {measure.amount(MARGIN)} more than the {measure.text(alone)} of the best alone"
    floor.session.say(f"{told}, the best alone {measure.text(alone)}; one network is distilled from them")
    return ""


def _trained(floor: Floor, rank: Heat, final: Final) -> Trained | None:
    if final.folder is None or not final.repetitions:
        return None
    size = rank.early_size if floor.leaves_states else 1.0  # else it ended with whole images
    return Trained(final.genotype, final.repetitions[0].seed, final.folder / checkpoint.WEIGHTS, size)


def _measured(floor: Floor, place: Path, networks: Sequence[Trained], metric: str) -> float:
    """A metric of the averaged outputs on the validation data, of networks that are gathered in a folder."""
    distillation.write(place, networks)
    own = device.pick(str(floor.option("device")), 0)
    layout = torch.channels_last if floor.option("channels_last") else torch.contiguous_format
    network = distillation.read(place, floor.space, floor.task.io, layout).to(own)
    return loop.measure(network, floor.task, "valid", layout)[metric]
