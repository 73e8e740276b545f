"""Do weights that networks share rank them as training each alone does? 1,000 random cells of NATS-Bench's topologies.

    python benchmarks/supernet_ranking.py --ways default --seeds 0 --minutes 40     # one seed of one way; it goes on
    python benchmarks/supernet_ranking.py --summary                                  # the table of what there is

A supernet is trained on CIFAR-10's training images, at the scale that the options say, and after an eighth, a quarter,
half and all of its steps every cell is scored by its path through the weights, as `evaluators/shared_weights.py` scores
the networks of a round. The scores are compared with the table's test accuracies after 200 epochs, on CIFAR-10 and, to
see what carries over, on CIFAR-100: Kendall's tau over all cells and within the tenth of them that is best in truth.
Beside it stands what costs nothing, the number of parameters of the real network and the multiply-adds of live edges
(those on a way from the cell's input to its output), and what training each cell alone for 12 epochs says. Known of
supernets on this space, over all cells: 0.50 for one, 0.61 to 0.69 for several (Zhao et al., ICML 2021).

Cells are drawn once, and no cell is left out: one whose output never sees its input is trained in its turn, which
moves the last layer's biases alone, and is scored; it gives what guessing gives, as in the table.

Ways are the program of `training/shared_programs.py` by its name, "default" for the package's own, and either with
other options: `pt1:sampling=fair,paths=4`. Drop path and auxiliary heads are left out: these
cells have no place for them.
Lengths are the same for all ways: `--steps`, along which the rate falls once. Ways that differ in nothing but how cells
are scored, as `default:tuning_steps=100,tuning_lr=0.02`, share one training; once it is there, they can be scored side
by side.

A line of `--lines` is one measurement, with all scores. Without `--minutes` it is played to its end; killed or out of
time, the same command goes on to the same numbers. `--scored 8` scores cells at the end alone; parts that a training
has left behind are scored no more. `--csv results.csv` adds rows.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import results
import torch
from PIL import Image

from netwright.core import locks, ranking, refs, seeds, trained_rounds
from netwright.core.errors import PutBack
from netwright.core.protocols import Task
from netwright.core.ranking import RankAgreement
from netwright.core.records import Genotype
from netwright.core.refs import Reference
from netwright.core.round_plan import Rounds
from netwright.core.table import Table
from netwright.spaces import nats
from netwright.spaces.nats import NatsTopology
from netwright.tables.nats_tss import nats_tss
from netwright.training import device, shared_training
from netwright.training.loop import Diverged
from netwright.training.settings import StepSettings
from netwright.training.shared_programs import PROGRAMS, UNNAMED, SharedProgram
from netwright.training.shared_scores import SharedScores
from netwright.training.shared_training import RoundsTraining

DATASETS = ("cifar10", "cifar100")
PARTS, SCORED = 8, [1, 2, 4, 8]  # a training is played in equal parts; cells are scored after these
SHARE = 0.1  # of the cells, the best in truth, within which tau is shown too
RESAMPLES = 500
VALID = 5_000  # images that validate
OWN = "default"
CPU = "cpu_seconds.txt"  # of a supernet's training so far
LOCK = "lock"
OF_SCORES = (  # options that leave the training as it is
    "valid_batch",
    "batches",
    "scored_on",
    "statistics",
    "recalibration",
    "tuning_steps",
    "tuning_lr",
)


@dataclass(frozen=True)
class Scale:
    """How large the supernet and its data are.

    Args:
        cells: Number of cells.
        steps: Optimizer steps in all.
        channels: Width of the first group; the table's is 16.
        repeats: Cells per group; the table's is 5.
        images: Number of training images.
        side: Their side in pixels, 32 or a divisor of it.
        threads: Threads of torch.
    """

    cells: int = 1000
    steps: int = 48_000
    channels: int = 8
    repeats: int = 1
    images: int = 40_000
    side: int = 16
    threads: int = 1

    def __str__(self) -> str:
        return (
            f"{self.steps:,} steps, width {self.channels}, {self.repeats} per group, {self.images:,} images of "
            f"{self.side} pixels"
        )


@dataclass
class Clock:
    """What a training asks whether to stop, and tells where it is."""

    until: float
    said: float = 0.0

    def should_stop(self) -> bool:
        return time.monotonic() >= self.until

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:
        if time.monotonic() > self.said + 60:
            self.said = time.monotonic()
            print(f"  step {step:,}: loss {metrics.get('train_loss', math.nan):.3f}", flush=True)
        return True


def live(genotype: Genotype) -> list[int]:
    """Operations of the edges that lie on a way from the input of a cell to its output; empty: there is none."""
    edges = [(int(value), *ends) for value, ends in zip(genotype, nats.EDGES, strict=True) if value != nats.NONE]
    reached, read = {0}, {3}
    for _, source, target in edges:  # ordered by target
        reached |= {target} if source in reached else set()
    for _, source, target in reversed(edges):
        read |= {source} if target in read else set()
    return [operation for operation, source, target in edges if source in reached and target in read]


def live_multiply_adds(genotype: Genotype) -> int:
    """Multiply-adds of live edges by place and pair of channels, of which every edge of a network has as many."""
    return sum({nats.CONV_3X3: 9, nats.CONV_1X1: 1}.get(operation, 0) for operation in live(genotype))


def drawn(table: Table, count: int) -> list[Genotype]:
    """So many different cells of the table, the same ones each time."""
    every = sorted(table.rows)
    return [
        every[place] for place in np.random.default_rng(0).choice(len(every), min(count, len(every)), replace=False)
    ]


def program_of(way: str, scale: Scale) -> SharedProgram:
    """The program of a way, at the length of a scale.

    Raises:
        SystemExit: There is no such program or option.
    """
    name, _, options = way.partition(":")
    if name != OWN and name not in PROGRAMS:
        raise SystemExit(f"--ways names {name!r}; there are {OWN}, {', '.join(PROGRAMS)}")
    found: SharedProgram = UNNAMED if name == OWN else PROGRAMS[name]  # type: ignore[index]
    of_steps = {each.name for each in dataclasses.fields(StepSettings)}
    fixed = {"steps", "rounds", "epochs", "length", "task"}
    of_program = {each.name for each in dataclasses.fields(SharedProgram)} - fixed
    steps: dict[str, Any] = {"drop_path_keep": 1.0, "auxiliary": 0.0, "schedule": "restarts", "period": 0.0}
    own: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        key, _, text = option.partition("=")
        if key not in of_steps | of_program:
            raise SystemExit(
                f"--ways: {way!r} has the option {key!r}; there are {', '.join(sorted(of_steps | of_program))}"
            )
        (steps if key in of_steps else own)[key] = _typed(text)
    rounds = Rounds(PARTS, pool=scale.cells, new=1)  # of which the training needs the number alone
    changed = replace(found.steps, **steps)
    return replace(found, steps=changed, rounds=rounds, epochs=0, length=-(-scale.steps // PARTS), **own)


def training_of(way: str) -> str:
    """The way without what decides of scores alone: ways that are equal so have one training."""
    name, _, options = way.partition(":")
    kept = [option for option in filter(None, options.split(",")) if option.partition("=")[0] not in OF_SCORES]
    return f"{name}:{','.join(kept)}" if kept else name


def _typed(text: str) -> Any:
    """A number, true or false, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def task_of(scale: Scale, data: Path, folder: Path) -> Task:
    """CIFAR-10's training images, cut in two parts; written once at the size that is asked for."""
    path = folder / f"cifar10-{scale.images}-{scale.side}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new.npz")
        images: dict[str, Any] = _images(data, scale)
        np.savez(draft, **images)
        draft.rename(path)
    options = {"path": str(path), "flip": True, "padding": scale.side // 8, "cache": str(folder / "cache")}
    task: Any = refs.load("task", Reference("arrays", options))
    for _ in task.prepare():
        pass
    return task


def _images(data: Path, scale: Scale) -> dict[str, np.ndarray]:
    """Images and labels by the names that the task `arrays` reads; the test part, which nothing here reads, is tiny."""
    files = sorted(data.glob("train*.parquet"))
    if len(files) != 1:
        raise SystemExit(f"{data} holds {len(files)} files train*.parquet of CIFAR-10 where one is read; see --data")
    rows = pyarrow.parquet.read_table(files[0], columns=["img", "label"])
    order = np.random.default_rng(0).permutation(len(rows))
    ends = np.cumsum([0, VALID, 100, min(scale.images, len(rows) - VALID - 100)])
    factor = 32 // scale.side
    found: dict[str, np.ndarray] = {}
    for split, (begin, end) in zip(("valid", "test", "train"), pairwise(ends), strict=True):
        chosen = rows.take(order[begin:end])
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(each["bytes"]))) for each in chosen["img"].to_pylist()])
        blocks = pixels.reshape(len(pixels), scale.side, factor, scale.side, factor, 3).mean((2, 4))
        found[f"x_{split}"] = np.rint(blocks).astype(np.uint8)
        found[f"y_{split}"] = chosen["label"].to_numpy().astype(np.int64)
    return found


