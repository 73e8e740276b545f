"""The words of sbatch and the script of a job, without any Slurm."""

import subprocess
from pathlib import Path

import pytest

from netwright.executors import slurm_job
from netwright.executors.slurm_job import JobSpec

FOLDER = Path("/shared/my runs/50%")


def test_the_words_of_sbatch():
    plain = JobSpec(FOLDER, "/venv/bin/python").arguments()
    assert "--requeue" in plain and "--signal=B:USR1@30" in plain
    assert "--output=/shared/my runs/50%%/logs/slurm-%A_%a.log" in plain
    assert not [word for word in plain if word.startswith(("--partition", "--time", "--gres", "--mem", "--account"))]
    given = {"partition": "gpu", "minutes": 90, "gres": "gpu:1", "cpus": 4, "memory_mb": 8000, "account": "lab"}
    full = JobSpec(FOLDER, "python", **given, extra=("--qos=long", "-C", "a100")).arguments()
    for word in ("--partition=gpu", "--time=90", "--gres=gpu:1", "--cpus-per-task=4", "--mem=8000M", "--account=lab"):
        assert word in full
    assert full[-3:] == ["--qos=long", "-C", "a100"]


@pytest.mark.parametrize(("minutes", "seconds", "warning"), [(0, 20, 30), (600, 20, 30), (1, 20, 15), (600, 300, 310)])
def test_slurm_warns_a_worker_in_time_but_not_as_soon_as_it_begins(minutes, seconds, warning):
    assert JobSpec(FOLDER, "python", minutes=minutes, stop_seconds=seconds).warning == warning


def test_the_script_is_run_by_bash(tmp_path):
    """A stand-in for the interpreter prints what it is given, and the variables of its lines."""
    folder = tmp_path / "a 'folder'"
    python = tmp_path / "py thon"
    python.write_text('#!/bin/bash\necho "$MODULE|$PYTHONPATH|$1|$2|$3|$4|$$"\n')
    python.chmod(0o755)
    spec = JobSpec(folder, str(python), setup=("export MODULE=cuda # of it",), variables=(("PYTHONPATH", "/a b:/c"),))
    with subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        said = shell.communicate(spec.script())[0].strip()
    assert said == f"cuda|/a b:/c|-m|netwright.cli.slurm_worker|{folder}|600|{shell.pid}", "it takes the shell's place"


def test_a_line_of_setup_that_fails_is_named(tmp_path):
    spec = JobSpec(tmp_path, "false", setup=("true", "module load nothing"))
    ran = subprocess.run(["bash"], input=spec.script(), capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "netwright: this line of executor.setup failed: module load nothing" in ran.stderr


def test_jobs_are_named_by_all_that_they_are_made_of():
    spec = JobSpec(FOLDER, "python")
    assert slurm_job.is_name(spec.name()) and spec.name() == JobSpec(FOLDER, "python").name()
    others = [
        JobSpec(FOLDER / "b", "python"),
        JobSpec(FOLDER, "python3"),
        JobSpec(FOLDER, "python", gres="gpu:1"),
        JobSpec(FOLDER, "python", setup=("true",)),
        JobSpec(FOLDER, "python", variables=(("PYTHONPATH", "src"),)),
    ]
    assert len({spec.name(), *(each.name() for each in others)}) == 6
    assert not slurm_job.is_name("netwright-") and not slurm_job.is_name("* netwright-0123456789ab")


def test_workers_are_told_by_their_names():
    name = slurm_job.worker_name(75, 3)
    assert slurm_job.task_of(f"{name}-812-a0f1") == (75, 3)
    assert slurm_job.task_of("w0-812") is None and slurm_job.task_of("slurm-75_3") is None


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("qos=long", "is no option of sbatch; write each as one word"),
        ("--array=0-9", "which workers need as it is"),
        ("-a0-9", "which workers need as it is"),
        ("--signal=USR2", "which workers need as it is"),
        ("--time=5", "give executor.minutes in its place"),
        ("-p", "give executor.partition in its place"),
        ("--mem=5G", "give executor.memory_mb in its place"),
        ("--qos=a\nb", "printable characters"),
    ],
)
def test_options_that_cannot_be_given(word, why):
    assert why in slurm_job.refusal(["--qos=long", word])


def test_options_that_can_be_given():
    assert (
        slurm_job.refusal(["--qos=long", "--constraint=a100", "--nice", "--exclude=node7", "--mem-per-gpu=10G"]) == ""
    )


def test_variables_that_jobs_get():
    given = {"PYTHONPATH": "src", "NETWRIGHT_TOKEN": "secret", "HOME": "/root"}
    assert slurm_job.kept(given) == (("PYTHONPATH", "src"),)
