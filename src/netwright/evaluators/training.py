"""Trains a trial's network from scratch and measures it: the fitness of Liu et al. 2018, and of most of the field."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core import files, seeds
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.protocols import (
    Context,
    SearchSpace,
    ShowsExamples,
    Split,
    StatesMeasures,
    Task,
    of_any_seed,
    of_seed,
    unwrap,
)
from netwright.core.records import Failure, Genotype, Proposal, Result, Trial
from netwright.core.shapes import Classes, Tokens
from netwright.plans import counting
from netwright.plans.plan import HasPlan, Plan
from netwright.training import checkpoint, loop, memory, parallel, promotion, ranks, recipe
from netwright.training.descent import Descent
from netwright.training.loop import Progress, Trained
from netwright.training.parallel import Team
from netwright.training.recipe import Recipe
from netwright.training.standing import Standing
from netwright.training.watch import Watch

CHECKPOINT = "checkpoint.safetensors"
DEFAULT_STEPS = 100


@dataclass(frozen=True)
class Training(Recipe):
    """A recipe on one device, or on one for each of several processes. Takes the options of `Recipe` as its own.

    Args:
        space: Builds and counts the networks.
        task: Data, loss and metrics.
        epochs: Passes over the training images, where a proposal names no budget.
        steps: Optimizer steps instead; give one of the two, or neither: 100 steps, whatever the size of the data.
        repeats: Trainings from different seeds whose metrics are averaged.
        split: Where to measure; before "test", training and validation images are both trained on.
        curve_every: Measure also after every so many epochs, for the trial's curve; 0: at the end only.
        device: "auto": the worker's own GPU, else the CPU.
        channels_last: Memory format of images and weights.
        checkpoint_minutes: How often to write down where a training stands, so that a killed one goes on from that very
            step; 0: never.
        save: Leave the first network's weights in the trial's folder, and what the task shows of its examples.
        processes: How many processes of this machine share each batch; `training.ranks` says how more machines do.
        horizon: Largest budget that proposals name, in their unit: the schedule of every trial with a budget spans it,
            and one that stops before leaves its state in its folder, so that a trial that continues it (a promotion)
            ends with the weights of one uninterrupted training. None: each training has a schedule of its own length,
            and a promotion trains anew.
    """

    space: SearchSpace
    task: Task
    epochs: int | None = None
    steps: int | None = None
    repeats: int = 1
    split: Literal["valid", "test"] = "valid"
    curve_every: int = 0
    device: str = "auto"
    channels_last: bool = True
    checkpoint_minutes: float = 0.0
    save: bool = False
    processes: int = 1
    horizon: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None and self.steps is not None:
            raise BadReference("evaluator.epochs and evaluator.steps are both given; give one of them")
        for name in ("epochs", "steps", "repeats", "processes", "horizon"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadReference(f"evaluator.{name} is {value}; it must be greater than 0")
        for name in ("curve_every", "checkpoint_minutes"):
            if not getattr(self, name) >= 0:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be at least 0")
        parallel.check_divides(self.batch, self.processes, self.accumulate)
        if self.label_smoothing and not isinstance(self.task.io.output, Classes | Tokens):
            raise BadReference(f"evaluator.label_smoothing is {self.label_smoothing}, but the task has no classes")
        if self.device != "auto":
            try:
                torch.device(self.device)
            except RuntimeError:
                raise BadReference(f"evaluator.device is {self.device!r}; give auto, cpu, cuda or cuda:0") from None
            if self.processes > 1 and self.device != "cpu":
                raise BadReference(
                    f"evaluator.device is {self.device!r}, which {self.processes} processes cannot share; "
                    f"give auto or cpu"
                )

    @property
    def measures(self) -> tuple[Objective, ...]:
        """What the task measures, on the evaluator's split; empty: the task does not say."""
        stated = self.task.measures if isinstance(self.task, StatesMeasures) else ()
        return tuple(measure.on(self.split) for measure in stated)

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Train `repeats` networks; metrics of the split, size, cost, speed and memory.

        Accuracies are fractions of 1, losses nats, seconds wall clock over all repeats, memory in 10**6 bytes.
        """
        start = time.perf_counter()
        device = self.device_of(context.worker_index * self.processes)
        space = of_seed(self.space, trial.seed)
        self._check(space, trial.proposal.genotype, with_data=True)
        counts = space.count(trial.proposal.genotype, self.task.io)
        memory.reset_peak(device)
        state = self._state(trial, context)
        ends = [end and end.facts() for end in state.ends]
        job = {"trial": asdict(trial), "state": state.facts(), "ends": ends, "threads": context.threads}
        try:
            with ranks.gathered(self.processes, device, job, context) as team:
                self._train(trial, state, device, team, context.threads, context)
        except (loop.Diverged, loop.Stopped) as error:
            failure: Failure = "diverged" if isinstance(error, loop.Diverged) else "error"
            seconds = time.perf_counter() - start
            return Result(curve=tuple(state.curve), seconds=seconds, failure=failure, message=str(error))
        if state.path:
            state.path.unlink(missing_ok=True)
        seconds = state.seconds + time.perf_counter() - start
        measured = [found for found, _ in state.done]
        metrics = {name: float(np.mean([found[name] for found in measured])) for name in measured[0]}
        if self.repeats > 1:
            metrics |= {f"{name}_sd": float(np.std([m[name] for m in measured], ddof=1)) for name in measured[0]}
        metrics |= {
            "train_loss": float(np.mean([trained.train_loss for _, trained in state.done])),
            "params": counts.params,
            "multiply_adds": counts.multiply_adds,
            "seconds": seconds,
            "images_per_second": sum(t.images for _, t in state.done) / sum(t.seconds for _, t in state.done),
            "peak_memory_mb": memory.peak_mb(device),
        }
        if not state.ends:
            return Result(metrics, tuple(state.curve), seconds)
        metrics["carried_steps"] = min(state.carried)
        return Result(metrics, tuple(state.curve), seconds, message=self._why_anew(trial, state, context))

    def check_settings(self, genotype: Genotype, *, budget: int | None = None, data_is_ready: bool = False) -> None:
        """Refuse, before anything is started, what would fail every trial of this genotype.

        Raises:
            InvalidGenotype: It is no network, or, of a generator, the networks of the first few seeds do not fit.
            BadReference: A device that is not there, images that are too small or not to be divided as asked, a largest
                budget at which the schedule does not end.
            MissingCapability: The network has no place for drop path, dropout or an auxiliary loss.
        """
        self._check_device()
        if budget is not None and self.horizon not in (None, budget):
            raise BadReference(
                f"evaluator.horizon is {self.horizon}, but the largest budget of the strategy is {budget}: schedules "
                f"must end where the last promotions do; give --evaluator.horizon {budget}"
            )

        def use(space: SearchSpace) -> None:
            space.check(genotype)
            self._check(space, genotype, with_data=data_is_ready)

        of_any_seed(self.space, use)

    def leaves_state(self, trial: Trial) -> bool:
        """Whether the trial's training stops before its schedule does."""
        budget = trial.proposal.budget
        return self.horizon is not None and budget is not None and budget < self.horizon

    def follow(self, job: Mapping[str, Any], team: Team) -> None:
        """The part of a process that is not the first of its team: its share of every batch, and no measurements."""
        proposal = job["trial"]["proposal"]
        proposal = Proposal(**{**proposal, "genotype": tuple(proposal["genotype"])})
        trial = Trial(**{**job["trial"], "proposal": proposal})
        ends = tuple(facts and Standing.of(None, facts) for facts in job["ends"])
        state = replace(Standing.of(None, job["state"]), ends=ends)
        with suppress(loop.Diverged, loop.Stopped):  # the first process says so
            self._train(trial, state, team.device, team, job["threads"], None)

    def device_of(self, index: int) -> torch.device:
        """What process `index` of this machine works on."""
        if self.device != "auto":
            return torch.device(self.device)
        if torch.cuda.is_available():
            return torch.device("cuda", index % torch.cuda.device_count())
        return torch.device("cpu")

    def memory_mb(self, genotype: Genotype) -> float | None:
        """About what one evaluation takes, in 10**6 bytes: the processes, the weights and what goes with them, and
        the activations of one part of a batch.

        None: the space has no layer plans to count. Of a generator, a network that fits is counted.

        Raises:
            InvalidGenotype: It is no network, or, of a generator, the networks of the first few seeds do not fit.
        """
        plan = of_any_seed(self.space, lambda space: self._plan(space, genotype))
        part = self.batch // self.accumulate
        if plan is None:
            return None
        # the processes share the batch; each has all weights
        needed = counting.training_bytes(plan, part, self.copies * self.processes)
        return memory.PROCESS_MB * self.processes + needed / 1e6

    def _train(
        self, trial: Trial, state: Standing, device: torch.device, team: Team, threads: int, context: Context | None
    ) -> None:
        """All trainings that are left, into `state`."""
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, threads // team.local))
        try:
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
                while len(state.done) < self.repeats:
                    state.done.append(self._run(trial, state, device, team, context))
                    state.progress = Progress()
        finally:
            torch.set_num_threads(before)

    def _run(
        self, trial: Trial, state: Standing, device: torch.device, team: Team, context: Context | None
    ) -> tuple[dict[str, float], Trained]:
        """The next training: metrics of the split, and how it went. Points of the first go into the curve.

        Without a context, this is not the first process of its team: there are no metrics.
        """
        repeat = len(state.done)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        rng = seeds.rng_for(trial.seed, seeds.BUILD, attempt=repeat)
        network: nn.Module = of_seed(self.space, trial.seed).build(trial.proposal.genotype, self.task.io, rng)
        network = network.to(device, memory_format=layout)
        optimizer = recipe.optimizer(self, network)
        per_epoch = self._steps_of_epoch()
        steps, span = self._lengths(trial.proposal.budget)
        masks = seeds.trial_seed(trial.seed, "masks", repeat)
        descent = Descent(network, self.task, optimizer, self, steps=span, memory_format=layout, seed=masks, team=team)
        before = state.start
        if len(state.carried) == repeat:
            state.carried.append(before.progress.step if before else 0)
        if before:
            before.restore(network, optimizer, descent, team)
            state.curve = before.curve if repeat == 0 else state.curve

        def measured(folder: Path | None = None) -> dict[str, float]:
            with descent.averaged():
                return self._measure(network, layout, folder)

        scale = {"steps": steps, "span": span, "per_epoch": per_epoch, "curve_every": self.curve_every}
        minutes = self.checkpoint_minutes
        watch = Watch(state, context, network, optimizer, descent, **scale, minutes=minutes, measure=measured)
        trained = loop.train(
            network,
            self.task,
            optimizer,
            split=self._trained_on,
            steps=steps,
            batch=self.batch,
            factor=lambda step: recipe.rate_factor(self, step, span, per_epoch),
            rng_of_epoch=lambda epoch: seeds.rng_for(trial.seed, seeds.TRAIN, epoch, repeat),
            on_epoch=watch.on_epoch,
            descent=descent,
            team=team,
            accumulate=self.accumulate,
            on_look=watch.on_look,
            start=before.progress if before else Progress(),
            is_due=watch.is_due,
            save=watch.save,
        )
        if context is None:
            return {}, trained
        found = measured(context.folder if self.save and repeat == 0 else None)
        if repeat == 0:
            state.curve.append((steps, next(iter(found.values()))))
        return found, trained

    def _measure(self, network: nn.Module, layout: torch.memory_format, folder: Path | None) -> dict[str, float]:
        """Metrics of the split; into the folder, where there is one, go weights and what the task shows of examples."""
        recorder = self.task.recorder(self.split) if folder and isinstance(self.task, ShowsExamples) else None
        found = loop.measure(network, self.task, self.split, layout, recorder.add if recorder else _ignore)
        if folder:
            checkpoint.write_weights(folder / checkpoint.WEIGHTS, network)
            for name, data in recorder.files().items() if recorder else ():
                files.write(folder / name, data)
        return {f"{self.split}_{name}": value for name, value in found.items()}

    def _plan(self, space: SearchSpace, genotype: Genotype) -> Plan | None:
        """Layers of a network for the task's images; None: the space writes no plans."""
        with_plan = unwrap(space, HasPlan)
        return with_plan.plan(genotype, self.task.io) if with_plan else None

    def _check(self, space: SearchSpace, genotype: Genotype, *, with_data: bool) -> None:
        """Refuse what cannot be trained: a network without a place for what the recipe does, images not to be divided.

        `with_data`: the number of images is known.
        """
        plan = self._plan(space, genotype)
        if plan is not None:
            recipe.check_places(self, plan)
        if with_data:
            processes, examples = ranks.size(self.processes), self.task.examples(self._trained_on)
            needs_two = plan is not None and recipe.needs_two(self, plan)
            parallel.check_divides(self.batch, processes, self.accumulate, examples=examples, needs_two=needs_two)

    def _check_device(self) -> None:
        """Raise BadReference for one that this machine does not have."""
        device = self.device_of(0)
        known = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "meta": 0}
        if (device.index or 0) >= known.get(device.type, 1):
            raise BadReference(
                f"evaluator.device is {self.device!r}, which this machine does not have; give auto or cpu"
            )

    def _check_budget(self, budget: int) -> None:
        """Raise BadReference for one that the schedule does not span."""
        if self.horizon is not None and budget > self.horizon:
            raise BadReference(
                f"the budget {budget} is beyond evaluator.horizon, {self.horizon}; give horizon the largest budget of "
                "the strategy"
            )

    def _state(self, trial: Trial, context: Context) -> Standing:
        """Where the trial stands, and where one that it continues stopped."""
        state = Standing.at(context.folder / CHECKPOINT if self.checkpoint_minutes else None, trial)
        steps, state.span = self._lengths(trial.proposal.budget)
        if trial.proposal.continues is not None:
            folder = context.checkpoint_of(trial.proposal.continues)
            state.ends = promotion.ends(trial, folder, self.repeats, steps, state.span)
        return state

    def _why_anew(self, trial: Trial, state: Standing, context: Context) -> str:
        """Of a promotion that had nothing to go on from; "" of one that had."""
        assert trial.proposal.continues is not None
        found = promotion.why_anew(trial, context.checkpoint_of(trial.proposal.continues), state.carried)
        remedy = "; for promotions to go on, give evaluator.horizon the largest budget"
        return found + remedy if found and self.horizon is None else found

    @property
    def _trained_on(self) -> Split:
        return "train" if self.split == "valid" else "train+valid"

    def _steps_of_epoch(self) -> int:
        return max(1, self.task.examples(self._trained_on) // self.batch)

    def _lengths(self, budget: int | None) -> tuple[int, int]:
        """Steps to train, and steps that the schedule spans."""
        if budget is not None and budget < 1:
            raise ValueError(f"the proposal's budget is {budget}; it must be at least 1")
        unit = 1 if self.steps else self._steps_of_epoch()
        if budget is None:
            steps = self.steps or (self.epochs * unit if self.epochs else DEFAULT_STEPS)
            return steps, steps
        if self.horizon is None:
            return budget * unit, budget * unit
        self._check_budget(budget)
        return budget * unit, self.horizon * unit


def _ignore(_outputs: Tensor, _targets: Tensor) -> None:
    """Nobody watches."""


plugin = Training
