"""Recurrent cells found on a part of Penn Treebank, beside published and random ones, a tanh network and an LSTM.

Three searches of 16 trials each, by `predictor`, `aging` and `nao`, as `rnn_cells.toml` has them: 64 units, the first
60,000 words. Then the best cell of each, the published ones of NAO and DARTS, 5 random ones, a recurrent layer of tanh
units and torch.nn.LSTM are trained alike, three times as long as a trial, from 3 seeds (random ones from one), with the
same model and the same settings around them. All have the parameters of NAO's cell with 64 units within 1 %: widths
differ instead. Without gates the rate of 20 is too large: the tanh network is trained with a tenth of it besides. The
weights that were best on the validation words at the end of a pass are tested.

It claims nothing beforehand: who is ahead by how much is what it measures. It takes about 20 minutes of one core, in
pieces, too: `--minutes 20` begins nothing after that, and the same command goes on, also after it was killed. What was
trained stands in `trainings.jsonl` of `--folder`; the table of it is printed at the end. `--quick` only shows that it
runs. Needs `NETWRIGHT_DATA` or `--path`; no part of `make bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import results
import torch
from torch import Tensor, nn

from netwright.core import building, refs, run_file
from netwright.core.protocols import Task
from netwright.core.records import IO, Counts, Genotype, LabeledGraph, Proposal, Trial
from netwright.core.shapes import Sequence as Vectors
from netwright.core.shapes import Tokens
from netwright.plans import counting, network
from netwright.plans.operation import Operation
from netwright.plans.plan import Plan
from netwright.spaces.rnn import RnnSpace
from netwright.stores.sqlite import SqliteStore

RECIPE = Path(__file__).with_suffix(".toml")
SEARCHES = {
    "predictor": "predictor(initial=8)",
    "aging": "aging(population=6, sample=3)",
    "nao": "nao(program='tf-rnn', seeds=8, new=4, top=4, epochs=300)",
}
MEASURE = "valid_perplexity"
SEEDS, RANDOM, LONGER = 3, 5, 3
TANH = "tanh network"
EQUAL = 0.01  # by which counts of parameters may differ
QUICK = {"task.train_limit": 2_000, "evaluator.epochs": 1, "space.width": 16}


class CarriedLayer(nn.Module):
    """A recurrent layer of torch, whose state goes on from batch to batch.

    Args:
        kind: "LSTM" or "RNN", which has tanh units.
        units: Number of features of input and output.
    """

    def __init__(self, kind: str, units: int) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(units, units, batch_first=True)
        self.parts = 2 if kind == "LSTM" else 1
        self.state: Tensor | None = None  # (B, units), of an LSTM both states side by side

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, T, units) of inputs of that shape."""
        state = self.state
        if state is None or len(state) != len(x):
            state = x.new_zeros(len(x), self.parts * x.shape[2])
        each = [part[None].contiguous() for part in state.chunk(self.parts, 1)]
        found, left = self.layer(x, tuple(each) if self.parts > 1 else each[0])
        self.state = torch.cat(left if self.parts > 1 else (left,), 2)[0].detach()
        return found


@dataclass(frozen=True, slots=True)
class OfTorch(Operation):
    """A recurrent layer of torch in a plan."""

    kind: str

    name: ClassVar[str] = "of_torch"
    has_weights: ClassVar[bool] = True
    carries: ClassVar[bool] = True

    def shape(self, x: Vectors) -> Vectors:
        """The shape of the input."""
        return x

    def params(self, x: Vectors) -> int:
        """Two matrices and two biases for each gate."""
        return (4 if self.kind == "LSTM" else 1) * (2 * x.features**2 + 2 * x.features)

    def module(self, x: Vectors) -> nn.Module:
        """The layer."""
        return CarriedLayer(self.kind, x.features)


@dataclass(frozen=True)
class LayerSpace:
    """A language model as `spaces.rnn` builds it, with a layer of torch in the cell's place; there is one such network.

    Args:
        kind: As `CarriedLayer` has it.
        width: Number of units, and of features of a word.
    """

    kind: str
    width: int
    around: RnnSpace = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "around", RnnSpace(self.width, nodes=1))

    def sample(self, rng: np.random.Generator) -> Genotype:  # noqa: ARG002
        return ()

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:  # noqa: ARG002
        return genotype

    def check(self, genotype: Genotype) -> None:
        pass

    def key(self, genotype: Genotype) -> str:  # noqa: ARG002
        return self.kind

    def graph(self, genotype: Genotype) -> LabeledGraph:  # noqa: ARG002
        return LabeledGraph(self.kind, ("words", "logits"), ((0, 1, self.kind),))

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        return counting.count(self.plan(genotype, io))

    def plan(self, genotype: Genotype, io: IO) -> Plan:  # noqa: ARG002
        layers = self.around.plan((0, 0), io)
        return tuple(x._replace(op=OfTorch(self.kind)) if x.name == "recurrent" else x for x in layers)


