"""A space that starts from a plain network, an evaluator that counts seconds of a pace, and networks of users."""

from dataclasses import dataclass

from torch import nn

from netwright.core.objectives import Objective
from netwright.core.protocols import Context, SearchSpace, Task
from netwright.core.records import Genotype, Result, Trial
from netwright.spaces.residual import ResidualSpace
from netwright.testing.toys import ToySpace


@dataclass(frozen=True)
class Starting(ResidualSpace):
    """Residual networks; a search starts from the smallest."""

    def starts(self) -> tuple[Genotype, ...]:
        return ((4, 1), (8, 1))


@dataclass(frozen=True)
class ToyStarting(ToySpace):
    """The toy space; the plain network has the value 2 everywhere."""

    def starts(self) -> tuple[Genotype, ...]:
        return ((2,) * self.length,)


@dataclass(frozen=True)
class PacedToy:
    """Scores a genotype by its genes, leaves states as trainings do, and says what it was told."""

    space: SearchSpace
    task: Task
    split: str = "valid"
    pace: bool = False
    horizon: int | None = None
    deadline: float = 0.0
    deadlines: tuple[float, ...] = ()
    cuts: tuple[tuple[tuple[int, ...], ...], ...] = ()
    begin: str = ""
    schedule: str = "constant"
    cooldown: float = 0.0
    averaging: float = 0.0
    splits: int = 1
    repeats: int = 1
    fails: tuple[int, ...] = ()
    fails_tested: tuple[int, ...] = ()
    breaks_off: tuple[int, ...] = ()
    span: int = 10_000
    loss: float | None = None

    @property
    def measures(self) -> tuple[Objective, ...]:
        return (Objective(f"{self.split}_accuracy", shown="share"),)

    @property
    def budget_unit(self) -> str:
        return "seconds" if self.pace else "steps"

    @property
    def own_budget(self) -> int | None:
        return None

    def advice(self, largest_budget: int) -> str:
        return ""

    def evaluate(self, trial: Trial, context: Context) -> Result:
        genotype = trial.proposal.genotype
        if genotype[0] in self.fails or (self.split == "test" and genotype[0] in self.fails_tested):
            raise RuntimeError("this network cannot be trained")
        (context.folder / "end-0.safetensors").write_bytes(trial.key.encode())
        begun = context.folder.parent.parent / self.begin / f"{trial.key}-0.safetensors"
        own = self.deadlines[trial.id - 1] if self.deadlines else self.deadline
        steps = self.cuts[trial.id - 1][0] if self.cuts else (round(10 * own) + 1, self.span)
        return Result(
            {
                "broken_off": float(genotype[0] in self.breaks_off),
                "steps_1": steps[0],
                "span_1": steps[1],
                "clocked": float(bool(own)),
                f"{self.split}_accuracy": sum(genotype) / 36,
                "params": sum(genotype),
                **({f"{self.split}_loss": self.loss, "steps": 1000} if self.loss else {}),
                "began": float(bool(self.begin) and begun.exists() and begun.read_bytes() == trial.key.encode()),
                "deadline": own,
                "cooldown": self.cooldown,
                "splits": self.splits,
                "horizon": self.horizon or 0,
            }
        )


def net(channels: int, height: int, width: int, classes: int, features: int = 8) -> nn.Module:
    """A network of a user."""
    return nn.Sequential(
        nn.Conv2d(channels, features, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(features, classes),
    )


def shapeless(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """A network that keeps its pixels."""
    return nn.Conv2d(channels, classes, 1)


def broken(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """A function that fails."""
    raise ValueError("no such\nsize")


def empty(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """What is no network."""
    return nn.Flatten()


def unsaid(channels, height, width, classes):
    raise AssertionError("nothing is called that does not say what it returns")


NOT_CALLED = 3
