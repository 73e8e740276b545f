"""The jobs of `make gpu`, of `make gpu-evidence`, and the small ones that show on any machine that all of it runs."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .play import Job

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STEP_CASES = ("hierarchical-16", "hierarchical-64", "naonet-a", "amoebanet-a", "hnag-d3", "nats")
CUT = 40  # seconds of a real run in `make gpu`
AT_SEARCH = ("--space.channels", 16, "--space.repeats", 1, "--batch", 256, "--io", "3x24x24:10")
FITNESS_STEPS, TEN_MINUTES = 5000, 600
INITIAL = 40  # random trials of recipes/hierarchical-gpu.toml


@dataclass(frozen=True)
class Place:
    """What jobs need to know.

    Args:
        facts: What `here.found` says.
        data: Folder of CIFAR-10's parquet files; None: there are none.
        images: Array file for the plain network, which the job `data` makes.
        csv: Where measurements are written.
    """

    facts: Mapping[str, Any]
    data: Path | None
    images: Path
    csv: Path

    @property
    def no_card(self) -> str:
        """Why jobs that need a card are skipped; "" where there is one."""
        return "" if self.facts["card"] else "needs a card"

    @property
    def no_data(self) -> str:
        """Why jobs that need CIFAR-10 are skipped; "" where it is there."""
        return "" if self.data else "needs CIFAR-10: set NETWRIGHT_DATA to the folder that holds cifar10/"

    @property
    def no_runs(self) -> str:
        """Why real runs are skipped; "" where they are not."""
        return self.no_card or self.no_data

    def python(self, script: str, *words: object) -> Callable[[Path], Sequence[str]]:
        """The command of a script of this folder."""
        return lambda _folder: [sys.executable, str(HERE / script), *map(str, words)]

    def netwright(self, *words: object) -> list[str]:
        """A command of the program."""
        return [sys.executable, "-m", "netwright.cli.main", *map(str, words)]

    def has(self, part: str, option: str) -> bool:
        """Whether this version's evaluator or executor has an option."""
        return option in self.facts[part]


def cut(place: Place) -> list[Job]:
    """`make gpu`: everything once, real runs cut to 40 s each, 8 minutes in all."""
    runs = Runs(lambda folder: steps_within(folder, 0.6 * CUT), CUT, CUT, CUT, CUT + 35, search_words=_shared(place, 4))
    return [
        _data(place, 90, place.no_runs),
        _tests(place, 80),
        _step(place, "step", ("--repeats", 2, "--seconds", 1), 170),
        *runs.jobs(place, place.no_runs),
        _profile(place, "profile", 40, place.no_card, AT_SEARCH),
        _many(place, ("--at-once", 1, 6, "--steps", 60, "--each", 2), 90),
    ]


def whole(place: Place) -> list[Job]:
    """`make gpu-evidence`: the real runs whole, in pieces."""
    runs = Runs(lambda _folder: FITNESS_STEPS, TEN_MINUTES, TEN_MINUTES, TEN_MINUTES, 2 * TEN_MINUTES)
    options = ("--evaluator.epochs", 20, "--evaluator.batch", 256)
    no_graphs = "" if place.has("evaluator", "graphs") else "this version has no option graphs"
    before = (*AT_SEARCH, "--evaluator.graphs", "never", "--evaluator.precision", "float32")
    return [
        _data(place, 120, place.no_runs),
        *runs.jobs(place, place.no_runs),
        _alike(place, "best", "the best of the search, 20 epochs", TEN_MINUTES, place.no_runs, options),
        _alike(place, "first", "the best of its first random trials, 20 epochs", TEN_MINUTES, place.no_runs, options),
        *[_step(place, f"step-{name}", ("--cases", name, "--repeats", 5), 150) for name in STEP_CASES],
        _step(place, "step-compiled", ("--cases", "hierarchical-64", "--repeats", 3, "--compile"), 300),
        _pipeline(place, 60),
        *[_many(place, ("--at-once", 1, most, "--each", 2), 340, name=f"many-{most}") for most in (4, 8, 16)],
        _profile(place, "profile", 60, place.no_card, AT_SEARCH),
        _profile(place, "profile-before", 60, place.no_card or no_graphs, before),
    ]