@dataclass(frozen=True)
class Entrant:
    """A network that is trained, from how many seeds, and by what share of the rate."""

    name: str
    space: RnnSpace | LayerSpace
    genotype: Genotype
    seeds: int
    rate: float = 1.0


class Lent:
    """What an evaluator is lent by nobody: it trains to the end, and nothing is stored but what it is asked to."""

    threads, worker_index, run = 1, 0, None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:  # noqa: ARG002
        return True

    def should_stop(self) -> bool:
        return False

    def checkpoint_of(self, trial_id: int) -> None:  # noqa: ARG002
        return None

    def pool(self) -> Sequence[Trial]:
        return ()


def changed(path: Path, is_quick: bool) -> dict[str, Any]:
    """Options of the searches besides those of the recipe."""
    return {"task.path": str(path), **(QUICK if is_quick else {})}


def settled(path: Path, is_quick: bool) -> run_file.RunFile:
    """The settings of the searches."""
    tables = run_file.read(RECIPE)
    changes: dict[str, dict[str, Any]] = {}
    for name, value in changed(path, is_quick).items():
        part, option = name.split(".")
        changes.setdefault(part, {})[option] = value
    return run_file.from_tables(run_file.merged(tables, changes))


def search(name: str, strategy: str, path: Path, folder: Path, is_quick: bool) -> None:
    """Play a search, or what is left of it, by the command."""
    options = [f"--{option}={value}" for option, value in changed(path, is_quick).items()]
    if is_quick:
        strategy = strategy.replace("=8", "=2").replace("epochs=300", "epochs=2")
        options.append("--trials=3")
    typed = ["search", os.path.relpath(RECIPE), "--strategy", strategy, *options, "--out", str(folder / name)]
    print(shlex.join(["netwright", *typed]), flush=True)
    subprocess.run([sys.executable, "-m", "netwright", *typed], check=True)


def searched(folder: Path, most: int) -> Trial | None:
    """The best cell of a search; None: it is not at its end."""
    file = folder / "trials.sqlite"
    trials = SqliteStore(str(file), mode="read").finished() if file.exists() else []
    known = [(trial.result.metrics[MEASURE], trial) for trial in trials if trial.result and not trial.result.failure]
    return min(known, key=lambda each: each[0])[1] if len(trials) >= most and known else None


def entrants(found: Mapping[str, Trial], width: int, io: IO) -> list[Entrant]:
    """All that are trained, of equal parameters."""
    space = RnnSpace(width)
    nao, darts = (refs.locate("zoo", name).genotype for name in ("nao-rnn", "darts-rnn"))
    wanted = space.count(nao, io).params
    makers: dict[str, tuple[Callable[[int], RnnSpace | LayerSpace], Genotype]] = {
        "DARTS (Liu et al. 2019)": (lambda units: RnnSpace(units, nodes=8), darts),
        TANH: (lambda units: LayerSpace("RNN", units), ()),
        "torch.nn.LSTM": (lambda units: LayerSpace("LSTM", units), ()),
    }
    finders: dict[Genotype, list[str]] = {}
    for name, trial in found.items():
        finders.setdefault(trial.proposal.genotype, []).append(name)
    listed = [Entrant(f"found by {' and '.join(by)}", space, genotype, SEEDS) for genotype, by in finders.items()]
    listed.append(Entrant("NAO (Luo et al. 2018)", space, nao, SEEDS))
    for name, (made, genotype) in makers.items():
        nearest = min(range(1, 3 * width), key=lambda units: abs(made(units).count(genotype, io).params - wanted))
        listed.append(Entrant(name, made(nearest), genotype, SEEDS))
        if name == TANH:
            listed.append(Entrant(f"{TANH}, a tenth of the rate", made(nearest), genotype, SEEDS, rate=0.1))
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(RANDOM)]
    listed += [Entrant(f"random {seed}", space, genotype, 1) for seed, genotype in enumerate(drawn)]
    for each in listed:
        count = each.space.count(each.genotype, io).params
        assert abs(count / wanted - 1) <= EQUAL or width < 64, f"{each.name} has {count:,} parameters, not {wanted:,}"
    return listed


