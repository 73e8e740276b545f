"""Encoded images to blocks of pixels: decoded by threads, a few at a time, so that memory stays bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from netwright.core.errors import NetwrightError
from netwright.data.decode import BadImage, Form, Seen, SystemFault, brought, decode
from netwright.data.looks import looks_of
from netwright.data.pixels import sums_of

CHUNK = 8  # images that a thread decodes at a time, at most
CHUNK_BYTES = 2**23  # bytes of those images when decoded, unless one image is larger
THREADS = 16  # at most, so that no more than CHUNK * THREADS * 2 images are held

Encoded = Path | bytes | np.ndarray  # a file, the bytes of one, or an image (H, W, C) with the right channels


@dataclass(frozen=True)
class Chunk:
    """Images that were decoded together.

    Args:
        images: Those that could be decoded, uint8, shape (k, H, W, C).
        sums: Sums over each of these images, as `sums_of` gives them.
        looks: What each of these images looks like, see data/looks.py.
        seen: What decoding told of each of these images.
        outcomes: For every image that was given, in order: whether it could be decoded, and its notes or the reason.
    """

    images: np.ndarray
    sums: np.ndarray
    looks: np.ndarray
    seen: list[Seen]
    outcomes: list[tuple[bool, tuple[str, ...]]]


def decoded(images: Iterator[Encoded], form: Form, span: tuple[float, float] | None = None) -> Iterator[Chunk]:
    """The images in order, decoded by threads that are a bounded number of images ahead.

    Args:
        images: The images.
        form: What they become.
        span: What is black and white in those of 16 or 32 bits; see `decode`.

    Raises NetwrightError for an image that cannot be read now, which is no fault of its own.
    """
    threads = min(os.cpu_count() or 1, THREADS)
    ahead: deque[Future[Chunk]] = deque()
    first = next(images, None)
    waiting = first.nbytes if isinstance(first, np.ndarray) else 0
    size = max(min(CHUNK, CHUNK_BYTES // max(form.height * form.width * form.channels, waiting)), 1)
    images = images if first is None else chain([first], images)
    pool = ThreadPoolExecutor(threads)
    try:
        while encoded := list(islice(images, size)):
            ahead.append(pool.submit(_decode_chunk, encoded, form, span))
            if len(ahead) == 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(encoded: list[Encoded], form: Form, span: tuple[float, float] | None) -> Chunk:
    images: list[np.ndarray] = []
    seen: list[Seen] = []
    outcomes: list[tuple[bool, tuple[str, ...]]] = []
    for one in encoded:
        met = Seen()
        notes: tuple[str, ...] = ()
        try:
            if isinstance(one, np.ndarray):
                image = brought(one, form)
            else:
                image, notes = decode(one, **asdict(form), span=span, seen=met)
        except SystemFault as error:
            where = one if isinstance(one, Path) else "an image"
            raise NetwrightError(f"{where} cannot be read: {error}; repair that and start again") from error
        except BadImage as error:
            outcomes.append((False, (str(error),)))
            continue
        images.append(image)
        seen.append(met)
        outcomes.append((True, notes))
    block = np.stack(images) if images else np.empty((0, form.height, form.width, form.channels), np.uint8)
    looks = looks_of(block)
    looks["is_colored"] = [each.is_colored for each in seen]
    return Chunk(block, sums_of(block), looks, seen, outcomes)
