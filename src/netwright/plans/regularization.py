"""What is dropped at random while a network trains, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# the fields that are shares of numbers dropped at random, each the setting that operations of that name obey
DROPOUTS: Final = (
    "dropout",
    "dropout_embedding",
    "dropout_input",
    "dropout_hidden",
    "dropout_output",
    "dropout_words",
)


@dataclass(frozen=True)
class Regularization:
    """What is dropped at random while a network trains.

    Args:
        drop_path_keep: Probability that a branch of a cell survives for a sample at the end of the schedule; in (0, 1].
        drop_path_version: How the probability goes from 1 to there: "v1" linearly with the progress of training, "v2"
            linearly with the depth of the cell, "v3" with both. A constant probability is "v1" at progress 1.
        dropout: Probability that a number before the classifier is dropped, in [0, 1).
        dropout_embedding: Probability that a feature of the looked-up vectors is dropped, at all steps, in [0, 1).
        dropout_input: The same of what goes into a recurrent layer.
        dropout_hidden: The same of the states within a recurrent layer, where they enter products.
        dropout_output: The same of what comes out of a recurrent layer.
        dropout_words: Probability that all of a word's vector is dropped, for all examples of a batch, in [0, 1).

    Raises:
        ValueError: A probability is outside its range.

    Source: Larsson et al. 2017 for dropping paths; Zoph et al. 2018 for "v1", as ScheduledDropPath; "v2" and "v3" are
    those of the code that AmoebaNets were published with; Merity et al. 2018 for the dropouts of language models.
    """

    drop_path_keep: float = 1.0
    drop_path_version: Literal["v1", "v2", "v3"] = "v3"
    dropout: float = 0.0
    dropout_embedding: float = 0.0
    dropout_input: float = 0.0
    dropout_hidden: float = 0.0
    dropout_output: float = 0.0
    dropout_words: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.drop_path_keep <= 1:
            raise ValueError(f"drop_path_keep is {self.drop_path_keep}; it must be over 0 and at most 1")
        for name in DROPOUTS:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0 and under 1")

    def keep(self, depth: float, progress: float) -> float:
        """Probability that a branch survives in a cell of this depth, at this share of the training."""
        keep = self.drop_path_keep
        if self.drop_path_version != "v1":
            keep = 1 - depth * (1 - keep)
        return keep if self.drop_path_version == "v2" else 1 - progress * (1 - keep)
