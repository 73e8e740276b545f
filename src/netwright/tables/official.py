"""Makes a Parquet table of an official release of NATS-Bench or NAS-Bench-201. The only code that unpickles.

Unpickling runs whatever code the file holds, so nothing imports this module: `netwright import ... --trust` runs it as
a process of its own, once, and the Parquet file is read ever after.

Schema of the releases (nats_bench 1.x and nas_201_api 1.x): `meta_archs`, the architectures' strings, and `arch2infos`,
of each architecture and training schedule ("01", "12", "90", "200"; in NAS-Bench-201 "less" and "full") a dict whose
`all_results` has, by (data set, seed), dicts with `epochs`, `params` (10**6), `eval_acc1es` and `eval_times` by
"x-valid@11", `train_acc1es` and `train_times` by epoch from 0. A folder has one file per architecture instead.
"""

from __future__ import annotations

import bz2
import io
import math
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow
import pyarrow.parquet
import torch

from netwright.core import files, memory
from netwright.core.errors import NetwrightError

SCHEDULES: Final = {"less": 12, "full": 200}  # epochs of NAS-Bench-201's; others are called by theirs
TELL_EVERY: Final = 1000

# what is measured: data set, name, training set, evaluation set ("": on the training images)
# CIFAR-10 is searched with half of its training images and tested after training on all of them
MEASURES: Final = tuple(
    (dataset, measure, "cifar10-valid" if dataset == "cifar10" and measure != "test" else dataset, images)
    for dataset in ("cifar10", "cifar100", "ImageNet16-120")
    for measure, images in (
        ("train", ""),
        ("val", "x-valid"),
        ("test", "ori-test" if dataset == "cifar10" else "x-test"),
    )
)


def convert(kind: str, path: Path, out: Path) -> int:
    """Unpickle a release and write its table, one row per architecture; returns how many there are.

    Columns: `arch`, `params`, and by data set and epochs, as in `cifar10_val_acc_12ep`, means over seeds; the single
    measurements as in `cifar10_val_acc_12ep_seed777`; `cifar10_seconds_12ep`: a training and one pass over the
    validation images, which is what the benchmarks charge for a query. Accuracies are percentages.

    Args:
        kind: "nats" or "nasbench201".
        path: The release: a file, or its folder with one file per architecture.
        out: The Parquet file to write.

    Raises:
        NetwrightError: The release is not in the official schema, or damaged.
    """
    texts: list[str] = []
    columns: dict[str, list[tuple[int, float]]] = {}
    try:
        for text, schedules in _architectures(kind, path):
            for column, value in _measurements(schedules):
                columns.setdefault(column, []).append((len(texts), value))
            texts.append(str(text))
            if len(texts) % TELL_EVERY == 0:
                print(f"{len(texts):,} architectures", flush=True)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise NetwrightError(f"{path} is not in the schema of {kind}: {type(error).__name__}: {error}") from None
    except (pickle.UnpicklingError, EOFError, RuntimeError, ImportError, OSError, zipfile.BadZipFile) as error:
        raise NetwrightError(f"{path} cannot be unpickled: {error}") from None
    if not texts:
        raise NetwrightError(f"{path} holds no architecture of {kind}; give the file or the folder of the release")
    filled = {column: _filled(values, len(texts)) for column, values in sorted(columns.items())}
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"arch": texts, **_means(filled), **filled}), buffer)
    files.write(out, buffer.getvalue().to_pybytes())
    return len(texts)


