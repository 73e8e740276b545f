"""What is dropped at random while a network trains, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Regularization:
    """What is dropped at random while a network trains.

    Args:
        drop_path_keep: Probability that a branch of a cell survives for a sample at the end of the schedule; in (0, 1].
        drop_path_version: How the probability goes from 1 to there: "v1" linearly with the progress of training, "v2"
            linearly with the depth of the cell, "v3" with both. A constant probability is "v1" at progress 1.
        dropout: Probability that a number before the classifier is dropped, in [0, 1).

    Raises:
        ValueError: A probability is outside its range.

    Source: Larsson et al. 2017 for dropping paths; Zoph et al. 2018 for "v1", as ScheduledDropPath; "v2" and "v3" are
    those of the code that AmoebaNets were published with.
    """

    drop_path_keep: float = 1.0
    drop_path_version: Literal["v1", "v2", "v3"] = "v3"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.drop_path_keep <= 1:
            raise ValueError(f"drop_path_keep is {self.drop_path_keep}; it must be over 0 and at most 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and under 1")

    def keep(self, depth: float, progress: float) -> float:
        """Probability that a branch survives in a cell of this depth, at this share of the training."""
        keep = self.drop_path_keep
        if self.drop_path_version != "v1":
            keep = 1 - depth * (1 - keep)
        return keep if self.drop_path_version == "v2" else 1 - progress * (1 - keep)
