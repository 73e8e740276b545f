"""`netwright show`: size, genes, graph and drawing of one architecture."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import typer

from netwright.cli import architecture, damage, options
from netwright.cli import supernet as shared_weights
from netwright.core import run_file, settings
from netwright.core.choosing import Which
from netwright.core.errors import BadReference, BadRunFile, MissingCapability
from netwright.core.objectives import bytes_text
from netwright.core.protocols import graph_of
from netwright.core.records import IO, MEMORY, Genotype, LabeledGraph


def show(
    context: typer.Context,
    target: str = architecture.TARGET,
    named: str = architecture.NAMED,
    trial: int = architecture.TRIAL,
    knee: bool = architecture.KNEE,
    at: list[str] = architecture.AT,
    genes: str = architecture.GENES,
    seed: int = architecture.SEED,
    io: str = typer.Option(None, help="What goes in and comes out, as 3x32x32:10 or vector=16:numbers=1."),
    skeleton: str = architecture.SKELETON,
    out: Path = typer.Option(None, help="Folder to draw cell.svg and .png into, and both for narrow places."),
    networks: int = typer.Option(None, help="Of a generator: draw the networks of so many seeds side by side, too."),
    supernet: bool = typer.Option(False, "--supernet", help="Count the weights that all networks of a space share."),
    trust: bool = architecture.TRUST,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show one architecture; --space.OPTION scales it, as in --space.channels 64 --space.repeats 2.

    Damaged or missing trials of a run are named and left out, and the command then exits with 2.
    """
    changes = options.tables(context.obj.pairs, options.SECTIONS_OF["show"]).get("space", {})
    which = Which(trial, knee, tuple(at or ()))
    found = architecture.find(target, named, which, genes, skeleton, changes, trust, seed)
    target, space, genotype = found.target, found.space, found.genotype
    shape = architecture.shape(found, io)
    if supernet:
        shared_weights.tell(found, shape, changes, as_json=as_json)
        damage.leave({Path(target): found.faults})
        return
    counts, params_with_auxiliary = space.count(genotype, shape), _params_with_auxiliary(space, genotype, shape)
    key, graph, tuned = space.key(genotype), graph_of(space, genotype, shape), settings.values(space, genotype)
    drawn = _draw(graph, out) if out else []
    if networks is not None:
        drawn += _draw_networks(space, genotype, networks, out)
    if as_json:
        facts = {
            "params": counts.params,
            **({} if params_with_auxiliary is None else {"params_with_auxiliary": params_with_auxiliary}),
            "multiply_adds": counts.multiply_adds,
            "flops": 2 * counts.multiply_adds,
            MEMORY: counts.memory_per_sample,
            "genes": list(genotype),
            **({} if found.seed is None else {"seed": found.seed}),
            "key": key,
            **({"settings": tuned} if tuned else {}),
        }
        typer.echo(json.dumps(facts))
        damage.leave({Path(target): found.faults})
        return
    if found.seed is not None:
        typer.echo(f"a sample of {target}, drawn by --seed {found.seed}; --genes '[...]' shows one of your choice")
    typer.echo(f"{counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds", nl=False)
    typer.echo(f" on {run_file.write_io(shape).partition(':')[0]}, {shape.outputs} outputs")
    if counts.memory_per_sample is not None:
        typer.echo(f"{bytes_text(counts.memory_per_sample)} kept for the backward pass of each example in training")
    if params_with_auxiliary is not None:
        typer.echo(f"{params_with_auxiliary:,} parameters with the auxiliary head, which is there in training only")
    typer.echo(f"key {key}")
    if tuned:
        typer.echo("trained with " + ", ".join(f"{name} {value}" for name, value in tuned.items()))
    for line in _lines(graph):
        typer.echo(line)
    for path in drawn:
        typer.echo(f"drawn: {path}")
    damage.leave({Path(target): found.faults})


def _params_with_auxiliary(space: Any, genotype: Genotype, io: IO) -> int | None:
    """Parameters of a training with the auxiliary head that a space offers, whether it is switched on or not.

    None: the space offers none, or what goes in is too small for it.
    """
    from netwright.plans import counting
    from netwright.plans.plan import HasPlan

    if not (
        is_dataclass(space) and isinstance(space, HasPlan) and "auxiliary" in {field.name for field in fields(space)}
    ):
        return None
    with suppress(BadReference):
        plan = replace(space, auxiliary=True).plan(genotype, io)  # type: ignore[call-arg]
        return counting.count(plan, auxiliary=True).params
    return None


def _draw(graph: LabeledGraph, out: Path) -> list[Path]:
    from netwright.report import drawing

    out.mkdir(parents=True, exist_ok=True)
    drawing.save(drawing.draw(graph), out / "cell")
    drawing.save(drawing.draw_narrow(graph), out / "cell-narrow")
    return [out / f"{name}.{ending}" for name in ("cell", "cell-narrow") for ending in ("svg", "png")]


def _draw_networks(space: Any, genotype: Genotype, networks: int, out: Path | None) -> list[Path]:
    """Draw the networks of seeds 0, 1, ... of a generator; returns the files."""
    from netwright.core.protocols import Generates, unwrap
    from netwright.report import drawing

    generator = unwrap(space, Generates)
    if generator is None:
        raise MissingCapability("--networks needs a space of generators, such as hnag; of this one a genotype is one")
    if out is None or networks < 1:
        raise BadRunFile(f"--networks {networks} needs a number of at least 1, and --out FOLDER to draw into")
    graphs = [generator.seeded(seed).graph(genotype) for seed in range(networks)]
    titles = [f"seed {seed}" for seed in range(networks)]
    drawing.save(drawing.draw_beside(graphs, titles), out / "networks")
    drawing.save(drawing.draw_below(graphs, titles), out / "networks-narrow")
    return [out / f"{name}.{ending}" for name in ("networks", "networks-narrow") for ending in ("svg", "png")]


def _lines(graph: LabeledGraph) -> list[str]:
    lines = [f"{graph.name}:"]
    wide = max((len(f"{graph.nodes[s]} -> {graph.nodes[t]}") for s, t, _ in graph.edges), default=0)
    for source, target, label in graph.edges:
        arrow = f"{graph.nodes[source]} -> {graph.nodes[target]}"
        lines.append(f"  {arrow:{wide}}  {label}")
    return lines + [line for part in graph.parts for line in _lines(part)]
