"""Libraries that are optional: imported when first needed, and named with the extra that installs them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from netwright.core.errors import MissingCapability


def check(package: str, extra: str, what: str) -> None:
    """Look for an optional library without importing it.

    Args:
        package: Name of the package as it is imported, as in "mlflow".
        extra: The extra of netwright that installs it.
        what: What needs it, for the message: "the observer mlflow".

    Raises:
        MissingCapability: It is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:  # a folder of that name in the working directory has no origin
        raise _missing(package, extra, what)


def load(module: str, extra: str, what: str) -> Any:
    """Import a module of an optional library; arguments and errors as in `check`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _missing(error.name or module, extra, what) from None


def _missing(package: str, extra: str, what: str) -> MissingCapability:
    return MissingCapability(f'{what} needs the package {package}: pip install "netwright[{extra}]"')
