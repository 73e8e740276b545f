"""Neural architecture search: `search` goes from images to a network, `Run` does each step, `load` gives one back."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netwright.export.load import load
    from netwright.runs.optuna_study import optuna_study
    from netwright.runs.run import Run
    from netwright.runs.searching import search

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load", "optuna_study", "search"]

_HOMES = {
    "Run": "netwright.runs.run",
    "load": "netwright.export.load",
    "optuna_study": "netwright.runs.optuna_study",
    "search": "netwright.runs.searching",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: torch takes a second that `netwright --help` need not wait."""
    if name not in _HOMES:
        raise AttributeError(f"module 'netwright' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)
