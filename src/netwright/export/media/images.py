"""Images of named classes: model.py takes pixels, predict.py image files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright import __version__
from netwright.core.objectives import Objective
from netwright.core.protocols import ClassifiesImages, Task
from netwright.core.records import Preprocessing
from netwright.data import decode
from netwright.export import card
from netwright.export.media.predict import PREPROCESSING
from netwright.export.medium import Checked, Facts, Medium
from netwright.plans import counting
from netwright.plans.statements import WIDTH

TEMPLATES = Path(__file__).parent.parent / "templates"
LISTED = 20  # classes named in full
FITS = {
    "crop": "scaled to cover that size, the middle cut out",
    "stretch": "both sides scaled on their own",
    "pad": "scaled to fit in, black around",
}


@dataclass(frozen=True)
class Images:
    """The images of a task.

    Args:
        task: Task with the images.
        form: What happens to an image before the network sees it.
    """

    task: ClassifiesImages
    form: Preprocessing
    example: str = "image"
    inputs: str = "images"
    outputs: str = "logits"
    purpose: str = "classify"
    measure: Objective = Objective("accuracy", shown="share")

    def raw(self, start: int, inputs: Tensor) -> Tensor:
        """Pixels of the images of a batch: uint8, shape (B, H, W, C)."""
        return torch.from_numpy(self.task.pixels("test", range(start, start + len(inputs))))

    def name(self, place: int) -> str:
        """Where an image comes from, and its number."""
        return f"{self.task.names('test', [place])[0]} (test image {place})"

    def constants(self) -> list[str]:
        """Sizes, mean, deviation and classes."""
        form = self.form
        return [
            f"SIZE = ({form.channels}, {form.height}, {form.width})  # channels, height, width",
            f"FIT = {_quoted(form.fit)}  # how other sizes become this one: crop, stretch or pad",
            f"SPAN = {form.span!r}  # black and white in images of 16 or 32 bits; None: 0 and white by their type",
            *_constant("MEAN", [repr(value) for value in form.mean], "of each channel of the training images"),
            *_constant("SD", [repr(value) for value in form.sd]),
            *_constant("CLASSES", [_quoted(each) for each in form.classes]),
        ]

    def functions(self) -> str:
        """The function that normalizes pixels."""
        return (TEMPLATES / "normalize.py.txt").read_text(encoding="utf-8")

    def takes(self) -> str:
        """Normalized images, and how they are normalized."""
        form = self.form
        means, sds = (", ".join(f"{value:.6g}" for value in values) for values in (form.mean, form.sd))
        return (
            f"Images are float32 of shape (B, {form.channels}, {form.height}, {form.width}), normalized: pixels from 0 "
            f"to 255, divided by 255, less ({means}), divided by ({sds}); nothing here checks that, `normalize` of "
            "model.py does."
        )

    def remark(self) -> str:
        """What becomes of images of another size."""
        return f"Images of other sizes are brought to {self.form.height}x{self.form.width} first, as predict.py does."

    def files(self) -> Mapping[str, str]:
        """A program that classifies image files, netwright's own reader of them, and what both need to know.

        The reader needs numpy and Pillow only; it is the very file, so that none can differ.
        """
        return {
            PREPROCESSING: json.dumps(asdict(self.form), indent=1, ensure_ascii=False) + "\n",
            "predict.py": (TEMPLATES / "predict.py.txt").read_text(encoding="utf-8"),
            "decode.py": Path(str(decode.__file__)).read_text(encoding="utf-8"),
        }

    def mismatch(self, checked: Checked, recorded: float) -> str:
        """Images classified correctly, and how many the training had."""
        return (
            f"the exported network classifies {_correct(checked)} of {checked.examples} test images correctly, but "
            f"training recorded {recorded:.6g}, which is {recorded * checked.examples:.6g}"
        )

    def verdict(self, forms: str, checked: Checked) -> str:
        """How many images, and how many of them are classified correctly."""
        close = f"; {checked.undecided} too close to call were left out" if checked.undecided else ""
        return (
            f"{forms} classify {checked.examples:,} test images as training did, {_correct(checked):,} of them "
            f"correctly{close}"
        )

    def facts(self, checked: Checked) -> Mapping[str, float]:
        """How many images, how many of them classified correctly, how many too close to call."""
        return {
            "test_images": checked.examples,
            "test_correct": _correct(checked),
            "test_undecided": checked.undecided,
        }

    def about(self, facts: Facts) -> list[str]:
        """Classes, and the share of test images that are classified correctly."""
        form, counts = self.form, counting.count(facts.plan)
        images, correct = facts.checked.examples, _correct(facts.checked)
        low, high = interval(correct, images)
        more = f" and {len(form.classes) - LISTED} more" * (len(form.classes) > LISTED)
        compared = f"; {facts.note}" if facts.note else ""
        return [
            f"An image classifier found by netwright {__version__}, a neural architecture search. It puts images, "
            f"brought to {form.height}x{form.width} {'gray' if form.channels == 1 else 'RGB'} pixels, into "
            f"{len(form.classes)} classes: {', '.join(map(card.code, form.classes[:LISTED]))}{more}.",
            "",
            f"**{correct / images:.2%} of {images:,} test images are classified correctly** ({correct:,}; 95 % "
            f"interval {low:.1%} to {high:.1%}{compared}), {counts.params:,} parameters, {counts.multiply_adds:,} "
            f"multiply-adds for one image. {card.REPEATED}",
        ]

    def use(self, facts: Facts) -> list[str]:
        """The files, and how to classify with them."""
        form = self.form
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
            *card.table(("file", "what"), rows),
            "",
            "Image files: `python predict.py image.png another.jpg`. From Python, in this folder, without netwright:",
            "",
            "```python",
            "import torch",
            "from model import CLASSES, load, normalize",
            "",
            "network = load()",
            f"pixels = torch.zeros(1, {form.height}, {form.width}, {form.channels}, dtype=torch.uint8)  "
            "# your images, (B, H, W, C)",
            "probabilities = network(normalize(pixels)).softmax(1)",
            "print(CLASSES[probabilities[0].argmax()])",
            "```",
            "",
            "`normalize` takes uint8 from 0 to 255 alone and raises ValueError for anything else. program.pt2"
            f"{' and model.onnx take' if facts.onnx else ' takes'} what `normalize` gives. {self.takes()}",
            "",
            "With netwright, which runs no code of this folder: `netwright predict FOLDER image.png`, or",
            "",
            "```python",
            "import netwright",
            "",
            'network = netwright.load(".")  # normalized images (B, C, H, W) to logits',
            "```",
        ]

    def data(self, facts: Facts) -> str:
        """How many images, and what happens to them."""
        form = self.form
        means, sds = (", ".join(f"{value:.4f}" for value in values) for values in (form.mean, form.sd))
        low, high = form.span or (0, 0)
        deep = f" In images of 16 or 32 bits, values from {low:,g} to {high:,g} become 0 to 255 before." * bool(
            form.span
        )
        return (
            f"Trained on {facts.examples[facts.trained_on]:,} images {facts.whose}, tested on "
            f"{facts.examples['test']:,} others. Images of another size are {FITS[form.fit]}; pixels are divided by "
            f"255, then less the mean ({means}) and divided by the standard deviation ({sds}) of the training images."
            + deep
        )

    def limits(self, facts: Facts) -> list[str]:  # noqa: ARG002
        """Other images, images of no class, groups of images."""
        return [
            "- What is measured holds for images like the test images. Others, taken elsewhere or otherwise, may do "
            "worse.",
            f"- It always answers with one of its {len(self.form.classes)} classes, also for images of nothing "
            "of the kind. Probabilities are the softmax of its logits; they were not calibrated.",
            "- It was measured on all test images together. How it does for groups of them, or of people, is not "
            "known.",
        ]


def medium_of(task: Task, network: nn.Module) -> Medium | None:  # noqa: ARG001
    """The images of a task; None: it has none."""
    found: Any = task
    return Images(found, found.preprocessing()) if isinstance(found, ClassifiesImages) else None


def interval(correct: int, images: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927): what chance in the choice of test images explains."""
    z, share = 1.959964, correct / images
    center = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    return max(0.0, center - half), min(1.0, center + half)


def _correct(checked: Checked) -> int:
    return round(checked.value * checked.examples)


def _constant(name: str, values: Sequence[str], comment: str = "") -> list[str]:
    """A tuple on one line, or one value a line where it is too long."""
    remark = f"  # {comment}" if comment else ""
    line = f"{name} = ({', '.join(values)}{',' * (len(values) == 1)}){remark}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{name} = (", *(f"    {value}," for value in values), f"){remark}"]


def _quoted(text: str) -> str:
    """A Python string with the quotes that need fewer backslashes, double ones where that is equal."""
    written = "".join(letter if letter in "\"'" else repr(letter)[1:-1] for letter in text)
    quote = '"' if text.count('"') <= text.count("'") else "'"
    return quote + written.replace(quote, f"\\{quote}") + quote
