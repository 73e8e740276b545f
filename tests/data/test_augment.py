import colorsys
import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from netwright.core.errors import BadReference
from netwright.data import augment
from netwright.data.augment import Augmentation

MEAN, SD = (0.4, 0.5), (0.2, 0.25)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _numbered(count, height=6, width=6, channels=2, dtype=np.int32):
    """Images in which every value is another; none is 0."""
    return (np.arange(count * height * width * channels) + 1).reshape(count, height, width, channels).astype(dtype)


def _windows(image, size, padding):
    """Every window of the padded image, by hand."""
    height, width, channels = image.shape
    padded = np.zeros((height + 2 * padding, width + 2 * padding, channels), image.dtype)
    padded[padding : padding + height, padding : padding + width] = image
    return [
        padded[top : top + size[0], left : left + size[1]]
        for top in range(height + 2 * padding - size[0] + 1)
        for left in range(width + 2 * padding - size[1] + 1)
    ]


@pytest.mark.parametrize("size", [(4, 4), (6, 6), (5, 3), (1, 1), (8, 8)])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("shape", [(8, 8), (8, 9)])
def test_crops_are_windows_of_the_padded_image(size, padding, shape):
    images = _numbered(40, *shape)
    cropped = augment.crop(images, *size, padding, _rng())
    assert cropped.shape == (40, *size, 2)
    assert cropped.dtype == images.dtype
    for image, crop in zip(images, cropped, strict=True):
        assert any(np.array_equal(crop, window) for window in _windows(image, size, padding))


def test_every_window_comes_up_equally_often_and_images_move_apart():
    image = _numbered(1, 3, 3, 1)
    cropped = augment.crop(image.repeat(9000, 0), 3, 3, 1, _rng())
    shares = [(cropped == window).all((1, 2, 3)).mean() for window in _windows(image[0], (3, 3), 1)]
    assert len(shares) == 9
    assert shares == pytest.approx([1 / 9] * 9, abs=0.015)


def test_a_crop_larger_than_the_padded_image_is_refused():
    with pytest.raises(ValueError, match="larger"):
        augment.crop(_numbered(2), 9, 9, 1, _rng())


def test_what_is_cropped_stays_as_it_was():
    images = _numbered(20)
    augment.crop(images, 6, 6, 0, _rng())[:] = 0
    assert np.array_equal(images, _numbered(20))


def _slopes(count, height, width):
    """Pixels say where they are: channel 0 the row, channel 1 the column, of their centers, counted from 0.5."""
    rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return np.stack((rows, columns), -1)[None].repeat(count, 0).astype(np.float32)


