"""The cells of the table: a data set, a column, a seed. Which there are, what each runs, which comes next."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import tomli_w

from . import data

HERE = Path(__file__).parent
SMALL = 50_000  # parameters
PLACES = ("folder", "export", "report")  # facts that say where things were, which no line needs
TOO_LONG = "took too long"  # why a cell failed that was ended
ON_TWO, ON_ONE = ("cifar4to7", "cifar5000"), ("cifar4to7",)


@dataclass(frozen=True)
class Column:
    """A way to come to a network.

    Args:
        kind: "plain": the plain baseline; "search": `netwright search`; "choose": what P1 chooses; "reference": P1.
        group: 0: what the issue's criteria need most; cells of lower groups come first.
        sets: Data sets that it is played on.
        arguments: What its command gets beside the usual.
        share: Its time, in times that of a search.
        needs: Column whose cell of the same data set must have been played: that of P1's choice, of seed 0; that whose
            timetable is changed, of the same seed.
        cores: Cores that it has, and workers of a search.
    """

    kind: Literal["plain", "search", "choose", "reference"]
    group: int = 0
    sets: tuple[str, ...] = data.REPORTED
    arguments: tuple[str, ...] = ()
    share: float = 1.0
    needs: str = ""
    cores: int = 1

    def needed(self, cell: Cell) -> Cell | None:
        """The cell that must have been played before; None: there is none."""
        if not self.needs:
            return None
        return Cell(cell.data, self.needs, 0 if COLUMNS[self.needs].kind == "choose" else cell.seed)


COLUMNS: Mapping[str, Column] = {
    "P0": Column("plain"),
    "netwright": Column("search"),
    "P1-choice": Column("choose", share=2.0),
    "P1": Column("reference", needs="P1-choice"),
    "P0-50k": Column("plain", 1, ON_TWO, ("--params", str(SMALL))),
    "netwright-50k": Column("search", 1, ON_TWO, ("--constraint", f"params <= {SMALL}")),
    "random": Column("search", 2, ON_ONE, ("--strategy", "random")),
    "aging": Column("search", 2, ON_ONE, ("--strategy", "aging")),
    "bohb": Column("search", 2, ON_ONE, ("--strategy", "bohb")),
    "hierarchical": Column("search", 2, ON_ONE, ("--space", "hierarchical")),
    "nasnet": Column("search", 2, ON_ONE, ("--space", "nasnet")),
    "no-contest": Column("search", 2, ON_ONE, needs="netwright"),
    "no-genes": Column("search", 2, ON_ONE, ("--space.with", "none")),
    "two-cores": Column("search", 3, ON_TWO, cores=2),
}


@dataclass(frozen=True, order=True)
class Cell:
    """One number of the table."""

    data: str
    column: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.data}-{self.column}-{self.seed}"


@dataclass(frozen=True)
class Line:
    """What came of a cell: a line of results.jsonl.

    Args:
        data, column, seed: The cell.
        seconds: Time that it was given.
        wall: Time that it took, the start of its process included.
        accuracy: Share of the test images that are right; None: not known.
        balanced: Mean over the classes of the same; None: not known.
        params: Parameters of the network.
        right: Which test images are right, in the order of the data set, as bits in base64; "": not known.
        facts: What its process printed.
        digest: Of the data set.
        commit, hardware, date: Where and when.
        failed: Why there are no numbers; "" where there are.
    """

    data: str
    column: str
    seed: int
    seconds: float
    wall: float
    accuracy: float | None = None
    balanced: float | None = None
    params: int | None = None
    right: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    commit: str = ""
    hardware: str = ""
    date: str = ""
    failed: str = ""

    @property
    def cell(self) -> Cell:
        return Cell(self.data, self.column, self.seed)

    @property
    def value(self) -> float | None:
        """The fraction that is reported for the data set."""
        return self.balanced if data.SETS[self.data].metric == "balanced" else self.accuracy


def packed(right: np.ndarray) -> str:
    """Booleans (N,) as text: their number and their bits."""
    return f"{len(right)}:{base64.b64encode(np.packbits(right.astype(bool)).tobytes()).decode()}"


def unpacked(text: str) -> np.ndarray:
    """What `packed` packed."""
    count, _, bits = text.partition(":")
    return np.unpackbits(np.frombuffer(base64.b64decode(bits), np.uint8), count=int(count)).astype(bool)


def read(path: Path) -> list[Line]:
    """Lines of a file of results; one that was cut while it was written is left out."""
    if not path.exists():
        return []
    names, found = {each.name for each in fields(Line)}, []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            facts = json.loads(text)
        except ValueError:
            continue
        found.append(Line(**{name: value for name, value in facts.items() if name in names}))
    return found


def append(path: Path, line: Line) -> None:
    """Add a line, on a line of its own even behind one that was cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_cut = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * bool(is_cut) + json.dumps(asdict(line), sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def latest(lines: Sequence[Line], seconds: float, digests: Mapping[str, str] | None = None) -> dict[Cell, Line]:
    """The last line of each cell that was given that time and has numbers.

    Args:
        lines: All lines.
        seconds: The time.
        digests: Of the data sets as they are now, by name; lines of other data, such as letters drawn by other fonts,
            do not count. None, and of a set that is not named: it is not known.
    """
    known = digests or {}
    return {
        line.cell: line
        for line in lines
        if line.seconds == seconds and not line.failed and line.digest == known.get(line.data, line.digest)
    }


def overran(lines: Sequence[Line], seconds: float) -> list[Cell]:
    """Cells that were ended, on any try, as they took far too long."""
    return sorted({line.cell for line in lines if line.seconds == seconds and line.failed.startswith(TOO_LONG)})


def listed(columns: Mapping[str, Column], names: Collection[str], sets: Collection[str], seeds: int) -> list[Cell]:
    """All cells of those columns and data sets, in the order in which they are played."""
    order = [
        (column.group, seed, place, number, Cell(name, key, seed))
        for number, (key, column) in enumerate(columns.items())
        if key in names
        for place, name in enumerate(column.sets)
        if name in sets
        for seed in range(1 if column.kind == "choose" else seeds)
    ]
    return [each[-1] for each in sorted(order, key=lambda each: each[:-1])]


def upcoming(
    waiting: Sequence[Cell],
    done: Collection[Cell],
    columns: Mapping[str, Column],
    seconds: float,
    left: float,
) -> Cell | None:
    """The first cell that fits the `left` seconds and for which what it needs is there; None: there is none."""
    for cell in waiting:
        column = columns[cell.column]
        needed = column.needed(cell)
        if (needed is None or needed in done) and expected(column, seconds) <= left:
            return cell
    return None


def expected(column: Column, seconds: float) -> float:
    """Seconds that a cell takes at most, if all goes well."""
    return 1.1 * column.share * seconds + 20


def command(
    cell: Cell, column: Column, folder: Path, out: Path, seconds: float, before: Line | None, netwright: str
) -> list[str]:
    """What a cell runs; a timetable that it is given is written into its folder.

    Args:
        cell: The cell.
        column: Its column.
        folder: Folder of the data sets.
        out: Folder of the cell.
        seconds: Time that it has.
        before: What came of the cell that the column needs.
        netwright: The command of that name.
    """
    given, more = data.SETS[cell.data], list(column.arguments)
    usual = ["--seconds", f"{seconds:g}", "--seed", str(cell.seed)]
    if column.kind == "plain":
        unflipped = [] if given.flip else ["--no-flip"]
        kept, images = str(out / "right.npy"), str(folder / f"{cell.data}.npz")
        return [sys.executable, "-m", "tonight.plain", kept, images, *usual, *unflipped, *more]
    if column.kind == "search":
        hours = ["--hours", f"{seconds / 3600:.6g}", "--workers", str(column.cores), "--seed", str(cell.seed)]
        argument = given.argument(cell.data, folder)
        if before is not None:
            changed = without_contest(before.facts["timetable"])
            (out / "timetable.toml").write_text(tomli_w.dumps(changed), encoding="utf-8")
            more += ["--timetable", str(out / "timetable.toml")]
        return [netwright, "search", argument, *hours, "--json", "--out", str(out / "run"), *more]
    what = ["choose"] if column.kind == "choose" else ["train"]
    chosen = ["--choice", json.dumps(before.facts["choice"])] if before is not None else []
    place = ["--data", str(folder), "--out", str(out / "p1")]
    return [sys.executable, "-m", "tonight.reference", *what, cell.data, *usual, *place, *chosen, *more]


def without_contest(timetable: Mapping[str, Any]) -> dict[str, Any]:
    """The timetable with its time in the search, which alone decides, and a few seconds in which what it found decays.

    Higher rungs are added, as far as three trials would reach the highest one. What was played is left out: a contest
    is repeated whole where the search finds its networks again.
    """
    changed = {name: value for name, value in timetable.items() if name not in ("played", "heats")}
    together = changed["search_seconds"] + changed["contest_seconds"]
    contest = min(max(15.0, 0.05 * 3600 * changed["hours"]), together / 2)
    search, rungs = together - contest, list(changed["rungs"])
    while 3 * rungs[-1] * changed["splits"] <= search * changed["workers"] / 3:
        rungs.append(3 * rungs[-1])
    changed |= {"search_seconds": search, "contest_seconds": contest, "rungs": rungs, "finalists": 1}
    return changed | {"rank_seconds": 0.1, "final_seconds": 0.45 * contest}


class Playing:
    """A cell that runs in a process of its own, on its cores."""

    def __init__(self, cell: Cell, words: Sequence[str], out: Path, cores: Sequence[int | None]) -> None:
        self.cell, self.out, self.cores = cell, out, tuple(cores)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        paths = (str(HERE.parent), environment.get("PYTHONPATH", ""))
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        known = [str(core) for core in self.cores if core is not None]
        held = ["taskset", "-c", ",".join(known)] if known and shutil.which("taskset") else []
        self.begun, self._wall, self._overran = time.monotonic(), 0.0, False
        with (out / "out.txt").open("wb") as told, (out / "err.txt").open("wb") as said:
            self._process = subprocess.Popen(
                [*held, *words], stdout=told, stderr=said, env=environment, start_new_session=True
            )

    def ended(self, limit: float) -> bool:
        """Whether it has ended; beyond `limit` seconds it is ended."""
        self._wall = time.monotonic() - self.begun
        if self._process.poll() is None and self._wall > limit:
            self._overran = True
            self.stop()
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it and all its processes, at once: a cell that was cut is played again from the start."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._process.pid)
            for process in (*first.children(recursive=True), first):  # workers may be in groups of their own
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()

    def line(self, seconds: float, folder: Path, about: Mapping[str, str]) -> Line:
        """What came of it, once it has ended."""
        place = asdict(self.cell) | {"seconds": seconds, "wall": round(self._wall, 2)} | dict(about)
        try:
            facts = json.loads((self.out / "out.txt").read_text(encoding="utf-8").strip().splitlines()[-1])
            if self._process.returncode:
                raise ValueError
        except (ValueError, IndexError):
            text = (self.out / "err.txt").read_text(encoding="utf-8", errors="replace")
            said = text.replace(str(self.out), "CELL").replace(str(folder), "DATA").strip().splitlines()
            why = TOO_LONG if self._overran else f"exit code {self._process.returncode}"
            return Line(**place, failed=f"{why}: {' '.join(said[-3:])[-400:]}")
        return Line(**place, **outcome(self.cell, facts, self.out, folder))


def outcome(cell: Cell, facts: dict[str, Any], out: Path, folder: Path) -> dict[str, Any]:
    """Accuracies, size, right images and other facts of a cell, from what its process printed and left."""
    known = data.read(cell.data, folder)
    targets = known.labels[known.split == data.TEST]
    found: dict[str, Any] = {"facts": facts, "params": facts.get("params"), "digest": known.digest()}
    if "choice" in facts:
        return found
    if COLUMNS[cell.column].kind == "search":
        told, plan = facts["test_accuracy"], out / "run" / "timetable.toml"
        kept = {name: value for name, value in facts.items() if name not in PLACES}
        found["facts"] = kept | ({"timetable": tomllib.loads(plan.read_text("utf-8"))} if plan.exists() else {})
        metric = "balanced" if "balanced" in facts["metric"] else "accuracy"
        found[metric] = told
        right = right_of_run(out / "run", targets, metric, told)
    else:
        found |= {"accuracy": facts["test_accuracy"], "balanced": facts["balanced_accuracy"]}
        right = np.load(out / ("right.npy" if COLUMNS[cell.column].kind == "plain" else "p1/right.npy"))
    if right is not None:
        found |= {"right": packed(right), "accuracy": float(right.mean()), "balanced": balanced(right, targets)}
    return found


def right_of_run(run: Path, targets: np.ndarray, metric: str, told: float) -> np.ndarray | None:
    """Which test images the network that a run ships got right.

    A run leaves the outcome of whatever it tests; the network shipped is known by its accuracy. None: none has it.
    """
    from safetensors import SafetensorError

    from netwright.data import outcome as outcomes

    for path in sorted(run.rglob(outcomes.OUTCOME)):
        try:
            found = outcomes.read(path)
        except (OSError, SafetensorError):  # damaged: it says nothing of this network
            continue
        if np.array_equal(found.targets, targets):
            right = found.predictions == targets
            if abs((balanced(right, targets) if metric == "balanced" else right.mean()) - told) < 1e-4:
                return right
    return None


def balanced(right: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the classes of the share of right ones."""
    return float(np.mean([right[targets == kind].mean() for kind in np.unique(targets)]))
