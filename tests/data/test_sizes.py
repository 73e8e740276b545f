"""Sizes that a folder of images may be brought to, before any is decoded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from netwright.data import archive, cache
from netwright.data.sizes import SIZES, candidates, shorter_side
from netwright.tasks.arrays import arrays
from netwright.tasks.cifar10 import cifar10
from netwright.tasks.digits import digits
from netwright.tasks.image_folder import image_folder
from tests.tiny_data import cifar, photos, png


@pytest.mark.parametrize(
    ("side", "expected"),
    [(8, (8,)), (24, (24,)), (28, (24, 28)), (33, (24, 32)), (100, (24, 32, 48, 64, 96)), (600, SIZES)],
)
def test_sizes_are_usual_ones_up_to_the_images_own(side, expected):
    assert candidates(side) == expected


@given(st.integers(1, 2000))
def test_no_size_is_above_the_images_own_and_there_is_always_one(side):
    found = candidates(side)
    assert found == tuple(sorted(set(found)))
    assert 1 <= len(found) <= len(SIZES) + 1
    assert found[-1] <= side


def test_heads_tell_the_median_of_the_shorter_side(tmp_path):
    for n, size in enumerate([(40, 30), (30, 50), (90, 200)]):
        Image.new("RGB", size).save(tmp_path / f"{n}.jpg")
    (tmp_path / "3.jpg").write_bytes(b"no image")
    assert shorter_side(sorted(tmp_path.iterdir())) == 30
    assert shorter_side([tmp_path / "3.jpg"]) is None
    assert shorter_side([np.zeros((9, 7, 1), np.uint8), png(np.zeros((5, 6), np.uint8))]) == 5


def test_a_folder_says_its_sizes_and_classes_before_anything_is_decoded(tmp_path, monkeypatch):
    folder = photos(tmp_path / "photos", images=10, side=50)
    for extra in range(10):
        (folder / "dark" / f"x{extra}.png").write_bytes((folder / "dark" / f"{extra:03d}.png").read_bytes())
    monkeypatch.setattr(cache, "open_or_build", None)
    task = image_folder(str(folder), 16, cache=str(tmp_path / "cache"))
    assert task.candidate_sizes() == (24, 32, 48)
    assert task.expected_counts("train") == (12, 6)
    assert task.expected_counts("train+valid") == (16, 8)


def test_tasks_of_one_size_have_that_size_only(tmp_path):
    assert digits().candidate_sizes() == (8,)
    assert digits().expected_counts("valid") == digits().class_counts("valid")
    task = cifar10(str(cifar(tmp_path / "cifar")), valid=10, cache=str(tmp_path / "cache"))
    assert task.candidate_sizes() == (32,)
    assert task.expected_counts("valid") == task.class_counts("valid")
    np.savez(tmp_path / "a.npz", images=np.zeros((40, 6, 9), np.uint8), labels=np.arange(40) % 2)
    task = arrays(str(tmp_path / "a.npz"), cache=str(tmp_path / "cache"))
    assert task.candidate_sizes() == (9,), "the larger side, as a timetable has it"
    assert arrays(str(tmp_path / "a.npz"), size=5, cache=str(tmp_path / "cache")).io.input.width == 5


def test_square_arrays_may_be_brought_to_smaller_squares(tmp_path, monkeypatch):
    """Their own size is always one of them; it is in the head of the file, of which nothing else is read."""
    monkeypatch.setattr(archive.ArchiveImages, "images", None)
    for own, expected in ((32, (24, 32)), (33, (24, 33)), (26, (26,)), (28, (24, 28)), (160, (*SIZES, 160))):
        path = tmp_path / f"{own}.npz"
        np.savez(path, images=np.zeros((12, own, own), np.uint8), labels=np.arange(12) % 2)
        assert arrays(str(path), cache=str(tmp_path / "cache")).candidate_sizes() == expected
