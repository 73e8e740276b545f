"""Trains a trial's network from scratch and measures it: the fitness of Liu et al. 2018, and of most of the field."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netwright.core import refs, seeds, settings
from netwright.core.cards import CardMemory
from netwright.core.errors import BadReference, DeviceLost, InvalidGenotype, PutBack
from netwright.core.objectives import Objective
from netwright.core.protocols import (
    Context,
    Generates,
    Resplits,
    SearchSpace,
    StreamsBatches,
    Task,
    Tunes,
    of_any_seed,
    of_seed,
    unwrap,
)
from netwright.core.records import CARRIED_STEPS, STEPS_DONE, Failure, Genotype, Proposal, Result, Trial
from netwright.core.settings import Setting
from netwright.plans import counting
from netwright.plans.plan import HasPlan, Plan
from netwright.training import (
    cards,
    device,
    faults,
    made,
    memory,
    pace,
    promotion,
    ranks,
    refusals,
    resizing,
    stated,
)
from netwright.training import settings as step_settings
from netwright.training.course import Deadline, FlexibleSchedule, repeated
from netwright.training.ending import Ending
from netwright.training.epochs import CountedEpochs, Epochs, EvenEpochs
from netwright.training.lengths import Length, Lengths
from netwright.training.loop import Diverged, Passes, Stopped
from netwright.training.measuring import Measuring
from netwright.training.options import Options
from netwright.training.parallel import Team
from netwright.training.reports import Alarm, Reports
from netwright.training.standing import Measurement, Standing, averaged, lengths, so_far, why_inexact
from netwright.training.stops import Stops

CHECKPOINT = "checkpoint.safetensors"
WHOLE = "its images were whole all the time, as no plan says that its network takes smaller ones"


@dataclass(frozen=True)
class Training(Options):
    """Trains on one device, or on one for each of several processes. Takes the options of `Options` as its own.

    Args:
        space: Builds and counts the networks.
        task: Data, loss and metrics.
    """

    space: SearchSpace
    task: Task

    def __post_init__(self) -> None:
        super().__post_init__()
        refusals.check_task(self, self.task)

    @property
    def measures(self) -> tuple[Objective, ...]:
        """Objectives that the task measures, on the evaluator's split; empty: the task does not say."""
        return stated.measures(self, self.task)

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """What the task measures and offers to, and what any training reports; empty: the task does not say."""
        return stated.metrics(self, self.task)

    @property
    def tunable(self) -> dict[str, Setting]:
        """Settings that can be genes: some of its own, and those that the task offers."""
        return stated.tunable(self, self.task)

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
        """Train as many networks as asked; metrics of the split, size, cost, speed and memory.

        Accuracies are fractions of 1, losses nats, seconds wall clock over all repeats, memory in 10**6 bytes.

        Raises:
            PutBack: The worker asked to stop; where the trial stands is written down, and is where it goes on.
            DeviceLost: The device does not answer this process any more.
        """
        start = time.perf_counter()
        own = self.device_of(context.worker_index * self.processes)
        try:
            return self._of(trial.proposal.genotype)._evaluate(trial, context, own)
        except (RuntimeError, AssertionError) as error:
            fault = faults.of(error, own)
            if fault is None:
                raise
            if fault.is_lost:
                raise DeviceLost(fault.message) from error
        faults.release()  # here, since the error held what its frames had made
        return Result(seconds=time.perf_counter() - start, failure=fault.failure, message=fault.message)

    def _evaluate(self, trial: Trial, context: Context, own: torch.device) -> Result:
        """Train and measure on a device, once the settings that the genotype holds are in place."""
        start = time.perf_counter()
        device.check_has(own, self.precision_on(own))
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
        metrics = averaged(state.done, counts, seconds) | {"peak_memory_mb": memory.peak_mb(own)}
        if self.states_length:
            metrics[STEPS_DONE] = min(found.steps for found in state.done)
        if self.has_deadline:
            metrics |= lengths(state.done)
        if self.plateau:
            metrics["stopped_early"] = int(any(found.why == "plateau" for found in state.done))
        if state.ends:
            metrics[CARRIED_STEPS] = min(state.carried)
        is_exact = device.is_exact(own, self.deterministic) or not self.states_length
        why = (self._why_anew(trial, state, context), why_inexact(state.done, is_exact), *state.notes)
        notes = [note for found in state.done for note in found.notes]
        message = "; ".join(filter(None, (*why, *dict.fromkeys(notes))))
        return Result(metrics, tuple(state.curve), seconds, message=message)

    def follow(self, job: Mapping[str, Any], team: Team) -> None:
        """Do the part of a process that is not the first of its team: its share of every batch, and no measurements."""
        proposal = job["trial"]["proposal"]
        proposal = Proposal(**{**proposal, "genotype": tuple(proposal["genotype"])})
        trial = Trial(**{**job["trial"], "proposal": proposal})
        ends = tuple(facts and Standing.of(None, facts) for facts in job["ends"])
        state = replace(Standing.of(None, job["state"]), ends=ends)
        with suppress(Diverged, Stopped, PutBack):  # the first process says so
            self._of(trial.proposal.genotype)._train(trial, state, team, job["threads"], None)

    def _train(self, trial: Trial, state: Standing, team: Team, threads: int, context: Context | None) -> None:
        """Do all trainings that are left; `state` takes in what they measure."""
        with device.working(team.device, max(1, threads // team.local), self.deterministic):
            while len(state.done) < self.trainings:
                state.finish(self._on_division(len(state.done))._train_once(trial, state, team, context))

    def _on_division(self, index: int) -> Training:
        """The evaluator with another division of the examples, where there are several."""
        if self.splits == 1 or index == 0 or not isinstance(self.task, Resplits):
            return self
        return replace(self, task=self.task.resplit(index, self.splits))

    def _train_once(self, trial: Trial, state: Standing, team: Team, context: Context | None) -> Measurement:
        """Do the next training; the first one adds points to the curve.

        Without a context, this is not the first process of its team; it measures, reports and writes nothing.
        """
        repeat = len(state.done)
        epochs = self._epochs(trial, repeat)
        length = self._length(trial, epochs)
        state.span = length.span
        passes = Passes(
            self.task,
            self.trained_on,
            self.batch,
            partial(_rng_of_epoch, trial, repeat),
            team,
            self.accumulate,
            self.batches_by,
        )
        course = FlexibleSchedule(
            length,
            lambda step, span: step_settings.rate_factor(self, step, span, epochs),
            self.cooldown,
            state.cut or repeated(self.cuts, trial.id, repeat, length),
        )
        small = self._early(trial)
        sizes = resizing.of(small, course.is_early)
        begins_anew = self.averaging or (self.ema and sizes)  # where what is averaged begins to be of whole images, too
        updates = course.updates if begins_anew else lambda step: step
        if self.non_monotone:
            updates = lambda step: state.record.updates(step)  # noqa: E731
        teachers = context.folder.parent.parent / self.teachers if context and self.teachers else None
        descent = made.descent(self, self.space, self.task, trial, repeat, length, updates, team, teachers, sizes)
        start = state.resume(descent, team)
        if start.step > course.steps:  # else it would never come to an end
            raise BadReference(
                f"evaluator.cuts ends the training at step {course.steps}, but it goes on from step {start.step}; "
                "leave it out, or give evaluator.early_size 1 where an earlier release played what is repeated"
            )
        dearer = 1.0
        is_to_cool = self.cooldown > 0 and length.steps == length.span and course.is_early(start.step)
        if small and is_to_cool:
            early, late = self._paces(trial, small)
            dearer = max(1.0, late / early)
        ending = Ending(course, state, team, self._deadline(trial, state, start.step, dearer), self.plateau)
        before, after = sum(found.steps for found in state.done), (self.trainings - repeat - 1) * length.steps
        found = so_far(state.done, [each.name for each in self.measures])
        reports = Reports(context, before, lambda: before + course.steps + after, found)
        stops, time_to_write = Stops(context, team, reports), Alarm(60 * self.checkpoint_minutes)
        place = partial(_place_of, state, context) if context else None
        measuring = Measuring(self, self.task, descent, state, stops, place, sizes, has_curve=repeat == 0)

        for at in measuring.moments(passes, course, start):
            ending.look(at)
            is_end = at.step == course.steps
            if at.ends_pass and is_end and length.steps < length.span and context is not None:
                # for a trial that continues this one, which meets the end of a pass again
                state.write(promotion.end_of(context.folder, repeat), descent, at)
            if at.ends_pass:
                measuring.end_of_pass(at, epochs, is_last=is_end)
            is_to_stop = stops.at(at)
            if at.ends_pass:
                continue  # what is written stands between two steps
            if is_to_stop:
                measuring.put_back(at)
            if state.path and self.checkpoint_minutes and time_to_write.rings():  # to go on from after a kill
                state.write(state.path, descent, at)
                reports.say(at.step)

        unmet = [WHOLE] if self.early_size < 1 and sizes is None else []
        state.notes.update(dict.fromkeys([*descent.notes, *unmet]))
        why, bends = (course.cut.why, course.cut.bends) if course.cut else ("", ())
        course_of = (at.loss, at.examples, at.seconds, at.step, why, course.span, bends, state.record.notes)
        if context is None:
            return Measurement({}, *course_of)
        folder = context.folder if self.save and repeat == 0 else None
        return Measurement(measuring.end(at, folder, trial.seed), *course_of)

    def _deadline(self, trial: Trial, state: Standing, start: int, dearer: float) -> Deadline | None:
        """How many steps the time of the next training allows: the trainings of a trial share its seconds."""
        seconds = self.deadlines[trial.id - 1] if trial.id <= len(self.deadlines) else self.deadline
        if not seconds:
            return None
        share = (len(state.done) + 1) / self.trainings
        forward = 1 / 3  # of a step
        batches: float = self.task.examples(self.split) / self.batch
        if isinstance(self.task, StreamsBatches):  # with fewer rows, which takes hardly less
            batches = len(self.task.lengths(self.split, self.batch, None))
        measuring = forward * batches
        return Deadline(share * seconds, state.elapsed, measuring, start, dearer)

    def _state(self, trial: Trial, context: Context) -> Standing:
        """Where the trial stands, and where the trial that it continues stopped."""
        folder = context.folder if self.checkpoint_minutes else context.checkpoint_of(trial.id)
        state = Standing.at(folder and folder / CHECKPOINT, trial)
        if trial.proposal.continues is None and not self.begin:
            return state
        lengths = [self._length(trial, self._epochs(trial, repeat)) for repeat in range(self.trainings)]
        if trial.proposal.continues is not None:
            folder = context.checkpoint_of(trial.proposal.continues)
            state.ends = promotion.ends(trial, folder, lengths)
        else:
            state.ends = promotion.begun(trial, self._begins_in(context), lengths)
        return state

    def _begins_in(self, context: Context) -> Path:
        """The folder of states to begin from."""
        folder = Path(self.begin).expanduser()
        return folder if folder.is_absolute() else context.folder.parent.parent / folder

    def _why_anew(self, trial: Trial, state: Standing, context: Context) -> str:
        """Why a training had nothing to go on from; "" where it had something, or was not to."""
        if trial.proposal.continues is None:
            return promotion.why_begun_anew(trial, self._begins_in(context), state.carried) if self.begin else ""
        found = promotion.why_anew(trial, context.checkpoint_of(trial.proposal.continues), state.carried)
        remedy = "; for promotions to go on, give evaluator.horizon the largest budget"
        return found + remedy if found and self.horizon is None else found

    def _epochs(self, trial: Trial, repeat: int) -> Epochs:
        """How many steps the passes of a training take; those of a text are counted, as they may be drawn."""
        task = self.task
        if not isinstance(task, StreamsBatches):
            return EvenEpochs(max(1, task.examples(self.trained_on) // self.batch))

        def counted(epoch: int) -> int:
            return len(task.lengths(self.trained_on, self.batch, _rng_of_epoch(trial, repeat, epoch)))

        return CountedEpochs(counted)

    def _length(self, trial: Trial, epochs: Epochs) -> Length:
        """Length of a training of a trial, which has such passes."""
        early, late = self._paces(trial, self._early(trial)) if self.pace else (0.0, 0.0)
        counts = (self.steps, self.epochs, self.seconds, self.horizon)
        return Lengths(epochs, *counts, early, late, self.cooldown, self.trainings).of(trial.proposal.budget)

    def _early(self, trial: Trial) -> Plan | None:
        """Layers of the trial's network while images are smaller; None: they are whole all the time."""
        space = of_seed(self.space, trial.seed)
        return resizing.fitting(space, trial.proposal.genotype, self.task.io, self.early_size)

    def _paces(self, trial: Trial, small: Plan | None) -> tuple[float, float]:
        """Seconds of a step of the trial's network by the pace, or a usual one, before the cooldown and in it.

        Args:
            trial: The trial.
            small: Its layers while images are smaller; None: they never are, and the second number is 0.
        """
        space, genotype = of_seed(self.space, trial.seed), trial.proposal.genotype
        own = pace.Pace.of(self.pace) if self.pace else pace.USUAL
        plan = self._plan(space, genotype)
        if plan is None:
            counts = space.count(genotype, self.task.io)
            return own.seconds(pace.costs_of_counts(counts, self.task.io, self.batch)), 0.0
        layers = [plan] if small is None else [small, plan]
        has_head = self.auxiliary > 0
        found = [own.seconds(pace.costs(p, self.batch, auxiliary=has_head, made=self.task.io.input)) for p in layers]
        return found[0], found[1] if small else 0.0

    def foretell(self, genotype: Genotype) -> Mapping[str, float]:
        """What is counted of the network; empty for a generator, of which each trial's seed draws another network."""
        if unwrap(self.space, Generates) is not None:
            return {}
        return {name: float(count) for name, count in self.space.count(genotype, self.task.io).known().items()}

    def check_settings(self, genotype: Genotype, *, budget: int | None = None, data_is_ready: bool = False) -> None:
        """Refuse, before anything is started, what would fail every trial of this genotype.

        Raises:
            InvalidGenotype: The genotype is no network; for a generator, the networks of the first few seeds
                do not fit.
            WorkerError: The machine's memory does not hold the processes.
            BadReference: The device is not there or lacks the precision, the batch cannot be divided as asked, or the
                schedule does not end at the largest budget.
            MissingCapability: The network has no place for drop path, dropout or an auxiliary loss.
        """
        device.check_is_here(self.device)
        refusals.check_machine(self, self.device_of(0), budget)

        def use(space: SearchSpace) -> None:
            space.check(genotype)
            self._of(genotype)._check(space, genotype, with_data=data_is_ready)

        of_any_seed(self.space, use)

    def _check(self, space: SearchSpace, genotype: Genotype, *, with_data: bool) -> None:
        """Refuse what cannot be trained; `with_data`: the number of examples is known."""
        refusals.check_network(self, self.task, self._plan(space, genotype), with_data=with_data)

    def _plan(self, space: SearchSpace, genotype: Genotype) -> Plan | None:
        """Layers of a network for the task; None: the space writes no plans."""
        with_plan = unwrap(space, HasPlan)
        return with_plan.plan(genotype, self.task.io) if with_plan else None

    def device_of(self, index: int) -> torch.device:
        """What process `index` of this machine works on."""
        return device.pick(self.device, index)

    def remarks(self) -> tuple[str, ...]:
        """On what GPU trainings run and in which precision, or why on none; on a CPU there is nothing to say."""
        return stated.remarks(self, self.device_of(0), self.device)

    def cards(self, worker_index: int) -> tuple[str, ...]:
        """Names of the cards that the processes of a worker's trials lie on."""
        first = worker_index * self.processes
        return cards.names(self.device_of(index) for index in range(first, first + self.processes))

    def in_more_parts(self, parts: int, genotype: Genotype) -> Training:
        """This evaluator working through each batch in that many times as many parts.

        Raises:
            NetwrightError: The genotype's batches cannot be divided so, or its batch normalization would see parts of
                one example.
        """
        divided = replace(self, accumulate=parts * self.accumulate)
        of_any_seed(self.space, lambda space: divided._of(genotype)._check(space, genotype, with_data=True))
        return divided

    def card_memory(self) -> CardMemory | None:
        """Memory of the card that this process fills most; None: it uses no card."""
        return cards.memory()

    def leave_cards(self) -> None:
        """Give back the memory of cards that torch keeps for later tensors."""
        cards.leave()

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
        needed = counting.training_bytes(plan, part, (self.copies + self.keeps_weights) * self.processes)
        return memory.PROCESS_MB * self.processes + needed / 1e6

    def advice(self, largest_budget: int) -> str:
        """What to give for promotions to go on where trials stopped; "" where they do."""
        return stated.advice(self, largest_budget)


def _place_of(state: Standing, context: Context) -> Path:
    """File in which an interruption leaves where the trial stands; its folder is made when it is asked for."""
    return state.path or context.folder / CHECKPOINT


def _rng_of_epoch(trial: Trial, repeat: int, epoch: int) -> np.random.Generator:
    """The generator of a pass of a training, at its beginning."""
    return seeds.rng_for(trial.seed, seeds.TRAIN, epoch, repeat)


plugin = Training
