"""A table of what operations take on this machine: the latency of any network of a space, without building it.

The estimate is the sum over the layers, times a factor, plus a constant for each layer: both are fitted to a few whole
networks that the space samples, and the error is that of each of them by a fit to the others. What is missing is
measured when it is first asked for and kept in the table of the run, so that nothing is measured twice, and a
run that goes on sees the numbers that it began with.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import nnls

from netwright.core import reading
from netwright.core.errors import BadReference, InvalidGenotype, StoreError
from netwright.core.latency import LatencySettings
from netwright.core.protocols import SearchSpace, Store, of_any_seed, unwrap
from netwright.core.reading import BadText
from netwright.core.records import IO, Genotype
from netwright.plans import network
from netwright.plans.plan import HasPlan, Plan
from netwright.training import device as devices
from netwright.training.latency import operations
from netwright.training.latency.blocks import Effort
from netwright.training.latency.operations import Occurrence
from netwright.training.latency.whole import forward_seconds

FACT: Final = "latency"  # of a run's table
WHOLE: Final = 16  # networks that are measured whole
AHEAD: Final = 64  # networks whose operations are measured before a run begins
DRAWS: Final = 4  # for each network, at most
OF_WHOLE: Final = Effort(blocks=25, least=0.0005, most=2.0)
TRUST: Final = 0.1  # weight of a factor of 1 and no constant, beside one measured network


@dataclass(frozen=True)
class Fitted:
    """How a sum over operations becomes the latency of a network.

    Args:
        factor: What the sum is multiplied by.
        per_layer: Milliseconds added for each layer.
        error: Median relative error over networks, each by a fit to the others; None: there are too few.
        networks: Number of networks.
    """

    factor: float = 1.0
    per_layer: float = 0.0
    error: float | None = None
    networks: int = 0

    def milliseconds(self, total: float, layers: int) -> float:
        """The estimate, from the sum over the operations in milliseconds and their number."""
        return self.factor * total + self.per_layer * layers


def fit(sums: Sequence[float], layers: Sequence[int], measured: Sequence[float]) -> Fitted:
    """The factor and constant whose relative errors over measured networks are least, in squares; neither below 0."""
    given = np.array([sums, layers], dtype=float).T
    wanted = np.array(measured, dtype=float)

    def fitted(kept: np.ndarray) -> tuple[float, float]:
        scale = np.array([1.0, median(given[:, 0] / given[:, 1])])  # a constant in units of what a layer takes
        rows = given[kept] * scale / wanted[kept, None]
        (factor, constant), _ = nnls(np.vstack([rows, TRUST * np.eye(2)]), np.append(np.ones(len(rows)), (TRUST, 0.0)))
        return float(factor), float(constant * scale[1])

    every = np.arange(len(wanted))
    if not len(every):
        return Fitted()
    error = None
    if len(every) > 1:
        guesses = [given[one] @ fitted(np.delete(every, one)) for one in every]
        error = float(np.median(np.abs(np.array(guesses) / wanted - 1)))
    return Fitted(*fitted(every), error, len(every))


@dataclass(frozen=True)
class Machine:
    """What latencies hold for: the processor, or the card and its host, and the kind of forward pass."""

    processor: str
    settings: LatencySettings

    @staticmethod
    def here(settings: LatencySettings) -> Machine:
        """This machine. Raises BadReference where it does not have the device."""
        device = devices.timed(settings.device, "latency.device")
        own = processor()
        return Machine(f"{torch.cuda.get_device_name(device)}, {own}" if device.type == "cuda" else own, settings)

    @property
    def digest(self) -> str:
        """Text by which tables of one machine are known."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def processor() -> str:
    """The name of this machine's processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    names = [
        facts.get("model name", platform.machine()),
        *(f"{x} {facts[x]}" for x in ("cpu family", "model") if x in facts),
    ]
    return ", ".join(names)


@dataclass
class LatencyTable:
    """What operations take, measured as it is asked for.

    Args:
        space: Space of the search, without its constraints; its samples are measured whole.
        io: What goes into networks and comes out of them.
        settings: Of what forward pass.
        stored: The table of the run that goes on, as text; None: there is none.
        clock: Gives the seconds.

    Raises:
        BadReference: The space writes no layer plans; or nothing is stored, and the device is not here.
        StoreError: What is stored is damaged.
    """

    space: SearchSpace
    io: IO
    settings: LatencySettings = LatencySettings()
    stored: str | None = None
    clock: Callable[[], float] = time.perf_counter
    _operations: dict[str, float] = field(default_factory=dict, init=False, repr=False)  # milliseconds, by text
    _seen: dict[Occurrence, float] = field(default_factory=dict, init=False, repr=False)  # the same of those asked for
    _fitted: Fitted | None = field(default=None, init=False, repr=False)
    _store: Store | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if unwrap(self.space, HasPlan) is None:
            raise BadReference(
                "latency_ms is estimated from layer plans, and the space writes none; search another space, or leave "
                "it out of --objectives and --constraint"
            )
        found = None if self.stored is None else _read(self.stored)
        if found is not None and found[0].settings == self.settings:
            self._machine, self._operations, self._fitted = found
        else:
            self._machine = Machine.here(self.settings)

    def latency_ms(self, space: SearchSpace, genotype: Genotype) -> float:
        """Milliseconds of a forward pass, by the table; operations that it lacks are measured first, and kept.

        Raises:
            InvalidGenotype: There is no such network.
            BadReference: Operations are to be measured, and the table is of another machine.
        """
        self._made_ready()
        assert self._fitted is not None
        before = len(self._operations)
        found = self._fitted.milliseconds(*self._summed(_plan(space, genotype, self.io)))
        if len(self._operations) > before:
            self._keep()
        return found

    def error_over(self, networks: int, rng: np.random.Generator) -> list[float]:
        """Relative errors over so many other networks of the space, drawn by `rng` and measured whole.

        An error is (estimate - measured) / measured. There may be fewer, where many samples are no networks.
        """
        self._made_ready()
        assert self._fitted is not None
        found = []
        for plan in self._sampled(networks, rng):
            estimate = self._fitted.milliseconds(*self._summed(plan))
            with self._measuring() as device:
                found.append(estimate / (1000 * self._seconds_of(plan, device)) - 1)
        return found

    def keep_in(self, store: Store) -> None:
        """Measure what a search of the space will need, unless that was done, and keep it in a run's table."""
        self._made_ready()
        self._store = store
        self._keep()

    def remark(self) -> str:
        """A sentence on what the numbers are, and how far they are off."""
        self._made_ready()
        assert self._fitted is not None
        found = self._fitted
        error = "" if found.error is None else f"; median error {found.error:.1%} over {found.networks} whole networks"
        return f"latency_ms: {self.settings}, by {len(self._operations):,} measured operations{error}"

    @property
    def text(self) -> str:
        """The table as text, which `stored` takes."""
        facts = {"digest": self._machine.digest, "machine": asdict(self._machine), "operations": self._operations}
        return json.dumps({**facts, "fitted": None if self._fitted is None else asdict(self._fitted)})

    def _keep(self) -> None:
        if self._store is not None:
            self._store.remember(FACT, self.text)

    def _made_ready(self) -> None:
        """Measure the operations of networks that the space samples, and some of these whole."""
        if self._fitted is not None:
            return
        plans = self._sampled(AHEAD, np.random.default_rng(0))
        sums = [self._summed(plan) for plan in plans]  # which measures the operations
        with self._measuring() as device:
            taken = [1000 * self._seconds_of(plan, device) for plan in plans[:WHOLE]]
        whole = sums[: len(taken)]
        self._fitted = fit([total for total, _ in whole], [layers for _, layers in whole], taken)

    def _seconds_of(self, plan: Plan, device: torch.device) -> float:
        """Seconds of a forward pass: those of the quickest block, as of operations."""
        made = network.build(plan, np.random.default_rng(0))
        return min(forward_seconds(made, self.io, self.settings.batch, device, OF_WHOLE, self.clock))

    def _sampled(self, networks: int, rng: np.random.Generator) -> list[Plan]:
        """Plans of networks that the space samples, at most so many. Raises InvalidGenotype where there is none."""
        found: list[Plan] = []
        for _ in range(DRAWS * networks):
            genotype = self.space.sample(rng)

            def admitted(space: SearchSpace, genotype: Genotype = genotype) -> Plan:
                space.check(genotype)
                return _plan(space, genotype, self.io)

            try:
                found.append(of_any_seed(self.space, admitted))
            except InvalidGenotype:
                continue
            if len(found) == networks:
                break
        if not found:
            raise InvalidGenotype("the space samples no network that fits, so that no latency can be measured")
        return found

    def _summed(self, plan: Plan) -> tuple[float, int]:
        """The sum over the operations of a plan in milliseconds, and their number; measures those that are missing."""
        counted = Counter(operations.occurring(plan))
        for occurrence in counted.keys() - self._seen.keys():
            text = occurrence.text
            if text not in self._operations:
                self._operations[text] = self._measured(occurrence)
            self._seen[occurrence] = self._operations[text]
        return sum(number * self._seen[each] for each, number in counted.items()), counted.total()

    def _measured(self, occurrence: Occurrence) -> float:
        with self._measuring() as device:
            memory_format = torch.channels_last if device.type == "cpu" else torch.contiguous_format
            return 1000 * operations.seconds(occurrence, self.settings.batch, device, memory_format, self.clock)

    @contextmanager
    def _measuring(self) -> Iterator[torch.device]:
        """Measure within the block, on this machine. Raises BadReference where the table is of another one."""
        here = Machine.here(self.settings)
        if here.digest != self._machine.digest:
            raise BadReference(
                f"latencies of this run were measured on {self._machine.processor}, and this machine has "
                f"{here.processor}; go on there, or begin another run with --out"
            )
        device = devices.timed(self.settings.device, "latency.device")
        with devices.working(device, self.settings.threads, False), devices.in_single_precision(device):
            yield device


def _plan(space: SearchSpace, genotype: Genotype, io: IO) -> Plan:
    writer = unwrap(space, HasPlan)
    assert writer is not None, "asked for when the table was made"
    plan: Plan = writer.plan(genotype, io)
    return plan


def _read(text: str) -> tuple[Machine, dict[str, float], Fitted | None]:
    """Inverse of `LatencyTable.text`. Raises StoreError for text that is damaged."""
    try:
        reading.json_value(text, reading.MAX_STORED)  # pydantic takes NaN for a number
        found = TypeAdapter(_Stored).validate_json(text)
        machine = found.machine
        if machine.digest != found.digest or any(value < 0 for value in found.operations.values()):
            raise BadText("has another digest")
    except (ValidationError, BadText):
        raise StoreError(
            f"the table of the run is damaged: its fact {FACT!r} is {reading.shown(text, 40)}, which is no table of "
            "latencies; restore a copy or start in another folder"
        ) from None
    return machine, found.operations, found.fitted


@dataclass(frozen=True)
class _Stored:
    digest: str
    machine: Machine
    operations: dict[str, float]
    fitted: Fitted | None
