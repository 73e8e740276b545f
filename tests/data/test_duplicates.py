import numpy as np

from netwright.data import duplicates
from netwright.data.duplicates import PIECE, mislabeled


def _groups(tmp_path, files):
    paths = []
    for n, (_, data) in enumerate(files):
        paths.append(tmp_path / str(n))
        paths[-1].write_bytes(data)
    return mislabeled(paths, [len(data) for _, data in files], np.array([label for label, _ in files]))


def test_equal_files_of_two_classes_are_found(tmp_path):
    files = [(0, b"aa"), (1, b"bb"), (0, b"bb"), (1, b"aa"), (1, b"bb"), (2, b"cc"), (2, b"cc"), (0, b""), (1, b"")]
    assert _groups(tmp_path, files) == [[0, 3], [1, 2, 4]]


def test_files_that_differ_before_their_end_are_not_equal(tmp_path):
    end = bytes(2 * PIECE)
    assert _groups(tmp_path, [(0, b"a" + end), (1, b"b" + end), (1, b"a" + end)]) == [[0, 2]]


def test_only_files_whose_size_is_disputed_are_read(tmp_path, monkeypatch):
    read, piece = [], duplicates._piece
    monkeypatch.setattr(duplicates, "_piece", lambda path, size: read.append(path.name) or piece(path, size))
    assert _groups(tmp_path, [(0, b"a"), (0, b"b"), (1, b"cc"), (1, b"dd"), (0, b"eee"), (1, b"fff")]) == []
    assert read == ["4", "5"]


def test_files_that_are_gone_are_left_to_decoding(tmp_path):
    assert mislabeled([tmp_path / "x", tmp_path / "y"], [5, 5], np.array([0, 1])) == []
