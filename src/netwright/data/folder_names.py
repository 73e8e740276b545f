"""What the name of a folder says that it holds: a split, labels, images without labels, or, as any other, a class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal
from unicodedata import normalize

from netwright.data.text import DOES

Kind = Literal["train", "valid", "test", "split", "labels", "unlabeled"]

WORDS: dict[str, Kind] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "vld", "dev", "devel", "development"), "valid"),
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout"), "split"),
    **dict.fromkeys(("test", "tests", "testing", "tst"), "test"),
    **dict.fromkeys(("split", "splits"), "split"),
    **dict.fromkeys(
        ("label", "labels", "labeling", "labelling", "annotation", "annotations", "anno", "annos"), "labels"
    ),
    **dict.fromkeys(("annot", "annots", "masks", "groundtruth", "gt", "segmentation", "segmentations"), "labels"),
    **dict.fromkeys(("bbox", "bboxes", "xml", "xmls", "metadata"), "labels"),
    **dict.fromkeys(("unlabeled", "unlabelled", "unlabel", "unlabels", "unlab", "nolabel", "nolabels"), "unlabeled"),
    **dict.fromkeys(("pred", "predict", "prediction", "predictions", "inference"), "unlabeled"),
    **dict.fromkeys(("unsup", "unsupervised", "unannotated", "unsorted", "uncategorized", "unclassified"), "unlabeled"),
}
NO_LABELS = re.compile(r"(no|non|not|without)(label(s|ed|led)?|annotations?)")
SAYING_NOTHING = frozenset(
    (
        *("set", "sets", "subset", "data", "dataset", "datasets", "database", "folder", "folders", "dir", "directory"),
        *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "rgb", "jpg"),
        *("jpeg", "png", "file", "files", "sample", "samples", "example", "examples", "object", "objects", "class"),
        *(
            "classes",
            "category",
            "categories",
            "part",
            "final",
            "full",
            "all",
            "original",
            "orig",
            "raw",
            "only",
            "new",
        ),
        *("old", "clean", "cleaned", "small", "with", "and", "of", "the"),
    )
)
PARTS = frozenset(  # with a number behind them: parts of a set, as an archive that was too large is cut
    (
        *("set", "subset", "data", "dataset", "folder", "dir", "image", "images", "img", "imgs", "photos", "pics"),
        *("pictures", "files", "part", "fold", "batch", "shard", "chunk", "archive", "volume", "vol", "zip", "tar"),
    )
)
OPPOSITES = ("in", "no", "non", "not", "un", "without")  # before a name
SUFFIXES = ("images", "image", "imgs", "img", "dataset", "data", "sets", "set", "files", "folder", "split", "pics")


def kind_of(name: str) -> Kind | None:
    """What a folder of this name seems to hold; None: nothing that the name says, so that it may be a class.

    Case, numbers, separators, single letters and words that say nothing ("set", "images", "2017") do not count.
    """
    words = [_stem(word) for word in _words(name)]
    telling = [word for word in words if len(word) > 1 and word not in SAYING_NOTHING]
    joined = "".join(telling)
    if NO_LABELS.fullmatch(joined):
        return "unlabeled"
    kinds = {WORDS.get(word) for word in ([joined] if joined in WORDS else telling)}
    if not kinds or None in kinds:
        return None
    for kind in ("unlabeled", "labels"):
        if kind in kinds:
            return kind
    splits = kinds - {"split"}
    return splits.pop() if len(splits) == 1 else "split"


def is_container(name: str) -> bool:
    """Whether a name says only that there are images, or data, and not of what."""
    words = _words(name)
    return bool(words) and all(word in SAYING_NOTHING for word in words)


def kinds_of(names: Iterable[str]) -> dict[str, Kind]:
    """What those of the names seem to hold that are not like those of classes.

    Words that all names have in common do not count where the others tell splits from one another ("seg_train",
    "seg_test", "seg_pred"). "mask" may be a class of faces, but is none beside "images". Names beside what they are
    the opposite of ("valid" and "invalid"), and "label 0", "label 1" and so on, are those of classes.
    """
    listed = list(names)
    found = {name: kind_of(name) for name in listed}
    if len(listed) > 1 and all(_words(name) == ["label"] for name in listed):
        return {}
    classes = {alike(name) for name, kind in found.items() if not kind}
    found |= {name: None for name in listed if not classes.isdisjoint(no + alike(name) for no in OPPOSITES)}
    if common := set.intersection(*(set(_words(name)) for name in listed)) if len(listed) > 1 else set():
        rests = {name: kind_of(" ".join(word for word in _words(name) if word not in common)) for name in listed}
        if len({kind for kind in rests.values() if kind in DOES}) > 1:
            found = rests
    if any(map(is_container, listed)):
        found.update((name, "labels") for name in listed if _words(name) == ["mask"])
    return {name: kind for name, kind in found.items() if kind}


def splits_of_one(names: Iterable[str]) -> list[str]:
    """Those of the names that say of one thing that it is in several splits: "cats_train" and "cats_test"."""
    found: Mapping[str, dict[str, Kind]] = defaultdict(dict)
    for name in names:
        words = [_stem(word) for word in _words(name)]
        telling = [word for word in words if WORDS.get(word) in DOES]
        if len(telling) == 1 and len(words) > 1:
            words.remove(telling[0])
            found[" ".join(words)][name] = WORDS[telling[0]]
    return [name for same in found.values() if len({*same.values()}) > 1 for name in same]


def are_parts(names: Sequence[str]) -> bool:
    """Whether names differ in their numbers only and call what is in them a part of a set: "images_001", "fold2"."""
    words = {tuple(_words(name)) for name in names}
    return len(names) > 1 and len(words) == 1 and bool(PARTS.issuperset(said := words.pop()) and said)


def alike(name: str) -> str:
    """What a name has in common with others that a person takes for the same: no case, spaces or separators."""
    folded = normalize("NFKC", name).casefold()
    return "".join(c for c in folded if c.isalnum()) or folded


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without numbers."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", normalize("NFKC", name))
    return re.findall(r"[^\W\d_]+", text.casefold())


def _stem(word: str) -> str:
    """A word without "set", "images" and the like at its end, where the rest is a known one: "trainset"."""
    for suffix in SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem != word and stem in WORDS:
            return stem
    return word
