"""Trains a trial's network from scratch and measures it: the fitness of Liu et al. 2018, and of most of the field."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core import files, seeds
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.protocols import ClassifiesImages, Context, SearchSpace, Split, Task, of_seed, unwrap
from netwright.core.records import Failure, Genotype, Result, Trial
from netwright.layers import counting
from netwright.layers.plan import HasPlan
from netwright.training import checkpoint, loop, memory, outcome, schedules
from netwright.training.loop import Progress, Trained
from netwright.training.outcome import Recorder

CHECKPOINT = "checkpoint.safetensors"
DEFAULT_STEPS = 100
TELL_EVERY = 5.0  # seconds between signs of life within a pass, which may take hours


@dataclass
class _State:
    """Where an evaluation stands.

    Args:
        path: Of its checkpoint; None: there is none.
        seed: Of the trial, so that a checkpoint is known to be its own.
        progress: Of the training under way.
        done: Metrics and course of those before it.
        curve: So far.
        seconds: Wall clock of earlier workers.
        carried: Steps that each training so far took over from the trial that this one continues.
    """

    path: Path | None
    seed: int
    progress: Progress = Progress()
    done: list[tuple[dict[str, float], Trained]] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    carried: list[int] = field(default_factory=list)

    def write(self, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, seconds: float) -> None:
        """Write the checkpoint; where it cannot be written, the training goes on and the last one stays valid."""
        facts = {
            "seed": self.seed,
            "progress": asdict(progress),
            "done": [(found, astuple(trained)) for found, trained in self.done],
            "curve": self.curve,
            "seconds": self.seconds + seconds,
            "carried": self.carried,
        }
        assert self.path is not None
        _write(self.path, network, optimizer, progress, facts)


@dataclass(frozen=True)
class Training:
    """SGD with momentum on one device.

    Args:
        space: Builds and counts the networks.
        task: Data, loss and metrics.
        epochs: Passes over the training images, where a proposal names no budget.
        steps: Optimizer steps instead; give one of the two, or neither: 100 steps, whatever the size of the data.
        batch: Images per step.
        lr: Initial learning rate.
        schedule: "cosine" down to 0, or "step": times `factor` at each of `milestones`, fractions of the training.
        momentum: Of SGD.
        weight_decay: L2, on all parameters.
        repeats: Trainings from different seeds whose metrics are averaged.
        split: Where to measure; before "test", training and validation images are both trained on.
        curve_every: Measure also after every so many epochs, for the trial's curve; 0: at the end only.
        device: "auto": the worker's own GPU, else the CPU.
        channels_last: Memory format of images and weights.
        checkpoint_minutes: How often to write down where a training stands, so that a killed one goes on from that very
            step; 0: never.
        save: Leave the first network's weights in the trial's folder, and, of classified images, what became of each.
        horizon: Largest budget that proposals name, in their unit: the schedule of every trial with a budget spans it,
            and one that stops before leaves its state in its folder. A trial that continues it (a promotion) then ends
            with the weights of one uninterrupted training, if the run keeps the folders (`keep = "all"`). None: each
            training has a schedule of its own length, and a promotion trains anew.
    """

    space: SearchSpace
    task: Task
    epochs: int | None = None
    steps: int | None = None
    batch: int = 64
    lr: float = 0.1
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: tuple[float, ...] = (0.8, 0.9)
    factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 3e-4
    repeats: int = 1
    split: Literal["valid", "test"] = "valid"
    curve_every: int = 0
    device: str = "auto"
    channels_last: bool = True
    checkpoint_minutes: float = 0.0
    save: bool = False
    horizon: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise BadReference("evaluator.epochs and evaluator.steps are both given; give one of them")
        for name in ("epochs", "steps", "batch", "repeats", "lr", "horizon"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadReference(f"evaluator.{name} is {value}; it must be greater than 0")
        for name in ("momentum", "weight_decay", "curve_every", "checkpoint_minutes"):
            if not getattr(self, name) >= 0:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be at least 0")
        if self.device != "auto":
            try:
                torch.device(self.device)
            except RuntimeError:
                raise BadReference(f"evaluator.device is {self.device!r}; give auto, cpu, cuda or cuda:0") from None

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Train `repeats` networks; metrics of the split, size, cost, speed and memory.

        Accuracies are fractions of 1, losses nats, seconds wall clock over all repeats, memory in 10**6 bytes.
        """
        start = time.perf_counter()
        device = self._device(context.worker_index)
        counts = of_seed(self.space, trial.seed).count(trial.proposal.genotype, self.task.io)
        memory.reset_peak(device)
        threads = torch.get_num_threads()
        torch.set_num_threads(context.threads)
        state = self._state(trial, context)
        try:
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
                while len(state.done) < self.repeats:
                    state.done.append(self._run(trial, context, device, state))
                    state.progress = Progress()
        except (loop.Diverged, loop.Stopped) as error:
            failure: Failure = "diverged" if isinstance(error, loop.Diverged) else "error"
            seconds = time.perf_counter() - start
            return Result(curve=tuple(state.curve), seconds=seconds, failure=failure, message=str(error))
        finally:
            torch.set_num_threads(threads)
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
        continued, message = trial.proposal.continues, ""
        if continued is not None:
            metrics["carried_steps"] = min(state.carried)
            if not metrics["carried_steps"]:
                message = (
                    f"trained anew: trial {continued} left no checkpoint; for promotions to go on from one, give "
                    'evaluator.horizon the largest budget and the run keep = "all"'
                )
        return Result(metrics, tuple(state.curve), seconds, message=message)

    def memory_mb(self, genotype: Genotype) -> float | None:
        """About what one evaluation takes, in 10**6 bytes: the process, the network and one batch's activations.

        None: the space has no layer plans to count.
        """
        space = unwrap(self.space, HasPlan)
        if space is None:
            return None
        return memory.PROCESS_MB + counting.training_bytes(space.plan(genotype, self.task.io), self.batch) / 1e6

    def _run(
        self, trial: Trial, context: Context, device: torch.device, state: _State
    ) -> tuple[dict[str, float], Trained]:
        """The next training: metrics of the split, and how it went. Points of the first go into the curve."""
        repeat, start = len(state.done), time.monotonic()
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        rng = seeds.rng_for(trial.seed, seeds.BUILD, attempt=repeat)
        network: nn.Module = of_seed(self.space, trial.seed).build(trial.proposal.genotype, self.task.io, rng)
        network = network.to(device, memory_format=layout)
        optimizer = torch.optim.SGD(
            network.parameters(), self.lr, momentum=self.momentum, weight_decay=self.weight_decay, fused=True
        )
        split: Split = "train" if self.split == "valid" else "train+valid"
        per_epoch = max(1, self.task.examples(split) // self.batch)
        steps, span = self._lengths(trial.proposal.budget, per_epoch)
        if state.progress.step and state.path:
            checkpoint.restore(state.path, network, optimizer)
        else:
            _carry(trial, context, state, network, optimizer, steps)
        due, told, looked = start + 60 * self.checkpoint_minutes, start, 0

        def on_look(step: int, train_loss: float) -> bool:
            nonlocal told, looked
            looked = step
            if time.monotonic() - told < TELL_EVERY:
                return True
            told = time.monotonic()
            return context.report(repeat * steps + step, {"train_loss": train_loss})

        def on_epoch(step: int, train_loss: float) -> bool:
            epoch = step // per_epoch
            if repeat == 0 and self.curve_every and epoch % self.curve_every == 0 and step < steps:
                found = loop.measure(network, self.task, self.split, layout)
                state.curve.append((step, next(iter(found.values()))))
                network.train()
            return context.report(repeat * steps + step, {"train_loss": train_loss})

        def is_due() -> bool:
            return state.path is not None and time.monotonic() >= due

        def save(progress: Progress) -> None:
            nonlocal due
            if progress.step == steps < span:
                facts = {"seed": trial.seed, "key": trial.key, "progress": asdict(progress), "curve": state.curve}
                _write(context.folder / checkpoint.end_of(repeat), network, optimizer, progress, facts)
            if not is_due():
                return
            due = time.monotonic() + 60 * self.checkpoint_minutes
            state.write(network, optimizer, progress, time.monotonic() - start)
            context.report(repeat * steps + progress.step, {})

        trained = loop.train(
            network,
            self.task,
            optimizer,
            split=split,
            steps=steps,
            batch=self.batch,
            factor=self._factor(span),
            rng_of_epoch=lambda epoch: seeds.rng_for(trial.seed, seeds.TRAIN, epoch, repeat),
            on_epoch=on_epoch,
            memory_format=layout,
            on_look=on_look,
            start=state.progress,
            is_due=lambda: looked == steps < span or is_due(),
            save=save,
        )
        recorder = Recorder()
        is_kept = self.save and repeat == 0
        is_watched = is_kept and isinstance(self.task, ClassifiesImages)
        watch = recorder.add if is_watched else _ignore
        found = loop.measure(network, self.task, self.split, layout, watch)
        if is_kept:
            checkpoint.write_weights(context.folder / checkpoint.WEIGHTS, network)
        if is_watched and isinstance(self.task, ClassifiesImages):
            data = outcome.to_bytes(recorder.outcome(self.task, self.split))
            files.write(context.folder / outcome.OUTCOME, data)
        found = {f"{self.split}_{name}": value for name, value in found.items()}
        if repeat == 0:
            state.curve.append((steps, next(iter(found.values()))))
        return found, trained

    def _state(self, trial: Trial, context: Context) -> _State:
        """Where the trial stands: at the beginning, or where a worker that is gone has left it."""
        if not self.checkpoint_minutes:
            return _State(None, trial.seed)
        path = context.folder / CHECKPOINT
        facts = checkpoint.read_facts(path)
        if facts is None or facts["seed"] != trial.seed:
            return _State(path, trial.seed)
        done = [(found, Trained(*trained)) for found, trained in facts["done"]]
        curve = [(step, value) for step, value in facts["curve"]]
        progress = Progress(**facts["progress"])
        return _State(path, trial.seed, progress, done, curve, facts["seconds"], facts.get("carried", []))

    def _lengths(self, budget: int | None, per_epoch: int) -> tuple[int, int]:
        """Steps to train, and steps that the schedule spans."""
        if budget is not None and budget < 1:
            raise ValueError(f"the proposal's budget is {budget}; it must be at least 1")
        unit = per_epoch if self.steps is None else 1
        if budget is None:
            steps = self.steps or (self.epochs * per_epoch if self.epochs else DEFAULT_STEPS)
            return steps, steps
        if self.horizon is None:
            return budget * unit, budget * unit
        if budget > self.horizon:
            raise NetwrightError(
                f"the proposal's budget is {budget}, beyond evaluator.horizon, {self.horizon}; "
                "give horizon the largest budget of the strategy"
            )
        return budget * unit, self.horizon * unit

    def _factor(self, steps: int) -> partial[float]:
        if self.schedule == "cosine":
            return partial(schedules.cosine, steps=steps)
        return partial(schedules.stepwise, steps=steps, milestones=self.milestones, factor=self.factor)

    def _device(self, worker_index: int) -> torch.device:
        if self.device != "auto":
            return torch.device(self.device)
        if torch.cuda.is_available():
            return torch.device("cuda", worker_index % torch.cuda.device_count())
        return torch.device("cpu")


def _write(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, facts: dict[str, Any]
) -> None:
    """Write a checkpoint; where it cannot be written, the training goes on."""
    try:
        checkpoint.write(path, network, optimizer, facts)
    except OSError as error:
        print(f"no checkpoint at step {progress.step}: {error}", file=sys.stderr, flush=True)


def _carry(
    trial: Trial, context: Context, state: _State, network: nn.Module, optimizer: torch.optim.Optimizer, steps: int
) -> None:
    """Take over where the trial that this one continues stopped; nothing where it left nothing.

    Raises NetwrightError: a state of another network, or one that has been trained for longer.
    """
    repeat, continued = len(state.done), trial.proposal.continues
    if continued is None:
        return
    folder = context.checkpoint_of(continued)
    path = folder / checkpoint.end_of(repeat) if folder else None
    facts = checkpoint.read_facts(path) if path else None
    state.carried = [*state.carried[:repeat], 0]
    if path is None or facts is None:
        return
    other = NetwrightError(
        f"the checkpoint of trial {continued} is of another network than trial {trial.id}, which continues it; "
        "a promotion must have the same genotype and seed, and the space the same settings"
    )
    if (facts["seed"], facts["key"]) != (trial.seed, trial.key):
        raise other
    progress = Progress(**facts["progress"])
    if progress.step >= steps:
        raise NetwrightError(
            f"trial {trial.id} continues trial {continued} up to step {steps}, but that one stopped at "
            f"{progress.step}; a promotion must have a larger budget"
        )
    try:
        checkpoint.restore(path, network, optimizer)
    except (RuntimeError, IndexError):
        raise other from None
    state.progress, state.carried[repeat] = progress, progress.step
    if repeat == 0:
        state.curve = [(step, value) for step, value in facts["curve"]]


def _ignore(_outputs: Tensor, _targets: Tensor) -> None:
    """Nobody watches."""


plugin = Training
