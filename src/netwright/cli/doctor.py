"""`netwright doctor`: what is wrong with the folder of a run, and what to do."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import typer

FOUND = 1  # exit code: something is wrong


def doctor(
    folder: Path = typer.Argument(..., help="Folder of a run."),
    repair: bool = typer.Option(
        False, "--repair", help="Set aside what is damaged or of no use, in a folder aside-DATE of the run's."
    ),
    quick: bool = typer.Option(False, "--quick", help="Leave out what reads all data and all weights."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that the run names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Say what is wrong with the folder of a run, and what to do: a sentence each.

    Nothing is changed without --repair, which deletes nothing and refuses a run that is being searched. The exit code
    is 0 where nothing is wrong, 1 where something is, and 2 for bad input.
    """
    from netwright.core.trust import Trust
    from netwright.runs import doctor as runs_doctor

    place = folder.absolute()
    done = runs_doctor.repair(place, date.today()) if repair else ()
    found = runs_doctor.examine(place, Trust(is_full=trust), is_quick=quick)
    if as_json:
        listed = [
            {"kind": each.kind, "what": each.what, "remedy": each.remedy, "aside": list(map(str, each.aside))}
            for each in found.findings
        ]
        facts = {"folder": str(place), "healthy": found.is_healthy, "findings": listed, "remarks": list(found.remarks)}
        typer.echo(json.dumps(facts | ({"done": list(done)} if repair else {})))
    else:
        for sentence in done:
            typer.echo(f"done: {sentence}")
        for each in found.findings:
            typer.echo(f"{each.kind}: {each}")
        for sentence in found.remarks:
            typer.echo(f"note: {sentence}")
        if found.is_healthy:
            typer.echo(f"{folder}: nothing is wrong")
    if not found.is_healthy:
        raise typer.Exit(FOUND)
