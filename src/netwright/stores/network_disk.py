"""Whether a path lies on a disk that several machines see, where SQLite's locks and its log cannot be relied on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

# SQLite: "WAL does not work over a network filesystem" (sqlite.org/wal.html), and locks there are often broken
# (sqlite.org/howtocorrupt.html)
KINDS: Final = frozenset(
    "9p afpfs afs beegfs ceph cifs davfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs3 nfs4 ocfs2 panfs pvfs2 smb2 smb3 "
    "smbfs wekafs webdav fuse.ceph fuse.davfs fuse.gcsfuse fuse.glusterfs fuse.juicefs fuse.s3fs fuse.sshfs".split()
)


def kind(path: Path) -> str:
    """The kind of the network disk that a path lies on, as "nfs4"; "" where it lies on none, or none is known."""
    try:
        mounted = {os.path.normpath(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
        place = path.resolve()
    except (OSError, RuntimeError, psutil.Error):
        return ""
    for folder in (place, *place.parents):
        if (found := mounted.get(str(folder))) is not None:  # of several mounted at one place, the last one counts
            return found if found in KINDS else ""
    return ""


def warning(path: Path) -> str:
    """What to say of a table at that path; "" where it lies well."""
    found = kind(path)
    return (
        f"{path} is on a network disk ({found}), on which SQLite's locks are not safe: only this machine may open the "
        "table, and others work by `netwright serve`; a folder on a disk of this machine is safer (--out)"
        if found
        else ""
    )
