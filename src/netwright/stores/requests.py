"""What each request of a client does to a served table: its values are checked, and late ones are fenced off.

An attempt at a trial is a worker's name together with the process that claimed in this name last. Whatever an earlier
process of that name still says, as a message that was long on its way, is of an earlier attempt and changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from netwright.core.errors import StoreError
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
        fits = len(values) == len(known.kinds) and all(map(_is_fit, known.kinds, values))
        if not fits:
            raise StoreError(f"the request {do} does not go with the values {shown(list(values))}")
        worker = None if known.worker is None else values[known.worker]
        if worker is not None and self._is_late(caller, worker):
            if do in ("claim", "beat"):
                raise StoreError(f"another process works as {shown(worker)} by now; this one has nothing more to do")
            return known.late
        if worker is not None and do in ("claim", "beat"):
            self._hear(caller, worker, has_claimed=do == "claim")
        if do == "claim" and not self.lends:
            return None
        try:
            return known.act(self._store, *values, **({"caller": caller} if do == "beat" else {}))
        except DamagedRow as error:
            raise StoreError(f"the request {do} was damaged on its way: {error}; send it again") from None
        except (ValueError, TypeError, OverflowError) as error:
            raise StoreError(f"the request {do} holds what no table can: {error}") from None

    def _hear(self, caller: Caller, worker: str, *, has_claimed: bool) -> None:
        if len(self._heard) < MOST_WORKERS or worker in self._heard:
            self._heard[worker] = (caller, time.monotonic())
        clients = self._claimers.setdefault(worker, []) if has_claimed else [caller.client]
        if caller.client not in clients:
            clients.append(caller.client)

    def _is_late(self, caller: Caller, worker: str) -> bool:
        """Whether another process has claimed in this worker's name since this one did."""
        return caller.client in self._claimers.get(worker, [])[:-1]


def _add(store: Store, asked: list[Any], result: list[Any] | None) -> int:
    proposal, key, seed = sqlite_rows.asked_of(tuple(asked))
    came = None if result is None else sqlite_rows.result_of(0, tuple(result))
    return store.add(proposal, key, seed, came)


def _claim(store: Store, worker: str, _wait: float) -> tuple[Any, ...] | None:
    return _row(store.claim(worker))


def _beat(store: Store, worker: str, activity: str, *, caller: Caller) -> None:
    store.beat(worker, activity, (caller.pid, caller.born))


def _finish(store: Store, trial_id: int, result: list[Any], worker: str | None) -> bool:
    return store.finish(trial_id, sqlite_rows.result_of(trial_id, tuple(result)), worker)


def _unfinished(store: Store, after: int) -> list[Any]:
    rows = [trial for trial in store.unfinished() if trial.id > after]
    return _page(rows, min(len(rows) + 1, wire.PAGE_ROWS))


def _row(trial: Trial | None) -> tuple[Any, ...] | None:
    return None if trial is None else sqlite_rows.cells(trial)


def _page(trials: Sequence[Trial], most: int) -> list[Any]:
    """As many rows as a page takes, and whether there may be more after them."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    for trial in trials[:most]:
        row = sqlite_rows.cells(trial)
        size += sum(len(cell) for cell in row if isinstance(cell, str))
        if rows and size > wire.PAGE_BYTES:
            return [rows, True]
        rows.append(row)
    return [rows, len(rows) >= most]


def _is_fit(kind: Callable[[Any], bool], value: Any) -> bool:
    return kind(value)


def _text(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and len(value) <= most


def _or_none(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or kind(value)


def _list(length: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and len(value) == length


def _whole(least: int, most: int = 2**63 - 1) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= wire.MAX_NAME


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _truth(value: Any) -> bool:
    return type(value) is bool


@dataclass(frozen=True)
class _Request:
    """What a request does, the kinds of its values, which of them names a worker, and what a late one is answered."""

    act: Callable[..., Any]
    kinds: tuple[Callable[[Any], bool], ...] = ()
    worker: int | None = None
    late: Any = 0


_FACT, _LINE = _text(wire.MAX_MESSAGE), _text(wire.MAX_TEXT)
_ASKED, _CAME = _list(len(sqlite_rows.ASKED) + 1), _list(len(sqlite_rows.CAME))
_REQUESTS: Final[Mapping[str, _Request]] = {
    "add": _Request(_add, (_ASKED, _or_none(_CAME))),
    "claim": _Request(_claim, (_name, _seconds), worker=0),
    "beat": _Request(_beat, (_name, _LINE), worker=0),
    "finish": _Request(_finish, (_whole(1), _CAME, _or_none(_name)), worker=2, late=False),
    "finished": _Request(
        lambda store, after, most: _page(store.finished(after, most), most), (_whole(0), _whole(1, wire.PAGE_ROWS))
    ),
    "unfinished": _Request(_unfinished, (_whole(0),)),
    "missing": _Request(lambda store: store.missing()),
    "faults": _Request(lambda store: store.faults()),
    "tally": _Request(lambda store: astuple(store.tally())),
    "best": _Request(lambda store, metric, is_low: _row(store.best(metric, is_minimized=is_low)), (_LINE, _truth)),
    "requeue": _Request(lambda store, *values: store.requeue(*values), (_seconds, _or_none(_name), _LINE), worker=1),
    "put_back": _Request(lambda store, worker: store.put_back(worker), (_or_none(_name),), worker=0),
    "remember": _Request(lambda store, name, text: store.remember(name, text), (_LINE, _FACT)),
    "recall": _Request(lambda store, name: store.recall(name), (_LINE,)),
    "exchange": _Request(lambda store, *values: store.exchange(*values), (_LINE, _or_none(_FACT), _or_none(_FACT))),
    "workers": _Request(lambda store: [astuple(state) for state in store.workers()]),
}
