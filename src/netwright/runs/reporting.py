"""What a report shows of a run, read from its folder. No torch: a look at a run costs no framework."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from netwright.core import remembered, run_file
from netwright.core.finals import Final
from netwright.core.trust import Trust
from netwright.report.reported import ReportedRun
from netwright.runs import finals, run_folder


def reported(folder: Path, trust: Trust = Trust()) -> ReportedRun:
    """What a report shows of a run, or of its last trainings where nothing was searched.

    Raises:
        BadReference: The run names a plug-in that is not trusted.
    """
    folders = run_folder.trainings(folder)
    place = folder if run_folder.holds_run(folder) or not folders else folders[-1]
    with closing(run_folder.open_table(place, "read")) as store:
        settings = run_folder.stored_run(store, place, trust)
        hours, command = remembered.number(store, "hours"), store.recall("command")
        simulated = remembered.number(store, "simulated_hours")
        versions, caveats = remembered.table(store, "versions"), remembered.texts(store, "caveats")
        measures = remembered.measures(store)
        known = remembered.baselines(store)
    return ReportedRun(
        folder.name,
        settings,
        run_folder.history(place, settings.objectives),
        run_file.load_space(settings.space),
        hours or None,
        tuple(trained(folder, trust)),
        settings.executor.options.get("workers"),
        command or "",
        versions,
        caveats,
        simulated or None,
        measures,
        known,
    )


def trained(folder: Path, trust: Trust = Trust()) -> list[Final]:
    """Every network of a run that was trained in full, those asked for last first, references at the end."""
    found: list[Final] = []
    for place in reversed(run_folder.trainings(folder)):
        with closing(run_folder.open_table(place, "read")) as store:
            found += finals.results(store, run_folder.stored_run(store, place, trust), place)
    return sorted(found, key=lambda final: final.reference)
