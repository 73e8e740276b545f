"""The strategies that are compared: their labels, how they begin, and digests of their programs."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from pathlib import Path

from netwright import __version__
from netwright.core import refs
from netwright.core.protocols import Strategy
from netwright.core.refs import Reference

STARTS = ("initial", "population", "seeds", "startup")  # options that say how many random networks begin a search
PACKAGE = Path(__file__).parents[1]
OWN = ("strategies", "surrogates")  # folders of the package that its strategies are made of


def label(reference: Reference) -> str:
    """A reference as it is typed, its options sorted by name: "aging(population=10,sample=3)"."""
    listed = ",".join(f"{name}={value!r}" for name, value in sorted(reference.options.items()))
    return f"{reference.name}({listed})" if listed else reference.name


def random_starts(reference: Reference, strategy: Strategy) -> dict[str, int]:
    """The options of a strategy that say how many random networks begin a search, as given or by default."""
    known = refs.options_of(refs.locate("strategy", reference.name), without=refs.WIRED)
    values = {
        option: reference.options.get(option, getattr(strategy, option, None) if option in known else None)
        for option in STARTS
    }
    return {option: value for option, value in values.items() if isinstance(value, int)}


def source_of(reference: Reference) -> str:
    """Digest of the program of a strategy; "" where it has no file.

    That is the file in which the strategy is written. Strategies of this package learn with its surrogates and build on
    one another: for them it is every file of both folders, and the version.
    """
    module = inspect.getmodule(refs.locate("strategy", reference.name))
    path = getattr(module, "__file__", None)
    if module is None or path is None:
        return ""
    if not module.__name__.startswith("netwright.strategies."):
        return _digest([Path(path)], "")
    return _digest([file for folder in OWN for file in sorted((PACKAGE / folder).rglob("*.py"))], __version__)


def _digest(files: Sequence[Path], version: str) -> str:
    hashed = hashlib.blake2b(version.encode(), digest_size=6)
    for file in files:
        hashed.update(file.name.encode() + hashlib.blake2b(file.read_bytes()).digest())
    return hashed.hexdigest()
