"""Executors, which run workers: what every one has, what it needs to start, and what some can do besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, runtime_checkable

from netwright.core.protocols.store import Store

STOP_SECONDS: Final = 20.0  # which evaluations have for writing down where they stand; schedulers often give 30 in all


OnReport = Callable[[int, int, Mapping[str, float]], None]


def _never() -> bool:
    return False


def _unheard(_trial_id: int, _step: int, _metrics: Mapping[str, float]) -> None:
    return


def _unsaid(_sentence: str) -> None:
    return


@dataclass(frozen=True)
class Job:
    """What an executor needs to start workers.

    A worker in another process gets `store.address` and finds the rest (run file, evaluator, seed) in the table.
    """

    store: Store
    folder: Path | None = None
    threads: int = 1
    keep: bool = False  # leave the folders of finished trials
    should_stop: Callable[[], bool] = _never  # asked by evaluations in the controller's own process
    on_report: OnReport = _unheard  # told by them, too: trial, step, metrics
    say: Callable[[str], None] = _unsaid  # shows the user a sentence


class Executor(Protocol):
    """Runs workers: in this process, in processes, on a cluster."""

    @property
    def workers(self) -> int:
        """How many trials it evaluates at a time."""

    def start(self, job: Job) -> None:
        """Bring the workers up."""

    def poll(self, seconds: float) -> None:
        """Let work happen for about `seconds`; restart dead workers."""

    def drain(self) -> None:
        """Let running trials finish, start no other."""

    def is_idle(self) -> bool:
        """After `drain`: nothing runs any more."""

    def stop(self) -> None:
        """Stop every worker now. Returns when none is left."""


@runtime_checkable
class Halts(Protocol):
    """Capability of an executor: what its workers are at can be stopped so that it goes on from there another time."""

    @property
    def stop_seconds(self) -> float:
        """How long evaluations may take for that; one that takes longer is ended, and loses what it did."""

    def halt(self) -> None:
        """Have running trials write down where they stand and put them back; start no other. `is_idle` says when."""


@runtime_checkable
class WorksElsewhere(Protocol):
    """Capability of an executor: its workers are on other machines, and fewer may be there than are asked for."""

    @property
    def present(self) -> int:
        """How many workers are there now: so many rows are asked for, and one more."""


@runtime_checkable
class IsBounded(Protocol):
    """Capability of an executor: there are only as many workers as there are trials, or as what they run on holds."""

    @property
    def workers(self) -> int:
        """How many trials it evaluates at a time."""

    def bounded(self, trials: int | None) -> Executor:
        """This executor with no more workers than trials, at least one; None: there is no limit of trials.

        Raises:
            WorkerError: The machine's memory does not hold the workers, or what would run them is not there.
        """


@runtime_checkable
class SharesCards(Protocol):
    """Capability of an executor: several of its workers may have trials on one card (GPU)."""

    @property
    def trials_per_gpu(self) -> int | Literal["auto"]:
        """Most trials that share a card; "auto": what measures best."""

    @property
    def card_service(self) -> Literal["auto", "never"]:
        """Whether they share it by the driver's multi-process service, where that can be had."""

    def on_cards(self, cards: int, each: int) -> Executor:
        """This executor with workers for at most `each` trials on each of so many cards."""


@runtime_checkable
class KeepsTime(Protocol):
    """Capability of an executor: its work goes by a simulated clock."""

    @property
    def elapsed_seconds(self) -> float:
        """Seconds on that clock since the executor was made."""

    @property
    def utilization(self) -> float:
        """Share of the workers' time that went into evaluations while there were rows to ask; NaN before any."""