def play(way: str, seed: int, scale: Scale, cells: Sequence[Genotype], options: argparse.Namespace) -> bool:
    """Play what is not there yet of a supernet; whether it is complete now."""
    until = time.monotonic() + 60 * options.minutes if options.minutes else math.inf
    task, program = task_of(scale, options.data, options.folder), program_of(way, scale)
    space, place = NatsTopology(scale.channels, scale.repeats), device.pick(options.device, 0)
    training = RoundsTraining(space, task, program, seed, place, checkpoint_minutes=2.0)
    own = options.folder / _digest(f"{training_of(way)} {seed} {asdict(scale)}")
    own.mkdir(parents=True, exist_ok=True)
    clock: Any = Clock(until)
    with device.working(place, scale.threads, deterministic=False):
        have = known(options.lines)
        paths = {part: own / shared_training.name_of(part) for part in range(1, PARTS + 1)}
        played = [part for part, path in paths.items() if path.exists() or (way, seed, scale, part) in have]
        for part in range(max(played, default=1), PARTS + 1):
            if (way, seed, scale, part) in have:
                continue
            try:
                if not paths[part].exists():
                    print(f"{way}, seed {seed}: part {part} of {PARTS}", flush=True)
                    with locks.holding(own / LOCK), timed(own / CPU):
                        training.train(part, cells, own, clock)
            except PutBack as stopped:
                print(f"{stopped}; the same command goes on", flush=True)
                return False
            except locks.Held:
                raise SystemExit(f"another process trains the supernet of {way}, seed {seed}; wait for it") from None
            if part in options.scored:
                so_far = own / f"scores-{_digest(way)}-{part}.jsonl"
                try:
                    scores, spent = scored(training, own, part, cells, clock, so_far)
                except PutBack as stopped:
                    print(f"{stopped}; the same command goes on", flush=True)
                    return False
                cpu = {"cpu_seconds": float((own / CPU).read_text()), "scoring_cpu_seconds": spent}
                seconds = trained_rounds.noted(own)[part - 1].seconds
                line = {"way": way, "seed": seed, "part": part, "steps": training.steps(part), "seconds": seconds}
                line |= {**cpu, "scale": asdict(scale)}
                line |= {"commit": results.commit(), "hardware": results.hardware(), "device": str(place)}
                append(options.lines, line | {"scores": scores})
                so_far.unlink()
                show(line, scores, cells, options)
            for earlier in range(1, part):  # which are scored, and not needed to go on
                paths[earlier].unlink(missing_ok=True)
    return True


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


