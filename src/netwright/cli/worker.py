"""`netwright worker`: lend this terminal to a search that runs in another one, on this machine or another."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import typer

from netwright.cli import options
from netwright.cli.signals import INTERRUPTED, TERMINATED
from netwright.core import files, refs, remembered, run_file
from netwright.core.errors import BadRunFile, OutOfReach, StoreError, WorkerError
from netwright.core.protocols import STOP_SECONDS, Store
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.trust import Trust
from netwright.executors import carrying, descendants, here, orders, stop_signals, supervisor
from netwright.executors.post import CANNOT_START, ENOUGH, NO_ROOM, OUT_OF_REACH, Post
from netwright.executors.table_service import PRESENT_FOR
from netwright.runs import ownership, run_folder
from netwright.stores import served_file
from netwright.stores.wire import Endpoint

ASKED = 128 + signal.SIGUSR1  # exit code after SIGUSR1, by which schedulers announce the end
MARGIN = 10.0  # seconds for which a worker waits longer than its parent, which decides
PRINTED = "/proc/self/fd/1"  # what a process prints to, as a path, also where the file has no name
NAME = 60  # characters of what a worker's name begins with
SAID = {
    0: "the search has ended or was stopped",
    ENOUGH: "left: what it was to do is done, or its time is over; the search goes on",
    CANNOT_START: "the worker cannot start; its error stands above",
    NO_ROOM: "left: no space is left where its trials write, as is said above; they are put back",
    OUT_OF_REACH: "left: nobody serves the table any more",
}


def worker(
    context: typer.Context,
    at: str = typer.Argument(
        ..., metavar="RUN", help="Folder of a run that is being searched, or tcp://HOST:PORT, where it is served."
    ),
    token_file: Path = typer.Option(
        None, help="File with the token of a served run, as its served.json.", show_default="that of the folder"
    ),
    index: int = typer.Option(0, min=0, help="Picks the GPU where there are several."),
    trials: int = typer.Option(None, min=1, help="Leave after so many trials.", show_default="no limit"),
    until: float = typer.Option(
        None, min=0, help="Seconds within which to leave; begins no trial that takes longer.", show_default="no limit"
    ),
    patience: float = typer.Option(60.0, min=0, help="Seconds for which a server that does not answer is waited for."),
    name: str = typer.Option(None, help="What its name in the table begins with.", show_default="the host's"),
    leashed: bool = typer.Option(
        False, "--leashed", help="Leave when the standard input ends: with whoever holds its other end, as ssh."
    ),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
) -> None:
    """Evaluate trials of a running search until it ends, or until Ctrl-C, SIGTERM or SIGUSR1, which put the trial back.

    It then goes on from where it stood, wherever it is taken up; Ctrl-C again leaves at once and loses that. Of a
    served run (`netwright serve`), --task.path says where its data lies on this host. Exit codes: 0 the search has
    ended or was stopped; 2 refused; 3 the worker cannot start; 4 its trials are done or its time is over; 5 nobody has
    answered for --patience seconds; 6 no space is left where it writes; 130, 143 and 138 after Ctrl-C, SIGTERM and
    SIGUSR1.
    """
    begun = time.monotonic()
    changes = options.tables(context.obj.pairs, ("task",)).get("task", {})
    place = None if at.startswith("tcp://") else Path(at)
    if token_file is not None and not token_file.exists():
        raise StoreError(f"there is no file {token_file}; give a copy of the served.json of the run's folder")
    if place is not None and token_file is None and (place / served_file.NAME).exists():
        token_file = place / served_file.NAME
    if place is not None and token_file is None:
        own = _name(name or "joined")
        joined = _of_this_machine(place, own, Trust(trust), changes)
    else:
        own = _name(name or re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:NAME] or "host")
        joined = _served(at, place, token_file, own, patience, Trust(trust), changes)
    with joined as (store, post, said):
        post = replace(post, index=index, trials=trials or 0, leashed=leashed, log=_log())
        if until is not None:  # what is still at work is written down before
            post = replace(post, until=begun + until - min(post.stop_seconds, until / 2))
        typer.echo(f"{post.name} works for {said}; Ctrl-C leaves it")
        code = _supervised(store, post)
    if code in SAID:
        typer.echo(f"netwright: {SAID[code]}", err=code in (CANNOT_START, NO_ROOM))
    raise typer.Exit(code)


def _supervised(store: Store, post: Post) -> int:
    """Work until there is nothing left to do; returns the exit code."""
    signals: stop_signals.StopSignal | None = None
    try:
        descendants.end_abandoned()
        with stop_signals.noting(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) as signals:
            code = supervisor.supervise(store, post, signals)
    except KeyboardInterrupt:
        store.put_back(post.name)
        typer.echo("left; the trial it was at is put back")
        return INTERRUPTED
    if signals.number:
        typer.echo("left; the trial it was at is put back, with where it stands")
        return {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}.get(signal.Signals(signals.number), ASKED)
    return code


@contextmanager
def _of_this_machine(
    folder: Path, own: str, trust: Trust, changes: dict[str, object]
) -> Iterator[tuple[Store, Post, str]]:
    """The table of a run that is searched on this machine, what to do there, and for whom."""
    if changes:
        raise BadRunFile(
            f"--task.{next(iter(changes))} goes with a served run alone; {folder} is searched on this host"
        )
    controller = ownership.controller(folder)
    store = run_folder.open_table(folder, "join")
    try:
        run = run_folder.stored_run(store, folder, trust)
        _take_place(store, own, run.workers or 1)
        post = replace(
            _post(run, own), address=store.address, folder=str(folder.absolute()), controller=controller.to_json()
        )
        yield store, post, f"the search of {controller}"
    finally:
        store.close()


@contextmanager
def _served(
    at: str,
    place: Path | None,
    token_file: Path | None,
    own: str,
    patience: float,
    trust: Trust,
    changes: dict[str, object],
) -> Iterator[tuple[Store, Post, str]]:
    """The table of a served run, what to do there, and for whom; folders of this host are removed at the end."""
    given: dict[str, object] = {"at": "" if place else at, "token_file": str(token_file or ""), "patience": patience}
    try:
        store: Store = refs.load("store", Reference("remote", given))
    except OutOfReach as error:
        found = served_file.read(token_file) if token_file and not at.startswith("tcp://") else None
        hint = "; it is served on its own host alone, unless that is given --host"
        is_local = found is not None and Endpoint.of(found.address).is_loopback
        typer.echo(f"netwright: {error}{hint if is_local else ''}", err=True)
        raise typer.Exit(OUT_OF_REACH) from None
    scratch: Path | None = None
    try:
        text = store.recall("run")
        if text is None:
            raise StoreError(f"the table at {at} holds no run file; start its search anew")
        run = run_file.from_toml(text)
        trust.check(run_file.references(run), f"the run file that {at} serves")
        _take_place(store, own, 0)
        if changes:
            here.with_data(run, changes)
        ask = orders.server_of(store).call
        folder = place or Path(ask("folder"))
        if not carrying.sees(folder, ask):
            folder = scratch = files.draft_of(Path(tempfile.gettempdir()) / "netwright-worker")
            scratch.mkdir(mode=0o700)
        child = refs.parse(store.address)
        child = Reference(child.name, {**child.options, "patience": patience + STOP_SECONDS + MARGIN})
        post = replace(
            _post(run, own),
            address=str(child),
            folder=str(folder.absolute()),
            served=True,
            carries=scratch is not None,
            task=changes,
        )
        yield store, post, f"the search at {at}" + (", whose folder is not seen from here" if scratch else "")
    finally:
        store.close()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _post(run: RunFile, name: str) -> Post:
    """What a run says of how its trials are evaluated, for a worker of that name."""
    given = run.executor.options
    return Post(
        address="",
        folder="",
        name=name,
        threads=run.threads_per_trial or 1,
        keep=run.keep == "all",
        trial_seconds=60 * given.get("trial_minutes", 0.0),
        silent_seconds=60 * given.get("silent_minutes", 30.0),
        stop_seconds=given.get("stop_seconds", STOP_SECONDS),
    )


def _log() -> str:
    """The file that this process prints to, from which a row tells what its worker printed last; "": there is none."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.fstat(sys.__stdout__.fileno()).st_mode) and os.path.exists(PRINTED):  # type: ignore[union-attr]
            return PRINTED
    return ""


