import io
import os
import struct
import tracemalloc
import warnings
import zlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netwright.data import decode as module
from netwright.data.decode import (
    ANIMATED,
    CLEAR,
    CMYK,
    CUT,
    DEEP,
    MISNAMED,
    ON_BLACK,
    TURNED,
    UNSEEN,
    BadImage,
    Seen,
    SystemFault,
    decode,
    is_gray,
    span_of,
)
from tests import bad_images
from tests.bad_images import encoded, pixels

COLOR = partial(decode, channels=3, height=12, width=12, fit="crop")
GRAY = partial(decode, channels=1, height=12, width=12, fit="crop")


def _made(tmp_path, make, name="x.png", **how):
    make(tmp_path / name, **how)
    return tmp_path / name


def test_an_image_of_the_right_size_is_not_touched(tmp_path):
    for channels, decoder in ((3, COLOR), (1, GRAY)):
        array = pixels(0, channels=channels)
        image, notes = decoder(encoded(array))
        assert image.dtype == np.uint8
        assert np.array_equal(image, array.reshape(12, 12, channels))
        assert notes == ()


def test_files_and_bytes_are_the_same(tmp_path):
    bad_images.good(tmp_path / "x.jpg", kind="JPEG")
    assert np.array_equal(COLOR(tmp_path / "x.jpg")[0], COLOR((tmp_path / "x.jpg").read_bytes())[0])


def test_gray_becomes_color_and_back():
    gray = pixels(0, channels=1)
    assert np.array_equal(COLOR(encoded(gray))[0], np.repeat(gray[:, :, None], 3, 2))
    red = np.zeros((12, 12, 3), np.uint8)
    red[..., 0] = 255
    assert GRAY(encoded(red))[0].flatten().tolist() == [76] * 144, "luma of ITU-R 601: 0.299 red"


def test_palettes_are_resolved_without_a_note():
    image, notes = COLOR(encoded(np.array(Image.fromarray(pixels(0)).quantize(4).convert("RGB")), "GIF"))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) <= 4
    assert notes == ()


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (bad_images.unreadable, "x.png", "not an image"),
        (bad_images.zero_byte, "x.png", "empty"),
        (bad_images.truncated, "x.jpg", "truncated"),
        (bad_images.bomb, "x.png", "more than 89 million pixels"),
        (partial(bad_images.bomb, side=10_000), "x.png", "more than 89 million pixels"),
    ],
)
def test_broken_files_are_refused_with_a_reason(tmp_path, make, name, reason):
    path = _made(tmp_path, make, name)
    for action in ("ignore", "error"):  # Pillow warns from its limit to twice of it
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            for source in (path, path.read_bytes()):
                with pytest.raises(BadImage, match=reason):
                    COLOR(source)


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (("none.png", "no such file"), ("", "not a file"), ("pipe.png", "not a file")):
        with pytest.raises(BadImage, match=reason):
            COLOR(tmp_path / name)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_lying_photos_are_turned_upright(tmp_path, orientation):
    path = _made(tmp_path, bad_images.rotated, "x.jpg", orientation=orientation)
    image, notes = COLOR(path)
    assert notes == (TURNED,)
    assert image[:5].min() > 240
    assert image[7:].max() < 15


def test_cmyk_is_converted(tmp_path):
    image, notes = COLOR(_made(tmp_path, bad_images.cmyk, "x.jpg"))
    assert notes == (CMYK,)
    assert image[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3), "full magenta and yellow are red"
    assert GRAY(tmp_path / "x.jpg")[0][0, 0, 0] == pytest.approx(76, abs=3)


@pytest.mark.parametrize(("value", "gray"), [(0, 0), (257, 1), (0x8000, 128), (0xFFFF, 255)])
def test_16_bits_are_scaled_not_clipped(tmp_path, value, gray):
    image, notes = GRAY(_made(tmp_path, bad_images.sixteen_bit, value=value))
    assert notes == (DEEP,)
    assert set(image.flatten().tolist()) == {gray}


