"""What a training does in places that only some networks have, and how to say that it is not done.

Read where the settings of a training are checked against a network, and where a network without such places is trained
beside one with them; the latter is decided before torch is needed. Operations name the setting that they obey, see
`plans.operation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Place:
    """Where a network has room for a setting of the training.

    Args:
        off: The value that leaves it out.
        name: What networks without it lack, in messages.
        remedy: What to do then.
    """

    off: float
    name: str
    remedy: str


PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "drop_path_keep": Place(1.0, "place for it", "set it to 1"),
        "dropout": Place(0.0, "place for it", "set it to 0"),
        "auxiliary": Place(
            0.0, "auxiliary head", "set it to 0, or give a space that builds one, as nasnet(auxiliary=true)"
        ),
    }
)