def small(place: Place) -> list[Job]:
    """Where there is no card: what needs one is skipped by name, everything else is as small as it can be.

    Nothing must be quick: the search ends with its trial, and what commands may take is for a machine that is busy.
    """
    tiny = ("--task.train_limit", 200, "--task.valid", 50, "--evaluator.batch", 16, "--space.channels", 4)
    runs = Runs(
        *(lambda _folder: 4, 15, 8, 90, 150),
        fitness_words=tiny,
        fast_words=(*tiny, "--space.repeats", 1),
        plain_words=("--width", 4, "--batch", 16),
        search_words=(*tiny, "--evaluator.steps", 4, "--workers", 1, "--trials", 1),
    )
    return [
        _data(place, 120, place.no_data, "200 images of CIFAR-10 as an array file", ("--limit", 200)),
        _tests(place, 80),
        _step(place, "step", ("--quick", "--repeats", 1, "--seconds", 0.3), 120, needs_card=False),
        Job("step-bare", "the bare captured graph", lambda _folder: (), 0, place.no_card),
        *runs.jobs(place, place.no_data),
        _alike(place, "best", "the best of the search", 150, place.no_data, ("--evaluator.steps", 4)),
        _profile(place, "profile", 90, "", ("--space.channels", 4, "--space.repeats", 1, "--batch", 16, "--steps", 3)),
        _many(place, ("--quick", "--at-once", 1, 2, "--steps", 2, "--each", 1, "--least", 2), 150, needs_card=False),
        Job("many-on-a-card", "several trials on one card", lambda _folder: (), 0, place.no_card),
        _pipeline(place, 60),
    ]


@dataclass(frozen=True)
class Runs:
    """The real runs at some length.

    Args:
        steps: Steps of the fitness, from the folder that all is written to.
        fast: Seconds of the recipe for ten minutes.
        plain: Seconds of the plain network.
        search: Seconds of the search.
        most: The most seconds that each command may take, starting up and measuring included.
        fitness_words: Further options of that command, and so on.
        fast_words: See there.
        plain_words: See there.
        search_words: See there.
    """

    steps: Callable[[Path], int]
    fast: float
    plain: float
    search: float
    most: float
    fitness_words: Sequence[object] = ()
    fast_words: Sequence[object] = ()
    plain_words: Sequence[object] = ()
    search_words: Sequence[object] = ()

    def jobs(self, place: Place, skipped: str) -> list[Job]:
        """Their jobs, in order."""
        return [
            _fitness(place, self.steps, self.most, skipped, self.fitness_words),
            _fast(place, self.fast, self.most, skipped, self.fast_words),
            _plain(place, self.plain, self.most, skipped, self.plain_words),
            _search(place, self.search, self.most, skipped, self.search_words),
        ]


def steps_within(folder: Path, seconds: float) -> int:
    """How many steps of 256 of the published cell fit, by what the job `step` measured; 200 where it did not."""
    try:
        found = json.loads((folder / "step.json").read_text(encoding="utf-8"))
        rate = next(statistics.median(each["ours"]) for each in found if each["name"] == "hierarchical-16")
    except (OSError, ValueError, KeyError, StopIteration):
        return 200
    return max(20, min(FITNESS_STEPS, int(seconds * rate / 256)))


def _data(
    place: Place, seconds: float, skipped: str, about: str = "CIFAR-10 decoded", words: Sequence[object] = ()
) -> Job:
    return Job("data", about, place.python("data.py", place.data or "", place.images, *words), seconds, skipped)


def _tests(place: Place, seconds: float) -> Job:
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    words = ["-m", "pytest", "-m", "gpu", "-q", "-rs", "-c", ROOT / "pyproject.toml", "--continue-on-collection-errors"]
    why = "needs pytest" if not place.facts["pytest"] else "" if files else "no test is marked gpu"
    return Job(
        "tests",
        "tests marked gpu",
        lambda _folder: [sys.executable, *map(str, (*words, *files))],
        seconds,
        place.no_card or why,
        found=lambda text: text.strip().splitlines()[-1].strip("= "),
    )


def _step(place: Place, name: str, words: Sequence[object], seconds: float, *, needs_card: bool = True) -> Job:
    return Job(
        name,
        "a training step: bare graph, plain, ours",
        lambda folder: [
            *(sys.executable, str(HERE.parent / "gpu_step.py"), *map(str, words)),
            *("--out", str(place.csv), "--json", str(folder / f"{name}.json")),
        ],
        seconds,
        place.no_card if needs_card else "",
        found=lambda text: f"{text.count('images a second') - 1} cases, see below",
    )


def _fitness(
    place: Place, steps: Callable[[Path], int], seconds: float, skipped: str, words: Sequence[object] = ()
) -> Job:
    cell = tuple(place.facts["cell"])
    return Job(
        "fitness",
        "the published cell as the paper's fitness: batches of 256, 10,000 validation images",
        lambda folder: place.netwright(
            *("search", ROOT / "recipes" / "hierarchical-cifar10.toml", "--strategy", f"listed(genotypes=({cell},))"),
            *("--trials", 1, "--workers", 1, "--evaluator.repeats", 1, "--evaluator.checkpoint_minutes", 2),
            *("--task.path", place.data or "", *words, "--evaluator.steps", steps(folder)),
            *("--out", folder / "fitness", "--json"),
        ),
        seconds,
        skipped,
        is_resumable=True,
        found=_best,
    )


