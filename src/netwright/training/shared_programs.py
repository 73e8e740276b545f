"""The published programs that train networks with shared weights, as settings, and the package's own.

Luo et al. 2018, arXiv:1808.07233, as a description of the programs has them (its sections 6.1 and 9.4). They do not
mix: a search takes one whole by its name, and any option given beside it overrides that number alone. The controllers
that they go with stand in `strategies.nao_programs`.

Departures of all: weights that no network of a step uses rest in it, where the programs go on to shrink them and to
move them by their momenta; rates change with every step, where those in PyTorch change them with every pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from netwright.core.round_plan import Rounds
from netwright.training.path_sampling import Way
from netwright.training.settings import StepSettings

ProgramName = Literal["pt1", "pt2", "tf-ws", "tf-ws-rnn"]
Statistics = Literal["batch", "recalibrated"]
ScoredOn = Literal["same", "next", "drawn"]


@dataclass(frozen=True)
class SharedProgram:
    """A program's settings.

    Args:
        steps: Settings of an optimizer step.
        rounds: How many rounds there are, and how networks come and go.
        epochs: Passes over the training data in each round; 0: `length` says how many steps instead.
        length: Steps in each round where there are no `epochs`.
        sampling: Which networks train in a step, see `path_sampling.Paths`.
        paths: How many networks share a step, each with its part of the batch.
        valid_batch: Examples of a validation batch.
        batches: Validation batches by which a network is scored.
        scored_on: Which these are: the "same", the first ones, for all networks; the "next" ones for each, in order of
            asking; or "drawn" for each.
        statistics: By which normalizations compute in scoring: those of the "batch" itself, or "recalibrated" ones, of
            training batches with the network's own weights.
        recalibration: Number of training batches by which they are recalibrated.
        tuning_steps: Steps in which a copy of a network's weights is trained alone before it is scored; 0: none.
        tuning_lr: Initial learning rate of these.
        supernets: Number of sets of weights, each for the networks of one part of the space; see `training.few_shot`.
        split_gene: Position of the gene by whose values the space is cut; None: the first that has enough of them.
        joint_share: Share of all steps in which there is still one set of weights, from which the others then begin.
        task: What its networks are for: "images" or "texts".
    """

    steps: StepSettings
    rounds: Rounds
    epochs: int = 0
    length: int = 0
    sampling: Way = "uniform"
    paths: int = 1
    valid_batch: int = 500
    batches: int = 1
    scored_on: ScoredOn = "drawn"
    statistics: Statistics = "batch"
    recalibration: int = 8
    tuning_steps: int = 0
    tuning_lr: float = 0.02
    supernets: int = 1
    split_gene: int | None = None
    joint_share: float = 0.5
    task: Literal["images", "texts", ""] = ""


_PT1: Final = SharedProgram(
    # a single cosine from 0.025 to 0.001 over all rounds
    StepSettings(
        batch=64,
        lr=0.025,
        weight_decay=3e-4,
        schedule="restarts",
        floor=0.04,
        clip=5.0,
        drop_path_keep=0.9,
    ),
    Rounds(5, pool=600, new=300),
    epochs=30,
    task="images",
)
_PT2: Final = SharedProgram(
    replace(_PT1.steps, period=50, growth=1.0),  # which begins anew with each round
    Rounds(4, pool=1000, new=300, keeps="all", trains="new"),
    epochs=50,
    sampling="params",
    task="images",
)
_TF_WS: Final = SharedProgram(
    # 1e-4 times the sum of squares, without the half that a weight decay of as much stands for; its clipping at 5 is
    # undone by gradients that are appended unclipped
    StepSettings(
        batch=160,
        lr=0.05,
        nesterov=True,
        weight_decay=2e-4,
        schedule="restarts",
        period=10,
        floor=0.01,
        dropout=0.1,
        auxiliary=0.4,
    ),
    Rounds(5, pool=1000, new=500, fresh=50),
    epochs=30,
    scored_on="next",
    task="images",
)
_TF_WS_RNN: Final = SharedProgram(
    StepSettings(
        batch=256,
        lr=0.25,
        momentum=0.0,
        weight_decay=5e-7,
        schedule="constant",
        clip=10.0,
        dropout_output=0.75,
        dropout_hidden=0.25,
        dropout_input=0.75,
        dropout_embedding=0.2,
        temporal_penalty=1e-3,
    ),
    Rounds(5, pool=1000, new=300, fresh=50),
    epochs=200,
    valid_batch=256,
    task="texts",
)
PROGRAMS: Final[Mapping[ProgramName, SharedProgram]] = {
    "pt1": _PT1,
    "pt2": _PT2,
    "tf-ws": _TF_WS,
    "tf-ws-rnn": _TF_WS_RNN,
}
# what a search without a program does; `benchmarks/supernet_ranking.py` measures how such ways rank
UNNAMED: Final = SharedProgram(
    StepSettings(batch=64, lr=0.05, weight_decay=3e-4, schedule="restarts", clip=5.0),
    Rounds(4, pool=100, new=50),
    length=500,
    scored_on="same",
    statistics="recalibrated",
)
