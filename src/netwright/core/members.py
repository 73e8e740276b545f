"""What is found in a folder of the package instead of being listed, so that one more is one more file."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def members(package: str, name: str) -> list[Any]:
    """What the files of a package define by that name, in order of the files' own names; files without it pass.

    Args:
        package: Its import path.
        name: That a file defines.
    """
    path = importlib.import_module(package).__path__
    files = sorted(each.name for each in pkgutil.iter_modules(path))
    found = [importlib.import_module(f"{package}.{file}") for file in files]
    return [getattr(module, name) for module in found if hasattr(module, name)]
