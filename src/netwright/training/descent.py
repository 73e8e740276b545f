"""One optimizer step according to its settings: the losses of a batch, their gradients, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast, runtime_checkable
from weakref import WeakMethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netwright.core import seeds
from netwright.core.errors import MissingCapability
from netwright.core.protocols import AdjustsLogits, CarriesState, KeepsActivations, TakesHalf, Task, WeighsExamples
from netwright.core.shapes import positions
from netwright.plans import torch_rng
from netwright.plans.regularization import Regularization
from netwright.training import carrying, host_side, mixing, penalties
from netwright.training import settings as step_settings
from netwright.training.averages import Averages
from netwright.training.best import BestWeights
from netwright.training.captured import CapturedStep, Graphs
from netwright.training.compiling import Compiled
from netwright.training.distillation import Teacher
from netwright.training.host_side import HostSide
from netwright.training.mixing import Masked, Mix
from netwright.training.parallel import ALONE, Team
from netwright.training.resizing import Resizing
from netwright.training.settings import StepSettings

Given = ParamSpec("Given")
Found = TypeVar("Found")


@runtime_checkable
class Regularizes(Protocol):
    """Capability of a network: drop path and dropout whose draws belong to places in the whole batch."""

    def draws(
        self, regularization: Regularization, progress: float, generator: torch.Generator, rows: slice, batch: int
    ) -> tuple[Tensor | None, ...]:
        """Draw what some examples of a batch lose in a step; see `plans.network.Network.draws`."""

    def regularize(self, factors: Sequence[Tensor | None]) -> None:
        """Let the next forward pass in training lose what was drawn, as tensors on the network's device."""


