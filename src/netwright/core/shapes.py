"""Shapes of what flows through a network, and what goes into one and comes out of it.

A shape is a tuple without the batch, of a named kind: `Image`, `Sequence`, `Vector`, or another one below. Shapes are
alike when kind and numbers are equal (`are_alike`), since tuples of two kinds may hold the same numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, get_args, overload

from netwright.core.errors import BadReference


class Image(NamedTuple):
    """Maps over a plane: tensors (B, channels, height, width)."""

    channels: int
    height: int
    width: int


class Sequence(NamedTuple):
    """Features at each of some steps: tensors (B, steps, features)."""

    features: int
    steps: int


class Vector(NamedTuple):
    """Features without a place: tensors (B, features)."""

    features: int


class Tokens(NamedTuple):
    """Entries of a vocabulary at each of some steps: int64 (B, steps) going in, logits (B, steps, vocabulary) out."""

    vocabulary: int
    steps: int


class Weights(NamedTuple):
    """A table of vectors that a network has learned, the same one for every example: a tensor (entries, features)."""

    features: int
    entries: int


class Classes(NamedTuple):
    """One of several classes: logits (B, number)."""

    number: int


class Numbers(NamedTuple):
    """Numbers to be predicted: tensors (B, number)."""

    number: int


Shape = Image | Sequence | Vector | Tokens | Weights
Input = Image | Sequence | Vector | Tokens
Output = Classes | Numbers | Tokens

# what people call what goes in or comes out
NAMES = {
    Image: "images",
    Sequence: "sequences",
    Vector: "vectors",
    Tokens: "tokens",
    Weights: "weights",
    Classes: "classes",
    Numbers: "numbers",
}


@dataclass(frozen=True, slots=True, init=False)
class IO:
    """What a network takes and gives: `IO(Tokens(10_000, 35), Tokens(10_000, 35))`.

    Images that are classified have a short form: `IO(3, 32, 32, 10)` is `IO(Image(3, 32, 32), Classes(10))`.

    Args:
        input: What goes into the network.
        output: What comes out of it.
    """

    input: Input
    output: Output

    @overload
    def __init__(self, input: Input, output: Output) -> None: ...

    @overload
    def __init__(self, channels: int, height: int, width: int, outputs: int) -> None: ...

    def __init__(self, *given: Any, **named: Any) -> None:
        if named.keys() == {"channels", "height", "width", "outputs"}:
            given, named = tuple(named[name] for name in ("channels", "height", "width", "outputs")), {}
        if len(given) == 4 and not named:
            given = Image(*given[:3]), Classes(given[3])
        both = {**dict(zip(("input", "output"), given, strict=False)), **named}
        if both.keys() != {"input", "output"} or len(given) > 2:
            raise TypeError("IO takes an input and an output, or channels, height, width and classes of images")
        for name, value in both.items():
            object.__setattr__(self, name, value)

    @property
    def outputs(self) -> int:
        """How many numbers come out; for tokens, at each step."""
        return self.output[0]

    @property
    def channels(self) -> int:
        """Channels of the images that go in. Raises BadReference where there are none."""
        return self.image.channels

    @property
    def height(self) -> int:
        """Height of the images that go in, in pixels. Raises BadReference where there are none."""
        return self.image.height

    @property
    def width(self) -> int:
        """Width of the images that go in, in pixels. Raises BadReference where there are none."""
        return self.image.width

    @property
    def image(self) -> Image:
        """The images that go in. Raises BadReference where there are none."""
        if not isinstance(self.input, Image):
            raise BadReference(f"images are needed, but {describe(self.input)} go in; give a task of images")
        return self.input


def describe(kind: Shape | Output) -> str:
    """A shape for people: "images of 3 x 32 x 32", "10 classes", "vectors of 16"."""
    if isinstance(kind, Classes | Numbers):
        return f"{kind.number:,} {NAMES[type(kind)]}"
    if isinstance(kind, Tokens):
        return f"{kind.steps:,} tokens of a vocabulary of {kind.vocabulary:,}"
    return f"{NAMES[type(kind)]} of {' x '.join(map(str, kind))}"


def plural(kind: Input) -> str:
    """What several examples of it are called: "images", "vectors", "sequences"."""
    return NAMES[Sequence if isinstance(kind, Tokens) else type(kind)]


def to_text(io: IO) -> str:
    """`3x32x32:10` for images of 3 channels and 32 x 32 pixels in 10 classes; other kinds are named.

    As in `vector=16:numbers=1`, `sequence=8x100:10` (8 features at 100 steps) and `tokens=10000x35:tokens=10000x35` (a
    vocabulary of 10,000 at 35 steps).
    """
    return f"{_spelled(io.input, Image)}:{_spelled(io.output, Classes)}"


def from_text(text: str) -> IO | None:
    """Inverse of `to_text`; None for any other text."""
    before, _, after = text.partition(":")
    given, wanted = _read(before, Image, get_args(Input)), _read(after, Classes, get_args(Output))
    return IO(given, wanted) if given and wanted else None


def dimensions(shape: Shape) -> tuple[int, ...]:
    """The shape of one example's tensor: (C, H, W), (steps, features), (features,) or, for tokens, (steps,).

    Of weights it is that of their tensor, which no example has of its own: (entries, features).
    """
    if isinstance(shape, Sequence | Weights):
        return shape[1], shape[0]
    return (shape.steps,) if isinstance(shape, Tokens) else tuple(shape)


def output_dimensions(output: Output) -> tuple[int, ...]:
    """The shape of one example's outputs: (number,), or, for tokens, (steps, vocabulary)."""
    return (output.steps, output.vocabulary) if isinstance(output, Tokens) else (output.number,)


def contents(io: IO) -> str:
    """What data of this kind consists of, for people: "images, classes"."""
    return ", ".join(dict.fromkeys((NAMES[type(io.input)], NAMES[type(io.output)])))


def size(shape: Shape) -> int:
    """How many numbers a tensor of this shape holds for each example; of weights none."""
    if isinstance(shape, Weights):
        return 0
    return shape.steps if isinstance(shape, Tokens) else prod(shape)


def are_alike(one: Shape, other: Shape) -> bool:
    """Whether both are of one kind and one size."""
    return type(one) is type(other) and one == other


def positions(shape: Shape) -> int:
    """How many places of a shape have features: the pixels of an image, the steps of a sequence, 1 for a vector."""
    if isinstance(shape, Image):
        return shape.height * shape.width
    return 1 if isinstance(shape, Vector | Weights) else shape.steps


def _spelled(shape: Input | Output, default: type) -> str:
    numbers = "x".join(map(str, shape))
    return numbers if type(shape) is default else f"{type(shape).__name__.lower()}={numbers}"


def _read(text: str, default: type, kinds: tuple[Any, ...]) -> Any:
    """The shape that "vector=16" or, of the default kind, "16" stands for; None: none of these kinds."""
    found = re.fullmatch(r"(?:([a-z]+)=)?([0-9]{1,9}(?:x[0-9]{1,9}){0,2})", text)
    if not found:
        return None
    name = found[1] or default.__name__.lower()
    numbers = [int(number) for number in found[2].split("x")]
    kind = next((each for each in kinds if each.__name__.lower() == name), None)
    return kind(*numbers) if kind and len(numbers) == len(kind._fields) and min(numbers) > 0 else None
