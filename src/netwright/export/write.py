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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn
from torch.export import ExportedProgram

from netwright.core import refs, run_file
from netwright.core.errors import ExportError, MissingCapability
from netwright.core.protocols import ClassifiesImages, Generates, SearchSpace
from netwright.core.records import Genotype, Preprocessing
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.export import architecture, card, load, programs, standalone
from netwright.export.check import Checked, check
from netwright.plans import source
from netwright.plans.plan import HasPlan, Plan, deployed
from netwright.report import drawing

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainedModel:
    """What an export is made of.

    Args:
        name: Of the network, for people: "best of the search, trial 21".
        run: Of the training: space, task and evaluator with all options.
        genotype: Of the network.
        weights: A safetensors file of the state of `Network(space.plan(genotype, task.io))`.
        metrics: Of the training; `test_accuracy`, a fraction, is what the export must repeat.
        seed: Of the training.
        command: That repeats the training.
    """

    name: str
    run: RunFile
    genotype: Genotype
    weights: Path
    metrics: Mapping[str, float]
    seed: int
    command: str


@dataclass(frozen=True)
class _Parts:
    """The objects that a trained model's references stand for."""

    space: SearchSpace
    task: Any  # a Task that ClassifiesImages
    plan: Plan
    preprocessing: Preprocessing
    network: nn.Module


def write(out: Path, model: TrainedModel, *, onnx: bool = False, say: Say) -> Path:
    """Write the export and prove it; docs/export.md lists the files.

    Args:
        out: The folder; an earlier export there is replaced at the very end.
        model: What to export.
        onnx: Write model.onnx as well.
        say: Told what is being done, sentence by sentence.

    Returns:
        The folder.

    Raises:
        ExportError: `out` holds something else or cannot be written; the weights do not fit; or the export does not
            compute what was trained. Nothing is left behind then.
        MissingCapability: The space has no layer plans, the task no image classes, or ONNX's libraries are missing.
    """
    out = Path(os.path.realpath(out))
    _refuse_foreign(out)
    to_onnx = _onnx_library() if onnx else None
    model = _with_drawing(model)
    parts = _parts(model)
    draft = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        with _writing(out):
            draft.mkdir(parents=True)
        say("writing source, weights and program")
        program = _write_model(draft, model, parts, out)
        classify = None
        if to_onnx:
            say("writing the ONNX file")
            data = to_onnx.to_bytes(program)
            with _writing(out):
                (draft / to_onnx.FILE).write_bytes(data)
            classify = to_onnx.runner(data)
        say(f"checking {parts.task.examples('test'):,} test images in a fresh Python process without netwright")
        channels_last = bool(_options(model.run)["evaluator"].get("channels_last", True))
        accuracy = model.metrics["test_accuracy"]
        checked = check(draft, parts.network, parts.task, accuracy=accuracy, channels_last=channels_last, onnx=classify)
        say(_verdict(checked, onnx))
        with _writing(out):
            _write_papers(draft, model, parts, checked, onnx)
            _put_in_place(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out


def _with_drawing(model: TrainedModel) -> TrainedModel:
    """Of a space of generators, the setting that draws this very network."""
    if not isinstance(refs.load("space", model.run.space), Generates):
        return model
    return replace(model, run=run_file.override(model.run, "space", {"seed": model.seed}))


def _parts(model: TrainedModel) -> _Parts:
    space: SearchSpace = refs.load("space", model.run.space)
    if not isinstance(space, HasPlan):
        raise MissingCapability(f"an export needs a space with layer plans; {model.run.space.name} has none")
    task = _image_task(model.run.task)
    if "test_accuracy" not in model.metrics:
        known = ", ".join(model.metrics) or "nothing"
        raise ExportError(f"the training measured {known} but no test_accuracy; train it with evaluator.split = 'test'")
    space.check(model.genotype)
    plan = deployed(space.plan(model.genotype, task.io))
    return _Parts(space, task, plan, task.preprocessing(), load.with_weights(plan, model.weights))


def _image_task(reference: Reference) -> Any:
    task = refs.load("task", reference)
    if not isinstance(task, ClassifiesImages):
        raise MissingCapability(f"an export needs a task that classifies images; {reference.name} does not")
    return task


def _write_model(draft: Path, model: TrainedModel, parts: _Parts, out: Path) -> ExportedProgram:
    """Write what the check reads; returns the program."""
    text = standalone.model_py(parts.plan, parts.preprocessing, model.name)
    weights = safetensors.torch.save(source.weights(parts.plan, parts.network.state_dict()))
    with _writing(out):
        (draft / "model.py").write_text(text, encoding="utf-8")
        (draft / load.WEIGHTS).write_bytes(weights)
    program = programs.program(programs.run_source(text, "model").load(draft), parts.task.io)
    data = programs.to_bytes(program)
    with _writing(out):
        (draft / programs.FILE).write_bytes(data)
    return program


def _write_papers(draft: Path, model: TrainedModel, parts: _Parts, checked: Checked, onnx: bool) -> None:
    """Write everything else: what the network is, how it was trained, how to use it."""
    space, io = parts.space, parts.task.io
    about_data = inspect.getdoc(inspect.getmodule(refs.locate("task", model.run.task.name))) or ""
    found = {**model.metrics, "test_images": checked.images, "test_correct": checked.correct}
    metrics = {**found, "test_undecided": checked.undecided, "seed": model.seed, "command": model.command}
    texts = {
        architecture.FILE: architecture.to_json(model.run.space, space, model.genotype, io, parts.plan),
        "preprocessing.json": _json(asdict(parts.preprocessing)),
        "metrics.json": _json(metrics),
        "run.toml": run_file.to_toml(model.run),
        "predict.py": standalone.predict_py(),
        "decode.py": standalone.decode_py(),
        "README.md": card.text(
            card.Facts(
                name=model.name,
                options=_options(model.run),
                key=space.key(model.genotype),
                plan=parts.plan,
                preprocessing=parts.preprocessing,
                about_data=about_data,
                caveats=parts.task.caveats(),
                images={split: parts.task.examples(split) for split in ("train+valid", "test")},
                metrics=model.metrics,
                correct=checked.correct,
                seed=model.seed,
                command=model.command,
                onnx=onnx,
            )
        ),
    }
    for name, text in texts.items():
        (draft / name).write_text(text, encoding="utf-8")
    drawing.save(drawing.draw(space.graph(model.genotype)), draft / "cell")


def _options(run: RunFile) -> dict[str, dict[str, Any]]:
    """All options of space, task and evaluator, those left at their defaults too."""
    found = {}
    for part in ("space", "task", "evaluator"):
        reference: Reference = getattr(run, part)
        accepted = refs.options_of(refs.locate(part, reference.name), without=refs.WIRED)
        defaults = {name: parameter.default for name, parameter in accepted.items()}
        found[part] = {"ref": reference.name, **defaults, **reference.options}
    return found


def _verdict(checked: Checked, onnx: bool) -> str:
    forms = "source, program and ONNX file" if onnx else "source and program"
    close = f"; {checked.undecided} too close to call were left out" if checked.undecided else ""
    return (
        f"{forms} classify {checked.images:,} test images as training did, {checked.correct:,} of them correctly{close}"
    )


def _json(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _onnx_library() -> Any:
    try:
        return importlib.import_module("netwright.export.onnx_program")
    except ImportError as error:
        raise MissingCapability(
            f'ONNX needs the package {error.name!r}, which is not installed: pip install "netwright[onnx]"'
        ) from None


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say whose fault it is that something cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
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
