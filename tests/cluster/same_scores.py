"""One search by inline, processes, Slurm and Ray, each with one seed and one thread: are the scores of a network equal?

`python tests/cluster/same_scores.py` plays recipes/hierarchical-digits.toml on a small Slurm and a small Ray of this
machine and prints, for each two ways, how many architectures occur in both and how many of their scores differ, which
must be none, bit for bit; `--trials 8` makes it short. The order in which trials end is each way's own, so that all but
the first networks, which are drawn before any has ended, may be others. What ships is trained for one epoch alone.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from netwright.runs import run_folder  # noqa: E402
from tests.cluster import ray_cluster, slurm_cluster  # noqa: E402

RECIPE = ROOT / "recipes" / "hierarchical-digits.toml"
METRIC = "valid_accuracy"


def played(
    folder: Path, executor: str, options: Mapping[str, object], variables: Mapping[str, str], trials: int
) -> str:
    """Play the recipe in a folder; returns the last line printed."""
    given = [word for name, value in options.items() for word in (f"--executor.{name}", str(value))]
    words = [sys.executable, "-m", "netwright", "search", str(RECIPE), "--out", str(folder)]
    asked = [*words, "--executor", executor, *given, "--limits.trials", str(trials), "--final.epochs", "1"]
    ran = subprocess.run(asked, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout.strip().rpartition("\n")[2]


def scores(folder: Path) -> dict[str, float]:
    """The score of each architecture of a run, by its canonical key."""
    with closing(run_folder.open_table(folder, "read")) as store:
        results = {row.key: row.result for row in store.finished() if row.result and row.result.reused is None}
    assert not any(result.failure for result in results.values()), f"trials of {folder} failed"
    return {key: result.metrics[METRIC] for key, result in results.items()}


def compared(found: Mapping[str, Mapping[str, float]]) -> tuple[list[str], bool]:
    """A line for each two ways, and whether any two have networks in common and agree in all of them."""
    lines, agree = ["two ways               in both  differ"], True
    for one, other in itertools.combinations(found, 2):
        both = found[one].keys() & found[other].keys()
        differ = sum(found[one][key] != found[other][key] for key in both)
        agree &= bool(both) and not differ
        lines.append(f"{f'{one}, {other}':<22} {len(both):>7} {differ:>7}")
    return lines, agree


def main() -> int:
    """Print the table; the exit code is 1 where scores differ, or nothing could be compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    trials = parser.parse_args().trials
    found = {}
    own = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as place:

        def play(executor: str, options: Mapping[str, object], variables: Mapping[str, str]) -> None:
            begun, folder = time.monotonic(), Path(place) / executor
            said = played(folder, executor, options, variables, trials)
            found[executor] = scores(folder)
            print(
                f"{executor}: {len(found[executor])} architectures, {time.monotonic() - begun:.0f} s; {said}",
                flush=True,
            )

        play("inline", {}, own)
        play("processes", {"workers": 2}, own)
        with slurm_cluster.started() as slurm:
            play("slurm", {"partition": "main", "workers": 2, "poll_seconds": 1.0}, slurm.variables)
        with ray_cluster.started(2) as ray:
            play("ray", {"address": ray.address, "workers": 2}, ray.variables)
    lines, agree = compared(found)
    print("\n".join(lines))
    return int(not agree)


if __name__ == "__main__":
    sys.exit(main())
