"""Operations on images: maps of several channels over a plane."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from netwright.core.shapes import Image, Shape, Vector, positions, size
from netwright.plans.operation import FLOAT, Numerals, Operation, image

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[int, int]  # height and width

MODULES = "netwright.plans.ops.modules"
INDEX: Final = 8  # bytes of the place of a maximum
LARGEST: Final = 255  # pixels to a side of a window
EPSILON: Final = 1e-5  # of batch normalization, and its momentum: torch's defaults
MOMENTUM: Final = 0.1


@dataclass(frozen=True, slots=True)
class Conv(Operation):
    """Convolution.

    Args:
        channels: Number of channels of the output.
        kernel: Height and width of the window.
        stride: Vertical and horizontal step from one window to the next, in pixels.
        groups: Number of groups of channels that are convolved separately.
        dilation: Step from one weight to the next, in pixels.
        bias: Whether a learned bias is added to each channel.
        padded: Whether borders are padded with zeros to keep ceil(size / stride); if not, windows stay inside. A padded
            window has odd sides.
    """

    channels: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    groups: int = 1
    dilation: int = 1
    bias: bool = False
    padded: bool = True

    name: ClassVar[str] = "conv"
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Image:
        """An image with a pixel for each place of the window."""
        entering, (height, width) = image(self, x), self.kernel
        if self.padded and (height % 2 == 0 or width % 2 == 0):
            raise ValueError(f"a padded convolution has odd sides; got {height} x {width}")
        channels, groups = self.channels, self.groups
        if channels < 1 or groups < 1 or entering.channels % groups or channels % groups:
            raise ValueError(f"conv from {entering.channels} to {channels} channels cannot have {groups} groups")
        return Image(channels, *_places(self.name, entering, self.kernel, self.stride, self.padded, self.dilation))

    def params(self, x: Image) -> int:
        """Number of weights and biases."""
        return self._weights(x) + self.bias * self.channels

    def multiply_adds(self, x: Image) -> int:
        """One multiply-add for each weight at each place of the window."""
        return self._weights(x) * positions(self.shape(x))

    @property
    def is_grouped(self) -> bool:
        """Whether there are groups."""
        return self.groups > 1

    def module(self, x: Image) -> Callable[..., Tensor]:
        """A convolution whose weights are drawn elsewhere."""
        return importlib.import_module(MODULES).Conv(
            x.channels,
            self.channels,
            self.kernel,
            self.stride,
            self._padding,
            self.dilation,
            groups=self.groups,
            bias=self.bias,
        )

    def constructor(self, numerals: Numerals, x: Image) -> str:
        """The call of torch's convolution, without options that are its defaults."""
        words = [numerals.channels(x.channels), numerals.channels(self.channels), _pair(map(str, self.kernel))]
        options = {
            "stride": (_pair([numerals.stride(step) for step in self.stride]), "1"),
            "padding": (_pair(map(str, self._padding)), "0"),
            "dilation": (str(self.dilation), "1"),
            "groups": (numerals.channels(self.groups), "1"),
            "bias": (str(self.bias), "True"),
        }
        words += [f"{name}={value}" for name, (value, default) in options.items() if value != default]
        return f"nn.Conv2d({', '.join(words)})"

    @property
    def _padding(self) -> Pair:
        height, width = (self.dilation * (side // 2) if self.padded else 0 for side in self.kernel)
        return height, width

    def _weights(self, x: Image) -> int:
        return self.kernel[0] * self.kernel[1] * (x.channels // self.groups) * self.channels


@dataclass(frozen=True, slots=True)
class Norm(Operation):
    """Batch normalization with scale and shift.

    Args:
        epsilon: Number added to the variance, within the root.
        momentum: Share of a batch's mean and variance in their running averages, which are used in measuring.
    """

    epsilon: float = EPSILON
    momentum: float = MOMENTUM

    name: ClassVar[str] = "norm"
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Image:
        """The shape of the input."""
        return image(self, x)

    def params(self, x: Image) -> int:
        """A scale and a shift for each channel."""
        return 2 * x.channels

    def needs_two(self, x: Image) -> bool:
        """Whether maps have one pixel, so that a channel of one image is one number."""
        return positions(x) == 1

    def module(self, x: Image) -> Callable[..., Tensor]:
        """Torch's batch normalization."""
        return importlib.import_module("torch.nn").BatchNorm2d(x.channels, self.epsilon, self.momentum)

    def constructor(self, numerals: Numerals, x: Image) -> str:
        """The call of torch's batch normalization, without options that are its defaults."""
        words = [numerals.channels(x.channels)]
        options = (("eps", self.epsilon, EPSILON), ("momentum", self.momentum, MOMENTUM))
        words += [f"{name}={value}" for name, value, default in options if value != default]
        return f"nn.BatchNorm2d({', '.join(words)})"


@dataclass(frozen=True, slots=True)
class GroupNorm(Operation):
    """Normalization of each image within groups of channels (Wu and He 2018), with scale and shift.

    Args:
        groups: Number of groups, each of equally many channels.
    """

    groups: int

    name: ClassVar[str] = "group_norm"
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Image:
        """The shape of the input."""
        entering = image(self, x)
        if self.groups < 1 or entering.channels % self.groups:
            raise ValueError(f"group_norm of {entering.channels} channels cannot have {self.groups} groups")
        return entering

    def params(self, x: Image) -> int:
        """A scale and a shift for each channel."""
        return 2 * x.channels

    def saved_bytes(self, *_: Any) -> int:
        """Mean and deviation of each group."""
        return 2 * FLOAT * self.groups

    def needs_two(self, x: Image) -> bool:
        """Whether torch refuses a single example, because a group of it is one number."""
        return positions(x) == 1 and x.channels == self.groups

    def module(self, x: Image) -> Callable[..., Tensor]:
        """Torch's group normalization."""
        return importlib.import_module("torch.nn").GroupNorm(self.groups, x.channels)

    def constructor(self, numerals: Numerals, x: Image) -> str:
        """The call of torch's group normalization."""
        return f"nn.GroupNorm({numerals.channels(self.groups)}, {numerals.channels(x.channels)})"


@dataclass(frozen=True, slots=True)
class MaxPool(Operation):
    """Maximum over a padded window.

    Args:
        kernel: Side of the window in pixels: odd, or 2, which looks to the right and below.
        stride: Step from one window to the next, in pixels.
        zeros: Whether zeros past the border count; if not, a window sees nothing there.
    """

    kernel: int
    stride: int = 1
    zeros: bool = False

    name: ClassVar[str] = "max_pool"
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Image:
        """An image with as many channels as the input."""
        return _pooled(self, x, self.kernel, self.stride)

    @property
    def keeps(self) -> Literal["inputs", ""]:
        """The input, or a copy of it with zeros around it."""
        return "" if self.zeros else "inputs"

    def saved_bytes(self, x: Image) -> int:
        """An index for each maximum, and the copy of the input where zeros count."""
        copy = _surrounded(x, self.kernel) if self.zeros else 0
        return copy + _indices(x, self.kernel, self.stride, self.zeros)

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """A pooling function."""
        modules = importlib.import_module(MODULES)
        return modules.pooling(modules.F.max_pool2d, self.kernel, self.stride, zeros=self.zeros)

    def expression(self, *inputs: str) -> str:
        """A call of torch's pooling, on an input with zeros around it where these count."""
        if self.zeros:
            return _pool_of_zeros("F.max_pool2d", inputs[0], self.kernel, self.stride)
        return _pool("F.max_pool2d", inputs[0], self.kernel, self.stride)


@dataclass(frozen=True, slots=True)
class MinPool(Operation):
    """Minimum over a padded window, which sees nothing past the border.

    Args:
        kernel: Side of the window in pixels: odd, or 2, which looks to the right and below.
        stride: Step from one window to the next, in pixels.
    """

    kernel: int
    stride: int = 1

    name: ClassVar[str] = "min_pool"
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, x: Shape) -> Image:
        """An image with as many channels as the input."""
        return _pooled(self, x, self.kernel, self.stride)

    def saved_bytes(self, x: Image) -> int:
        """The negated input, and an index for each minimum."""
        return FLOAT * size(x) + _indices(x, self.kernel, self.stride)

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """The negated maximum of the negated input."""
        modules = importlib.import_module(MODULES)
        highest = modules.pooling(modules.F.max_pool2d, self.kernel, self.stride)
        return lambda x: -highest(-x)

    def expression(self, *inputs: str) -> str:
        """The negated maximum of the negated input."""
        return f"-{_pool('F.max_pool2d', f'-{inputs[0]}', self.kernel, self.stride)}"


@dataclass(frozen=True, slots=True)
class AvgPool(Operation):
    """Mean over a window.

    Args:
        kernel: Side of the window in pixels; a padded one is odd, or 2, which looks to the right and below.
        stride: Step from one window to the next, in pixels.
        padded: Whether windows reach past the border, to keep ceil(size / stride).
        zeros: Whether zeros past the border count; if not, the mean is over the part of the window inside.
    """

    kernel: int
    stride: int = 1
    padded: bool = True
    zeros: bool = False

    name: ClassVar[str] = "avg_pool"
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Image:
        """An image with as many channels as the input."""
        return _pooled(self, x, self.kernel, self.stride, self.padded)

    @property
    def keeps(self) -> Literal["inputs", ""]:
        """The input, or a copy of it with zeros around it."""
        return "" if self._copies else "inputs"

    def saved_bytes(self, x: Image) -> int:
        """The copy of the input, where there is one."""
        return _surrounded(x, self.kernel) if self._copies else 0

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """A pooling function; for an odd window, torch's own padding counts zeros."""
        modules = importlib.import_module(MODULES)
        mean = modules.F.avg_pool2d if self.zeros else partial(modules.F.avg_pool2d, count_include_pad=False)
        return modules.pooling(mean, self.kernel, self.stride, padded=self.padded, zeros=self._copies)

    def expression(self, *inputs: str) -> str:
        """A call of torch's pooling, on an input with zeros around it where its padding would not count them."""
        if self._copies:
            return _pool_of_zeros("F.avg_pool2d", inputs[0], self.kernel, self.stride)
        if not self.padded:
            return f"F.avg_pool2d({inputs[0]}, {self.kernel}, stride={self.stride})"
        options = [] if self.zeros else ["count_include_pad=False"]
        return _pool("F.avg_pool2d", inputs[0], self.kernel, self.stride, options)

    @property
    def _copies(self) -> bool:
        """Whether zeros are written around the input, as torch's own padding would not count them."""
        return self.zeros and self.padded and self.kernel % 2 == 0


@dataclass(frozen=True, slots=True)
class Halve(Operation):
    """Mean of blocks of 2 x 2 pixels that do not overlap; at the end of an odd side, blocks are one pixel wide."""

    name: ClassVar[str] = "halve"
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Image:
        """An image with half of each side, rounded up."""
        return _halved(image(self, x))

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """Torch's pooling over blocks."""
        return partial(importlib.import_module(MODULES).F.avg_pool2d, kernel_size=2, ceil_mode=True)

    def expression(self, *inputs: str) -> str:
        """A call of torch's pooling."""
        return f"F.avg_pool2d({inputs[0]}, 2, ceil_mode=True)"


@dataclass(frozen=True, slots=True)
class OddPixels(Operation):
    """Every second pixel of every second row, from the second on; zeros where an odd side has none left."""

    name: ClassVar[str] = "odd_pixels"
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, x: Shape) -> Image:
        """An image with half of each side, rounded up."""
        return _halved(image(self, x))

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """A function that selects the pixels."""
        return importlib.import_module(MODULES).odd_pixels

    def expression(self, *inputs: str) -> str:
        """A slice, padded with zeros."""
        return "F.pad({0}[:, :, 1::2, 1::2], (0, {0}.shape[3] % 2, 0, {0}.shape[2] % 2))".format(inputs[0])


@dataclass(frozen=True, slots=True)
class Mean(Operation):
    """Global average pooling."""

    name: ClassVar[str] = "mean"
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, x: Shape) -> Vector:
        """A vector with one number for each channel."""
        return Vector(image(self, x).channels)

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """A function that keeps the memory format in its gradient."""
        return importlib.import_module(MODULES).global_mean

    def expression(self, *inputs: str) -> str:
        """A mean over height and width."""
        return f"{inputs[0]}.mean((2, 3))"