def test_images_of_floats_are_scaled_by_the_white_they_fit(tmp_path):
    small = partial(decode, channels=1, height=2, width=2, fit="crop")
    assert small(_made(tmp_path, bad_images.thirty_two_bit, "x.tif"))[0].flatten().tolist() == [128, 255] * 2
    for top, expected in ((255.0, 255), (200.0, 200), (65535.0, 255), (32768.0, 128)):
        stream = io.BytesIO()
        Image.fromarray(np.array([[0, top]] * 2, np.float32)).save(stream, "TIFF")
        assert small(stream.getvalue())[0].flatten().tolist() == [0, expected] * 2
    stream = io.BytesIO()
    Image.fromarray(np.array([[0, np.nan]] * 2, np.float32)).save(stream, "TIFF")
    with pytest.raises(BadImage, match="no numbers"):
        small(stream.getvalue())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_animations_the_first_frame_is_taken(tmp_path, kind):
    image, notes = COLOR(_made(tmp_path, bad_images.animated, f"x.{kind.lower()}", kind=kind))
    assert notes == (ANIMATED,)
    assert image[5, 5].tolist() == pytest.approx([255, 0, 0], abs=10)


def test_transparency_shows_white(tmp_path):
    image, notes = COLOR(_made(tmp_path, bad_images.transparent))
    assert notes == (CLEAR,)
    assert (image[:, :6] == 255).all() and (image[:, 6:] == 0).all()
    assert COLOR(encoded(np.dstack((pixels(0), np.full((12, 12), 255, np.uint8)))))[1] == (), "opaque: nothing to say"


def _disk(side=24):
    y, x = np.mgrid[:side, :side] - side / 2
    return (x**2 + y**2 < side**2 / 9).astype(np.uint8)


def _icon(mode, value):
    """An image whose shape, a disk, is in its transparency only."""
    shape, stream, how = _disk(), io.BytesIO(), {}
    plain = Image.fromarray(np.full((24, 24), value, np.uint8))
    if mode in ("LA", "RGBA"):
        image = plain.convert(mode)
        image.putalpha(Image.fromarray(shape * 255))
    elif mode == "P":
        image, how = Image.fromarray(shape).convert("P"), {"transparency": 0}
        image.putpalette([value] * 768)
    else:  # one gray, or color, is transparent
        image, how = Image.fromarray(np.where(shape, value, 7).astype(np.uint8)).convert(mode), {"transparency": 7}
        how = how if mode == "L" else {"transparency": (7, 7, 7)}
    image.save(stream, "PNG", **how)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_shape_in_the_transparency_shows_on_some_ground(mode, channels, fit):
    shape = _disk()
    for value, note, shows in ((255, ON_BLACK, 255), (240, ON_BLACK, 240), (0, CLEAR, 0)):
        image, notes = decode(_icon(mode, value), channels=channels, height=24, width=24, fit=fit)
        assert notes == (note,)
        assert (image[shape == 1] == shows).all()
        assert (image[shape == 0] == (0 if note == ON_BLACK else 255)).all()


def test_what_white_shows_stays_on_white():
    page = np.full((64, 64, 4), 255, np.uint8)
    page[8:56:8, 8:56, :3] = 0  # lines of text
    page[:6, :6, 3] = 0  # a corner
    image, notes = decode(encoded(page), channels=3, height=64, width=64, fit="crop")
    assert notes == (CLEAR,) and (image[:6, :6] == 255).all()


def test_an_image_that_nothing_of_is_visible_is_read_all_the_same():
    array = np.dstack((pixels(0), np.zeros((12, 12), np.uint8)))
    image, notes = COLOR(encoded(array))
    assert notes == (UNSEEN,) and np.array_equal(image, pixels(0))
    assert not is_gray(encoded(array))


