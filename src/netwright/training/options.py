"""The options of the evaluator `training` besides its space and task, and what does not go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from netwright.core import timetable
from netwright.core.errors import BadReference
from netwright.core.in_full import InFull
from netwright.core.places import PLACES
from netwright.core.protocols import Split
from netwright.core.records import Trial
from netwright.training import compiling, device, layout
from netwright.training.feeding import BatchesBy
from netwright.training.pace import Pace
from netwright.training.settings import StepSettings


@dataclass(frozen=True, kw_only=True)
class Options(StepSettings):
    """How long trainings take, how often, on what, and what is kept of them. Takes the options of `StepSettings` too.

    Args:
        epochs: Passes over the training data, where a proposal names no budget.
        steps: Optimizer steps instead.
        seconds: Seconds of a trial by its `pace` instead; give one of the three, or none: 100 steps, whatever the size
            of the data.
        repeats: Number of trainings from different seeds, whose metrics are averaged.
        splits: Number of divisions of the training and validation examples; each of as many trainings has its own. 1:
            the task's own alone.
        split: Split to measure on; for "test", training and validation data are both trained on, unless an option needs
            the latter while it trains: `keep_best`, `reloads` and `non_monotone`.
        keep_best: Whether the weights that were best on the validation data at the end of a pass are measured and saved
            at the end. This and the next option measure it after each pass, which the trial's curve then shows.
        reloads: How many times in a training the best weights so far are loaded where the loss is not finite, and the
            training goes on with the batches that follow, without momenta; else it fails.
        curve_every: Epochs from one measurement for the trial's curve to the next; 0: the end only is measured.
        device: Name of the device; "cuda": the worker's own GPU, which several may share; "auto": that, else the CPU.
        batches_by: What makes the batches: "device": the one that trains, where the task lets it; "host": the CPU;
            "auto": the device, unless it is the CPU. Examples and their order are the same, only the draws that augment
            them differ.
        channels_last: Memory format of weights, and of inputs that are images; "auto": where it pays, see
            `training.layout`.
        graphs: "auto": on a GPU, steps are recorded once and played, see `training.captured`; "never": none is.
        compile: "auto": trainings on a GPU that are long enough are compiled, see `training.compiling`, and none whose
            budget counts in seconds of a `pace`; "always": every one is, at the cost of a minute or so each; "never":
            none is. Trainings of one process only.
        checkpoint_minutes: Minutes between checkpoints, from which a killed training goes on at that very step; 0: one
            is written only when the worker is told to stop.
        save: Whether to leave the first network's weights and what the task shows of examples in the trial's folder.
        processes: Processes of this machine that share each batch; `training.ranks` says how more machines do.
        horizon: Largest budget that proposals name, in their unit. The schedule of every trial with a budget spans it,
            and one that stops before leaves its state in its folder, so that a trial that continues it (a promotion)
            ends with the weights of one uninterrupted training. None: each training has a schedule of its own length,
            and a promotion trains anew.
        pace: Numbers of a `training.pace.Pace`, fitted to steps that were measured on this kind of worker. With them,
            budgets and `horizon` are seconds of all trainings of a trial together, from which the number of steps
            follows by what the network costs: no clock decides, and the same numbers give the same result again.
        begin: Folder of states that trainings begin from, absolute or relative to the folder of the run: the files
            `end-0.safetensors` that other trials left, named after network and training, as in `KEY-0.safetensors`.
            Steps are counted on from there. A network without such a file begins anew.
        deadline: Seconds of wall clock within which a trial is to be trained and measured; 0: no limit. A training that
            would take longer begins its cooldown early. The metric `steps` says how many it did: given as `steps`, they
            repeat it exactly, without a clock.
        deadlines: Such seconds for each trial of a run by its number, from 1 on, in place of `deadline`.
        cuts: For each trial of a run by its number, where each of its trainings ended in another run, which is repeated
            exactly, without a clock: for the first, its steps, its span, and the steps from which on its rate fell
            twice as steeply (the metrics `steps_1`, `span_1`, `bend_1_1`, `bend_1_2` and so on); then for the second.
        plateau: Passes in a row over the training data, without an average loss that is a hundredth below the least so
            far, after which a training ends, by way of its cooldown where it was to have one; 0: it goes on.
        teachers: Folder of networks from whose averaged outputs it learns besides the labels, as seen from the run's
            (`training.distillation`); "": there are none.
        distill: Share of the loss that is the cross entropy with these outputs, in [0, 1).
        early_size: Share of their sides to which images are made smaller while the rate of "constant" stays; in the
            cooldown they are whole (`training.resizing`). Trainings that stop before it are measured by smaller images
            too. A network whose plan does not take both has whole ones all the time. 1: all are whole.
    """

    epochs: int | None = None
    steps: int | None = None
    seconds: int | None = None
    repeats: int = 1
    splits: int = 1
    split: Literal["valid", "test"] = "valid"
    keep_best: bool = False
    reloads: int = 0
    curve_every: int = 0
    device: str = "auto"
    batches_by: BatchesBy = "auto"
    channels_last: layout.Wanted = "auto"
    graphs: Literal["auto", "never"] = "auto"
    compile: compiling.Wanted = "auto"
    checkpoint_minutes: float = 0.0
    save: bool = False
    processes: int = 1
    horizon: int | None = None
    pace: tuple[float, ...] = ()
    begin: str = ""
    deadline: float = 0.0
    deadlines: tuple[float, ...] = ()
    cuts: tuple[tuple[tuple[int, ...], ...], ...] = ()
    plateau: int = 0
    teachers: str = ""
    distill: float = 0.0
    early_size: float = 1.0
    in_full: ClassVar[InFull] = InFull(
        lengths=("epochs", "steps", "seconds"),
        length={"epochs": 30},
        usual={"checkpoint_minutes": 5.0, "save": True},
        searched=("repeats", "splits", "begin", "deadline", "deadlines", "cuts", "plateau", "early_size"),
        incidental=("checkpoint_minutes", "save", "device", "processes", "graphs", "compile"),
        places={option: place.off for option, place in PLACES.items()},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in self.in_full.lengths if getattr(self, name) is not None]
        if len(given) > 1:
            raise BadReference(f"evaluator.{given[0]} and evaluator.{given[1]} are both given; give one of them")
        for name in (*self.in_full.lengths, "repeats", "splits", "processes", "horizon"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadReference(f"evaluator.{name} is {value}; it must be greater than 0")
        for name in ("reloads", "curve_every", "checkpoint_minutes", "plateau", "deadline"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be at least 0, and finite")
        device.check_name(self.device, self.processes)
        if self.pace:
            Pace.of(self.pace)
        elif self.seconds:
            raise BadReference(
                f"evaluator.seconds is {self.seconds}, but without evaluator.pace nothing tells how many steps these "
                "are; give both, or evaluator.steps"
            )
        self._check_splits()
        if not all(0 < seconds < math.inf for seconds in self.deadlines):
            raise BadReference(f"evaluator.deadlines is {list(self.deadlines)}; each must be above 0, and finite")
        if not all(timetable.is_end(end) for ends in self.cuts for end in ends):
            raise BadReference(
                f"evaluator.cuts is {[[list(end) for end in ends] for ends in self.cuts]}; for each trial it has "
                "the steps of each training, its span, and where its cooldown bent: whole numbers of at least 1"
            )
        for name in ("deadline", "deadlines", "cuts", "plateau"):
            if getattr(self, name):
                self._check_can_shorten(name)

    @property
    def trainings(self) -> int:
        """Number of trainings of a trial."""
        return max(self.repeats, self.splits)

    @property
    def trained_on(self) -> Split:
        """Split whose examples trainings see."""
        return "train" if self.split == "valid" or self.validates else "train+valid"

    @property
    def validates(self) -> bool:
        """Whether the validation data is measured after each pass, since something is decided by it."""
        return self.keeps_weights or self.non_monotone > 0

    @property
    def keeps_weights(self) -> bool:
        """Whether the best weights so far are kept."""
        return self.keep_best or self.reloads > 0

    @property
    def states_length(self) -> bool:
        """Whether the number of steps does not follow from the options and the budget alone, so that it is a metric."""
        return bool(self.pace or self.has_deadline or self.plateau)

    @property
    def has_deadline(self) -> bool:
        """Whether trainings end by a deadline, or repeat some that did."""
        return bool(self.deadline or self.deadlines or self.cuts)

    @property
    def budget_unit(self) -> str:
        """Unit of budgets: seconds with a pace, else steps where steps are given, else epochs."""
        return "seconds" if self.pace else "steps" if self.steps else "epochs"

    @property
    def own_budget(self) -> int | None:
        """What was given in the unit of budgets; None: nothing, as the default of 100 steps is no budget."""
        return self.seconds if self.pace else self.steps or self.epochs

    def leaves_state(self, trial: Trial) -> bool:
        """Whether a trial's training stops before its schedule does."""
        budget = trial.proposal.budget
        return self.horizon is not None and budget is not None and budget < self.horizon

    def _check_splits(self) -> None:
        if self.splits == 1:
            return
        if self.repeats not in (1, self.splits):
            raise BadReference(
                f"evaluator.splits is {self.splits} and evaluator.repeats {self.repeats}, but each division has one "
                "training; give the same number, or leave repeats out"
            )
        if self.split == "test":
            raise BadReference(
                f"evaluator.splits is {self.splits}, but before the test all divisions train on the same examples; "
                "give evaluator.repeats instead"
            )

    def _check_can_shorten(self, name: str) -> None:
        value = getattr(self, name)
        if self.schedule != "constant":
            raise BadReference(
                f"evaluator.{name} is {value}, but a training with the schedule {self.schedule!r} cannot end early: "
                'its rates are laid out to its last step; give evaluator.schedule "constant", with a cooldown'
            )
        if self.drop_path_keep < 1 and self.drop_path_version != "v2":
            raise BadReference(
                f"evaluator.{name} is {value}, but drop path {self.drop_path_version!r} grows until the last step, "
                'which must be known; give evaluator.drop_path_version "v2", or set drop_path_keep to 1'
            )
