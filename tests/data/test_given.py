"""Data held in memory becomes one array file that the task of arrays reads; what is no such data is named."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from netwright.core.errors import NetwrightError
from netwright.data import given
from netwright.tasks.arrays import arrays

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (20, 6, 5), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(20) % 2


class Feature:
    def __init__(self, names=None):
        self.names = names


class ClassLabel(Feature):
    pass


class Table(list):
    """What is known of a Hugging Face data set: rows by number, columns, features."""

    def __init__(self, images, labels, names, kind="Image"):
        super().__init__({"img": image, "label": label} for image, label in zip(images, labels, strict=True))
        self.features = {"img": type(kind, (Feature,), {})(), "label": ClassLabel(names)}
        self.column_names = ["img", "label"]


def pil(images):
    return [Image.fromarray(image) for image in images]


def read(folder):
    with np.load(folder / given.FILE) as file:
        return dict(file)


@pytest.mark.parametrize(
    ("data", "images"),
    [
        ((GRAY, LABELS), GRAY[..., None]),
        ((COLOR, LABELS.tolist()), COLOR),
        ((COLOR.transpose(0, 3, 1, 2), LABELS), COLOR),
        ((torch.tensor(COLOR).permute(0, 3, 1, 2) / 255, torch.tensor(LABELS)), COLOR),
        ((COLOR.astype(np.int64), LABELS[:, None]), COLOR),
        ((COLOR / 255, LABELS.astype(float)), COLOR),
        ((pil(COLOR), LABELS), COLOR),
        ((GRAY > 99, LABELS), (255 * (GRAY > 99))[..., None]),
        (TensorDataset(torch.tensor(COLOR).permute(0, 3, 1, 2), torch.tensor(LABELS)), COLOR),
        (Table(pil(COLOR), LABELS, ["cat", "dog"]), COLOR),
        ({"train": Table(pil(GRAY), LABELS, ["cat", "dog"])}, GRAY[..., None]),
    ],
)
def test_whatever_images_come_as_the_file_holds_their_pixels(tmp_path, data, images):
    given.write(tmp_path / "run", data)
    found = read(tmp_path / "run")
    assert found["images"].dtype == np.uint8
    assert np.array_equal(found["images"], images)
    assert np.array_equal(found["labels"], LABELS)


def test_splits_and_names_reach_the_task(tmp_path):
    splits = ("train", "validation", "test")
    parts = {split: Table(pil(COLOR ^ n), LABELS, ["cat", "rat", "dog"]) for n, split in enumerate(splits)}
    path, sentence = given.write(tmp_path / "run", parts)
    assert "20 to train, 20 to validate, 20 to test; 5x6, 3 channels, 2 classes (cat, rat)" in sentence
    task = arrays(str(path), cache=str(tmp_path / "cache"))
    assert task.classes == ("cat", "rat")
    assert [task.examples(split) for split in ("train", "valid", "test")] == [20, 20, 20]


def test_a_missing_test_is_cut_from_the_training_images(tmp_path):
    path, sentence = given.write(tmp_path / "run", {"train": (COLOR, LABELS), "val": (COLOR[:4] ^ 1, LABELS[:4])})
    assert "20 to train and test, 4 to validate" in sentence
    task = arrays(str(path), cache=str(tmp_path / "cache"))
    assert [task.examples(split) for split in ("train", "valid", "test")] == [16, 4, 4]


def test_labels_may_be_names_or_begin_anywhere(tmp_path):
    given.write(tmp_path / "named", (GRAY, ["b" if label else "a" for label in LABELS]))
    given.write(tmp_path / "high", (GRAY, LABELS * 4 + 3))
    assert read(tmp_path / "named")["classes"].tolist() == ["a", "b"]
    assert read(tmp_path / "high")["classes"].tolist() == ["3", "7"]
    assert np.array_equal(read(tmp_path / "high")["labels"], LABELS)


def test_images_of_several_sizes_are_brought_to_one(tmp_path):
    mixed = [*pil(COLOR[:10]), *(image.resize((9, 7)) for image in pil(GRAY[10:]))]
    given.write(tmp_path / "run", (mixed, LABELS), size=4)
    assert read(tmp_path / "run")["images"].shape == (20, 4, 4, 3)


def test_transparent_images_lie_on_white(tmp_path):
    images = [Image.new("RGBA", (4, 4), (200, 0, 0, 0)) for _ in LABELS]
    for image in images:
        image.putpixel((0, 0), (10, 20, 30, 255))
    given.write(tmp_path / "run", (images, LABELS))
    assert read(tmp_path / "run")["images"][0, :2, 0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_the_same_data_stays_and_other_data_is_refused(tmp_path):
    path, _ = given.write(tmp_path / "run", (GRAY, LABELS))
    before = path.stat()
    given.write(tmp_path / "run", (GRAY.copy(), LABELS))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(NetwrightError, match="other data than what is given now; give another folder"):
        given.write(tmp_path / "run", (255 - GRAY, LABELS))
    assert [each.name for each in path.parent.iterdir()] == [given.FILE]


class Streamed:
    def __init__(self):
        self.features, self.column_names = {"img": Feature()}, ["img"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GRAY, "images without labels; give .images, labels."),
        (torch.tensor(GRAY), "come without labels"),
        (7, "is a int; give"),
        ((GRAY, LABELS[:5]), "20 images to train and 5 labels"),
        ((GRAY, np.eye(2)[LABELS]), r"shape \(20, 2\); give one number or name .*argmax"),
        ((GRAY, LABELS + 0.5), "label of train 0 is 0.5; it must be a whole number"),
        ((GRAY, LABELS * 0), "all training images have the label 0"),
        ((GRAY - 400.0, LABELS), "values from -.* before they are normalized"),
        ((np.full((4, 3, 3), np.nan), [0, 1, 0, 1]), "values from nan to nan"),
        ((np.zeros((4, 8, 8, 4), np.uint8), [0, 1, 0, 1]), r"has the shape \(8, 8, 4\)"),
        ((np.zeros((4, 3, 8, 3), np.uint8), [0, 1, 0, 1]), "it must be clear which"),
        (([*pil(GRAY[:10]), *(i.resize((9, 9)) for i in pil(GRAY[10:]))], LABELS), "several sizes.*size=64"),
        ((["a.png"] * 4, [0, 1, 0, 1]), "train 0 is a str, no image"),
        ((GRAY[:0], LABELS[:0]), "there are no images to train"),
        ({"test": (GRAY, LABELS)}, "one of them must be train"),
        ({"train": (GRAY, LABELS), "extra": (GRAY, LABELS)}, "a part .extra."),
        ({"train": (GRAY, LABELS), "test": (GRAY, LABELS + 1)}, "label 2 is in the test data and not in that to train"),
        (Streamed(), "is streamed"),
        (Table(GRAY, LABELS, ["a", "b"], kind="Array2D"), "columns=.'image', 'label'."),
        (Table(pil(GRAY), LABELS, ["a"]), r"label 1 is beyond the 1 class"),
    ],
)
def test_what_is_no_such_data_is_named_with_a_remedy_and_leaves_nothing(tmp_path, data, message):
    with pytest.raises(NetwrightError, match=message):
        given.write(tmp_path / "run", data)
    assert not (tmp_path / "run").exists()


def test_a_disk_without_room_is_named_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 100}))
    with pytest.raises(NetwrightError, match=r"20 images of 5x6 take .* are free"):
        given.write(tmp_path / "run", (GRAY, LABELS))
    assert not (tmp_path / "run").exists()
