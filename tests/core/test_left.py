"""Files that a training left are shown only where they are what it left."""

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import files, left

CONTENTS = {"outcome.safetensors": bytes(range(200)), "more.json": b"{}"}


@pytest.fixture
def folder(tmp_path):
    left.write(tmp_path, CONTENTS, 7)
    return tmp_path


def test_what_was_left_is_without_fault(folder, tmp_path_factory):
    assert left.fault(folder, 7) == left.fault(folder, None) == ""
    assert (folder / "more.json").read_bytes() == b"{}"
    assert left.fault(tmp_path_factory.mktemp("nothing"), 7) == ""


@given(st.sampled_from([*CONTENTS, left.LIST]), st.integers(min_value=0), st.integers(0, 7), st.booleans())
def test_damage_is_named(tmp_path_factory, name, place, bit, is_cut):
    folder = tmp_path_factory.mktemp("left")
    left.write(folder, CONTENTS, 7)
    data = bytearray((folder / name).read_bytes())
    if is_cut:
        del data[place % len(data) :]
    else:
        data[place % len(data)] ^= 1 << bit
    (folder / name).write_bytes(data)
    assert left.fault(folder, 7).startswith(f"{folder / name} is damaged")


def test_files_of_another_training_are_named(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    left.write(other, {**CONTENTS, "more.json": b"[]"}, 8)
    shutil.copy(other / "more.json", folder)
    assert left.fault(folder, 7) == f"{folder / 'more.json'} is damaged, or that of another training"
    shutil.copy(other / left.LIST, folder)
    assert left.fault(folder, 7) == f"{folder / left.LIST} and the files that it lists are those of another training"
    (other / "more.json").unlink()
    assert left.fault(other, 8) == f"{other / 'more.json'} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "listed", ['{"seed": 7, "files": {"../x": [1, 2]}}', '{"seed": 7, "files": {"pipe": [0, 0]}}', "[]"]
)
def test_a_strangers_list_leads_nowhere(folder, listed):
    os.mkfifo(folder / "pipe")
    (folder / left.LIST).write_text(files.with_checksum(listed + "\n"))
    assert "cannot be read" in (said := left.fault(folder, 7)) or said == f"{folder / left.LIST} is damaged"
