"""The executor of Slurm jobs, without Slurm: options, what is refused, and what it does with what its commands say.

`tests/cluster/test_slurm.py` has a real one.
"""

import json
import os
import re
import socket
from types import SimpleNamespace

import pytest

from netwright.core import refs
from netwright.core.errors import NetwrightError, WorkerError
from netwright.core.protocols import IsBounded, Job, WorksElsewhere
from netwright.core.records import Proposal
from netwright.core.refs import Reference
from netwright.executors import slurm, slurm_watch
from netwright.executors.slurm import Slurm
from netwright.executors.slurm_job import JobSpec
from netwright.executors.slurm_queue import ArrayTask, SlurmError, SlurmSilent
from netwright.executors.slurm_watch import FACT, QueueWatch
from netwright.stores.memory import MemoryStore

NAME = "netwright-0123456789ab"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 0}, "executor.workers is 0; it must be at least 1"),
        ({"minutes": -1}, "executor.minutes is -1; it must be at least 0"),
        ({"poll_seconds": 0}, "executor.poll_seconds is 0.0; it must be greater than 0"),
        ({"port": 70000}, "executor.port is 70000"),
        ({"partition": "--wrap"}, "executor.partition is '--wrap'"),
        ({"gres": "gpu:1 "}, "executor.gres is 'gpu:1 '"),
        ({"setup": ["module load a\nmodule load b"]}, "give each line of shell as a text of its own"),
        ({"extra": ["--array=1-9"]}, "executor.extra has '--array=1-9'"),
        ({"silent_minutes": float("nan")}, "executor.silent_minutes is nan"),
        ({"workers": "many"}, "workers"),
    ],
)
def test_options_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(NetwrightError, match=re.escape(sentence)):
        refs.load("executor", Reference("slurm", options))


def test_options_are_read_from_a_run_file():
    made = refs.load(
        "executor", Reference("slurm", {"setup": ["module load cuda"], "extra": ["--qos=long"], "cpus": 4})
    )
    assert made.setup == ("module load cuda",) and made.extra == ("--qos=long",)
    assert isinstance(made, IsBounded) and isinstance(made, WorksElsewhere) and made.present == 0


def test_without_slurm_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkerError, match="there is no Slurm on this machine"):
        Slurm().bounded(10)
    executor = Slurm()
    store = MemoryStore()
    store.address = "memory"
    with pytest.raises(WorkerError, match="there is no Slurm on this machine"):
        executor.start(Job(store, tmp_path / "run"))
    executor.stop()
    assert not (tmp_path / "run").exists()
    assert Slurm(workers=7).bounded(0).workers == 1, "of a run that is complete nothing is asked"


def test_the_address_is_the_one_from_which_nodes_are_reached():
    assert slurm.own_address(["no-such-node.invalid", "127.0.0.1"]) == "127.0.0.1"
    assert slurm.own_address([]) == socket.getfqdn()


class Queue:
    """A queue that says what it is told to."""

    def __init__(self):
        self.name, self.listed, self.cancelled, self.submitted, self.fault = NAME, (), [], [], None

    def _met(self, answer):
        if self.fault is not None:
            raise self.fault
        return answer

    def submit(self, words, script, number):
        self._met(None)
        self.submitted.append(number)
        return len(self.submitted)

    def look(self):
        return self._met(self.listed)

    def cancel(self, *words):
        self.cancelled.append(words)

    def cancel_tasks(self, those):
        self.cancelled += [str(task) for task in those]

    def max_array(self):
        return 3


class Fixture:
    """A watch over two jobs, its queue, its table, and what it said."""

    def __init__(self, folder, wanted=2):
        self.queue, self.store, self.said = Queue(), MemoryStore(), []
        (folder / "logs").mkdir(exist_ok=True)
        for number in range(10):
            self.store.add(Proposal((number,)), str(number), number)
        job = Job(self.store, folder, say=self.said.append)
        self.names = [f"slurm-{array}_{index}-7-aa" for array in range(1, 9) for index in range(3)]
        serving = SimpleNamespace(address="tcp://10.0.0.1:7077", heard=lambda: self.names)
        self.watch = QueueWatch(job, JobSpec(folder, "python"), self.queue, wanted, 1000.0, serving)

    def look(self, *listed):
        """One look at the queue, to its end."""
        self.queue.listed = listed
        self.watch._next = 0.0
        self.watch.go_on()
        self.watch._round.join()
        self.watch.go_on()


def test_names_are_noted_before_there_is_a_job(tmp_path):
    made = Fixture(tmp_path)
    made.queue.fault = None
    made.queue.submit = lambda *_: pytest.fail(made.store.recall(FACT))
    with pytest.raises(pytest.fail.Exception) as failed:
        made.watch.begin()
    assert json.loads(str(failed.value)) == {"name": NAME, "folder": str(tmp_path), "arrays": []}


