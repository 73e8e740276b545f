"""The recipes of a contest: searches that repeat, on one thread of one worker, with an end by trials alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from netwright.comparison import strategy_refs
from netwright.core import building, refs, run_file
from netwright.core.errors import BadRunFile, NetwrightError
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.core.trust import Trust

STANDARD = ("random", "aging", "non_aging", "reinforce")  # compared when none are given
SEVERAL = ("random", "nsga2")  # beside the recipes' own, where a recipe has several objectives
REPLACED = "aging"  # replaced by the strategies that the recipes name, if any


def read(
    paths: Sequence[Path],
    changes: Mapping[str, Mapping[str, Any]],
    trials: int | None,
    trust: Trust = Trust(),
) -> dict[str, RunFile]:
    """Reads run files, by name, and makes their searches repeat: one worker, one thread, an end by trials alone.

    Args:
        paths: Paths of TOML files.
        changes: Options by part, put over all of them; workers of the executor, or threads, stay as they are given.
        trials: Number of trials of a search; None: that of the recipe.
        trust: Which plug-ins the files may name.

    Raises:
        NetwrightError: A file is no run file, has no limit of trials, or has the name of another one.
    """
    found: dict[str, RunFile] = {}
    for path in paths:
        if path.stem in found:
            raise BadRunFile(f"two recipes are called {path.stem!r}; give each a name of its own")
        tables = run_file.merged(run_file.read(path), changes)
        with naming(path.stem, len(paths) > 1):
            run = run_file.from_tables(tables)
            trust.check(run_file.references(run), "the recipe")
            run = building.tuned(run)
        budget = trials or run.limits.trials
        if budget is None:
            raise BadRunFile(f"recipe {path} has no limits.trials, so its searches have no common end; give --trials")
        found[path.stem] = replace(
            _single(run, changes.get("executor", {})),
            threads_per_trial=run.threads_per_trial or 1,
            limits=Limits(trials=budget, failures_in_a_row=run.limits.failures_in_a_row),
        )
    return found


def standard_strategies(recipes: Mapping[str, RunFile]) -> tuple[Reference, ...]:
    """The strategies that are compared by default: STANDARD, with REPLACED giving way to those of the recipes.

    Where a recipe has several objectives, they are those of SEVERAL that are there, and the recipes' own.
    """
    own = list(
        dict.fromkeys(strategy_refs.label(run.strategy) for run in recipes.values() if run.strategy != RunFile.strategy)
    )
    references = {strategy_refs.label(run.strategy): run.strategy for run in recipes.values()}
    if any(len(run.objectives or ()) > 1 for run in recipes.values()):
        named = {references[label].name for label in own}
        known = set(refs.available("strategy")) - named
        return (*(Reference(name) for name in SEVERAL if name in known), *(references[label] for label in own))
    found: list[Reference] = []
    for name in STANDARD:
        if name == REPLACED and own:
            found += [references[label] for label in own]
        elif name not in {references[label].name for label in own}:
            found.append(Reference(name))
    return tuple(found)


@contextmanager
def naming(recipe: str, is_one_of_several: bool) -> Iterator[None]:
    """Puts the recipe's name into errors, where there are several recipes."""
    try:
        yield
    except NetwrightError as error:
        if not is_one_of_several:
            raise
        raise type(error)(f"recipe {recipe}: {error}") from None


def _single(run: RunFile, given: Mapping[str, Any]) -> RunFile:
    """The run with one worker, unless another number is given."""
    accepted = refs.options_of(refs.locate("executor", run.executor.name))
    if "workers" not in accepted or "workers" in given:
        return run
    return run_file.override(run, "executor", {"workers": 1})
