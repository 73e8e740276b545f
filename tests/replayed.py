"""A stand-in for CUDA graphs on the CPU: what torch computes in a step is noted and done again.

As in a real one, numbers of the host are frozen when the step is recorded, memory is not, and a step that waits for the
device cannot be recorded.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from netwright.training import captured


class _Waits(TorchDispatchMode):
    """Counts the operations that hand a number to the host."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


class _Tape(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore about it")
        found = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, found))
        return found

    @torch.no_grad()
    def play(self):
        for function, args, kwargs, found in self.done:
            for old, new in zip(tree_leaves(found), tree_leaves(function(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():  # no view, and not in place
                    old.copy_(new)


def waits():
    """A block in which the times that the host waits for the device are counted, as `count`."""
    return _Waits()


class Replayed:
    """What `captured.Graphs` asks for, with the number of steps that were warmed up, recorded and played."""

    device = torch.device("cpu")

    def __init__(self, *, notices=True):
        self.warmed = self.recorded = self.played = self.released = 0
        self._notices = notices

    def buffer(self, value):
        return captured.buffer(value, self.device)

    def fill(self, buffer, value):
        buffer.copy_(value) if isinstance(value, torch.Tensor) else buffer.fill_(value)

    def warm(self, step):
        self.warmed += 1
        return step()

    def waits(self, step):
        with _Waits() as noted:
            loss = self.warm(step)
        return loss, noted.count > 0 and self._notices

    def record(self, step):
        with _Tape() as tape:
            loss = step()
        self.recorded += 1
        is_taken = True  # by recording it, which no CPU can do without

        def play():
            nonlocal is_taken
            if not is_taken:
                tape.play()
            is_taken = False
            self.played += 1
            return loss

        return play

    def release(self):
        self.released += 1
