"""Malformed input of every kind: valid input changed in odd ways, and the bounds within which each must be answered.

`make fuzz` gives 100,000 of them to functions and 500 to the command; `make test` a hundredth of that. Each must be
taken or refused with one sentence: no other exception, no hang, no more than the memory stated here.
"""

import io
import json
import math
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.cli.main import BAD_INPUT, TRACEBACK, main
from netwright.core.errors import NetwrightError

INPUTS = int(os.environ.get("NETWRIGHT_FUZZ", "1000"))  # inputs to functions
COMMANDS = INPUTS // 200  # inputs to the command
PART = 500  # inputs to a function that one test gives: more of them are shared out among tests, and so among processes
CPU_SECONDS = 10  # of one input
WALL_SECONDS = 300  # of one input: only what waits for nothing takes so long, on however busy a machine
BYTES = 2 * 2**30  # that one input may take beside what the process has

ODD_NUMBERS = (0, 1, -1, 2, 127, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, 10**400)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, "", " ", "\x00", "a\nb", "é" * 3, "\udcff", "x" * 5000, "9" * 5000, "../../x"),
    *("/dev/zero", "os:system"),
    *(0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf, [], {}, [[]], [None], {"": None}, [0] * 3000),
    *ODD_NUMBERS,
)


class Hang(BaseException):
    """An input took too long."""


@dataclass(frozen=True)
class Target:
    """One function that takes input from outside.

    Args:
        name: For people.
        share: How many of 1,000 inputs it is given.
        inputs: The inputs.
        take: Takes one, with an empty folder; returns, or raises NetwrightError.
    """

    name: str
    share: int
    inputs: st.SearchStrategy
    take: Callable[[Any, Path], object]


@dataclass
class Tally:
    """What became of the inputs of a target."""

    inputs: int = 0
    refused: int = 0
    slowest: float = 0.0