def test_arrays_are_submitted_and_noted(tmp_path):
    made = Fixture(tmp_path, wanted=7)
    made.watch.begin()
    assert made.queue.submitted == [3, 3, 1]
    assert json.loads(made.store.recall(FACT))["arrays"] == [1, 2, 3]
    assert "3 jobs submitted as array 1" in made.said[0] and "1 job submitted as array 3" in made.said[2]


def test_jobs_of_an_earlier_controller_go_on(tmp_path):
    made = Fixture(tmp_path)
    made.queue.listed = (
        ArrayTask(6, 0, "RUNNING"),
        ArrayTask(6, 1, "PENDING"),
        ArrayTask(6, 2, "PENDING"),
        ArrayTask(6, 3, "FAILED"),
    )
    made.watch.begin()
    assert made.queue.submitted == [] and made.queue.cancelled == ["6_2"]
    assert json.loads(made.store.recall(FACT))["arrays"] == [6]


@pytest.mark.parametrize("is_copy", [False, True])
def test_jobs_of_other_options_are_cancelled_but_not_those_of_the_folder_that_this_is_a_copy_of(
    tmp_path, monkeypatch, is_copy
):
    made, cancelled = Fixture(tmp_path), []

    class Earlier:
        def __init__(self, name):
            self.name = name

        def cancel(self):
            cancelled.append(self.name)

    monkeypatch.setattr(slurm_watch, "Queue", Earlier)
    folder = "/elsewhere" if is_copy else str(tmp_path)
    made.store.remember(FACT, json.dumps({"name": "netwright-ba9876543210", "folder": folder, "arrays": [1]}))
    made.watch.begin()
    assert cancelled == ([] if is_copy else ["netwright-ba9876543210"]) and made.queue.submitted == [2]


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"name": 7}', '{"name": "*"}', '{"folder": ["x"]}'])
def test_a_fact_that_is_no_note_is_no_earlier_controller(tmp_path, text):
    made = Fixture(tmp_path)
    made.store.remember(FACT, text)
    made.watch.begin()
    assert made.queue.submitted == [2] and made.queue.cancelled == []


def test_a_job_that_ended_is_replaced_while_there_are_rows(tmp_path):
    made = Fixture(tmp_path)
    made.watch.begin()
    made.look(ArrayTask(1, 0, "RUNNING"), ArrayTask(1, 1, "TIMEOUT", 3600.0))
    assert made.queue.submitted == [2, 1]
    done = Fixture(tmp_path)
    done.watch.begin()
    done.store.unfinished = list
    done.look(ArrayTask(1, 0, "RUNNING"), ArrayTask(1, 1, "TIMEOUT", 3600.0))
    assert done.queue.submitted == [2]


def test_a_slurm_that_does_not_answer_is_said_once_and_waited_for(tmp_path):
    made = Fixture(tmp_path)
    made.watch.begin()
    made.queue.fault = SlurmSilent("squeue: Unable to contact slurm controller")
    made.look()
    made.look()
    assert [text for text in made.said if "does not answer" in text] == [
        "Slurm does not answer (squeue: Unable to contact slurm controller); its jobs go on, and are looked at again"
    ]


def test_somebody_who_cancels_all_jobs_ends_the_search(tmp_path):
    made = Fixture(tmp_path)
    made.watch.begin()
    with pytest.raises(WorkerError, match="somebody else has cancelled all jobs"):
        made.look(ArrayTask(1, 0, "CANCELLED", 5.0), ArrayTask(1, 1, "CANCELLED", 5.0))


def test_jobs_that_end_at_once_end_the_search_with_the_last_line_of_the_log(tmp_path):
    made = Fixture(tmp_path, wanted=3)
    made.watch.begin()
    (tmp_path / "logs" / "slurm-1_2.log").write_text("job 1\nImportError: no module named torch\n╰────╯\n")
    with pytest.raises(WorkerError, match="3 Slurm jobs have ended as soon as they began") as ended:
        made.look(*(ArrayTask(1, index, "FAILED", 1.0, "node7", "NonZeroExitCode") for index in range(3)))
    assert "the last, 1_2 on node7, failed (NonZeroExitCode): ImportError: no module named torch" in str(ended.value)


def test_jobs_that_do_not_reach_the_table_end_the_search_with_its_address_and_their_log(tmp_path):
    made = Fixture(tmp_path, wanted=3)
    made.names.clear()
    made.watch.begin()
    log = tmp_path / "logs" / "slurm-1_2.log"
    log.write_text("netwright: the table did not answer for 600 s\n")
    with pytest.raises(WorkerError, match="3 Slurm jobs have ended without having come to the table") as ended:
        made.look(*(ArrayTask(1, index, "FAILED", 612.0, "node7", "NonZeroExitCode") for index in range(3)))
    assert "tcp://10.0.0.1:7077" in str(ended.value) and str(log) in str(ended.value)
    assert made.queue.submitted == [3] and made.queue.cancelled == []


