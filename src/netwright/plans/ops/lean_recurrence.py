"""The recurrent layer as it trains: nodes of one depth together, and gradients of weights in one product for all steps.

Torch would add to the gradient of each weight at every step of time, with products of as few rows as the batch has.
Here states, gates and activations of all steps lie in one tensor each, and the backward pass goes through the steps for
the gradients of states alone.

Positions are those of states in order of depth, so that the nodes of a depth follow one another; 0 is state 0.
Shapes: T steps, B sequences, U units, N nodes without state 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from netwright.plans.ops.products import product
from netwright.plans.ops.sequence_modules import Recurrence

# the gradient of what enters an activation, from that of what leaves it and from what left it
_BACKWARD: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "tanh": torch.ops.aten.tanh_backward,
    "relu": lambda grad, found: torch.ops.aten.threshold_backward(grad, found, 0),
    "sigmoid": torch.ops.aten.sigmoid_backward,
    "identity": lambda grad, found: grad,  # noqa: ARG005
}
_FIRST: Final = ((slice(0, 1), "tanh"),)  # the runs of state 0


@dataclass(frozen=True)
class _Depth:
    """The nodes of one depth.

    Args:
        at: Their positions.
        reads: The positions that they read, one for all of them where they read the same.
        runs: Positions within the depth that have one activation.
    """

    at: slice
    reads: tuple[int, ...]
    runs: tuple[tuple[slice, str], ...]

    @property
    def source(self) -> slice | list[int]:
        """The index of what they read: one state, or one for each of them."""
        return slice(self.reads[0], self.reads[0] + 1) if len(self.reads) == 1 else list(self.reads)


@dataclass(frozen=True)
class _Wiring:
    """A cell: the node at each position from 1 on, counted from 0; what each reads; depths; the first averaged."""

    order: tuple[int, ...]
    reads: tuple[int, ...]
    depths: tuple[_Depth, ...]
    first: int


def _wiring(reads: Sequence[int], activations: Sequence[str], first: int) -> _Wiring:
    """The cell of nodes as `Recurrence` has them."""
    nodes = list(zip(reads, activations, strict=True))
    depth = [0]
    for read, _ in nodes:
        depth.append(depth[read] + 1)
    order = sorted(range(len(nodes)), key=lambda node: (depth[node + 1], nodes[node][0], nodes[node][1], node))
    position = {0: 0} | {node + 1: place for place, node in enumerate(order, 1)}
    placed = tuple(position[nodes[node][0]] for node in order)
    depths, start = [], 1
    for _, group in groupby(order, key=lambda node: depth[node + 1]):
        members = list(group)
        found = placed[start - 1 : start - 1 + len(members)]
        runs, begin = [], 0
        for name, run in groupby(members, key=lambda node: nodes[node][1]):
            count = len(list(run))
            runs.append((slice(begin, begin + count), name))
            begin += count
        depths.append(
            _Depth(slice(start, start + len(members)), found[:1] if len(set(found)) == 1 else found, tuple(runs))
        )
        start += len(members)
    return _Wiring(tuple(order), placed, tuple(depths), first)


class LeanRecurrence(Recurrence):
    """The recurrent layer, which computes the same in fewer and larger products while there are gradients."""

    def __init__(
        self, units: int, reads: tuple[int, ...], activations: tuple[str, ...], averages_all: bool = False
    ) -> None:
        super().__init__(units, reads, activations, averages_all)
        self._wiring = _wiring(reads, activations, self.first)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Outputs (B, T, units) of inputs of that shape.

        Args:
            x: The inputs.
            kept: Factors of states where these enter products, the same at all steps, shape (B, units); None: 1.
        """
        if not torch.is_grad_enabled() and kept is None:
            return super().forward(x)
        kind = x.device.type
        half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        with torch.autocast(kind, enabled=False):
            found: Tensor = _Steps.apply(
                x, self.entering, self.weight, self.begun(x), kept, self._wiring, half or x.dtype
            )
        self.state = found[:, -1].detach().clone()
        return found


