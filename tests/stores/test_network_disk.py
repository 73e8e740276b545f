from collections import namedtuple

import psutil
import pytest

from netwright.stores import network_disk
from netwright.stores.sqlite import SqliteStore

Mounted = namedtuple("Mounted", "mountpoint fstype")


@pytest.fixture
def mounts(monkeypatch):
    """Gives the machine a table of mounts of its own."""

    def mount(*pairs):
        table = [Mounted(str(place), kind) for place, kind in pairs]
        monkeypatch.setattr(psutil, "disk_partitions", lambda all=False: table if all else [])

    return mount


def test_the_innermost_mount_says_what_a_path_lies_on(tmp_path, mounts):
    mounts(("/", "ext4"), (tmp_path, "nfs4"), (tmp_path / "local", "xfs"), (f"{tmp_path}/sshfs/", "fuse.sshfs"))
    assert network_disk.kind(tmp_path / "runs" / "x") == "nfs4"
    assert network_disk.kind(tmp_path / "local" / "x") == ""
    assert network_disk.kind(tmp_path / "sshfs" / "x") == "fuse.sshfs"
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "link").symlink_to(tmp_path / "runs")
    assert network_disk.kind(tmp_path / "local" / "link" / "t.sqlite") == "nfs4", "where a link leads counts"
    mounts(("/", "ext4"), (tmp_path, "nfs4"), (tmp_path, "tmpfs"))
    assert network_disk.kind(tmp_path / "x") == "", "the later mount lies over the earlier one"
    mounts()
    assert network_disk.kind(tmp_path / "x") == ""


def test_a_table_on_a_network_disk_is_warned_of_where_it_is_opened_for_writing(tmp_path, mounts, capsys):
    mounts(("/", "ext4"))
    SqliteStore(str(tmp_path / "t.sqlite")).close()
    assert capsys.readouterr().err == ""
    mounts(("/", "ext4"), (tmp_path, "lustre"))
    SqliteStore(str(tmp_path / "t.sqlite"), mode="read").close()
    assert capsys.readouterr().err == ""
    SqliteStore(str(tmp_path / "t.sqlite")).close()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "(lustre)" in said and "netwright serve" in said
