"""Trains one trial of a search at length: its best, or the best of its first random population.

    python benchmarks/gpu/alike.py RUN best --initial 40 --evaluator.epochs 20 ...

What follows is handed to `netwright train`, whose place this process takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from netwright.core.records import Trial
from netwright.runs.run import Run


def chosen(trials: Sequence[Trial], which: str, initial: int) -> Trial:
    """The trial with the best first score, among all or among the first `initial` that were asked."""
    able = [trial for trial in trials if trial.scores and (which == "best" or trial.id <= initial)]
    if not able:
        raise SystemExit(f"none of the {len(trials)} finished trials succeeded" + f" by number {initial}")
    return max(able, key=lambda trial: (trial.scores, -trial.id))


def main() -> None:
    folder, which, _, initial, *words = sys.argv[1:]
    trial = chosen(Run(folder).trials, which, int(initial))
    print(f"the {which}: trial {trial.id}, {trial.scores}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "netwright.cli.main", "train", folder, "--trial", str(trial.id), *words]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
