"""The data sets of `benchmarks/tonight.py`: the same images for every column, none seen where defaults are chosen."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.tonight import characters, data
from netwright.tasks.arrays import arrays
from netwright.tasks.image_folder import image_folder

SEEN, UNSEEN = characters.fonts()


def png(place, side):
    """An image that tells its place: no two are equal."""
    pixels = np.random.default_rng(place).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def tiny_cifar(monkeypatch):
    """Twenty images of each of ten classes in either part, of 8 x 8 pixels."""

    def part(name):
        first = 0 if name == "train" else 200
        order = np.random.default_rng(first).permutation(200)
        return [png(first + place, 8) for place in range(200)], np.arange(200) % 10, order

    monkeypatch.setattr(data, "_cifar_part", part)


def test_characters_are_drawn_alike_again_and_in_other_ways_otherwise(monkeypatch):
    monkeypatch.setattr(characters, "CHARACTERS", "aB3")
    one, labels = characters.drawn(SEEN[:2], 2, seed=3)
    again, _ = characters.drawn(SEEN[:2], 2, seed=3)
    other, _ = characters.drawn(SEEN[:2], 2, seed=4)
    assert one.shape == (6, 28, 28, 1) and one.dtype == np.uint8
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert labels.tolist() == [kind for kind in range(3) for _ in range(2)]
    assert len({image.tobytes() for image in one}) == len(one)


def test_every_font_draws_every_character_in_a_way_of_its_own():
    for font in (*SEEN, *UNSEEN):
        found = [characters.inked(c, font, 0.8).tobytes() for c in characters.CHARACTERS]
        assert len(set(found)) == 62, (
            font.name
        )  # a font that lacks a character draws the same box for all that it lacks


def test_fonts_to_test_on_are_not_trained_on():
    assert not set(SEEN) & set(UNSEEN) and len(UNSEEN) >= 5


def test_names_of_characters_differ_where_capitals_do_not_count():
    assert len({name.casefold() for name in characters.NAMES}) == 62


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_a_fifth_of_each_class_validates(labels):
    labels = np.array(labels)
    split = data._held_out(labels)
    for kind in np.unique(labels):
        assert (split[labels == kind] == data.VALID).sum() == (labels == kind).sum() // 5
    assert set(split) <= {data.TRAIN, data.VALID}


def test_the_folder_holds_the_images_of_the_array_file_in_its_order(tiny_cifar, monkeypatch, tmp_path):
    for gray in (False, True):
        name = f"tiny{gray}"
        made = data.DataSet(lambda gray=gray: data.cifar((8, 9), (0, 10), (0, 10), gray=gray), "folder")
        monkeypatch.setattr(data, "SETS", {name: made})
        data.write(name, tmp_path)
        known = data.read(name, tmp_path)
        task = image_folder(made.argument(name, tmp_path), size=8, cache=str(tmp_path / "cache"))
        for split, kept in (("test", known.split == data.TEST), ("train+valid", known.split != data.TEST)):
            places = np.sort(task.data.positions[split])
            assert np.array_equal(task.data.pixels.take(places), known.images[kept])
            assert np.array_equal(task.data.labels[places], known.labels[kept])


def test_the_arrays_are_those_of_the_array_file(tiny_cifar, monkeypatch, tmp_path):
    made = data.DataSet(lambda: data.cifar(range(10), (0, 10), (10, 20)), "arrays")
    monkeypatch.setattr(data, "SETS", {"tiny": made})
    data.write("tiny", tmp_path)
    known = data.read("tiny", tmp_path)
    task = arrays(made.argument("tiny", tmp_path))
    for split, number in (("train", data.TRAIN), ("valid", data.VALID), ("test", data.TEST)):
        places = task.data.positions[split]
        assert np.array_equal(task.data.pixels.take(places), known.images[known.split == number])
        assert np.array_equal(task.data.labels[places], known.labels[known.split == number])


def test_digits_are_those_of_the_task():
    made = data.digits()
    assert [int((made.split == number).sum()) for number in range(3)] == [1077, 360, 360]


def test_what_is_written_is_kept_and_has_a_digest_of_its_own(tiny_cifar, monkeypatch, tmp_path):
    made = [data.cifar((0,), span, (0, 5)) for span in ((0, 10), (5, 15))]
    assert made[0].digest() != made[1].digest()
    monkeypatch.setattr(data, "SETS", {"tiny": data.DataSet(lambda: made[0], "arrays")})
    data.write("tiny", tmp_path)
    assert data.read("tiny", tmp_path).digest() == made[0].digest()
    monkeypatch.setattr(data, "SETS", {"tiny": data.DataSet(lambda: made[1], "arrays")})
    data.write("tiny", tmp_path)
    assert data.read("tiny", tmp_path).digest() == made[0].digest()
    assert not list(tmp_path.glob(".*"))


def test_images_that_defaults_are_chosen_on_are_not_reported(monkeypatch):
    """Which places of CIFAR-10 each set takes: none is both chosen on and reported."""
    taken = {}

    def cifar(classes, train, test, gray=False):
        spans = [(train, "train"), (test, "test")]
        return {
            (part, kind, place)
            for span, part in spans
            for kind in classes
            for place in range(*(span[kind] if isinstance(span, dict) else span))
        }

    monkeypatch.setattr(data, "cifar", cifar)
    for name, each in data.SETS.items():
        if name.startswith(("cifar", "gray")):
            taken[name] = each.make()
    assert len(taken["cifar4to7"]) == 4 * 300 + 1000 and len(taken["cifar5000"]) == 5000 + 2000
    assert len(taken["gray90"]) == 1500 + 1000 and len(taken["cifar0to3"]) == 4 * 500 + 1000
    chosen = taken["cifar0to3"] | taken["cifar0to3small"]
    assert not chosen & set().union(*(places for name, places in taken.items() if data.SETS[name].reported))


def test_without_cifar_it_is_said_what_to_do(monkeypatch):
    monkeypatch.delenv("NETWRIGHT_DATA", raising=False)
    data._cifar_part.cache_clear()
    with pytest.raises(SystemExit, match="need NETWRIGHT_DATA to name a folder"):
        data.cifar((0,), (0, 1), (0, 1))