@runtime_checkable
class HasAuxiliary(Protocol):
    """Capability of a network: auxiliary heads, which exist for training only."""

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, shape (B, outputs), and those of each auxiliary head."""


class Received(NamedTuple):
    """All that a step has of its own; whatever else it reads stays where it is in memory.

    Args:
        inputs: Inputs of this process's part of the batch.
        targets: Their targets.
        dropped: What each part of the batch loses, as the network drew it; empty: nothing.
        mix: How examples are mixed; None: not at all.
        share: Share of the new weights in their average; a tensor has shape ().
    """

    inputs: Tensor
    targets: Tensor
    dropped: tuple[tuple[Tensor | None, ...], ...]
    mix: Mix | Masked | None
    share: float | Tensor


class Descent:
    """Takes the steps of one training, and owns what they change.

    Args:
        network: The network to train, on its device.
        task: The task, which gives the loss.
        optimizer: The optimizer of the network's parameters, at the initial learning rate.
        settings: Settings of a step: regularization, auxiliary loss, clipping, precision and averages.
        steps: Number of steps of the whole schedule, over which drop path grows.
        memory_format: Memory format of images on the device.
        seed: Seed of drop path, dropout and mixing, and of what a network of the user's own draws.
        team: The processes that train together; all of them make every call.
        teacher: What it learns from besides the labels; None: from nothing else.
        updates: Gives the number of earlier steps that the average of the weights holds, after a step.
        resizing: Which steps see smaller images; None: none does.
        graphs: What records steps, see `training.captured`; None: all are taken plainly.
        compile: Whether the network is compiled, where one process trains it; see `training.compiling`.

    Raises:
        MissingCapability: The settings have an auxiliary loss, drop path or dropout, for which the network has no
            place; or the network carries a state, and batches are to be divided.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        optimizer: torch.optim.Optimizer,
        settings: StepSettings = StepSettings(),
        *,
        steps: int,
        memory_format: torch.memory_format = torch.contiguous_format,
        seed: int = 0,
        team: Team = ALONE,
        teacher: Teacher | None = None,
        updates: Callable[[int], int] = lambda step: step,
        resizing: Resizing | None = None,
        graphs: Graphs | None = None,
        compile: bool = False,
        keeps_best: bool = False,
    ) -> None:
        self._teacher, self._updates, self._resizing = teacher, updates, resizing
        self._form: torch.Size | None = None  # of an input of the last step, where it may change
        self.network, self.optimizer, self.memory_format = network, optimizer, memory_format
        self.device = next(network.parameters()).device
        self._task, self._settings, self._steps, self._seed, self._team = task, settings, steps, seed, team
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._parameters = list(network.parameters())
        self._penalized = step_settings.penalized(settings, network) if settings.clip_penalty else []
        self._regularization = settings.regularization
        if self._regularization and not isinstance(network, Regularizes):
            raise MissingCapability(
                "the settings drop paths or features, which this network cannot; set evaluator.drop_path_keep to 1 and "
                "evaluator.dropout and all of its kind to 0"
            )
        self._is_penalized = settings.activation_penalty > 0 or settings.temporal_penalty > 0
        if self._is_penalized and not isinstance(network, KeepsActivations):
            raise MissingCapability(
                "the settings penalize activations, which this network does not show; set evaluator.activation_penalty "
                "and evaluator.temporal_penalty to 0"
            )
        if settings.auxiliary and not isinstance(network, HasAuxiliary):
            raise MissingCapability(_NO_AUXILIARY.format(settings.auxiliary))
        if isinstance(network, CarriesState) and team.size * settings.accumulate > 1:
            raise MissingCapability(
                "the network carries a state from batch to batch, so that each must be whole; set evaluator.processes "
                "and evaluator.accumulate to 1"
            )
        self._outputs: Callable[..., tuple[Tensor, tuple[Tensor, ...]]] | None = None
        self._precision = settings.precision_on(self.device)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._precision == "float16")
        kept = settings.average
        self.averages = Averages(network, kept) if kept and team.is_first else None
        self.best = BestWeights(network) if keeps_best and team.is_first else None
        self._factor = 1.0
        self._compiles = compile and team.size == 1
        self._why_plain = self._why_not_recorded() if graphs else ""
        captured = None
        if graphs and not self._why_plain:
            networks = (network, teacher.network) if teacher else (network,)
            is_watched = host_side.is_to_be_watched(task, *networks)
            host = HostSide(*networks, device=self.device) if is_watched else None
            captured = CapturedStep(_without_keeping(self._take), graphs, host, _without_keeping(self._begin_anew))
        self._captured = captured
        if captured:
            for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
                group["lr"] = torch.tensor(rate, dtype=torch.float32, device=self.device)
            # which gives the optimizer other tensors than those that a recorded step changes
            optimizer.register_load_state_dict_post_hook(lambda _optimizer: captured.release())

    def __call__(self, inputs: Tensor, targets: Tensor, step: int, batch: int) -> Tensor:
        """Take one step.

        Args:
            inputs: Inputs of this process's part of the batch, as `Team.batches` gives them, first dimension examples.
            targets: Targets of the same examples.
            step: Number of the step, from 0.
            batch: Number of examples in the whole batch, over all processes.

        Returns:
            The mean loss over the whole batch before the step, shape (), on the device.

        Raises:
            BadReference: The batch cannot be divided among processes and accumulated parts.
        """
        if self._resizing:
            inputs = self._resizing.inputs(to_device(inputs, self.device, self.memory_format), step)
            if self._form != inputs.shape[1:]:
                self.release()  # what is recorded is of one size, and so is what is compiled
                self._outputs = None if isinstance(self._outputs, Compiled) else self._outputs
            self._form = inputs.shape[1:]
        received = self._received(inputs, targets, step, batch)
        with self._drawing(step):
            loss = self._captured(received) if self._captured else self._take(received)
        return self._team.mean(loss)

    @contextmanager
    def _drawing(self, step: int) -> Iterator[None]:
        """What a network draws from torch's own generator within the block is a matter of seed, step and process alone.

        So do the dropouts of networks that users bring; all others get what they drop (`Regularizes`). In a recorded
        step torch itself says where its draws go on.
        """
        if self._captured or isinstance(self.network, Regularizes):
            yield
            return
        is_cuda = self.device.type == "cuda"
        own = torch.cuda.default_generators[self.device.index or 0] if is_cuda else torch.default_generator
        # behind those of drop path and of mixing
        rng = seeds.rng_for(self._seed, seeds.TRAIN, step, attempt=2 + self._team.rank)
        with torch.random.fork_rng([self.device] if is_cuda else []):
            own.manual_seed(int(rng.integers(2**63)))
            yield

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self._rates[0] * self._factor)

    def set_rate(self, factor: float, inputs: Tensor | None = None) -> None:
        """Set the learning rate of the next steps to `factor` times the initial one.

        Where the settings scale it by length, and the inputs of the next step are given, theirs counts: shape (B, T).
        """
        if self._settings.rate_by_length and inputs is not None:
            factor *= inputs.shape[1] / positions(self._task.io.input)
        self._factor = factor
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * factor)
            else:
                group["lr"] = rate * factor

    @property
    def notes(self) -> tuple[str, ...]:
        """What was wanted of the steps and could not be, in phrases for a message."""
        plain = self._why_plain or (self._captured.why_plain if self._captured else "")
        compiled = self._outputs.why_plain if isinstance(self._outputs, Compiled) else ""
        return (
            *([f"its steps were taken without a CUDA graph, as {plain}"] if plain else []),
            *([f"its network was not compiled, as {compiled}"] if compiled else []),
        )

    def release(self) -> None:
        """Let go a recorded step and its memory; steps that follow are recorded anew."""
        if self._captured:
            self._captured.release()

    def facts(self) -> dict[str, Any]:
        """What a checkpoint must hold besides tensors, as JSON."""
        return dict(self._scaler.state_dict())

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Inverse of `facts`."""
        self._scaler.load_state_dict(dict(facts))

    def averaged(self) -> AbstractContextManager[None]:
        """Give the network, within the block, the weights that are measured and saved."""
        return self.averages.in_place() if self.averages else nullcontext()

    def go_back(self) -> None:
        """Go on from the best weights so far, with no memory of the steps since. Needs weights in `best`."""
        assert self.best is not None and self.best.tensors
        self.best.put()
        if self.averages:
            for name, value in self.averages.tensors.items():
                value.copy_(self.best.tensors[name])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": {}})
        step_settings.begin(self._settings, self.network, self.optimizer)
        carrying.begin_anew(self.network)

    def _why_not_recorded(self) -> str:
        """Why no step of these settings can be recorded, for after "as"; "" where it can."""
        if self._team.size > 1:
            return "several processes share its batches"
        if isinstance(self.network, CarriesState):
            return "its network carries a state from batch to batch"
        if self._scaler.is_enabled() and not getattr(self.optimizer, "_step_supports_amp_scaling", False):
            return f"in float16 {type(self.optimizer).__name__} looks at its gradients on the host"
        return ""

    def _received(self, inputs: Tensor, targets: Tensor, step: int, batch: int) -> Received:
        """The batch of a step, and what is drawn for it."""
        shares = self._team.shares(batch, self._settings.accumulate)
        mix: Mix | Masked | None = None
        if self._settings.mixing:
            drawn = self._drawn_mix(step, inputs.shape)
            mix = Masked.of(drawn, inputs.shape) if self._captured else drawn
        dropped: tuple[tuple[Tensor | None, ...], ...] = ()
        if self._regularization:
            dropped = tuple(self._dropped(self._regularization, step, rows, batch) for rows in shares)
        share = self.averages.share(self._updates(step)) if self.averages else 0.0
        return Received(inputs, targets, dropped, mix, share)

    def _take(self, received: Received) -> Tensor:
        """Take a step, with gradients of all parts of the batch; its mean loss in this process, shape ()."""
        inputs, targets, dropped, mix, share = received
        count = self._settings.accumulate
        self.optimizer.zero_grad()
        losses = torch.zeros((), device=self.device)
        parts = zip(inputs.chunk(count), targets.chunk(count), dropped or ((),) * count, strict=True)
        for place, (part, wanted, factors) in enumerate(parts, 1):
            part = to_device(part, self.device, self.memory_format)
            part = mix.inputs(part) if mix else part
            outputs = self._joined(part)
            with _alone(outputs) if place < count else nullcontext():
                wanted = wanted.to(self.device, non_blocking=True)
                loss = self._loss(outputs, part, wanted, mix, factors) / count
                self._scaler.scale(loss).backward()
            losses += loss.detach()
        if self._settings.clip:
            self._scaler.unscale_(self.optimizer)
            if weights := [each for each in self._penalized if each.grad is not None]:
                torch._foreach_add_([each.grad for each in weights], weights, alpha=self._settings.weight_decay)
            nn.utils.clip_grad_norm_(self._parameters, self._settings.clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self.averages:
            self.averages.update(share)
        return losses

    def _begin_anew(self) -> None:
        """Forget a step that was broken off on the host; the scale, and the steps since it grew, stay.

        Else the scaler refuses the next step as its second, and multiplies its scale with one that it had left to the
        optimizer.
        """
        for name in ("grad_scale", "found_inf"):
            if hasattr(self.optimizer, name):
                delattr(self.optimizer, name)
        if self._scaler.is_enabled():
            self._scaler.update(self._scaler.get_scale())

    def _joined(self, inputs: Tensor) -> Callable[..., tuple[Tensor, tuple[Tensor, ...]]]:
        """What runs the network, made with the first inputs."""
        if self._outputs is None:
            outputs = _Outputs(self.network, self._settings.auxiliary > 0)
            joined = self._team.join(self.network, outputs, inputs)
            self._outputs = Compiled(joined) if self._compiles else joined
        return self._outputs

    def _dropped(self, regularization: Regularization, step: int, rows: slice, batch: int) -> tuple[Tensor | None, ...]:
        """What a part of a step drops: each begins with the same generator, and finds the draws of its own rows."""
        assert isinstance(self.network, Regularizes)
        generator = torch_rng.from_numpy(seeds.rng_for(self._seed, seeds.TRAIN, step))
        return self.network.draws(regularization, step / self._steps, generator, rows, batch)

    def _drawn_mix(self, step: int, shape: torch.Size) -> Mix | None:
        """How the examples of a step are mixed: alike in all its parts and processes."""
        rng = seeds.rng_for(self._seed, seeds.TRAIN, step, attempt=1)  # drop path and dropout have attempt 0
        return mixing.drawn(rng, self._settings.mixing, self._settings.mixing_alpha, shape)

    def _loss(
        self,
        outputs: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
        inputs: Tensor,
        targets: Tensor,
        mix: Mix | Masked | None,
        dropped: Sequence[Tensor | None],
    ) -> Tensor:
        """The loss of the outputs plus that of the auxiliary ones; the forward pass has the settings' precision."""
        settings = self._settings
        factors = [each if each is None else each.to(self.device, non_blocking=True) for each in dropped]
        watched: AbstractContextManager[Mapping[str, Tensor]] = nullcontext({})
        if self._is_penalized:
            watched = penalties.kept(self.network)
        with self._autocast(), watched as activations:
            logits, others = outputs(inputs, factors)
        if settings.auxiliary and not others:
            raise MissingCapability(_NO_AUXILIARY.format(settings.auxiliary))
        loss = mixing.of_both(mix, targets, partial(self._smoothed, logits))
        if self._teacher:
            weights = self._weights(targets, mix)
            with self._autocast():
                loss = self._teacher.mixed(loss, logits, inputs, weights)
        if self._is_penalized:
            loss = loss + penalties.of(activations, settings.activation_penalty, settings.temporal_penalty)
        for other in others:
            loss = loss + settings.auxiliary * mixing.of_both(mix, targets, partial(self._smoothed, other))
        return loss

    def _autocast(self) -> AbstractContextManager[Any]:
        """The precision of the forward pass."""
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if self._precision == "bfloat16" else torch.float16)

    def _weights(self, targets: Tensor, mix: Mix | Masked | None = None) -> Tensor | None:
        """The task's weight of each example, shape (B,), mixed as the examples are; None: all are 1."""
        task = self._task
        found = task.weights(targets) if isinstance(task, WeighsExamples) else None
        if found is None or mix is None:
            return found
        return mixing.of_both(mix, targets, lambda each: cast(WeighsExamples, task).weights(each))

    def _smoothed(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The task's loss, with a share of each target spread over all classes (Szegedy et al. 2016, section 7).

        Where the task weighs examples, the spread part of each has its example's weight too. Where it adjusts logits,
        the share is spread over classes as they are distributed: then the smoothed network, too, ranks classes as if
        they were equally frequent, which an even spread, with many examples of one class, would not leave so.
        """
        share = self._settings.label_smoothing
        if self._precision != "float32" and not isinstance(self._task, TakesHalf):
            logits = logits.float()
        loss = self._task.loss(logits, targets)
        if not share:
            return loss
        adjustment = self._task.adjustment(logits.device) if isinstance(self._task, AdjustsLogits) else None
        if adjustment is not None:
            spread = F.log_softmax(logits.float() + adjustment, -1) @ adjustment.exp()
            return (1 - share) * loss - share * spread.mean()
        spread = F.log_softmax(logits.float(), -1)
        weights = self._weights(targets)
        if weights is not None:
            spread = spread * weights.unsqueeze(-1)
        return (1 - share) * loss - share * spread.mean()


_NO_AUXILIARY = (
    "evaluator.auxiliary is {}, but the network has no auxiliary head; set it to 0, or give a space that builds one"
)


class _Outputs(nn.Module):
    """Runs a network and returns the outputs that training needs."""

    def __init__(self, network: nn.Module, with_auxiliary: bool) -> None:
        super().__init__()
        self.network, self._with_auxiliary = network, with_auxiliary

    def forward(self, inputs: Tensor, dropped: Sequence[Tensor | None] = ()) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The network's outputs, and those of auxiliary heads where they are wanted."""
        if dropped:
            assert isinstance(self.network, Regularizes)
            self.network.regularize(dropped)
        if not self._with_auxiliary:
            return self.network(inputs), ()
        assert isinstance(self.network, HasAuxiliary)
        return self.network.with_auxiliary(inputs)


def to_device(inputs: Tensor, device: torch.device, memory_format: torch.memory_format) -> Tensor:
    """Inputs on the device; images in the memory format."""
    if inputs.dim() != 4:
        return inputs.to(device, non_blocking=True)
    return inputs.to(device, non_blocking=True).contiguous(memory_format=memory_format)


def _without_keeping(method: Callable[Given, Found]) -> Callable[Given, Found]:
    """A method that does not keep its object: in a circle, a training's memory would outlive it on the device."""
    known = WeakMethod(method)

    def call(*given: Given.args, **named: Given.kwargs) -> Found:
        found = known()
        assert found is not None
        return found(*given, **named)

    return call


def _alone(outputs: object) -> AbstractContextManager[None]:
    """Keep gradients in this process: those of later parts are still to be added."""
    return outputs.no_sync() if isinstance(outputs, DistributedDataParallel) else nullcontext()
