"""Data held in memory becomes one array file that the task of arrays reads; what is no such data is named."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from netwright.core.errors import NetwrightError
from netwright.data import decode, given, given_pixels
from netwright.data.decode import Form
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


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_so_do_images_whose_file_names_a_transparent_color(tmp_path, mode):
    images = [Image.new(mode, (4, 4), 0) for _ in LABELS]
    for image in images:
        if mode == "P":
            image.putpalette([0, 0, 0, 10, 10, 10])
        image.putpixel((0, 0), (10, 10, 10) if mode == "RGB" else 1 if mode == "P" else 10)
        image.info["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    given.write(tmp_path / "run", (images, LABELS))
    assert read(tmp_path / "run")["images"][0, 0, :2, 0].tolist() == [10, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_of_pillow_are_those_that_predict_sees(tmp_path, orientation):
    """Of the same file: turned as its head says, which a program that hands over Pillow images seldom does."""
    pixels = np.random.default_rng(orientation).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", exif=exif)
    images = [Image.open(io.BytesIO(encoded.getvalue())) for _ in LABELS]
    given.write(tmp_path / "run", (images, LABELS))
    found = read(tmp_path / "run")["images"][0]
    seen, _ = decode.decode(encoded.getvalue(), channels=3, height=found.shape[0], width=found.shape[1], fit="crop")
    assert found.shape == ((6, 9, 3) if orientation < 5 else (9, 6, 3))
    assert np.array_equal(found, seen)


def test_scaling_may_pass_one_by_a_rounding_error(tmp_path):
    """Antialiasing gives 1.0000002, which is no reason to take 1 for one of 255 levels."""
    images = COLOR / np.float32(255)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = 1 + 2.4e-7, -1e-8
    given.write(tmp_path / "run", (images.astype(np.float32), LABELS))
    found = read(tmp_path / "run")["images"]
    assert found[:, 0, 0, :2].tolist() == [[255, 0]] * len(LABELS)
    assert np.array_equal(found[:, 1:], COLOR[:, 1:])


def test_one_image_in_color_among_many_that_are_gray_keeps_it(tmp_path):
    """None that are looked at first has any."""
    count = 10 * given_pixels.PROBED
    images = [Image.new("L", (4, 4), 7)] * count
    images[5] = Image.new("RGB", (4, 4), (1, 2, 3))
    given.write(tmp_path / "run", (images, np.arange(count) % 2))
    found = read(tmp_path / "run")["images"]
    assert found[4:6, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_one_image_of_another_size_among_many_is_named(tmp_path):
    count = 10 * given_pixels.PROBED
    images = [np.zeros((4, 4), np.uint8)] * count
    images[5] = np.zeros((4, 5), np.uint8)
    with pytest.raises(NetwrightError, match=r"several sizes, as 4x4 \(train 0\) and 5x4 \(train 5\); give size"):
        given.write(tmp_path / "run", (images, np.arange(count) % 2))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_images_are_brought_to_a_size_in_the_way_that_is_asked_for(tmp_path, fit):
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 12, 3)).astype(np.uint8)
    given.write(tmp_path / "run", (images, LABELS), size=6, fit=fit)
    expected = decode.resized(Image.fromarray(images[3]), Form(3, 6, 6, fit))
    assert np.array_equal(read(tmp_path / "run")["images"][3], np.asarray(expected))


@pytest.mark.parametrize("mode", ["HSV", "YCbCr", "RGBa", "La", "CMYK"])
def test_other_modes_of_pillow_are_taken(tmp_path, mode):
    through = {"La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")
    images = [Image.new("RGB", (4, 4), (90, 90, 90)).convert(through).convert(mode) for _ in LABELS]
    given.write(tmp_path / "run", (images, LABELS))
    assert read(tmp_path / "run")["images"].mean() == pytest.approx(90, abs=1)


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
        ((GRAY / 200, LABELS), "values up to 1.*neither from 0 to 1 nor, clearly, from 0 to 255"),
        ((pil(GRAY.astype(np.uint16)), LABELS), "train 0 is of Pillow's mode I;16, which has more than 8 bits; give a"),
        ((pil(GRAY.astype(np.float32)), LABELS), "mode F, which has more than 8 bits"),
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