@contextmanager
def timed(path: Path) -> Iterator[None]:
    """Add the CPU seconds of the block to those in a file; what was killed is not counted."""
    start = time.process_time()
    try:
        yield
    finally:
        before = float(path.read_text()) if path.exists() else 0.0
        path.write_text(repr(before + time.process_time() - start))


def scored(
    training: RoundsTraining, folder: Path, part: int, cells: Sequence[Genotype], clock: Any, so_far: Path
) -> tuple[list[float], float]:
    """The validation accuracy of each cell by the weights after a part, and the CPU seconds that all took.

    Args:
        training: The shared training.
        folder: Where its weights lie.
        part: The part.
        cells: The cells.
        clock: What is asked whether to stop, and told.
        so_far: File of what there is of this, to which each score is added as it comes.

    Raises:
        PutBack: Time is over.
    """
    found = [tuple(line) for line in _whole_lines(so_far)]
    if so_far.exists():
        so_far.write_text("".join(f"{json.dumps(line)}\n" for line in found))  # without one that was cut
    scores = SharedScores(training, folder)
    scores.take(part)
    for number, genotype in enumerate(cells[len(found) :], len(found)):
        if clock.should_stop():
            raise PutBack(f"stopped after {number} of {len(cells)} scores")
        start, own = time.process_time(), seeds.trial_seed(training.seed, str(genotype), part)
        try:
            score = scores.of(genotype, number, own, clock)["accuracy"]
        except Diverged:
            score = 0.0
        found.append((round(score, 6), time.process_time() - start))
        append(so_far, found[-1])
    return [score for score, _ in found], sum(seconds for _, seconds in found)


