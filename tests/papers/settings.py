"""Every recipe of a paper against what that paper, or its program, is said to do, setting by setting.

    python -m tests.papers.settings                        # all of it, as Markdown
    python -m tests.papers.settings --differing            # what differs, with the reasons
    python -m tests.papers.settings hnag-sport8 hnag-imagenet

What was published stands in `published/`, one file per paper: `[published.NAME]` lists settings as run files spell
them, each with its value and where it is from; `[recipes.NAME]` says which of these lists a recipe follows (`of`), and
why it departs from them or says more (`differs`, by setting or pattern of settings). A published setting
without an option here has a name in parentheses.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from inspect import Parameter
from pathlib import Path
from typing import Any

from netwright.core import refs, run_file
from netwright.core.run_file import PARTS, RunFile

ROOT = Path(__file__).parents[2]
RECIPES, PUBLISHED = ROOT / "recipes", Path(__file__).parent / "published"
NONE = "not given"
# settings that no paper states: where and on what a recipe is run, and what a report shows beside its results
OF_THE_PLACE = (
    "seed",
    "threads_per_trial",
    "task.path",
    "executor.ref",
    "executor.workers",
    "executor.trial_minutes",
    "executor.silent_minutes",
    "evaluator.ref",
    "evaluator.checkpoint_minutes",
    "evaluator.precision",
    "limits.failures_in_a_row",
    "metrics",
    "published",
)


@dataclass(frozen=True)
class Row:
    """One setting of one recipe.

    Args:
        recipe: Name of the recipe.
        setting: The setting, as `evaluator.lr`.
        ours: Its value in the recipe, or by default.
        published: The published value; NONE: the paper states none.
        source: Where that is from, with how sure it is.
        why: Why ours is another one, or is there at all; "": they are equal.
        is_equal: Whether both are the same.
    """

    recipe: str
    setting: str
    ours: Any
    published: Any
    source: str
    why: str
    is_equal: bool

    @property
    def is_explained(self) -> bool:
        """Whether there is nothing left to say of it."""
        return self.is_equal or bool(self.why)


@dataclass(frozen=True)
class Entry:
    """What is said of one recipe: the lists it follows, and the reasons for what differs."""

    name: str
    paper: str
    of: tuple[str, ...]
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The recipe's file."""
        return RECIPES / f"{self.name}.toml"

    def reason(self, setting: str) -> str:
        """Why the setting differs; "": nothing is said."""
        for pattern in (setting, *self.differs):
            if pattern in self.differs and fnmatchcase(setting, pattern):
                return self.differs[pattern]
        return ""


@lru_cache
def papers() -> dict[str, dict[str, Any]]:
    """The files of `published/`, by name."""
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(PUBLISHED.glob("*.toml"))}


@lru_cache
def entries() -> dict[str, Entry]:
    """All recipes that are spoken of, by name."""
    found: dict[str, Entry] = {}
    for paper, tables in papers().items():
        for name, said in tables["recipes"].items():
            assert name not in found, f"{name} is spoken of twice"
            found[name] = Entry(name, paper, tuple(said["of"]), said.get("differs", {}))
    return found


def rows(entry: Entry) -> list[Row]:
    """The settings that the paper states, then those that the recipe gives besides."""
    tables = run_file.read(entry.path)
    run, given = run_file.from_tables(tables), dict(_flat(tables))
    found: dict[str, Row] = {}
    for name in entry.of:
        listed = papers()[entry.paper]["published"][name]
        for setting, value, *words in listed["settings"]:
            source = ", ".join([listed["source"], *words])
            ours = "no option" if setting.startswith("(") else given.get(setting, default(run, setting))
            is_equal = _alike(ours, value)
            found[setting] = Row(entry.name, setting, ours, value, source, _why(entry, setting, is_equal), is_equal)
    for setting, ours in given.items():
        if setting not in found and setting not in OF_THE_PLACE:
            found[setting] = Row(entry.name, setting, ours, NONE, "", _why(entry, setting, False), False)
    return list(found.values())


def stale(entry: Entry) -> list[str]:
    """Reasons that nothing needs any more."""
    differing = [row.setting for row in rows(entry) if not row.is_equal]
    return [key for key in entry.differs if not any(fnmatchcase(setting, key) for setting in differing)]


def default(run: RunFile, setting: str) -> Any:
    """The value of a setting that the recipe does not give; NONE: there is no such option, or it says nothing."""
    part, _, option = setting.partition(".")
    if not option or part == "limits":
        value = getattr(run.limits, option) if option else getattr(run, part)
        return NONE if value is None else value
    if part not in PARTS:
        return NONE
    if option == "ref":
        return getattr(run, part).name
    known = refs.options_of(refs.locate(part, getattr(run, part).name))
    value = known[option].default if option in known else NONE
    return NONE if value in (None, Parameter.empty) else value


def markdown(found: Sequence[Row]) -> Iterator[str]:
    """The lines of a table."""
    yield "| recipe | setting | ours | published | source | why they differ |"
    yield "|---|---|---|---|---|---|"
    for row in found:
        cells = (row.recipe, row.setting, row.ours, row.published, row.source, row.why)
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _why(entry: Entry, setting: str, is_equal: bool) -> str:
    return "" if is_equal else entry.reason(setting)


def _flat(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings by their names: `evaluator.lr`."""
    for part, value in tables.items():
        if isinstance(value, Mapping):
            yield from ((f"{part}.{option}", each) for option, each in value.items())
        else:
            yield (f"{part}.ref" if part in PARTS else part), value


def _alike(ours: Any, published: Any) -> bool:
    if isinstance(ours, tuple | list):
        return list(ours) == list(published) if isinstance(published, tuple | list) else False
    return isinstance(ours, bool) == isinstance(published, bool) and ours == published


def main() -> None:
    """Print the table of the recipes that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names of recipes; none: all")
    parser.add_argument("--differing", action="store_true", help="leave out what is as published")
    given = parser.parse_args()
    if unknown := [name for name in given.recipes if name not in entries()]:
        parser.error(f"{unknown[0]!r} is no recipe of a paper; there are {', '.join(entries())}")
    named = [entries()[name] for name in given.recipes or entries()]
    found = [row for entry in named if entry.path.exists() for row in rows(entry)]
    print("\n".join(markdown([row for row in found if not (given.differing and row.is_equal)])))


if __name__ == "__main__":
    main()
