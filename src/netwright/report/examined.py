"""What a training in full left of its examples, for pages to show.

Each kind of data has a file in `report/examples/` that is asked, by what lies in the folder of a training, whether it
has something to show; nothing else knows which kinds there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from netwright.core import left
from netwright.core.finals import Final
from netwright.core.members import members
from netwright.report.markup import Html


class Examples(Protocol):
    """What became of the examples of one split."""

    @property
    def count(self) -> int:
        """Number of examples in the split."""

    def figures(self) -> Mapping[str, Figure]:
        """Figures of the examples, by the names that `Kind.captions` has."""

    def section(self, final: Final, whose: str, drawn: Mapping[str, Html]) -> Html:
        """The part of a page that shows the examples.

        Args:
            final: The network that was measured.
            whose: Words put after the title, as in " of a run".
            drawn: The figures with their captions, by name.
        """


@dataclass(frozen=True)
class Kind:
    """A kind of data of which pages show examples.

    Args:
        captions: Captions of all figures that may be drawn, by the figures' names.
        read: Reads what a training left in its folder; gives None for nothing of this kind, or nothing readable.
    """

    captions: Mapping[str, str]
    read: Callable[[Path], Examples | None]


@dataclass(frozen=True)
class Examined:
    """A network trained in full, and how it does on each example."""

    final: Final
    examples: Examples


def kinds() -> list[Kind]:
    """All kinds of data of which pages show examples."""
    return members("netwright.report.examples", "kind")


def captions() -> dict[str, str]:
    """Captions of the figures of all kinds, by the figures' names."""
    return {name: caption for kind in kinds() for name, caption in kind.captions.items()}


def examples_of(final: Final) -> Examples | None:
    """How the network does on each example; None: nothing was kept, or it cannot be read, or it was changed since."""
    if final.folder is None or _fault(final):
        return None
    return next((found for kind in kinds() if (found := kind.read(final.folder))), None)


def faults(finals: Sequence[Final]) -> list[str]:
    """Sentences on what trainings left of their examples and what cannot be shown, as it was damaged or swapped."""
    found = dict.fromkeys(fault for final in finals if (fault := _fault(final)))
    return [f"{fault}: the report goes without what it says of single examples" for fault in found]


def _fault(final: Final) -> str:
    seed = final.repetitions[0].seed if final.repetitions else None
    return left.fault(final.folder, seed) if final.folder else ""


def examined(finals: Sequence[Final], shipped: Final | None = None) -> Examined | None:
    """The first network with examples: what ships, then those measured on the test split, then others.

    References are left out, unless one of them ships.
    """
    own = sorted((final for final in finals if not final.reference), key=lambda final: not final.is_tested)
    for final in (*([shipped] if shipped else []), *own):
        if kept := examples_of(final):
            return Examined(final, kept)
    return None
