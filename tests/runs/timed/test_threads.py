"""Threads of the trainings of a contest that leave cores of the machine alone."""

import io
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
from rich.console import Console

from netwright.core import building
from netwright.core.contest import Entrant, Heat
from netwright.core.finals import PLAIN, SEARCHED, Candidate
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.timetable import PlayedHeat
from netwright.runs.session import Session
from netwright.runs.timed import crew, heats, threads
from netwright.spaces.residual import ResidualSpace
from tests.runs.timed.test_contest import Times

RUN = RunFile(
    space=Reference("residual"),
    task=Reference("digits"),
    evaluator=Reference(
        "training", {"pace": [1e-11, 1e-10, 1e-10, 1e-9, 0.0, 1e-5, 1e-3], "batch": 16, "schedule": "constant"}
    ),
    executor=Reference("processes", {"workers": 8}),
    strategy=Reference("random"),
    threads_per_trial=1,
)
PLAINS = Entrant(Candidate(PLAIN, (4, 1), is_reference=True))
FOUND = Entrant(Candidate(SEARCHED, (8, 1)))
SECONDS = {1: 1.0, 2: 0.6, 3: 0.45, 4: 0.4, 6: 0.39, 8: 0.41}


@pytest.fixture
def floor(tmp_path):
    def made(run=RUN, left=99, **more):
        said = io.StringIO()
        session = Session(Console(file=said, width=300), lambda _c, _s: nullcontext(), "")
        own = heats.Floor(session, tmp_path, run, building.build_task(run), Times(), time.monotonic() + left, **more)
        return own, said

    return made


def given(floor, heat, cores, monkeypatch, seconds=SECONDS):
    asked = []

    def measure(number):
        asked.append(number)
        return seconds[number]

    monkeypatch.setattr(crew, "cores", lambda: cores)
    return threads.with_threads(floor, heat, lambda _floor: measure), asked


@pytest.mark.parametrize(
    ("entrants", "repeats", "cores", "expected", "asked"),
    [
        ((PLAINS,), 1, 8, 4, [1, 2, 4, 8]),
        ((PLAINS,), 1, 3, 3, [1, 2, 3]),
        ((PLAINS,), 1, 1, None, []),
        ((PLAINS, FOUND), 1, 8, 4, [1, 2, 4]),
        ((PLAINS, FOUND), 1, 5, 2, [1, 2]),
        ((PLAINS,), 3, 8, 2, [1, 2]),
        ((PLAINS, replace(FOUND, space="residual")), 1, 8, 4, [1, 2, 4, 8]),
        ((PLAINS, FOUND), 8, 8, None, []),
    ],
    ids=["alone", "three-cores", "one-core", "two", "odd", "seeds", "one-after-another", "as-many-as-cores"],
)
def test_more_threads_as_far_as_they_are_faster(floor, monkeypatch, entrants, repeats, cores, expected, asked):
    own, said = floor()
    heat, tried = given(own, Heat("final", entrants, repeats=repeats), cores, monkeypatch)
    assert (heat.threads, tried) == (expected, asked)
    assert heat.gain == pytest.approx(1 / SECONDS[expected] if expected else 1.0)
    assert (f"{expected} threads for each training, which are" in said.getvalue()) == bool(expected)


def test_threads_that_are_no_faster_are_not_taken(floor, monkeypatch):
    own, said = floor()
    heat = Heat("final", (PLAINS,))
    slow = {number: 0.9 + 0.01 * number for number in range(1, 9)}
    assert given(own, heat, 8, monkeypatch, slow) == (heat, [1, 2])
    assert not said.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"executor": Reference("slurm", {"workers": 8})},
        {"executor": Reference("served", {"workers": 8})},
        {"evaluator": Reference("training", {**RUN.evaluator.options, "processes": 2})},
        {"evaluator": Reference("training", {"batch": 16, "schedule": "constant"})},
        {"evaluator": Reference("training", {**RUN.evaluator.options, "schedule": "cosine"})},
        {"evaluator": Reference("tests.contest_toys:PacedToy", {"pace": True})},
        {"task": Reference("netwright.testing.toys:ToyTask"), "space": Reference("tests.contest_toys:ToyStarting")},
    ],
    ids=["elsewhere", "served", "processes", "steps", "no-deadline", "evaluator", "task"],
)
def test_what_is_not_measured_here_has_the_threads_of_the_run(floor, monkeypatch, change):
    own, _ = floor(replace(RUN, **change))
    heat = Heat("final", (PLAINS,))
    assert given(own, heat, 8, monkeypatch) == (heat, [])


def test_where_no_time_is_left_nothing_is_measured(floor, monkeypatch):
    own, _ = floor(left=threads.LEAST - 1)
    assert given(own, Heat("final", (PLAINS,)), 8, monkeypatch) == (Heat("final", (PLAINS,)), [])


def test_a_heat_that_is_repeated_has_the_threads_that_it_had(floor, monkeypatch):
    ends = ((((5, 9),),),)
    key = ResidualSpace().key(PLAINS.candidate.genotype)
    played = PlayedHeat(name="final", keys=(key,), repeats=1, budget=9, ends=ends, threads=3)
    own, _ = floor(repeats=(played,))
    heat, asked = given(own, Heat("final", (PLAINS,)), 8, monkeypatch)
    assert not asked
    found = heats.timed(own, heat, {})
    assert (found.threads, found.ends) == (3, ends)
    assert heats._trainings(own, found, [PLAINS])[1]["threads"] == 3


def test_what_is_measured_are_steps_of_a_training(floor):
    own, _ = floor()
    assert 0 < threads.seconds_of_step(own)(1) < 60
