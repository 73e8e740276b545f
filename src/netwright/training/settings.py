"""The settings of an optimizer step: everything that decides what it does, as numbers and names.

Published trainings differ in these alone, so they stand in one place; `descent` carries them out. The names are options
of the evaluator, as in `--evaluator.optimizer rmsprop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from netwright.core.errors import BadReference, MissingCapability
from netwright.core.places import PLACES
from netwright.core.settings import Setting
from netwright.plans.plan import Plan, is_auxiliary
from netwright.plans.regularization import DROPOUTS, Regularization
from netwright.training import averages, device, schedules
from netwright.training.epochs import Epochs
from netwright.training.muon import Muon
from netwright.training.rmsprop import RMSProp

Precision = Literal["float32", "bfloat16", "float16"]
Optimizer = Literal["sgd", "rmsprop", "muon"]
Schedule = Literal["cosine", "step", "exponential", "constant", "restarts"]
BATCHES = (32, 64, 128)  # that a search may choose from
_POSITIVE = ("batch", "lr", "epsilon", "factor", "every", "accumulate", "mixing_alpha")
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
    "averaging",
    "cooldown",
    "mixing",
    "non_monotone",
    "activation_penalty",
    "temporal_penalty",
)
_BELOW_1 = ("momentum", "decay", "label_smoothing", "ema", "floor", "cooldown", *DROPOUTS)


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """Settings of a step. The defaults are plain SGD with momentum and a cosine schedule; everything else is off.

    Args:
        batch: Examples per optimizer step, over all processes and accumulated parts.
        optimizer: "sgd"; "rmsprop" in TensorFlow's form, see `training.rmsprop`; or "muon", which turns kernels of
            convolutions by orthogonal matrices, and takes Nesterov's momentum for the rest, see `training.muon`.
        lr: Initial learning rate.
        momentum: Momentum, in [0, 1); Muon has its own for kernels.
        nesterov: Whether SGD's momentum is Nesterov's, in the form of Sutskever et al. 2013.
        weight_decay: Factor of the L2 penalty; kernels that Muon turns keep their norm instead.
        decay_on: What it acts on: "all" parameters; "weights": those of convolutions and linear layers, and neither
            biases nor the scales and shifts of normalizations (He et al. 2019, section 3.1).
        decay: Decay of RMSProp's mean of squared gradients, in [0, 1).
        epsilon: Number that RMSProp adds to that mean, within the root.
        schedule: "cosine" down to 0; "step": times `factor` at each of `milestones`, fractions of the training;
            "exponential": times `factor` every `every` epochs; "constant": it stays until the cooldown; "restarts":
            cosines that fall to `floor`, one after another, of which the first takes `period` epochs (Loshchilov and
            Hutter 2017).
        cooldown: Share of the training, at its end, over which "constant" falls to 0 in a straight line, in [0, 1).
            With a `horizon`, trainings of smaller budgets end before it.
        period: Epochs in which "cosine" falls to 0, at least those of the training, or the first of the "restarts"
            falls; 0: as long as the training.
        growth: How many times as long as the one before each cosine of the "restarts" is, at least 1.
        milestones: Shares of the training after which "step" lowers the rate, ascending, in (0, 1).
        factor: Factor on the rate each time that "step" or "exponential" lowers it, at most 1.
        every: Epochs after which "exponential" lowers the rate, again and again.
        floor: Lowest learning rate, as a share of the initial one.
        warmup: Epochs in which the rate rises in a straight line instead; the schedule counts them too.
        clip: Largest norm of all gradients together; larger ones are scaled down to it; 0: no limit.
        clip_penalty: Whether the gradients that are clipped hold that of the L2 penalty, as in programs whose loss
            holds the penalty; else it is added to what clipping leaves of them, as torch's optimizers do.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        auxiliary: Weight of the loss of the network's auxiliary head; 0: it is not run.
        drop_path_keep: Probability that an example keeps a branch, where it is lowest; 1: all branches are kept.
        drop_path_version: How that probability falls from 1: linearly in time ("v1"), in depth ("v2"), in both ("v3").
        dropout: Share of the last features that is dropped, in [0, 1).
        dropout_embedding: Share of the features of looked-up words that is dropped, at all steps alike, in [0, 1).
        dropout_input: The same of what goes into a recurrent layer.
        dropout_hidden: The same of the states within a recurrent layer, where they enter products.
        dropout_output: The same of what comes out of a recurrent layer.
        dropout_words: Share of the vocabulary whose vectors are dropped, for all sequences of a batch, in [0, 1).
        activation_penalty: Weight in the loss of the mean square of what recurrent layers give, after dropout.
        temporal_penalty: The same of the differences of consecutive outputs, before dropout.
        rate_by_length: Whether the rate of a step is scaled by its batch's steps, as a share of the task's. The last
            batch of a pass, which the end of the text cuts, counts by the steps that are left of it: so each token
            weighs the same. The published program counts the steps that were drawn before the text ended.
        ema: Decay of a running average of the weights, which is what is measured and saved; 0: none.
        averaging: Share of the steps so far over which the weights are averaged instead, at most 1; see
            `averages.polynomial`; in a cooldown, share of its steps so far; 0: none.
        non_monotone: Passes over the data without progress after which weights are averaged: once the validation value
            of a pass is worse than the best of all passes but so many before it, the mean of all weights from there on
            is what is measured and saved (NT-ASGD of Merity et al. 2018, who have 5); 0: never.
        mixing: Probability that the examples of a batch are mixed in pairs, and their targets with them, at most 1; see
            `training.mixing`; 0: none ever is.
        mixing_alpha: Parameter of the Beta distribution from which the share of the one in the other is drawn.
        precision: Number format of the forward pass where torch holds it safe; weights and measurements stay "float32".
            "auto": "float32", but "bfloat16" on GPUs that have it (compute capability 8.0).
        deterministic: Whether a training gives the same bits each time on a GPU too, which takes longer: by algorithms
            that do, and without TF32, with which GPUs otherwise compute what is "float32". On the CPU it always does.
        accumulate: Number of parts in which a batch is worked through, to save memory. Their gradients add up; batch
            normalization sees one part at a time.

    Raises:
        BadReference: A value is out of range.
    """

    batch: int = 64
    optimizer: Optimizer = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 3e-4
    decay_on: Literal["all", "weights"] = "all"
    decay: float = 0.9
    epsilon: float = 0.1
    schedule: Schedule = "cosine"
    cooldown: float = 0.0
    period: float = 0.0
    growth: float = 2.0
    milestones: tuple[float, ...] = (0.8, 0.9)
    factor: float = 0.1
    every: float = 2.0
    floor: float = 0.0
    warmup: float = 0.0
    clip: float = 0.0
    clip_penalty: bool = False
    label_smoothing: float = 0.0
    auxiliary: float = 0.0
    drop_path_keep: float = 1.0
    drop_path_version: Literal["v1", "v2", "v3"] = "v3"
    dropout: float = 0.0
    dropout_embedding: float = 0.0
    dropout_input: float = 0.0
    dropout_hidden: float = 0.0
    dropout_output: float = 0.0
    dropout_words: float = 0.0
    activation_penalty: float = 0.0
    temporal_penalty: float = 0.0
    rate_by_length: bool = False
    ema: float = 0.0
    averaging: float = 0.0
    non_monotone: int = 0
    mixing: float = 0.0
    mixing_alpha: float = 1.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    deterministic: bool = False
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be greater than 0, and finite")
        for name in (*_AT_LEAST_0, *DROPOUTS):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be at least 0, and finite")
        for name in _BELOW_1:
            if not getattr(self, name) < 1:
                raise BadReference(f"evaluator.{name} is {getattr(self, name)}; it must be below 1")
        if not 0 < self.drop_path_keep <= 1:
            raise BadReference(f"evaluator.drop_path_keep is {self.drop_path_keep}; it must be above 0, at most 1")
        if self.mixing > 1:
            raise BadReference(f"evaluator.mixing is {self.mixing}; it is a probability, so at most 1")
        if self.averaging > 1:
            raise BadReference(f"evaluator.averaging is {self.averaging}; it is a share of the steps, so at most 1")
        averaging = [name for name in ("ema", "averaging", "non_monotone") if getattr(self, name)]
        if len(averaging) > 1:
            raise BadReference(
                f"evaluator.{averaging[0]} and evaluator.{averaging[1]} both average the weights; set one of them to 0"
            )
        if self.cooldown and self.schedule != "constant":
            raise BadReference(
                f"evaluator.cooldown is {self.cooldown}, but the schedule is {self.schedule!r}, which falls by itself; "
                'give evaluator.schedule "constant", or leave cooldown out'
            )
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise BadReference(
                "evaluator.nesterov is true, which is for the optimizer sgd with a momentum above 0; leave it out"
            )
        if self.clip_penalty and not self.clip:
            raise BadReference(
                "evaluator.clip_penalty is true, but evaluator.clip is 0, so that nothing is clipped; give a clip, or "
                "leave it out"
            )
        if not 1 <= self.growth < math.inf:
            raise BadReference(f"evaluator.growth is {self.growth}; it must be at least 1, and finite")
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
        shares = {name: getattr(self, name) for name in DROPOUTS}
        if self.drop_path_keep == 1 and not any(shares.values()):
            return None
        return Regularization(self.drop_path_keep, self.drop_path_version, **shares)

    def precision_on(self, place: torch.device) -> Precision:
        """The precision of the forward pass on a device."""
        if self.precision != "auto":
            return self.precision
        return "bfloat16" if place.type == "cuda" and device.has(place, "bfloat16") else "float32"

    @property
    def copies(self) -> int:
        """How many times the size of the weights training holds: weights, gradients, momenta, averages."""
        states = {"rmsprop": 2, "muon": 1}.get(self.optimizer, int(self.momentum > 0))
        return 2 + states + (self.average is not None)

    @property
    def average(self) -> Callable[[int], float] | None:
        """What a running average of the weights keeps at an update, see `Averages`; None: there is none."""
        if self.non_monotone:
            return averages.plain
        if self.averaging:
            return averages.polynomial(self.averaging)
        return averages.exponential(self.ema) if self.ema else None


def tunable(settings: StepSettings, parts: int = 1) -> dict[str, Setting]:
    """The settings that can be searched, with usual ranges, widened where a value now lies outside.

    Args:
        settings: The settings as they are; their values are the defaults.
        parts: Number of parts into which every batch must be divisible.
    """
    batches = tuple(sorted({each for each in BATCHES if each % parts == 0} | {settings.batch}))
    found = [
        _widened("lr", settings.lr, 0.003, 0.3, log=True),
        _widened("weight_decay", settings.weight_decay, 1e-5, 1e-2, log=True),
        _widened("momentum", settings.momentum, 0.5, 0.98),
        _widened("label_smoothing", settings.label_smoothing, 0.0, 0.2),
        _widened("mixing", settings.mixing, 0.0, 1.0),
    ]
    if not settings.ema and not settings.non_monotone:
        found.append(_widened("averaging", settings.averaging, 0.0, 0.5))
    if len(batches) > 1:
        found.append(Setting("batch", settings.batch, batches))
    return {setting.name: setting for setting in found}


def _widened(name: str, value: float, low: float, high: float, *, log: bool = False) -> Setting:
    """A range with the value as its default; in a logarithmic range, its lowest value stands in for 0."""
    default = low if log and value <= 0 else value
    return Setting(name, default, low=min(low, default), high=max(high, default), log=log)


def check_places(settings: StepSettings, plan: Plan) -> None:
    """Raise MissingCapability for what the settings do in places that a network does not have."""
    found = {layer.op.setting for layer in plan} | {"auxiliary" for layer in plan if is_auxiliary(layer)}
    if any(layer.op.carries for layer in plan):
        found |= {"activation_penalty", "temporal_penalty"}
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
    """The optimizer of the settings, over the network's parameters, at the initial learning rate.

    It adds the gradient of the L2 penalty, unless this is clipped: then whoever clips adds it first.
    """
    momentum, weight_decay = settings.momentum, 0.0 if settings.clip_penalty else settings.weight_decay
    if settings.optimizer == "rmsprop":
        options = {"decay": settings.decay, "epsilon": settings.epsilon, "momentum": momentum}
        return RMSProp(_groups(settings, network), settings.lr, weight_decay=weight_decay, **options)
    if settings.optimizer == "muon":
        groups = [*_groups(settings, network), {"params": _turned(settings, network), "turned": True}]
        return Muon(groups, settings.lr, momentum=momentum, weight_decay=weight_decay)
    made = torch.optim.SGD(
        _groups(settings, network),
        settings.lr,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=settings.nesterov,
        fused=True,
    )
    begin(settings, network, made)
    return made


def begin(settings: StepSettings, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Make momenta of an optimizer without a state, where they must be there before the first step.

    torch leaves those of SGD undefined where the scale of float16 makes it skip that step.
    """
    first = next(network.parameters(), None)
    is_scaled = first is not None and settings.precision_on(first.device) == "float16"
    if is_scaled and settings.momentum and isinstance(optimizer, torch.optim.SGD):
        for parameter in network.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _groups(settings: StepSettings, network: nn.Module) -> list[dict[str, Any]]:
    """The network's parameters but what Muon turns; those without weight decay, lists of numbers, have their group."""
    if settings.decay_on == "all":
        return [{"params": penalized(settings, network)}]
    others = [each for each in network.parameters() if each.dim() <= 1]
    return [{"params": penalized(settings, network)}, {"params": others, "weight_decay": 0.0}]


