import pytest
import torch

from netwright.data import augment


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _numbered(count, channels=2, height=6, width=6):
    """Images in which every pixel has a value of its own; none is 0."""
    return (torch.arange(count * channels * height * width) + 1).reshape(count, channels, height, width).int()


def _windows(image, size, padding):
    """Every window of the padded image, by hand."""
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=image.dtype)
    padded[:, padding : padding + height, padding : padding + width] = image
    return [
        padded[:, top : top + size, left : left + size]
        for top in range(height + 2 * padding - size + 1)
        for left in range(width + 2 * padding - size + 1)
    ]


@pytest.mark.parametrize(("size", "padding"), [(4, 0), (6, 1), (5, 2), (1, 0), (8, 1), (6, 0)])
@pytest.mark.parametrize("shape", [(6, 6), (6, 9)])
def test_crops_are_windows_of_the_padded_image(size, padding, shape):
    images = _numbered(40, 2, *shape)
    cropped = augment.crop(images, size, padding, _generator())
    assert cropped.shape == (40, 2, size, size)
    assert cropped.dtype == images.dtype
    for image, crop in zip(images, cropped, strict=True):
        assert any(torch.equal(crop, window) for window in _windows(image, size, padding))


def test_every_window_comes_up_equally_often_and_images_move_apart():
    image = _numbered(1, 1, 3, 3)
    cropped = augment.crop(image.repeat(9000, 1, 1, 1), 3, 1, _generator())
    shares = [(cropped == window).flatten(1).all(1).float().mean().item() for window in _windows(image[0], 3, 1)]
    assert len(shares) == 9
    assert shares == pytest.approx([1 / 9] * 9, abs=0.015)


def test_a_crop_larger_than_the_padded_image_is_refused():
    with pytest.raises(RuntimeError):
        augment.crop(_numbered(2), 9, 1, _generator())


def test_flip_mirrors_about_half_and_leaves_the_rest():
    images = _numbered(2000, 1, 2, 3)
    flipped = augment.flip(images, _generator())
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert flipped.dtype == images.dtype


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_is_one_square_clipped_at_the_border(side):
    images = torch.ones(500, 2, 6, 8)
    cut = augment.cutout(images, side, _generator())
    assert (images == 1).all(), "what was given is not changed"
    assert torch.equal(cut[:, 0], cut[:, 1]), "all channels are cut alike"
    for hole in cut[:, 0] == 0:
        rows, columns = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
        assert hole.sum() == len(rows) * len(columns), "a rectangle"
        for places, length in ((rows, 6), (columns, 8)):
            assert places[-1] - places[0] + 1 == len(places) <= side
            is_clipped = places[0] == 0 or places[-1] == length - 1
            assert len(places) == side or (is_clipped and len(places) >= side // 2)


def test_cutout_centers_are_everywhere():
    holes = augment.cutout(torch.ones(3000, 1, 4, 4), 1, _generator()).mean((0, 1))
    assert holes.flatten().tolist() == pytest.approx([15 / 16] * 16, abs=0.02)


def test_equal_generators_draw_equal_images_and_the_global_one_is_left_alone():
    state, images = torch.random.get_rng_state(), _numbered(16).float()
    for draw in (
        lambda g: augment.crop(images, 4, 1, g),
        lambda g: augment.flip(images, g),
        lambda g: augment.cutout(images, 2, g),
    ):
        assert torch.equal(draw(_generator(1)), draw(_generator(1)))
        assert not torch.equal(draw(_generator(1)), draw(_generator(2)))
    assert torch.equal(state, torch.random.get_rng_state())
