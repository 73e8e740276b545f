"""The settings of an optimizer step: everything that decides what one does, as numbers and names.

Published trainings differ in these alone, so they stand in one place; `descent` carries them out. The names are options
of the evaluator, as in `--evaluator.optimizer rmsprop`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from netwright.core.errors import BadReference, MissingCapability
from netwright.core.places import PLACES
from netwright.plans.plan import Plan, is_auxiliary
from netwright.plans.regularization import Regularization
from netwright.training import schedules
from netwright.training.rmsprop import RMSProp

_POSITIVE = ("batch", "lr", "epsilon", "factor", "every", "accumulate")
_AT_LEAST_0 = (
    "momentum",
    "weight_decay",
    "decay",
    "floor",
    "period",
    "warmup",
    "clip",
    "label_smoothing",
    "auxiliary",
    "ema",
)
_BELOW_1 = ("momentum", "decay", "label_smoothing", "ema", "dropout", "floor")


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """How to train. The defaults are plain SGD with momentum and a cosine; everything else is off.

    Args:
        batch: Examples per optimizer step, over all processes and accumulated parts.
        optimizer: "sgd", or "rmsprop" in TensorFlow's form; see `training.rmsprop`.
        lr: Initial learning rate.
        momentum: Of either optimizer.
        weight_decay: L2, on all parameters.
        decay: RMSProp: of the mean of squared gradients.
        epsilon: RMSProp: added to that mean, within the root.
        schedule: "cosine" down to 0; "step": times `factor` at each of `milestones`, fractions of the training;
            "exponential": times `factor` every `every` epochs.
        period: For "cosine": epochs in which it falls to 0, at least those of the training; 0: as long as the training.
        milestones: For "step".
        factor: For "step" and "exponential".
        every: For "exponential", in epochs.
        floor: The rate never falls below this share of the initial one.
        warmup: So many epochs the rate rises in a straight line instead; the schedule counts them all the same.
        clip: Largest norm of all gradients together; larger ones are scaled down to it; 0: no limit.
        label_smoothing: Share of the target that is spread over all classes.
        auxiliary: Weight of the loss of the network's auxiliary head; 0: it is not run.
        drop_path_keep: Probability that a sample keeps a branch, where it is lowest; 1: all branches are kept.
        drop_path_version: It falls from 1 "v1": linearly in time, "v2": linearly in depth, "v3": in both.
        dropout: Share of the last features that is dropped.
        ema: Decay of a running average of the weights, which is what is measured and saved; 0: none.
        precision: Of the forward pass where torch holds that safe; weights and measurements stay "float32".
        accumulate: The batch is worked through in so many parts, whose gradients add up, to save memory; batch
            normalization sees one part at a time.

    Raises:
        BadReference: A value out of range.
    """

    batch: int = 64
    optimizer: Literal["sgd", "rmsprop"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 3e-4
    decay: float = 0.9
    epsilon: float = 0.1
    schedule: Literal["cosine", "step", "exponential"] = "cosine"
    period: float = 0.0
    milestones: tuple[float, ...] = (0.8, 0.9)
    factor: float = 0.1
    every: float = 2.0
    floor: float = 0.0
    warmup: float = 0.0
    clip: float = 0.0
    label_smoothing: float = 0.0
    auxiliary: float = 0.0
    drop_path_keep: float = 1.0
    drop_path_version: Literal["v1", "v2", "v3"] = "v3"
    dropout: float = 0.0
    ema: float = 0.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be greater than 0, and finite")
        for name in (*_AT_LEAST_0, "dropout"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be at least 0, and finite")
        for name in _BELOW_1:
            if not getattr(self, name) < 1:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be below 1")
        if not 0 < self.drop_path_keep <= 1:
            raise BadReference(f"evaluator.drop_path_keep is {self.drop_path_keep}; it must be above 0, at most 1")
        if self.factor > 1:
            raise BadReference(f"evaluator.factor is {self.factor}; it must be at most 1: rates fall")
        if any(not 0 < milestone < 1 for milestone in self.milestones) or sorted(self.milestones) != [*self.milestones]:
            raise BadReference(
                f"evaluator.milestones is {list(self.milestones)}; they are shares of the training between 0 and 1 in "
                "order, as in [0.8, 0.9]"
            )

    @property
    def regularization(self) -> Regularization | None:
        """What the network does at random while it trains; None: nothing."""
        if self.drop_path_keep == 1 and not self.dropout:
            return None
        return Regularization(self.drop_path_keep, self.drop_path_version, self.dropout)

    @property
    def copies(self) -> int:
        """How often training holds something of the size of the weights: these, gradients, momenta, averages."""
        states = 2 if self.optimizer == "rmsprop" else int(self.momentum > 0)
        return 2 + states + (self.ema > 0)


def check_places(settings: StepSettings, plan: Plan) -> None:
    """Raise MissingCapability for what the settings do in places that a network does not have."""
    found = {layer.op.setting for layer in plan} | {"auxiliary" for layer in plan if is_auxiliary(layer)}
    for option, place in PLACES.items():
        value = getattr(settings, option)
        if value != place.off and option not in found:
            raise MissingCapability(
                f"evaluator.{option} is {value}, but networks of this space have no {place.name}; {place.remedy}"
            )


def needs_two(settings: StepSettings, plan: Plan) -> bool:
    """Whether a layer that training runs needs two examples, as one that normalizes maps of one pixel does."""
    return any(
        layer.op.needs_two(*[plan[source].shape for source in layer.inputs])
        for layer in plan
        if settings.auxiliary or not is_auxiliary(layer)
    )


def optimizer(settings: StepSettings, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the settings, over the network's parameters, at the initial learning rate."""
    momentum, weight_decay = settings.momentum, settings.weight_decay
    if settings.optimizer == "rmsprop":
        options = {"decay": settings.decay, "epsilon": settings.epsilon, "momentum": momentum}
        return RMSProp(network.parameters(), settings.lr, weight_decay=weight_decay, **options)
    return torch.optim.SGD(network.parameters(), settings.lr, momentum=momentum, weight_decay=weight_decay, fused=True)


def rate_factor(settings: StepSettings, step: int, steps: int, per_epoch: int) -> float:
    """The factor on the initial learning rate at `step` of `steps`, of which an epoch has `per_epoch`."""
    if step < settings.warmup * per_epoch:
        return schedules.warm_up(step, settings.warmup * per_epoch)
    if settings.schedule == "cosine":
        factor = schedules.cosine(step, max(steps, round(settings.period * per_epoch)))
    elif settings.schedule == "step":
        factor = schedules.stepwise(step, steps, settings.milestones, settings.factor)
    else:
        factor = schedules.exponential(step, settings.every * per_epoch, settings.factor)
    return max(factor, settings.floor)
