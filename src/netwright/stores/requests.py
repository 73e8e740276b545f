"""What each request of a client does to a served table: its values are checked, and late ones are fenced off.

An attempt at a trial is a worker's name together with the process that claimed in this name last. Whatever an earlier
process of that name still says, as a message that was long on its way, is of an earlier attempt and changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from netwright.core.errors import NetwrightError, StoreError
from netwright.core.protocols import Store
from netwright.core.reading import shown
from netwright.core.records import Trial
from netwright.stores import sqlite_rows, wire
from netwright.stores.sqlite_rows import DamagedRow

READS: Final = frozenset(("recall", "finished", "unfinished", "missing", "faults", "tally", "best", "workers"))
MOST_WORKERS: Final = 100_000  # whose names are remembered


@dataclass(frozen=True)
class Caller:
    """Who asks: the id of the client, and the process that it is in, as it says itself."""

    client: str
    host: str = ""
    pid: int = 0
    born: str = ""


@dataclass(frozen=True)
class Present:
    """A worker that has claimed or beaten through the server.

    Args:
        worker: Its name in the table.
        host: Name of its machine, as it says.
        pid: Id of the process that spoke last for it, on its machine.
        silent_seconds: Time since it was last heard of.
    """

    worker: str
    host: str
    pid: int
    silent_seconds: float


class Requests:
    """Plays requests on a store; not for several threads at once, but for `present`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lends = True  # rows to workers
        self._claimers: dict[str, list[str]] = {}  # by worker, its clients in order of their first claim
        self._heard: dict[str, tuple[Caller, float]] = {}

    def present(self) -> list[Present]:
        """Workers that were heard of, in order of first being heard."""
        now = time.monotonic()
        return [Present(name, who.host, who.pid, now - at) for name, (who, at) in list(self._heard.items())]

    def answer(self, caller: Caller, do: str, values: Sequence[Any]) -> Any:
        """Do what is asked, and give the answer as a value of JSON.

        Raises:
            NetwrightError: The store raised it, or there is no such request, or its values are not of their kinds.
        """
        known = _REQUESTS.get(do)
        if known is None:
            raise StoreError(f"a served table knows no request {shown(do)}; it has {', '.join(_REQUESTS)}")
        act, kinds = known
        if len(values) != len(kinds) or not all(is_fit(each) for is_fit, each in zip(kinds, values, strict=True)):
            raise StoreError(f"the request {do} does not go with the values {shown(list(values))}")
        try:
            return act(self, caller, *values)
        except DamagedRow as error:
            raise StoreError(
                f"the request {do} was not understood: {error}; it may have been damaged on its way"
            ) from None
        except (ValueError, TypeError, OverflowError) as error:
            raise StoreError(f"the request {do} holds what no table can: {error}") from None

    def _hear(self, caller: Caller, worker: str) -> None:
        if len(self._heard) < MOST_WORKERS or worker in self._heard:
            self._heard[worker] = (caller, time.monotonic())

    def _is_late(self, caller: Caller, worker: str | None) -> bool:
        """Whether another process has claimed in this worker's name since this one did."""
        return caller.client in self._claimers.get(worker or "", [])[:-1]

    def _add(self, caller: Caller, asked: list[Any], result: list[Any] | None) -> int:
        proposal, key, seed = sqlite_rows.asked_of(tuple(asked))
        came = None if result is None else sqlite_rows.result_of(0, tuple(result))
        return self._store.add(proposal, key, seed, came)

    def _claim(self, caller: Caller, worker: str, wait: float) -> list[Any] | None:
        if self._is_late(caller, worker):
            raise StoreError(f"another process works as {shown(worker)} by now; this one has nothing more to do")
        if (clients := self._claimers.setdefault(worker, [])) != [caller.client] and caller.client not in clients:
            clients.append(caller.client)
        self._hear(caller, worker)
        trial = self._store.claim(worker) if self.lends else None
        return None if trial is None else list(sqlite_rows.cells(trial))

    def _beat(self, caller: Caller, worker: str, activity: str) -> None:
        self._hear(caller, worker)
        self._store.beat(worker, activity, (caller.pid, caller.born))

    def _finish(self, caller: Caller, trial_id: int, result: list[Any], worker: str | None) -> bool:
        came = sqlite_rows.result_of(trial_id, tuple(result))
        if self._is_late(caller, worker):
            return False
        return self._store.finish(trial_id, came, worker)

    def _put_back(self, caller: Caller, worker: str | None) -> int:
        return 0 if self._is_late(caller, worker) else self._store.put_back(worker)

    def _requeue(self, caller: Caller, lost_for: float, worker: str | None, reason: str) -> int:
        return 0 if self._is_late(caller, worker) else self._store.requeue(lost_for, worker, reason)

    def _finished(self, caller: Caller, after: int, most: int) -> list[Any]:
        return _page(self._store.finished(after, most), most)

    def _unfinished(self, caller: Caller, after: int) -> list[Any]:
        rows = [trial for trial in self._store.unfinished() if trial.id > after]
        return _page(rows, min(len(rows) + 1, wire.PAGE_ROWS))

    def _best(self, caller: Caller, metric: str, is_minimized: bool) -> list[Any] | None:
        trial = self._store.best(metric, is_minimized=is_minimized)
        return None if trial is None else list(sqlite_rows.cells(trial))


