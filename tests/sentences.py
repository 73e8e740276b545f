"""What netwright says to bad input: every kind is made for real and given to the command line.

`python -m tests.sentences` prints a table of what was given and what was said; test_sentences.py checks it.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from netwright.cli.main import main
from tests import bad_images, tiny_data

TINY = [
    *("--space", "hierarchical(motifs=(2,1),nodes=(3,3),channels=2)", "--executor", "inline"),
    *("--evaluator.steps", "1", "--evaluator.batch", "8", "--trials", "1"),
]


@dataclass(frozen=True)
class Case:
    """A kind of bad input.

    Args:
        name: For people.
        make: Writes it below a folder; returns the task's reference.
        says: Part of what is said.
        is_refused: The command ends with exit code 2 and one sentence; else it goes on and says so.
    """

    name: str
    make: Callable[[Path], str]
    says: str
    is_refused: bool = True


def folder_with(change: Callable[[Path], object], images: int = 120, **options: object) -> Callable[[Path], str]:
    """An image folder of two classes, changed."""

    def make(place: Path) -> str:
        root = tiny_data.photos(place / "photos", ("cat", "dog"), images)
        change(root)
        listed = "".join(f",{name}={value!r}" for name, value in options.items())
        return f"image_folder(path={str(root)!r},size=8,cache={str(place / 'cache')!r}{listed})"

    return make


def parquet_with(change: Callable[[dict], dict]) -> Callable[[Path], str]:
    """CIFAR-10's layout with its columns changed."""

    def make(place: Path) -> str:
        folder = tiny_data.cifar(place / "cifar")
        for path in folder.glob("*.parquet"):
            columns = change(dict(pq.read_table(path).to_pydict()))
            pq.write_table(pa.table(columns), path)
        return f"cifar10(path={str(folder)!r},valid=20,cache={str(place / 'cache')!r})"

    return make


def arrays_with(**changed: np.ndarray) -> Callable[[Path], str]:
    """Images and labels, some of them changed."""

    def make(place: Path) -> str:
        arrays = {"images": np.zeros((40, 8, 8, 3), np.uint8), "labels": np.arange(40) % 2} | changed
        np.savez(place / "data.npz", **arrays)
        return f"arrays(path={str(place / 'data.npz')!r},cache={str(place / 'cache')!r})"

    return make


def add(write: Callable[..., object], name: str = "odd.png", **how: object) -> Callable[[Path], object]:
    return lambda root: write(root / "cat" / name, **how)


def only(name: str, count: int) -> Callable[[Path], None]:
    """Leave so many images of a class."""

    def change(root: Path) -> None:
        for path in sorted((root / name).iterdir())[count:]:
            path.unlink()

    return change


def in_one_split(root: Path) -> None:
    for split, names in (("train", ("cat", "dog")), ("test", ("cat", "dog", "bird"))):
        tiny_data.photos(root / split, names, 5)
    for name in ("cat", "dog"):
        shutil.rmtree(root / name)


def twins(root: Path) -> None:
    bad_images.mislabeled(root / "cat" / "same.png", root / "dog" / "same.png")


def three_broken(root: Path) -> None:
    bad_images.zero_byte(root / "cat" / "empty.jpg")
    bad_images.unreadable(root / "dog" / "text.png")
    bad_images.truncated(root / "dog" / "half.jpg")


def all_broken(root: Path) -> None:
    for path in root.glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:-30])


def unknown_kind(root: Path) -> None:
    for path in (root / "dog").iterdir():
        path.rename(path.with_suffix(".heic"))


def other_splits(root: Path) -> None:
    for name in ("cat", "dog"):
        (root / "training").mkdir(exist_ok=True)
        (root / name).rename(root / "training" / name)
    tiny_data.photos(root / "testing", ("cat", "dog"), 5)


def unsorted_splits(root: Path) -> None:
    for name, split in (("cat", "train"), ("dog", "test")):
        (root / name).rename(root / split)


def one_folder_more(root: Path) -> None:
    (root / "animals").mkdir()
    for name in ("cat", "dog"):
        (root / name).rename(root / "animals" / name)


def hidden_class(root: Path) -> None:
    tiny_data.photos(root, (".cow",), 5)


def copied(root: Path) -> None:
    for path in sorted((root / "cat").iterdir()):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))


def longest(root: Path) -> None:
    bad_images.zero_byte(root / "cat" / bad_images.LONGEST)


