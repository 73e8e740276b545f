"""Every benchmark runs, as small as it can be: `--quick`, in a fresh folder."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netwright
from tests.verified import VERIFIED

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = (
    *sorted(path.stem for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text()),
    *("gpu/many", "gpu/plain"),  # the other scripts of folders are played by gpu.py and tonight.py
)
NEEDS = {  # what they import that no installation of the package brings
    "bo_proposal": ("optuna",),
    "mobo_proposal": ("optuna", "botorch"),
    "table_fronts": ("optuna",),
}
GPU_JOBS = (
    "data",
    "step",
    "fitness",
    "fast",
    "plain",
    "search",
    "search-best",
    "profile",
)  # else it is a script here
WITH = {  # further arguments: parts that are left out unless asked for, and where to write
    "bench_throughput": ("--predictor",),
    "gpu_step": ("--repeats", "1", "--seconds", "0.1", "--json", "found.json"),
    "gpu": ("--folder", "all", "--minutes", "14", "--only", *GPU_JOBS),
    "gpu/many": ("--folder", "all", "--at-once", "1", "2", "--steps", "2", "--each", "1", "--least", "2"),
    "gpu/plain": ("images.npz", "--keep", "standing"),
    "nao_embeddings": ("--plot", "map.png"),
    "others": ("--trials", "--lines"),  # sizes are those of packages that pip downloads
    "simulated_cluster": ("--figure", "cluster.png"),
    "table_fronts": ("--folder", "all"),
}


def quick(script, folder):
    """Run a script in this folder; what it printed."""
    words = [*WITH.get(script, ()), "--quick"]
    if script == "gpu/many":
        cifar = Path(os.environ.get("NETWRIGHT_DATA", "")) / "cifar10"
        if not cifar.is_dir():
            pytest.skip("NETWRIGHT_DATA has no cifar10")
        words = [str(cifar), *words]
    source = str(Path(netwright.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{script}.py", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": source, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@VERIFIED
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_runs(script, tmp_path):
    for module in NEEDS.get(script, ()):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    rng = np.random.default_rng(0)
    images, split = rng.integers(0, 256, (60, 16, 16, 3), np.uint8), np.repeat([0, 1, 2], 20).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(60) % 3, split=split)
    before = (BENCHMARKS / "results.csv").read_bytes()
    assert quick(script, tmp_path)
    assert (BENCHMARKS / "results.csv").read_bytes() == before, "what is quick measures nothing"


def test_all_benchmarks_are_found():
    assert len(SCRIPTS) > 30 and {"gpu", "tonight", "training_step"} <= set(SCRIPTS)
    assert set(NEEDS) | set(WITH) <= set(SCRIPTS), "of a benchmark that is gone"
