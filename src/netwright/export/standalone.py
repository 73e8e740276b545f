"""model.py of an exported folder, which runs without netwright."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import Template
from textwrap import fill

from netwright import __version__
from netwright.core.errors import ExportError
from netwright.export.medium import Medium
from netwright.plans import counting, source
from netwright.plans.plan import Plan
from netwright.plans.statements import WIDTH

TEMPLATE = Path(__file__).parent / "templates" / "model.py.txt"


def model_py(plan: Plan, medium: Medium, name: str) -> str:
    """A module with the network's classes, a function that loads it, and what the medium has to say.

    It needs torch only, and is formatted as ruff does.

    Raises:
        ExportError: The source code that operations write is no Python, or defines what the module has already.
    """
    classes, counts = source.classes(plan), counting.count(plan)
    about = (
        f"{counts.params:,} parameters, {counts.multiply_adds:,} multiply-adds for one {medium.example}. "
        f"{medium.remark()} Comments such as `# 1to2 / 3to4` name the part of the architecture that follows, from the "
        "outside in, as cell.svg has them."
    )
    constants = medium.constants()
    end = Template(TEMPLATE.read_text(encoding="utf-8"))
    code = classes + end.substitute(purpose=medium.purpose, functions=medium.functions())
    abstract = [name for name in ("Callable", "Mapping", "Sequence") if re.search(rf"\b{name}\b", code)]
    lines = [
        f'"""{_one_line(name)}: a network found by netwright {__version__}. Needs torch only.',
        "",
        fill(about, WIDTH),
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "import hashlib",
        "import json",
        *["import re"] * bool(re.search(r"\bre\.", code)),
        *[f"from collections.abc import {', '.join(abstract)}"] * bool(abstract),
        "from pathlib import Path",
        *["from typing import Any"] * bool(re.search(r"\bAny\b", code)),
        "",
        "import torch",
        *["import torch.nn.functional as F"] * ("F." in classes),
        "from torch import Tensor, nn",
        "",
        *[*constants, ""] * bool(constants),
        "",
    ]
    text = "\n".join(lines) + "\n" + code
    _refuse_clashes(text)
    return text


def _refuse_clashes(text: str) -> None:
    """Raise ExportError where a module would define one name twice, or one that means something in Python."""
    try:
        names = Counter(_names(ast.parse(text)))
    except SyntaxError as error:
        line = (error.text or "").strip()[:WIDTH]
        raise ExportError(
            f"the source code of the network is no Python: {error.msg} in {line!r}; correct the operation of it"
        ) from None
    for name, times in names.items():
        if times > 1 or hasattr(builtins, name):
            raise ExportError(
                f"{name} means something else in the source code of the network already; give the class or function "
                "of an operation, or the scope, that is called so another name"
            )


def _names(module: ast.Module) -> Iterator[str]:
    """The names that statements of a module define."""
    for statement in module.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (each.asname or each.name for each in statement.names)
        elif isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _one_line(text: str) -> str:
    """Safe within a docstring."""
    words = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:60]
