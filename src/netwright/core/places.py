"""Settings of training for which only some networks have a place, and the values that turn them off.

They are read where the settings of a training are checked against a network, and where a network without such places is
trained beside one with them; the latter is decided before torch is needed. Operations name the setting that they obey,
see `plans.operation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Place:
    """A setting of training for which a network needs a place.

    Args:
        off: Value of the setting that turns it off.
        name: What a network without the place lacks, in messages.
        remedy: What to do about it, in messages.
    """

    off: float
    name: str
    remedy: str


PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "drop_path_keep": Place(1.0, "place for it", "set it to 1"),
        "dropout": Place(0.0, "place for it", "set it to 0"),
        **{
            f"dropout_{what}": Place(0.0, "place for it", "set it to 0")
            for what in ("embedding", "input", "hidden", "output", "words")
        },
        **{
            f"{what}_penalty": Place(0.0, "recurrent layer", "set it to 0, or give a space of recurrent cells, as rnn")
            for what in ("activation", "temporal")
        },
        "auxiliary": Place(
            0.0, "auxiliary head", "set it to 0, or give a space that builds one, as nasnet(auxiliary=true)"
        ),
    }
)
