"""`netwright export`: the trained network as a folder that runs where netwright is not installed."""

from __future__ import annotations

from pathlib import Path

import typer

from netwright.core.errors import BadRunFile


def export(
    target: Path = typer.Argument(..., help="Folder of a run, or of trainings within it."),
    out: Path = typer.Option(..., help="Folder to write."),
    trial: int = typer.Option(None, help="The trained network of this trial; by default the one trained last."),
    onnx: bool = typer.Option(False, help="Also as ONNX, checked against onnxruntime."),
) -> None:
    """Write source, weights, program, preprocessing, metrics, model card and drawing, and check them all.

    A fresh process loads what was written and repeats the test; on any difference nothing is left at --out.
    """
    from netwright import trainings
    from netwright.run import Run
    from netwright.session import short

    folder, training = target, None
    if target.name.startswith(trainings.PREFIX):
        folder, training = target.parent, target.name
    if not folder.is_dir():
        raise BadRunFile(f"there is no folder {folder}; give the folder that a search or a training wrote to")
    path = Run(folder).export(out, trial=trial, training=training, onnx=onnx)
    typer.echo(f"export: {short(path)}")