@settings(max_examples=100)
@given(st.integers(1, 16), st.integers(0, 2**16 - 1), st.randoms(use_true_random=False))
def test_levels_of_16_bits_are_kept_by_the_span_of_their_set(bits, offset, random):
    values = np.array([[random.randrange(2**bits) for _ in range(20)] for _ in range(20)])
    values = np.minimum(values + offset, 2**16 - 1)
    span = span_of(float(values.min()), float(values.max()))
    seen = Seen()
    deep = encoded(values.astype(np.uint16))
    image, notes = decode(deep, channels=1, height=20, width=20, fit="crop", span=span, seen=seen)
    assert notes == (DEEP,) and seen.extent == (values.min(), values.max()) and seen.span == span
    order = np.argsort(values.reshape(-1))
    assert (np.diff(image.reshape(-1)[order].astype(int)) >= 0).all(), "brighter stays brighter"
    apart = (int(values.max()) - int(values.min())) / 255
    assert len(np.unique(image)) >= min(len(np.unique(values // max(int(np.ceil(2.1 * apart)), 1))), 100)


def test_spans_are_whole_bits_unless_the_values_fill_less_than_half_of_them():
    for extent, span in (
        ((0, 4000), (0, 4095)),
        ((120, 65000), (0, 65535)),
        ((0, 300), (0, 511)),
        ((0, 200), (0, 255)),
        ((0, 0.9), (0, 1)),
        ((31768, 35863), (31768, 35863)),
        ((-1000, 3000), (-1000, 3000)),
        ((0, 5.5), (0, 5.5)),
        ((40000, 40000), (0, 65535)),
        ((-5, -5), (-5, 1)),
        ((0, 1e12), (0, 1e12)),
    ):
        assert span_of(*extent) == span


def _color_of_16_bits(values):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def test_16_bits_of_color_are_said_to_be_cut():
    values = np.random.default_rng(0).integers(0, 2**16, (12, 12, 3))
    image, notes = COLOR(_color_of_16_bits(values))
    assert notes == (CUT,) and np.array_equal(image, values >> 8)


def test_gray_is_told_from_color():
    gray = pixels(0, 40, 40, channels=1)
    alike = np.repeat(gray[:, :, None], 3, 2)
    for data in (encoded(gray), encoded(alike), encoded(alike, "JPEG"), encoded(alike, "GIF"), _icon("LA", 255)):
        assert is_gray(data)
    spot = alike.copy()
    spot[10:12, 10:12] = (250, 10, 10)
    for data in (encoded(spot), encoded(pixels(0), "JPEG"), encoded(pixels(0), "GIF")):
        assert not is_gray(data)
        seen = Seen()
        decode(data, channels=1, height=12, width=12, fit="crop", seen=seen)
        assert seen.is_colored
    with pytest.raises(BadImage, match="empty"):
        is_gray(b"")


LIES = {  # heads of files that state lengths of some GB
    "x.jp2": bytes.fromhex("0000000c6a5020200d0a870a00000014667479706a703220000000006a703220ef00002d6a703268")
    + b"x" * 99,
    "x.tif": b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 256, 7, 2**32 - 9, 8, 34675, 7, 2**32 - 9, 8),
    "x.png": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**32 - 9) + b"IHDR" + b"x" * 99,
    "x.webp": b"RIFF" + struct.pack("<I", 2**32 - 9) + b"WEBPVP8X" + struct.pack("<I", 2**32 - 9) + b"x" * 99,
    "x.bmp": b"BM" + struct.pack("<IHHI", 2**32 - 9, 0, 0, 2**32 - 9) + struct.pack("<I", 2**32 - 9) + b"x" * 99,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LIES)
def test_no_more_is_read_than_a_file_has(tmp_path, name):
    (tmp_path / name).write_bytes(LIES[name])
    tracemalloc.start()
    try:
        with pytest.raises(BadImage) as caught:
            COLOR(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not isinstance(caught.value, SystemFault)
    assert peak < 2**24


def test_a_file_that_asks_for_more_memory_than_its_size_takes_is_at_fault(monkeypatch):
    def failing(image, *args):
        raise MemoryError

    monkeypatch.setattr(module, "_decoded", failing)
    with pytest.raises(BadImage, match="asks for more memory than an image of its size takes") as caught:
        COLOR(encoded(pixels(0)))
    assert not isinstance(caught.value, SystemFault)
    data = encoded(pixels(0))
    monkeypatch.setattr(np, "empty", failing)
    with pytest.raises(SystemFault, match="out of memory"):
        COLOR(data)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_transparency_is_put_on_white_when_the_image_is_small(fit, monkeypatch):
    array = np.zeros((64, 128, 4), np.uint8)
    array[:, 64:] = (10, 200, 30, 255)
    sizes, composite = [], Image.alpha_composite
    monkeypatch.setattr(Image, "alpha_composite", lambda a, b: sizes.append(a.size) or composite(a, b))
    image, notes = decode(encoded(array), channels=3, height=16, width=16, fit=fit)
    assert notes == (CLEAR,) and sizes == [(16, 16)]
    rows = slice(4, 12) if fit == "pad" else slice(0, 16)
    assert (image[rows, :7] == 255).all() and (image[rows, 9:] == (10, 200, 30)).all()
    assert fit != "pad" or ((image[:4] == 0).all() and (image[12:] == 0).all()), "padded with black, not with white"
    assert image[8, 7, 0] > 10 < image[8, 8, 0], "what is invisible has no color to bleed"
    gray, _ = decode(encoded(array), channels=1, height=16, width=16, fit=fit)
    assert (gray[rows, :7] == 255).all()


def test_scaling_16_bits_takes_no_more_than_single_precision():
    data = encoded(np.full((500, 500), 0x8000, np.uint16))
    tracemalloc.start()
    try:
        decode(data, channels=1, height=8, width=8, fit="crop")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500 * 500 * 16, "three arrays of single precision at most, and what they are made of"


def test_the_content_says_what_a_file_is(tmp_path):
    image, notes = COLOR(_made(tmp_path, bad_images.wrong_extension, "x.png"))
    assert notes == (MISNAMED,)
    assert np.array_equal(image, COLOR((tmp_path / "x.png").read_bytes())[0])


def test_fits_by_hand():
    """A wide image: left third red, middle green, right blue."""
    wide = np.zeros((30, 90, 3), np.uint8)
    for third in range(3):
        wide[:, 30 * third : 30 * third + 30, third] = 255
    fits = {f: decode(encoded(wide), channels=3, height=30, width=30, fit=f)[0] for f in ("crop", "stretch", "pad")}
    assert (fits["crop"] == (0, 255, 0)).all()
    middles = fits["stretch"][15, [5, 15, 25]]
    assert middles.argmax(1).tolist() == [0, 1, 2] and middles.max(1).tolist() == [255] * 3
    assert (fits["pad"][:10] == 0).all() and (fits["pad"][20:] == 0).all()
    assert fits["pad"][15, [5, 15, 25]].argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1, 500), (500, 1), (3, 2), (40, 41), (12, 300)])
