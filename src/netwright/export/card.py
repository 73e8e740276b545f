"""The model card of an exported network: README.md of the folder."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from netwright import __version__
from netwright.core.records import Preprocessing
from netwright.plans import counting
from netwright.plans.plan import Plan

LISTED = 20  # classes named in full
FITS = {
    "crop": "scaled to cover that size, the middle cut out",
    "stretch": "both sides scaled on their own",
    "pad": "scaled to fit in, black around",
}


@dataclass(frozen=True)
class Facts:
    """What the card tells.

    Args:
        name: Of the network.
        options: Of "space", "task" and "evaluator", the reference first.
        key: Of the network in its space.
        plan: Its layers.
        preprocessing: Of images.
        about_data: The task's own description.
        caveats: Sentences to stand beside any accuracy on the data.
        images: How many it was trained and tested on.
        metrics: Of the training.
        correct: Test images classified correctly.
        seed: Of the training.
        command: That repeats the training.
        onnx: Whether there is an ONNX file.
    """

    name: str
    options: Mapping[str, Mapping[str, Any]]
    key: str
    plan: Plan
    preprocessing: Preprocessing
    about_data: str
    caveats: tuple[str, ...]
    images: Mapping[str, int]
    metrics: Mapping[str, float]
    correct: int
    seed: int
    command: str
    onnx: bool


def text(facts: Facts) -> str:
    """The card, Markdown."""
    parts = (_title(facts), _use(facts), _data(facts), _architecture(facts), _training(facts), _limits(facts))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def interval(correct: int, images: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927): what chance in the choice of test images explains."""
    z, share = 1.959964, correct / images
    center = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    return max(0.0, center - half), min(1.0, center + half)


def _title(facts: Facts) -> list[str]:
    images, counts = facts.images["test"], counting.count(facts.plan)
    low, high = interval(facts.correct, images)
    form, classes = facts.preprocessing, facts.preprocessing.classes
    listed = ", ".join(map(_code, classes[:LISTED])) + (f" and {len(classes) - LISTED} more" * (len(classes) > LISTED))
    return [
        f"# {' '.join(facts.name.split())}",
        "",
        f"An image classifier found by netwright {__version__}, a neural architecture search. It puts images, brought "
        f"to {form.height}x{form.width} {'gray' if form.channels == 1 else 'RGB'} pixels, into {len(classes)} classes: "
        f"{listed}.",
        "",
        f"**{facts.correct / images:.2%} of {images:,} test images are classified correctly** ({facts.correct:,}; 95 % "
        f"interval {low:.1%} to {high:.1%}), {counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds for "
        "one image. A fresh Python process without netwright repeated that test with the files of this folder before "
        "they were put here.",
        *[f"\nNote: {caveat}." for caveat in facts.caveats],
    ]


def _use(facts: Facts) -> list[str]:
    form = facts.preprocessing
    shape = f"{form.height}, {form.width}, {form.channels}"
    rows = [
        ("model.py, weights.safetensors", "the network; needs torch only"),
        ("program.pt2", "the same as a graph: `torch.export.load`; normalized images (B, C, H, W), any B"),
        *[("model.onnx", "the same for ONNX runtimes; input `images`, output `logits`")] * facts.onnx,
        ("predict.py, decode.py", "classify image files; need torch, numpy and Pillow"),
        ("preprocessing.json, metrics.json", "sizes, mean, sd, classes; what was measured"),
        ("architecture.json, cell.svg, cell.png", "genes, counts, every layer; the drawing"),
        ("run.toml", "the settings of the training"),
    ]
    return [
        "## Use",
        "",
        *_table(("file", "what"), rows),
        "",
        "Image files: `python predict.py image.png another.jpg`. From Python, in this folder, without netwright:",
        "",
        "```python",
        "import torch",
        "from model import CLASSES, load, normalize",
        "",
        "network = load()",
        f"pixels = torch.zeros(1, {shape}, dtype=torch.uint8)  # your images, (B, H, W, C)",
        "probabilities = network(normalize(pixels)).softmax(1)",
        "print(CLASSES[probabilities[0].argmax()])",
        "```",
        "",
        "With netwright, which runs no code of this folder: `netwright predict FOLDER image.png`, or",
        "",
        "```python",
        "import netwright",
        "",
        'network = netwright.load(".")  # normalized images (B, C, H, W) to logits',
        "```",
    ]


def _data(facts: Facts) -> list[str]:
    form = facts.preprocessing
    means, sds = (", ".join(f"{value:.4f}" for value in values) for values in (form.mean, form.sd))
    return [
        "## Data",
        "",
        *_quote(facts.about_data or "The task says nothing about its data."),
        "",
        f"Trained on {facts.images['train+valid']:,} images (training and validation), tested on "
        f"{facts.images['test']:,} others. Images of another size are {FITS[form.fit]}; pixels are divided by 255, "
        f"then less the mean ({means}) and divided by the standard deviation ({sds}) of the training images.",
        "",
        *_options("task", facts),
    ]


def _architecture(facts: Facts) -> list[str]:
    counts = Counter(layer.op.label for layer in facts.plan[1:])
    layers = ", ".join(f"{count} {label}" for label, count in counts.most_common())
    return [
        "## Architecture",
        "",
        "![The searched part](cell.png)",
        "",
        f"{len(facts.plan) - 1} layers: {layers}. Key {_code(facts.key)} in the space:",
        "",
        *_options("space", facts),
    ]


def _training(facts: Facts) -> list[str]:
    measured = [(name, f"{value:.6g}") for name, value in facts.metrics.items()]
    return [
        "## Training",
        "",
        f"Seed {facts.seed}. The same again: `{' '.join(facts.command.split())}`; all settings are in run.toml.",
        "",
        *_options("evaluator", facts),
        "",
        *_table(("measured", "value"), measured),
    ]


def _limits(facts: Facts) -> list[str]:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "safetensors"))
    return [
        "## Limits",
        "",
        "- What is measured holds for images like the test images. Others, taken elsewhere or otherwise, may do worse.",
        f"- It always answers with one of its {len(facts.preprocessing.classes)} classes, also for images of nothing "
        "of the kind. Probabilities are the softmax of its logits; they were not calibrated.",
        "- It was measured on all test images together. How it does for groups of them, or of people, is not known.",
        "",
        f"Written by netwright {__version__} with Python {platform.python_version()}, {versions}.",
    ]


def _options(part: str, facts: Facts) -> list[str]:
    return _table((part, "value"), [(name, _code(value)) for name, value in facts.options[part].items()])


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def _quote(words: str) -> list[str]:
    return [f"> {line}".rstrip() for line in words.splitlines()]


def _code(value: object) -> str:
    """A value as inline code that ends neither the code, nor the line, nor the table's cell."""
    return f"`{' '.join(str(value).split()).replace('`', chr(39)).replace('|', '/')}`"
