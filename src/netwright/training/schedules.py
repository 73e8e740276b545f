"""Learning-rate schedules: the factor on the initial rate at a step of a training of known length."""

from __future__ import annotations

import math
from collections.abc import Sequence


def cosine(step: int, steps: int) -> float:
    """Half a cosine that falls from 1 at step 0 to 0 at `steps` (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * step / steps))


def restarting(step: int, begin: float, end: float, floor: float) -> float:
    """The cosine from 1 at step `begin` to `floor` at `end`, one of several (Loshchilov and Hutter 2017)."""
    return floor + (1 - floor) * 0.5 * (1.0 + math.cos(math.pi * (step - begin) / (end - begin)))


def stepwise(step: int, steps: int, milestones: Sequence[float], factor: float) -> float:
    """The rate is multiplied by `factor` at every milestone, a fraction of `steps`, that `step` has reached."""
    return factor ** sum(step >= milestone * steps for milestone in milestones)


def exponential(step: int, every: float, factor: float) -> float:
    """The rate is multiplied by `factor` every `every` steps, as in Real et al. 2018: by 0.97 every two epochs."""
    return factor ** math.floor(step / every)


def constant(step: int, steps: int, cooldown: float) -> float:
    """The rate stays, and over the last `cooldown` share of `steps` falls in a straight line towards 0 at `steps`.

    What comes before the fall does not depend on `steps`, so that a training of unknown length can begin with it
    (Haegele et al. 2024, section 3).
    """
    falling = cooldown * steps
    return min(1.0, (steps - step) / falling) if falling else 1.0


def warm_up(step: int, steps: float) -> float:
    """A straight line that rises to 1 at the last of the first `steps` steps (Goyal et al. 2017, section 2.2).

    It begins above 0: a step at rate 0 would train nothing.
    """
    return min(1.0, (step + 1) / steps)
