"""What stands first on a page: how it came out, what was tested, and which commands lead on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from netwright.core.baselines import beside
from netwright.core.finals import RESIDUAL, Final
from netwright.core.shapes import Image
from netwright.report import markup, trained
from netwright.report.markup import Html
from netwright.report.reported import ReportedRun

ACCURACY = "test_accuracy"  # the one that everybody asks for, whatever decided


def section(runs: Sequence[ReportedRun], winner: ReportedRun, whose: str) -> Html:
    """The verdict, the tested accuracy and what to do next.

    Args:
        runs: All runs of the page.
        winner: The one whose network is shown.
        whose: Words put after the title where there are several runs, as in " of a run".
    """
    told = [_sentence(run, f"{run.name}: " if len(runs) > 1 else "") for run in runs]
    notes = [f"Note: {caveat}." for caveat in winner.caveats]
    final = tested(winner)
    facts = [] if final is None else _facts_of_test(winner, final)
    untested = "" if winner.history.best() is None else " The network is not tested yet."
    came = f"{best(winner)}{untested}"
    if final is not None:
        label = final.objective.label
        value = f"{label[:1].upper()}{label[1:]}: {final.objective.text(final.mean)} ({final.note})."
        came = value if final.note else ""
    title = f"Result{whose}" if whose or not any(told) else "Verdict"
    tiles = markup.tiles(facts) if facts else ""
    return markup.section(title, *told, came, *notes, tiles, _next(winner, final))


def _sentence(run: ReportedRun, name: str) -> str:
    """How a run came out; "" where nothing was compared."""
    if run.verdict:
        verdict = f"{run.verdict}."
        return f"{name}{verdict}" if name else f"{verdict[:1].upper()}{verdict[1:]}"
    verdict = trained.verdict(run.finals)
    return f"{name}{verdict}" if verdict else ""


def best(run: ReportedRun) -> str:
    """The best that the search measured, and what it is to be compared with, as a sentence."""
    if (place := run.history.best()) is None:
        return "No trial has succeeded yet." if len(run.history) else "No trial has finished yet."
    value = run.objective.measured(float(run.history.scores[place]))
    result = f"{run.objective.text(value)} {beside(run.objective, value, run.baselines)}"
    return f"Best {run.objective.label}: {result}."


def tested(run: ReportedRun) -> Final | None:
    """The network to tell about: what ships, else the first that was found and tested; None: none was."""
    if run.shipped:
        return run.shipped if run.shipped.is_tested else None
    return next((final for final in run.finals if final.is_tested and not final.reference), None)


def _facts_of_test(run: ReportedRun, final: Final) -> list[tuple[str, str]]:
    """What was tested of a network, and of the plain one beside it."""
    facts = [(final.objective.label, final.objective.text(final.mean))]
    if final.accuracy is not None and final.metric != ACCURACY:
        facts.append(("test accuracy", f"{100 * final.accuracy:.2f} %"))
    rivals = [
        other
        for other in run.finals
        if other.reference and other is not final and (other.metric, other.way) == (final.metric, final.way)
    ]
    if plain := next((other for other in rivals if run.shipped or other.label == RESIDUAL), None):
        facts.append(("of the plain network", plain.objective.text(plain.mean)))
    return [*facts, ("parameters", f"{final.params:,}"), ("trials searched", f"{len(run.history):,}")]


def _next(run: ReportedRun, final: Final | None) -> Html:
    """What can be done now, as commands; empty for a run that lies in no folder."""
    if run.place is None:
        return Html("")
    place = _from_here(run.place)
    if run.history.best() is None and final is None:
        listed = [("Go on where it was stopped:", run.command)] if run.command else []
    elif run.export is not None:
        export = _from_here(run.export)
        is_image = run.io is not None and isinstance(run.io.input, Image)
        listed = [("Classify images of yours, files or folders:", f"netwright predict {export} IMAGES")] * is_image
        onnx = _from_here(run.export.with_name(f"{run.export.name}-onnx"))
        listed.append(("Write it as ONNX as well:", f"netwright export {place} --out {onnx} --onnx"))
    elif final is not None:
        out = _from_here(run.place / "export")
        listed = [("Write the network as a folder of its own:", f"netwright export {place} --out {out}")]
    else:
        listed = [("Train the best in full, beside a plain network, and test both:", f"netwright train {place}")]
    # the last trainings of a contest go on from earlier ones, by settings of their own: `train` does not repeat them
    if final is not None and final.trial_id is not None and not final.reference and not run.shipped:
        again = f"netwright train {place} --trial {final.trial_id} --repeats 3"
        listed.append(("See what of this is chance, by training it from three seeds:", again))
    return markup.subsection("Next", markup.commands(listed)) if listed else Html("")


def _from_here(place: Path) -> str:
    """A folder as commands name it that are given where this one was."""
    here = Path.cwd()
    return shlex.quote(str(place.relative_to(here) if place.is_relative_to(here) else place))
