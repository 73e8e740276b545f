"""Scores networks with weights that all of them share, trained together in rounds (Pham et al. 2018; Luo et al. 2018).

Before a round is scored, the weights are trained on its networks: each step trains one of them, or a few. A network's
score is then that of its own path through the weights, on some validation batches: it ranks networks at the cost of a
few forward passes each, and is no estimate of what a network gives that is trained alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

import torch

from netwright.core import settings
from netwright.core.errors import BadReference, DeviceLost, NetwrightError
from netwright.core.in_full import InFull
from netwright.core.objectives import COUNTED, Objective
from netwright.core.protocols import (
    Context,
    OffersMetrics,
    SearchSpace,
    StatesMeasures,
    StreamsBatches,
    Task,
)
from netwright.core.records import Failure, Genotype, Result, Trial
from netwright.core.round_plan import PLACE, Rounds
from netwright.core.shapes import plural
from netwright.plans import counting
from netwright.training import (
    device,
    faults,
    held_round,
    layout,
    memory,
    parallel,
    scoring,
    shared_options,
    stated,
    supernet,
    tuning,
)
from netwright.training import settings as step_settings
from netwright.training.feeding import BatchesBy
from netwright.training.held_round import HeldRound
from netwright.training.loop import Diverged, Stopped
from netwright.training.path_sampling import Way
from netwright.training.settings import Schedule
from netwright.training.shared_programs import ProgramName, ScoredOn, SharedProgram, Statistics
from netwright.training.shared_training import RoundsTraining
from netwright.training.supernet import shared_by


@dataclass(frozen=True)
class SharedWeightsTraining:
    """Trains the networks of each round together and scores them. Takes one worker.

    Every option whose default is None takes the program's number.

    Args:
        space: Builds and counts the networks, which share weights.
        task: Data, loss and metrics.
        program: Which published program is taken whole: "tf-ws" or "tf-ws-rnn" (TensorFlow, and that for texts), "pt1"
            or "pt2" (PyTorch). None: the package's own, see `training.shared_programs`.
        round_count: Number of rounds: how often all networks of a pool are scored.
        pool: Number of networks in the first round.
        new: Number of networks that the strategy brings to each later round.
        fresh: Number of random networks that come besides.
        keeps: Who stays for the next round: the "best", so that rounds stay as large, or "all".
        trains: Who trains in a round: its whole "pool", or the "new" networks alone.
        epochs: Passes over the training data in each round.
        steps: Optimizer steps in each round instead.
        sampling: Which networks train in a step: of all alike ("uniform"), in proportion to their parameters
            ("params"), the largest and the smallest with any others ("sandwich"), or networks in which all options of
            a gene occur alike ("fair"), whether they are in the pool or not.
        paths: Number of networks that share a step, each with its part of the batch.
        valid_batch: Examples of a validation batch. Of a text, `task.valid_rows` says how many rows it has.
        batches: Number of validation batches by which a network is scored.
        scored_on: Which these are: the "same" for all, the "next" ones for each, or ones "drawn" for each.
        statistics: By which batch normalizations compute in scoring: those of each "batch", or "recalibrated" ones.
        recalibration: Number of training batches by which they are recalibrated.
        tuning_steps: Steps in which a copy of a network's weights is trained alone before it is scored, all of a round
            by the same batches; 0: none. They count in the row's seconds.
        tuning_lr: Initial learning rate of these, which a cosine takes to 0.
        supernets: Number of sets of weights, each for the networks of one part of the space (Zhao et al. 2021).
        split_gene: Position of the gene, from 0, by whose values the space is cut. None: the first that has enough.
        joint_share: Share of all steps in which all networks still train one set, from which the others then begin.
        batch: Examples per step, over all its networks.
        optimizer: As of `training`, "muon" left out, and so are the following.
        lr: Initial learning rate.
        momentum: Momentum.
        nesterov: Whether it is Nesterov's.
        weight_decay: Factor of the L2 penalty, which acts on the weights that a step uses.
        decay_on: What it acts on.
        schedule: Course of the rate over all rounds.
        period: Epochs of its cosines. None: the program's, longer or shorter where `epochs` makes its rounds so.
        growth: How much longer each of the "restarts" is than the one before.
        floor: Lowest rate, as a share of the initial one.
        warmup: Epochs in which the rate rises.
        clip: Largest norm of all gradients together.
        clip_penalty: Whether that holds the gradient of the L2 penalty.
        label_smoothing: Share of the target that is spread over all classes.
        auxiliary: Weight of the loss of auxiliary heads.
        drop_path_keep: Probability that an example keeps a branch, where it is lowest.
        dropout: Share of the last features that is dropped.
        dropout_embedding: Share of the features of words that is dropped.
        dropout_input: The same of what goes into a recurrent layer.
        dropout_hidden: The same of the states within it.
        dropout_output: The same of what comes out of it.
        dropout_words: Share of the vocabulary whose vectors are dropped.
        activation_penalty: Weight of the mean square of what recurrent layers give.
        temporal_penalty: The same of differences of consecutive outputs.
        rate_by_length: Whether the rate of a step is scaled by its batch's steps.
        precision: Number format of the forward pass.
        deterministic: Whether a GPU gives the same bits each time.
        device: Name of the device, as of `training`.
        batches_by: What makes the batches, as of `training`.
        channels_last: Memory format, as of `training`.
        checkpoint_minutes: Minutes between checkpoints of the shared training; 0: only when the worker is told to stop.

    Raises:
        BadReference: The space shares no weights, the program is for other data, or options do not go together.
    """

    space: SearchSpace
    task: Task
    program: ProgramName | None = None
    round_count: int | None = None
    pool: int | None = None
    new: int | None = None
    fresh: int | None = None
    keeps: Literal["best", "all"] | None = None
    trains: Literal["pool", "new"] | None = None
    epochs: int | None = None
    steps: int | None = None
    sampling: Way | None = None
    paths: int | None = None
    valid_batch: int | None = None
    batches: int | None = None
    scored_on: ScoredOn | None = None
    statistics: Statistics | None = None
    recalibration: int | None = None
    tuning_steps: int | None = None
    tuning_lr: float | None = None
    supernets: int | None = None
    split_gene: int | None = None
    joint_share: float | None = None
    batch: int | None = None
    optimizer: Literal["sgd", "rmsprop"] | None = None  # Muon turns kernels of one network
    lr: float | None = None
    momentum: float | None = None
    nesterov: bool | None = None
    weight_decay: float | None = None
    decay_on: Literal["all", "weights"] | None = None
    schedule: Schedule | None = None
    period: float | None = None
    growth: float | None = None
    floor: float | None = None
    warmup: float | None = None
    clip: float | None = None
    clip_penalty: bool | None = None
    label_smoothing: float | None = None
    auxiliary: float | None = None
    drop_path_keep: float | None = None
    dropout: float | None = None
    dropout_embedding: float | None = None
    dropout_input: float | None = None
    dropout_hidden: float | None = None
    dropout_output: float | None = None
    dropout_words: float | None = None
    activation_penalty: float | None = None
    temporal_penalty: float | None = None
    rate_by_length: bool | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    deterministic: bool | None = None
    device: str = "auto"
    batches_by: BatchesBy = "auto"
    channels_last: layout.Wanted = "auto"
    checkpoint_minutes: float = 5.0
    _held: HeldRound = field(default_factory=HeldRound, init=False, repr=False, compare=False)
    _program: SharedProgram = field(init=False, repr=False, compare=False)
    max_workers: ClassVar[int] = 1
    in_full: ClassVar[InFull] = InFull(
        trainer="training", kept=("device", "batches_by", "channels_last", "precision", "deterministic")
    )

    def __post_init__(self) -> None:
        shared_by(self.space)
        options = [each.name for each in fields(self) if each.init and each.default is None and each.name != "program"]
        given = {name: value for name in options if (value := getattr(self, name)) is not None}
        object.__setattr__(self, "_program", shared_options.resolved(self.program, given, self.space, self.task))
        device.check_name(self.device, 1)

    @property
    def rounds(self) -> Rounds:
        """How many rounds there are, and what each is made of."""
        return self._program.rounds

    @property
    def measures(self) -> tuple[Objective, ...]:
        """Objectives that the task measures, on validation data; empty: the task does not say."""
        return tuple(each.on("valid") for each in self.task.measures) if isinstance(self.task, StatesMeasures) else ()

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """The same, what the task offers to measure, and what is counted; empty: the task does not say."""
        if not self.measures:
            return ()
        offered = self.task.offered if isinstance(self.task, OffersMetrics) else ()
        named = {each.name: each for each in (*self.measures, *(offer.on("valid") for offer in offered))}
        return (*named.values(), *COUNTED, Objective("seconds", -1))

    def make_ready(self, trial: Trial, context: Context) -> None:
        """Train the weights of the trial's round, unless they are there.

        Raises:
            PutBack: The worker asked to stop; where the training stands is written down, and is where it goes on.
            TooEarly: Not all networks of the round are in the table.
            DeviceLost: The device does not answer this process any more.
            NetwrightError: The training failed, or the weights that are there are damaged or of something else.
        """
        number, own = _round_of(trial), self.device_of(context.worker_index)
        with _told(own), device.working(own, context.threads, self._program.steps.deterministic):
            self._held.make_ready(number, lambda: self._training(context, own), self.rounds, context)

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Metrics of a network with the weights of its round, counts of the network by itself, and seconds of scoring.

        Raises:
            PutBack: The worker asked to stop in the training before a score, of which nothing is kept.
            DeviceLost: The device does not answer this process any more.
            NetwrightError: The weights of the round are not there, or damaged.
        """
        start, number = time.perf_counter(), _round_of(trial)
        own, genotype = self.device_of(context.worker_index), trial.proposal.genotype
        counts = self.space.count(genotype, self.task.io)
        with _told(own), device.working(own, context.threads, self._program.steps.deterministic):
            scores = self._held.scores(number, lambda: self._training(context, own), context.shared)
            try:
                found = scores.of(genotype, int(trial.proposal.notes.get(PLACE, 0)), trial.seed, context)
            except (Diverged, Stopped) as error:
                failure: Failure = "diverged" if isinstance(error, Diverged) else "error"
                return Result(seconds=time.perf_counter() - start, failure=failure, message=str(error))
        seconds = time.perf_counter() - start
        metrics = {f"valid_{name}": value for name, value in found.items()}
        return Result({**metrics, **counts.known(), "seconds": seconds}, seconds=seconds)

    def check_settings(self, genotype: Genotype, *, budget: int | None = None, data_is_ready: bool = False) -> None:  # noqa: ARG002
        """Refuse, before anything is started, what would fail every trial of this genotype.

        Raises:
            InvalidGenotype: The genotype is no network.
            BadReference: The device is not there or lacks the precision, the genotype holds settings of the training,
                the batch or the text cannot be divided, or there are fewer validation examples than a score takes.
            MissingCapability: The network has no place for drop path, dropout or an auxiliary loss.
        """
        device.check_is_here(self.device)
        own, steps = self.device_of(0), self._program.steps
        device.check_has(own, steps.precision_on(own))
        self.space.check(genotype)
        if found := settings.values(self.space, genotype):
            raise BadReference(
                f"the space draws the setting {min(found)!r} for each network, but networks that share their weights "
                "have one training; leave --space.with out"
            )
        plan = shared_by(self.space).shared_plan(genotype, self.task.io)
        step_settings.check_places(steps, plan)
        if self._program.paths > 1 and any(layer.op.carries for layer in plan):
            raise BadReference(
                f"evaluator.paths is {self._program.paths}, but networks that carry a state from batch to batch take "
                "whole batches; set it to 1"
            )
        if data_is_ready:
            scoring.check(self._program, self.task)
            is_text = isinstance(self.task, StreamsBatches)
            parallel.check_divides(
                steps.batch,
                1,
                self._program.paths,
                examples=None if is_text else self.task.examples("train"),
                needs_two=step_settings.needs_two(steps, plan),
                called=plural(self.task.io.input),
            )

    def foretell(self, genotype: Genotype) -> Mapping[str, float]:
        """What is counted of the network by itself."""
        return {name: float(count) for name, count in self.space.count(genotype, self.task.io).known().items()}

    def remarks(self) -> tuple[str, ...]:
        """What is trained, and where."""
        own, rounds = self.device_of(0), self.rounds
        training = RoundsTraining(self.space, self.task, self._program, 0, own)
        steps = training.steps(rounds.number)
        each = f"{rounds.pool:,} networks" if rounds.keeps == "best" else f"at first {rounds.pool:,} networks"
        told = (
            f"networks share their weights: {rounds.number} rounds of {each}, {steps:,} steps of shared training in all"
        )
        if few_shot := training.few_shot:
            told += f"; {few_shot.count} sets of weights by the gene {self.space.genes[few_shot.position].name}"
            told += f", after {training.joint_steps:,} steps of one for all" if training.joint_steps else ""
        if self._program.tuning_steps:
            told += f"; each network then takes {self._program.tuning_steps:,} steps alone before its score"
        return (told, *(stated.remarks(self._program.steps, own, self.device)))

    def memory_mb(self, genotype: Genotype) -> float:
        """Estimated memory of the worker, in 10**6 bytes: weights, what goes with them, and a step of this network.

        Raises:
            InvalidGenotype: The genotype is no network.
        """
        plan = shared_by(self.space).shared_plan(genotype, self.task.io)
        program, shapes = self._program, supernet.shapes(shared_by(self.space), self.task.io)
        weights = 4 * program.supernets * sum(math.prod(shape) for shape in shapes.values())
        part = counting.training_bytes(plan, program.steps.batch // program.paths, 0)
        needed = program.steps.copies * weights + part
        if program.tuning_steps:
            alone = counting.training_bytes(plan, program.steps.batch, program.steps.copies)
            needed = max(needed, weights + alone + tuning.batches_bytes(program, self.task.io.input))
        return memory.PROCESS_MB + needed / 1e6

    def device_of(self, index: int) -> torch.device:
        """What worker `index` of this machine works on."""
        return device.pick(self.device, index)

    def _training(self, context: Context, own: torch.device) -> RoundsTraining:
        """The shared training of a run, whose seed is that of its first row."""
        return RoundsTraining(
            self.space,
            self.task,
            self._program,
            context.members(1)[0].seed,
            own,
            self.channels_last,
            self.batches_by,
            self.checkpoint_minutes,
        )


def _round_of(trial: Trial) -> int:
    """The round of a trial. Raises NetwrightError for one of none."""
    if trial.proposal.budget is None:
        raise NetwrightError(
            f"trial {trial.id} is of no round, and networks that share weights are scored in rounds; search with the "
            "evaluator shared_weights, and train networks by themselves with the evaluator training"
        )
    return trial.proposal.budget


@contextmanager
def _told(own: torch.device) -> Iterator[None]:
    """Say what an error of torch means for the device. Raises DeviceLost, or NetwrightError for what fails a row."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        fault = faults.of(error, own, held_round.REMEDY)
        if fault is None:
            raise
        raise (DeviceLost if fault.is_lost else NetwrightError)(fault.message) from error


plugin = SharedWeightsTraining
