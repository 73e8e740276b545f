"""Observers: who watches a search."""

from __future__ import annotations

from typing import Protocol

from netwright.core.records import Trial


class Observer(Protocol):
    """Someone who watches a search: a live display, a test."""

    def asked(self, trial: Trial) -> None:
        """A row was added."""

    def told(self, trial: Trial) -> None:
        """The strategy was told a finished trial."""

    def tick(self) -> None:
        """The loop went round once more."""
