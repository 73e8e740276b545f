import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

from netwright.data import near_copies as module
from netwright.data.decode import decode
from netwright.data.looks import looks_of
from netwright.data.near_copies import near_copies
from tests.bad_images import encoded

RNG = np.random.default_rng(0)


def _photo(seed, side=48):
    """Shapes of all sizes, as photos have them."""
    rng, image = np.random.default_rng(seed), np.zeros((side, side, 3))
    for size, strength in ((3, 60), (6, 40), (12, 25), (24, 15)):
        layer = rng.normal(0, strength, (size, size, 3)).clip(-127, 127) + 128
        small = Image.fromarray(layer.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
        image += np.asarray(small).astype(float) - 128
    return (image + 128).clip(0, 255).astype(np.uint8)


def _pairs(images):
    images = np.stack(images)
    return near_copies(looks_of(images)["cells"], lambda rows: images[rows], images.shape[1:])


def _decoded(data, side=32):
    return decode(data, channels=3, height=side, width=side, fit="crop")[0]


@pytest.mark.parametrize(
    "again",
    [
        lambda photo: encoded(photo, "JPEG", quality=50),
        lambda photo: encoded(photo, "JPEG", quality=90),
        lambda photo: encoded(photo, "WEBP", quality=80),
        lambda photo: encoded(np.array(Image.fromarray(photo).resize((120, 120), Image.Resampling.BICUBIC))),
        lambda photo: encoded(np.array(Image.fromarray(photo).resize((40, 40), Image.Resampling.BICUBIC)), "JPEG"),
    ],
)
def test_the_same_photo_encoded_anew_is_found(again):
    photos = [_photo(seed) for seed in range(40)]
    images = [_decoded(encoded(photo)) for photo in photos] + [_decoded(again(photo)) for photo in photos]
    found = _pairs(images)
    assert set(found) <= {(n, n + 40) for n in range(40)} and len(found) >= 36


def _form(number):
    """A page filled in with a number."""
    image = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(image)
    for line in range(7):
        draw.text((4, 4 + 11 * line), "invoice number", fill=0)
    draw.text((4, 80), f"total {number}", fill=0)
    return np.asarray(image)


def _frame(number):
    """A scene with an object that moves, and the noise of a camera."""
    image = _photo(1).astype(float) + np.random.default_rng(number).normal(0, 2, (48, 48, 3))
    row, column = number // 6 * 8, number % 6 * 8
    image[row : row + 6, column : column + 6] = (250, 20, 20)
    return image.clip(0, 255).astype(np.uint8)


def _icon(number):
    image = Image.new("RGB", (32, 32), "white")
    row, column = divmod(number, 10)
    ImageDraw.Draw(image).ellipse((column * 2, row * 3, column * 2 + 9, row * 3 + 9), fill=(30, 90, 160))
    return np.asarray(image)


DIFFERENT = {
    "photos": [_photo(seed) for seed in range(100)],
    "frames": [_frame(number) for number in range(36)],
    "forms": [_form(number) for number in range(50)],
    "icons": [_icon(number) for number in range(70)],
    "textures": list((128 + RNG.normal(0, 25, (50, 128, 128, 3))).clip(0, 255).astype(np.uint8)),
    "mirrored": [_photo(1), _photo(1)[:, ::-1], _photo(1)[::-1]],
    "brighter": [_photo(1), (_photo(1) * 0.85).astype(np.uint8)],
    "plain": [np.full((32, 32, 3), value, np.uint8) for value in range(90, 130)],
    "tinted": [np.repeat(_photo(1)[..., :1], 3, 2), _photo(1)[..., :1] * np.array([1, 0.8, 1])],
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_different_images_are_not_called_copies(kind):
    assert _pairs([np.asarray(image, np.uint8) for image in DIFFERENT[kind]]) == []


@pytest.mark.parametrize("side", [8, 16, 28])
def test_digits_are_not_called_copies(side):
    digits = (load_digits().images * (255 / 16)).astype(np.uint8)
    images = [np.asarray(Image.fromarray(each).resize((side, side), Image.Resampling.BILINEAR)) for each in digits]
    assert _pairs([image[:, :, None] for image in images]) == []


def test_many_that_are_alike_take_no_more_than_their_number(monkeypatch):
    images = [_photo(1, 16)] * 3000
    cells = looks_of(np.stack(images))["cells"]
    assert len(module._candidates(cells)) <= len(images) * module.NEIGHBORS * module.TABLES
    monkeypatch.setattr(module, "MOST", 50)
    assert len(_pairs(images)) == 50
