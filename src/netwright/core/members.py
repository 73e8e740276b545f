"""Parts that are found in a folder of the package instead of being listed: adding one means adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def members(package: str, name: str) -> list[Any]:
    """What the files of a package define by that name, in order of file names; files without it are skipped.

    Args:
        package: Import path of the package.
        name: Name that each part has in its file.
    """
    path = importlib.import_module(package).__path__
    files = sorted(each.name for each in pkgutil.iter_modules(path))
    found = [importlib.import_module(f"{package}.{file}") for file in files]
    return [getattr(module, name) for module in found if hasattr(module, name)]