class _Steps(torch.autograd.Function):
    """All steps of a recurrent layer; what enters products has a number format of its own."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        entering: Tensor,
        weight: Tensor,
        state: Tensor,
        kept: Tensor | None,
        wiring: _Wiring,
        kind: torch.dtype,
    ) -> Tensor:
        """Outputs (B, T, U) of inputs of that shape, from a state (B, U) on, with products of a number format."""
        rows, steps, units = x.shape
        count = 1 + len(wiring.order)
        inputs = x.transpose(0, 1).to(kind).contiguous()  # (T, B, U)
        first, others = entering.to(kind), weight.to(kind)
        if wiring.order != tuple(range(count - 1)):
            others = others[list(wiring.order)]
        entered = product(inputs.view(-1, units), first[:units]).view(steps, rows, 2 * units)
        states = x.new_empty(count, steps, rows, units)
        gates, candidates = torch.empty_like(states), torch.empty_like(states)
        is_same = kept is None and kind == x.dtype  # what enters products is the states themselves
        multiplied = states if is_same else torch.empty_like(states, dtype=kind)
        begun, begun_multiplied = x.new_empty(steps, rows, units), inputs.new_empty(steps, rows, units)
        found = x.new_empty(rows, steps, units)
        for step in range(steps):
            begun[step] = state
            _write(begun_multiplied[step], state, kept)
            both = torch.addmm(entered[step], begun_multiplied[step], first[units:])
            _open(both[None], gates[:1, step], candidates[:1, step], _FIRST)
            torch.lerp(state, candidates[0, step], gates[0, step], out=states[0, step])
            if not is_same:
                _write(multiplied[0, step], states[0, step], kept)
            for depth in wiring.depths:
                places = depth.at
                gate, candidate = gates[places, step], candidates[places, step]
                read = multiplied[depth.source, step].expand(places.stop - places.start, -1, -1)
                _open(torch.bmm(read, others[places.start - 1 : places.stop - 1]), gate, candidate, depth.runs)
                torch.lerp(states[depth.source, step], candidate, gate, out=states[places, step])
                if not is_same:
                    _write(multiplied[places, step], states[places, step], kept)
            state = torch.mean(states[wiring.first :, step], 0)
            found[:, step] = state
        ctx.save_for_backward(first, others, inputs, begun, begun_multiplied, states, gates, candidates, multiplied)
        ctx.kept, ctx.wiring, ctx.has_inputs = kept, wiring, ctx.needs_input_grad[0]
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of the inputs and of both weights; none flows into the batch before."""
        first, others, inputs, begun, begun_multiplied, states, gates, candidates, multiplied = ctx.saved_tensors
        kept, wiring = ctx.kept, ctx.wiring
        count, steps, rows, units = states.shape
        leaving = inputs.new_empty(count, steps, rows, 2 * units)  # gradients of what products gave
        back_first, back = first[units:].t(), others.transpose(1, 2)
        of_state = torch.zeros_like(begun[0])
        for step in range(steps - 1, -1, -1):
            share = (grad[:, step] + of_state).div_(count - wiring.first)
            of_states = share.expand(count, -1, -1).contiguous()
            if wiring.first:
                of_states[0].zero_()
            for depth in reversed(wiring.depths):
                places = depth.at
                gate, candidate, left = gates[places, step], candidates[places, step], leaving[places, step]
                rest = _shut(of_states[places], states[depth.source, step], gate, candidate, depth.runs, left)
                rest = _added(rest, torch.bmm(left, back[places.start - 1 : places.stop - 1]), kept)
                if len(depth.reads) == 1:
                    of_states[depth.reads[0]] += rest.sum(0) if len(rest) > 1 else rest[0]
                else:
                    for place, source in enumerate(depth.reads):
                        of_states[source] += rest[place]
            gate, candidate, left = gates[:1, step], candidates[:1, step], leaving[:1, step]
            rest = _shut(of_states[:1], begun[step], gate, candidate, _FIRST, left)
            of_state = _added(rest[0], left[0].mm(back_first), kept)
        # for all steps at once
        of_first, flat = leaving[0].view(-1, 2 * units), inputs.view(-1, units)
        of_entering = torch.cat([_of_weight(flat, of_first), _of_weight(begun_multiplied.view(-1, units), of_first)])
        of_weight = torch.empty_like(others)
        for place, node in enumerate(wiring.order, 1):
            source = multiplied[wiring.reads[place - 1]].view(-1, units)
            of_weight[node] = _of_weight(source, leaving[place].view(-1, 2 * units))
        of_inputs = None
        if ctx.has_inputs:
            of_inputs = product(of_first, first[:units].t()).view(inputs.shape).transpose(0, 1).to(grad.dtype)
        return of_inputs, of_entering.to(grad.dtype), of_weight.to(grad.dtype), None, None, None, None


def _write(out: Tensor, state: Tensor, kept: Tensor | None) -> None:
    """Write what enters products: a state times what is kept of it."""
    out.copy_(state if kept is None else state * kept)


def _open(both: Tensor, gate: Tensor, candidate: Tensor, runs: Sequence[tuple[slice, str]]) -> None:
    """Write gates and candidates, of what products gave for both."""
    units = gate.shape[-1]
    gate.copy_(both[..., :units]).sigmoid_()
    candidate.copy_(both[..., units:])
    for run, name in runs:
        if name != "identity":
            getattr(torch, f"{name}_")(candidate[run])


def _shut(
    grad: Tensor,
    before: Tensor,
    gate: Tensor,
    candidate: Tensor,
    runs: Sequence[tuple[slice, str]],
    out: Tensor,
) -> Tensor:
    """Inverse of `_open` for gradients: writes those of what products gave; returns that of the state before."""
    units = grad.shape[-1]
    of_candidate = grad * gate
    out[..., :units] = torch.ops.aten.sigmoid_backward(grad * (candidate - before), gate)
    for run, name in runs:
        out[run, :, units:] = _BACKWARD[name](of_candidate[run], candidate[run])
    return grad - of_candidate


def _added(rest: Tensor, through: Tensor, kept: Tensor | None) -> Tensor:
    """The gradient of a state, of which a part came through a product."""
    return rest + through if kept is None else torch.addcmul(rest, through.to(rest.dtype), kept)


def _of_weight(entering: Tensor, leaving: Tensor) -> Tensor:
    """The gradient (K, M) of a weight from what it is multiplied with (N, K) and the gradient of the product (N, M)."""
    return product(entering.t().contiguous(), leaving)
