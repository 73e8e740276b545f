"""Which network of a contest ships, and where it is expected to come to."""

import math
import time
from dataclasses import replace

import pytest

from netwright.core import building
from netwright.core.contest import Entrant, Heat
from netwright.core.finals import PLAIN, SEARCHED, Candidate, Final
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.runs.timed import decision, heats
from tests.runs.timed.test_contest import SECOND, START, Times, played, run_with

ACCURACY = Objective("valid_accuracy", shown="share")


def floor_of(run, folder, times):
    return heats.Floor(None, folder, run, building.build_task(run), times, time.monotonic() + 9)


def final(mean, is_reference, params=10):
    genotype = (int(mean * 100), int(is_reference), params)
    made = Final("x", None, Reference("residual"), genotype, "", ACCURACY, params, mean, None, 1, is_reference)
    label = PLAIN if is_reference else SEARCHED
    return Entrant(Candidate(label, genotype, None if is_reference else params, is_reference)), replace(
        made, label=label
    )


@pytest.mark.parametrize(
    ("ranked", "first"),
    [
        ([final(0.9, False), final(0.8, True)], 0),
        ([final(0.8, False), final(0.8, True)], 1),
        ([final(0.7, False), final(0.8, True)], 1),
        ([final(0.9, False, 30), final(0.9, False, 20), final(0.8, True)], 1),
        ([final(0.9, False)], 0),
        ([final(0.9, True)], 0),
    ],
)
def test_who_ships(ranked, first):
    """A network of the search must be better than the reference; of equal ones the smaller ships."""
    chosen, reason = decision.best_of(ranked)
    assert chosen == ranked[first][0]
    assert "valid accuracy" in reason


def test_where_few_images_validate_the_loss_decides_and_that_is_said():
    (entrant, better), (reference, plain) = final(0.74, False), final(0.72, True)
    ranked = [(entrant, replace(better, loss=0.9)), (reference, replace(plain, loss=0.8))]
    chosen, reason = decision.best_of(ranked, 240)
    assert chosen == reference
    assert reason == (
        f"the {PLAIN} has 72.00 % (loss 0.8000) valid accuracy, the best network of the search 74.00 % (loss 0.9000); "
        "accuracies less than 2.83 points apart say nothing here, and the loss decides"
    )
    assert decision.best_of(ranked, 24_000)[0] == entrant
    ranked = [(entrant, replace(better, mean=1.0, loss=0.1)), (reference, replace(plain, mean=1.0, loss=0.2))]
    assert decision.best_of(ranked, 240)[0] == reference, "equals go to the reference"


def test_lower_can_be_better():
    loss = Objective("valid_loss", -1)
    ranked = [(entrant, replace(each, objective=loss)) for entrant, each in (final(0.9, False), final(0.8, True))]
    assert decision.best_of(ranked)[0].candidate.is_reference


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_what_a_network_will_come_to_decides(gain):
    """Half of the error of the reference is left when it ships, or all of it."""
    entrant, reference = final(0.72, False), final(0.70, True)
    chosen, reason = decision.best_of([entrant, reference], gains={entrant[0]: 0.9, reference[0]: gain})
    assert chosen == (reference if gain < 0.9 else entrant)[0]
    if gain < 0.9:
        assert reason == (
            f"the {PLAIN} has 70.00 % (85.00 % expected) valid accuracy, the best network of the search 72.00 % "
            "(74.80 % expected), which is not expected to be better; expected is what longer training brings, by the "
            "course of their losses"
        )


def test_losses_are_compared_as_they_will_be():
    (entrant, better), (reference, plain) = final(0.74, False), final(0.72, True)
    ranked = [(entrant, replace(better, loss=0.8)), (reference, replace(plain, loss=0.9))]
    assert decision.best_of(ranked, 240, gains={entrant: 1.0, reference: 0.97})[0] == entrant
    chosen, reason = decision.best_of(ranked, 240, gains={entrant: 1.0, reference: 0.88})
    assert chosen == reference and "72.00 % (75.36 % expected)" in reason and "loss" not in reason.partition(";")[0]
    ranked = [(entrant, replace(better, loss=0.8)), (reference, replace(plain, loss=0.85))]
    chosen, reason = decision.best_of(ranked, 240, gains={entrant: 1.0, reference: 0.93})
    assert chosen == reference and "72.00 % (73.96 % expected, loss 0.7905)" in reason, "within a standard error"


def row(genotype, budget, loss, steps, score=0.5):
    return genotype, score, budget, {"valid_loss": loss, "steps": steps}


