"""The command `netwright`: whatever goes wrong is one sentence, from the first moment on.

This module imports next to nothing before signals are in hand: the commands (`app`) take a second to import, torch
several, and Ctrl-C meanwhile is no fault to be shown with a traceback. All faults end here: a user's as the sentence
that they carry and exit code 2, any other as a sentence and exit code 70, with the traceback in a file.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

BAD_INPUT, OWN_FAULT, INTERRUPTED, TERMINATED = 2, 70, 130, 143  # exit codes; 70 is EX_SOFTWARE of sysexits(3)
TRACEBACK: Final = "NETWRIGHT_TRACEBACK"  # environment variable: a fault of netwright's own is raised as it is
STOPPED: Final = "stopped; the same command goes on"
UNWRITABLE: Final = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
)


def main(arguments: list[str] | None = None) -> Any:
    """Run a command, given as words, by default those of this process; leaves with its exit code."""
    with _signals(is_program=arguments is None) as received:
        try:
            return _run(arguments)
        except SystemExit as end:
            # what a signal broke is no fault, and of what typer ends so (by `raise ... from`) nobody has said a word
            is_silent = isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt)
            if received and (is_silent or end.code not in (0, INTERRUPTED, TERMINATED)):
                _leave(received[0])
            raise
        except BrokenPipeError:
            sys.stderr.close()  # the reader has left, as in `netwright list spaces | head`
            sys.exit(0)
        except BaseException as error:  # the outer net: no traceback shows
            if received or isinstance(error, KeyboardInterrupt):
                _leave(received[0] if received else signal.SIGINT)
            code, sentence = _told(error)
            if code == OWN_FAULT and os.environ.get(TRACEBACK):
                raise
            _say(sentence)
            sys.exit(code)


def _run(arguments: list[str] | None) -> Any:
    begun = time.monotonic()
    from netwright.cli import app

    return app.run(arguments, begun)


@contextmanager
def _signals(is_program: bool) -> Iterator[list[int]]:
    """Takes note of Ctrl-C and SIGTERM, in the order of the list that it gives.

    In an import, where nothing is begun that must be ended in order, they end the process at once: many libraries would
    turn the interruption into an error of theirs, or print it. Elsewhere they unwind what was begun.

    Args:
        is_program: Whether the process ends afterwards: then Ctrl-C ends it at once, also while it is tidied up.
    """
    received: list[int] = []

    def end(number: int, _frame: FrameType | None = None) -> None:
        _say(_words(number))
        os._exit(_code(number))

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if _is_importing(frame):
            end(number)
        if number == signal.SIGTERM:
            from netwright.core.errors import Terminated

            raise Terminated(TERMINATED)
        raise KeyboardInterrupt

    def unraisable(fault: Any) -> None:
        if issubclass(fault.exc_type, KeyboardInterrupt):  # it came in a finalizer, and would be printed and forgotten
            end(signal.SIGINT)
        sys.__unraisablehook__(fault)

    try:
        old = [(number, signal.signal(number, handle)) for number in (signal.SIGINT, signal.SIGTERM)]
    except ValueError:  # in a thread, which gets no signals
        yield received
        return
    try:
        sys.unraisablehook = unraisable
        yield received
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        for number, handler in old:
            with suppress(TypeError):  # None: it was not set from Python
                signal.signal(number, end if is_program else handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _code(number: int) -> int:
    return INTERRUPTED if number == signal.SIGINT else TERMINATED


def _words(number: int) -> str:
    return STOPPED if number == signal.SIGINT else f"ended by SIGTERM; {STOPPED.partition('; ')[2]}"


def _leave(number: int) -> None:
    _say(_words(number))
    sys.exit(_code(number))


def _say(text: str) -> None:
    """One line on standard error, whatever is in the text and whoever still reads it."""
    line = f"netwright: {text}\n".encode(errors="backslashreplace")
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        os.write(sys.stderr.fileno(), line)
    except (OSError, ValueError, AttributeError):  # replaced by something that is no file, as tests do
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(line.decode())


def _told(error: BaseException) -> tuple[int, str]:
    """Exit code and sentence for an error."""
    from pathlib import Path

    from netwright.core import disk
    from netwright.core.errors import NetwrightError

    if isinstance(error, NetwrightError):
        return BAD_INPUT, str(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        where = error.filename or "a file"
        why = disk.reason(error, Path(os.fsdecode(error.filename or ".")))
        return BAD_INPUT, f"{where} cannot be written: {why}; remedy that, or give another folder with --out"
    if isinstance(error, UnicodeEncodeError) and any("\udc80" <= c <= "\udcff" for c in error.object):
        return BAD_INPUT, "a word of the command is no text of this system's encoding; rename what it names"
    if isinstance(error, RecursionError):
        return BAD_INPUT, "what was given is nested too deeply; give lists and references with fewer levels"
    if isinstance(error, MemoryError):
        return BAD_INPUT, "memory ran out; give smaller sizes or fewer workers, or close other programs"
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return BAD_INPUT, "what was given holds a number of thousands of digits; give a smaller one"
    kind = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")
    return OWN_FAULT, f"met a fault of its own, {kind}; {_written(error)}"


def _written(error: BaseException) -> str:
    """Where the traceback of an error was written, or how to see it."""
    import platform
    import tempfile
    import traceback
    from pathlib import Path

    from netwright import __version__

    try:
        handle, path = tempfile.mkstemp(prefix="netwright-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            words = " ".join(map(repr, sys.argv))
            file.write(f"netwright {__version__}, Python {platform.python_version()}, {platform.platform()}\n{words}\n")
            traceback.print_exception(error, file=file)
    except (OSError, RecursionError, MemoryError):
        return f"set {TRACEBACK}=1 and repeat the command to see where"
    return f"please report it with what stands in {Path(path)}"


if __name__ == "__main__":
    main()
