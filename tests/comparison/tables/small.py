"""A table of sixty networks, and comparisons on it."""

import itertools
from pathlib import Path

from netwright.comparison import command_line
from netwright.comparison.tables import comparison, plan

STRANGE = "tests.comparison.strange"
GENES = ("a", "b", "c")


def write(path: Path, shift: float = 0.0) -> Path:
    """Three genes of 4, 5 and 3 values; the best signal is that of one network, the best final that of another."""
    lines = ["a,b,c,val,test,cost"]
    for a, b, c in itertools.product(range(4), range(5), range(3)):
        val = 50 + 3 * a - (b - 2) ** 2 + 1.25 * c + shift
        lines.append(f"{a},{b},{'xyz'[c]},{val},{val + 2 - 3 * (c == 2)},{10 + a}")
    path.write_text("\n".join(lines) + "\n")
    return path


def prepared(
    path: Path,
    strategies="random,local_search",
    seeds="4",
    trials="12",
    table_seconds=None,
    objectives=(),
    **options,
):
    """A comparison on the file."""
    given = {"genes": list(GENES), "signal": "val", "final": "test", **options}
    asked = plan.ComparisonPlan(
        command_line.read_strategies(strategies),
        plan.read_tables([str(path)], (), given),
        command_line.read_seeds(seeds),
        plan.read_trials(trials, table_seconds),
        table_seconds,
        objectives,
    )
    return comparison.prepare(asked)
