"""`netwright latency`: how long a network takes on this machine, forward and in training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netwright.cli import architecture, damage, options
from netwright.cli.architecture import Architecture
from netwright.core.choosing import Which
from netwright.core.errors import BadRunFile, MissingCapability

if TYPE_CHECKING:
    from netwright.core.records import IO
    from netwright.training.latency.blocks import Quartiles
    from netwright.training.latency.whole import Latency

MOST_BATCH = 2**16


def latency(
    context: typer.Context,
    target: str = typer.Argument(None, help="zoo:NAME, the folder of a run, or a space such as 'flat(nodes=7)'."),
    named: str = typer.Option(None, "--space", help="A space, in place of TARGET."),
    trial: int = architecture.TRIAL,
    knee: bool = architecture.KNEE,
    at: list[str] = architecture.AT,
    genes: str = typer.Option(None, help="The genotype as a JSON array."),
    seed: int = typer.Option(0, help="Of a space without --genes: draws the sample."),
    io: str = typer.Option(None, help="What goes in and comes out, as 3x32x32:10."),
    skeleton: str = typer.Option(None, help="What the cell is put into; short for --space.skeleton."),
    batches: str = typer.Option("1,64", "--batch", help="Numbers of examples at once, with commas."),
    device: str = typer.Option(
        "auto", help="cpu, cuda or cuda:0, with commas; auto: the CPU, and a GPU if it is here."
    ),
    threads: int = typer.Option(1, help="Threads of the host."),
    onnx: bool = typer.Option(False, "--onnx", help="Also the forward pass by ONNX Runtime, on the CPU."),
    networks: int = typer.Option(
        0,
        "--check",
        help="Also check the table of operations that `latency_ms` is by, on so many samples of the space.",
    ),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure how long one architecture takes on this machine: a forward pass, and a step of training.

    After a warm-up, blocks of many passes are measured: their median and quartiles are shown. --space.OPTION scales it.

    Damaged or missing trials of a run are named and left out, and the command then exits with 2.
    """
    if threads < 1:
        raise BadRunFile(f"--threads is {threads}; it must be at least 1")
    if networks < 0:
        raise BadRunFile(f"--check is {networks}; it must be at least 0")
    sizes = _sizes(batches)
    changes = options.tables(context.obj.pairs, options.SECTIONS_OF["latency"])
    which = Which(trial, knee, tuple(at or ()))
    found = architecture.find(target, named, which, genes, skeleton, changes.get("space", {}), trust, seed)
    shape = architecture.shape(found, io)
    places = _devices(device)
    rows = [row for place in places for row in _measured(found, shape, sizes, place, threads)]
    by_onnx, why = _by_onnx(found, shape, sizes, threads) if onnx else ({}, "")
    checks = [_checked(found, shape, size, name, threads, networks) for name in places for size in sizes if networks]
    if as_json:
        listed = [asdict(row) for row in rows]
        quick = [{"batch": size, "threads": threads, "forward": asdict(each)} for size, each in by_onnx.items()]
        typer.echo(
            json.dumps(
                {"target": found.target, "latencies": listed, "onnx": quick, "onnx_why_not": why, "checks": checks}
            )
        )
    else:
        for line in _lines(found.target, rows, by_onnx, why):
            typer.echo(line)
        for check in checks:
            typer.echo(
                f"table of operations, {check['device']}, batch {check['batch']}: median error {check['median']:.1%}, "
                f"at most {check['most']:.1%}, over {check['networks']} samples"
            )
    damage.leave({Path(found.target): found.faults})


def _sizes(text: str) -> list[int]:
    """The numbers of examples. Raises BadRunFile."""
    try:
        found = [int(word) for word in options.names("--batch", text)]
    except ValueError:
        found = []
    if not found or not all(1 <= size <= MOST_BATCH for size in found):
        raise BadRunFile(f"--batch is {text!r}; give whole numbers from 1 to {MOST_BATCH:,}, as in 1,64")
    return list(dict.fromkeys(found))


