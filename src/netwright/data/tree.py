"""What is below a folder: images by extension, other files, hidden ones and links, all of it, without opening any."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from unicodedata import is_normalized, normalize

from netwright.core.errors import BadReference
from netwright.data.decode import EXTENSIONS
from netwright.data.text import shortened

OF_SYSTEMS = frozenset(  # folders and files that systems make by themselves, thumbnails among them
    ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
)
DEEPEST = 100  # folders within folders; nobody sorts images deeper


@dataclass(frozen=True)
class Folder:
    """A folder and what is in it, names ascending.

    Args:
        path: Where it is below the root, as the disk spells it; "" for the root.
        folders: Folders in it, hidden ones too.
        images: Names of its files that are images by their extension.
        others: Names of its other files.
        hidden: Names of its hidden files.
    """

    path: str
    folders: tuple[Folder, ...] = ()
    images: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its own name, with composed letters (Unicode NFC), by which names are compared."""
        return composed(os.path.basename(self.path))

    @property
    def is_hidden(self) -> bool:
        """Whether its name says that it is not for people."""
        return is_hidden(os.path.basename(self.path))

    @cached_property
    def visible(self) -> tuple[Folder, ...]:
        """The folders in it that are not hidden."""
        return tuple(folder for folder in self.folders if not folder.is_hidden)

    @cached_property
    def holding(self) -> tuple[Folder, ...]:
        """The folders in it that are not hidden and hold images, at whatever depth."""
        return tuple(folder for folder in self.visible if folder.count)

    @cached_property
    def count(self) -> int:
        """Number of images in it and below, those in hidden places left out."""
        return len(self.images) + sum(folder.count for folder in self.visible)

    @cached_property
    def files(self) -> int:
        """Number of all files in it and below, hidden ones too."""
        own = len(self.images) + len(self.others) + len(self.hidden)
        return own + sum(folder.files for folder in self.folders)

    @property
    def image_paths(self) -> Iterator[str]:
        """Paths below the root of the images that `count` counts."""
        for folder in self.within:
            yield from (os.path.join(folder.path, name) for name in folder.images)

    @property
    def within(self) -> Iterator[Folder]:
        """The folder itself and those below that are not hidden."""
        yield self
        for folder in self.visible:
            yield from folder.within


@dataclass(frozen=True)
class Links:
    """Links below a folder, and what else is neither file nor folder: paths below the root, ascending.

    Args:
        leaving: Links that lead out of the root and are not followed.
        dead: Links that lead to nothing.
        repeated: Links to folders that are read already: around in a circle, or by another link.
        special: Sockets, pipes and devices.
        closed: Hidden folders that may not be read.
        targets: Where images that are found by way of links really are, by path below the root.
    """

    leaving: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """All that is below a folder.

    Args:
        place: The folder on this machine.
        real_place: The same, whichever links lead to it.
        root: What is in it.
        links: What is neither a file nor a folder of its own.
    """

    place: Path
    real_place: str
    root: Folder
    links: Links

    def real(self, path: str) -> str:
        """Where an image really is, whichever link leads to it."""
        return self.links.targets.get(path) or os.path.join(self.real_place, path)


def scan(place: Path, is_following: bool = False) -> Tree:
    """Everything below a folder.

    A link within the folder is followed; a folder that several links lead to is read by way of the first of them.

    Args:
        place: The folder.
        is_following: Whether to follow links that lead out of it.

    Raises:
        BadReference: There is no such folder, part of it may not be read, or it is nested too deep.
    """
    if not os.path.exists(place):
        raise BadReference(f"task.path is {str(place)!r}, which does not exist; give a folder of images")
    if os.path.isfile(place):
        arrays = ", or read its arrays with --task arrays" if place.suffix.lower() == ".npz" else ""
        raise BadReference(f"task.path is {str(place)!r}, which is a file; give the folder of the images{arrays}")
    real = os.path.realpath(place)
    links = Links()
    return Tree(place, real, _Scan(real, is_following, links).folder(real, "", (real,), False), links)


def first_images(place: Path, count: int) -> Iterator[Path]:
    """The first images below a folder that are met, at most so many, in folders that are not hidden.

    Links to folders are not followed, and what cannot be read is passed over.
    """
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if not count:
                return
            if is_image(name) and not is_hidden(name):
                count -= 1
                yield Path(folder, name)


def composed(name: str) -> str:
    """A name as it is compared with others: letters and their accents composed (Unicode NFC)."""
    return name if is_normalized("NFC", name) else normalize("NFC", name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not meant for people."""
    return name.startswith(".") or name in OF_SYSTEMS


def is_image(name: str) -> bool:
    """Whether a file of this name is an image, by its extension."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


@dataclass(frozen=True)
class _Scan:
    root: str
    is_following: bool
    links: Links
    linked: set[str] = field(default_factory=set)  # folders that links lead to

    def folder(self, place: str, path: str, around: tuple[str, ...], is_linked: bool) -> Folder:
        """The folder at `place`, called `path` below the root, inside folders that really are those of `around`."""
        if len(around) > DEEPEST:
            raise BadReference(
                f"{shortened(path)} in {self.root} is nested more than {DEEPEST} folders deep; take it out"
            )
        folders: list[Folder] = []
        files: Mapping[str, list[str]] = {"images": [], "others": [], "hidden": []}
        for entry in self._entries(place, path):
            below = os.path.join(path, entry.name)
            inside = self._folder_of(entry, below, around)
            if inside:
                folders.append(self.folder(inside, below, (*around, inside), is_linked or entry.is_symlink()))
            elif inside is None:
                kind = "hidden" if is_hidden(entry.name) else "images" if is_image(entry.name) else "others"
                files[kind].append(entry.name)
                if kind == "images" and (is_linked or entry.is_symlink()):
                    self.links.targets[below] = os.path.realpath(entry.path)
        images, others, hidden = (tuple(names) for names in files.values())
        return Folder(path, tuple(folders), images, others, hidden)

    def _entries(self, place: str, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(place) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if any(map(is_hidden, path.split(os.sep))):
                self.links.closed.append(path)
                return []
            reason = (error.strerror or str(error)).lower()
            raise BadReference(
                f"the folder {place!r} of task.path cannot be read: {reason}; change its permissions or take it out"
            ) from None

    def _folder_of(self, entry: os.DirEntry[str], path: str, around: tuple[str, ...]) -> str | None:
        """Where the folder of this entry really is; None for a file; "" for what is left out, which is kept in mind."""
        if not entry.is_symlink():
            if entry.is_dir():
                return entry.path
            if entry.is_file():
                return None
            self.links.special.append(path)
            return ""
        real = os.path.realpath(entry.path)
        if not os.path.exists(real):
            self.links.dead.append(path)
        elif not self.is_following and os.path.commonpath((real, self.root)) != self.root:
            self.links.leaving.append(path)
        elif os.path.isfile(real):
            return None
        elif not os.path.isdir(real):
            self.links.special.append(path)
        elif real in around or real in self.linked:
            self.links.repeated.append(path)
        else:
            self.linked.add(real)
            return real
        return ""
