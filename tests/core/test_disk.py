"""What a disk has left, and which kind it is."""

import errno
import os

import pytest

from netwright.core import disk
from netwright.core.disk import Left

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:42 / /home rw shared:2 - nfs4 server:/home rw
31 30 8:2 / /home/a\\040lab/local rw - xfs /dev/sdb rw
40 22 0:50 / /mnt/ü rw - fuse.sshfs me@there: rw
not a line
"""


def test_what_is_left_of_this_disk(tmp_path):
    found = disk.left(tmp_path)
    assert found.size > 0 and (found.files is None or found.files > 0)
    assert disk.left(tmp_path / "nothing") is None
    assert not disk.is_read_only(tmp_path)


@pytest.mark.parametrize(
    ("left", "shortage", "why"),
    [
        (Left(10**12, 10**6), "", "the disk is full"),
        (Left(10**12), "", "the disk is full"),
        (Left(0, 10**6), "its disk has 0.1 MB left", "the disk is full"),
        (Left(0, 0), "its disk has inodes for 0 more files", "the disk is full"),
        (
            *(Left(5 * 10**9, 0), "its disk has inodes for 0 more files, though 5.0 GB are free"),
            "the disk takes no more files: its inodes are used up, though 5.0 GB are free (remove small files that "
            "nobody needs)",
        ),
    ],
)
def test_a_shortage_of_inodes_is_told_from_one_of_blocks(tmp_path, monkeypatch, left, shortage, why):
    monkeypatch.setattr(disk, "left", lambda _folder: left)
    assert left.shortage == shortage
    assert disk.why_full(tmp_path / "file") == why
    full = OSError(errno.ENOSPC, "No space left on device")
    assert disk.reason(full, tmp_path / "file") == ("No space left on device" if why == disk.FULL else why)
    assert disk.reason(OSError(errno.EROFS, "Read-only"), tmp_path) == "Read-only"


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        *(("/", ""), ("/home/me/run", "nfs4"), ("/home/a lab/local/run", ""), ("/homely", "")),
        *(("/mnt/ü/run", "fuse.sshfs"), ("/mnt", "")),
    ],
)
def test_network_disks_are_known_by_where_they_are_mounted(tmp_path, place, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS, encoding="utf-8")
    assert disk.network(disk.Path(place), mounts) == kind
    assert disk.network(disk.Path(place), tmp_path / "nothing") == ""
    assert os.path.exists("/proc") is False or isinstance(disk.network(tmp_path), str)
