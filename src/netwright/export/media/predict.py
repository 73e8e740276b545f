"""Classify image files with an exported network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from netwright.core.errors import ExportError
from netwright.core.records import Preprocessing
from netwright.core.shapes import Image, describe
from netwright.data import augment, decode
from netwright.export.architecture import read_json, read_plan
from netwright.export.load import load

PREPROCESSING = "preprocessing.json"
MAX_SIDE = 2**13  # pixels


@dataclass(frozen=True)
class Prediction:
    """What the network says about an image.

    Args:
        path: Path of the image file.
        name: Name of the likeliest class; "" where there is a fault.
        probability: Probability of that class, in [0, 1].
        fault: Why the image could not be read; "" where it could.
    """

    path: Path
    name: str = ""
    probability: float = 0.0
    fault: str = ""


def predict(folder: Path | str, images: Sequence[Path], *, batch: int = 64) -> Iterator[Prediction]:
    """Predictions in order of the images; folders among them stand for the images within, sorted.

    Args:
        folder: Folder of the export.
        images: Image files, and folders of them.
        batch: Number of images that are classified at a time.

    Raises:
        ExportError: The folder is no export, or damaged.
    """
    network, form = load(folder), _preprocessing(Path(folder))
    return _predictions(network, form, list(_files(images)), batch)


def _predictions(network: nn.Module, form: Preprocessing, files: list[Path], batch: int) -> Iterator[Prediction]:
    for start in range(0, len(files), batch):
        read = [(path, _read(path, form)) for path in files[start : start + batch]]
        pixels = [image for _, image in read if isinstance(image, np.ndarray)]
        found = iter(_classify(network, form, np.stack(pixels)) if pixels else [])
        for path, image in read:
            yield Prediction(path, fault=image) if isinstance(image, str) else Prediction(path, *next(found))


@torch.inference_mode()
def _classify(network: nn.Module, form: Preprocessing, pixels: np.ndarray) -> list[tuple[str, float]]:
    """Class and probability of images (B, H, W, C), uint8."""
    inputs = torch.from_numpy(augment.normalize(pixels, form.mean, form.sd)).permute(0, 3, 1, 2)
    highest = network(inputs).softmax(1).max(1)
    return [
        (form.classes[index], value)
        for index, value in zip(highest.indices.tolist(), highest.values.tolist(), strict=True)
    ]


def _read(path: Path, form: Preprocessing) -> np.ndarray | str:
    """The image, or why there is none."""
    if path.is_dir():
        return "holds no images"
    try:
        return decode.decode(
            path, channels=form.channels, height=form.height, width=form.width, fit=form.fit, span=form.span
        )[0]
    except decode.BadImage as error:
        return str(error)


def _files(images: Sequence[Path]) -> Iterator[Path]:
    for path in images:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in decode.EXTENSIONS and file.is_file())
        yield from found or [path]


def _preprocessing(folder: Path) -> Preprocessing:
    """The preprocessing of an exported folder, which must fit its network. Raises ExportError."""
    path, plan = folder / PREPROCESSING, read_plan(folder)
    given = plan[0].shape
    if not isinstance(given, Image):
        raise ExportError(f"the network of {folder} takes {describe(given)}; only one for images predicts from files")
    facts = read_json(path)
    try:
        form = TypeAdapter(Preprocessing).validate_python(facts)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ExportError(f"{path} is damaged at {where or 'its beginning'}; export the network again") from None
    is_sound = len(form.mean) == len(form.sd) == form.channels and all(map(math.isfinite, form.mean))
    is_sound = is_sound and all(math.isfinite(sd) and sd > 0 for sd in form.sd)
    is_sound = is_sound and (form.span is None or -math.inf < form.span[0] < form.span[1] < math.inf)
    if not is_sound or max(form.height, form.width) > MAX_SIDE:
        raise ExportError(f"{path} is damaged: its sizes, mean, sd or span cannot be; export the network again")
    expected = (*given, *plan[-1].shape)
    if (form.channels, form.height, form.width, len(form.classes)) != expected:
        raise ExportError(f"{path} does not belong to the network beside it; export the network again")
    return form