def parts(targets: Sequence[Target], total: int, most: int) -> list[tuple[Target, int]]:
    """Targets with how many of `total` inputs they get, in parts of `most`."""
    found = []
    for target in targets:
        count = max(1, total * target.share // 1000)
        sizes = [most] * (count // most) + [count % most] * bool(count % most)
        found += [(target, size) for size in sizes]
    return found


def play(target: Target, folder: Path, count: int) -> Tally:
    """Give a target so many inputs. Raises AssertionError for one answered otherwise."""
    tally, places = Tally(), iter(range(10**9))

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=INPUTS <= 1000,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(target.inputs)
    def one(value: Any) -> None:
        place = folder / str(next(places))
        place.mkdir()
        begun = time.process_time()
        try:
            with within_bounds():
                target.take(value, place)
        except NetwrightError as error:
            tally.refused += 1
            said = str(error)
        else:
            said = "taken"
        finally:
            tally.inputs += 1
            tally.slowest = max(tally.slowest, time.process_time() - begun)
            remove(place)
        assert is_sentence(said), f"no sentence: {said!r}"

    one()
    return tally


@contextmanager
def within_bounds() -> Iterator[None]:
    """Bounds on seconds and memory; raises Hang, and lets allocations beyond fail with MemoryError."""

    def stop(number: int, _frame: Any) -> None:
        raise Hang(f"more than {CPU_SECONDS if number == signal.SIGPROF else WALL_SECONDS} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    old = [(number, signal.signal(number, stop)) for number in (signal.SIGPROF, signal.SIGALRM)]
    resource.setrlimit(resource.RLIMIT_DATA, (psutil.Process().memory_info().data + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        for number, handler in old:
            signal.signal(number, handler)


def told(*words: str) -> str:
    """What a command prints that runs in this process. Raises NetwrightError where it refuses, and what it meets."""
    out, err = io.StringIO(), io.StringIO()
    os.environ[TRACEBACK] = "1"  # a fault of netwright's own is raised as it is
    path = [*sys.path]
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(list(words))
    except SystemExit as end:
        code = end.code
    finally:
        del os.environ[TRACEBACK]
        sys.path[:] = path
    ended(code, err.getvalue())
    return out.getvalue()


def ended(code: object, said: str) -> None:
    """Raise NetwrightError for a command that refused its input, AssertionError for one that ended otherwise."""
    assert code in (None, 0, 1, BAD_INPUT), f"exit code {code}: {said[-2000:]}"
    assert "Traceback" not in said, said[-2000:]
    assert "memory ran out" not in said, said[-2000:]
    if code == BAD_INPUT:
        lines = said.strip().splitlines()
        raise NetwrightError(lines[-1] if lines else "help was printed")


def refusal(take: Callable[[], object]) -> str:
    """What a function says where it refuses; "" where it does not."""
    try:
        take()
    except NetwrightError as error:
        return str(error)
    return ""


def is_sentence(text: str) -> bool:
    """Whether a message is one line that a person can read."""
    return bool(text.strip()) and "\n" not in text and "Traceback" not in text and len(text) <= 2000


def remove(folder: Path) -> None:
    """Remove a folder and what is in it; several times as fast as shutil for folders of few files."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            remove(Path(entry.path))
        else:
            os.unlink(entry.path)
    folder.rmdir()


# Inputs


@st.composite
def changed(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Bytes with one to four changes: bits flipped, pieces cut, repeated, overwritten, numbers put in."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 6)):
            case 0 | 1:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 2:
                data[place] = draw(st.sampled_from((0, 10, 34, 44, 45, 91, 123, 127, 255)))
            case 3:
                del data[place:]
            case 4:
                del data[place : place + draw(st.integers(1, 64))]
            case 5:
                data[place:place] = bytes(data[place : place + draw(st.integers(1, 64))]) * draw(
                    st.sampled_from((1, 2, 50))
                )
            case 6:
                number = draw(st.sampled_from((0, 1, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1)))
                data[place : place + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", number)
    return bytes(data)


@st.composite
def changed_tree(draw: st.DrawFn, originals: st.SearchStrategy[Any]) -> Any:
    """A tree of JSON with one to three values replaced, left out, repeated or wrapped."""
    tree = json.loads(json.dumps(draw(originals)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            return deepcopy(draw(st.sampled_from(ODD_VALUES)))
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.integers(0, 5)):
            case 0 | 1 | 2:
                holder[key] = deepcopy(draw(st.sampled_from(ODD_VALUES)))  # which are changed in turn
            case 3:
                del holder[key]
            case 4:
                holder[key] = _nested(holder[key], draw(st.sampled_from((1, 3, 90))))
            case 5:
                if isinstance(holder, list):
                    holder.insert(key, holder[key])
                else:
                    holder[draw(st.sampled_from(("", "ref", "with", "é", "x" * 300)))] = holder[key]
    return tree


def deep(opening: str, closing: str = "", text: str = "") -> st.SearchStrategy[str]:
    """Text nested from a few to 100,000 times."""
    return st.sampled_from((3, 100, 1000, 100_000)).map(lambda n: text + opening * n + closing * n)


def as_json(value: Any) -> str:
    """JSON, also of what JSON has not."""
    return json.dumps(value, allow_nan=True)


def as_toml(value: Any) -> str:
    """TOML of a tree, also of what TOML has not, such as None: whatever is written then is input too."""
    if not isinstance(value, Mapping):
        return _inline(value)
    return "".join(f"{json.dumps(str(key))} = {_inline(item)}\n" for key, item in value.items())


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)


def _nested(value: Any, times: int) -> Any:
    for _ in range(times):
        value = [value]
    return value


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree: what holds it, and its key there."""
    waiting = [tree]
    while waiting:
        holder = waiting.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, value in list(pairs)[:200]:
            yield holder, key
            if isinstance(value, dict | list):
                waiting.append(value)


kept = cache  # of what is costly to make, such as valid files: made once for all tests of a process
