"""What the parent of a worker process is told, how it ends, and what worker and parent say to each other.

They speak over two pipes, in lines of JSON (`lines`). Down: "drain", upon which the worker leaves after the trial it is
at; "stop", upon which it has that trial write down where it stands, puts it back and leaves, in a stated time; and the
end of the pipe, at which it kills what it started and itself. Up: "ready", "start", "making", "report", "end" and
"leave".

From "making" to the next "start" the worker makes something that other trials need too (`MakesReady`): that time is no
part of the trial, whose limit begins with "start"; only silence is limited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from netwright.core.protocols import STOP_SECONDS

CANNOT_START: Final = 3  # exit code: the worker died again and again before its first sign of life
ENOUGH: Final = 4  # exit code: it has done what it was to do, or its time is over; the search may go on
OUT_OF_REACH: Final = 5  # exit code: who serves the table has not answered for as long as it was to be waited for
NO_ROOM: Final = 6  # exit code: no space is left where its trials write
DOWN: Final[Mapping[str, Mapping[str, type]]] = {"drain": {}, "stop": {}}
UP: Final[Mapping[str, Mapping[str, type]]] = {
    "ready": {},
    "start": {"trial": int, "log": int},
    "making": {},
    "report": {"text": str},
    "end": {"done": int},
    "leave": {"code": int},
}


@dataclass(frozen=True)
class Post:
    """What a worker is told on its command line, as JSON; the rest it finds in the table.

    Args:
        address: Address of the store.
        folder: Folder of the run.
        name: The worker's name in the table; no two processes may have the same.
        index: Number of the worker among those of this machine, from 0.
        threads: Threads per trial.
        keep: Whether to leave the folders of finished trials.
        trial_seconds: Wall-clock limit of a trial, in seconds; 0: none.
        silent_seconds: Longest time without a report, in seconds; 0: no limit.
        stop_seconds: Time in which a trial that is to stop must have written down where it stands, in seconds.
        controller: Owner of the claim whose end ends the worker, as JSON; "": the end of the standard input does.
        log: Path of the file that the worker prints to; "": a terminal.
        served: Whether the table is a served one, whose orders the worker follows in place of a pipe or a claim.
        leashed: Whether the end of the standard input ends the worker also where it is a served table's.
        trials: How many trials the worker is to do before it leaves; 0: no limit.
        until: When it is told to stop, in seconds of this machine's monotonic clock; 0: never. It claims nothing that
            cannot end by then, going by the median of what was measured so far.
        carries: Whether folders of trials are carried through the served table, as `folder` is none of the run's.
        task: Options of the run's task that are others on this machine, such as where its data lies.
    """

    address: str
    folder: str
    name: str
    index: int = 0
    threads: int = 1
    keep: bool = False
    trial_seconds: float = 0.0
    silent_seconds: float = 0.0
    stop_seconds: float = STOP_SECONDS
    controller: str = ""
    log: str = ""
    served: bool = False
    leashed: bool = False
    trials: int = 0
    until: float = 0.0
    carries: bool = False
    task: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The post as text for a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Post:
        """Inverse of `to_json`."""
        return Post(**json.loads(text))

    @property
    def mark(self) -> str:
        """What stands in the environment of whatever the worker starts."""
        return f"{self.address}|{self.name}|"
