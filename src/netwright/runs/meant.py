"""What a user asks to have trained in full, resolved to networks and the settings that they are trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netwright.core.choosing import Which
from netwright.core.errors import BadRunFile
from netwright.core.finals import Candidate
from netwright.core.run_file import RunFile
from netwright.report.history import History
from netwright.runs import candidates, front_training, retraining, sample_training


@dataclass(frozen=True)
class Meant:
    """Which networks; nothing: the best of the search.

    Args:
        which: A trial, or a point of the front.
        front: All of the front; `which` then says which point is trained in full at the end.
        top: Number of the best networks.
        sample: Number of networks from all over the scores.
        published: Name of an entry of the zoo.

    Raises:
        BadRunFile: They do not go together, or a number is below 1.
    """

    which: Which = Which()
    front: bool = False
    top: int | None = None
    sample: int | None = None
    published: str | None = None

    def __post_init__(self) -> None:
        given = {
            "--trial": self.which.trial is not None,
            "--top": self.top is not None,
            "--sample": self.sample is not None,
            "zoo:NAME": self.published is not None,
        }
        if sum(given.values()) + self.front > 1:
            raise BadRunFile(
                "of --trial, --top, --sample, --front and zoo:NAME more than one is given; give one of them"
            )
        if self.which.is_of_front and any(given.values()):
            other = next(name for name, is_given in given.items() if is_given)
            raise BadRunFile(f"{'--knee' if self.which.knee else '--at'} does not go with {other}; give one of them")
        if self.top is not None and self.top < 1:
            raise BadRunFile(f"--top is {self.top}; it must be at least 1")

    @property
    def measures_as_the_search(self) -> bool:
        """Whether the trainings measure what the search did, to be compared with it."""
        return self.front or self.sample is not None

    def resolved(
        self, folder: Path, settings: RunFile, history: Callable[[], History]
    ) -> tuple[RunFile, list[Candidate]]:
        """The run file of the search, with the space of what is trained, and the networks.

        Args:
            folder: Folder of the search, for messages.
            settings: Its run file.
            history: Gives its finished trials.

        Raises:
            NetwrightError: There are no such networks.
        """
        if self.published is not None:
            return retraining.published(settings, self.published)
        if self.front:
            return settings, front_training.candidates(folder, settings, history(), self.which)
        if self.sample is not None:
            return settings, sample_training.candidates(folder, settings, history(), self.sample)
        return settings, candidates.chosen(folder, history(), self.which, self.top)
