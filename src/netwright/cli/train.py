"""`netwright train`: train networks in full, at any scale, and test them."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import typer
from rich.console import Console

from netwright.cli import options, signals
from netwright.cli.signals import INTERRUPTED
from netwright.core.errors import BadRunFile


def train(
    context: typer.Context,
    target: str = typer.Argument(..., help="Folder of a run, or zoo:NAME."),
    recipe: Path = typer.Argument(None, help="A run file (TOML) that says how, on what and at which scale to train."),
    trial: int = typer.Option(None, help="This trial of the search instead of the best."),
    knee: bool = typer.Option(False, "--knee", help="The knee of the front, of a run with several objectives."),
    at: list[str] = typer.Option(None, help="The best of the front with this, as 'params<=2e5'; several: with all."),
    front: bool = typer.Option(False, "--front", help="Train all of the front anew, and choose by the new values."),
    top: int = typer.Option(None, help="Retrain so many of the best, rank them again, then train the first in full."),
    sample: int = typer.Option(None, help="Train so many, the worst to the best, to see whether scores order them so."),
    epochs: int = typer.Option(None, help="Of each training; short for --evaluator.epochs."),
    repeats: int = typer.Option(None, help="Trainings of each network from different seeds."),
    networks: int = typer.Option(None, help="Of a generator: draw and train so many of its networks."),
    skeleton: str = typer.Option(None, help="What the cell is put into; short for --space.skeleton."),
    reference: bool = typer.Option(True, help="Train also a plain residual network of similar size, to compare with."),
    task: str = typer.Option(None, help="Of a zoo entry: the task to train on."),
    workers: int = typer.Option(None, help="How many trainings at a time."),
    seed: int = typer.Option(None, help="Of a zoo entry: of everything that is drawn."),
    out: Path = typer.Option(None, help="Of a zoo entry: folder to train in; by default runs/ and its name."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, progress on standard error."),
) -> None:
    """Train in full on training and validation data, and test; the same command goes on where it was stopped.

    Ctrl-C lets running trainings finish; a second one, or SIGTERM, stops them where they stand; a third one loses that.

    --space.channels, --space.repeats and other options of the space scale the network; --evaluator.OPTION and
    --task.OPTION say how and on what to train.
    """
    from netwright.core import refs
    from netwright.report import facts
    from netwright.runs import run_folder
    from netwright.runs.run import Run
    from netwright.runs.session import Drained
    from netwright.runs.timed import recognized

    changes = options.tables(context.obj.pairs, options.SECTIONS_OF["train"])
    if skeleton is not None:
        changes.setdefault("space", {})["skeleton"] = skeleton
    kind, _, name = target.partition(":")
    published = name if kind == "zoo" else None
    console = Console(stderr=as_json)
    attended = {"command": context.obj.command, "console": console, "attended": signals.attended, "trust": trust}
    if published is None:
        given = {"--task": task, "--seed": seed, "--out": out}
        for word, value in given.items():
            if value is not None:
                raise BadRunFile(f"{word} goes with zoo:NAME; a run has its own, kept in its folder {target}")
        if not run_folder.holds_run(Path(target)):
            raise BadRunFile(f"{target} holds no run; give the folder that a search wrote to, or zoo:NAME")
        run = Run(target, **attended)
        if workers is not None:
            changes.setdefault("executor", {})["workers"] = workers
    else:
        own = None if task is None else str(recognized.named(task))
        run = Run(
            out or Path("runs") / refs.spelled("zoo", name), recipe, task=own, seed=seed, workers=workers, **attended
        )
    try:
        # what plug-ins print must not stand among the JSON
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            finals = run.train(
                trial=trial,
                knee=knee,
                at=at or (),
                front=front,
                top=top,
                sample=sample,
                published=published,
                recipe=recipe if published is None else None,
                epochs=epochs,
                repeats=repeats,
                networks=networks,
                reference=reference,
                changes=changes,
            )
    except (Drained, KeyboardInterrupt):
        console.print("stopped; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    if as_json and finals:
        first, metric = finals[0], finals[0].metric
        listed = [
            {name: value for name, value in facts.of_final(f).items() if name != "note"}
            | {"trained": [{"seed": t.seed, "params": t.params, f.metric: t.value} for t in f.repetitions]}
            for f in finals
        ]
        told = {"folder": str(run.folder), "params": first.params, f"{metric}_mean": first.mean}
        told |= {f"{metric}_sd": first.sd, "n": first.n, "networks": listed}
        again = run.retrained_front() if front else None
        ranking = run.ranking() if sample is not None else None
        told |= {"front": again.facts()} if again else {}
        typer.echo(json.dumps(told | ({"ranking": ranking.facts()} if ranking else {})))
    raise typer.Exit(0 if finals else 1)
