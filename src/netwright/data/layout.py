"""Which folders are classes and which are splits; what may be meant otherwise is refused, with the folder meant."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netwright.core.errors import BadReference
from netwright.data.folder_names import Kind, alike, are_parts, is_container, kind_of, kinds_of, splits_of_one
from netwright.data.text import DOES, counted, listed, printable, shortened
from netwright.data.tree import Folder, Tree, composed, is_hidden

EVERY = "*"  # in place of names of classes: all folders there
LISTS = (".csv", ".tsv", ".txt", ".json", ".xlsx")
SHOWN = 5  # names of classes in an example, at most
SEEMS: Mapping[Kind, str] = {
    **dict.fromkeys(("train", "valid", "test", "split"), "a split"),
    "labels": "labels",
    "unlabeled": "images without labels",
}

Classes = Mapping[str, tuple[Folder, ...]]


@dataclass(frozen=True)
class Arrangement:
    """Which folders hold what.

    Args:
        folders: By split, the folder of its class folders; the root under "train" when there are no splits.
        classes: By split, the folders of each class, by name, ascending; more than one where names are the same but for
            how Unicode writes them.
        is_split: Whether there are folders of splits.
    """

    folders: Mapping[str, Folder]
    classes: Mapping[str, Classes]
    is_split: bool


def arranged(tree: Tree, wanted: Sequence[str] = ()) -> Arrangement:
    """The layout of a folder of images.

    Args:
        tree: The folder.
        wanted: Names of the classes; none: they are found, and names that look like something else are refused.

    Raises:
        BadReference: The folders are none of classes, or may be something else.
    """
    make = _Arranging(tree, tuple(map(composed, wanted)))
    try:
        layout = make.named() if wanted else make.found(tree.root)
        make.check(layout)
    except BadReference as error:
        if not (leaving := tree.links.leaving):
            raise
        raise BadReference(
            f"{error}; {counted(len(leaving), 'link')} leading out of the folder {'are' if leaving[1:] else 'is'} not "
            f"followed: {listed([shortened(path) for path in leaving])}; task.follow_links = true follows them"
        ) from None
    return layout


@dataclass(frozen=True)
class _Arranging:
    tree: Tree
    wanted: tuple[str, ...]

    def where(self, folder: Folder) -> str:
        return str(self.tree.place / folder.path) if folder.path else str(self.tree.place)

    def check(self, layout: Arrangement) -> None:
        """Raise BadReference for fewer than two classes, or one that has no training images."""
        training = layout.classes["train"]
        place = layout.folders["train"]
        if len(training) < 2:
            [(name, folders)] = training.items()
            inside = _slashed(below.name for each in folders for below in each.holding)
            flat = f", with {counted(folders[0].count, 'image')} straight in it" if is_container(name) else ""
            raise BadReference(
                f"{self.where(place)} holds one class, {shortened(name)!r}{'' if inside else flat}; there must be at "
                f"least two{_labels_in(place, *folders)}"
                + (f"; if they are {inside} inside it, put them straight into {self.where(place)}" if inside else "")
            )
        for split, classes in layout.classes.items():
            extra = [name for name in classes if name not in training]
            if not extra:
                continue
            folder = layout.folders[split].path
            if len(extra) == len(classes) and not any(alike(a) == alike(b) for a in extra for b in training):
                raise BadReference(
                    f"none of the folders in {folder}/ of {self.tree.place}, {_slashed(extra)}, is one of the classes "
                    f"in {place.path}/, {_slashed(training)}; put the images of each class in a folder named after the "
                    f"class, or give {self.where(place)} as task.path"
                )
            twin = next((f", which has {known!r}" for known in training if alike(known) == alike(extra[0])), "")
            raise BadReference(
                f"class {shortened(extra[0])!r} is in {folder}/ but not in {place.path}/ of {self.tree.place}{twin}; "
                f"add training images or remove the folder{', or give both the same name' if twin else ''}"
            )

    def found(self, folder: Folder) -> Arrangement:
        """The layout of a folder at or below the root, by the names and the content of what is in it."""
        if not folder.holding:
            raise self._without_classes(folder)
        kinds = kinds_of(each.name for each in folder.holding)
        if any(kind in DOES or kind == "split" for kind in kinds.values()):
            return self._found_splits(folder, kinds)
        if len(kinds) + 1 == len(folder.holding):
            only = next(each for each in folder.holding if each.name not in kinds)
            if only.holding:
                self.found(only)  # which may say what else is wrong
                raise BadReference(
                    f"of the folders in {self.where(folder)} only {shortened(only.name)}/ holds "
                    f"{'images' if not kinds else 'what may be classes'}: the classes are inside, one folder deeper; "
                    f"give {self.where(only)} as task.path"
                )
        return Arrangement({"train": folder}, {"train": self._classes(folder)}, False)

    def named(self) -> Arrangement:
        """The layout in which the classes are those that are wanted: of the root, or of its folders of splits."""
        root, wanted = self.tree.root, self.wanted
        if wanted == (EVERY,):
            if not root.holding:
                raise self._without_classes(root)
            return Arrangement({"train": root}, {"train": self._grouped(root.visible)}, False)
        if twice := [name for name in wanted if wanted.count(name) > 1]:
            raise BadReference(f"task.classes names {shortened(twice[0])!r} twice; name each class once")
        there = {each.name for each in root.folders}
        if there.issuperset(wanted):
            return Arrangement({"train": root}, {"train": self._chosen(root)}, False)
        splits = self._splits(root, kinds_of(each.name for each in root.holding))
        opened = {split: _opened(each) for split, each in splits.items()}
        place = opened.get("train", root)
        if missing := [name for name in wanted if name not in {each.name for each in place.folders}]:
            known = [shortened(each.name) for each in place.visible]
            meant = next((f for f in root.within if {each.name for each in f.folders}.issuperset(wanted)), None)
            raise BadReference(
                f"task.classes names {shortened(missing[0])!r}, and {self.where(place)} has no such folder; "
                + (f"give {self.where(meant)} as task.path" if meant else f"its folders: {listed(known) or 'none'}")
            )
        return Arrangement(opened, {split: self._chosen(each) for split, each in opened.items()}, True)

    def _found_splits(self, folder: Folder, kinds: Mapping[str, Kind]) -> Arrangement:
        """The layout of a folder in which there are names of splits."""
        plain = [each.name for each in folder.holding if each.name not in kinds]
        seeming = [each for each in folder.holding if kinds.get(each.name) in (*DOES, "split")]
        names = _slashed(each.name for each in seeming)
        looks = "looks like a split" if len(seeming) == 1 else "look like splits"
        meant = next((e for e in seeming if kinds[e.name] == "train" and _opened(e).holding), None)
        instead = f", or give {self.where(_opened(meant))} as task.path" if meant else ""
        if plain:
            inside = [each.name for each in _opened(meant).holding] if meant and not folder.path else []
            if {each.name for each in folder.folders}.issuperset(inside):
                inside = []
            raise BadReference(
                f"{names} in {self.where(folder)} {looks}, not like classes, beside {_slashed(plain)}; take out what "
                f"does not belong{instead}; {_choice(folder, inside or ([] if folder.path else plain))}"
            )
        flat = [each for each in seeming if not _opened(each).holding]
        if flat:
            many = [f"{shortened(each.name)}/ ({counted(each.count, 'image')})" for each in flat]
            raise BadReference(
                f"{names} in {self.where(folder)} {looks}, and there are no folders of classes in {listed(many)}"
                f"{_labels_in(folder, *flat)}; put the images of each class in a folder named after the class"
                f"{instead}" + (f"; {_anyway(folder)}" if len(folder.holding) > 1 and not meant else "")
            )
        splits = self._splits(folder, kinds)
        if "train" not in splits:
            raise BadReference(
                f"{names} in {self.where(folder)} {looks}, and there is none to train on; "
                f"name the folder of training images train/"
            )
        opened = {split: _opened(each) for split, each in splits.items()}
        return Arrangement(opened, {split: self._classes(each) for split, each in opened.items()}, True)

    def _splits(self, folder: Folder, kinds: Mapping[str, Kind]) -> dict[str, Folder]:
        """The folder of every split that has one."""
        found: dict[str, Folder] = {}
        for each in folder.holding:
            kind = kinds.get(each.name)
            if kind == "split":
                raise BadReference(
                    f"{shortened(each.name)}/ in {self.where(folder)} looks like a split, but not like which; "
                    f"name it train/, valid/ or test/; {_anyway(folder)}"
                )
            if kind in DOES and kind in found:
                raise BadReference(
                    f"{self.where(folder)} holds {shortened(found[kind].name)}/ and {shortened(each.name)}/, which "
                    f"look like the same split; keep one of them"
                )
            if kind in DOES:
                found[kind] = each
        return {split: found[split] for split in DOES if split in found}

    def _classes(self, folder: Folder) -> Classes:
        """The class folders in a folder, unless their names or what is in them say that they are something else."""
        kinds = kinds_of(each.name for each in folder.visible)
        if odd := [each for each in folder.holding if each.name in kinds]:
            told = [f"{shortened(e.name)}/ ({counted(e.count, 'image')}), like {SEEMS[kinds[e.name]]}" for e in odd]
            raise BadReference(
                f"by the names, not all folders in {self.where(folder)} look like classes: {listed(told)}; "
                f"take out what is none; {_choice(folder, [e.name for e in folder.holding if e.name not in kinds])}"
            )
        if not folder.holding:
            raise self._without_classes(folder)
        self._refuse_other_ways(folder)
        self._refuse_the_same_inside(folder)
        for each in folder.holding:
            for below in each.within:
                kind = kind_of(below.name)
                if below is not each and below.count and kind:
                    raise BadReference(
                        f"{shortened(below.name)}/ in the class folder {self.where(each)} looks like {SEEMS[kind]}, "
                        f"not like part of a class; put folders of splits around those of classes and take out what is "
                        f"no image of the class; to use all that is in class folders, {_asking(folder)}"
                    )
        return self._grouped([each for each in folder.visible if each.count or each.name not in kinds])

    def _refuse_other_ways(self, folder: Folder) -> None:
        """Raise BadReference for names that tell both a split and a class, parts of a set, and a set within itself."""
        names = [each.name for each in folder.holding]
        for each in map(_unwrapped, folder.holding):
            again = [below.name for below in each.holding if below.name in names]
            if len(again) >= max(2, len(each.holding) / 2) and not each.images:
                raise BadReference(
                    f"{self.where(each)} holds folders that have the names of classes beside it, {_slashed(again)}; "
                    f"take it out, or put their images into those; {_anyway(folder)}"
                )
        if mixed := splits_of_one(names):
            raise BadReference(
                f"the names of {_slashed(mixed)} in {self.where(folder)} tell a split and a class; put the folders of "
                f"classes into train/, valid/ and test/; {_anyway(folder)}"
            )
        if are_parts(names):
            raise BadReference(
                f"{_slashed(names)} in {self.where(folder)} look like parts of a set, not like classes"
                f"{_labels_in(folder, *folder.holding)}; put the images of each class in a folder named after the "
                f"class; {_anyway(folder)}"
            )

    def _refuse_the_same_inside(self, folder: Folder) -> None:
        """Raise BadReference for class folders that hold the same folders: the classes may be those, or they splits."""
        inside = [each for each in map(_unwrapped, folder.holding) if not each.images]
        times = Counter(below.name for each in inside for below in each.holding)
        inside = [each for each in inside if len(_repeated(each, times)) >= max(2, len(each.holding) / 2)]
        if len(inside) < 2:
            return
        common = sorted({name for each in inside for name in _repeated(each, times)})
        names = _slashed(each.path.removeprefix(folder.path).lstrip("/") for each in inside)
        same = f"{names} in {self.where(folder)} hold the same folders, {listed([shortened(n) for n in common])}"
        if all(kind_of(name) for name in common):
            raise BadReference(
                f"{same}, which look like splits of each class; put the folders of classes into train/, valid/ and "
                f"test/, not those into them; {_anyway(folder)}"
            )
        raise BadReference(f"{same}: they look like splits; name them train/, valid/ and test/; {_anyway(folder)}")

    def _chosen(self, folder: Folder) -> Classes:
        return self._grouped([each for each in folder.folders if each.name in self.wanted])

    def _grouped(self, folders: Sequence[Folder]) -> Classes:
        """Folders by name. Raises BadReference for a class without images."""
        found: dict[str, tuple[Folder, ...]] = defaultdict(tuple)
        for each in folders:
            found[each.name] += (each,)
        empty = [name for name, same in found.items() if not any(each.count for each in same)]
        if empty:
            place = Path(self.where(found[empty[0]][0])).parent
            raise BadReference(
                f"no images in {place} of class {listed([shortened(name) for name in empty])}"
                f"{self._instead(found[empty[0]][0])}; add some or remove the folder, "
                f"or name the others as task.classes"
            )
        return dict(sorted(found.items()))

    def _instead(self, folder: Folder) -> str:
        """What is in a folder instead of images."""
        others = [name for each in folder.within for name in each.others]
        if not others:
            return ""
        kinds = Counter(os.path.splitext(name)[1].lower() for name in others)
        named = listed([shortened(kind) or "no extension" for kind, _ in kinds.most_common()])
        return f": {counted(len(others), 'file')} there, none of a kind that is read ({named})"

    def _without_classes(self, folder: Folder) -> BadReference:
        where, count = self.where(folder), len(folder.images)
        straight = f", and {counted(count, 'image')} straight in it" if count else " with images" * bool(folder.visible)
        beside = "" if folder.path or not count else _around(self.tree.place)
        return BadReference(
            f"{where} holds no folders{straight}{self._instead(folder)}; put the images of each class in a folder "
            f"named after the class{beside}"
        )


def _labels_in(*folders: Folder) -> str:
    """A hint at files that may say the classes of images which stand in no folders of classes."""
    files = [shortened(name) for folder in folders for name in folder.others if name.endswith(LISTS)]
    return f" (perhaps their labels are in {listed(files)})" if files else ""


def _choice(folder: Folder, plain: Sequence[str]) -> str:
    """The remedy for who means only some of the folders, or all."""
    is_short = 2 <= len(plain) <= SHOWN and "," not in "".join(plain)
    example = f"'{','.join(map(printable, plain))}'" if is_short else "a,b,c"
    every = "" if folder.path else f", '{EVERY}' takes them all"
    return f"--task.classes {example} takes these folders as classes and leaves the rest out{every}"


def _anyway(folder: Folder) -> str:
    """The remedy for who means the folders in this one as classes, whatever they look like."""
    return f"if they are classes all the same, {_asking(folder)}"


def _asking(folder: Folder) -> str:
    names = [each.name for each in folder.holding]
    if len(names) <= SHOWN and "," not in "".join(names):
        return f"give --task.classes '{','.join(map(printable, names))}'"
    return "name them with --task.classes a,b,c" if folder.path else f"give --task.classes '{EVERY}'"


def _around(place: Path) -> str:
    """A hint at the folder around a place, if there are more folders in that: it may be the one that is meant."""
    parent = Path(os.path.realpath(place)).parent
    try:
        with os.scandir(parent) as entries:
            beside = sorted(e.name for e in entries if e.is_dir() and not is_hidden(e.name) and e.name != place.name)
    except OSError:
        return ""
    return f", or give the folder of all classes; {parent} holds {_slashed(beside)} as well" if beside else ""


def _repeated(folder: Folder, times: Mapping[str, int]) -> list[str]:
    """Names of the folders in it that other folders hold too, those of labels left out."""
    names = [below.name for below in folder.holding if times[below.name] > 1]
    return [name for name in names if kind_of(name) not in ("labels", "unlabeled")]


def _opened(split: Folder) -> Folder:
    """The folder of classes in that of a split: itself, or the one inside of an archive unpacked into its own name."""
    while len(split.holding) == 1 and not split.images:
        [inner] = split.holding
        is_same = alike(inner.name) == alike(split.name) or kind_of(inner.name) == (kind_of(split.name) or "")
        if not inner.holding or not (is_same or is_container(inner.name)):
            break
        split = inner
    return split


def _unwrapped(folder: Folder) -> Folder:
    """The folder, or the one inside that is all it holds, as long as there are folders in that."""
    while len(folder.holding) == 1 and not folder.images and folder.holding[0].holding:
        [folder] = folder.holding
    return folder


def _slashed(names: Iterable[str]) -> str:
    return listed([f"{shortened(name)}/" for name in names])
