"""Rows of the SQLite table: how a trial is written, its checksums, and the one reader that believes nothing.

A row has two parts, each with a checksum beside it: what was asked, written once, and what came of it, written when the
trial finishes. The sums hold the row's number and its place among the finished ones as well, by way of a multiple that
SQL adds, since only the table knows these when it writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from math import isfinite, nan
from typing import Any, get_args

from netwright.core.files import checksum
from netwright.core.records import Failure, Proposal, Result, Trial

MIX = 2654435761  # times a number of a row, added to a checksum: no two numbers within reach give close sums
MOST_CHARACTERS = 100_000_000  # of one cell; a curve of a million points has a third of that

ASKED = ("genotype", "parents", "budget", "continues", "notes", "key", "seed")
CAME = ("status", "finish", "metrics", "curve", "seconds", "failure", "message", "reused")
COLUMNS = ("id", *ASKED, *CAME, "asked_sum", "result_sum")

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBERS = frozenset((int, float, bool))
_WHOLE = frozenset((int,))
_NOTES = frozenset((int, float, bool, str, type(None)))
_FAILURES = frozenset(get_args(Failure))


class DamagedRow(Exception):
    """A row that is not what was written; `in_asked`: its asked part is not, else only what came of it."""

    def __init__(self, reason: str, *, in_asked: bool) -> None:
        super().__init__(reason)
        self.in_asked = in_asked


def asked_row(proposal: Proposal, key: str, seed: int) -> tuple[Any, ...]:
    """The cells of ASKED and their checksum, less that of the row's number."""
    row = (
        dump(proposal.genotype),
        dump(proposal.parents) if proposal.parents else "[]",
        _plain(proposal.budget),
        _plain(proposal.continues),
        dump(dict(proposal.notes)) if proposal.notes else "{}",
        key,
        _plain(seed),
    )
    return (*row, asked_sum(*row))


def result_row(trial_id: int, result: Result) -> tuple[Any, ...]:
    """The cells of CAME without `finish`, and their checksum, less that of the place among the finished rows."""
    row = (
        "failed" if result.failure else "done",
        dump(dict(result.metrics)),
        dump(result.curve) if result.curve else "[]",
        float(result.seconds) + 0.0 if isfinite(result.seconds) else 0.0,  # SQLite has neither NaN nor a negative zero
        result.failure,
        result.message,
        _plain(result.reused),
    )
    return (*row, result_sum(trial_id, *row))


def cells(trial: Trial) -> tuple[Any, ...]:
    """The cells of COLUMNS of a trial, as the table would have them: `read` gives the trial back."""
    *asked, sum_asked = asked_row(trial.proposal, trial.key, trial.seed)
    if trial.result is None or trial.finish is None:
        return (trial.id, *asked, trial.status, *[None] * 7, sum_asked + MIX * trial.id, None)
    status, *came, sum_came = result_row(trial.id, trial.result)
    return (trial.id, *asked, status, trial.finish, *came, sum_asked + MIX * trial.id, sum_came + MIX * trial.finish)


def asked_of(row: tuple[Any, ...]) -> tuple[Proposal, str, int]:
    """The proposal, key and seed of what `asked_row` gave. Raises DamagedRow for anything else."""
    trial = read((0, *row[:-1], "pending", *[None] * 7, row[-1], None))
    return trial.proposal, trial.key, trial.seed


def result_of(trial_id: int, row: tuple[Any, ...]) -> Result:
    """The result of what `result_row` gave. Raises DamagedRow for anything else."""
    status, *came, known = row
    try:
        is_whole = known == result_sum(trial_id, status, *came)
    except (ValueError, TypeError):
        is_whole = False
    if not is_whole:
        raise DamagedRow("the result has another checksum than when it was sent", in_asked=False)
    return _believed(_result, status, 1, *came, in_asked=False)  # type: ignore[no-any-return]


def asked_sum(
    genotype: object, parents: object, budget: object, continues: object, notes: object, key: object, seed: object
) -> int:
    """Checksum of an asked part, to which MIX times the row's number is added."""
    return checksum(f"{genotype}\n{parents}\n{budget}\n{continues}\n{notes}\n{key}\n{seed}")


def result_sum(
    trial_id: int,
    status: object,
    metrics: object,
    curve: object,
    seconds: object,
    failure: object,
    message: object,
    reused: object,
) -> int:
    """Checksum of what came of a trial, to which MIX times its place is added."""
    return checksum(f"{trial_id}\n{status}\n{metrics}\n{curve}\n{seconds}\n{failure}\n{message}\n{reused}")


def fact_sum(name: str, text: object) -> int:
    """Checksum of a fact."""
    return checksum(f"{name}\n{text}")


def leading_number(text: str) -> float:
    """The number with which a piece of JSON begins; NaN: it begins with none."""
    found = _NUMBER.match(text)
    return float(found[0]) if found else nan