def _whole_lines(path: Path) -> Iterator[Any]:
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield json.loads(text)
        except ValueError:  # cut by a kill
            continue


def append(path: Path, line: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def known(path: Path) -> dict[tuple[str, int, Scale, int], dict[str, Any]]:
    """The measurements that are there, by way, seed, scale and part; a line that was cut is none."""
    found = {}
    for line in _whole_lines(path):
        found[line["way"], line["seed"], Scale(**line["scale"]), line["part"]] = line
    return found


def agreements(values: Sequence[float], cells: Sequence[Genotype], tables: Mapping[str, Table]) -> list[RankAgreement]:
    """How well some values of cells order them, by each data set."""
    rng = np.random.default_rng(0)
    numbers = np.array(values, np.float64)
    truths = [np.array([table.lookup(cell)["final"] for cell in cells]) for table in tables.values()]
    resamples = RESAMPLES if len(cells) <= ranking.MOST else 0
    return [ranking.agreement(numbers, truth, rng, share=SHARE, resamples=resamples) for truth in truths]


def counted(cells: Sequence[Genotype], tables: Mapping[str, Table]) -> dict[str, list[list[float]]]:
    """Values of cells that cost no supernet, by what they are; for each data set its own."""
    own, *_ = tables.values()
    return {
        "parameters": [[float(own.count(cell).params) for cell in cells]] * len(tables),
        "multiply-adds of live edges": [[float(live_multiply_adds(cell)) for cell in cells]] * len(tables),
        "alone, 12 epochs": [[table.lookup(cell)["signal"] for cell in cells] for table in tables.values()],
    }


def show(line: Mapping[str, Any], scores: Sequence[float], cells: Sequence[Genotype], options: Any) -> None:
    found = agreements(scores, cells, read(options.table))
    taus = "; ".join(
        f"{name} {each.kendall}, best tenth {each.top_kendall}" for name, each in zip(DATASETS, found, strict=True)
    )
    print(
        f"{line['way']}, seed {line['seed']}, {line['steps']:,} steps, {line['cpu_seconds']:.0f} CPU s: {taus}",
        flush=True,
    )


def read(path: Path) -> dict[str, Table]:
    return {dataset: nats_tss(str(path), dataset) for dataset in DATASETS}  # type: ignore[arg-type]


def summed_up(lines: Sequence[Mapping[str, Any]], tables: Mapping[str, Table], every: bool) -> list[results.Row]:
    """Print a table of all that is there, and give the rows of `results.csv`."""
    rows: list[results.Row] = []
    own, *_ = tables.values()
    columns = [f"{name}: {what}" for name in tables for what in ("tau", "best tenth", "found of it")]
    print(f"| ordered by | cost | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")

    def put(name: str, cost: str, found: Sequence[RankAgreement]) -> None:
        cells = [text for each in found for text in (str(each.kendall), str(each.top_kendall), f"{each.precision:.0%}")]
        print(f"| {name} | {cost} | {' | '.join(cells)} |", flush=True)

    def put_counted(cells: Sequence[Genotype], what: str) -> None:
        for name, values in counted(cells, tables).items():
            found = [agreements(each, cells, {key: tables[key]})[0] for key, each in zip(tables, values, strict=True)]
            put(f"{name}, {what}", "none" if "epochs" not in name else "12 epochs each", found)
            rows.extend(_rows(f"{name}, {what}", [found], tables))

    if every:
        put_counted(sorted(own.rows), f"all {len(own):,} cells")
    for count in dict.fromkeys(line["scale"]["cells"] for line in lines):
        cells = drawn(own, count)
        dead = sum(not live(cell) for cell in cells)
        put_counted(cells, f"{len(cells):,} cells, {dead} of them dead")
        alike: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
        for line in lines:
            if line["scale"]["cells"] == count:
                alike.setdefault((line["way"], str(Scale(**line["scale"])), line["part"]), []).append(line)
        for (way, scale, _), same in sorted(alike.items()):
            of_seeds = []
            for line in sorted(same, key=lambda each: each["seed"]):
                of_seeds.append(agreements(line["scores"], cells, tables))
                cost = f"{line['cpu_seconds'] / 60:.1f} + {line['scoring_cpu_seconds'] / 60:.1f} CPU minutes"
                cost += "" if line["device"] == "cpu" else f", {line['seconds'] / 60:.1f} minutes on {line['device']}"
                put(f"{way}, seed {line['seed']}, after {line['steps']:,} of {scale}", cost, of_seeds[-1])
            rows += _rows(f"{way}, after {same[0]['steps']:,} of {scale}", of_seeds, tables)
    return rows


def _rows(subject: str, of_seeds: Sequence[Sequence[RankAgreement]], tables: Mapping[str, Table]) -> list[results.Row]:
    """Rows of Kendall's tau of seeds, by each data set, over all cells and within the best tenth."""
    found = []
    for place, name in enumerate(tables):
        for what, values in (
            ("tau", [each[place].kendall.value for each in of_seeds]),
            ("tau within the best tenth", [each[place].top_kendall.value for each in of_seeds]),
        ):
            middle = float(np.median(values))
            found.append(results.Row(f"{subject}; {name}", len(values), middle, min(values), max(values), what))
    return found


def main() -> None:
    arguments = _options()
    scale = Scale(**{each.name: getattr(arguments, each.name) for each in dataclasses.fields(Scale)})
    if 32 % scale.side:
        raise SystemExit(f"--side is {scale.side}; it must divide 32")
    tables = read(arguments.table)
    if not arguments.summary and arguments.csv is None:
        cells = drawn(next(iter(tables.values())), scale.cells)
        for way in arguments.ways:
            program_of(way, scale)
        if not all(play(way, seed, scale, cells, arguments) for seed in arguments.seeds for way in arguments.ways):
            return
    lines = list(known(arguments.lines).values())
    rows = summed_up(lines, tables, every=not arguments.quick)
    if arguments.csv is not None:
        results.append(arguments.csv, rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scores by shared weights beside the table of NATS-Bench.")
    data, cache = os.environ.get("NETWRIGHT_DATA", ""), os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    parser.add_argument("--table", type=Path, default=Path(data, "nats-tss", "nats_tss.csv"), help="the table")
    parser.add_argument("--data", type=Path, default=Path(data, "cifar10"), help="folder of CIFAR-10's parquet files")
    parser.add_argument("--folder", type=Path, default=Path(cache, "netwright-supernet"), help="where trainings lie")
    parser.add_argument("--lines", type=Path, help="file of results; by default supernet_ranking.jsonl in the folder")
    parser.add_argument("--ways", nargs="+", default=[OWN, "pt1"], help="as pt1, or default:sampling=fair,paths=4")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--scored", type=int, nargs="+", default=SCORED, help="parts after which cells are scored")
    parser.add_argument("--minutes", type=float, help="for each supernet: when to stop; the same command goes on")
    parser.add_argument("--device", default="cpu", help="as evaluator.device")
    for each in dataclasses.fields(Scale):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument("--summary", action="store_true", help="only print the table of what there is")
    parser.add_argument("--csv", type=Path, help="CSV file that rows are appended to; nothing is played then")
    parser.add_argument("--quick", action="store_true", help="tiny: whether it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.cells, arguments.steps, arguments.channels, arguments.images, arguments.side = 20, 16, 4, 1000, 8
        arguments.seeds = arguments.seeds[:1]
    arguments.lines = arguments.lines or arguments.folder / "supernet_ranking.jsonl"
    return arguments


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
