"""Folders of a run for workers on hosts that share no disk with it: they travel through the served table, in pieces.

What a trial left, where it stood when it was put back, and what trials share. Whoever serves the table has a `Depot`,
each worker a `Carrier`. Only regular files within the run's own folders travel, each folder whole or not at all; what a
worker sends of a trial that another one runs by now is not taken.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from string import ascii_lowercase as LETTERS
from typing import Any, Final, TypeVar

from netwright.core import files
from netwright.core.errors import StoreError
from netwright.core.protocols import Store
from netwright.core.records import Trial
from netwright.core.trained_rounds import SHARED
from netwright.core.trial_folders import name_of

PIECE: Final = 2**20  # bytes of a file in one message
MOST_FILES: Final = 10_000  # of a folder
MOST_BYTES: Final = 2**34  # of a folder
NAME_CHARACTERS: Final = 200  # of a file, with the folders that it lies in
TRIES: Final = 5  # where what is carried changes meanwhile, or who serves the table is started again
PLACE: Final = re.compile(rf"{SHARED}|trials/[0-9]{{6,18}}")

Call = Callable[..., Any]
States = dict[str, list[int]]  # of files by name: bytes, and time of the last change in nanoseconds
Answer = TypeVar("Answer")


class Depot:
    """Folders of a run, as those who serve its table lend them to workers.

    Args:
        folder: The folder of the run.
        store: Its table, which says who runs what.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._drafts: dict[tuple[str, str], _Draft] = {}
        self._lock = threading.Lock()

    @property
    def methods(self) -> Mapping[str, Callable[..., Any]]:
        """What workers may ask for by name; each takes the name of the client first."""
        return {
            "folder": self.place,
            "has_file": self.has_file,
            "list_files": self.listed,
            "fetch": self.fetched,
            "begin_files": self.begin,
            "send": self.take,
            "keep_files": self.keep,
            "remove_files": self.remove,
        }

    def place(self, _client: object) -> str:
        """Where the folder of the run lies on this machine."""
        return str(self._folder.absolute())

    def has_file(self, _client: object, name: str, text: str) -> bool:
        """Whether a file with this text lies in the folder of the run: whoever has just written it sees the folder."""
        path = self._folder / _checked(name)
        with suppress(OSError, ValueError):
            return path.stat().st_size < PIECE and path.read_text(encoding="utf-8") == text
        return False

    def listed(self, _client: object, place: str) -> States:
        """Size and time of change of each file of a folder, in the order of these times; {}: there is none."""
        return _states(self._folder / _known(place))

    def fetched(self, _client: object, place: str, name: str, state: list[int], start: int) -> str:
        """A piece of a file, as base64. Raises StoreError where the file is no more what `listed` said."""
        path = self._folder / _known(place) / _checked(name)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                found = os.fstat(file.fileno())
                if [found.st_size, found.st_mtime_ns] != list(state):
                    raise StoreError(f"{place}/{name} has changed meanwhile")
                file.seek(int(start))
                return base64.b64encode(file.read(PIECE)).decode()
        except OSError as error:
            raise StoreError(f"{place}/{name} cannot be read: {error.strerror}") from None

    def begin(self, _client: object, worker: str, place: str) -> None:
        """Make room for what a worker is about to send of a folder."""
        target = self._folder / _known(place)
        with _said(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._drop(worker, place)
                draft = Path(f"{files.draft_of(target)}-{''.join(secrets.choice(LETTERS) for _ in range(8))}")
                draft.mkdir()
                self._drafts[worker, place] = _Draft(draft)

    def take(self, _client: object, worker: str, place: str, name: str, start: int, data: str) -> None:
        """A piece of a file, in order. Raises StoreError where nothing was begun, as before this process did."""
        draft, piece = self._draft(worker, place), base64.b64decode(data)
        path = draft.path / _checked(name)
        draft.sizes[name] = max(draft.sizes.get(name, 0), start + len(piece))
        if sum(draft.sizes.values()) > MOST_BYTES:
            raise StoreError(f"{place} is larger than {MOST_BYTES:,} bytes, which is the most that is carried")
        _refuse_many(place, len(draft.sizes))
        with _said(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.write(piece)

    def keep(self, _client: object, worker: str, place: str, sizes: Mapping[str, int]) -> bool:
        """Put what was sent in its place, whole; False: it is late, as another worker is at that by now.

        Raises StoreError where not all of it has come.
        """
        draft, target = self._draft(worker, place).path, self._folder / _known(place)
        try:
            found = {name: state.st_size for name, state in _files(draft).items()}
            if found != dict(sizes):
                raise StoreError(f"what was sent of {place} is not what was there; it is sent again")
            if self._is_late(worker, place):
                return False
            with _said(target):
                if place == SHARED:
                    for name in sizes:
                        (target / name).parent.mkdir(parents=True, exist_ok=True)
                        os.replace(draft / name, target / name)
                else:
                    _put_in_place(draft, target)
            return True
        finally:
            with self._lock:
                self._drop(worker, place)

    def remove(self, _client: object, place: str) -> None:
        """Remove the folder of a trial."""
        if _known(place) != SHARED:
            shutil.rmtree(self._folder / place, ignore_errors=True)

    def close(self) -> None:
        """Drop whatever was not sent to its end."""
        with self._lock:
            for worker, place in list(self._drafts):
                self._drop(worker, place)

    def _is_late(self, worker: str, place: str) -> bool:
        """Whether what a worker leaves in a place is not wanted any more.

        A row that is pending, as after a minute in which its worker was not heard, takes the result of that worker, and
        so what it has left; one that another worker runs, or that has finished, takes neither.
        """
        at_work = {each.name: each.trial_id for each in self._store.workers() if each.trial_id is not None}
        if place == SHARED:
            return bool(at_work) and worker not in at_work
        trial_id = int(place.rpartition("/")[2])
        is_anothers = any(each == trial_id and name != worker for name, each in at_work.items())
        return is_anothers or all(trial.id != trial_id for trial in self._store.unfinished())

    def _draft(self, worker: str, place: str) -> _Draft:
        with self._lock:
            if (worker, place) not in self._drafts:
                raise StoreError(f"nothing was begun to be sent of {place}")
            return self._drafts[worker, place]

    def _drop(self, worker: str, place: str) -> None:
        if (draft := self._drafts.pop((worker, place), None)) is not None:
            shutil.rmtree(draft.path, ignore_errors=True)


@dataclass
class _Draft:
    """A folder that is being sent: where it is gathered, and how large its files are so far."""

    path: Path
    sizes: dict[str, int] = field(default_factory=dict)


class Carrier:
    """Brings folders of a run to a worker's own, and what the worker leaves there back.

    Args:
        call: Asks whoever serves the table: the name of a method of `Depot`, and what it takes.
        worker: Name of the worker in the table.
        trials_folder: Where folders of trials lie on this machine; nobody else uses it.
    """

    def __init__(self, call: Call, worker: str, trials_folder: Path) -> None:
        self._call, self._worker, self._trials = call, worker, trials_folder
        self._has_shared = False  # what trials share was brought
        self._there: States = {}  # files of it in the folder of the run, as brought or sent last
        self._here: States = {}  # and on this machine

    def bring(self, trial: Trial) -> None:
        """Bring what a trial left when it was put back, and what the one has left that it continues."""
        for trial_id in filter(None, (trial.id, trial.proposal.continues)):
            self._again(partial(self._fetch_anew, f"trials/{name_of(trial_id)}", self._trials / name_of(trial_id)))

    def send(self, trial_id: int) -> bool:
        """Send what a trial has left, which takes the place of what was there before, and what it shares.

        Returns:
            False where it was not taken, as another worker is at the trial by now.
        """
        folder, is_kept = self._trials / name_of(trial_id), True
        if found := _files(folder):
            is_kept = self._again(partial(self._send, f"trials/{name_of(trial_id)}", folder, list(found)))
        if self._has_shared:
            self.send_shared()
        return is_kept

    def remove(self, trial_id: int) -> None:
        """Remove the folder of a trial there."""
        self._call("remove_files", f"trials/{name_of(trial_id)}")

    def bring_shared(self) -> None:
        """Bring what trials of the run share, as far as it is not here."""
        folder = self._trials.parent / SHARED
        self._there = self._again(partial(self._fetch, SHARED, folder, self._there))
        self._here, self._has_shared = _states(folder), True

    def send_shared(self) -> None:
        """Send what has changed of it since it was brought."""
        folder = self._trials.parent / SHARED
        found = _states(folder)
        changed = [name for name, state in found.items() if self._here.get(name) != state]
        if not changed:
            return
        is_kept = self._again(partial(self._send, SHARED, folder, changed))
        if is_kept:
            self._here, self._there = found, self._call("list_files", SHARED)

    def _fetch_anew(self, place: str, folder: Path) -> None:
        """Bring a folder, and nothing of how it was before, also where it changes while it is brought."""
        shutil.rmtree(folder, ignore_errors=True)
        self._fetch(place, folder, {})

    def _fetch(self, place: str, folder: Path, known: States) -> States:
        """Bring all files of a folder but those that are known to be here; returns what there was."""
        listed: States = self._call("list_files", place)
        for name, state in listed.items():
            path = folder / _checked(name)
            if known.get(name) == state and path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = files.draft_of(path)
            try:
                with draft.open("wb") as file:
                    while file.tell() < state[0]:
                        piece = base64.b64decode(self._call("fetch", place, name, state, file.tell()))
                        if not piece:
                            raise StoreError(f"{place}/{name} was cut meanwhile")
                        file.write(piece)
                os.replace(draft, path)
            finally:
                draft.unlink(missing_ok=True)
        return listed

    def _send(self, place: str, folder: Path, names: Sequence[str]) -> bool:
        self._call("begin_files", self._worker, place)
        sizes: dict[str, int] = {}
        for name in names:
            sizes[name] = 0
            with (folder / name).open("rb") as file:
                while (piece := file.read(PIECE)) or not sizes[name]:
                    self._call("send", self._worker, place, name, sizes[name], base64.b64encode(piece).decode())
                    sizes[name] += len(piece)
                    if not piece:
                        break
        return bool(self._call("keep_files", self._worker, place, sizes))

    def _again(self, work: Callable[[], Answer]) -> Answer:
        """Do what may have to be begun anew, as where who serves the table was started again meanwhile."""
        for _ in range(TRIES - 1):
            with suppress(StoreError):
                return work()
        return work()


def sees(folder: Path, call: Call) -> bool:
    """Whether a folder here is that of the run: a file that is written there is seen by whoever serves the table."""
    try:
        place = files.draft_of(folder / "seen")
        text = secrets.token_hex(16)
        try:
            with place.open("x", encoding="utf-8") as file:
                file.write(text)
            return bool(call("has_file", place.name, text))
        finally:
            place.unlink(missing_ok=True)
    except OSError:  # there is no such folder here, or it is not this user's
        return False


def _files(folder: Path) -> dict[str, os.stat_result]:
    """Regular files of a folder by name, by the time of their last change; drafts and links are left out.

    Raises StoreError where there are too many: without some of them, the others may mean something else.
    """
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        with suppress(OSError):  # it has gone meanwhile
            if stat.S_ISREG((state := path.lstat()).st_mode) and not any(part[0] == "." for part in name.split("/")):
                found[name] = state
    _refuse_many(str(folder), len(found))
    return dict(sorted(found.items(), key=lambda each: each[1].st_mtime_ns))


def _states(folder: Path) -> States:
    return {name: [state.st_size, state.st_mtime_ns] for name, state in _files(folder).items()}


def _refuse_many(place: str, number: int) -> None:
    if number > MOST_FILES:
        raise StoreError(
            f"{place} has more than {MOST_FILES:,} files, which is the most that is carried; let its trials leave "
            "fewer, or give all hosts a disk in common"
        )


def _known(place: str) -> str:
    """The place, if it is a folder that may be carried."""
    if not isinstance(place, str) or not PLACE.fullmatch(place):
        raise StoreError(f"{place!r:.100} is no folder that is carried; there are {SHARED} and trials/NUMBER")
    return place


def _checked(name: str) -> str:
    """The name, if it leads to a file within the folder it is looked for in."""
    parts = name.split("/") if isinstance(name, str) else [""]
    is_plain = isinstance(name, str) and name.isprintable() and len(name) <= NAME_CHARACTERS and "\\" not in name
    if not is_plain or any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise StoreError(f"{name!r:.100} is no name of a file within a folder")
    return name


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename a folder over another one; a kill in between leaves none, so that the trial begins anew."""
    old = draft.with_name(draft.name.replace(".new-", ".old-"))  # which `files.sweep` knows
    with suppress(FileNotFoundError):
        os.replace(target, old)
    os.replace(draft, target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Raises StoreError for what the system says of a file."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; check the disk of the run's folder") from None
