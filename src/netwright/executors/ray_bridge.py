"""The process between a search and Ray: connected to the cluster, it keeps actors at work and says how that goes.

It is a process of its own because Ray ends the one that is connected to it where a cluster goes away: the search itself
must only wait then, and have another one made. It speaks in lines of JSON: on its standard input what the search says
("begin" with a Duty, "leave", "end"), on another pipe what it says itself (UP). Actors are detached: they outlive it,
as they do a search that was killed, and the next one takes them up again by their names. Workers whose search does not
come back leave by themselves.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import secrets
import select
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from netwright.core import extras
from netwright.core.errors import NetwrightError
from netwright.executors import lines, ray_outpost
from netwright.executors.ray_actors import Actors, Happening, Loss, worker_of
from netwright.executors.ray_outpost import Errand, News, Outpost

NEED: Final = ("ray", "the executor ray")  # the extra, and what needs it
UP: Final[Mapping[str, Mapping[str, type]]] = {
    "connected": {"host": str},
    "refused": {"text": str},  # no cluster, for now
    "here": {"seat": int, "worker": str, "text": str},
    "lost": {"seat": int, "worker": str, "text": str},
    "left": {"seat": int, "worker": str, "code": int},
    "failed": {"seat": int, "text": str},
    "waiting": {"text": str},
    "back": {},
    "idle": {},
    "alive": {},
}
ALIVE_EVERY: Final = 2.0  # seconds between signs of life
LOOK: Final = 0.2  # seconds that answers are waited for at once
ANSWER: Final = 10.0  # seconds that the head of a cluster has for taking a connection
END_SECONDS: Final = 25.0  # for which actors are waited for at the end
STORE_BYTES: Final = 80 * 2**20  # of a Ray of this run's own, the least there is: nothing is kept there


@dataclass(frozen=True)
class Terms:
    """What the process is told on its command line, as JSON.

    Args:
        address: HOST:PORT of a cluster, "auto", or "": a Ray of its own.
        namespace: Namespace of the actors.
        run: Stands for the run, in the names of its actors.
        workers: Number of actors.
        needs: What each takes, as options of Ray: num_cpus, num_gpus, memory, resources.
        working_dir: Folder that is copied to the nodes; "": none.
        folder: Folder of a Ray of its own, which goes with it.
        logs: Folder of what workers print.
        is_leaving: Whether the workers that are there leave by themselves, and no others are to be made.
    """

    address: str
    namespace: str
    run: str
    workers: int
    needs: Mapping[str, Any] = field(default_factory=dict)
    working_dir: str = ""
    folder: str = ""
    logs: str = ""
    is_leaving: bool = False

    def to_json(self) -> str:
        """As text for a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Terms:
        """Inverse of `to_json`."""
        return Terms(**json.loads(text))


@dataclass(frozen=True)
class Duty:
    """What every worker is to do, as one line of JSON with the word "begin": it holds the token.

    Args:
        arguments: The program, as arguments of Python; its name for the worker follows.
        environment: Variables for it.
        directory: Directory of the search.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str = ""

    @property
    def key(self) -> str:
        """Stands for all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def errand(self, worker: str, seat: str) -> Errand:
        """What one worker does."""
        return Errand(self.key, worker, (*self.arguments, worker), self.environment, seat, self.directory)


