import numpy as np
import pytest
from PIL import Image

from netwright.core.errors import NetwrightError
from netwright.core.shapes import Image as Shape
from netwright.tasks.image_folder import image_folder
from tests.bad_images import encoded, pixels


@pytest.fixture
def task_of(tmp_path):
    """A task of class folders, whose images are made by `make(class, number)`."""

    def task(make, images=10, size=12, **options):
        for label in range(2):
            folder = tmp_path / "data" / f"class {label}"
            folder.mkdir(parents=True)
            for n in range(images):
                (folder / f"{n}.png").write_bytes(make(label, n))
        return image_folder(str(tmp_path / "data"), size=size, cache=str(tmp_path / "cache"), **options)

    return task


def _gray(label, n):
    return pixels(100 * label + n, channels=1)


def _levels(task):
    return len(np.unique(task.pixels("train+valid", range(task.examples("train+valid")))))


def test_gray_folders_train_with_one_channel_and_say_so(task_of):
    task = task_of(lambda label, n: encoded(np.repeat(_gray(label, n)[:, :, None], 3, 2)))
    assert task.io.input == Shape(1, 12, 12)
    assert "the images are gray: one channel; --task.channels 3 makes it three" in [*task.prepare()]
    assert task.caveats() == ()


def test_gray_folders_train_with_three_channels_when_asked_to(task_of):
    task = task_of(lambda label, n: encoded(_gray(label, n)), channels=3)
    assert task.io.input == Shape(3, 12, 12)
    assert "all 20 images are gray, though there are 3 channels; 1 channel would do" in [*task.prepare()]


def test_color_that_the_sample_missed_is_said_beside_every_accuracy(task_of):
    odd = {(0, 1), (0, 10)}
    task = task_of(lambda label, n: encoded(pixels(n) if (label, n) in odd else _gray(label, n)), images=60)
    told = [*task.prepare()]
    assert task.io.input == Shape(1, 12, 12), "else the sample has met one of them: take others"
    [caveat] = task.caveats()
    assert caveat == (
        "2 images in color made gray, since others of this data are gray: class 0/1.png, class 0/10.png; "
        "--task.channels 3 keeps color"
    )
    assert caveat in told


def test_one_image_in_color_keeps_three_channels(task_of):
    assert task_of(lambda label, n: encoded(pixels(n) if n == 3 else _gray(label, n))).io.input == Shape(3, 12, 12)


def test_channels_that_are_given_are_not_looked_up(task_of, monkeypatch):
    monkeypatch.setattr("netwright.data.decode.is_gray", None)
    assert task_of(lambda label, n: encoded(pixels(n)), channels=1).io.input == Shape(1, 12, 12)


def test_x_rays_of_12_bits_in_16_keep_their_levels_and_say_what_is_white(task_of):
    rng = np.random.default_rng(0)
    task = task_of(lambda label, n: encoded(rng.integers(0, 4096, (12, 12)).astype(np.uint16)))
    told = [*task.prepare()]
    assert "in images of 16 or 32 bits, values from 0 to 4,095 become black to white" in told
    assert _levels(task) > 250 and task.preprocessing().span == (0.0, 4095.0)


def test_images_of_few_levels_are_said_with_the_reason(task_of):
    rng = np.random.default_rng(0)

    def make(label, n):
        values = rng.integers(0, 4096, (12, 12)).astype(np.uint16)
        if (label, n) == (0, 0):
            values[3, 3] = 65535  # one pixel that is burnt in
        return encoded(values)

    task = task_of(make)
    [caveat] = task.caveats()
    assert caveat.startswith(
        "20 of 20 images have fewer than 32 levels of brightness when decoded, by how their values were scaled to "
        "8 bits: class 0/0.png, class 0/1.png, class 0/2.png, class 0/3.png, class 0/4.png and 15 more"
    )
    assert caveat in [*task.prepare()]


