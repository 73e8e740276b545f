"""What the README says of other libraries, as far as it can be measured here.

Three parts, each of which may be asked for alone:

* `--sizes`: what an installation brings besides torch and what torch brings, which all of them but AutoKeras need for
  networks in PyTorch: distributions by pip's own resolution, and the bytes of their files when they are installed,
  without compiled bytecode. Downloads some hundred megabytes to a temporary folder.
* `--trials`: microseconds of the processor for a trial in memory with 46 genes of 7 values: ask, the values, tell,
  without any evaluation. Optuna and Rustuna sample at random, netwright by tournament and at random (samples made
  cheap, as in `trial_overhead.py`), since its random samples of this space are a thousand mutations each. Each
  repetition has a fresh table and is timed from its 100th trial on; repetitions of all alternate.
* `--lines`: lines of code, without comments, blank lines and documentation, from a folder of images to a tested
  network.

What is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

import results

from netwright.stores.memory import MemoryStore

ROOT = Path(__file__).parent.parent
GENES, OPTIONS = 46, 7
FEW = 100  # trials before the clock starts
LIBRARIES = ("optuna", "rustuna", "autokeras", "nni", "neural-pipeline-search", "ray[tune]", "syne-tune")
PROGRAMS = {"Optuna": "others/images_optuna.py"}


def pip(*arguments: str) -> str:
    """What pip prints; its complaint is shown when it fails."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def resolved(*requirements: str) -> dict[str, str]:
    """Names and versions of all that pip would install into an empty environment."""
    report = pip("install", "-q", "--dry-run", "--ignore-installed", "--report", "-", *requirements)
    found = (item["metadata"] for item in json.loads(report)["install"])
    return {item["name"].lower().replace("_", "-"): item["version"] for item in found}


def installed_bytes(distributions: dict[str, str]) -> int:
    """The bytes of these distributions' files, installed to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{name}=={version}" for name, version in distributions.items()]
        pip("install", "-q", "--no-deps", "--no-compile", "--target", folder, *wanted)
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())


def sizes(libraries: Sequence[str]) -> Iterator[results.Row]:
    """Two rows for netwright and for each library: distributions and megabytes besides torch's."""
    of_torch = resolved("torch")
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for library in ("netwright", *libraries):
        wanted = ours["dependencies"] if library == "netwright" else [library]
        try:
            found = resolved(*wanted)
            rest = {name: version for name, version in found.items() if name not in of_torch}
            size = installed_bytes(rest)
        except subprocess.CalledProcessError:
            print(f"{library}: pip could not install it", flush=True)
            continue
        count = len(rest)
        if library == "netwright":
            files = (path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc")
            count, size = count + 1, size + sum(path.stat().st_size for path in files)
            label = f"netwright {ours['version']}"
        else:
            label = f"{library} {found[library.partition('[')[0]]}"
        needs = "needs torch itself" if "torch" in found else ""
        yield row(f"{label}: distributions besides torch's", [count], "distributions", needs)
        yield row(f"{label}: their files", [size / 1e6], "MB", needs)


def row(subject: str, values: Sequence[float], unit: str, note: str = "") -> results.Row:
    """A row of the table, shown as it is made."""
    made = results.Row(subject, len(values), statistics.median(values), min(values), max(values), unit, note)
    print(
        f"{made.subject}: {made.median:,.4g} {unit} ({made.min:,.4g} to {made.max:,.4g}) {note}".rstrip(" "), flush=True
    )
    return made


def study_of(module: str, trials: int) -> float:
    """Microseconds a trial of a study that Optuna or Rustuna keeps in memory."""
    library = importlib.import_module(module)
    study = library.create_study(sampler=library.samplers.RandomSampler(seed=0))
    names = [f"gene {number}" for number in range(GENES)]
    options = tuple(range(OPTIONS))

    def play(count: int) -> None:
        for _ in range(count):
            trial = study.ask()
            values = [trial.suggest_categorical(name, options) for name in names]
            study.tell(trial.number, values[0] / OPTIONS)

    play(FEW)
    start = time.process_time()
    play(trials)
    return (time.process_time() - start) / trials * 1e6


def search_of(strategy: str, trials: int) -> float:
    """Microseconds a trial of one of our searches in memory."""
    import trial_overhead

    search = trial_overhead.search_on(MemoryStore(), strategy)
    trial_overhead.go_on(search, FEW)
    start = time.process_time()
    trial_overhead.go_on(search, trials)
    return (time.process_time() - start) / trials * 1e6


def trials(count: int, repetitions: int) -> Iterator[results.Row]:
    """A row for each library and strategy."""
    logging.disable(logging.WARNING)
    lines: dict[str, Callable[[int], float]] = {}
    for module in ("optuna", "rustuna"):
        try:
            library = importlib.import_module(module)
        except ModuleNotFoundError:
            print(f"{module}: not installed, left out", flush=True)
            continue
        if hasattr(library, "logging"):
            library.logging.set_verbosity(library.logging.ERROR)
        label = f"{module} {metadata.version(module)}: random, in memory"
        lines[label] = partial(study_of, module)
    for strategy in ("tournament", "random, cheap sample"):
        lines[f"netwright: {strategy}, in memory"] = partial(search_of, strategy)
    taken: dict[str, list[float]] = {label: [] for label in lines}
    for _ in range(repetitions):
        for label, play in lines.items():
            taken[label].append(play(count))
    for label, values in taken.items():
        yield row(f"{label}; {GENES} genes", values, "us/trial (CPU)")


def lines_of_code(text: str) -> int:
    """Lines that hold a token of code: no blank line, comment, or documentation string."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    strings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            first = node.body[0]
            strings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(line.strip()) and line.strip()[0] != "#" and number not in strings for number, line in lines)


def lines() -> Iterator[results.Row]:
    """A row for each program of `others/`."""
    for name, path in PROGRAMS.items():
        text = (Path(__file__).parent / path).read_text(encoding="utf-8")
        yield row(f"{name}: a folder of images to a tested network, {path}", [lines_of_code(text)], "lines of code")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the README says of other libraries.")
    for part in ("sizes", "trials", "lines"):
        parser.add_argument(f"--{part}", action="store_true")
    parser.add_argument("--libraries", nargs="*", default=LIBRARIES, help="whose sizes are measured")
    arguments = results.options(parser)
    everything = not (arguments.sizes or arguments.trials or arguments.lines)
    rows: list[results.Row] = []
    if arguments.lines or everything:
        rows += lines()
    if arguments.trials or everything:
        rows += trials(*((50, 2) if arguments.quick else (1_000, 5)))
    if arguments.sizes or everything:
        rows += sizes(arguments.libraries)
    results.append(arguments.out, rows)


if __name__ == "__main__":
    main()