def _page(trials: Sequence[Trial], most: int) -> list[Any]:
    """As many rows as a page takes, and whether there may be more after them."""
    rows, size = [], 0
    for trial in trials[:most]:
        row = sqlite_rows.cells(trial)
        size += sum(len(cell) for cell in row if isinstance(cell, str))
        if rows and size > wire.PAGE_BYTES:
            return [rows, True]
        rows.append(row)
    return [rows, len(rows) >= most]


def _text(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and len(value) <= most


def _or_none(is_fit: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_fit(value)


def _cells(number: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and len(value) == number


def _name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= wire.MAX_NAME


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _place(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _trial(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**63


def _rows(value: Any) -> bool:
    return type(value) is int and 0 < value <= wire.PAGE_ROWS


def _truth(value: Any) -> bool:
    return type(value) is bool


_FACT = _text(wire.MAX_MESSAGE)
_LINE = _text(wire.MAX_TEXT)
_ASKED, _CAME = _cells(len(sqlite_rows.ASKED) + 1), _cells(len(sqlite_rows.CAME))
_REQUESTS: Final[dict[str, tuple[Callable[..., Any], tuple[Callable[[Any], bool], ...]]]] = {
    "add": (Requests._add, (_ASKED, _or_none(_CAME))),
    "claim": (Requests._claim, (_name, _number)),
    "beat": (Requests._beat, (_name, _LINE)),
    "finish": (Requests._finish, (_trial, _CAME, _or_none(_name))),
    "finished": (Requests._finished, (_place, _rows)),
    "unfinished": (Requests._unfinished, (_place,)),
    "missing": (lambda own, caller: own._store.missing(), ()),
    "faults": (lambda own, caller: own._store.faults(), ()),
    "tally": (lambda own, caller: astuple(own._store.tally()), ()),
    "best": (Requests._best, (_LINE, _truth)),
    "requeue": (Requests._requeue, (_number, _or_none(_name), _LINE)),
    "put_back": (Requests._put_back, (_or_none(_name),)),
    "remember": (lambda own, caller, name, text: own._store.remember(name, text), (_LINE, _FACT)),
    "recall": (lambda own, caller, name: own._store.recall(name), (_LINE,)),
    "exchange": (
        lambda own, caller, name, old, new: own._store.exchange(name, old, new),
        (_LINE, _or_none(_FACT), _or_none(_FACT)),
    ),
    "workers": (lambda own, caller: [astuple(state) for state in own._store.workers()], ()),
}
