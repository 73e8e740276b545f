"""What a process that plays cells does: orders come in on standard input, courses go out on standard output, as JSON.

The first line says what there is to play, and the process answers "ready". Then each line orders a group of cells, and
each cell is answered by a line: its course, or why there is none. When the input ends, the process that started this
one is gone, and this one ends at once, however busy. What strategies print goes to the log.

Each process uses one thread, so that neither times nor sums depend on how many processes play beside it; `pool` tells
the libraries through the environment, before any of them is imported.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

from netwright.comparison.courses import SearchCell
from netwright.core.errors import NetwrightError, Terminated

FAULT_CHARACTERS = 500


class Plays(Protocol):
    """Plays cells of what it was told of when it was made."""

    def lines(self, order: dict[str, Any]) -> Iterator[str]:
        """An answer for each of the `seeds` of one `strategy` on one `problem`."""


def answers(order: dict[str, Any], played: Callable[[SearchCell], str]) -> Iterator[str]:
    """What `played` says of each cell of an order, or what went wrong with it."""
    for seed in order["seeds"]:
        try:
            yield played(SearchCell(order["strategy"], order["problem"], seed))
        except Terminated:
            raise
        # a strategy may be the user's own program, and its fault ends one cell alone
        except (Exception, SystemExit) as error:
            yield json.dumps({"fault": _sentence(error)})


def main(make: Callable[[dict[str, Any]], Plays]) -> None:
    """Plays until the input ends; `make` is given the first order."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    player = make(json.loads(orders.get()))
    _say(answers, "ready")
    while True:
        for line in player.lines(json.loads(orders.get())):
            _say(answers, line)


def _listen(orders: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    if os.getpgrp() == os.getpid():  # the group is its own: whatever a strategy has started goes too
        os.killpg(0, signal.SIGKILL)
    os._exit(0)  # at once, in the middle of a cell


def _say(answers: TextIO, line: str) -> None:
    answers.write(line + "\n")
    answers.flush()


def _sentence(error: BaseException) -> str:
    """What went wrong, in one line, and the innermost place where; an error written for the user needs no place."""
    if isinstance(error, NetwrightError):
        return " ".join(str(error).split())[:FAULT_CHARACTERS]
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    text = " ".join(str(error).split())[:FAULT_CHARACTERS]
    return f"{type(error).__name__}: {text} ({place})" if text else f"{type(error).__name__} ({place})"
