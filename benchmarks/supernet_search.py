"""Do searches with shared weights pick networks that are better alone than random ones?

    python benchmarks/supernet_search.py                      # about two hours of a core; killed, it goes on
    python benchmarks/supernet_search.py --only nao           # one search alone, so that several run side by side
    python benchmarks/supernet_search.py --summary            # the table of what there is

`recipes/nao-ws-laptop.toml` is played on CIFAR-10 at 16 pixels, by `nao` and by `random`, and so is the NASNet space by
`aging` and by `random`. Then a sample of each search's networks, from the worst to the best by shared score, is trained
alone (`netwright train RUN --sample 30`). The mean over the whole sample is what choosing at random among the networks
of the last round gives, which for `random` are random networks of the space; beside it stand the best fifth of the
sample by shared score, and the best one, with how far shared scores, parameters and multiply-adds order the sample
(Kendall's tau with its 95 % interval). A further row has the random networks as the weights of the other search of
their space score them, after its last round: a random choice from one and the same set of shared weights. Behind it
stands by how much the networks that the other search ended with are better than these.

Minutes are of the processor, one thread; those with a "+" were more, as a part was killed before it could say how long
it took.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import results
import supernet_ranking
from scipy.stats import ttest_ind

import netwright
from netwright.core import building, ranking, refs
from netwright.core.records import Proposal, Trial

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "nao-ws-laptop.toml"
SEARCHES: Mapping[str, tuple[str, ...]] = {
    "nao": (),
    "nao, random": ("--strategy", "random"),
    "nasnet, aging": ("--space", "nasnet(channels=8,repeats=1)", "--strategy", "aging"),
    "nasnet, random": ("--space", "nasnet(channels=8,repeats=1)", "--strategy", "random"),
}
SCORERS = {"nao, random": "nao", "nasnet, random": "nasnet, aging"}  # whose weights score the random networks too
TOP = 5  # one in so many of a sample is its best part


@dataclass(frozen=True)
class Place:
    """Where a search lies, with the minutes that its parts have taken.

    Args:
        folder: Of all searches.
        name: Of the search.
    """

    folder: Path
    name: str

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder / "searches" / self.name.replace(", ", "-")

    @property
    def noted(self) -> Path:
        """The file with the minutes, and what came of the sample."""
        return self.run.with_suffix(".json")

    def known(self) -> dict[str, Any]:
        """What is noted."""
        return json.loads(self.noted.read_text()) if self.noted.exists() else {}

    def minutes(self, part: str) -> str:
        """How long a part took."""
        known = self.known()
        return f"{known[part] / 60:.1f}{'+' * bool(known.get('killed'))}"

    def play(self, part: str, words: Sequence[str]) -> str:
        """Play a part by the command, to its end; returns what it printed on the standard output."""
        before = _children_seconds()
        self.note(**({"killed": True} if self.known().get("plays") else {"plays": True}))
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "netwright", *words],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
            )
        finally:
            self.note(**{part: self.known().get(part, 0.0) + _children_seconds() - before}, plays=False)
        if ran.returncode:
            raise SystemExit(f"{' '.join(words)} ended with exit code {ran.returncode}; the same command goes on")
        return ran.stdout

    def note(self, **values: Any) -> None:
        """Note values by name."""
        self.run.parent.mkdir(parents=True, exist_ok=True)
        draft = self.noted.with_suffix(".new")
        draft.write_text(json.dumps({**self.known(), **values}))
        draft.replace(self.noted)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def play(place: Place, options: argparse.Namespace) -> None:
    """Search, and train the sample, where that is not done."""
    known = place.known()
    if "ranking" in known:
        return
    scale = supernet_ranking.Scale(side=options.side, images=options.images)
    supernet_ranking.task_of(scale, options.data, options.folder)  # which writes the file
    file = options.folder / f"cifar10-{scale.images}-{scale.side}.npz"
    task = f"arrays(path={str(file)!r}, flip=true, padding={options.side // 8})"
    rounds = ["--evaluator.steps", str(options.steps), "--limits.trials", str(4 * options.pool)]
    rounds += ["--evaluator.pool", str(options.pool), "--evaluator.new", str(options.pool // 2)]
    recipe = place.run.with_suffix(".toml")
    place.note()
    recipe.write_text(RECIPE.read_text().replace("seed = 0", "seed = 0\nthreads_per_trial = 1", 1))
    words = ["search", str(recipe), "--out", str(place.run), "--task", task, "--executor", "inline"]
    if not known.get("searched"):
        place.play("search", [*words, *rounds, *SEARCHES[place.name]])
        place.note(searched=True)
    lengths = ["--epochs", str(options.epochs), "--task.train_limit", str(options.train_limit)]
    sample = ["train", str(place.run), "--sample", str(options.sample), *lengths, "--no-reference", "--json"]
    told = json.loads(place.play("sample", sample).splitlines()[-1])
    place.note(ranking=told["ranking"])


@dataclass(frozen=True)
class Shared:
    """A context of scores by the weights that a search left.

    Args:
        shared: Folder of these.
        first: Trials of its first round.
    """

    shared: Path
    first: Sequence[Trial]
    worker_index: int = 0
    threads: int = 1

    def members(self, _budget: int) -> Sequence[Trial]:
        """Those of its first round, by whose seed the validation images are chosen."""
        return self.first

    def should_stop(self) -> bool:
        """Whether to stop: never."""
        return False


def scored(place: Place, scorer: Place) -> dict[str, Any]:
    """The ranking of a sample, with its networks scored by the weights that another search of the space left."""
    ran, whole = (netwright.Run(each.run, trust=True) for each in (place, scorer))
    task = building.build_task(whole.settings)
    evaluator = refs.load(
        "evaluator", whole.settings.evaluator, space=building.build_space(whole.settings, task), task=task
    )
    rows = {trial.id: trial for trial in ran.trials}
    last = max(trial.proposal.budget or 0 for trial in whole.trials)
    context = Shared(scorer.run / "shared", [t for t in whole.trials if t.proposal.budget == 1])
    networks = []
    for number, each in enumerate(place.known()["ranking"]["networks"]):
        proposal = Proposal(rows[each["trial"]].proposal.genotype, budget=last, notes={"place": float(number)})
        result = evaluator.evaluate(Trial(1, proposal, "", 0, "running"), context)
        networks.append({**each, "searched": result.metrics["valid_accuracy"]})
    scores, truth = (np.array([each[name] for each in networks]) for name in ("searched", "trained"))
    tau = ranking.agreement(scores, truth, np.random.default_rng(0)).kendall.facts()
    return {"networks": networks, "orders": [{"by": f"score by the weights of {scorer.name}", "kendall": tau}]}


def line(place: Place, scorer: Place | None = None) -> str:
    """The row of a search, or of its networks as another one's weights score them."""
    known = place.known()
    found = scored(place, scorer) if scorer else known["ranking"]
    order = sorted(found["networks"], key=lambda each: -each["searched"])
    best = _best(order)
    taus = {each["by"]: each["kendall"] for each in found["orders"]}
    return (
        f"{place.name:<16} {place.minutes('search'):>7} {place.minutes('sample'):>7} "
        f"{mean(each['trained'] for each in order):>8.1%} {mean(each['trained'] for each in best):>8.1%} "
        f"{order[0]['trained']:>8.1%}   " + "; ".join(f"{by} {_tau(tau)}" for by, tau in taus.items())
    )


