"""How a trained network does on every test image: what confusion matrices and pictures of mistakes are made of.

No torch: a report of many runs reads these files without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from netwright.core import reading, sealed
from netwright.core.reading import BadText

OUTCOME = "outcome.safetensors"  # in the folder of the training
WORST = 24  # images kept, those of the largest loss


@dataclass(frozen=True)
class Outcome:
    """Predictions on a split of N images, and its K worst images.

    Args:
        targets: True classes, shape (N,), int64.
        predictions: Predicted classes, shape (N,), int64.
        losses: Cross entropy of every image in nats, shape (N,), float32.
        worst: Pixels of the images of the largest loss, largest first, shape (K, H, W, C), uint8.
        worst_positions: Positions of these images in the split, shape (K,), int64.
        worst_names: Where these images come from.
        classes: Names of the classes in order of the outputs.
        caveats: Sentences to stand beside the accuracy.
    """

    targets: np.ndarray
    predictions: np.ndarray
    losses: np.ndarray
    worst: np.ndarray
    worst_positions: np.ndarray
    worst_names: tuple[str, ...]
    classes: tuple[str, ...]
    caveats: tuple[str, ...] = ()


def to_bytes(outcome: Outcome) -> bytes:
    """The outcome as a safetensors file."""
    arrays = {name: np.ascontiguousarray(getattr(outcome, name)) for name in _ARRAYS}
    texts = {name: json.dumps(getattr(outcome, name)) for name in _TEXTS}
    return sealed.seal(safetensors.numpy.save(arrays, metadata={**texts, **sealed.UNSEALED}))


def read(path: Path) -> Outcome:
    """Read what `to_bytes` gave. Raises OSError or, for a file that is none or is damaged, SafetensorError."""
    data = path.read_bytes()
    if sealed.is_whole(data) is False:
        raise safetensors.SafetensorError(f"{path} is damaged")
    arrays = safetensors.numpy.load(data)
    try:
        texts = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
        fields: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        fields |= {n: tuple(reading.json_value(texts.get(n, "[]"), reading.MAX_STORED)) for n in _TEXTS}
        found = Outcome(**fields)
    except (BadText, KeyError, TypeError, ValueError):
        raise safetensors.SafetensorError(f"{path} is no outcome") from None
    if wrong := _fault(found):
        raise safetensors.SafetensorError(f"{path} is no outcome: {wrong}")
    return found


def _fault(found: Outcome) -> str:
    """What in an outcome cannot be shown; "" where nothing is."""
    images, worst, classes = len(np.atleast_1d(found.targets)), len(found.worst_names), len(found.classes)
    kinds = {"targets": np.int64, "predictions": np.int64, "losses": np.float32}
    kinds |= {"worst": np.uint8, "worst_positions": np.int64}
    for name, kind in kinds.items():
        if getattr(found, name).dtype != kind:
            return f"{name} are no {np.dtype(kind)}"
    shapes = {"targets": (images,), "predictions": (images,), "losses": (images,), "worst_positions": (worst,)}
    for name, shape in shapes.items():
        if getattr(found, name).shape != shape:
            return f"the shape of {name}"
    pixels = found.worst.shape
    if len(pixels) != 4 or pixels[0] != worst or pixels[3] not in (1, 3) or 0 in pixels[1:]:
        return "the shape of worst"
    if not all(isinstance(text, str) for name in _TEXTS for text in getattr(found, name)):
        return "its texts"
    limits = {"targets": classes, "predictions": classes, "worst_positions": images}
    if not images or any(
        ((values := getattr(found, name)) < 0).any() or (values >= limit).any() for name, limit in limits.items()
    ):
        return "a class or a position that is not there"
    return ""


_ARRAYS = ("targets", "predictions", "losses", "worst", "worst_positions")
_TEXTS = ("worst_names", "classes", "caveats")
