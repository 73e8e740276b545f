"""From hours and speed to a timetable: sums, directions, refusals."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from netwright.core import timetable
from netwright.core.errors import BadRunFile
from netwright.runs.timed import averaging, heats
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.timetable import Circumstances, Speed

IMAGE_SECONDS = st.floats(1e-6, 0.05)


@st.composite
def circumstances(draw, hours=st.floats(0.002, 100)):
    total = draw(hours)
    return Circumstances(
        hours=total,
        spent=draw(st.floats(0, 0.2)) * 3600 * total,
        workers=draw(st.integers(1, 64)),
        threads=draw(st.integers(1, 8)),
        train=draw(st.integers(2, 10**6)),
        valid=draw(st.integers(1, 10**5)),
    )


def speed(image_seconds=3e-4, side=32, precision="float32"):
    return Speed(side, precision, (1e-11, 1e-10, 1e-10, 1e-9, 1e-5, 1e-3), image_seconds)


def planned(given, image_seconds):
    """The timetable, or None where the hours do not suffice."""
    try:
        return plans.planned(given, speed(image_seconds))
    except BadRunFile:
        return None


@given(circumstances(), IMAGE_SECONDS)
def test_no_plan_takes_longer_than_its_hours(given, image_seconds):
    plan = planned(given, image_seconds)
    assume(plan is not None)
    left = 3600 * given.hours - given.spent
    kept = plans.AROUND + plans.AROUND_SHARE * 3600 * given.hours
    assert plan.search_seconds + plan.contest_seconds + kept <= left + 0.2
    assert plan.search_seconds <= plan.contest_seconds + 0.2, "at least half belongs to the contest"
    ranking = plan.rank_seconds * math.ceil((plan.finalists + 1) / plan.workers)
    assert ranking + plan.final_seconds * math.ceil(2 / plan.workers) <= plan.contest_seconds + 1
    assert timetable.from_toml(timetable.to_toml(plan), "x") == plan


@given(circumstances(), IMAGE_SECONDS)
def test_the_search_fills_its_rungs(given, image_seconds):
    plan = planned(given, image_seconds)
    assume(plan is not None)
    assert plan.rungs[-1] <= max(plan.search_seconds * plan.workers, plan.rungs[0]) + 1
    assert all(2 <= high / low <= 4 for low, high in zip(plan.rungs, plan.rungs[1:], strict=False))
    first = plan.rungs[0] / plan.splits
    assert first + plans.probe_seconds(given.hours) <= 60.5, "a first result within a minute, and the start"
    assert 1 <= plan.batch <= plans.BATCH and plan.batch <= given.train
    assert plan.splits in ((1, 3) if given.train + given.valid < 3000 else (1,))


@pytest.mark.parametrize("workers", [2, 16, 128])
@pytest.mark.parametrize(("hours", "image_seconds"), [(0.1, 1e-4), (0.25, 1e-3), (0.25, 2.8e-3), (0.5, 1e-3)])
def test_a_short_run_on_many_cores_has_its_first_result_as_soon_as_on_two(hours, image_seconds, workers):
    """A minute from the start: 17 s until images are read, 5 s until workers are; both as measured on two cores."""
    plan = planned(Circumstances(hours, 37.0, workers, 1, 360, 120), image_seconds)
    assert 17 + plans.probe_seconds(hours) + 5 + plan.rungs[0] / plan.splits <= 60


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
@pytest.mark.parametrize("hours", [4, 24, 168])
def test_a_long_search_has_rungs_up_to_what_finalists_are_trained_for(hours, workers):
    plan = planned(Circumstances(hours, 60.0, workers, 1, 40_000, 10_000), 1e-3)
    most = min(plan.rank_seconds, plan.search_seconds / plans.LONGEST, plan.search_seconds * workers / plans.TOPMOST)
    assert most / plans.ETA - 1 <= plan.rungs[-1] <= most + 1
    assert plan.rungs[0] <= plans.FIRST_RUNG[1]
    passes = plan.final_seconds / (plan.seeds * 1e-3 * 50_000)
    assert plan.seeds == 1 or passes >= plans.ENOUGH_PASSES
    waves = [math.ceil((plan.finalists + more) / workers) for more in (0, 1)]
    assert workers == 1 or plan.finalists <= 2 or waves[0] == waves[1], "nobody is trained while others wait"
    told = plans.lines(plan)["at last"]
    assert told.startswith(f"{2 * plan.seeds} trainings of ") and ("each" in told) == (plan.seeds > 1)


def test_a_trial_of_the_lowest_rung_has_no_more_passes_than_say_enough():
    fast = planned(Circumstances(24, 60.0, 1, 1, 40_000, 10_000), 1e-5)
    assert fast.rungs[0] == round(plans.FIRST_PASSES * 1e-5 * 50_000) < plans.FIRST_RUNG[1]


STEPS = {24: 0.057, 32: 0.101, 40: 0.045, 48: 0.061, 64: 0.103, 96: 0.072, 128: 0.122}  # of the plain network, by side


def _at(*sides, slower=1.0):
    return [speed(slower * STEPS[side] / 64, side) for side in sides]


def test_where_no_size_leaves_enough_steps_the_cheapest_is_taken_which_need_not_be_the_smallest():
    chosen = plans.chosen_speed(_at(32, 48, 64, slower=20), 0.25, 1, 40_000, 10_000)
    assert chosen.side == 48
    assert plans.chosen_speed(_at(24, 48, 64, slower=20), 0.25, 1, 40_000, 10_000).side == 48, "as good as the cheapest"


def test_images_are_one_size_smaller_for_several_divisions_and_no_more():
    """Where the next smaller size does not fit, the largest is taken."""
    sides = _at(24, 48, 64, 96, slower=1.7)
    assert plans.chosen_speed(sides, 0.1, 8, 480, 120).side == 96
    assert plans.chosen_speed(sides[:2] + sides[3:], 0.1, 8, 480, 120).side == 48


@pytest.mark.parametrize("hours", [0.5, 2, 168])
def test_slow_cores_divide_few_images_too_where_there_is_time(hours):
    plan = planned(Circumstances(hours, 30.0, 2, 1, 1600, 400), 1.5 * STEPS[32] / 64)
    assert plan.splits == 3 and plan.rungs[0] >= plans.SPLITS * plans.DIVIDED_STEPS * 1.5 * STEPS[32] - 1


@pytest.mark.parametrize("hours", [0.05, 0.25, 1, 168])
@pytest.mark.parametrize("workers", [1, 2, 8, 64])
def test_trials_end_within_the_search_however_many_workers_there_are(hours, workers):
    plan = planned(Circumstances(hours, 5.0, workers, 1, 1600, 400), 0.02 / 64)
    assert plan.rungs[-1] <= max(1, plan.search_seconds / plans.LONGEST + 0.5)


@pytest.mark.parametrize(("workers", "last"), [(1, "66.7 min"), (2, "2.22 h"), (4, "3.33 h"), (8, "6.67 h")])
def test_the_plan_says_how_long_each_of_several_last_trainings_is(workers, last):
    plan = planned(Circumstances(24, 5.0, workers, 1, 1600, 400), 1e-5)
    plan = replace(plan, final_seconds=12_000.0 * (1 if workers == 1 else 2), seeds=3)
    assert f"6 trainings of {last}, 3 each of what ships" in plans.lines(plan)["at last"]


@given(circumstances(), IMAGE_SECONDS, st.floats(1, 20))
def test_more_hours_give_more_of_everything_that_counts(given, image_seconds, factor):
    plan = planned(given, image_seconds)
    assume(plan is not None)
    longer = Circumstances(given.hours * factor, given.spent, given.workers, given.threads, given.train, given.valid)
    more = planned(longer, image_seconds)
    assert more is not None, "what suffices does so with more"
    alike = ["finalists"] if more.splits == plan.splits else []  # on several divisions, fewer are trained for longer
    for name in ("search_seconds", "contest_seconds", "final_seconds", *alike):
        assert getattr(more, name) >= getattr(plan, name) - 0.2, name


@pytest.mark.parametrize(
    ("images", "image_seconds", "workers"),
    [(50_000, 1.15e-3, 1), (50_000, 5e-4, 2), (3_500, 1.4e-3, 4), (2_999, 1.4e-3, 4)],
)
def test_more_hours_never_shorten_the_last_trainings(images, image_seconds, workers):
    """Where the plain network comes from few passes over the images to enough of them."""
    found = [
        planned(Circumstances(0.1 * 1.02**n, 20, workers, 1, images - images // 5, images // 5), image_seconds)
        for n in range(250)
    ]
    for name in ("search_seconds", "contest_seconds", "final_seconds"):
        values = [getattr(plan, name) for plan in found if plan]
        assert all(later >= earlier - 0.2 for earlier, later in pairwise(values)), name


@given(circumstances(), IMAGE_SECONDS, st.floats(1, 20))
def test_a_slower_machine_never_gets_what_a_faster_one_does_not(given, image_seconds, factor):
    slow = planned(given, image_seconds * factor)
    assume(slow is not None)
    assert planned(given, image_seconds) is not None


@given(circumstances(hours=st.floats(1e-5, 0.5)), st.floats(1e-3, 1))
def test_hours_that_are_refused_come_with_those_that_suffice(given, image_seconds):
    try:
        plans.planned(given, speed(image_seconds))
    except BadRunFile as refusal:
        message = str(refusal)
    else:
        assume(False)
    least = float(message.partition("give --hours ")[2].split()[0])
    assert least > given.hours and "\n" not in message
    longer = plans.probe_seconds(least) - plans.probe_seconds(given.hours)
    enough = replace(given, hours=least, spent=1.4 * given.spent + longer)
    assert planned(enough, 1.2 * image_seconds) is not None, (
        "also where the machine is measured for longer, and takes longer"
    )
    fewer = replace(given, hours=0.5 * least)
    assert fewer.hours <= given.hours or planned(fewer, image_seconds) is None, "they are not far from the least"


def test_short_runs_search_less():
    shares = []
    for hours in (0.1, 0.25, 0.5, 1, 4):
        plan = planned(Circumstances(hours, 0.0, 2, 1, 1_400, 350), 3e-4)
        shares.append(plan.search_seconds / (plan.search_seconds + plan.contest_seconds))
    assert shares == sorted(shares)
    assert 0.19 < shares[0] < 0.21 and shares[1] < 0.3 and 0.49 < shares[-1] < 0.5001


def test_in_short_runs_the_last_training_counts_and_in_long_ones_more_finalists():
    given = Circumstances(hours=1 / 6, spent=20, workers=1, threads=1, train=3_000, valid=500)
    short, long = plans.planned(given, speed(3.5e-4)), plans.planned(replace(given, hours=4), speed(3.5e-4))
    assert (short.finalists, long.finalists) == (2, 4)
    for plan in (short, long):
        ranking = plans.RANKING * plan.contest_seconds
        assert (plan.finalists + 1) * plan.rank_seconds == pytest.approx(ranking, rel=0.01)
        assert 2 * plan.final_seconds == pytest.approx(plan.contest_seconds - ranking, rel=0.01)


def test_long_runs_have_time_to_distill():
    """Where five networks are ranked one after another, which takes half of a contest of two hours."""
    given = Circumstances(hours=2, spent=60, workers=1, threads=1, train=40_000, valid=10_000)
    plan = plans.planned(given, speed(5e-4))
    assert plan.splits == 1 and plan.finalists == 4
    start = heats.START_SECONDS + 10 * heats.STARTS
    assert plan.rank_seconds + start < averaging.SHARE_OF_TIME * 2 * plan.final_seconds


def test_while_passes_are_few_the_last_training_has_what_search_and_ranking_would_have():
    """Ten minutes of a core; the plain network would have 70 passes over the images, then two and six times as many."""
    few, more, enough = (
        plans.planned(Circumstances(1 / 6, 20, 1, 1, images - images // 6, images // 6), speed(1.4e-3))
        for images in (5_500, 2_750, 917)
    )
    for plan, share in ((few, 0.5), (enough, 1.0)):
        usable = plan.search_seconds + plan.contest_seconds
        assert plan.search_seconds == pytest.approx(share * plans.SHARE_SHORT * usable, rel=0.01)
        ranking = share * plans.RANKING * plan.contest_seconds
        assert (plan.finalists + 1) * plan.rank_seconds == pytest.approx(ranking, rel=0.01)
    assert few.search_seconds < more.search_seconds < enough.search_seconds
    assert few.final_seconds > more.final_seconds > enough.final_seconds
    assert few.rank_seconds + 2 * few.final_seconds > 1.25 * (enough.rank_seconds + 2 * enough.final_seconds)


def test_passes_are_those_of_the_plan_in_all_of_its_time():
    for images, expected in ((5_500, 70), (2_750, 140), (917, 420)):
        plan = plans.planned(Circumstances(1 / 6, 20, 1, 1, images - images // 6, images // 6), speed(1.4e-3))
        assert plans.passes(plan, 1.4e-3 * images) == pytest.approx(expected, rel=0.02)
    assert [plans.between(passes, 30, 60) for passes in (0, 30, 60, float("inf"))] == [0, 0, 1, 1]
    assert plans.between(1800**0.5, 30, 60) == pytest.approx(0.5)


def test_few_images_have_fewer_finalists_where_each_is_trained_on_several_divisions():
    given = Circumstances(hours=1 / 6, spent=20, workers=1, threads=1, train=960, valid=240)
    plan = plans.planned(given, speed(4e-4))
    assert plan.splits == plans.SPLITS
    assert plan.rank_seconds >= plans.SPLITS * plans.RANKED_STEPS * 4e-4 * plan.batch
    assert (plan.finalists, planned(replace(given, train=4_000), 2.9e-4).finalists) == (2, 3)


def test_images_are_as_large_as_the_time_allows():
    speeds = [speed(side**2 * 1e-6, side) for side in (24, 32, 48, 64)]
    sides = [plans.chosen_speed(speeds, hours, 2, 2_400, 600).side for hours in (0.01, 0.05, 0.1, 0.15, 0.5, 5)]
    assert sides == sorted(sides) and sides[0] == 24 and sides[-1] == 64 and len(set(sides)) > 2


def test_cheap_networks_decide_how_large_images_are():
    """Ten minutes of a core on which the plain network has 1,500 steps at 32 pixels; what ships has more of them."""
    speeds = [speed(0.063 / 64, 24), speed(0.11 / 64, 32)]
    assert plans.chosen_speed(speeds, 1 / 6, 1, 4_000, 1_000).side == 32
    assert (
        plans.chosen_speed([speed(2 * each.image_seconds, each.side) for each in speeds], 1 / 6, 1, 4_000, 1_000).side
        == 24
    )


@given(st.floats(0.02, 10), st.integers(1, 8), st.integers(20, 2_900), st.floats(1e-7, 1e-5))
@example(0.4553351613745168, 1, 264, 9.261709364124286e-06)
@example(0.14185712233090197, 3, 220, 8.422804682072748e-06)
def test_few_images_are_divided_where_one_size_less_leaves_time_for_it(hours, workers, images, factor):
    """And leave time for trials then."""
    sides = (24, 32, 48, 64, 96)
    speeds = [speed(side**2 * factor, side) for side in sides]
    given = Circumstances(hours, 0.0, workers, 1, images - images // 5, images // 5)
    chosen = plans.chosen_speed(speeds, hours, workers, given.train, given.valid)
    assume((plan := planned(given, chosen.image_seconds)) is not None)
    below = speeds[max(0, sides.index(chosen.side) - 1)]
    smaller = planned(given, below.image_seconds)
    assert plan.splits == plans.SPLITS or smaller.splits == 1
    if plan.splits > 1:
        assert plan.rungs[0] * plans.FEWEST <= plan.search_seconds * workers + plans.FEWEST, "rungs are whole seconds"


@given(st.floats(0.1, 1), st.integers(1, 2), st.integers(400, 2_900), st.floats(5e-7, 3e-6), st.floats(1, 2))
@example(0.1652, 1, 2_301, 9e-7, 1.082)
def test_more_time_never_gives_much_smaller_images(hours, workers, images, factor, more):
    """By one size, where that leaves time for several divisions of few images; more hours or a faster machine alike."""
    sides = (24, 32, 48, 64, 96)
    speeds = [speed(side**2 * factor, side) for side in sides]
    faster = [speed(each.image_seconds / more, each.side) for each in speeds]
    train = images - images // 5

    def size(speeds, hours):
        return sides.index(plans.chosen_speed(speeds, hours, workers, train, images - train).side)

    assert size(speeds, hours * more) >= size(speeds, hours) - 1
    assert size(faster, hours) >= size(speeds, hours) - 1


def test_of_one_size_the_faster_precision_is_taken():
    speeds = [speed(3e-4), speed(2e-4, precision="bfloat16")]
    assert plans.chosen_speed(speeds, 1, 1, 480, 120).precision == "bfloat16"
    assert plans.chosen_speed([speed(1e-4), speeds[1]], 1, 1, 480, 120).precision == "float32"


@pytest.mark.parametrize(("images", "batch"), [(10**6, 64), (512, 64), (511, 32), (100, 8), (20, 8), (5, 5), (1, 1)])
def test_few_images_make_small_batches(images, batch):
    assert plans.batch_for(images) == batch


def test_the_plan_for_people():
    told = plans.lines(plans.planned(Circumstances(0.5, 10.0, 2, 1, 1077, 360), speed()))
    assert told["images"] == "32 pixels a side, 64 a step, float32"
    assert "on 3 divisions of the images, 2 at a time" in told["search"]
    assert told["in all"] == "30 min, with an export and a report"


def test_few_images_are_divided_several_times_where_that_leaves_time_for_networks():
    """Ten minutes of one core go to networks; half an hour of two, to divisions too."""
    step = 0.048 / 64
    short, longer = (planned(Circumstances(h, 10.0, w, 1, 1200, 300), step) for h, w in ((1 / 6, 1), (0.5, 2)))
    assert (short.splits, longer.splits) == (1, 3)
    assert min(short.trials, longer.trials) >= plans.FEWEST
    assert planned(Circumstances(0.5, 10.0, 2, 1, 4000, 1000), step).splits == 1


def test_where_validation_images_were_given_they_stay_apart_however_few_there_are():
    """They may be of other people than the training images: other divisions would be too easy."""
    step = 0.048 / 64
    free = Circumstances(0.5, 10.0, 2, 1, 1200, 300)
    given = replace(free, is_divisible=False)
    assert (planned(free, step).splits, planned(given, step).splits) == (3, 1)
    speeds = [speed(side**2 * 7e-7, side) for side in (24, 32, 48, 64, 96)]
    sides = [plans.chosen_speed(speeds, 0.5, 2, 1200, 300, is_divisible=each).side for each in (True, False)]
    assert sides[0] < sides[1], "nor are they smaller for divisions that there are not"
