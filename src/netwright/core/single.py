"""The refusal of several objectives by strategies that take one, and which strategies take several instead."""

from __future__ import annotations

from collections.abc import Sequence

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.protocols import TakesSeveral


def check_single(strategy: str, objectives: Sequence[str] | None, does: str = "ranks by") -> None:
    """Refuse an empty list of objectives, or several, for a strategy that takes one.

    Args:
        strategy: Name of the strategy, for the message.
        objectives: The objectives of the run; None: it names none, so that the first metric is the one.
        does: What the strategy does with its objective, for the message.

    Raises:
        BadReference: There is not exactly one.
    """
    if objectives is not None and len(objectives) != 1:
        raise BadReference(
            f"{strategy} {does} one objective, the run has {len(objectives)}: {', '.join(objectives) or 'none'}; give "
            f"one, or a --strategy that takes several: {', '.join(taking_several())}"
        )


def taking_several() -> tuple[str, ...]:
    """Names of the package's strategies that search by any number of objectives; their modules are imported."""
    return tuple(name for name in refs.available("strategy") if _takes_several(name))


def _takes_several(name: str) -> bool:
    try:
        return isinstance(refs.locate("strategy", name), TakesSeveral)
    except BadReference:  # it cannot be imported here
        return False
