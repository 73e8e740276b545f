"""One script for the few minutes in which a card is at hand: tests, benchmarks and real runs, and one table last.

    python benchmarks/gpu.py --folder runs/gpu               # all of it, real runs cut to 40 s, at most 8 minutes
    python benchmarks/gpu.py --whole --folder runs/evidence  # real runs whole, a piece of 6 minutes; again until done

Needs torch and the dependencies of netwright, which itself need not be installed: `src/` beside this folder is used.
Modules that are missing come from a folder of wheels, `--wheels` or NETWRIGHT_WHEELS, unpacked for the time of the
script. CIFAR-10 lies in NETWRIGHT_DATA/cifar10. All is written to the folder; images that were decoded, to the user's
cache.

Without a card, what needs one is skipped by name, and everything else runs at the smallest size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import jobs, modules, play

MINUTES, PIECE_MINUTES = 8.0, 6.0


def looked_up(variables: Mapping[str, str]) -> dict[str, Any]:
    """What there is, as `gpu/here.py` says it."""
    words = (sys.executable, str(Path(__file__).with_name("here.py")))
    done = subprocess.run(words, env=dict(variables), capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise SystemExit(f"netwright cannot be loaded: {lines[-1] if lines else 'no reason given'}")
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return facts


def data_folder() -> Path | None:
    """Folder of CIFAR-10's files; None: there is none."""
    named = os.environ.get("NETWRIGHT_DATA")
    folder = Path(named).absolute() / "cifar10" if named else None
    return folder if folder and any(folder.glob("train*.parquet")) else None


def ended(
    all_jobs: Sequence[play.Job], outcomes: Mapping[str, play.Outcome], facts: Mapping[str, Any], folder: Path
) -> str:
    """The table that is printed last, with those that jobs printed."""
    card = f"{facts['card']}, driver {facts.get('driver') or 'unknown'}" if facts["card"] else "no card"
    parts = [f"{card}; torch {facts['torch']}, CUDA {facts['cuda'] or 'none'}, Python {facts['python']}"]
    for job in all_jobs:
        path = folder / f"{job.name}.out"
        if job.name.startswith("step") and path.exists():
            parts.append(path.read_text(encoding="utf-8").rstrip().rpartition("\n\n")[2])
    parts.append(play.table(all_jobs, outcomes))
    if found := play.large_files(folder):
        parts.append(f"too large to be carried to another piece: {', '.join(found)}")
    return "\n\n".join(parts)


def main() -> None:
    given = _options()
    begun = time.monotonic()
    if given.begin and not given.folder.exists():
        shutil.copytree(given.begin, given.folder)
    given.folder = given.folder.absolute()
    if not given.whole and (given.folder / play.LINES).exists():
        raise SystemExit(f"{given.folder} holds what an earlier command found; give another --folder")
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as site:
        if absent := modules.missing():
            if given.wheels is None:
                raise SystemExit(f"missing modules: {', '.join(absent)}; install them, or give --wheels FOLDER")
            modules.unpack(list(absent.values()), given.wheels, Path(site))
        modules.name_checkout(Path(site))
        variables = modules.environment(Path(site))
        facts = looked_up(variables)
        (given.folder / "machine.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        data = data_folder()
        is_small = given.quick or not facts["card"]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netwright-gpu"
        images = cache / ("cifar10-small.npz" if is_small else "cifar10.npz")
        place = jobs.Place(facts, data, images, given.folder / "results.csv")
        listed = jobs.small(place) if is_small else jobs.whole(place) if given.whole else jobs.cut(place)
        if given.only:
            listed = [job for job in listed if job.name in given.only]
        seconds = 60 * (given.minutes or (PIECE_MINUTES if given.whole else MINUTES)) - (time.monotonic() - begun)
        outcomes = play.play(
            listed,
            given.folder,
            seconds,
            environment=variables,
            say=lambda text: print(f"{time.monotonic() - begun:5.0f} s  {text}", file=sys.stderr, flush=True),
        )
    text = ended(listed, outcomes, facts, given.folder)
    (given.folder / "table.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    if any(outcome.state in ("failed", "cut") for outcome in outcomes.values()):
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    wheels = os.environ.get("NETWRIGHT_WHEELS")
    parser = argparse.ArgumentParser(description="Tests, benchmarks and real runs on a card.")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "gpu", help="folder that all is written to")
    parser.add_argument("--whole", action="store_true", help="the real runs whole; the same command goes on")
    parser.add_argument("--begin", type=Path, help="folder of an earlier piece, copied to --folder where that is not")
    parser.add_argument("--minutes", type=float, help="in all, or of this piece")
    parser.add_argument("--only", nargs="+", help="only jobs of these names")
    parser.add_argument("--quick", action="store_true", help="everything as small as where there is no card")
    parser.add_argument("--wheels", type=Path, default=Path(wheels) if wheels else None, help="for missing modules")
    return parser.parse_args()
