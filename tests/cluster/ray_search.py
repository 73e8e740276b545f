"""A search by actors of Ray while one of its nodes is killed every 15 s: who ran what.

`python tests/cluster/ray_search.py` prints the table; `make cluster-test` asserts what it says.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.cluster.ray_cluster import NODES, RayNodes, search, started  # noqa: E402
from tests.cluster.searching import begun, ended, finished, ran  # noqa: E402

EVERY = 15.0  # seconds between two kills, at least
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
    program = begun(search(cluster, folder, trials, seconds), cluster.variables, folder, 3, leads=False)
    try:
        killed = time.monotonic()
        while program.poll() is None and finished(folder) < trials:
            now = time.monotonic()
            # on a busy machine nodes take longer to come up than they would be left alone
            if dark is None and now - killed >= EVERY and all(each.poll() is not None for each in starting):
                killed, dark, kills = now, next(nodes), kills + 1
                cluster.kill(dark)
            if dark is not None and now - killed >= DARK:
                starting.append(cluster.start(dark))
                dark = None
            time.sleep(0.2)
        return kills, *ended(program)
    finally:
        program.kill()
        program.wait()
        for each in starting:
            each.wait()


def table(folder: Path) -> str:
    """What each actor ran, on which node, and what became of the rows."""
    found = ran(folder)
    log = (folder / "run" / "logs" / "ray.log").read_text(errors="replace")
    nodes = dict(re.findall(r"(w\d+-[0-9a-f]{8}) is on (\S+)", log))
    lost = set(re.findall(r"(w\d+-[0-9a-f]{8}) lost", log))
    lines = ["actor         node        trials"]
    for actor in sorted({*found.by_place, *nodes}):
        lines.append(f"{actor:<13} {nodes.get(actor, ''):<11} {found.by_place[actor]:>6}{'  lost' * (actor in lost)}")
    return "\n".join([*lines, *found.summary])


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
