"""`netwright show`: size, genes, graph and drawing of one architecture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import typer

from netwright.cli import damage, options
from netwright.core import run_file, settings
from netwright.core.errors import BadReference, BadRunFile, MissingCapability
from netwright.core.protocols import check_accepts, graph_of
from netwright.core.records import IO, Genotype, LabeledGraph
from netwright.core.shapes import describe

DEFAULT_IO = IO(3, 32, 32, 10)


def show(
    context: typer.Context,
    target: str = typer.Argument(None, help="zoo:NAME, the folder of a run, or a space such as 'flat(nodes=7)'."),
    named: str = typer.Option(None, "--space", help="A space, in place of TARGET."),
    trial: int = typer.Option(None, help="Of a run: this trial instead of the best."),
    genes: str = typer.Option(None, help="The genotype as a JSON array."),
    io: str = typer.Option(None, help="What goes in and comes out, as 3x32x32:10 or vector=16:numbers=1."),
    skeleton: str = typer.Option(None, help="What the cell is put into; short for --space.skeleton."),
    out: Path = typer.Option(None, help="Folder to draw cell.svg and cell.png into."),
    networks: int = typer.Option(None, help="Of a generator: draw the networks of so many seeds side by side, too."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show one architecture; --space.OPTION scales it, as in --space.channels 64 --space.repeats 2.

    Damaged or missing trials of a run are named and left out, and the command then exits with 2.
    """
    if (target is None) == (named is None):
        raise BadRunFile("give either TARGET or --space: zoo:NAME, the folder of a run, or a space such as hnag")
    target = target or named
    changes = options.tables(context.obj.pairs, ("space",)).get("space", {})
    if skeleton is not None:
        changes["skeleton"] = skeleton
    space, genotype, found_io, faults = _find(target, trial, changes, trust)
    if genes is not None:
        from netwright.core import genes as encodings

        genotype = encodings.from_json(genes)
    if genotype is None:
        raise BadRunFile(f"{target} is a space; give --genes '[...]' to show one of its architectures")
    space.check(genotype)
    shape = _shape(space, target, io, found_io)
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
            "genes": list(genotype),
            "key": key,
            **({"settings": tuned} if tuned else {}),
        }
        typer.echo(json.dumps(facts))
        damage.leave({Path(target): faults})
        return
    typer.echo(f"{counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds", nl=False)
    typer.echo(f" on {run_file.write_io(shape).partition(':')[0]}, {shape.outputs} outputs")
    if params_with_auxiliary is not None:
        typer.echo(f"{params_with_auxiliary:,} parameters with the auxiliary head, which is there in training only")
    typer.echo(f"key {key}")
    if tuned:
        typer.echo("trained with " + ", ".join(f"{name} {value}" for name, value in tuned.items()))
    for line in _lines(graph):
        typer.echo(line)
    for path in drawn:
        typer.echo(f"drawn: {path}")
    damage.leave({Path(target): faults})


def _find(
    target: str, trial: int | None, changes: dict[str, Any], trust: bool
) -> tuple[Any, Genotype | None, IO, Sequence[str]]:
    """The space, genotype and shape that a target stands for, and what of it is damaged."""
    from netwright.core import refs

    kind, _, name = target.partition(":")
    if kind == "zoo":
        published = refs.locate("zoo", name)
        return refs.revise("space", published.space, changes), published.genotype, published.io, ()
    from netwright.runs import run_folder

    folder = Path(target)
    if run_folder.holds_run(folder):
        return _of_run(folder, trial, changes, trust)
    if folder.is_dir():
        raise BadRunFile(f"folder {target} holds no run; give the folder that a search wrote to")
    reference = refs.parse(target)
    space = run_file.load_space(refs.Reference(reference.name, {**reference.options, **changes}))
    return space, None, DEFAULT_IO, ()


def _shape(space: Any, target: str, text: str | None, found: IO) -> IO:
    """The shape that --io gives, else the one found; refused where the space has no networks for it."""
    shape = run_file.read_io(text) if text else found
    try:
        check_accepts(space, shape)
    except BadReference:
        if text:
            raise
        given = describe(shape.input)
        raise BadRunFile(f"{target} builds no networks for {given}; say what goes in with --io") from None
    return shape


def _of_run(
    folder: Path, trial_id: int | None, changes: dict[str, Any], trusted: bool
) -> tuple[Any, Genotype, IO, Sequence[str]]:
    from netwright.core import trust
    from netwright.core.protocols import of_seed
    from netwright.runs import run_folder

    store = run_folder.open_table(folder, "inspect")
    run = run_folder.stored_run(store, folder, trust.of_typed(changes, trust=trusted))
    finished = run_folder.history(folder, run.objectives)
    if trial_id is None:
        found = finished.best_trial
        if found is None:
            raise BadRunFile(f"no trial of {folder} has succeeded yet; give --trial to show one that has not")
    else:
        unfinished = {row.id: row for row in store.unfinished()}
        found = unfinished.get(trial_id) or finished.trial(trial_id)
        if found is None:
            raise BadReference(
                f"{folder} has no trial {trial_id}; it has trials 1 to {len(finished) + len(unfinished)}"
            )
    io = store.recall("io")
    store.close()
    space = run_file.load_space(run_file.override(run, "space", changes).space)
    space = space if "seed" in changes else of_seed(space, found.seed)
    return space, found.proposal.genotype, run_file.read_io(io) if io else DEFAULT_IO, finished.faults


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
    return [out / "cell.svg", out / "cell.png"]


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
    drawing.save(drawing.draw_beside(graphs, [f"seed {seed}" for seed in range(networks)]), out / "networks")
    return [out / "networks.svg", out / "networks.png"]


def _lines(graph: LabeledGraph) -> list[str]:
    lines = [f"{graph.name}:"]
    wide = max((len(f"{graph.nodes[s]} -> {graph.nodes[t]}") for s, t, _ in graph.edges), default=0)
    for source, target, label in graph.edges:
        arrow = f"{graph.nodes[source]} -> {graph.nodes[target]}"
        lines.append(f"  {arrow:{wide}}  {label}")
    return lines + [line for part in graph.parts for line in _lines(part)]