def penalized(settings: StepSettings, network: nn.Module) -> list[nn.Parameter]:
    """The parameters that the L2 penalty acts on."""
    turned = set(map(id, _turned(settings, network)))
    decays = [each for each in network.parameters() if settings.decay_on == "all" or each.dim() > 1]
    return [each for each in decays if id(each) not in turned]


def _turned(settings: StepSettings, network: nn.Module) -> list[nn.Parameter]:
    """The kernels that Muon turns: of convolutions that join all their channels, and so are one matrix each."""
    if settings.optimizer != "muon":
        return []
    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.groups == 1]
    kernels = {id(layer.weight) for layer in layers}
    # not those that are computed from others before each pass, as by weight normalization
    return [each for each in network.parameters() if id(each) in kernels]


def rate_factor(settings: StepSettings, step: int, steps: int, epochs: Epochs) -> float:
    """The factor on the initial learning rate at `step` of `steps`, which `epochs` divides into passes."""
    warmup = epochs.through(settings.warmup)
    if step < warmup:
        return schedules.warm_up(step, warmup)
    if settings.schedule == "cosine":
        factor = schedules.cosine(step, max(steps, round(epochs.through(settings.period))))
    elif settings.schedule == "restarts":
        factor = schedules.restarting(step, *_cycle(settings, step, steps, epochs), settings.floor)
    elif settings.schedule == "constant":
        factor = schedules.constant(step, steps, settings.cooldown)
    elif settings.schedule == "step":
        factor = schedules.stepwise(step, steps, settings.milestones, settings.factor)
    else:
        factor = schedules.exponential(epochs.whole(step, settings.every), 1, settings.factor)
    return max(factor, settings.floor)


def _cycle(settings: StepSettings, step: int, steps: int, epochs: Epochs) -> tuple[float, float]:
    """The steps at which the cosine that a step lies in begins, and ends."""
    if not settings.period:
        return 0, steps
    begin, length = 0.0, settings.period  # in epochs
    while epochs.through(begin + length) <= step:
        begin, length = begin + length, length * settings.growth
    return epochs.through(begin), epochs.through(begin + length)
