"""How source code writes numbers that differ between parts of a network which share a class: by arguments of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class SharedNumerals:
    """Writes the numbers of a layer that every part of a class has, with numbers of its own.

    A number is written as itself where all parts agree, else as a multiple or a fraction of an argument.

    Args:
        rows: The numbers of the layer in each part, in the order in which its constructor asks for them.
        ends: Arguments with which numbers of channels may be written, and their values in each part.
        used: The arguments that were needed, "stride" among them, and their values; filled in here.
        asked: How many numbers the constructor has asked for.
    """

    rows: Sequence[Sequence[int]]
    ends: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    used: dict[str, tuple[int, ...]] = field(default_factory=dict)
    asked: int = 0

    def channels(self, number: int) -> str:
        """A number of channels or features. Raises Unlike."""
        values = self._next(number)
        if len(set(values)) == 1:
            return str(values[0])
        for name, bases in self.ends.items():
            factor, divisor = values[0] // bases[0], bases[0] // values[0]
            if all(value == factor * base for value, base in zip(values, bases, strict=True)):
                self.used[name] = bases
                return name if factor == 1 else f"{factor} * {name}"
            if all(value * divisor == base for value, base in zip(values, bases, strict=True)):
                self.used[name] = bases
                return f"{name} // {divisor}"
        raise Unlike

    def stride(self, number: int) -> str:
        """A stride. Raises Unlike."""
        values = self._next(number)
        if len(set(values)) == 1:
            return str(values[0])
        if self.used.setdefault("stride", values) != values:
            raise Unlike
        return "stride"

    def _next(self, number: int) -> tuple[int, ...]:
        """The next number that the constructors ask for, in each part; `number` is that of the first part."""
        self.asked += 1
        values = tuple(row[self.asked - 1] for row in self.rows)
        assert values[0] == number, "a constructor asks for the same numbers each time"
        return values


@dataclass
class ListedNumerals:
    """Lists the numbers that a constructor asks for, and writes "#" for each of them.

    Args:
        found: All of them, in order.
        widths: Which of them are numbers of channels, as positions among them.
    """

    found: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    def channels(self, number: int) -> str:
        """A number of channels or features."""
        self.widths.append(len(self.found))
        return self.stride(number)

    def stride(self, number: int) -> str:
        """A stride."""
        self.found.append(number)
        return "#"


class Unlike(Exception):
    """Parts of one structure have numbers that are neither multiples nor fractions of each other."""
