"""What a training does in places that only some networks have, and how to say that it is not done.

Read where settings are checked against a network, and where a network without such places is trained beside one with
them; the latter is decided before torch is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Place:
    """Where a network has room for an option of the training.

    Args:
        off: The option's value that leaves it out.
        name: What networks without it lack, in messages.
        mend: What to do then.
    """

    off: float
    name: str
    mend: str


PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "drop_path_keep": Place(1.0, "place for it", "set it to 1"),
        "dropout": Place(0.0, "place for it", "set it to 0"),
        "auxiliary": Place(
            0.0, "auxiliary head", "set it to 0, or give a space that builds one, as nasnet(auxiliary=true)"
        ),
    }
)