def _fast(place: Place, deadline: float, seconds: float, skipped: str, words: Sequence[object] = ()) -> Job:
    return Job(
        "fast",
        f"recipes/fast-cifar10.toml, {deadline:.0f} s",
        lambda folder: place.netwright(
            *("train", "zoo:amoebanet-a", ROOT / "recipes" / "fast-cifar10.toml", "--no-reference"),
            *("--evaluator.deadline", deadline, "--task.path", place.data or "", *words),
            *("--out", folder / "fast", "--json"),
        ),
        seconds,
        skipped,
        is_resumable=True,
        found=_accuracy,
    )


def _plain(place: Place, budget: float, seconds: float, skipped: str, words: Sequence[object] = ()) -> Job:
    return Job(
        "plain",
        f"a plain residual network, {budget:.0f} s",
        lambda folder: place.python("plain.py", place.images, "--seconds", budget, "--keep", folder / "plain", *words)(
            folder
        ),
        seconds,
        skipped,
        is_resumable=True,
        found=lambda text: "test accuracy {test_accuracy:.4f}, {passes:.1f} passes, {params:,} parameters".format(
            **_last_object(text)
        ),
        after="data",
    )


def _search(place: Place, budget: float, seconds: float, skipped: str, words: Sequence[object] = ()) -> Job:
    return Job(
        "search",
        f"recipes/hierarchical-gpu.toml, {budget:.0f} s",
        lambda folder: place.netwright(
            *("search", ROOT / "recipes" / "hierarchical-gpu.toml", "--hours", budget / 3600),
            *("--task.path", place.data or "", *words, "--out", folder / "search", "--json"),
        ),
        seconds,
        skipped,
        is_resumable=True,
        found=_best,
    )


def _alike(place: Place, which: str, about: str, seconds: float, skipped: str, words: Sequence[object]) -> Job:
    return Job(
        f"search-{which}",
        about,
        lambda folder: place.python(
            *("alike.py", folder / "search", which, "--initial", INITIAL, "--no-reference", "--json"),
            *("--task.path", place.data or "", *words),
        )(folder),
        seconds,
        skipped,
        is_resumable=True,
        found=_accuracy,
        after="search",
    )


def _shared(place: Place, count: int) -> tuple[object, ...]:
    """Options for so many trials on one card: a search as short as a cut one does not measure how many pay."""
    return ("--executor.trials_per_gpu", count) if place.has("executor", "trials_per_gpu") else ()


def _many(place: Place, words: Sequence[object], seconds: float, *, name: str = "many", needs_card: bool = True) -> Job:
    return Job(
        name,
        "trials a minute, several at once against one at a time",
        lambda folder: place.python(
            *("many.py", place.data or "", "--folder", folder / name, "--out", place.csv),
            *("--card", place.facts["card"], *words),
        )(folder),
        seconds,
        (place.no_card if needs_card else "") or place.no_data,
        found=lambda text: str(_last_object(text)["found"]),
    )


def _pipeline(place: Place, seconds: float) -> Job:
    script = HERE.parent / "device_data.py"
    return Job(
        "data-pipeline",
        "batches that the card makes of images that lie there",
        lambda _folder: [sys.executable, str(script), "--repeats", "3", "--out", str(place.csv)],
        seconds,
        place.no_card or ("" if script.exists() else f"this version has no {script.name}"),
        found=lambda _text: "see data-pipeline.out",
    )


def _profile(place: Place, name: str, seconds: float, skipped: str, words: Sequence[object]) -> Job:
    return Job(
        name,
        "where the time of a step goes",
        lambda folder: place.netwright("profile", "zoo:hierarchical", "--out", folder / name, *words),
        seconds,
        skipped or ("" if place.facts["profile"] else "this version has no command profile"),
        found=lambda _text: f"see {name}.out and {name}/",
    )


def _last_object(text: str) -> dict[str, Any]:
    """The JSON object in the last line of an output. Raises ValueError."""
    found = json.loads(text.strip().splitlines()[-1])
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _accuracy(text: str) -> str:
    """What `netwright train --json` said."""
    facts = _last_object(text)
    return f"test accuracy {facts['test_accuracy_mean']:.4f}, {facts['params']:,} parameters"


def _best(text: str) -> str:
    """What `netwright search --json` said."""
    facts = _last_object(text)
    best, failed = facts["best"], f", {facts['failed']} failed" if facts["failed"] else ""
    first = f"{best['metric']} {best['value']:.4f} of trial {best['trial']}" if best else "none succeeded"
    return f"{first}; {facts['trials']} trials{failed}"
