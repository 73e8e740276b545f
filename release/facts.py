"""What a release says of itself, read from its texts: bounds, versions, contents and licenses. Nothing is run here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# licenses that allow any use and oblige no program that merely imports what is under them, in SPDX
PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "HPND",
    "ISC",
    "MIT",
    "MIT-CMU",
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
# how older metadata say it
CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
SAID = {"Apache 2.0": "Apache-2.0", "BSD": "BSD-3-Clause", "new BSD": "BSD-3-Clause", "PSF": "PSF-2.0"}


@dataclass(frozen=True)
class License:
    """What an installed package says of its license.

    Attributes:
        expression: The field License-Expression, in SPDX.
        classifiers: Last words of the classifiers under "License ::".
        text: The older field License: a name, or the whole text.
    """

    expression: str = ""
    classifiers: tuple[str, ...] = ()
    text: str = ""

    @property
    def name(self) -> str:
        """In SPDX, as far as it can be told; what does not say it is given back as it stands, "" for nothing."""
        if self.expression:
            return self.expression
        named = [
            CLASSIFIED.get(each, each) for each in self.classifiers if each not in ("OSI Approved", "DFSG approved")
        ]
        if named:
            return " AND ".join(named)
        first = self.text.strip().split("\n")[0][:60]
        return SAID.get(first, first)

    def is_permissive(self) -> bool:
        """Whether each part, or one that may be chosen for it, is in `PERMISSIVE`; brackets are not understood."""
        parts = (re.sub(r" WITH [\w.-]+", "", part) for part in self.name.split(" AND "))
        return all(any(choice.strip() in PERMISSIVE for choice in part.split(" OR ")) for part in parts)


def bounds(pyproject: str) -> dict[str, str]:
    """The lower bound of each dependency in the text of pyproject.toml.

    Raises:
        ValueError: A dependency has no lower bound, or has more than that.
    """
    found = {}
    for line in tomllib.loads(pyproject)["project"]["dependencies"]:
        match = re.fullmatch(r"([\w.-]+)>=([\d.]+)", line)
        if match is None:
            raise ValueError(f"the dependency '{line}' is not a name with a lower bound alone, as in 'numpy>=1.26'")
        found[match[1]] = match[2]
    return found


def optional(pyproject: str) -> set[str]:
    """Packages that extras bring, by the names that Python imports most of them by: small letters and underscores."""
    extras = tomllib.loads(pyproject)["project"]["optional-dependencies"]
    return {normal(re.split(r"[^\w.-]", line)[0]).replace("-", "_") for lines in extras.values() for line in lines}


def pinned(lock: str) -> dict[str, str]:
    """The versions of a lock file, by names in small letters with hyphens."""
    lines = (line.partition("#")[0].strip() for line in lock.splitlines())
    return {normal(line.split("==")[0]): line.split("==")[1] for line in lines if line}


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version(pyproject: str) -> str:
    """The version in the text of pyproject.toml."""
    return str(tomllib.loads(pyproject)["project"]["version"])


def changes(changelog: str, release: str) -> tuple[str, int]:
    """The section of a changelog that a release goes by, and how many points it has: its own, else "Unreleased".

    Raises:
        ValueError: There is neither, or nothing stands there.
    """
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    by_name = {section.split("\n")[0].strip(): section for section in sections}
    own = next((name for name in by_name if name.split()[:1] == [release]), "Unreleased")
    points = len(re.findall(r"^- ", by_name.get(own, ""), flags=re.MULTILINE))
    if not points:
        raise ValueError(f"the changelog has nothing under '{release}' or 'Unreleased'; say what is new")
    return own, points


def disagreement(pyproject: str, package: str, citation: str) -> str:
    """What differs between the versions of pyproject.toml, of the package and of CITATION.cff; "" if nothing does."""
    said = {
        "pyproject.toml": version(pyproject),
        "netwright.__version__": "".join(re.findall(r'^__version__ = "(.*)"$', package, flags=re.MULTILINE)),
        "CITATION.cff": "".join(re.findall(r'^version: "?([^"\n]*)"?$', citation, flags=re.MULTILINE)),
    }
    return "" if len(set(said.values())) == 1 else ", ".join(f"{name} says '{value}'" for name, value in said.items())


def difference(held: Iterable[str], expected: Iterable[str]) -> str:
    """In words, which names are missing and which are there without being expected; "" for none."""
    held, expected = set(held), set(expected)
    parts = [
        f"{what} {', '.join(sorted(names)[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for what, names in (("missing:", expected - held), ("not in git:", held - expected))
        if names
    ]
    return "; ".join(parts)


def others(licenses: Mapping[str, License]) -> dict[str, str]:
    """The packages whose license is not permissive, or cannot be told, with what they say."""
    return {name: each.name or "nothing" for name, each in licenses.items() if not each.is_permissive()}
