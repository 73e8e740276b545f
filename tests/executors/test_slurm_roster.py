"""Which jobs are lost, and how many take their place."""

import pytest

from netwright.executors import slurm_roster
from netwright.executors.slurm_queue import ArrayTask
from netwright.executors.slurm_roster import LONGEST, SHORTEST, Roster


def running(index, seconds=100.0, array=1):
    return ArrayTask(array, index, "RUNNING", seconds, "node1")


def roster_of(number, array=1):
    roster = Roster()
    roster.add(array, number)
    roster.meet((array, index) for index in range(number))
    return roster


def test_jobs_that_run_or_wait_need_no_replacement():
    roster = roster_of(3)
    assert roster.look([running(0), running(1), ArrayTask(1, 2, "PENDING", 0, "", "Resources")], 0, 0.0) == []
    assert roster.needed(3, 0.0) == 0 and roster.needed(5, 0.0) == 2 and roster.needed(1, 0.0) == 0
    assert roster.counts() == "2 run, 1 wait (1 for Resources)"


@pytest.mark.parametrize("state", ["FAILED", "COMPLETED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"])
def test_a_job_that_ended_is_replaced(state):
    roster = roster_of(2)
    lost = roster.look([running(0), ArrayTask(1, 1, state, 4000.0, "node1")], 0, 0.0)
    assert [str(task) for task in lost] == ["1_1"] and roster.needed(2, 0.0) == 1
    assert roster.strikes == 0, "it has worked for more than an hour"


def test_a_job_that_slurm_has_forgotten_is_replaced():
    roster = roster_of(2)
    roster.look([running(0), running(1)], 0, 0.0)
    assert [task.state for task in roster.look([running(0)], 0, 0.0)] == ["FORGOTTEN"]
    assert roster.needed(2, 0.0) == 1 and not roster.strikes


def test_a_job_that_slurm_will_never_start_is_replaced():
    roster = roster_of(1)
    assert roster.look([ArrayTask(1, 0, "PENDING", 0, "", "launch failed requeued held")], 0, 0.0)


def test_a_requeued_job_stays_a_member():
    roster = roster_of(1)
    roster.look([running(0)], 0, 0.0)
    assert roster.look([ArrayTask(1, 0, "PENDING", 0, "", "BeginTime")], 0, 0.0) == [] and roster.needed(1, 0.0) == 0


def test_jobs_that_end_as_soon_as_they_begin_are_replaced_later_and_later_and_then_no_more():
    roster, now = Roster(), 0.0
    for array in (1, 2, 3):
        assert not roster.is_hopeless()
        roster.add(array, 1)
        roster.look([ArrayTask(array, 0, "FAILED", 1.0, "node1")], 0, now)
        wait = SHORTEST * 2 ** (array - 1)
        assert roster.needed(1, now + wait - 0.1) == 0 and roster.needed(1, now + wait) == 1
        now += wait
    assert roster.is_hopeless() and str(roster.gone) == "3_0"


def test_many_that_run_speak_against_a_few_that_do_not():
    roster = roster_of(10)
    others = [running(index) for index in range(7)]
    roster.look([*others, *(ArrayTask(1, index, "FAILED", 1.0) for index in (7, 8, 9))], 0, 0.0)
    assert roster.strikes == 3 and not roster.is_hopeless(), "one node of many has a fault"
    roster = roster_of(10)
    roster.look([ArrayTask(1, index, "FAILED", 1.0) for index in range(10)], 0, 0.0)
    assert roster.is_hopeless()


def test_a_trial_that_finishes_forgives():
    roster = roster_of(3)
    roster.look([running(0), *(ArrayTask(1, index, "FAILED", 1.0) for index in (1, 2))], 0, 0.0)
    assert roster.strikes == 2
    roster.look([running(0)], 1, 0.0)
    assert roster.strikes == 0 and roster.needed(3, 0.0) == 2


def test_jobs_that_never_come_to_the_table_are_no_better_however_long_they_last():
    roster = Roster()
    roster.add(1, 8)
    roster.meet([(2, 0)])
    assert roster.met == set()
    ended = [ArrayTask(1, index, "FAILED", 610.0, "node1") for index in range(3)]
    roster.look([*ended[:2], *(running(index, 600.0) for index in range(2, 8))], 0, 0.0)
    assert roster.strikes == 2 and not roster.is_hopeless() and roster.needed(8, 1.0) == 0
    roster.look([ended[2], *(running(index, 610.0) for index in range(3, 8))], 0, 0.0)
    assert roster.is_hopeless(), "those that run have not come either"
    roster.meet([(1, index) for index in range(3, 8)])
    assert not roster.is_hopeless()


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "CANCELLED"])
def test_what_others_did_to_a_job_is_no_fault_of_its_own(state):
    roster = roster_of(2)
    roster.look([running(0), ArrayTask(1, 1, state, 1.0)], 0, 0.0)
    assert roster.strikes == 0


def test_after_a_cancellation_one_more_look_is_taken():
    roster = roster_of(2)
    roster.look([running(0), ArrayTask(1, 1, "CANCELLED", 90.0)], 0, 0.0)
    assert roster.was_cancelled and roster.needed(2, 0.0) == 0, "whoever cancels may be at it still"
    roster.look([running(0)], 0, 0.0)
    assert roster.needed(2, 0.0) == 1


def test_jobs_of_an_earlier_controller_are_taken_over_those_that_run_first():
    roster = Roster()
    listed = [ArrayTask(1, 0, "PENDING"), ArrayTask(1, 1, "FAILED"), running(2), running(3)]
    assert [str(task) for task in roster.adopt(listed, 2)] == ["1_0"]
    assert sorted(roster.members) == [(1, 2), (1, 3)] and roster.needed(2, 0.0) == 0


def test_jobs_that_were_not_known_are_taken_in_where_there_is_room():
    roster = roster_of(2)
    listed = [running(0), running(1), running(0, 5.0, array=2), ArrayTask(2, 1, "PENDING"), running(2, 5.0, array=2)]
    assert [str(task) for task in roster.adopt(listed, 3)] == ["2_2", "2_1"]
    assert sorted(roster.members) == [(1, 0), (1, 1), (2, 0)] and (2, 0) not in roster.met


def test_jobs_of_a_minute_are_no_fault_when_they_have_used_most_of_it():
    assert [slurm_roster.quick(minutes) for minutes in (0, 1, 2, 600)] == [60, 20, 40, 60]
    roster = Roster(slurm_roster.quick(1))
    roster.add(1, 2)
    roster.meet([(1, 0), (1, 1)])
    roster.look([ArrayTask(1, 0, "COMPLETED", 38.0), ArrayTask(1, 1, "COMPLETED", 5.0)], 0, 0.0)
    assert roster.strikes == 1


def test_waits_are_bounded():
    roster = roster_of(200)
    roster.look([ArrayTask(1, index, "FAILED", 1.0) for index in range(200)], 0, 50.0)
    assert roster.not_before == 50.0 + LONGEST


@pytest.mark.parametrize(
    ("number", "most", "sizes"),
    [(0, 5, []), (5, 5, [5]), (12, 5, [5, 5, 2]), (200, 1001, [200]), (2002, 1001, [1001, 1001])],
)
def test_arrays_are_no_larger_than_they_may_be(number, most, sizes):
    assert slurm_roster.sizes(number, most) == sizes