def test_a_controller_gives_signs_of_life_on_the_disk(tmp_path):
    made = Fixture(tmp_path)
    made.watch.begin()
    log = tmp_path / "logs" / "slurm.log"
    os.utime(log, (1.0, 1.0))
    made.watch.go_on()
    assert log.stat().st_mtime > 1e9


def test_jobs_without_a_log_say_that_nodes_may_not_see_the_folder(tmp_path):
    made = Fixture(tmp_path, wanted=3)
    made.watch.begin()
    with pytest.raises(WorkerError, match="do the nodes see it"):
        made.look(*(ArrayTask(1, index, "FAILED", 1.0) for index in range(3)))


def test_replacements_that_are_refused_again_and_again_end_a_search_without_jobs(tmp_path):
    made = Fixture(tmp_path)
    made.watch.begin()
    made.queue.submit = lambda *_: (_ for _ in ()).throw(SlurmError("sbatch: job violates accounting policy"))
    made.look(ArrayTask(1, 0, "TIMEOUT", 3600.0), ArrayTask(1, 1, "TIMEOUT", 3600.0))
    made.look()
    with pytest.raises(SlurmError, match="accounting policy"):
        made.look()


def test_jobs_whose_submission_was_not_answered_are_not_submitted_twice(tmp_path):
    made = Fixture(tmp_path)
    made.watch.begin()
    submit = made.queue.submit
    made.queue.submit = lambda *_: (_ for _ in ()).throw(SlurmSilent("sbatch has not answered for 150 s"))
    made.look(ArrayTask(1, 0, "RUNNING"), ArrayTask(1, 1, "TIMEOUT", 3600.0))
    made.queue.submit = submit
    for _ in range(2):
        made.look(ArrayTask(1, 0, "RUNNING"), ArrayTask(2, 0, "RUNNING"), ArrayTask(2, 1, "PENDING"))
    assert made.queue.submitted == [2] and made.queue.cancelled == ["2_1"]
    assert json.loads(made.store.recall(FACT))["arrays"] == [1, 2]


def test_what_a_lost_job_was_at_is_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm_watch, "PRESENT_FOR", 0.0)
    made = Fixture(tmp_path)
    made.watch.begin()
    for name in ("slurm-1_0-7-aa", "slurm-1_1-8-bb", "joined-9"):
        assert made.store.claim(name)
    made.look(ArrayTask(1, 0, "RUNNING"), ArrayTask(1, 1, "PENDING", 0, "", "BeginTime"))
    at_work = {worker.name for worker in made.store.workers() if worker.trial_id is not None}
    assert at_work == {"slurm-1_0-7-aa", "joined-9"}


def test_jobs_leave_by_themselves_before_they_are_cancelled(tmp_path, monkeypatch):
    made = Fixture(tmp_path)
    made.watch.begin()
    made.queue.listed = (ArrayTask(1, 0, "COMPLETED"),)
    made.watch.end()
    assert made.queue.cancelled == [("--state=PENDING",)]
    monkeypatch.setattr(slurm_watch, "LEAVING", 0.0)
    monkeypatch.setattr(slurm_watch, "END_LOOK", 0.0)
    looks = iter([(ArrayTask(1, 0, "RUNNING"),), (ArrayTask(1, 0, "COMPLETING"),), ()])
    made.queue.look = lambda: next(looks)
    made.watch.end()
    assert made.queue.cancelled[1:] == [("--state=PENDING",), ()]


def test_ctrl_c_while_jobs_end_cancels_them_and_serves_the_table_no_longer(tmp_path, monkeypatch):
    made, done = Fixture(tmp_path), []
    made.watch.begin()
    executor = Slurm()
    executor._watch = made.watch
    executor._serving = SimpleNamespace(halt=lambda: done.append("halt"), end=lambda: done.append("end"))
    made.queue.look = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        executor.stop()
    assert done == ["halt", "end"] and made.queue.cancelled == [("--state=PENDING",), ()]
    executor.stop()
    assert done == ["halt", "end"]


def test_jobs_that_may_be_left_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slurm_watch, "ENDING", 0.1)
    monkeypatch.setattr(slurm_watch, "END_LOOK", 0.02)
    made = Fixture(tmp_path)
    made.watch.begin()
    made.queue.fault = SlurmSilent("squeue: Unable to contact slurm controller")
    made.watch.end()
    assert f"scancel --name={NAME}" in capsys.readouterr().err


def test_a_slurm_that_was_never_reached_is_not_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slurm_watch, "ENDING", 0.0)
    made = Fixture(tmp_path)
    made.queue.fault = SlurmSilent("squeue: Unable to contact slurm controller")
    with pytest.raises(SlurmSilent):
        made.watch.begin()
    made.watch.end()
    assert made.queue.cancelled == [] and not capsys.readouterr().err