def check_sums(row: tuple[Any, ...]) -> None:
    """Raise DamagedRow where the cells of COLUMNS do not have the checksums that they were written with."""
    trial_id, genotype, parents, budget, continues, notes, key, seed, status, finish, *came, asked, result = row
    try:
        is_asked = (
            type(trial_id) is int
            and asked == asked_sum(genotype, parents, budget, continues, notes, key, seed) + MIX * trial_id
        )
    except (ValueError, TypeError):  # text that is no UTF-8
        is_asked = False
    if not is_asked:
        raise DamagedRow("what was asked has another checksum than when it was written", in_asked=True)
    if finish is None and status in ("pending", "running"):
        return
    try:
        # text times a number would be a very long text
        is_result = type(finish) is int and result == result_sum(trial_id, status, *came) + MIX * finish
    except (ValueError, TypeError):
        is_result = False
    if not is_result:
        raise DamagedRow("its result has another checksum than when it was written", in_asked=False)


def read(row: tuple[Any, ...], *, has_sums: bool = True) -> Trial:
    """The trial of the cells of COLUMNS.

    Args:
        row: The cells; the last two, the checksums, are None in tables that had none.
        has_sums: Whether the table has checksums.

    Raises:
        DamagedRow: It has the wrong checksum, or is nothing that could have been written.
    """
    if has_sums:
        check_sums(row)
    trial_id, genotype, parents, budget, continues, notes, key, seed, status, finish, *rest = row[:-2]
    proposal = _believed(_proposal, genotype, parents, budget, continues, notes, key, seed, in_asked=True)
    result = None
    if finish is not None or status not in ("pending", "running"):
        result = _believed(_result, status, finish, *rest, in_asked=False)
    return Trial(trial_id, proposal, key, seed, status, result, None, finish)


def _believed(make: Callable[..., Any], *cells: Any, in_asked: bool) -> Any:
    try:
        return make(*cells)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DamagedRow(f"{'what was asked' if in_asked else 'its result'}: {reason}", in_asked=in_asked) from None


def _proposal(genotype: Any, parents: Any, budget: Any, continues: Any, notes: Any, key: Any, seed: Any) -> Proposal:
    genes = _listed(genotype)
    before = () if parents == "[]" else _listed(parents)
    kept = {} if notes == "{}" else _load(notes)
    if not _NUMBERS.issuperset(map(type, genes)):
        raise ValueError("the genotype is no list of numbers")
    if before and not _WHOLE.issuperset(map(type, before)):
        raise ValueError("the parents are no list of trials")
    if type(kept) is not dict or not _NOTES.issuperset(map(type, kept.values())):
        raise ValueError("the notes are no numbers by name")
    if type(key) is not str or type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError("the key or the seed is none")
    if not (budget is None or type(budget) in _NUMBERS) or not (continues is None or type(continues) is int):
        raise ValueError("the budget or the trial that it continues is none")
    return Proposal(tuple(genes), tuple(before), budget, continues, kept)


def _result(
    status: Any, finish: Any, metrics: Any, curve: Any, seconds: Any, failure: Any, message: Any, reused: Any
) -> Result:
    if failure not in _FAILURES or status != ("failed" if failure else "done"):
        raise ValueError(f"it is {str(status)[:40]!r} with the failure {str(failure)[:40]!r}")
    if type(finish) is not int or finish < 1:
        raise ValueError("it has no place among the finished trials")
    values = _load(metrics)
    if type(values) is not dict or not _are_finite(values.values()):
        raise ValueError("the metrics are no finite numbers by name")
    points = () if curve == "[]" else tuple([(step, value) for step, value in _listed(curve)])
    if points and not _are_finite([number for point in points for number in point]):
        raise ValueError("the curve is no list of steps and numbers")
    if type(seconds) is not float or not isfinite(seconds) or type(message) is not str:
        raise ValueError("the seconds are no number, or the message is no text")
    if not (reused is None or type(reused) is int):
        raise ValueError("the trial that it repeats is none")
    return Result(values, points, seconds, failure, message, reused)


def _are_finite(values: Collection[Any]) -> bool:
    # a sum that is finite has finite parts, and takes a fraction of the time; one that is not may only be too large
    return _NUMBERS.issuperset(map(type, values)) and (isfinite(sum(values)) or all(map(isfinite, values)))


def _plain(number: int | None) -> int | None:
    """A whole number as SQLite gives it back."""
    return number if number is None or type(number) is int else int(number) if number == int(number) else number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)  # dumps would make one for each call
_FAST = getattr(json.encoder, "c_make_encoder", None)  # of CPython: `encode` would make one of these for each call
_PARTS = _FAST and _FAST(
    *(None, _ENCODER.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
)


def dump(value: object) -> str:
    """JSON without spaces. Raises ValueError for a number that is not finite."""
    return "".join(_PARTS(value, 0)) if _PARTS else _ENCODER.encode(value)


def _load(text: Any) -> Any:
    if type(text) is not str or len(text) > MOST_CHARACTERS:
        raise ValueError("it is no text, or too long")
    value, end = _DECODER.raw_decode(text)  # loads would look for white space that is not there
    if end != len(text):
        raise ValueError("there is more after its end")
    return value


def _listed(text: Any) -> list[Any]:
    value = _load(text)
    if type(value) is not list:
        raise ValueError("it is no list")
    return value