@pytest.mark.parametrize("is_steep", [True, False])
def test_a_reference_that_still_learns_ships_before_a_network_that_does_not(is_steep, tmp_path):
    """Both have the loss 1 after 1,000 steps, when they are ranked; the reference had 10 after 50, or 1 as well."""
    rows = [row(START, 2, 10.0 if is_steep else 1.0, 50), row(SECOND, 2, 1.0, 50), row(SECOND, 9, 1.0, 200, 0.9)]
    run = run_with(rows, tmp_path / "run", loss=1.0)
    found, said = played(run, tmp_path / "run", times=Times(1))
    assert found.shipped == ("reference" if is_steep else "searched")
    told = f"the {PLAIN} has 66.67 % (86.05 % expected) valid accuracy, the best network of the search 83.33 % (83.33 %"
    assert (told in found.reason) == is_steep and f"decided by validation: {found.reason}" in said
    assert ("expected" in found.reason) == is_steep
    again = run_with(rows, tmp_path / "again", loss=1.0)
    repeated, _ = played(again, tmp_path / "again", 5.0, times=Times(1, heats=found.heats))
    assert (repeated.shipped, repeated.reason, repeated.heats) == (found.shipped, found.reason, found.heats)


def ranking(run, folder, **options):
    """A floor, its heat, and two networks that had 0.5 of their loss left when they were ranked after 1,000 steps."""
    executor = Reference("processes", {"workers": options.pop("workers", 1)})
    evaluator = Reference(run.evaluator.name, {**run.evaluator.options, **options})
    floor = floor_of(replace(run, executor=executor, evaluator=evaluator), folder, Times(1))
    (_, one), (_, two) = final(0.8, False), final(0.8, True)
    entrants = Entrant(Candidate(SEARCHED, SECOND, 2)), Entrant(Candidate(PLAIN, START, is_reference=True))
    finals = (replace(each, loss=1.0, steps=1000.0) for each in (one, two))
    return floor, Heat("rank", entrants), list(zip(entrants, finals, strict=True))


def gained(run, folder, **options):
    return tuple(decision.gains(*ranking(run, folder, **options)).values())


def test_the_reference_has_more_time_left_where_it_ships(tmp_path):
    """With one worker it has twice the seconds of a last training, with two nothing more."""
    run = run_with([row(START, 4, 2.0, 100), row(SECOND, 4, 2.0, 100)], tmp_path / "run", loss=1.0)
    slope = math.log10(2)
    for workers, seconds in ((1, 120), (2, 60)):
        expected = ((24 + 60) / 24) ** -slope, ((24 + seconds) / 24) ** -slope
        assert gained(run, tmp_path / "run", workers=workers) == pytest.approx(expected)
    expected = (8 + 60) / 8, min(10.0, (8 + 120) / 8)  # a third of the ranking was of the division that goes on
    assert gained(run, tmp_path / "run", splits=3) == pytest.approx(tuple(each**-slope for each in expected))
    assert decision.gains(*ranking(run, tmp_path / "run", pace=False)) == {}


def test_with_several_workers_all_come_to_the_seconds_that_they_had_and_those_of_the_ranking(tmp_path):
    """One had 36 s in the search, the other 4: trained side by side, both come to 24."""
    rows = [row(START, 4, 2.0, 100), row(SECOND, 4, 2.0, 100), row(SECOND, 36, 1.5, 900)]
    run = run_with(rows, tmp_path / "run", loss=1.0)
    slope = math.log10(2)
    expected = ((24 + 60) / 24) ** -slope
    assert gained(run, tmp_path / "run", workers=2) == pytest.approx((expected, expected))


def test_slopes_are_of_the_same_part_of_both_courses(tmp_path):
    """A course that becomes flatter: seen from a later trial, the same network would gain less."""
    rows = [row(START, 4, 2.0, 100), row(SECOND, 4, 2.0, 100), row(SECOND, 12, 1.3, 300)]
    run = run_with(rows, tmp_path / "run", loss=1.0)
    searched, reference = gained(run, tmp_path / "run", workers=2)
    assert searched == reference < 1


def test_a_network_that_was_not_searched_gains_like_the_others(tmp_path):
    run = run_with([row(SECOND, 4, 2.0, 100)], tmp_path / "run", loss=1.0)
    searched, reference = gained(run, tmp_path / "run", workers=2)
    assert searched == reference < 1
    assert gained(run_with([], tmp_path / "none", loss=1.0), tmp_path / "none") == (1.0, 1.0)


def test_several_trainings_of_each_do_not_go_on_from_the_ranking(tmp_path):
    run = run_with([row(START, 4, 2.0, 100), row(SECOND, 4, 2.0, 100)], tmp_path / "run", loss=1.0)
    floor, heat, ranked = ranking(run, tmp_path / "run")
    long = replace(floor, timetable=Times(1, rank_seconds=1500.0, final_seconds=3000.0))
    searched, reference = decision.gains(long, heat, ranked).values()
    slope = math.log10(2)
    assert searched == pytest.approx(1.0), "two trainings of 1,500 s each"
    assert reference == pytest.approx((2000 / 1504) ** -slope), "three of 2,000 s"
