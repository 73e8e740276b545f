"""Which jobs are lost, and how many take their place."""

import pytest

from netwright.executors import slurm_crew
from netwright.executors.slurm_crew import LONGEST, SHORTEST, Crew
from netwright.executors.slurm_queue import Task


def running(index, seconds=100.0, array=1):
    return Task(array, index, "RUNNING", seconds, "node1")


def crew_of(number, array=1):
    crew = Crew()
    crew.add(array, number)
    return crew


def test_jobs_that_run_or_wait_need_no_replacement():
    crew = crew_of(3)
    assert crew.look([running(0), running(1), Task(1, 2, "PENDING", 0, "", "Resources")], 0, 0.0) == []
    assert crew.needed(3, 0.0) == 0 and crew.needed(5, 0.0) == 2 and crew.needed(1, 0.0) == 0
    assert crew.counts() == "2 run, 1 wait (1 for Resources)"


@pytest.mark.parametrize("state", ["FAILED", "COMPLETED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"])
def test_a_job_that_ended_is_replaced(state):
    crew = crew_of(2)
    lost = crew.look([running(0), Task(1, 1, state, 4000.0, "node1")], 0, 0.0)
    assert [str(task) for task in lost] == ["1_1"] and crew.needed(2, 0.0) == 1
    assert crew.strikes == 0, "it has worked for more than an hour"


def test_a_job_that_slurm_has_forgotten_is_replaced():
    crew = crew_of(2)
    crew.look([running(0), running(1)], 0, 0.0)
    assert [task.state for task in crew.look([running(0)], 0, 0.0)] == ["FORGOTTEN"]
    assert crew.needed(2, 0.0) == 1 and not crew.strikes


def test_a_job_that_slurm_will_never_start_is_replaced():
    crew = crew_of(1)
    assert crew.look([Task(1, 0, "PENDING", 0, "", "launch failed requeued held")], 0, 0.0)


def test_a_requeued_job_stays_a_member():
    crew = crew_of(1)
    crew.look([running(0)], 0, 0.0)
    assert crew.look([Task(1, 0, "PENDING", 0, "", "BeginTime")], 0, 0.0) == [] and crew.needed(1, 0.0) == 0


def test_jobs_that_end_as_soon_as_they_begin_are_replaced_later_and_later_and_then_no_more():
    crew, now = Crew(), 0.0
    for array in (1, 2, 3):
        assert not crew.is_hopeless()
        crew.add(array, 1)
        crew.look([Task(array, 0, "FAILED", 1.0, "node1")], 0, now)
        wait = SHORTEST * 2 ** (array - 1)
        assert crew.needed(1, now + wait - 0.1) == 0 and crew.needed(1, now + wait) == 1
        now += wait
    assert crew.is_hopeless() and str(crew.gone) == "3_0"


def test_many_that_run_speak_against_a_few_that_do_not():
    crew = crew_of(10)
    others = [running(index) for index in range(7)]
    crew.look([*others, *(Task(1, index, "FAILED", 1.0) for index in (7, 8, 9))], 0, 0.0)
    assert crew.strikes == 3 and not crew.is_hopeless(), "one node of many has a fault"
    crew = crew_of(10)
    crew.look([Task(1, index, "FAILED", 1.0) for index in range(10)], 0, 0.0)
    assert crew.is_hopeless()


def test_a_trial_that_finishes_forgives():
    crew = crew_of(3)
    crew.look([running(0), *(Task(1, index, "FAILED", 1.0) for index in (1, 2))], 0, 0.0)
    assert crew.strikes == 2
    crew.look([running(0)], 1, 0.0)
    assert crew.strikes == 0 and crew.needed(3, 0.0) == 2


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "CANCELLED"])
def test_what_others_did_to_a_job_is_no_fault_of_its_own(state):
    crew = crew_of(2)
    crew.look([running(0), Task(1, 1, state, 1.0)], 0, 0.0)
    assert crew.strikes == 0


def test_after_a_cancellation_one_more_look_is_taken():
    crew = crew_of(2)
    crew.look([running(0), Task(1, 1, "CANCELLED", 90.0)], 0, 0.0)
    assert crew.was_cancelled and crew.needed(2, 0.0) == 0, "whoever cancels may be at it still"
    crew.look([running(0)], 0, 0.0)
    assert crew.needed(2, 0.0) == 1


def test_jobs_of_an_earlier_controller_are_taken_over_those_that_run_first():
    crew = Crew()
    listed = [Task(1, 0, "PENDING"), Task(1, 1, "FAILED"), running(2), running(3)]
    assert [str(task) for task in crew.adopt(listed, 2)] == ["1_0"]
    assert sorted(crew.members) == [(1, 2), (1, 3)] and crew.needed(2, 0.0) == 0


def test_waits_are_bounded():
    crew = crew_of(200)
    crew.look([Task(1, index, "FAILED", 1.0) for index in range(200)], 0, 50.0)
    assert crew.not_before == 50.0 + LONGEST


@pytest.mark.parametrize(
    ("number", "most", "sizes"),
    [(0, 5, []), (5, 5, [5]), (12, 5, [5, 5, 2]), (200, 1001, [200]), (2002, 1001, [1001, 1001])],
)
def test_arrays_are_no_larger_than_they_may_be(number, most, sizes):
    assert slurm_crew.sizes(number, most) == sizes