def test_images_without_content_are_refused_before_any_training(task_of):
    def make(label, n):
        array = np.full((12, 12, 3), 255, np.uint8)
        array[0, 0, 0] -= label  # lost when made smaller
        return encoded(np.repeat(np.repeat(array, 3 + n, 0), 3 + n, 1))

    task = task_of(make, size=4)
    message = "all 20 decoded images are plain areas of the same color, so that 2 classes cannot be told apart; look at"
    for use in (lambda: [*task.prepare()], task.caveats):
        with pytest.raises(NetwrightError, match=message):
            use()


def test_plain_areas_are_counted_and_those_of_several_colors_may_be_trained_on(task_of):
    task = task_of(lambda label, n: encoded(np.full((12, 12, 3), (n, 40 * label, 9), np.uint8)))
    assert task.caveats()[0].startswith("20 of 20 images are plain areas of one color when decoded: class 0/0.png, ")


def test_equal_pixels_in_two_classes_are_named(task_of):
    task = task_of(lambda label, n: encoded(pixels(n if n < 3 else 100 * label + n), compress_level=1 + label))
    [caveat] = task.caveats()
    assert caveat == (
        "6 images are in one class and, with the same pixels when decoded, in another: "
        "class 0/0.png and class 1/0.png, class 0/1.png and class 1/1.png, class 0/2.png and class 1/2.png"
    )


def _split_folders(root, save):
    """Given splits, of which training has three test images of each class again, saved in another way."""
    for label in range(2):
        for split, first in (("train", 0), ("test", 500)):
            (root / split / f"class {label}").mkdir(parents=True)
            for n in range(10):
                image = Image.fromarray(pixels(first + 20 * label + n, 6, 6)).resize((24, 24), Image.Resampling.BICUBIC)
                image.save(root / split / f"class {label}" / f"{n}.png")
                if split == "test" and n < 3:
                    save(image, root / "train" / f"class {label}" / f"leak {n}")


def _folder_task(root, tmp_path):
    return image_folder(str(root), size=24, cache=str(tmp_path / "cache"))


def test_copies_under_another_format_are_left_out_of_training(tmp_path):
    _split_folders(tmp_path / "data", lambda image, path: image.save(path.with_suffix(".bmp")))
    task = _folder_task(tmp_path / "data", tmp_path)
    told = [line for line in task.prepare() if "left out" in line]
    assert told[0].startswith("6 images left out, a copy of which validates or tests: train/class 0/leak 0.bmp, ")
    assert task.examples("test") == 20 and task.examples("train+valid") == 20
    assert task.caveats() == ()


@pytest.mark.parametrize("how", ["jpeg", "larger"])
def test_the_same_photo_in_training_and_test_is_named_beside_every_accuracy(tmp_path, how):
    def save(image, path):
        if how == "jpeg":
            image.save(path.with_suffix(".jpg"), quality=80)
        else:
            image.resize((60, 60), Image.Resampling.BICUBIC).save(path.with_suffix(".png"))

    _split_folders(tmp_path / "data", save)
    task = _folder_task(tmp_path / "data", tmp_path)
    [caveat] = task.caveats()
    assert caveat.startswith(
        "6 images that validate or test are nearly equal to images of another split, which may make accuracies too "
        "high: test/class 0/0.png and train/class 0/leak 0."
    )
    assert caveat.endswith(" and 1 more") and caveat in [*task.prepare()]
    again = _folder_task(tmp_path / "data", tmp_path)
    assert again.caveats() == task.caveats(), "as the cache has it"


def test_a_second_start_says_the_same(task_of, tmp_path):
    task = task_of(lambda label, n: encoded(pixels(n if n < 3 else 100 * label + n), compress_level=1 + label))
    first = [*task.prepare()]
    [place] = [n for n, line in enumerate(first) if line.startswith("decoded")]
    again = [*image_folder(str(tmp_path / "data"), size=12, cache=str(tmp_path / "cache")).prepare()]
    assert again == [*first[:place], "found in the cache", *first[place + 1 :]]
