"""Trains a trial's network from scratch and measures it: the fitness of Liu et al. 2018, and of most of the field."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.protocols import Context, SearchSpace, Split, Task
from netwright.core.records import Failure, Result, Trial
from netwright.training import loop, memory, schedules
from netwright.training.loop import Trained


@dataclass(frozen=True)
class Training:
    """SGD with momentum on one device.

    Args:
        space: Builds and counts the networks.
        task: Data, loss and metrics.
        epochs: Passes over the training images, where a proposal names no budget; None: `steps` counts.
        steps: Optimizer steps instead; give one of the two.
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
    """

    space: SearchSpace
    task: Task
    epochs: int | None = None
    steps: int | None = None
    batch: int = 128
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

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise BadReference("evaluator.epochs and evaluator.steps are both given; give one of them")
        for name in ("epochs", "steps", "batch", "repeats", "lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadReference(f"evaluator.{name} is {value}; it must be greater than 0")
        for name in ("momentum", "weight_decay", "curve_every"):
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
        counts = self.space.count(trial.proposal.genotype, self.task.io)
        memory.reset_peak(device)
        threads = torch.get_num_threads()
        torch.set_num_threads(context.threads)
        curve: list[tuple[int, float]] = []
        try:
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
                runs = [self._run(trial, context, repeat, device, curve) for repeat in range(self.repeats)]
        except (loop.Diverged, loop.Stopped) as error:
            failure: Failure = "diverged" if isinstance(error, loop.Diverged) else "error"
            seconds = time.perf_counter() - start
            return Result(curve=tuple(curve), seconds=seconds, failure=failure, message=str(error))
        finally:
            torch.set_num_threads(threads)
        seconds = time.perf_counter() - start
        measured = [found for found, _ in runs]
        metrics = {name: float(np.mean([found[name] for found in measured])) for name in measured[0]}
        if self.repeats > 1:
            metrics |= {f"{name}_sd": float(np.std([m[name] for m in measured], ddof=1)) for name in measured[0]}
        metrics |= {
            "train_loss": float(np.mean([trained.train_loss for _, trained in runs])),
            "params": counts.params,
            "multiply_adds": counts.multiply_adds,
            "seconds": seconds,
            "images_per_second": sum(t.images for _, t in runs) / sum(t.seconds for _, t in runs),
            "peak_memory_mb": memory.peak_mb(device),
        }
        return Result(metrics, tuple(curve), seconds)

    def _run(
        self,
        trial: Trial,
        context: Context,
        repeat: int,
        device: torch.device,
        curve: list[tuple[int, float]],
    ) -> tuple[dict[str, float], Trained]:
        """One training: metrics of the split, and how it went. The first one's points go into `curve`."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        rng = seeds.rng_for(trial.seed, seeds.BUILD, attempt=repeat)
        network: nn.Module = self.space.build(trial.proposal.genotype, self.task.io, rng)
        network = network.to(device, memory_format=layout)
        split: Split = "train" if self.split == "valid" else "train+valid"
        per_epoch = max(1, self.task.examples(split) // self.batch)
        steps = self._steps(trial.proposal.budget, per_epoch)

        def on_epoch(step: int, train_loss: float) -> bool:
            epoch = step // per_epoch
            if repeat == 0 and self.curve_every and epoch % self.curve_every == 0 and step < steps:
                found = loop.measure(network, self.task, self.split, layout)
                curve.append((step, next(iter(found.values()))))
                network.train()
            return context.report(repeat * steps + step, {"train_loss": train_loss})

        trained = loop.train(
            network,
            self.task,
            torch.optim.SGD(
                network.parameters(),
                self.lr,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                fused=True,
            ),
            split=split,
            steps=steps,
            batch=self.batch,
            factor=self._factor(steps),
            rng_of_epoch=lambda epoch: seeds.rng_for(trial.seed, seeds.TRAIN, epoch, repeat),
            on_epoch=on_epoch,
            memory_format=layout,
        )
        found = {f"{self.split}_{k}": v for k, v in loop.measure(network, self.task, self.split, layout).items()}
        if repeat == 0:
            curve.append((steps, next(iter(found.values()))))
        return found, trained

    def _steps(self, budget: int | None, per_epoch: int) -> int:
        if budget is not None and budget < 1:
            raise ValueError(f"the proposal's budget is {budget}; it must be at least 1")
        if self.steps is not None:
            return budget or self.steps
        return (budget or self.epochs or 10) * per_epoch

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


plugin = Training
