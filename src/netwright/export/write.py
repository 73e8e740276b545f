"""Writes a trained network as a folder that runs where netwright is not installed.

Everything is made in a folder beside the wanted one, proved there (`check`), and renamed at the end, so that what
stands at the wanted place is whole and right, or is what stood there before.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn
from torch.export import ExportedProgram

from netwright.core import building, disk, files, refs, run_file, sealed, settings
from netwright.core.baselines import Baseline, note
from netwright.core.errors import ExportError, MissingCapability
from netwright.core.members import members
from netwright.core.protocols import CarriesState, Generates, HasCaveats, SearchSpace, Split, Task, graph_of, unwrap
from netwright.core.records import Genotype
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.export import architecture, card, load, programs, standalone
from netwright.export.check import check
from netwright.export.media.plain import Plain
from netwright.export.media.text import check_vocabulary
from netwright.export.medium import Checked, Facts, Medium
from netwright.plans.plan import HasPlan, Plan, deployed
from netwright.report import drawing
from netwright.training import constant
from netwright.training.options import Options

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainedModel:
    """What an export is made of.

    Args:
        name: Name of the network, for people: "best of the search, trial 21".
        run: Run file of the training: space, task and evaluator with all options.
        genotype: Genotype of the network.
        weights: A safetensors file of the state of the network of `space.plan(genotype, task.io)`; one that holds a
            digest (`core.sealed`) is held against it.
        metrics: Metrics of the training; the one that the task measures first on the test split must be repeated.
        seed: Seed of the training.
        command: Command that repeats the training.
        verdict: How it does beside a plain network, in a sentence; "": that is not known.
    """

    name: str
    run: RunFile
    genotype: Genotype
    weights: Path
    metrics: Mapping[str, float]
    seed: int
    command: str
    verdict: str = ""


@dataclass(frozen=True)
class _Parts:
    """The objects that a trained model's references stand for."""

    space: SearchSpace
    task: Task
    medium: Medium
    plan: Plan
    network: nn.Module
    metric: str  # to be repeated


