"""Weights and what is known of them in one file, which is read exactly as it was written or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from netwright.core import files
from netwright.plans.tensor_digest import digest

SUFFIX = ".safetensors"


def write(path: Path, weights: Mapping[str, Tensor], facts: str) -> None:
    """Write weights and facts with their checksum, whole or not at all; makes the folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"facts": facts, "checksum": digest(weights, facts)}
    files.write(path, safetensors.torch.save(dict(weights), known))


def read(path: Path) -> tuple[dict[str, Tensor], str] | None:
    """The weights and the facts; None: there is no such file, or it does not hold what was written."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            known = file.metadata()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        facts = known["facts"]
        is_whole = known["checksum"] == digest(weights, facts)
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError, RuntimeError):
        return None
    return (weights, facts) if is_whole else None


def clear(folder: Path, prefix: str) -> None:
    """Remove drafts that a kill left, and files whose name does not begin with `prefix`; failing to is no error."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            is_old = path.suffix == SUFFIX and not path.name.startswith((prefix, "."))
            is_draft = path.name.startswith(".") and path.name.endswith(".new")
            if is_old or is_draft:
                path.unlink(missing_ok=True)
