"""What becomes of every file below a folder: which images are used as what, and what is left out, with names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netwright.data.folder_names import alike
from netwright.data.layout import EVERY, Arrangement
from netwright.data.text import DOES, counted, listed, shortened
from netwright.data.tree import Folder, Tree


@dataclass(frozen=True)
class Inventory:
    """Every file below a folder, by what becomes of it: paths below the folder.

    Args:
        used: Path, split and class of every image that is used.
        again: Links that lead to an image of the same class and split.
        ignored: Files that are no images by their extension, in and beside class folders.
        beside: Images that are in no class folder but beside some.
        hidden: Hidden files.
        hidden_folders: Hidden folders.
        folders: Other folders that are neither classes nor splits nor around these.
    """

    used: list[tuple[str, str, str]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    hidden_folders: list[Folder] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many files these are."""
        own = len(self.used) + len(self.again) + len(self.ignored) + len(self.beside) + len(self.hidden)
        return own + sum(folder.files for folder in (*self.hidden_folders, *self.folders))


def taken(tree: Tree, layout: Arrangement) -> Inventory:
    """What becomes of every file of a folder in this layout."""
    found = Inventory()
    of_class = {
        folder.path: (split, name)
        for split, classes in layout.classes.items()
        for name, folders in classes.items()
        for folder in folders
    }
    around = {os.path.dirname(path) for path in of_class}  # and all folders around those
    for path in tuple(around):
        while path:
            around.add(path := os.path.dirname(path))

    def visit(folder: Folder, use: tuple[str, str] | None) -> None:
        use = of_class.get(folder.path, use)
        paths, others, hidden = (
            [os.path.join(folder.path, name) for name in names]
            for names in (folder.images, folder.others, folder.hidden)
        )
        found.ignored.extend(others)
        found.hidden.extend(hidden)
        if use:
            found.used.extend((path, *use) for path in paths)
        else:
            found.beside.extend(paths)
        for below in folder.folders:
            if below.path in of_class or below.path in around or (use and not below.is_hidden):
                visit(below, use)
            else:
                (found.hidden_folders if below.is_hidden else found.folders).append(below)

    visit(tree.root, None)
    _use_once(tree, found)
    return found


def told(tree: Tree, layout: Arrangement, wanted: Sequence[str], found: Inventory) -> tuple[str, ...]:
    """Sentences for people: which folder is taken for what, and what is left out."""
    return (*_taken_for(tree, layout, wanted), *_left_out(tree, found))


def _use_once(tree: Tree, found: Inventory) -> None:
    """Of several ways to an image in one class and split, keep one, without a link if there is such."""
    if not tree.links.targets:
        return
    ways: Mapping[tuple[str, str, str], list[str]] = defaultdict(list)
    for path, split, name in found.used:
        ways[tree.real(path), split, name].append(path)
    kept = {min(paths, key=lambda path: (path in tree.links.targets, path)) for paths in ways.values()}
    found.again.extend(path for path, _, _ in found.used if path not in kept)
    found.used[:] = [use for use in found.used if use[0] in kept]


def _taken_for(tree: Tree, layout: Arrangement, wanted: Sequence[str]) -> list[str]:
    training, place = layout.classes["train"], tree.place
    named = ""
    if wanted:
        named = ", all of them, as task.classes says" if tuple(wanted) == (EVERY,) else ", those of task.classes"
    lines = []
    if layout.is_split:
        parts = [f"{shortened(folder.path)}/ to {DOES[split]}" for split, folder in layout.folders.items()]
        cut = [f"to {does}" for split, does in DOES.items() if split not in layout.folders]
        rest = f"; images {' and '.join(cut)} are cut from those to train" if cut else ""
        lines.append(f"splits, as folders of {place} have them: {', '.join(parts)}{rest}")
        lines.append(f"classes: the {len(training):,} folders in those{named}: {_names(training)}")
    else:
        lines.append(
            f"classes: {len(training):,} folders in {place}{named}: {_names(training)}; splits are cut at random"
        )
    folders = [(name, folder) for classes in layout.classes.values() for name, fs in classes.items() for folder in fs]
    if deep := [folder for _, folder in folders if folder.holding]:
        shown = [f"{shortened(f.path)}/ ({listed([shortened(b.name) for b in f.holding])})" for f in deep[:3]]
        more = f" and {len(deep) - 3:,} more" * (len(deep) > 3)
        lines.append(f"images in folders inside a class folder count as its class: {', '.join(shown)}{more}")
    if merged := [name for classes in layout.classes.values() for name, fs in classes.items() if len(fs) > 1]:
        lines.append(
            f"folders whose names differ only in how Unicode writes them are one class: {_names(dict.fromkeys(merged))}"
        )
    twins: Mapping[str, list[str]] = defaultdict(list)
    for name in training:
        twins[alike(name)].append(repr(shortened(name)))
    for same in (" and ".join(names) for names in twins.values() if len(names) > 1):
        lines.append(f"{same} are classes of their own, though their names differ in case or separators only")
    return lines


def _left_out(tree: Tree, found: Inventory) -> list[str]:
    links = tree.links
    image_folders = [folder for folder in found.hidden_folders if folder.count]
    other_folders = [folder for folder in found.hidden_folders if not folder.count]
    naming = "if one is a class, name all classes as task.classes"
    sentences = (
        (found.ignored, "file", "ignored, no image by extension", ""),
        (found.beside, "image", "left out, beside the folders of classes, not in one", ""),
        (found.folders, "folder", "left out, neither a class nor a split", ""),
        (image_folders, "hidden folder", "with images left out", naming),
        (other_folders, "hidden folder", "left out", ""),
        (found.hidden, "hidden file", "left out", ""),
        (found.again, "link", "left out, which leads to an image of the same class that is used already", ""),
        (links.leaving, "link", "not followed, leading out of the folder", "task.follow_links = true follows them"),
        (links.dead, "link", "left out, leading to nothing", ""),
        (links.repeated, "link", "left out, leading to a folder that is read already", ""),
        (links.special, "entry", "left out, neither file nor folder", ""),
        (links.closed, "hidden folder", "left out that may not be read", ""),
    )
    return [_sentence(what, noun, why, remedy) for what, noun, why, remedy in sentences if what]


def _sentence(what: Sequence[str | Folder], noun: str, why: str, remedy: str) -> str:
    named = [_content(each) if isinstance(each, Folder) else shortened(each) for each in what]
    return f"{counted(len(what), noun)} {why}: {listed(named)}{remedy and f'; {remedy}'}"


def _content(folder: Folder) -> str:
    """A folder that is left out, with what is in it."""
    files = folder.files - folder.count
    parts = [counted(folder.count, "image")] * bool(folder.count) + [counted(files, "other file")] * bool(files)
    return f"{shortened(folder.path)}/ ({' and '.join(parts) or 'empty'})"


def _names(classes: Mapping[str, object]) -> str:
    return listed([shortened(name) for name in classes])