CASES = (
    Case("no such folder", lambda place: f"image_folder(path={str(place / 'none')!r})", "none"),
    Case(
        "folder without classes",
        folder_with(lambda root: [only(c, 0)(root) or (root / c).rmdir() for c in ("cat", "dog")]),
        "class",
    ),
    Case("empty class", folder_with(only("dog", 0)), "dog"),
    Case("class of one image", folder_with(only("dog", 1)), "dog"),
    Case("class only in one split", folder_with(in_one_split), "bird"),
    Case("unreadable image", folder_with(add(bad_images.unreadable)), "cat/odd.png", False),
    Case("zero bytes", folder_with(add(bad_images.zero_byte)), "cat/odd.png", False),
    Case("truncated image", folder_with(add(bad_images.truncated, "odd.jpg")), "cat/odd.jpg", False),
    Case("60,000 x 60,000 PNG", folder_with(add(bad_images.bomb)), "cat/odd.png", False),
    Case("mislabeled: one picture in two classes", folder_with(twins), "same.png", False),
    Case("CMYK", folder_with(add(bad_images.cmyk, "odd.jpg")), "CMYK", False),
    Case("16 bits", folder_with(add(bad_images.sixteen_bit)), "16", False),
    Case("animated", folder_with(add(bad_images.animated, "odd.gif")), "first of several frames", False),
    Case("turned by EXIF", folder_with(add(bad_images.rotated, "odd.jpg")), "EXIF", False),
    Case("wrong extension", folder_with(add(bad_images.wrong_extension)), "cat/odd.png", False),
    Case("more than 1 % broken", folder_with(three_broken), "3 of 243 images (1.23%) are broken"),
    Case("every image broken", folder_with(all_broken), "240 of 240 images (100.00%) are broken: 240 truncated"),
    Case("copies of images in another split", folder_with(copied), "left out, a copy of which validates", False),
    Case("images of no known kind", folder_with(unknown_kind), "120 files there, none of a kind that is read (.heic)"),
    Case("splits under other names", folder_with(other_splits), "training/ to train, testing/ to test", False),
    Case("images straight in splits", folder_with(unsorted_splits), "test/, train/"),
    Case("one folder too high", folder_with(one_folder_more), "photos/animals as task.path"),
    Case(
        "class that begins with a dot", folder_with(hidden_class), "1 hidden folder with images left out: .cow/", False
    ),
    Case("very long name", folder_with(longest), "…", False),
    Case("unicode name", folder_with(add(bad_images.zero_byte, "кошка 猫.png")), "кошка 猫.png", False),
    Case("no parquet", lambda place: f"cifar10(path={str(place)!r})", "train*.parquet"),
    Case("missing column", parquet_with(lambda c: {"img": c["img"]}), "label"),
    Case("renamed column", parquet_with(lambda c: {"picture": c["img"], "label": c["label"]}), "img"),
    Case("wrong type of column", parquet_with(lambda c: {"img": c["img"], "label": ["a"] * len(c["img"])}), "label"),
    Case("label out of range", parquet_with(lambda c: {**c, "label": [*c["label"][:-1], 10]}), "10"),
    Case("negative label", parquet_with(lambda c: {**c, "label": [*c["label"][:-1], -1]}), "-1"),
    Case("arrays of wrong shape", arrays_with(images=np.zeros((40, 64), np.uint8)), "(40, 64)"),
    Case("arrays of wrong type", arrays_with(images=np.zeros((40, 8, 8), np.float64)), "float64"),
    Case("arrays of different length", arrays_with(labels=np.zeros(39, int)), "39"),
    Case("labels that are no numbers", arrays_with(labels=np.full(40, "a")), "labels"),
    Case("label of an array out of range", arrays_with(labels=np.array([-1] + [0, 1] * 19 + [0])), "-1"),
)


def given(case: Case, place: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a search on the input."""
    return command("search", *TINY, "--task", case.make(place), "--out", str(place / "run"))


def command(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as left:
            code = left.code or 0
    return int(str(code)), out.getvalue(), err.getvalue()


@contextmanager
def disk(place: Path, how: str) -> Iterator[Path | None]:
    """A file system of its own, mounted as `how` says; None: mounting is not allowed here."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(place)], capture_output=True)
    try:
        yield place if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(place)], check=True)


DISKS = (("read-only", "ro,size=1m"), ("full", "size=16k"))
INODES = "size=8m,nr_inodes=1"  # of a disk with room and no file to be made


def on_disk(place: Path, how: str, use: str) -> tuple[int, str] | None:
    """Exit code and what is said when the run's folder, the cache or the export is on such a disk; None: not tried."""
    root = tiny_data.photos(place / "photos", ("cat", "dog"), 40, side=32)
    task = f"image_folder(path={str(root)!r},size=32,cache="
    with disk(place / "disk", how) as mounted:
        if mounted is None:
            return None
        if use == "cache":
            task += f"{str(mounted / 'cache')!r})"
            code, _, said = command("search", *TINY, "--task", task, "--out", str(place / "run"))
            return code, said
        where = {"run": str(mounted / "run"), "export": str(place / "run")}[use]
        code, _, said = command("search", *TINY, "--task", f"{task}{str(place / 'cache')!r})", "--out", where)
        if use == "export":
            command("train", where, "--epochs", "1", "--no-reference")
            code, _, said = command("export", where, "--out", str(mounted / "export"))
        return code, said


def what_was_said(case: Case, out: str, err: str) -> str:
    """The sentence of a refusal, or the line of a report that names the odd one."""
    lines = err.splitlines() if case.is_refused else [line for line in out.splitlines() if case.says in line]
    return " ".join(lines)


if __name__ == "__main__":
    print("| given | said | exit |\n|---|---|---|")
    for each in CASES:
        with tempfile.TemporaryDirectory() as name:
            code, out, err = given(each, Path(name))
            print(f"| {each.name} | {what_was_said(each, out, err).replace(name, 'DATA')} | {code} |")
    for kind, how in DISKS:
        for use in ("run", "cache", "export"):
            with tempfile.TemporaryDirectory() as name:
                code, said = on_disk(Path(name), how, use) or ("", "(cannot be tried: mounting is not allowed here)")
                print(f"| {kind} disk for the {use} | {said.strip().replace(name, 'DATA')} | {code} |")
    sys.exit(0)
