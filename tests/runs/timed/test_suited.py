"""What a timed run makes of its task where nobody says otherwise: mirrored images, classes that count alike, sizes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.data.images import ImageClassification
from netwright.runs.timed import suited
from netwright.runs.timed.wish import image_task_of
from netwright.tasks.arrays import arrays

ALIKE, UNLIKE = (0.5, 0.5), (0.9, 0.1)


def _images(count, channels, is_uneven, shares):
    """Images of two classes, brighter above, and on the left where they are uneven."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (count, 8, 8, channels), np.uint8)
    images[:, :3] += 60
    if is_uneven:
        images[:, :, :3] += 90
    return {"images": images, "labels": np.arange(count) // round(count * shares[0])}


def _suited(tmp_path, given, typed, objective="valid_accuracy"):
    np.savez(tmp_path / "a.npz", **given)
    named = Reference("arrays", {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache"), **typed})
    said = []
    found, task = suited.suited(named, image_task_of(named), objective, said.append)
    assert {**named.options, **found.options} == found.options
    assert task.augmentation.flip is bool(found.options.get("flip"))
    assert task.augmentation.rotation == found.options.get("rotation", 0)
    return found.options, said


@pytest.mark.parametrize(
    ("count", "channels", "is_uneven", "typed", "is_mirrored", "said"),
    [
        (40, 1, False, {}, None, ""),
        (40, 3, False, {}, True, "training images do not tell whether mirror images are as good: they are in color"),
        (
            1500,
            1,
            False,
            {},
            True,
            "of 900 images can be told from their mirror images, by chance 50 %: half of them are",
        ),
        (1500, 3, False, {}, True, "half of them are mirrored at first"),
        (600, 3, True, {}, None, ""),
        (600, 1, False, {"flip": False}, False, ""),
        (600, 3, True, {"flip": True}, True, ""),
    ],
)
def test_images_are_mirrored_that_cannot_be_told_from_their_mirror_images(
    tmp_path, count, channels, is_uneven, typed, is_mirrored, said
):
    options, told = _suited(tmp_path, _images(count, channels, is_uneven, ALIKE), typed)
    assert options.get("flip") is is_mirrored and "class_weights" not in options
    told = [each for each in told if "mirror" in each]
    assert said in "".join(told) and bool(told) == bool(said)


def test_photos_that_a_task_mirrors_by_itself_are_not_where_they_can_be_told_from_their_mirror_images(tmp_path):
    from PIL import Image

    given = _images(600, 3, True, ALIKE)
    for number, (pixels, label) in enumerate(zip(given["images"], given["labels"], strict=True)):
        home = tmp_path / "photos" / "ab"[label]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(home / f"{number:03}.png")
    named = Reference("image_folder", {"path": str(tmp_path / "photos"), "cache": str(tmp_path / "cache"), "size": 8})
    task = image_task_of(named)
    said = []
    found, suiting = suited.suited(named, task, "valid_accuracy", said.append)
    assert task.augmentation.flip and not suiting.augmentation.flip and found.options["flip"] is False
    assert "100% of" in said[0] and "none is mirrored at first" in said[0]


@pytest.mark.parametrize(
    ("objective", "typed", "found"),
    [
        ("valid_balanced_accuracy", {}, "logits"),
        ("valid_accuracy", {}, None),
        ("valid_balanced_accuracy", {"class_weights": "none"}, "none"),
    ],
)
def test_classes_count_in_training_as_in_what_is_maximized(tmp_path, objective, typed, found):
    options, told = _suited(tmp_path, _images(600, 1, True, UNLIKE), typed, objective)
    assert options.get("class_weights") == found
    said = "classes have 36 to 324 training images, and count alike in training as in what is maximized"
    assert (said in "".join(told)) == (found == "logits")


@pytest.mark.parametrize(
    ("flip", "passes", "found"),
    [(True, 7, (0, 0)), (True, 1800**0.5, (5.0, 0.05)), (True, 60, (10.0, 0.1)), (False, 7, (15.0, 0.15))],
)
def test_mirrored_images_that_are_seen_a_few_times_are_turned_less(tmp_path, flip, passes, found):
    np.savez(tmp_path / "a.npz", **_images(40, 1, False, ALIKE))
    given = {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache"), "flip": flip}
    named, said = Reference("arrays", given), []
    options, task = suited.suited(named, image_task_of(named), "valid_accuracy", said.append, passes)
    assert (task.augmentation.rotation, task.augmentation.zoom) == found
    assert ("rotation" in options.options) is (found != (0, 0))
    assert any("are not turned" in each for each in said) is (found == (0, 0))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ({}, (15.0, 0.15)),
        ({"zoom": 0.3}, (None, 0.3)),
        ({"rotation": 0}, (0, None)),
        ({"flip": True}, (10.0, 0.1)),
        ({"area": [0.5, 1.0]}, (None, None)),
    ],
)
def test_images_are_turned_and_zoomed_unless_somebody_says_otherwise(tmp_path, typed, found):
    options, told = _suited(tmp_path, _images(40, 1, False, ALIKE), typed)
    assert (options.get("rotation"), options.get("zoom")) == found
    said = {
        (15.0, 0.15): "turned by up to 15 degrees and zoomed by up to 15%",
        (10.0, 0.1): "turned by up to 10 degrees",
    }
    assert [said[found] in each for each in told] == [True] if found in said else not told


def of_ones_own(path: str, class_weights: tuple[float, ...] = (), rotation: float = 180.0) -> ImageClassification:
    """A task that turns images all around, and whose weights of classes are others than netwright's."""
    return replace(arrays(path, rotation=rotation), load=lambda: arrays(path).data)


def test_what_a_task_of_ones_own_does_by_itself_stays(tmp_path):
    np.savez(tmp_path / "a.npz", **_images(600, 1, True, UNLIKE))
    named = Reference(f"{__name__}:of_ones_own", {"path": str(tmp_path / "a.npz")})
    task = image_task_of(named)
    said = []
    assert suited.suited(named, task, "valid_balanced_accuracy", said.append) == (named, task) and not said
    turned, plain = (
        suited.distorted(named, task),
        suited.distorted(Reference("arrays"), arrays(str(tmp_path / "a.npz"))),
    )
    assert (turned.augmentation.rotation, plain.augmentation.rotation, plain.augmentation.zoom) == (180, 15, 0.15)
    assert (
        suited.distorted(Reference("arrays", {"zoom": 0}), arrays(str(tmp_path / "a.npz"))).augmentation.rotation == 0
    )


def test_more_classes_than_a_sample_has_room_for_are_looked_at(tmp_path):
    images = _images(200 * 70, 3, True, ALIKE) | {"labels": np.arange(200 * 70) % 200}
    options, told = _suited(tmp_path, images, {})
    assert "flip" not in options and not any("mirror" in each for each in told)
    found = suited._chirality(image_task_of(Reference("arrays", {"path": str(tmp_path / "a.npz")})))
    assert found.told == 1.0 and found.images == 40 * 200


def test_only_a_task_that_brings_images_to_size_is_given_one():
    made = SimpleNamespace(io=IO(3, 64, 64, 2), candidate_sizes=lambda: (24, 32, 48))
    photos = Reference("image_folder", {"path": "photos"})
    assert suited.sized(photos, made, 48).options == {"path": "photos", "size": 48}
    assert suited.sized(photos, made, 64) == photos, "it has that size"
    for kept in (Reference("image_folder", {"path": "photos", "size": 64}), Reference("digits")):
        assert suited.sized(kept, made, 48) == kept


def test_arrays_that_are_no_squares_stay_as_they_are(tmp_path):
    """Whatever a timetable of other data says."""
    for form, expected in (((9, 6), {}), ((32, 32), {"size": 24}), ((12, 12), {})):
        path = tmp_path / f"{form[0]}.npz"
        np.savez(path, images=np.zeros((40, *form), np.uint8), labels=np.arange(40) % 2)
        named = Reference("arrays", {"path": str(path)})
        assert suited.sized(named, image_task_of(named), 24).options == {"path": str(path), **expected}
