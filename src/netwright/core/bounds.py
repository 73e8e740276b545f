"""How large a space's settings may be: sizes beyond which nothing could be built are refused before any work."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from netwright.core.errors import BadReference

MOST: Final[Mapping[str, int]] = MappingProxyType(
    {
        "channels": 2**16,
        "stem": 2**16,
        "width": 2**16,
        "repeats": 1000,
        "nodes": 100,
        "motifs": 100,
        "combinations": 100,
        "diversification": 10**6,
        "length": 10_000,
        "options": 10_000,
    }
)
LAYERS: Final = 100_000  # of a plan


def check_sizes(**sizes: int | None) -> None:
    """Raise BadReference for a setting of a space, by name, that is below 1 or above `MOST`; None: it is not given."""
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise BadReference(f"space.{name} is {value}; it must be at least 1")
        if value is not None and value > MOST[name]:
            raise BadReference(f"space.{name} is {value}; it must be at most {MOST[name]:,}")