def difference(place: Place, random: Place) -> str:
    """By how much the networks of a search are better alone than random ones, with its 95 % interval (Welch's t)."""
    each = [[network["trained"] for network in one.known()["ranking"]["networks"]] for one in (place, random)]
    low, high = ttest_ind(*each, equal_var=False).confidence_interval()
    return f"{place.name} less {random.name}: {mean(each[0]) - mean(each[1]):+.1%} ({low:+.1%} to {high:+.1%})"


def _best(networks: Sequence[Any]) -> Sequence[Any]:
    """The best fifth of networks in order."""
    return networks[: max(1, len(networks) // TOP)]


def _tau(tau: Mapping[str, float | None]) -> str:
    value, low, high = (tau[name] for name in ("value", "low", "high"))
    return "undefined" if value is None or low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"


def rows_of(places: Sequence[Place]) -> list[results.Row]:
    """What goes into the shared table."""
    rows = []
    for place in places:
        known = place.known()
        networks = sorted(known["ranking"]["networks"], key=lambda each: -each["searched"])
        parts = {"all of the sample": networks, "the best fifth by shared score": _best(networks)}
        for name, part in parts.items():
            values = [each["trained"] for each in part]
            subject = f"{place.name}: {name}, trained alone"
            rows.append(results.Row(subject, len(values), median(values), min(values), max(values), "accuracy"))
    return rows


def main() -> None:
    """Play what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description="Searches with shared weights, and their networks trained alone.")
    data, cache = os.environ.get("NETWRIGHT_DATA", "data"), os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    parser.add_argument("--data", type=Path, default=Path(data, "cifar10"), help="folder of CIFAR-10's parquet files")
    parser.add_argument("--folder", type=Path, default=Path(cache, "netwright-supernet"), help="where the runs lie")
    parser.add_argument("--only", nargs="+", default=list(SEARCHES), choices=list(SEARCHES), metavar="SEARCH")
    parser.add_argument("--side", type=int, default=16, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=40_000, help="training images")
    parser.add_argument("--steps", type=int, default=1500, help="of shared training in each of the four rounds")
    parser.add_argument("--pool", type=int, default=60, help="networks of a round")
    parser.add_argument("--sample", type=int, default=30, help="networks that are trained alone")
    parser.add_argument("--epochs", type=int, default=4, help="of these trainings")
    parser.add_argument("--train-limit", type=int, default=10_000, help="images of these trainings")
    parser.add_argument("--summary", action="store_true", help="only print the table of what there is")
    options = results.options(parser)
    if options.quick:
        options.folder = options.folder / "quick"
        options.side, options.images, options.steps, options.pool = 8, 1000, 3, 12
        options.sample, options.epochs, options.train_limit, options.only = 3, 1, 200, ["nao, random"]
    places = [Place(options.folder, name) for name in options.only]
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.summary:
        for place in places:
            play(place, options)
    places = [place for place in places if "ranking" in place.known()]
    print(f"{'':<16} {'search':>7} {'sample':>7} {'all':>8} {'best 1/5':>8} {'best':>8}   Kendall's tau")
    for place in places:
        print(line(place))
        scorer = Place(options.folder, SCORERS.get(place.name, ""))
        if "ranking" in scorer.known():
            print(line(place, scorer))
            print(difference(scorer, place))
    if not options.summary:
        results.append(options.out, rows_of(places))


if __name__ == "__main__":
    main()
