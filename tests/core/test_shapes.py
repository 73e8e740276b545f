import pickle
from dataclasses import replace

import pytest

from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.core.shapes import (
    Classes,
    Image,
    Numbers,
    Sequence,
    Tokens,
    Vector,
    are_alike,
    contents,
    describe,
    dimensions,
    output_dimensions,
    positions,
    size,
)


def test_images_that_are_classified_have_a_short_form():
    io = IO(3, 32, 24, 10)
    assert io == IO(Image(3, 32, 24), Classes(10)) == IO(input=Image(3, 32, 24), output=Classes(10))
    assert io == IO(channels=3, height=32, width=24, outputs=10)
    assert (io.channels, io.height, io.width, io.outputs) == (3, 32, 24, 10)
    assert pickle.loads(pickle.dumps(io)) == io  # noqa: S301 - our own
    assert replace(io, output=Classes(5)) == IO(3, 32, 24, 5)
    assert len({io, IO(3, 32, 24, 10), IO(3, 32, 24, 11)}) == 2


def test_what_is_no_image_has_no_channels():
    io = IO(Vector(16), Numbers(2))
    assert io.outputs == 2
    with pytest.raises(BadReference, match="images are needed, but vectors of 16 go in; give a task of images"):
        _ = io.channels


@pytest.mark.parametrize("given", [(), (3,), (3, 32, 32), (3, 32, 32, 10, 1)])
def test_anything_else_is_refused(given):
    with pytest.raises(TypeError, match="IO takes an input and an output"):
        IO(*given)


def test_shapes_are_tuples_with_named_kinds():
    assert Image(3, 8, 8) == (3, 8, 8)
    assert are_alike(Vector(5), Vector(5))
    assert not are_alike(Sequence(5, 6), Tokens(5, 6))
    assert [size(s) for s in (Image(3, 8, 8), Sequence(5, 6), Vector(5), Tokens(100, 6))] == [192, 30, 5, 6]
    assert [positions(s) for s in (Image(3, 8, 8), Sequence(5, 6), Vector(5), Tokens(100, 6))] == [64, 6, 1, 6]
    assert describe(Image(3, 32, 24)) == "images of 3 x 32 x 24"
    assert describe(Tokens(10_000, 35)) == "35 tokens of a vocabulary of 10,000"
    assert describe(Classes(1000)) == "1,000 classes"


def test_tensors_of_one_example():
    given = [dimensions(shape) for shape in (Image(3, 8, 9), Sequence(5, 6), Vector(5), Tokens(100, 6))]
    assert given == [(3, 8, 9), (6, 5), (5,), (6,)]
    assert [output_dimensions(each) for each in (Classes(4), Numbers(2), Tokens(100, 6))] == [(4,), (2,), (6, 100)]


def test_what_data_consists_of():
    assert contents(IO(3, 8, 8, 10)) == "images, classes"
    assert contents(IO(Tokens(9, 5), Tokens(9, 5))) == "tokens"