def _ends(values, height, width):
    """Where the windows begin and end, from two inner pixels each: bilinear scaling keeps slopes straight."""
    down, across = values[:, :, width // 2, 0], values[:, height // 2, :, 1]
    ends = []
    for line, wanted in ((down, height), (across, width)):
        a, b = wanted // 4, wanted - wanted // 4 - 1
        step = (line[:, b] - line[:, a]) / (b - a)
        ends += [line[:, a] - (a + 0.5) * step, line[:, b] + (wanted - b - 0.5) * step]
    return ends


@pytest.mark.parametrize("shape", [(40, 40), (30, 40)])
@pytest.mark.parametrize("wanted", [(40, 40), (16, 24)])
def test_scaled_crops_have_the_area_aspect_and_places_that_were_asked_for(shape, wanted):
    scaled = augment.scaled_crop(_slopes(4000, *shape), *wanted, (0.2, 0.6), _rng())
    assert scaled.shape == (4000, *wanted, 2)
    assert scaled.dtype == np.float32
    top, bottom, left, right = _ends(scaled, *wanted)
    height, width = bottom - top, right - left
    area, aspect = height * width / np.prod(shape), width / height
    assert (area > 0.199).all() and (area < 0.601).all()
    assert np.percentile(area, (25, 50, 75)) == pytest.approx((0.3, 0.4, 0.5), abs=0.02)
    assert (aspect > 0.749).all() and (aspect < 1.335).all()
    assert np.log(aspect).std() == pytest.approx(2 * np.log(4 / 3) / np.sqrt(12), rel=0.1)
    for first, last, available in ((top, bottom, shape[0]), (left, right, shape[1])):
        assert first.min() == pytest.approx(0, abs=0.6) and first.min() > -0.01
        assert last.max() == pytest.approx(available, abs=0.6) and last.max() < available + 0.01
        assert (first + last).mean() == pytest.approx(available, abs=0.6), "the middle is met on average"


def test_a_crop_of_the_whole_area_is_the_image_scaled():
    images = _numbered(5, 6, 6).astype(np.uint8)
    assert augment.scaled_crop(images, 6, 6, (1.0, 1.0), _rng()) == pytest.approx(images, abs=1e-3)
    halved = augment.scaled_crop(images, 3, 3, (1.0, 1.0), _rng())
    by_hand = images.reshape(5, 3, 2, 3, 2, 2).mean((2, 4))
    assert halved == pytest.approx(by_hand, abs=1e-3)


def test_windows_that_would_not_fit_are_made_to():
    scaled = augment.scaled_crop(_slopes(300, 10, 40), 20, 20, (0.9, 0.9), _rng())
    top, bottom, left, right = _ends(scaled, 20, 20)
    assert top == pytest.approx(np.zeros(300), abs=0.01)
    assert bottom == pytest.approx(np.full(300, 10), abs=0.01)
    assert right - left == pytest.approx(np.full(300, 36), abs=0.02)


def test_flip_mirrors_about_half_and_leaves_the_rest():
    images = _numbered(2000, 2, 3, 1)
    flipped = images.copy()
    augment.flip(flipped, _rng())
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == images).all((1, 2, 3))
    assert (mirrored ^ same).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_flip_keeps_the_channels_of_a_pixel_together(channels, dtype):
    images = _numbered(8, 2, 5, channels).astype(dtype)
    flipped = images.copy()
    augment.flip(flipped, _rng())
    for image, result in zip(images, flipped, strict=True):
        assert np.array_equal(result, image) or np.array_equal(result, image[:, ::-1])


def test_brightness_is_one_factor_per_image():
    images = np.full((3000, 2, 2, 3), 100, np.uint8)
    images[:, 0, 0] = 10
    lit = augment.relight(images, 0.4, 0.0, _rng())
    factors = lit[:, 1, 1, 0] / 100
    assert lit.dtype == np.float32
    assert lit[:, 0, 0, 2] / 10 == pytest.approx(factors, rel=1e-5)
    assert np.percentile(factors, (0, 25, 50, 75, 100)) == pytest.approx((0.6, 0.8, 1.0, 1.2, 1.4), abs=0.03)
    assert (images[:, 1] == 100).all(), "what was given is not changed"


def test_contrast_keeps_the_mean_and_scales_the_rest():
    images = np.full((3000, 1, 2, 2), 90, np.uint8)
    images[:, 0, 1] = 110
    changed = augment.relight(images, 0.0, 0.5, _rng())
    assert changed.mean((1, 2, 3)) == pytest.approx(np.full(3000, 100), abs=1e-3)
    factors = (changed[:, 0, 1, 0] - changed[:, 0, 0, 0]) / 20
    assert np.percentile(factors, (0, 25, 50, 75, 100)) == pytest.approx((0.5, 0.75, 1.0, 1.25, 1.5), abs=0.03)


def test_contrast_is_about_the_mean_after_the_change_of_brightness():
    images = np.full((100, 1, 2, 2), 90, np.uint8)
    images[:, 0, 1] = 110
    light = augment.relight(images, 0.4, 0.0, _rng()).mean((1, 2, 3))
    assert augment.relight(images, 0.4, 0.5, _rng()).mean((1, 2, 3)) == pytest.approx(light, abs=1e-3)


