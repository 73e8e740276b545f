"""The runs of a contest on disk: the folder of a cell, what it holds, and whether a command may go on there.

`runs/<recipe>/` has `recipe.toml`, `data.txt` (the fingerprint of the task's data), each with its checksum, and a run
in `<strategy>-<seed>` for each cell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from netwright.core import files, genes, objectives, refs, remembered, run_file, whereabouts
from netwright.core.baselines import Baseline
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.finals import BEST, Candidate, Final
from netwright.core.protocols import HasFingerprint
from netwright.core.records import Trial
from netwright.core.run_file import RunFile
from netwright.core.shapes import contents
from netwright.runs import finals, ownership, retraining, run_folder

RUNS, RECIPE, DATA = "runs", "recipe.toml", "data.txt"
COMMON = tuple(name for name in ownership.IDENTITY if name not in ("strategy", "seed"))
LONGEST = 80  # characters of a label in the name of a folder
VALUE = r"(True|False|None|-?\d+(\.\d+)?(e-\d+)?)"
# such a label loses nothing when its brackets, commas and equals signs become "-"
PLAIN = re.compile(rf"[\w.]+(:\w+)?(\(\w+={VALUE}(,\w+={VALUE})*\))?", re.ASCII)


@dataclass(frozen=True)
class CellRun:
    """The search of a cell on disk.

    Args:
        trials: Finished trials with scores, at most as many as the contest has.
        ending: "trials" or "exhausted"; "": the search has not ended.
        sources: Digests (`strategy_refs.source_of`) of the programs of the strategy that took part in the search.
        data: Fingerprint of the task's data; None: not known.
        baselines: What results are to be compared with.
    """

    trials: Sequence[Trial] = ()
    ending: str = ""
    sources: tuple[str, ...] = ()
    data: str | None = None
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True)
class FullTraining:
    """A full training that was done: what it measured, if any of its repeats succeeded, and why others failed."""

    final: Final | None
    fault: str = ""


def folder_name(label: str) -> str:
    """A label in characters that every file system takes, "aging-population-20-sample-5", a name of its own for each.

    Labels whose text would be ambiguous, or is long, end with a digest.
    """
    text = re.sub(r"[^A-Za-z0-9_.-]+", "-", label).strip("-.")
    if PLAIN.fullmatch(label) and len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}-{genes.digest(label)[:8]}"


def read(place: Path, run: RunFile) -> CellRun:
    """The search in a folder; an empty `CellRun` where it was not begun.

    Args:
        place: Folder of the run.
        run: The run that it should be; its limit of trials says how many are read.

    Raises:
        StoreError: The folder holds the search of another strategy or seed.
    """
    if not run_folder.holds_run(place):
        return CellRun()
    with closing(run_folder.open_table(place, "read")) as store:
        text = store.recall("run")
        if text is None:  # it was killed before anything was asked
            return CellRun()
        stored, asked = run_file.from_toml(text), as_stored(run)
        for setting in ("strategy", "seed"):
            if getattr(stored, setting) != getattr(asked, setting):
                raise StoreError(
                    f"{place} holds another search: its {setting} is {getattr(stored, setting)}, not "
                    f"{getattr(asked, setting)}; move it away, or give another folder with --out"
                )
        limit = run.limits.trials or 0
        try:
            trials = objectives.with_scores(store.finished(most=limit), run.objectives)
        except BadRunFile:  # an objective that is never measured: the search says so when it is played
            trials = []
        is_exhausted = store.recall("ending") == "exhausted"  # "trials" may be of a smaller budget
        ending = "trials" if len(trials) >= limit else "exhausted" if is_exhausted else ""
        sources = tuple((store.recall("sources") or "").split())
        known = remembered.baselines(store)
        return CellRun(trials, ending, sources, store.recall("data"), known)


def read_training(place: Path, run: RunFile, trials: Sequence[Trial]) -> FullTraining | None:
    """The full training of the best of `trials`, those of the search in a folder; None where none was finished."""
    chosen = best_of(trials)
    if not chosen:
        return None
    settings = retraining.run_of(run, chosen, {})
    folder = retraining.place_of(place, settings)
    if not run_folder.holds_run(folder):
        return None
    with closing(run_folder.open_table(folder, "read")) as store:
        finished, total = store.finished(), settings.limits.trials or 0
        if len(finished) < total:
            return None
        final = next(iter(finals.results(store, settings, folder)), None)
    failed = [trial.result for trial in finished if trial.result and trial.result.failure]
    if not failed:
        return FullTraining(final)
    reason = failed[0].message.strip().rpartition("\n")[2] or failed[0].failure
    which = "the full training failed" if total == 1 else f"{len(failed):,} of {total:,} full trainings failed"
    return FullTraining(final, f"{which}: {reason}; remove {folder} to train again")


def best_of(trials: Sequence[Trial]) -> list[Candidate]:
    """The networks of a search that are trained in full: that of its best trial, if any succeeded."""
    best = objectives.best(trials)
    return [Candidate(BEST, best.proposal.genotype, best.id)] if best else []


def check(out: Path, recipes: Mapping[str, RunFile]) -> list[str]:
    """Names of the recipes whose data is to lie elsewhere than before.

    Raises:
        StoreError: A folder has runs of another recipe of one of these names.
    """
    moved = []
    for name, run in recipes.items():
        path = out / RUNS / name / RECIPE
        if not path.exists():
            continue
        stored, asked = run_file.from_toml(_noted(path)), as_stored(run)
        if whereabouts.differ_alone(stored.task, asked.task) and (path.parent / DATA).exists():
            stored = replace(stored, task=asked.task)  # whether its data is the same, `fingerprints` finds out
            moved.append(name)
        settings = [(setting, getattr(stored, setting), getattr(asked, setting)) for setting in COMMON]
        # with another number, searches would not repeat as those that are there
        settings += [("executor.workers", *(each.executor.options.get("workers", 1) for each in (stored, asked)))]
        for setting, old, new in settings:
            if old != new:
                raise StoreError(
                    f"{path.parent} holds runs of another recipe called {name!r}: its {setting} is {old}, not {new}; "
                    "give another folder with --out"
                )
    return moved


def fingerprints(out: Path, recipes: Mapping[str, RunFile], known: Mapping[str, Sequence[CellRun]]) -> dict[str, str]:
    """Fingerprints, by recipe, of the data of tasks that have one; the data must be ready.

    Args:
        out: Folder of the contest.
        recipes: Run files by name.
        known: Searches by name of recipe, for folders that have no note of the data.

    Raises:
        StoreError: The data is not that of the runs in the folder.
    """
    found = {}
    for name, run in recipes.items():
        task = refs.load("task", run.task)
        consists_of = contents(task.io)
        if not isinstance(task, HasFingerprint):
            continue
        found[name] = task.fingerprint()
        path = out / RUNS / name / DATA
        before = {_noted(path).strip()} if path.exists() else set()
        before |= {each.data for each in known.get(name, ()) if each.data is not None}
        if not all(whereabouts.is_same_data(each, found[name]) for each in before):
            raise StoreError(
                f"the {consists_of} or splits of the task of recipe {name!r} have changed since the searches in "
                f"{path.parent} began, so that new ones would not compare; restore them, or give another --out"
            )
    return found


def note(out: Path, recipes: Mapping[str, RunFile], data: Mapping[str, str]) -> None:
    """Writes each recipe, and the fingerprint of its data, beside its runs."""
    for name, run in recipes.items():
        place = out / RUNS / name
        place.mkdir(parents=True, exist_ok=True)
        files.write(place / RECIPE, files.with_checksum(run_file.to_toml(run)).encode())
        if name in data:
            files.write(place / DATA, files.with_checksum(f"{data[name]}\n").encode())


def _noted(path: Path) -> str:
    """What `note` wrote into a file. Raises StoreError where it was damaged or changed since."""
    try:
        return files.without_checksum(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StoreError(f"{path} is damaged or was changed; restore it, or give another folder with --out") from None


def as_stored(run: RunFile) -> RunFile:
    """The run file as it is read back from a disk, where a tuple has become a list."""
    return run_file.from_toml(run_file.to_toml(run))
