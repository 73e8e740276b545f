"""Weights and what is known of them in one file, which is read exactly as it was written or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from netwright.core import files, sealed

SUFFIX = ".safetensors"


def write(path: Path, weights: Mapping[str, Tensor], facts: str) -> None:
    """Write weights and facts, sealed, whole or not at all; makes the folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"facts": facts, "name": path.name, **sealed.UNSEALED}
    files.write(path, sealed.seal(safetensors.torch.save(dict(weights), known)))


def read(path: Path) -> tuple[dict[str, Tensor], str] | None:
    """The weights and the facts; None: there is no such file, or it does not hold what was written under this name.

    A file that does not is put aside, and a message says so.
    """
    if not path.exists():
        return None
    try:
        data = path.read_bytes()
        if sealed.is_whole(data):
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            known = header["__metadata__"]
            if known["name"] == path.name:
                return safetensors.torch.load(data), known["facts"]
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError):
        pass
    text = f"{path} does not hold what was learned; {files.put_aside(path)}; the strategy learns it anew"
    print(text, file=sys.stderr, flush=True)
    return None


def clear(folder: Path, prefix: str) -> None:
    """Remove drafts that a kill left, and files whose name does not begin with `prefix`; failing to is no error."""
    files.sweep(folder)
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if path.suffix == SUFFIX and not path.name.startswith((prefix, ".")):
                path.unlink(missing_ok=True)