def train(entrant: Entrant, seed: int, settings: run_file.RunFile, task: Task, folder: Path) -> dict[str, Any]:
    """Train a network; what it is and what it came to."""
    options = {**settings.evaluator.options, "split": "test"}
    options["epochs"] *= LONGER
    options["lr"] *= entrant.rate
    evaluator = refs.load("evaluator", replace(settings.evaluator, options=options), space=entrant.space, task=task)
    trial = Trial(1, Proposal(entrant.genotype), entrant.space.key(entrant.genotype), seed, "running")
    start = time.process_time()
    result = evaluator.evaluate(trial, Lent(folder))
    line = {"name": entrant.name, "seed": seed, "width": entrant.space.width, "genotype": list(entrant.genotype)}
    line |= {"params": entrant.space.count(entrant.genotype, task.io).params, "failure": result.failure}
    line |= {"valid": min((value for _, value in result.curve), default=None), "passes": options["epochs"]}
    line |= {"test": result.metrics.get("test_perplexity"), "curve": list(result.curve)}
    return {**line, "cpu_seconds": round(time.process_time() - start, 1), "commit": results.commit()}


def known(folder: Path) -> list[dict[str, Any]]:
    """What was trained."""
    file = folder / "trainings.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def play(path: Path, folder: Path, minutes: float, seeds: Sequence[int], is_quick: bool) -> None:
    """Plays what is not there yet, until the time is over."""
    until = time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    settings = settled(path, is_quick)
    most, found = 3 if is_quick else settings.limits.trials or 0, {}
    for name, strategy in SEARCHES.items():
        if searched(folder / name, most) is None:
            if time.monotonic() >= until:
                return
            search(name, strategy, path, folder, is_quick)
        best = searched(folder / name, most)
        assert best is not None, f"the search by {name} found nothing"
        found[name] = best
    task = building.build_task(settings)
    tokens = task.io.input
    assert isinstance(tokens, Tokens)
    asked = entrants(found, settings.space.options["width"], task.io)
    have = {(line["name"], line["seed"]) for line in known(folder)}
    for seed in seeds:  # so that each has one before any has two
        for entrant in asked:
            if seed >= entrant.seeds or (entrant.name, seed) in have:
                continue
            if time.monotonic() >= until:
                return
            line = train(entrant, seed, settings, task, folder)
            with (folder / "trainings.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print({name: value for name, value in line.items() if name not in ("curve", "genotype")}, flush=True)


def summed_up(lines: Sequence[Mapping[str, Any]]) -> list[results.Row]:
    """Prints the table; its rows for the file of all benchmarks."""
    names = dict.fromkeys("random cells" if line["name"].startswith("random ") else line["name"] for line in lines)
    rows = []
    print(
        "| network | units | parameters | trainings | validation | test | CPU s each |\n|---|---|---|---|---|---|---|"
    )
    for name in names:
        own = [
            line for line in lines if line["name"] == name or (name, line["name"][:7]) == ("random cells", "random ")
        ]
        done = [line for line in own if not line["failure"]]
        if not done:
            continue
        values = {split: sorted(line[split] for line in done) for split in ("valid", "test")}
        shown = [f"{statistics.fmean(each):.1f} ({each[0]:.1f} to {each[-1]:.1f})" for each in values.values()]
        seconds = statistics.median(line["cpu_seconds"] for line in done)
        count = f"{len(done)}" + (f", {len(own) - len(done)} failed" if len(done) < len(own) else "")
        first = (f"{name}", f"{done[0]['width']}", f"{done[0]['params']:,}", count)
        print(f"| {' | '.join((*first, *shown, f'{seconds:.0f}'))} |")
        for split, each in values.items():
            subject = f"{name}, {done[0]['params']:,} parameters, {done[0]['passes']} passes, {split}"
            rows.append(results.Row(subject, len(each), statistics.median(each), each[0], each[-1], "perplexity"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Recurrent cells of equal size on a part of Penn Treebank.")
    data = os.environ.get("NETWRIGHT_DATA", "")
    parser.add_argument("--path", type=Path, default=Path(data, "ptb"), help="folder of the three files")
    parser.add_argument("--folder", type=Path, default=Path("rnn_cells"), help="where searches and trainings lie")
    parser.add_argument("--minutes", type=float, default=600.0, help="when to stop; the same command goes on")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(SEEDS), help="of trainings, for several at once")
    parser.add_argument("--csv", type=Path, help="CSV file that rows are appended to; nothing is played then")
    parser.add_argument("--quick", action="store_true", help="whether it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.csv is None:
        play(arguments.path.absolute(), arguments.folder, arguments.minutes, arguments.seeds, arguments.quick)
    rows = summed_up(known(arguments.folder))
    if arguments.csv is not None:
        results.append(arguments.csv, rows)


if __name__ == "__main__":
    main()
