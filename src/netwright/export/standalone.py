"""model.py of an exported folder, which runs without netwright."""

from __future__ import annotations

from pathlib import Path
from string import Template
from textwrap import fill

from netwright import __version__
from netwright.export.medium import Medium
from netwright.plans import counting, source
from netwright.plans.plan import Plan
from netwright.plans.statements import WIDTH

TEMPLATE = Path(__file__).parent / "templates" / "model.py.txt"


def model_py(plan: Plan, medium: Medium, name: str) -> str:
    """A module with the network's classes, a function that loads it, and what the medium has to say.

    It needs torch only, and is formatted as ruff does.
    """
    classes, counts = source.classes(plan), counting.count(plan)
    about = (
        f"{counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds for one {medium.example}. "
        f"{medium.remark()} Comments such as `# 1to2 / 3to4` name the part of the architecture that follows, from the "
        "outside in, as cell.svg has them."
    )
    constants = medium.constants()
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
        *[*constants, ""] * bool(constants),
        "",
    ]
    end = Template(TEMPLATE.read_text(encoding="utf-8"))
    return "\n".join(lines) + "\n" + classes + end.substitute(purpose=medium.purpose, functions=medium.functions())


def _one_line(text: str) -> str:
    """Safe within a docstring."""
    words = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:60]
