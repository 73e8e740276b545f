"""A search by actors of Ray while one of its nodes is killed every 15 s: who ran what.

`python tests/cluster/ray_search.py` prints the table; `make cluster-test` asserts what it says.
"""

import argparse
import itertools
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.cluster.ray_cluster import NODES, RayNodes, finished, search, started  # noqa: E402

EVERY = 15.0  # seconds between two kills
DARK = 4.0  # seconds after which a node is started again
LINES = 20  # at most of what is printed


def disturbed(cluster: RayNodes, folder: Path, trials: int = 60, seconds: float = 1.0) -> tuple[int, int, str]:
    """Search while raylets are killed in turn, and started again.

    Returns:
        Kills, the exit code of the search, and what it printed.
    """
    kills, nodes = 0, itertools.cycle(range(1, NODES + 1))
    dark: int | None = None
    starting: list[subprocess.Popen[bytes]] = []
    program = subprocess.Popen(
        search(cluster, folder, trials, seconds),
        env=cluster.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while program.poll() is None and finished(folder) < 3:
            time.sleep(0.2)
        killed = time.monotonic()
        while program.poll() is None and finished(folder) < trials:
            now = time.monotonic()
            if dark is None and now - killed >= EVERY:
                there = (each for each in itertools.islice(nodes, NODES) if cluster.raylet(each))
                killed, dark = now, next(there, None)
                if dark is not None:  # else all are still being started, as on a busy machine
                    cluster.kill(dark)
                    kills += 1
            if dark is not None and now - killed >= DARK:
                starting.append(cluster.start(dark))
                dark = None
            time.sleep(0.2)
        assert program.stdout is not None
        return kills, program.wait(120), program.stdout.read()
    finally:
        program.kill()
        program.wait()
        for each in starting:
            each.wait()


def table(folder: Path) -> str:
    """What each actor ran, on which node, and what became of the rows."""
    with closing(sqlite3.connect(folder / "run" / "trials.sqlite")) as rows:
        ran = rows.execute("SELECT worker, status, losses FROM trials").fetchall()
    log = (folder / "run" / "logs" / "ray.log").read_text(errors="replace")
    nodes = dict(re.findall(r"(w\d+-[0-9a-f]{8}) is on (\S+)", log))
    lost = set(re.findall(r"(w\d+-[0-9a-f]{8}) lost", log))
    by_actor = Counter(re.sub(r"-\d+-[0-9a-f]+$", "", worker or "nobody") for worker, _, _ in ran)
    lines = ["actor         node        trials"]
    for actor in sorted({*by_actor, *nodes}):
        lines.append(f"{actor:<13} {nodes.get(actor, ''):<11} {by_actor[actor]:>6}{'  lost' * (actor in lost)}")
    status = Counter(status for _, status, _ in ran)
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
        kills, code, said = disturbed(cluster, folder, asked.trials, asked.seconds)
        print("\n".join(said.splitlines()[-LINES:]))
        print(table(folder))
        print(f"{kills} raylets killed, exit code {code}, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