def _architectures(kind: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The string of each architecture, and what was measured, by schedule."""
    read = _read_torch if kind == "nasbench201" else _read_bz2
    if not path.is_dir():
        data = read(path)
        for index in sorted(data["arch2infos"]):
            yield data["meta_archs"][index], data["arch2infos"][index]
        return
    if kind == "nasbench201":
        for file in sorted(path.glob("*-FULL.pth")):
            schedules = read(file)
            yield schedules["full"]["arch_str"], schedules
        return
    texts = read(path / "meta.pickle.pbz2")["meta_archs"]
    for file in sorted(path.glob("[0-9]*.pickle.pbz2")):
        yield texts[int(file.name.partition(".")[0])], read(file)


def _read_bz2(path: Path) -> Any:
    with bz2.open(path) as file, io.BufferedReader(_Unpacked(file, path), io.DEFAULT_BUFFER_SIZE) as bounded:
        return pickle.load(bounded)  # noqa: S301 - what the user trusts


def _read_torch(path: Path) -> Any:
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))
    _refuse_too_large(path, size)
    return torch.load(path, map_location="cpu", weights_only=False)


class _Unpacked(io.RawIOBase):
    """What a compressed file holds, up to what memory holds; reading beyond that raises NetwrightError."""

    def __init__(self, file: bz2.BZ2File, path: Path) -> None:
        self._file, self._path, self._size = file, path, 0

    def readable(self) -> bool:
        """It is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        data = self._file.read(len(buffer))
        self._size += len(data)
        _refuse_too_large(self._path, self._size)
        buffer[: len(data)] = data
        return len(data)


def _refuse_too_large(path: Path, size: int) -> None:
    if size > (most := memory.most()):
        raise NetwrightError(
            f"{path} holds more than the {memory.size_text(most)} of memory that this process may have; give the "
            "folder with a file for each architecture, or import it on a machine with more"
        )


def _measurements(schedules: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Column and value of everything that was measured of an architecture; names end with the seed."""
    for schedule, results in schedules.items():
        epochs = SCHEDULES.get(schedule) or int(schedule)
        for (training, seed), result in results["all_results"].items():
            for dataset, measure, trained_on, images in MEASURES:
                if training != trained_on:
                    continue
                yield f"{dataset}_{measure}_acc_{epochs}ep_seed{seed}", _accuracy(result, images)
                if measure == "val":
                    yield f"{dataset}_seconds_{epochs}ep_seed{seed}", _seconds(result, images)
                    if dataset == "cifar10":
                        yield "params", 1e6 * float(result["params"])


def _accuracy(result: Mapping[str, Any], images: str) -> float:
    """Accuracy after the last epoch, in percent; NaN where it was not measured."""
    last = int(result["epochs"]) - 1
    found = result["eval_acc1es"].get(f"{images}@{last}") if images else result["train_acc1es"].get(last)
    return math.nan if found is None else float(found)


def _seconds(result: Mapping[str, Any], images: str) -> float:
    """Seconds of the training and of one pass over `images`; NaN where the times were not written down."""
    epochs = range(int(result["epochs"]))
    trained, evaluated = result.get("train_times") or {}, result.get("eval_times") or {}
    try:
        passes = [float(evaluated[f"{images}@{epoch}"]) for epoch in epochs]
        return sum(float(trained[epoch]) for epoch in epochs) + sum(passes) / len(passes)
    except KeyError:
        return math.nan


def _filled(values: Sequence[tuple[int, float]], count: int) -> np.ndarray:
    """Values by row, shape (count,), NaN elsewhere."""
    column = np.full(count, np.nan)
    rows, found = zip(*values, strict=True)
    column[list(rows)] = found
    return column


def _means(single: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean over seeds of each measure that has a seed in its name, of those that are there."""
    means = {}
    for name in dict.fromkeys(column.rpartition("_seed")[0] for column in single if "_seed" in column):
        values = np.array([column for each, column in single.items() if each.rpartition("_seed")[0] == name])
        present = ~np.isnan(values)
        sums, counts = np.where(present, values, 0.0).sum(0), present.sum(0)
        means[name] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def main(words: Sequence[str]) -> int:
    """Convert a release, given kind, release and Parquet file; returns the exit code, a fault is one sentence."""
    kind, path, out = words
    try:
        count = convert(kind, Path(path), Path(out))
    except NetwrightError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count:,} architectures in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
