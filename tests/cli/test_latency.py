"""`netwright latency` as a user gives it, on a CPU."""

import json

import pytest

from netwright.core import extras
from netwright.core.errors import MissingCapability
from netwright.training.latency import blocks
from netwright.training.latency.blocks import Effort
from tests.cli.test_bad_input import refused, run
from tests.verified import VERIFIED

SMALL = ["latency", "nats", "--space.channels", "2", "--space.repeats", "1", "--io", "3x8x8:10", "--device", "cpu"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    measure = blocks.seconds
    monkeypatch.setattr(blocks, "seconds", lambda call, _effort, *rest: measure(call, Effort(3, 0.0, 1.0), *rest))


def test_a_table_of_devices_and_batches(capsys):
    code, out, err = run(capsys, *SMALL)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "nats: milliseconds, median (quartiles), 1 thread, float32"
    assert [line.split()[:2] for line in lines[3:]] == [["cpu", "1"], ["cpu", "64"]]
    assert max(map(len, lines)) <= 72


def test_json(capsys):
    code, out, err = run(capsys, *SMALL, "--batch", "3,2,3", "--threads", "1", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert [(row["device"], row["batch"], row["threads"]) for row in facts["latencies"]] == [
        ("cpu", 3, 1),
        ("cpu", 2, 1),
    ]
    for row in facts["latencies"]:
        for part in (row["forward"], row["training"]):
            assert 0 < part["lower"] <= part["median"] <= part["upper"]
    assert facts["onnx"] == [] and facts["onnx_why_not"] == ""


@VERIFIED
def test_onnx_runtime(capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    code, out, err = run(capsys, *SMALL, "--batch", "2", "--onnx")
    assert code == 0, err
    assert [line.split()[:3] for line in out.splitlines()[-1:]] == [["cpu,", "onnx", "2"]]


def test_without_onnx_runtime_the_rest_is_shown(capsys, monkeypatch):
    def missing(package, extra, what):
        raise MissingCapability(f"{what} needs the package {package}")

    monkeypatch.setattr(extras, "check", missing)
    code, out, err = run(capsys, *SMALL, "--batch", "2", "--onnx")
    assert code == 0, err
    assert out.splitlines()[-1] == "not by ONNX Runtime: --onnx needs the package onnx" and "\ncpu " in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "cuda:77"], "--device is 'cuda:77', "),
        (["--device", "cpu,meta"], "--device is 'meta', where latency is not measured; give cpu, cuda or cuda:0"),
        (["--device", "toaster"], "--device is 'toaster', where latency is not measured"),
        (["--batch", "0"], "--batch is '0'; give whole numbers from 1 to 65,536"),
        (["--batch", "1,few"], "--batch is '1,few'; give whole numbers"),
        (["--threads", "0"], "--threads is 0; it must be at least 1"),
        (["--task.size", "3"], "unknown option --task.size; there are --space.OPTION"),
    ],
)
def test_refuses(capsys, words, message):
    assert message in refused(capsys, *SMALL[:-2], *words)