def _devices(text: str) -> list[Any]:
    """The devices that are named, each once. Raises BadRunFile for one that is not here."""
    import torch

    from netwright.training import device as devices

    names = options.names("--device", text)
    if names == ("auto",):
        names = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    return [devices.timed(name, "--device") for name in dict.fromkeys(names)]


def _measured(found: Architecture, io: IO, sizes: Sequence[int], place: Any, threads: int) -> Iterator[Latency]:
    import numpy as np

    from netwright.core.errors import WorkerError
    from netwright.training import faults
    from netwright.training.latency import whole

    network = found.space.build(found.genotype, io, np.random.default_rng(0))
    for size in sizes:
        try:
            yield whole.latency(network, io, batch=size, device=place, threads=threads)
        except RuntimeError as error:
            fault = faults.of(error, place)
            if fault is None and "can't allocate memory" not in str(error):
                raise
            raise WorkerError(f"{size:,} examples at once do not fit on {place}; give a smaller --batch") from None


def _checked(
    found: Architecture, io: IO, size: int, place: Any, threads: int, networks: int
) -> dict[str, str | int | float]:
    """How far estimates of `latency_ms` are off, relative, over samples of the space that they were not fitted to."""
    import numpy as np

    from netwright.core.latency import LatencySettings
    from netwright.training.latency.table import LatencyTable

    table = LatencyTable(found.space, io, LatencySettings(str(place), size, threads))
    errors = np.abs(table.error_over(networks, np.random.default_rng(1)))
    off = {"median": float(np.median(errors)), "most": float(errors.max())}
    return {"device": str(place), "batch": size, "threads": threads, "networks": len(errors), **off}


def _by_onnx(found: Architecture, io: IO, sizes: Sequence[int], threads: int) -> tuple[dict[int, Quartiles], str]:
    """Forward passes by ONNX Runtime, by batch; else a sentence on why there are none."""
    import time

    import numpy as np

    from netwright.core import extras
    from netwright.export import programs
    from netwright.training.latency import blocks
    from netwright.training.pace import Noise

    try:
        for package in ("onnx", "onnxruntime", "onnxscript"):
            extras.check(package, "onnx", "--onnx")
    except MissingCapability as error:
        return {}, str(error)
    from netwright.export import onnx_program

    network = found.space.build(found.genotype, io, np.random.default_rng(0)).eval()
    written = onnx_program.to_bytes(programs.program(network, io), "inputs", "outputs", "random examples")
    run = onnx_program.runner(written, threads)
    measured: dict[int, Quartiles] = {}
    for size in sizes:
        inputs = next(Noise(io).batches("train", size, None))[0]
        seconds = blocks.seconds(partial(run, inputs), blocks.OF_NETWORKS, time.perf_counter)
        measured[size] = blocks.quartiles(seconds)
    return measured, ""


def _lines(target: str, rows: Sequence[Latency], by_onnx: dict[int, Quartiles], why: str) -> Iterator[str]:
    """The table: medians and quartiles, at most 72 letters wide."""
    threads = rows[0].threads
    yield f"{target}: milliseconds, median (quartiles), {threads} thread{'s' if threads > 1 else ''}, float32"
    yield ""
    yield f"{'device':16}{'batch':>6}{'forward':>25}{'training step':>25}"
    for row in rows:
        training = "-" if row.training is None else _text(row.training)
        yield f"{row.device[:15]:16}{row.batch:>6}{_text(row.forward):>25}{training:>25}"
    for size, forward in by_onnx.items():
        yield f"{'cpu, onnx':16}{size:>6}{_text(forward):>25}{'-':>25}"
    notes = dict.fromkeys(f"no training with batch {row.batch}: {row.why_not}" for row in rows if row.why_not)
    yield from ("", *notes) if notes else ()
    if why:
        yield f"not by ONNX Runtime: {why}"


def _text(found: Quartiles) -> str:
    return f"{_ms(found.median)} ({_ms(found.lower)}-{_ms(found.upper)})"


def _ms(value: float) -> str:
    """Milliseconds in three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"
