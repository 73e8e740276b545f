import numpy as np

from netwright.data import duplicates
from netwright.data.duplicates import PIECE, equal_files, equal_pixels, mislabeled
from netwright.data.looks import looks_of
from tests.bad_images import pixels


def _groups(tmp_path, files):
    paths = []
    for n, data in enumerate(files):
        paths.append(tmp_path / str(n))
        paths[-1].write_bytes(data)
    return equal_files(paths, [len(data) for data in files])


def test_equal_files_are_found(tmp_path):
    assert _groups(tmp_path, [b"aa", b"bb", b"bb", b"aa", b"bb", b"cc", b"", b""]) == [[0, 3], [1, 2, 4]]


def test_files_that_differ_before_their_end_are_not_equal(tmp_path):
    end = bytes(2 * PIECE)
    assert _groups(tmp_path, [b"a" + end, b"b" + end, b"a" + end]) == [[0, 2]]


def test_only_files_whose_size_occurs_twice_are_read(tmp_path, monkeypatch):
    read, piece = [], duplicates._piece
    monkeypatch.setattr(duplicates, "_piece", lambda path, size: read.append(path.name) or piece(path, size))
    assert _groups(tmp_path, [b"a", b"bb", b"cc", b"ddd"]) == []
    assert read == ["1", "2"]


def test_files_that_are_gone_are_left_to_decoding(tmp_path):
    assert equal_files([tmp_path / "x", tmp_path / "y"], [5, 5]) == []


def test_equal_files_of_two_classes_are_mislabeled_and_of_one_are_not():
    labels = np.array([0, 0, 1, 1, 0])
    assert mislabeled([[0, 2, 4], [1], [3]], labels, "image {}".format) == {
        0: "mislabeled: the same bytes as image 2",
        2: "mislabeled: the same bytes as image 0",
        4: "mislabeled: the same bytes as image 2",
    }
    assert mislabeled([[0, 1, 4], [2, 3]], labels, str) == {}


def test_images_that_are_equal_when_decoded_are_grouped_and_plain_ones_by_their_files():
    plain = np.full((12, 12, 3), 3, np.uint8)
    looks = looks_of(np.stack([pixels(0), pixels(1), pixels(0), plain, plain, plain, pixels(1), pixels(0)]))
    positions = np.arange(10, 18)
    assert equal_pixels(positions, looks, []) == [[10, 12, 17], [11, 16]]
    assert equal_pixels(positions, looks, [[10, 12], [13, 15]]) == [[10, 12, 17], [11, 16], [13, 15]]
    assert equal_pixels(positions[:2], looks[:2], []) == equal_pixels(positions[:0], looks[:0], []) == []