def write(out: Path, model: TrainedModel, *, onnx: bool = False, say: Say) -> Path:
    """Write the export and prove it; docs/export.md lists the files.

    Args:
        out: The folder; an earlier export there is replaced at the very end.
        model: What to export.
        onnx: Write model.onnx as well.
        say: Function that is told what is being done, sentence by sentence.

    Returns:
        The folder.

    Raises:
        ExportError: `out` holds something else or cannot be written; the weights do not fit; or the export does not
            compute what was trained. Nothing is left behind then.
        MissingCapability: The space has no layer plans, or ONNX's libraries are missing.
    """
    out = Path(os.path.realpath(out))
    _refuse_foreign(out)
    to_onnx = _onnx_library() if onnx else None
    model = _with_drawing(model)
    parts = _parts(model)
    if onnx and isinstance(parts.network, CarriesState):
        raise ExportError(
            "no ONNX file is written of a network that carries a state from batch to batch; leave --onnx out: "
            f"{programs.FILE} takes and gives the state"
        )
    draft = files.draft_of(out)
    try:
        with _writing(out):
            draft.mkdir(parents=True)
        say("writing source, weights and program")
        program = _write_model(draft, model, parts, out)
        run = None
        if to_onnx:
            say("writing the ONNX file")
            data = to_onnx.to_bytes(program, parts.medium.inputs, parts.medium.outputs, parts.medium.takes())
            with _writing(out):
                (draft / to_onnx.FILE).write_bytes(data)
            run = to_onnx.runner(data)
        examples = f"{parts.task.examples('test'):,} test {parts.medium.example}s"
        say(f"checking {examples} in a fresh Python process without netwright")
        checked = check(
            draft,
            parts.network,
            parts.task,
            parts.medium,
            measure=parts.metric.removeprefix("test_"),
            recorded=model.metrics[parts.metric],
            channels_last=bool(_options(model)["evaluator"].get("channels_last", True)),
            onnx=run,
        )
        say(parts.medium.verdict("source, program and ONNX file" if onnx else "source and program", checked))
        known = [each.on("test") for each in constant.baselines(parts.task, "test")]
        measure = parts.medium.measure
        compared = note(measure.on("test"), checked.value, known) if measure else ""
        if compared:
            say(f"{parts.metric}: {compared}")
        with _writing(out):
            _write_papers(draft, model, parts, checked, onnx, known, compared)
            _put_in_place(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out


def _with_drawing(model: TrainedModel) -> TrainedModel:
    """The model; where its space is one of generators, with the seed that draws this very network."""
    if unwrap(building.load_space(model.run.space), Generates) is None:
        return model
    return replace(model, run=run_file.override(model.run, "space", {"seed": model.seed}))


def _parts(model: TrainedModel) -> _Parts:
    space = building.load_space(model.run.space)
    with_plan: HasPlan | None = unwrap(space, HasPlan)
    if with_plan is None:
        raise MissingCapability(
            f"an export needs a space with layer plans, from which source is written; {model.run.space.name} has none: "
            f"load the weights, {model.weights}, into the network itself"
        )
    task: Task = refs.load("task", model.run.task)
    space.check(model.genotype)
    plan = deployed(with_plan.plan(model.genotype, task.io))
    check_vocabulary(task, model.weights.parent)
    network = load.with_weights(plan, model.weights)
    medium = medium_of(task, network)
    first = next((name for name in model.metrics if name.startswith("test_")), "test metric")
    metric = medium.measure.on("test").name if medium.measure else first
    if metric not in model.metrics:
        known = ", ".join(model.metrics) or "nothing"
        raise ExportError(f"the training measured {known} but no {metric}; train it with evaluator.split = 'test'")
    return _Parts(space, task, medium, plan, network, metric)


def medium_of(task: Task, network: nn.Module) -> Medium:
    """The medium that knows a task's examples and such a network; where none does, they are what batches hold."""
    kinds = members("netwright.export.media", "medium_of")
    return next((medium for kind in kinds if (medium := kind(task, network))), None) or Plain(task)


def _write_model(draft: Path, model: TrainedModel, parts: _Parts, out: Path) -> ExportedProgram:
    """Write the network: what the check reads, and its plan; returns the program. Raises ExportError."""
    io = parts.task.io
    plan = architecture.to_json(model.run.space, parts.space, model.genotype, io, parts.plan)
    text = standalone.model_py(parts.plan, parts.medium, model.name)
    weights = sealed.seal(safetensors.torch.save(parts.network.state_dict(), dict(sealed.UNSEALED)))
    with _writing(out):
        (draft / architecture.FILE).write_text(plan, encoding="utf-8")
        (draft / "model.py").write_text(text, encoding="utf-8")
        (draft / load.WEIGHTS).write_bytes(weights)
    try:
        program = programs.program(programs.run_source(text, "model").load(draft), io)
    except Exception as error:  # whatever source code of somebody else's operations does
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ExportError(
            f"the source code of the network does not run: {reason}; correct what its operations write, and what they "
            "say is defined"
        ) from error
    data = programs.to_bytes(program, parts.medium.takes())
    with _writing(out):
        (draft / programs.FILE).write_bytes(data)
    return program


def _write_papers(
    draft: Path,
    model: TrainedModel,
    parts: _Parts,
    checked: Checked,
    onnx: bool,
    known: Sequence[Baseline],
    compared: str,
) -> None:
    """Write everything else: how the network was trained, what it is to be compared with, how to use it."""
    about_data = inspect.getdoc(inspect.getmodule(refs.locate("task", model.run.task.name))) or ""
    metrics = {**model.metrics, **parts.medium.facts(checked), "seed": model.seed, "command": model.command}
    if model.verdict:
        metrics["verdict"] = model.verdict
    if known:
        metrics |= {"constant_answer": {each.name: each.value for each in known}, "note": compared}
    options = _options(model)
    trained_on = _trained_on(options["evaluator"])
    texts = {
        "metrics.json": json.dumps(metrics, indent=1, ensure_ascii=False) + "\n",
        "run.toml": run_file.to_toml(model.run),
        **parts.medium.files(),
        "README.md": card.text(
            Facts(
                name=model.name,
                options=options,
                key=parts.space.key(model.genotype),
                plan=parts.plan,
                about_data=about_data,
                caveats=parts.task.caveats() if isinstance(parts.task, HasCaveats) else (),
                examples={split: parts.task.examples(split) for split in (trained_on, "test")},
                trained_on=trained_on,
                metrics=model.metrics,
                checked=checked,
                note=compared,
                seed=model.seed,
                command=model.command,
                onnx=onnx,
                verdict=model.verdict,
            ),
            parts.medium,
        ),
    }
    for name, text in texts.items():
        (draft / name).write_text(text, encoding="utf-8")
    drawing.save(drawing.draw(graph_of(parts.space, model.genotype, parts.task.io)), draft / "cell")


def _trained_on(evaluator: Mapping[str, Any]) -> Split:
    """The split that an evaluator of such options trained on before it measured the test split."""
    kind = refs.locate("evaluator", evaluator["ref"])
    if not (isinstance(kind, type) and issubclass(kind, Options)):
        return "train+valid"
    own = {field.name: evaluator[field.name] for field in fields(Options) if field.name in evaluator}
    return Options(**{**own, "split": "test"}).trained_on


def _options(model: TrainedModel) -> dict[str, dict[str, Any]]:
    """All options of space, task and evaluator, those left at their defaults too, and settings among the genes."""
    found = {}
    for part in ("space", "task", "evaluator"):
        reference: Reference = getattr(model.run, part)
        accepted = refs.options_of(refs.locate(part, reference.name), without=refs.WIRED)
        defaults = {name: parameter.default for name, parameter in accepted.items()}
        found[part] = {"ref": reference.name, **defaults, **reference.options}
    for name, value in settings.values(building.load_space(model.run.space), model.genotype).items():
        found["evaluator" if name in found["evaluator"] else "task"][name] = value
    return found


def _onnx_library() -> Any:
    try:
        return importlib.import_module("netwright.export.onnx_program")
    except ImportError as error:
        raise MissingCapability(
            f'ONNX needs the package {error.name!r}, which is not installed: pip install "netwright[onnx]"'
        ) from None


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say which folder cannot be written, and why."""
    try:
        yield
    except OSError as error:
        reason = disk.reason(error, out)
        raise ExportError(f"{out} cannot be written: {reason}; make room, or give another folder with --out") from None


def _refuse_foreign(out: Path) -> None:
    """Raise ExportError unless `out` is free, empty, or an earlier export."""
    if out.is_dir():
        with _writing(out):
            is_free = not any(out.iterdir()) or architecture.is_export(out)
    else:
        is_free = not os.path.lexists(out)
    if not is_free or not out.name:
        raise ExportError(f"{out} holds something that is no export of netwright; give another folder with --out")


def _put_in_place(draft: Path, out: Path) -> None:
    """Rename the draft; an earlier export steps aside first, and back when that fails."""
    _refuse_foreign(out)  # it may have been filled since the start
    if not out.exists():
        draft.rename(out)
        return
    old = draft.with_suffix(".old")
    out.rename(old)
    try:
        draft.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