def test_any_size_fits(fit, size):
    image, _ = decode(encoded(pixels(0, *size)), channels=3, height=12, width=9, fit=fit)
    assert image.shape == (12, 9, 3)


def test_reducing_is_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    image, _ = decode(encoded(stripes), channels=1, height=8, width=8, fit="crop")
    assert np.abs(image[:, 1:-1].astype(int) - 127).max() <= 2


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("shape", [(896, 1200), (1200, 496), (384, 512)])
def test_large_jpegs_are_reduced_early_to_the_same_picture(fit, shape, monkeypatch):
    smooth = np.array(Image.fromarray(pixels(0, 9, 12)).resize(shape[::-1], Image.Resampling.BICUBIC))
    data = encoded(smooth, "JPEG", quality=95)
    sizes, resized = [], module.resized
    monkeypatch.setattr(module, "resized", lambda image, form: sizes.append(image.size) or resized(image, form))
    early, _ = decode(data, channels=3, height=48, width=64, fit=fit)
    monkeypatch.setattr(module, "_reduce_early", lambda image, form: None)
    whole, _ = decode(data, channels=3, height=48, width=64, fit=fit)
    (width, height), original = sizes
    assert original == shape[::-1]
    assert width < original[0]
    scales = (64 / width, 48 / height)
    assert (min(scales) if fit == "pad" else max(scales)) <= 0.5, "at least twice as large as needed"
    assert not np.array_equal(early, whole), "else this tests nothing"
    assert np.abs(early.astype(int) - whole).mean() < 1.0


SEEDS = [encoded(pixels(0, 9, 7), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")]


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.integers(1)
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_are_an_image_or_refused(data, changes, length):
    damaged = bytearray(data[:length])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        image, _ = COLOR(bytes(damaged))
    except BadImage:
        return
    assert image.shape == (12, 12, 3)
