"""A search by jobs of Slurm while its nodes are cut off and one of its jobs is preempted: who ran what.

`python tests/cluster/slurm_search.py` prints the table; `make cluster-test` asserts what it says.
"""

import argparse
import itertools
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.cluster.searching import begun, ended, finished, ran  # noqa: E402
from tests.cluster.slurm_cluster import CPUS, NODES, Cluster, search, started  # noqa: E402

EVERY = 15.0  # seconds between two power cuts
SOON = 2.0  # seconds until the first
DARK = 4.0  # seconds until a node is there again


def disturbed(cluster: Cluster, folder: Path, trials: int = 60, seconds: float = 1.0) -> tuple[int, int, str]:
    """Search while nodes are cut off in turn and one job gives way to an urgent one.

    Returns:
        Power cuts, preemptions, and what the search printed.
    """
    cuts, is_urgent = 0, False
    nodes = itertools.cycle((*range(2, NODES + 1), 1))  # the first one has the urgent job
    dark: int | None = None
    program = begun(search(folder, trials, seconds), cluster.variables, folder, 3, leads=False)
    try:
        cut = time.monotonic() - EVERY + SOON
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
        said = ended(program)[1]
        logs = [path.read_text(errors="replace") for path in (folder / "run" / "logs").glob("slurm-*.log")]
        return cuts, sum(text.count("DUE TO PREEMPTION") for text in logs), said
    finally:
        program.kill()
        program.wait()


def table(folder: Path) -> str:
    """What each job ran, how often it was started, and what became of the rows."""
    found = ran(folder)
    lines = ["job            starts  trials  nodes"]
    for job, number in sorted(found.by_place.items()):
        log = folder / "run" / "logs" / f"{job}.log"
        nodes = re.findall(r"^job \d+ on (\w+), start", log.read_text(errors="replace") if log.exists() else "", re.M)
        lines.append(f"{job:<14} {len(nodes):>6} {number:>7}  {' '.join(nodes)}")
    for log in sorted((folder / "run" / "logs").glob("slurm-*.log")):
        if log.stem not in found.by_place:
            lines.append(f"{log.stem:<14} {'':>6} {0:>7}")
    return "\n".join([*lines, *found.summary])


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
