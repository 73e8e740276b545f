"""The Python files of an exported folder, which run without netwright: model.py, predict.py, decode.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from netwright import __version__
from netwright.core.records import Preprocessing
from netwright.data import decode
from netwright.plans import counting, source
from netwright.plans.plan import Plan
from netwright.plans.statements import WIDTH

TEMPLATES = Path(__file__).parent / "templates"


def model_py(plan: Plan, preprocessing: Preprocessing, name: str) -> str:
    """A module with the network's classes, what it was trained on, and functions to load and to normalize.

    It needs torch only, and is formatted as ruff does.
    """
    classes, counts = source.classes(plan), counting.count(plan)
    about = (
        f"{counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds for one image. Images of other sizes "
        f"are brought to {preprocessing.height}x{preprocessing.width} first, as predict.py does. Comments such as "
        "`# 1to2 / 3to4` name the part of the architecture that follows, from the outside in, as cell.svg has them."
    )
    lines = [
        f'"""{_one_line(name)}: a network found by netwright {__version__}. Needs torch only.',
        "",
        fill(about, WIDTH),
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "import json",
        "from pathlib import Path",
        "",
        "import torch",
        *["import torch.nn.functional as F"] * ("F." in classes),
        "from torch import Tensor, nn",
        "",
        f"SIZE = ({preprocessing.channels}, {preprocessing.height}, {preprocessing.width})  # channels, height, width",
        f"FIT = {_quoted(preprocessing.fit)}  # how other sizes become this one: crop, stretch or pad",
        *_constant("MEAN", [repr(value) for value in preprocessing.mean], "of each channel of the training images"),
        *_constant("SD", [repr(value) for value in preprocessing.sd]),
        *_constant("CLASSES", [_quoted(each) for each in preprocessing.classes]),
        "",
        "",
    ]
    return "\n".join(lines) + "\n" + classes + (TEMPLATES / "model.py.txt").read_text(encoding="utf-8")


def predict_py() -> str:
    """The program that classifies image files; it stands beside model.py and decode.py."""
    return (TEMPLATES / "predict.py.txt").read_text(encoding="utf-8")


def decode_py() -> str:
    """netwright's own reader of images, which needs numpy and Pillow only: the very file, so that none can differ."""
    return Path(str(decode.__file__)).read_text(encoding="utf-8")


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


def _one_line(text: str) -> str:
    """Safe within a docstring."""
    words = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:60]