class RayCluster:
    """Actors of Ray, as Actors see them. Ray is connected before."""

    def __init__(self, ray: Any, terms: Terms, duty: Duty) -> None:
        self._ray, self._terms, self._duty = ray, terms, duty
        self._outpost = ray.remote(Outpost)

    def names(self) -> list[str]:
        """Names of the actors of this run that are there, or are to be made."""
        return [name for name in self._ray.util.list_named_actors() if name.startswith(f"{self._terms.run}-")]

    def find(self, name: str) -> Any:
        """The actor of a name; None: it has just gone."""
        try:
            return self._ray.get_actor(name)
        except ValueError:
            return None

    def make(self, name: str, index: int) -> Any:
        """Have an actor made, whenever there is room for it."""
        made = self._outpost.options(
            name=name,
            lifetime="detached",
            max_restarts=0,
            max_task_retries=0,
            **self._terms.needs,
        )
        errand = self._duty.errand(worker_of(name, self._terms.run), f"{self._terms.run}-{index}")
        return made.remote(errand, ray_outpost.end_process)

    def ask(self, handle: Any, after: int | None) -> Any:
        """Ask for news."""
        return handle.news.remote(after)

    def end(self, handle: Any, after: int | None) -> Any:
        """Ask an actor to end its worker."""
        return handle.end.remote(after)

    def kill(self, handle: Any) -> None:
        """End an actor, also one that is still to be made."""
        with suppress(self._ray.exceptions.RayError, ValueError):  # it has gone
            self._ray.kill(handle, no_restart=True)

    def answers(self, questions: Sequence[Any], seconds: float) -> dict[Any, News | Loss]:
        """The answers that are there, or come within a time."""
        if not questions:
            time.sleep(seconds)
            return {}
        ready, _ = self._ray.wait(list(questions), num_returns=len(questions), timeout=seconds)
        return {question: self._answer(question) for question in ready}

    def room(self) -> str:
        """What the cluster has, in words."""
        shown = ("CPU", "GPU", *self._terms.needs.get("resources", ()))
        found = self._ray.cluster_resources()
        return ", ".join(f"{name} {found.get(name, 0):g}" for name in shown)

    def _answer(self, question: Any) -> News | Loss:
        errors = self._ray.exceptions
        try:
            return self._ray.get(question)  # type: ignore[no-any-return]
        except errors.ActorUnavailableError as error:
            return Loss(_sentence(error), is_final=False)
        except errors.RuntimeEnvSetupError as error:
            return Loss(_sentence(error), is_own=True)
        except errors.RayActorError as error:
            return Loss(_sentence(error), is_own=error.actor_init_failed)
        except errors.ActorUnschedulableError as error:
            return Loss(_sentence(error), is_own=True)
        except errors.RayError as error:
            return Loss(_sentence(error))


