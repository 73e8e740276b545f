"""The folder of a comparison: who may write in it, and what is refused."""

import pytest

from netwright.comparison import folder
from netwright.core.errors import StoreError


def test_one_command_at_a_time(tmp_path):
    where = tmp_path / "bench"
    with folder.taken(where):
        with pytest.raises(StoreError, match="another command is comparing in"), folder.taken(where):
            pass
        (where / "something").touch()
    with folder.taken(where):
        pass


def test_a_folder_that_stays_empty_is_removed(tmp_path):
    with folder.taken(tmp_path / "bench"):
        pass
    assert not (tmp_path / "bench").exists()


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written: Not a directory"), folder.taken(tmp_path / "file" / "b"):
        pass
    (tmp_path / "trials.sqlite").touch()
    with pytest.raises(StoreError, match="holds a search; give another folder"), folder.taken(tmp_path):
        pass
