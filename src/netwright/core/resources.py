"""What trials share on a machine and can run out of: the memory of cards, and that of the machine itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Final

from netwright.core import attempts
from netwright.core.attempts import Attempt, Memory
from netwright.core.protocols import Evaluator, Store, UsesCards
from netwright.core.turns import Turns

FOLDER: Final = "turns"  # within a run's: locks by which trials take turns
RAN_OUT: Final = "ran-out"  # in it: memory has run out in this run, so that the table is asked which attempt it is


class Resources:
    """What a worker's trials share with those of other workers of a run on this machine.

    Args:
        cards: Names of the cards that the trials lie on; empty: they lie on none.
        run_folder: Folder of the run; None: no other process works for it.
        is_stopping: Whether the worker is to stop, so that its trial need not wait for its turn.
        place: Folder that all workers on this machine have in common, where that of the run is none; None: it is.
    """

    def __init__(
        self,
        cards: tuple[str, ...] = (),
        run_folder: Path | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
        place: Path | None = None,
    ) -> None:
        self.cards = cards
        self._is_stopping = is_stopping
        self._machine = f"machine-{socket.gethostname()}"
        self._run_folder = run_folder
        self._mark = os.fspath(run_folder / FOLDER / RAN_OUT) if run_folder else ""
        shared = place or run_folder
        self._turns = Turns(shared / FOLDER, (*cards, self._machine)) if shared else None
        self._has_run_out = bool(cards)  # memory of cards runs out so often that it is always asked

    @classmethod
    def of(
        cls,
        evaluator: Evaluator,
        index: int,
        run_folder: Path | None,
        is_stopping: Callable[[], bool],
        place: Path | None = None,
    ) -> Resources:
        """Those of an evaluator's trials in a worker, by its number among those of this machine."""
        cards = evaluator.cards(index) if isinstance(evaluator, UsesCards) else ()
        return cls(cards, run_folder, is_stopping, place)

    def attempt(self, store: Store, trial_id: int) -> Attempt:
        """The attempt that a trial is at, as far as it is known here: the first, where memory never ran out in the run.

        Where hosts share no disk, it may have run out on another one, which `note` takes into account.
        """
        self._has_run_out = self._has_run_out or os.path.exists(self._mark)
        return attempts.of(store, trial_id) if self._has_run_out else Attempt()

    def taken(self, attempt: Attempt) -> AbstractContextManager[bool]:
        """Hold what an attempt needs within the block; gives False where the worker is to stop before its turn came."""
        if self._turns is None:
            return nullcontext(True)
        whole = self.cards if attempt.place == "card" else (self._machine,)
        return self._turns.taken(alone=whole if attempt.is_alone else (), is_wanted=lambda: not self._is_stopping())

    def place(self, *, is_machine: bool) -> Memory:
        """Whose memory ran out, where that of the machine is known to have, or else any."""
        return "machine" if is_machine or not self.cards else "card"

    def note(self, store: Store, trial_id: int, attempt: Attempt) -> None:
        """Have the table and this machine remember which attempt comes next."""
        known = attempts.of(store, trial_id)
        attempts.note(store, trial_id, attempt if attempt.ran_out > known.ran_out else known)
        self._has_run_out = True
        if self._run_folder is not None:
            mark(self._run_folder)

    def close(self) -> None:
        """Close what is open."""
        if self._turns is not None:
            self._turns.close()


def mark(run_folder: Path) -> None:
    """Have workers on this machine know that memory has run out in a run."""
    with suppress(OSError):  # as on a full disk: then those that are at work know it alone
        (run_folder / FOLDER).mkdir(parents=True, exist_ok=True)
        (run_folder / FOLDER / RAN_OUT).touch()