def test_light_stays_within_what_a_pixel_can_be():
    images = np.zeros((500, 1, 2, 1), np.uint8)
    images[:, 0, 1] = 255
    lit = augment.relight(images, 1.0, 1.0, _rng())
    assert lit.min() == 0 and lit.max() == 255


def test_no_brightness_and_no_contrast_change_nothing():
    images = _numbered(4).astype(np.uint8)
    assert augment.relight(images, 0.0, 0.0, _rng()) == pytest.approx(images, abs=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalization_by_hand(dtype):
    images = np.array([[[[0, 255], [102, 51]]]], dtype)  # one row of two pixels
    found = augment.normalize(images, MEAN, SD)
    assert found.dtype == np.float32
    assert found[0, 0].ravel() == pytest.approx([-2.0, 2.0, 0.0, -1.2], abs=1e-6)
    assert images.tolist() == [[[[0, 255], [102, 51]]]], "what was given is not changed"


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_is_one_square_clipped_at_the_border(side):
    images = np.ones((500, 6, 8, 2), np.float32)
    augment.cut_out(images, side, _rng())
    assert np.array_equal(images[..., 0], images[..., 1]), "all channels are cut alike"
    for hole in images[..., 0] == 0:
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns), "a rectangle"
        for places, length in ((rows, 6), (columns, 8)):
            assert places[-1] - places[0] + 1 == len(places) <= side
            is_clipped = places[0] == 0 or places[-1] == length - 1
            assert len(places) == side or (is_clipped and len(places) >= side // 2)


def test_cutout_centers_are_everywhere():
    images = np.ones((3000, 4, 4, 1), np.float32)
    augment.cut_out(images, 1, _rng())
    assert images.mean((0, 3)).ravel() == pytest.approx([15 / 16] * 16, abs=0.02)


ALL = Augmentation(crop=5, padding=2, flip=True, cutout=3, brightness=0.3, contrast=0.3)
SCALED = Augmentation(crop=5, flip=True, cutout=3, area=(0.3, 0.9))


@pytest.mark.parametrize("how", [ALL, SCALED, Augmentation(padding=1), Augmentation(area=(0.5, 1.0))])
def test_equal_generators_draw_equal_images_and_the_global_ones_are_left_alone(how):
    images = _numbered(16, 6, 8).astype(np.uint8)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002

    def draw(seed):
        return augment.augment(images.copy(), how, MEAN, SD, _rng(seed))

    assert draw(1).shape == ((16, 5, 5, 2) if how.crop else (16, 6, 8, 2))
    assert draw(1).dtype == np.float32
    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_padding_is_black_before_normalization_and_cutout_is_the_mean():
    images = np.full((200, 4, 4, 2), 255, np.uint8)
    padded = augment.augment(images.copy(), Augmentation(padding=2), MEAN, SD, _rng())
    assert set(padded[..., 0].ravel().round(4).tolist()) == {-2.0, 3.0}  # (0 - 0.4) / 0.2 and (1 - 0.4) / 0.2
    cut = augment.augment(images.copy(), Augmentation(cutout=2), MEAN, SD, _rng())
    assert set(cut[..., 0].ravel().round(4).tolist()) == {0.0, 3.0}


def test_no_augmentation_is_normalization():
    images = _numbered(3).astype(np.uint8)
    plain = augment.augment(images.copy(), Augmentation(), MEAN, SD, _rng())
    assert np.array_equal(plain, augment.normalize(images, MEAN, SD))


class Factor:
    """Draws that are always the same share of what may be drawn."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low, high, size):
        return np.full(size, low + self.share * (high - low))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_saturation_and_hue_are_those_of_hsv(share):
    """Against Python's own conversion, pixel by pixel."""
    images = _rng().integers(0, 256, (2, 5, 6, 3), np.uint8)
    images[0, 0] = np.arange(6)[:, None] * 51  # grays
    images[0, 1] = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
    found = augment.recolor(images, 0.8, 0.3, Factor(share))
    assert (found.dtype, found.shape) == (np.float32, images.shape)
    for pixel, changed in zip(images.reshape(-1, 3) / 255, found.reshape(-1, 3) / 255, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        wanted = hue - 0.3 + 0.6 * share, min(1, saturation * (0.2 + 1.6 * share)), value
        assert changed == pytest.approx(colorsys.hsv_to_rgb(wanted[0] % 1, *wanted[1:]), abs=1e-5)


def test_colors_change_by_one_factor_and_one_turn_per_image_within_what_was_asked_for():
    images = np.zeros((4000, 1, 2, 3), np.uint8)
    images[:, :, 0], images[:, :, 1] = (200, 100, 100), (150, 150, 50)
    first, second = (augment.recolor(images, 0.5, 0.1, _rng()) / 255)[:, 0].transpose(1, 0, 2)
    hsv = np.array([[colorsys.rgb_to_hsv(*pixel) for pixel in pixels] for pixels in (first, second)])
    turns = (hsv[0, :, 0] + 0.5) % 1 - 0.5
    assert turns == pytest.approx(hsv[1, :, 0] - 1 / 6, abs=1e-5)
    assert (turns.min(), turns.max(), turns.mean()) == pytest.approx((-0.1, 0.1, 0), abs=0.005)
    factors = hsv[0, :, 1] / 0.5
    assert (factors.min(), factors.max(), factors.mean()) == pytest.approx((0.5, 1.5, 1), abs=0.02)
    assert np.abs(np.corrcoef(turns, factors)[0, 1]) < 0.06


@pytest.mark.parametrize(
    ("place", "enhance"), list(enumerate((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)))
)
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_jitter_blends_as_pillow_does(place, enhance, share):
    """Which is what ColorJitter calls; Pillow rounds to whole numbers on the way."""
    images = _rng().integers(0, 256, (2, 5, 6, 3), np.uint8)
    amounts = [0.8 * (n == place) for n in range(3)]
    found = augment.jitter(images, *amounts, 0.0, Factor(share))
    for image, changed in zip(images, found, strict=True):
        wanted = np.asarray(enhance(Image.fromarray(image)).enhance(0.2 + 1.6 * share), float)
        assert np.abs(changed - wanted).max() < 2


def test_jitter_draws_the_order_of_the_four_changes_for_each_image_anew():
    """Every one of the 24 orders comes up about as often, and the turn of the hue is that of `recolor`."""
    images = np.zeros((2400, 1, 2, 3), np.uint8)
    images[:, 0] = (200, 90, 40), (30, 160, 220)
    amounts = {"brightness": 0.3, "contrast": 0.5, "saturation": 0.7}

    class Same(Factor):
        """The same amounts for all images, other orders."""

        rng = _rng()

        def uniform(self, low, high, size):
            return self.rng.random(size) if np.ndim(low) == 0 and low == 0 else super().uniform(low, high, size)

    found = augment.jitter(images, *amounts.values(), 0.1, Same(0.9)).reshape(len(images), -1).round(2)
    _, counts = np.unique(found, axis=0, return_counts=True)
    wanted = set()
    for order in itertools.permutations(range(4)):
        image = images[:1].astype(np.float32)
        for change in order:
            only = [amount * (n == change) for n, amount in enumerate(amounts.values())]
            image = augment.jitter(image, *only, 0.1 * (change == 3), Factor(0.9))
        wanted.add(tuple(image.reshape(-1).round(2).tolist()))
    assert {tuple(row) for row in found.tolist()} == wanted
    assert len(wanted) > 12, "orders differ"
    assert counts.min() > 50


def test_jitter_without_an_amount_is_refused_and_gray_images_have_their_own_mean():
    with pytest.raises(BadReference, match=r"task\.jitter is true, but nothing says by how much"):
        Augmentation(jitter=True).fitted(8, 8)
    images = _rng().integers(0, 256, (3, 4, 4, 1), np.uint8)
    how = Augmentation(jitter=True, contrast=0.8).fitted(4, 4, 1)
    assert augment.augment(images.copy(), how, MEAN[:1], SD[:1], _rng()).shape == images.shape
    lit = augment.jitter(images, 0.0, 0.8, 0.0, 0.0, Factor(0.5))
    assert lit == pytest.approx(images, abs=1e-3)


@pytest.mark.parametrize(("option", "value"), [("saturation", 0.5), ("hue", 0.1)])
def test_gray_images_have_no_colors_to_change(option, value):
    how = Augmentation(**{option: value})
    assert how.fitted(8, 8) == how
    with pytest.raises(BadReference, match=rf"task\.{option} is {value}, but the images are gray; leave it out"):
        how.fitted(8, 8, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saturation": 1.5}, "task.saturation is 1.5; it must be from 0 to 1"),
        ({"hue": 0.6}, "task.hue is 0.6; it must be from 0 to 0.5"),
        ({"brightness": 1.5}, "task.brightness is 1.5; it must be from 0 to 1"),
        ({"contrast": -0.1}, "task.contrast is -0.1; it must be from 0 to 1"),
        ({"area": (0.0, 1.0)}, "task.area is [0.0, 1.0]; give two shares"),
        ({"area": (0.5, 0.2)}, "task.area is [0.5, 0.2]; give two shares"),
        ({"area": (0.5, 1.2)}, "task.area is [0.5, 1.2]; give two shares"),
        ({"area": (0.5, 1.0), "padding": 4}, "task.area is [0.5, 1.0] and task.padding 4; use one of them"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(BadReference, match=re.escape(message)):
        Augmentation(**options)


def _blob(rows=9, columns=9, at=(2, 6)):
    image = np.zeros((1, rows, columns, 1), np.uint8)
    image[0, at[0], at[1]] = 200
    return image


def test_no_turn_and_no_zoom_leave_an_image_as_it_is():
    images = _numbered(3, 5, 8, 2).astype(np.float32)
    assert augment.distort(images, 0.0, 0.0, _rng()) == pytest.approx(images, rel=1e-4)


def test_turns_keep_the_middle_and_go_both_ways_however_wide_an_image_is():
    class Known:
        def __init__(self, angle):
            self.angle = angle

        def uniform(self, low, high, size):
            return np.full(size, self.angle if size == 1 else 1.0)

    for columns in (9, 15):
        middle = columns // 2
        image = _blob(9, columns, (4, middle + 3))
        up, down = (augment.distort(image, 90.0, 0.0, Known(angle))[0, :, :, 0] for angle in (90.0, -90.0))
        assert {np.unravel_index(each.argmax(), each.shape) for each in (up, down)} == {(1, middle), (7, middle)}
        assert up.max() == pytest.approx(200, rel=1e-4)


def test_zooms_keep_the_middle_and_move_what_lies_out():
    images = _blob(9, 9, (4, 7)).repeat(500, 0)
    moved = augment.distort(images, 0.0, 0.3, _rng())[..., 0]
    assert np.abs(moved.sum(1).argmax(1) - 4.0).mean() == pytest.approx(3, abs=0.15)
    assert set(moved.sum(1).argmax(1)) == {6, 7, 8}
    assert (moved.sum(2).argmax(1) == 4).all()


@pytest.mark.parametrize(("name", "value"), [("rotation", -1.0), ("rotation", 181.0), ("zoom", 0.6), ("zoom", -0.1)])
def test_turns_and_zooms_out_of_range_are_refused(name, value):
    with pytest.raises(BadReference, match=rf"task\.{name} is {value}; it must be from 0 to "):
        Augmentation(**{name: value})
