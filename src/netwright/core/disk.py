"""What the disk under a folder has left, and which kind of disk it is."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netwright.core.memory import size_text

LEAST_BYTES, LEAST_FILES = 200e6, 1000  # of a disk that is as good as full
FEW: Final = 8  # files: as many as one that is written at once may take beside it
FULL: Final = "the disk is full"
MOUNTS: Final = Path("/proc/self/mountinfo")
NETWORK: Final = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs"),
        *("pvfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"),
    ]
)


@dataclass(frozen=True)
class Left:
    """What a disk has left for this user.

    Args:
        size: Bytes.
        files: How many files and folders (inodes) can still be made; None: as many as there is room for.
    """

    size: int
    files: int | None = None

    @property
    def shortage(self) -> str:
        """What is nearly or wholly used up, with what is left of it, in words; "": nothing is."""
        if self.files is not None and self.files < LEAST_FILES:
            room = f", though {size_text(self.size)} are free" if self.size >= LEAST_BYTES else ""
            return f"its disk has inodes for {self.files:,} more files{room}"
        return f"its disk has {size_text(self.size)} left" if self.size < LEAST_BYTES else ""


def left(folder: Path) -> Left | None:
    """What the disk of a folder has left; None: the system does not say."""
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):  # Windows has none
        return None
    return Left(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def is_read_only(folder: Path) -> bool:
    """Whether the disk of a folder takes no writes at all, whoever asks."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):
        return False


def why_full(path: Path) -> str:
    """What is used up where the system said, of something at a path, that no space is left on the device."""
    here = path if path.is_dir() else path.parent
    found = left(here)
    if found is None or found.files is None or found.files > FEW or found.size < LEAST_BYTES / 100:
        return FULL
    return (
        f"the disk takes no more files: its inodes are used up, though {size_text(found.size)} are free (remove small "
        "files that nobody needs)"
    )


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came of, says that no space is left: libraries wrap what the system said."""
    while error is not None:
        is_said = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_said or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def reason(error: OSError, path: Path) -> str:
    """Why something at a path could not be written, in words."""
    if error.errno == errno.ENOSPC and (why := why_full(path)) != FULL:
        return why
    return error.strerror or str(error)


def network(folder: Path, mounts: Path = MOUNTS) -> str:
    """The kind of network disk that a folder lies on, as "nfs4"; "": on none, or the system does not say.

    Args:
        folder: The folder, or one to be made.
        mounts: Where Linux lists what is mounted, see proc(5).
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        place = folder.resolve()
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        before, _, behind = line.partition(" - ")
        words, kind = before.split(), behind.split()[:1]
        if len(words) < 5 or not kind:
            continue
        point = Path(words[4].encode("latin-1", "backslashreplace").decode("unicode_escape", "replace"))
        if len(point.parts) >= longest and place.is_relative_to(point):
            found, longest = kind[0], len(point.parts)
    return found if found in NETWORK else ""
