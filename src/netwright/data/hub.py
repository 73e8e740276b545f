"""Labeled images fetched by the `datasets` library, which is optional: imported when first asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core.errors import MissingCapability, NetwrightError
from netwright.data.chunks import Encoded
from netwright.data.text import row_name

ROWS = 32  # read at a time


@dataclass(frozen=True)
class HubImages:
    """Splits of a data set that `datasets` has loaded, one after the other; fits `Source` of data/cache.py.

    Args:
        splits: Each split by name, a `datasets.Dataset` whose images are not decoded.
        image: Name of the column of images.
        label: Name of the column of labels.
    """

    splits: Mapping[str, Any]
    image: str
    label: str

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every row, int64, shape (N,)."""
        return np.concatenate([np.array(split[self.label], np.int64) for split in self.splits.values()])

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Number of rows of each split."""
        return {name: len(split) for name, split in self.splits.items()}

    def name(self, position: int) -> str:
        """The split and the row in it: "test 17"."""
        return row_name(self.counts, position)

    def describe(self, _positions: np.ndarray, /) -> Mapping[str, Any]:
        """The fingerprint of every split, which `datasets` makes from its content."""
        prints = {name: split._fingerprint for name, split in self.splits.items()}  # no public name
        return {"kind": "datasets", "column": self.image, "fingerprints": prints}

    def copies(self, _positions: np.ndarray, /) -> list[list[int]]:
        """No groups: published data is taken as it is."""
        return []

    def content(self, _positions: np.ndarray, /) -> Sequence[int]:
        """No numbers: how rows are packed may differ from host to host."""
        return []

    def images(self, positions: np.ndarray) -> Iterator[Encoded]:
        """The encoded images, read a few rows at a time."""
        start = 0
        for split in self.splits.values():
            stop = start + len(split)
            inside = positions[np.searchsorted(positions, start) : np.searchsorted(positions, stop)] - start
            for first in range(0, len(inside), ROWS):
                for value in split[inside[first : first + ROWS].tolist()][self.image]:
                    yield value["bytes"] if value["bytes"] is not None else Path(value["path"])
            start = stop


def check_datasets(name: str) -> None:
    """Raise MissingCapability unless `datasets` is installed, which would fetch `name`."""
    found = importlib.util.find_spec("datasets")
    if found is None or found.origin is None:  # a folder of that name in the working directory has no origin
        raise MissingCapability(
            f'fetching {name} needs the package datasets: pip install "netwright[datasets]", '
            f"or give a folder of its parquet files as task.path"
        )


def fetch(name: str, image: str, label: str) -> HubImages:
    """The splits "train" and "test" of a data set on the Hugging Face hub, or of its local copy.

    Raises:
        NetwrightError: It cannot be fetched; says why.
    """
    try:
        datasets = importlib.import_module("datasets")
        loaded = datasets.load_dataset(name)
        undecoded = datasets.Image(decode=False)
        return HubImages({s: loaded[s].cast_column(image, undecoded) for s in ("train", "test")}, image, label)
    except Exception as error:  # network, hub or disk: whatever fails, a folder of files is the remedy
        reason = " ".join(str(error).split())[:200]
        raise NetwrightError(
            f"{name} cannot be fetched: {reason}; give a folder of its parquet files as task.path"
        ) from error