def connect(terms: Terms) -> Any:
    """Ray, connected, or started for this process alone. Raises NetwrightError where there is none."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # of what is started here, nothing is sent anywhere
    if not terms.address:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # by which it is at 127.0.0.1 and listens to nobody else
        os.environ |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }  # else it writes one to ~/.ray
    if terms.address not in ("", "auto"):
        host, _, port = terms.address.rpartition(":")
        try:  # as Ray tries for minutes
            socket.create_connection((host, int(port)), ANSWER).close()
        except OSError as error:
            raise NetwrightError(f"nothing listens there ({error.strerror or error})") from None
    ray = extras.load("ray", *NEED)
    given: dict[str, Any] = {"namespace": terms.namespace, "log_to_driver": False, "logging_level": logging.ERROR}
    if terms.working_dir:
        given["runtime_env"] = {"working_dir": terms.working_dir}
    if terms.address:
        given["address"] = terms.address
        host = terms.address.rpartition(":")[0]
        if host.startswith("127."):  # where Ray would look for the machine's own address, under which nothing is
            given["_node_ip_address"] = host
    else:
        cpus = terms.workers * terms.needs.get("num_cpus", 1)
        given |= {"address": "local", "include_dashboard": False, "object_store_memory": STORE_BYTES}
        given |= {"num_cpus": max(1, math.ceil(cpus)), "_temp_dir": terms.folder}
        named = terms.needs.get("resources", {})
        given["resources"] = {name: terms.workers * number for name, number in named.items()}
    try:
        ray.init(**given)
    except Exception as error:  # Ray raises many kinds, plain ones among them
        if type(error).__name__ == "AuthenticationError":
            raise NetwrightError(
                "the cluster asks for its token; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file with the "
                "token where that is not ~/.ray/auth_token"
            ) from error
        raise NetwrightError(_sentence(error)) from error
    return ray


class Bridge:
    """Between the search and a cluster that is connected."""

    def __init__(self, terms: Terms, ray: Any, up: int) -> None:
        self._terms, self._ray, self._up = terms, ray, up
        self._rest = b""
        self._said = 0.0

    def say(self, word: str, **values: str | int) -> None:
        """One message to the search; a search that is gone is noticed elsewhere."""
        with suppress(OSError):
            os.write(self._up, lines.encode(word, **values))

    def work(self) -> None:
        """Keep actors at work until the search says that all is over, or is gone."""
        host = self._ray.util.get_node_ip_address()
        self.say("connected", host=str(host))
        duty = self._begun()
        if duty is None:
            return
        cluster = RayCluster(self._ray, self._terms, duty)
        actors = Actors(cluster, self._terms.workers, self._terms.run, duty.key, self._print)
        actors.adopt()
        if self._terms.is_leaving:
            actors.leave()
        was_idle = False
        while True:
            said = self._heard(0.0)
            if said is None:  # the search was killed: what stays works on for the next one, until its patience ends
                if not self._terms.address:
                    actors.end(END_SECONDS)
                return
            for order in (message["say"] for message in said):
                if order == "end":
                    if silent := actors.end(END_SECONDS):
                        print(f"netwright: these actors did not answer: {', '.join(silent)}", file=sys.stderr)
                    return
                actors.leave()
            for event in actors.step(LOOK):
                self._pass_on(event, cluster)
            if actors.is_idle() and not was_idle:
                was_idle = True
                self.say("idle")
            if time.monotonic() - self._said >= ALIVE_EVERY:
                self._said = time.monotonic()
                self.say("alive")

    def _pass_on(self, event: Happening, cluster: RayCluster) -> None:
        print(f"{time.strftime('%H:%M:%S')} {_said(event)}", flush=True)
        if event.say == "waiting":
            self.say("waiting", text=cluster.room())
        elif event.say == "back":
            self.say("back")
        else:
            self.say(event.say, seat=event.seat, worker=event.worker, text=event.text, code=event.code)

    def _print(self, seat: int, printed: bytes) -> None:
        with (Path(self._terms.logs) / f"w{seat}.log").open("ab") as log:
            log.write(printed)

    def _begun(self) -> Duty | None:
        """What is to be done, once it is said; None: the search is gone, or over."""
        while (said := self._heard(ALIVE_EVERY)) is not None:
            for message in said:
                if message["say"] == "begin":
                    return Duty(**message["duty"])
                if message["say"] == "end":
                    return None
            self.say("alive")
        return None

    def _heard(self, seconds: float) -> list[dict[str, Any]] | None:
        """What the search says within a time; None: it is gone."""
        if not select.select([0], [], [], seconds)[0]:
            return []
        piece = os.read(0, 65536)
        if not piece:
            return None
        *whole, self._rest = (self._rest + piece).split(b"\n")
        return [json.loads(line) for line in whole]


def _said(event: Happening) -> str:
    """An event as a line of the log."""
    if event.say == "here":
        return f"{event.worker} is on {event.text}"
    if event.say == "left":
        return f"{event.worker} has left, exit code {event.code}"
    return f"{event.worker} {event.say}: {event.text}" if event.worker else event.say


def _sentence(error: BaseException) -> str:
    """What Ray says, without names of classes and ids: its last lines as one."""
    found = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("\t")]
    return lines.shown(" ".join(found[-2:])) or type(error).__name__


def main() -> None:
    """Entry point of the process; its second argument is the number of the pipe to the search."""
    terms, up = Terms.from_json(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(up, False)
    ray = None
    try:
        ray = connect(terms)
        Bridge(terms, ray, up).work()
    except NetwrightError as error:
        print(f"netwright: {error}", file=sys.stderr, flush=True)
        with suppress(OSError):
            os.write(up, lines.encode("refused", text=str(error)))
        sys.exit(1)
    finally:
        if ray is not None:
            ray.shutdown()
        if terms.folder:
            shutil.rmtree(terms.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