def _pooled(operation: Operation, x: Shape, kernel: int, stride: int, padded: bool = True) -> Image:
    """The shape of a pooling's output. Raises ValueError."""
    entering = image(operation, x)
    if padded and kernel % 2 == 0 and kernel != 2:
        raise ValueError(f"a padded pooling has an odd side, or one of 2; got {kernel}")
    return Image(entering.channels, *_places(operation.name, entering, (kernel, kernel), (stride, stride), padded))


def _places(name: str, x: Image, kernel: Pair, stride: Pair, padded: bool, dilation: int = 1) -> Pair:
    """How many places a window has vertically and horizontally: the rule of all convolutions and poolings.

    Raises:
        ValueError: The window does not fit, or its sides or steps are out of range.
    """
    (high, wide), (down, right) = kernel, stride
    if min(high, wide, down, right, dilation) < 1 or max(high, wide) > LARGEST:
        raise ValueError(f"the window of {name} is {high} x {wide}; its sides are 1 to {LARGEST}, its steps at least 1")
    if padded:
        return -(-x.height // down), -(-x.width // right)
    below, beside = x.height - dilation * (high - 1) - 1, x.width - dilation * (wide - 1) - 1
    if below < 0 or beside < 0:
        reach = f"{x.height - below} x {x.width - beside}"
        raise ValueError(f"{name} of {reach} without padding does not fit in {x.height} x {x.width}")
    return below // down + 1, beside // right + 1


def _indices(x: Image, kernel: int, stride: int, zeros: bool = False) -> int:
    """Bytes of the indices of a padded pooling, which torch makes for a border that is cut off afterwards too."""
    border = int(kernel == 2 and stride == 1 and not zeros)
    places = (-(-x.height // stride) + border) * (-(-x.width // stride) + border)
    return INDEX * x.channels * places


def _surrounded(x: Image, kernel: int) -> int:
    """Bytes of a copy with zeros around it, as wide as a pooling needs."""
    border = 1 if kernel == 2 else 2 * (kernel // 2)
    return FLOAT * x.channels * (x.height + border) * (x.width + border)


def _halved(x: Image) -> Image:
    return Image(x.channels, -(-x.height // 2), -(-x.width // 2))


def _pair(sides: Sequence[str] | Any) -> str:
    """Height and width as torch takes them: one number where they are equal."""
    height, width = sides
    return height if height == width else f"({height}, {width})"


def _pool(function: str, x: str, kernel: int, stride: int, options: Sequence[str] = ()) -> str:
    """The call of a padded pooling; for 2 x 2 without a stride, the window that begins before the image is cut."""
    window = [x, str(kernel), f"stride={stride}"]
    if kernel == 2 and stride > 1:
        return f"{function}({', '.join([*window, 'ceil_mode=True', *options])})"
    call = f"{function}({', '.join([*window, f'padding={kernel // 2}', *options])})"
    return f"{call}[:, :, 1:, 1:]" if kernel == 2 else call


def _pool_of_zeros(function: str, x: str, kernel: int, stride: int) -> str:
    """The call of a pooling that counts zeros past the border."""
    borders = (0, 1, 0, 1) if kernel == 2 else (kernel // 2,) * 4
    return f"{function}(F.pad({x}, {borders}), {kernel}, stride={stride})"