def _name(begins: str) -> str:
    """A name that no other worker has, on whatever host. Raises WorkerError where it cannot begin so."""
    if not re.fullmatch(rf"[A-Za-z0-9._-]{{1,{NAME}}}", begins):
        raise WorkerError(
            f"--name is {begins!r}; it must be up to {NAME} letters, digits, dots, dashes and underscores"
        )
    return f"{begins}-{os.getpid()}-{secrets.token_hex(2)}"


def _take_place(store: Store, name: str, expected: int) -> None:
    """Join, with a first sign of life, where the evaluator of the search limits how many workers it has.

    Of workers that join at the same time each but one looks again, and then sees those that were sooner.

    Args:
        store: The table.
        name: The worker's name.
        expected: How many workers the search itself has, or is about to start.

    Raises:
        WorkerError: It has all that its evaluator allows.
    """
    most = remembered.number(store, remembered.MAX_WORKERS)
    while most is not None:
        before = store.recall(remembered.JOINED)
        # one that has just left, or died, on another host is listed for a minute, and must not keep out who replaces it
        others = sum(each.silent_seconds < PRESENT_FOR and each.name != name for each in store.workers())
        if (there := max(expected, others)) >= most:
            raise WorkerError(
                f"the search has {there} worker{'s' if there > 1 else ''}, and its evaluator, whose trials share what "
                f"they are measured with, allows no more than {most:.0f}; let it work alone"
            )
        store.beat(name, "starting")
        if store.exchange(remembered.JOINED, before, name):
            return
