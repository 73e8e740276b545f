"""What Slurm's commands print is read; what they complain of becomes one sentence."""

import os

import pytest

from netwright.executors import slurm_queue
from netwright.executors.slurm_queue import ArrayTask, Queue, SlurmError, SlurmSilent

LISTED = """6|0|RUNNING|1-02:03:04|node1|None
6|1|COMPLETING|0:07|node1|None
6|2|PENDING|0:00||BeginTime
6|3|CANCELLED by 1000|0:02|node2|None
6|4|PENDING|0:00||launch failed requeued held
12|N/A|RUNNING|0:01|node3|None
slurm_load_jobs: a line that is no job
"""


def test_the_queue_is_read():
    tasks = slurm_queue.tasks(LISTED)
    assert tasks[0] == ArrayTask(6, 0, "RUNNING", 93784.0, "node1", "None")
    assert [str(task) for task in tasks] == ["6_0", "6_1", "6_2", "6_3", "6_4"], "a job of no array is none of ours"
    assert [task.is_running for task in tasks] == [True, True, False, False, False]
    assert [task.is_waiting for task in tasks] == [False, False, True, False, False]
    assert [task.is_live for task in tasks] == [True, True, True, False, False]
    assert tasks[3].state == "CANCELLED"
    assert slurm_queue.tasks("") == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00", 0),
        ("1:30", 90),
        ("2:00:00", 7200),
        ("1-00:00:01", 86401),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_times_are_read(text, seconds):
    assert slurm_queue.duration(text) == seconds


def test_a_complaint_is_one_sentence_in_slurms_words():
    text = "sbatch: error: invalid partition specified: gpu\nsbatch: error: Batch job submission failed: Invalid name\n"
    error = slurm_queue.complaint("sbatch", text, 1)
    assert str(error) == "sbatch: invalid partition specified: gpu; Batch job submission failed: Invalid name"
    assert type(error) is SlurmError
    assert str(slurm_queue.complaint("squeue", "", 7)) == "squeue: exit code 7"


def test_a_slurm_that_is_away_is_no_refusal():
    text = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    assert type(slurm_queue.complaint("squeue", text, 1)) is SlurmSilent


def test_variables_that_describe_a_job_are_not_handed_to_others():
    inside = {
        "SLURM_JOB_ID": "7",
        "SLURM_MEM_PER_NODE": "100",
        "SLURMD_NODENAME": "n",
        "SLURM_CONF": "/etc/s",
        "PATH": "/bin",
    }
    assert slurm_queue.environment(inside) == {"SLURM_CONF": "/etc/s", "PATH": "/bin"}
    outside = {"SLURM_TIME_FORMAT": "%s", "SBATCH_ACCOUNT": "lab"}
    assert slurm_queue.environment(outside) == outside


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Writes a program of Slurm that is in the path from then on, alone."""

    def write(name, text):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return write


def queue():
    return Queue("netwright-0123456789ab", {"PATH": os.environ["PATH"]})


def test_what_is_not_there_is_said(programs):
    with pytest.raises(SlurmError, match=r"there is no Slurm on this machine \(sbatch is not found\)"):
        slurm_queue.check_programs()
    programs("sbatch", "true")
    with pytest.raises(SlurmError, match="squeue is not found"):
        slurm_queue.check_programs()


def test_jobs_are_submitted_and_cancelled_by_their_name(programs, tmp_path):
    place = tmp_path / "said"
    programs("sbatch", f'echo "$@" > {place}; while read line; do echo "$line" >> {place}; done; echo "123;cluster"')
    assert queue().submit(["--time=5"], "#!/bin/bash\nexec true\n", 7) == 123
    words, *script = place.read_text().splitlines()
    assert words == "--parsable --job-name=netwright-0123456789ab --array=0-6 --time=5"
    assert script == ["#!/bin/bash", "exec true"]
    programs("scancel", f'echo "$@" > {place}')
    queue().cancel("--state=PENDING")
    assert place.read_text().endswith("--name=netwright-0123456789ab --state=PENDING\n")
    queue().cancel_tasks([ArrayTask(6, 2, "RUNNING"), ArrayTask(7, 0, "PENDING")])
    assert place.read_text() == "--quiet 6_2 7_0\n"


def test_limits_and_addresses_are_asked_for(programs):
    programs("scontrol", 'echo "MaxArraySize            = 5"')
    assert queue().max_array() == 5
    programs("scontrol", "echo nothing")
    assert queue().max_array() == slurm_queue.MAX_ARRAY
    programs("sinfo", "echo 10.0.0.7; echo 10.0.0.8; echo 10.0.0.7")
    assert queue().addresses() == ["10.0.0.7", "10.0.0.8"]


def test_options_are_tried_out_and_nodes_that_are_all_drained_are_no_refusal(programs):
    programs("sbatch", 'echo "allocation failure: Requested node configuration is not available" >&2; exit 1')
    queue().try_out([], "")
    programs("sbatch", 'echo "sbatch: unrecognized option --foo" >&2; exit 255')
    with pytest.raises(SlurmError, match="unrecognized option --foo"):
        queue().try_out([], "")


def test_an_answer_that_is_no_number_is_refused(programs):
    programs("sbatch", "echo hello")
    with pytest.raises(SlurmError, match="'hello' in place of a job's number"):
        queue().submit([], "", 1)
