"""A search by jobs of Slurm while its nodes are cut off and one of its jobs is preempted: who ran what.

`python tests/cluster/slurm_search.py` prints the table; `make cluster-test` asserts what it says.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from netwright.runs import run_folder  # noqa: E402
from tests.cluster.slurm_cluster import CPUS, NODES, Cluster, search, started  # noqa: E402

EVERY = 15.0  # seconds between two power cuts
DARK = 4.0  # seconds until a node is there again


def disturbed(cluster: Cluster, folder: Path, trials: int = 60, seconds: float = 1.0) -> tuple[int, int, str]:
    """Search while nodes are cut off in turn and one job gives way to an urgent one.

    Returns:
        Power cuts, preemptions, and what the search printed.
    """
    cuts, is_urgent = 0, False
    nodes = itertools.cycle(range(1, NODES + 1))
    dark: int | None = None
    program = subprocess.Popen(
        search(folder, trials, seconds),
        env=cluster.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while program.poll() is None and not (finished(folder) >= 3):
            time.sleep(0.2)
        cut = time.monotonic()
        while program.poll() is None and finished(folder) < trials:
            now = time.monotonic()
            if dark is None and now - cut >= EVERY:
                dark, cut, cuts = next(nodes), now, cuts + 1
                cluster.kill_node(dark)
            if dark is not None and now - cut >= DARK:
                cluster.start_node(dark)
                dark = None
            if not is_urgent and len(cluster.jobs("RUNNING")) == NODES * CPUS:  # so that it takes the place of one
                cluster.run("sbatch", "--partition=urgent", "--output=/dev/null", "--wrap=sleep 3")
                is_urgent = True
            time.sleep(0.2)
        if dark is not None:
            cluster.start_node(dark)
        assert program.stdout is not None
        logs = [path.read_text(errors="replace") for path in (folder / "run" / "logs").glob("slurm-*.log")]
        return cuts, sum(text.count("DUE TO PREEMPTION") for text in logs), program.stdout.read()
    finally:
        program.kill()
        program.wait()


def finished(folder: Path) -> int:
    """How many trials have finished in a run."""
    if not run_folder.holds_run(folder / "run"):
        return 0
    with closing(run_folder.open_table(folder / "run", "read")) as store:
        return store.tally().finished


def table(folder: Path) -> str:
    """What each job ran, how often it was started, and what became of the rows."""
    import sqlite3

    with closing(sqlite3.connect(folder / "run" / "trials.sqlite")) as rows:
        ran = rows.execute("SELECT worker, status, losses FROM trials").fetchall()
    by_job = Counter(re.sub(r"-\d+-[0-9a-f]+$", "", worker or "nobody") for worker, _, _ in ran)
    lines = ["job            starts  trials  nodes"]
    for job, number in sorted(by_job.items()):
        log = folder / "run" / "logs" / f"{job}.log"
        nodes = re.findall(r"^job \d+ on (\w+), start", log.read_text(errors="replace") if log.exists() else "", re.M)
        lines.append(f"{job:<14} {len(nodes):>6} {number:>7}  {' '.join(nodes)}")
    status = Counter(status for _, status, _ in ran)
    for log in sorted((folder / "run" / "logs").glob("slurm-*.log")):
        if log.stem not in by_job:
            lines.append(f"{log.stem:<14} {'':>6} {0:>7}")
    lines.append(f"rows: {len(ran)}; " + ", ".join(f"{number} {word}" for word, number in sorted(status.items())))
    lines.append(f"rows that were lost at least once and measured again: {sum(losses > 0 for _, _, losses in ran)}")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a trial")
    asked = parser.parse_args()
    with started() as cluster, tempfile.TemporaryDirectory() as place:
        folder, begun = Path(place), time.monotonic()
        cuts, preempted, said = disturbed(cluster, folder, asked.trials, asked.seconds)
        print(said)
        print((folder / "run" / "logs" / "slurm.log").read_text())
        print(table(folder))
        print(f"{cuts} power cuts, {preempted} job preempted, {time.monotonic() - begun:.0f} s")
        print(f"jobs left: {', '.join(cluster.jobs()) or 'none'}")


if __name__ == "__main__":
    main()
