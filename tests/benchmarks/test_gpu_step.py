"""Cases and table of `benchmarks/gpu_step.py`; `benchmarks/results.py` with a card."""

import csv
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def gpu_step():
    """The script, whose imports are found beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        for name in ("gpu", "gpu.cases", "gpu_step", "results"):
            patch.delitem(sys.modules, name, raising=False)
        import gpu_step

        yield gpu_step


@pytest.mark.parametrize("of", ["cases", "small"])
def test_plain_and_ours_are_the_same_architecture(gpu_step, of):
    for name, case in getattr(gpu_step, of)().items():
        params = case.space.count(case.genotype, case.io).params
        if case.plain is not None:
            assert params == sum(each.numel() for each in case.plain().parameters()), name


def test_a_plain_step_learns(gpu_step):
    case, device = gpu_step.small()["nats-4"], torch.device("cpu")
    step = gpu_step.step_of(gpu_step.module(case, device), *gpu_step.batch_of(case, device), is_half=False)
    losses = [float(step()) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_the_evaluator_and_its_data_are_timed_from_outside(gpu_step, tmp_path):
    case, device = gpu_step.small()["nats-4"], torch.device("cpu")
    task = gpu_step.task_of(case, tmp_path, 40)
    assert (
        0
        < gpu_step.data_seconds(task, 16, device)
        < gpu_step.trial_seconds(gpu_step.Training(case.space, task, steps=2, batch=16), case.genotype, tmp_path)
    )
    training = gpu_step.Training(case.space, task, steps=2, batch=16, lr=1e30)
    with pytest.raises(RuntimeError, match="diverged"):
        gpu_step.trial_seconds(training, case.genotype, tmp_path)


def _found(gpu_step, **changes):
    facts = {"name": "a", "batch": 100, "of_plain": 2.5, "ours": (960.0,), "plain": (300.0,), "bare": (1000.0,)}
    facts |= {"start": (1.0, 2.0, 1.2), "data": 0.001, "floor": 2000.0, "memory": 500.0}
    return gpu_step.Found(**{**facts, **changes})


def test_targets_are_judged_on_a_card_alone(gpu_step):
    good = gpu_step.table([_found(gpu_step)]).splitlines()[1]
    assert good.split()[5:] == ["0.96", "ok", "3.20x", "ok", "1.0", "%", "ok", "1.20", "s", "ok"]
    bad = gpu_step.table([_found(gpu_step, ours=(500.0,), data=0.01, start=(2.0,))])
    assert bad.count("MISSED") == 4
    none = gpu_step.table([_found(gpu_step, bare=(), floor=None, memory=None)])
    assert "ok" not in none and "MISSED" not in none and "nan" not in none


def test_rows_name_the_card(gpu_step, tmp_path, monkeypatch):
    monkeypatch.setenv("NETWRIGHT_COMMIT", "abc1234")
    path = tmp_path / "results.csv"
    gpu_step.results.append(path, gpu_step.rows_of(_found(gpu_step)), "A card")
    gpu_step.results.append(path, gpu_step.rows_of(_found(gpu_step, bare=(), floor=None, memory=None)))
    rows = list(csv.DictReader(path.open()))
    assert rows[0]["hardware"].startswith("A card; ") and rows[-1]["hardware"].partition(";")[0] != "A card"
    assert {row["commit"] for row in rows} == {"abc1234"}
    by = {row["subject"]: row["ratio_to"] for row in rows[:-4]}
    assert by["a; netwright"] == "3.200 to plain; 0.960 to bare" and by["a; floor"] == "0.480 of it reached"
    assert "a; plain eager float32" in {row["subject"] for row in rows[-4:]}


def test_the_floor_is_what_takes_longer(gpu_step):
    case = gpu_step.small()["nats-4"]
    fast = gpu_step.floor(case, gpu_step.Ceilings(1e15, 1e9))
    assert fast == pytest.approx(2 * gpu_step.floor(case, gpu_step.Ceilings(1e15, 0.5e9)))  # memory limits
    slow = gpu_step.floor(case, gpu_step.Ceilings(1e6, 1e12))
    assert slow == pytest.approx(1e6 / (3 * case.space.count(case.genotype, case.io).multiply_adds), rel=0.05)
    assert gpu_step.floor(case, None) is None
