"""`netwright export`: the trained network as a folder that runs where netwright is not installed."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import typer
from rich.console import Console

from netwright.cli import options
from netwright.core.errors import BadRunFile


def export(
    context: typer.Context,
    target: Path = typer.Argument(..., help="Folder of a run, or of trainings within it."),
    out: Path = typer.Option(..., help="Folder to write."),
    trial: int = typer.Option(None, help="The trained network of this trial; by default the one trained last."),
    knee: bool = typer.Option(False, "--knee", help="That of the knee of the front, of a run with several objectives."),
    at: list[str] = typer.Option(None, help="That of the best of the front with this, as 'params<=2e5'."),
    onnx: bool = typer.Option(False, help="Also as ONNX, checked against onnxruntime."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, progress on standard error."),
) -> None:
    """Write source, weights, program, preprocessing, metrics, model card and drawing, and check them all.

    --task.path says where the data is now, when it was moved since the training.
    A fresh process loads what was written and repeats the test; on any difference nothing is left at --out.
    """
    from netwright.runs import finals
    from netwright.runs.run import Run
    from netwright.runs.session import short

    target = target.absolute()
    if not target.is_dir():
        raise BadRunFile(f"there is no folder {short(target)}; give the folder that a search or a training wrote to")
    folder, training = (target.parent, target.name) if finals.are_in(target) else (target, None)
    task = options.tables(context.obj.pairs, ("task",)).get("task")
    # what plug-ins print must not stand among the JSON
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        run = Run(folder, trust=trust, console=Console(stderr=True) if as_json else None)
        path = run.export(out, trial=trial, knee=knee, at=at or (), training=training, onnx=onnx, task=task)
    if as_json:
        files = sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.is_file())
        metrics = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
        typer.echo(json.dumps({"folder": str(path), "files": files, "metrics": metrics}))
        return
    typer.echo(f"export: {short(path)}")
