"""Trains a trial's network from scratch and measures it: the fitness of Liu et al. 2018, and of most of the field."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from netwright.core import left, refs, room, seeds, settings
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.in_full import InFull
from netwright.core.objectives import Objective
from netwright.core.places import PLACES
from netwright.core.protocols import (
    Context,
    OffersMetrics,
    SearchSpace,
    ShowsExamples,
    Split,
    StatesMeasures,
    Task,
    Tunes,
    of_any_seed,
    of_seed,
    unwrap,
)
from netwright.core.records import Counts, Failure, Genotype, Proposal, Result, Trial
from netwright.core.settings import Setting
from netwright.core.shapes import Classes, Tokens, plural
from netwright.plans import counting
from netwright.plans.plan import HasPlan, Plan
from netwright.training import checkpoint, device, loop, memory, parallel, promotion, ranks
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.loop import Diverged, Passes, Schedule, Stopped
from netwright.training.parallel import Team
from netwright.training.reports import Alarm, Reports
from netwright.training.settings import StepSettings
from netwright.training.standing import Measurement, Standing

CHECKPOINT = "checkpoint.safetensors"
DEFAULT_STEPS = 100
OF_ANY_TRAINING = (
    *(Objective(name, -1) for name in ("train_loss", "params", "multiply_adds", "seconds", "peak_memory_mb")),
    Objective("examples_per_second"),
    Objective("carried_steps"),
)


@dataclass(frozen=True)
class Training(StepSettings):
    """Trains on one device, or on one for each of several processes. Takes the options of `StepSettings` as its own.

    Args:
        space: Builds and counts the networks.
        task: Data, loss and metrics.
        epochs: Passes over the training data, where a proposal names no budget.
        steps: Optimizer steps instead; give one of the two, or neither: 100 steps, whatever the size of the data.
        repeats: Number of trainings from different seeds, whose metrics are averaged.
        split: Split to measure on; for "test", training and validation data are both trained on.
        curve_every: Epochs from one measurement for the trial's curve to the next; 0: the end only is measured.
        device: Name of the device; "auto": the worker's own GPU, else the CPU.
        channels_last: Memory format of weights, and of inputs that are images.
        checkpoint_minutes: Minutes between checkpoints, from which a killed training goes on at that very step; 0: none
            are written.
        save: Whether to leave the first network's weights and what the task shows of examples in the trial's folder.
        processes: Processes of this machine that share each batch; `training.ranks` says how more machines do.
        horizon: Largest budget that proposals name, in their unit. The schedule of every trial with a budget spans it,
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
    in_full: ClassVar[InFull] = InFull(
        lengths=("epochs", "steps"),
        length={"epochs": 30},
        usual={"checkpoint_minutes": 5.0, "save": True},
        searched=("repeats",),
        incidental=("checkpoint_minutes", "save", "device", "processes"),
        places={option: place.off for option, place in PLACES.items()},
    )

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
        parallel.check_divides(self.batch, self.processes, self.accumulate, called=self._called)
        if self.label_smoothing and not isinstance(self.task.io.output, Classes | Tokens):
            raise BadReference(f"evaluator.label_smoothing is {self.label_smoothing}, but the task has no classes")
        device.check_name(self.device, self.processes)

    @property
    def measures(self) -> tuple[Objective, ...]:
        """Objectives that the task measures, on the evaluator's split; empty: the task does not say."""
        stated = self.task.measures if isinstance(self.task, StatesMeasures) else ()
        return tuple(measure.on(self.split) for measure in stated)

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """What the task measures and what it offers to, on the evaluator's split, and what any training reports.

        Empty where the task does not say what it measures.
        """
        measured = self.measures
        if not measured:
            return ()
        offered = self.task.offered if isinstance(self.task, OffersMetrics) else ()
        named = {each.name: each for each in (*measured, *(offer.on(self.split) for offer in offered))}
        spreads = [Objective(f"{name}_sd", -1) for name in named] if self.repeats > 1 else []
        return (*named.values(), *OF_ANY_TRAINING, *spreads)

    @property
    def tunable(self) -> dict[str, Setting]:
        """Settings that can be genes: some of its own, and those that the task offers."""
        own = step_settings.tunable(self, self.accumulate * self.processes)
        if not isinstance(self.task.io.output, Classes | Tokens):
            del own["label_smoothing"]
        return own | dict(self.task.tunable if isinstance(self.task, Tunes) else {})

    def tuned(self, values: Mapping[str, Any]) -> Training:
        """This evaluator with other settings.

        Raises:
            BadReference: A setting that cannot be searched, or values that do not go together.
        """
        if unknown := values.keys() - self.tunable.keys():
            raise BadReference(f"{min(unknown)!r} cannot be searched; there are {', '.join(self.tunable)}")
        own = {name: value for name, value in values.items() if name in step_settings.tunable(self)}
        others = {name: value for name, value in values.items() if name not in own}
        task = self.task.tuned(others) if others and isinstance(self.task, Tunes) else self.task
        return replace(refs.revise("evaluator", self, own), task=task)

    def _of(self, genotype: Genotype) -> Training:
        """The evaluator that trains the genotype, whose genes may hold settings.

        Raises:
            InvalidGenotype: The settings do not go together.
        """
        found = settings.values(self.space, genotype)
        try:
            return self.tuned(found) if found else self
        except BadReference as error:
            raise InvalidGenotype(str(error)) from None

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Train `repeats` networks; metrics of the split, size, cost, speed and memory.

        Accuracies are fractions of 1, losses nats, seconds wall clock over all repeats, memory in 10**6 bytes.
        """
        return self._of(trial.proposal.genotype)._evaluate(trial, context)

    def _evaluate(self, trial: Trial, context: Context) -> Result:
        """Train and measure, once the settings that the genotype holds are in place."""
        start = time.perf_counter()
        own = self.device_of(context.worker_index * self.processes)
        space = of_seed(self.space, trial.seed)
        self._check(space, trial.proposal.genotype, with_data=True)
        counts = space.count(trial.proposal.genotype, self.task.io)
        memory.reset_peak(own)
        state = self._state(trial, context)
        ends = [end and end.facts() for end in state.ends]
        job = {"trial": asdict(trial), "state": state.facts(), "ends": ends, "threads": context.threads}
        try:
            with ranks.gathered(self.processes, own, job, context) as team:
                self._train(trial, state, team, context.threads, context)
        except (Diverged, Stopped) as error:
            failure: Failure = "diverged" if isinstance(error, Diverged) else "error"
            seconds = time.perf_counter() - start
            return Result(curve=tuple(state.curve), seconds=seconds, failure=failure, message=str(error))
        if state.path:
            state.path.unlink(missing_ok=True)
        seconds = state.seconds + time.perf_counter() - start
        metrics = _averaged(state.done, counts, seconds) | {"peak_memory_mb": memory.peak_mb(own)}
        if not state.ends:
            return Result(metrics, tuple(state.curve), seconds)
        metrics["carried_steps"] = min(state.carried)
        return Result(metrics, tuple(state.curve), seconds, message=self._why_anew(trial, state, context))

    def follow(self, job: Mapping[str, Any], team: Team) -> None:
        """Do the part of a process that is not the first of its team: its share of every batch, and no measurements."""
        proposal = job["trial"]["proposal"]
        proposal = Proposal(**{**proposal, "genotype": tuple(proposal["genotype"])})
        trial = Trial(**{**job["trial"], "proposal": proposal})
        ends = tuple(facts and Standing.of(None, facts) for facts in job["ends"])
        state = replace(Standing.of(None, job["state"]), ends=ends)
        with suppress(Diverged, Stopped):  # the first process says so
            self._of(trial.proposal.genotype)._train(trial, state, team, job["threads"], None)

    def _train(self, trial: Trial, state: Standing, team: Team, threads: int, context: Context | None) -> None:
        """Do all trainings that are left; `state` takes in what they measure."""
        with device.repeatable(max(1, threads // team.local)):
            while len(state.done) < self.repeats:
                state.finish(self._train_once(trial, state, team, context))

    def _train_once(self, trial: Trial, state: Standing, team: Team, context: Context | None) -> Measurement:
        """Do the next training; the first one adds points to the curve.

        Without a context, this is not the first process of its team; it measures, reports and writes nothing.
        """
        repeat, per_epoch = len(state.done), self._steps_of_epoch()
        steps, span = self._lengths(trial.proposal.budget)
        passes = Passes(
            self.task,
            self._trained_on,
            self.batch,
            lambda epoch: seeds.rng_for(trial.seed, seeds.TRAIN, epoch, repeat),
            team,
            self.accumulate,
        )
        schedule = Schedule(steps, lambda step: step_settings.rate_factor(self, step, span, per_epoch))
        descent = self._descent(trial, repeat, span, team)
        start = state.resume(descent, team)
        reports, time_to_write = Reports(context, repeat * steps), Alarm(60 * self.checkpoint_minutes)
        has_curve = bool(self.curve_every) and context is not None and repeat == 0

        for at in loop.steps(passes, descent, schedule, start):
            if at.ends_pass and at.step < steps and has_curve and at.step // per_epoch % self.curve_every == 0:
                state.curve.append((at.step, _main(self._measured(descent))))
            if at.is_look and not team.agree(reports.of(at)):
                raise Stopped(f"stopped at step {at.step}")
            if at.ends_pass:
                continue  # what is written stands between two steps
            if context and at.step == steps < span:  # for a trial that continues this one
                state.write(promotion.end_of(context.folder, repeat), descent, at)
            if state.path and time_to_write.rings():  # to go on from after a kill
                state.write(state.path, descent, at)
                reports.say(at.step)

        if context is None:
            return Measurement({}, at.loss, at.examples, at.seconds)
        found = self._measured(descent, context.folder if self.save and repeat == 0 else None, trial.seed)
        if repeat == 0:
            state.curve.append((steps, _main(found)))
        return Measurement(found, at.loss, at.examples, at.seconds)

    def _descent(self, trial: Trial, repeat: int, span: int, team: Team) -> Descent:
        """The network of a training, as it is before the first step, with what takes the steps."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        rng = seeds.rng_for(trial.seed, seeds.BUILD, attempt=repeat)
        network = of_seed(self.space, trial.seed).build(trial.proposal.genotype, self.task.io, rng)
        network = network.to(team.device, memory_format=layout)
        optimizer = step_settings.optimizer(self, network)
        masks = seeds.trial_seed(trial.seed, "masks", repeat)
        return Descent(network, self.task, optimizer, self, steps=span, memory_format=layout, seed=masks, team=team)

    def _measured(self, descent: Descent, folder: Path | None = None, seed: int = 0) -> dict[str, float]:
        """Metrics of the split; weights and what the task shows of examples go into the folder, where there is one.

        `seed`, the trial's, is noted there.
        """
        recorder = self.task.recorder(self.split) if folder and isinstance(self.task, ShowsExamples) else None
        watch = recorder.add if recorder else _ignore
        with descent.averaged():
            found = loop.measure(descent.network, self.task, self.split, descent.memory_format, watch)
            if folder:
                checkpoint.write_weights(folder / checkpoint.WEIGHTS, descent.network)
        if folder and recorder:
            left.write(folder, recorder.files(), seed)
        return {f"{self.split}_{name}": value for name, value in found.items()}

    def _state(self, trial: Trial, context: Context) -> Standing:
        """Where the trial stands, and where the trial that it continues stopped."""
        state = Standing.at(context.folder / CHECKPOINT if self.checkpoint_minutes else None, trial)
        steps, state.span = self._lengths(trial.proposal.budget)
        if trial.proposal.continues is not None:
            folder = context.checkpoint_of(trial.proposal.continues)
            state.ends = promotion.ends(trial, folder, self.repeats, steps, state.span)
        return state

    def _why_anew(self, trial: Trial, state: Standing, context: Context) -> str:
        """Why a promotion had nothing to go on from; "" where it had something."""
        assert trial.proposal.continues is not None
        found = promotion.why_anew(trial, context.checkpoint_of(trial.proposal.continues), state.carried)
        remedy = "; for promotions to go on, give evaluator.horizon the largest budget"
        return found + remedy if found and self.horizon is None else found

    @property
    def _called(self) -> str:
        return plural(self.task.io.input)

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
        if budget > self.horizon:
            raise BadReference(
                f"the budget {budget} is beyond evaluator.horizon, {self.horizon}; give horizon the largest budget of "
                "the strategy"
            )
        return budget * unit, self.horizon * unit

    def check_settings(self, genotype: Genotype, *, budget: int | None = None, data_is_ready: bool = False) -> None:
        """Refuse, before anything is started, what would fail every trial of this genotype.

        Raises:
            InvalidGenotype: The genotype is no network; for a generator, the networks of the first few seeds
                do not fit.
            WorkerError: The machine's memory does not hold the processes.
            BadReference: The device is not there, the batch cannot be divided as asked, or the schedule does not end at
                the largest budget.
            MissingCapability: The network has no place for drop path, dropout or an auxiliary loss.
        """
        device.check_is_here(self.device)
        room.refuse_crowd("evaluator.processes", self.processes, self.processes, memory.PROCESS_MB)
        is_to_go_on = self.schedule == "constant" and budget is not None and budget < (self.horizon or 0)
        if budget is not None and self.horizon not in (None, budget) and not is_to_go_on:
            raise BadReference(
                f"evaluator.horizon is {self.horizon}, but the largest budget of the strategy is {budget}: schedules "
                f"must end where the last promotions do; give --evaluator.horizon {budget}"
            )

        def use(space: SearchSpace) -> None:
            space.check(genotype)
            self._of(genotype)._check(space, genotype, with_data=data_is_ready)

        of_any_seed(self.space, use)

    def _check(self, space: SearchSpace, genotype: Genotype, *, with_data: bool) -> None:
        """Refuse what cannot be trained: a network without a place for a setting, a batch that cannot be divided.

        `with_data`: the number of examples is known.
        """
        plan = self._plan(space, genotype)
        if plan is not None:
            step_settings.check_places(self, plan)
        if with_data:
            processes, examples = ranks.size(self.processes), self.task.examples(self._trained_on)
            needs_two = plan is not None and step_settings.needs_two(self, plan)
            parallel.check_divides(
                self.batch, processes, self.accumulate, examples=examples, needs_two=needs_two, called=self._called
            )

    def _plan(self, space: SearchSpace, genotype: Genotype) -> Plan | None:
        """Layers of a network for the task; None: the space writes no plans."""
        with_plan = unwrap(space, HasPlan)
        return with_plan.plan(genotype, self.task.io) if with_plan else None

    def device_of(self, index: int) -> torch.device:
        """What process `index` of this machine works on."""
        return device.pick(self.device, index)

    def memory_mb(self, genotype: Genotype) -> float | None:
        """Estimated memory of one evaluation, in 10**6 bytes; None: the space has no layer plans to count.

        It adds up the processes, the weights and what goes with them, and the activations of one part of a batch. For a
        generator, a network that fits is counted.

        Raises:
            InvalidGenotype: The genotype is no network; for a generator, the networks of the first few seeds
                do not fit.
        """
        plan = of_any_seed(self.space, lambda space: self._plan(space, genotype))
        if plan is None:
            return None
        part = self._of(genotype).batch // self.accumulate
        # the processes share the batch; each has all weights
        needed = counting.training_bytes(plan, part, self.copies * self.processes)
        return memory.PROCESS_MB * self.processes + needed / 1e6

    @property
    def budget_unit(self) -> str:
        """Unit of budgets: steps where the evaluator counts its own trainings in steps, else epochs."""
        return "steps" if self.steps else "epochs"

    @property
    def own_budget(self) -> int | None:
        """The steps or epochs that were given; None: neither, as the default of 100 steps is no budget."""
        return self.steps or self.epochs

    def advice(self, largest_budget: int) -> str:
        """What to give for promotions to go on where trials stopped; "" where they do.

        Going on is never chosen for the user: all trials then share the schedule of the largest budget. A score at a
        smaller one is then that of a training stopped on its way, no longer of one planned for it.
        """
        if self.horizon is not None:
            return ""
        return f"promotions begin anew: give --evaluator.horizon {largest_budget} for them to go on"

    def leaves_state(self, trial: Trial) -> bool:
        """Whether the trial's training stops before its schedule does."""
        budget = trial.proposal.budget
        return self.horizon is not None and budget is not None and budget < self.horizon


def _averaged(done: list[Measurement], counts: Counts, seconds: float) -> dict[str, float]:
    """Metrics of all trainings of a trial: means, deviations where there are several, size, cost and speed."""
    metrics = {name: float(np.mean([found.metrics[name] for found in done])) for name in done[0].metrics}
    if len(done) > 1:
        metrics |= {
            f"{name}_sd": float(np.std([found.metrics[name] for found in done], ddof=1)) for name in done[0].metrics
        }
    return metrics | {
        "train_loss": float(np.mean([found.train_loss for found in done])),
        "params": counts.params,
        "multiply_adds": counts.multiply_adds,
        "seconds": seconds,
        "examples_per_second": sum(found.examples for found in done) / sum(found.seconds for found in done),
    }


def _main(metrics: Mapping[str, float]) -> float:
    """The metric that a curve shows: the task's first."""
    return next(iter(metrics.values()))


def _ignore(_outputs: Tensor, _targets: Tensor) -> None:
    """Watch nothing."""


plugin = Training
