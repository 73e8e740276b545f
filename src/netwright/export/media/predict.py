"""Classify image files with an exported network."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from netwright.core import memory
from netwright.core.errors import ExportError
from netwright.core.records import Preprocessing
from netwright.core.shapes import Image, describe
from netwright.data import augment, decode
from netwright.export.architecture import read_json, read_plan
from netwright.export.load import load
from netwright.plans import counting
from netwright.plans.plan import Plan

PREPROCESSING = "preprocessing.json"
COPIES = 16  # bytes of a pixel in all forms that it has at a time: decoded, stacked, and as numbers, with room
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
        batch: Number of images that are classified at a time; fewer where memory does not hold so many.

    Raises:
        ExportError: The folder is no export, or damaged; or memory does not hold what the network makes of one image.
    """
    plan = read_plan(Path(folder))
    form = _preprocessing(Path(folder), plan)
    batch = min(batch, _most_images(plan, form))
    return _predictions(load(folder), form, _files(images), batch)


def _most_images(plan: Plan, form: Preprocessing) -> int:
    """How many images can be classified at a time. Raises ExportError where it is not even one."""
    pixels = form.channels * form.height * form.width
    size = counting.inference_bytes(plan) + COPIES * pixels
    if size > (most := memory.share()):
        raise ExportError(
            f"the network takes about {memory.size_text(size)} for one image of {form.height}x{form.width}, "
            f"and a batch may take {memory.size_text(most)}, half of what this process may have; use a machine with "
            "more memory"
        )
    return most // size


def _predictions(network: nn.Module, form: Preprocessing, files: Iterator[Path], batch: int) -> Iterator[Prediction]:
    while paths := list(islice(files, batch)):
        read = [(path, _read(path, form)) for path in paths]
        pixels = [image for _, image in read if isinstance(image, np.ndarray)]
        found = iter(_classify(network, form, np.stack(pixels)) if pixels else [])
        for path, image in read:
            name, probability = ("", 0.0) if isinstance(image, str) else next(found)
            if isinstance(image, str):
                yield Prediction(path, fault=image)
            elif not math.isfinite(probability):
                yield Prediction(path, fault="the network gives no finite numbers for it")
            else:
                yield Prediction(path, name, probability)


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
    try:
        if path.is_dir():
            os.scandir(path).close()
            return "holds no images"
        channels, fit, span = form.channels, form.fit, form.span
        return decode.decode(path, channels=channels, height=form.height, width=form.width, fit=fit, span=span)[0]
    except decode.BadImage as error:
        return str(error)
    except (OSError, ValueError) as error:  # a folder that may not be read, a name with a NUL
        return str(getattr(error, "strerror", None) or error).lower()


def _files(images: Sequence[Path]) -> Iterator[Path]:
    """Image files, one after the other, however many there are; folders without any, and those that cannot be read."""
    for path in images:
        if not path.is_dir():
            yield path
            continue
        found = _within(path)
        first = next(found, path)
        yield first
        yield from found


def _within(folder: Path) -> Iterator[Path]:
    """The image files of a folder and of those in it, sorted by name; links to folders are not followed."""
    waiting: list[Iterator[Path]] = []
    with suppress(OSError):  # `_read` says why
        waiting.append(iter(_listed(folder)))
    while waiting:
        path = next(waiting[-1], None)
        if path is None:
            waiting.pop()
        elif path.is_dir() and not path.is_symlink():
            try:
                waiting.append(iter(_listed(path)))
            except OSError:
                yield path
        elif path.suffix.lower() in decode.EXTENSIONS and path.is_file():
            yield path


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _preprocessing(folder: Path, plan: Plan) -> Preprocessing:
    """The preprocessing of an exported folder, which must fit its network. Raises ExportError."""
    path = folder / PREPROCESSING
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
    is_sound = is_sound and all(math.isfinite(sd) and sd > 0 for sd in form.sd) and all(map(_is_text, form.classes))
    is_sound = is_sound and (form.span is None or -math.inf < form.span[0] < form.span[1] < math.inf)
    if not is_sound or max(form.height, form.width) > MAX_SIDE:
        raise ExportError(
            f"{path} is damaged: its sizes, mean, sd, span or classes cannot be; export the network again"
        )
    expected = (*given, *plan[-1].shape)
    if (form.channels, form.height, form.width, len(form.classes)) != expected:
        raise ExportError(f"{path} does not belong to the network beside it; export the network again")
    return form


def _is_text(name: str) -> bool:
    """Whether a name can be written, which half a character cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
