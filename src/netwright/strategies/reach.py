"""Whether a trial can still reach the top: the chance that more training makes it better than the best there is.

From each rung to the next, what a promotion gained is a straight line of the score before plus noise, fitted to the
promotions so far; the line is horizontal unless they say otherwise. The lines lead from rung to rung up to the highest.
No model of networks takes part: what other networks of its kind became cannot condemn a trial, its own score does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

FEWEST = 3  # promotions from a rung before anything is foretold from it
UNSURE = 0.25  # the noise that one further promotion is taken to have shown, as a share of a usual gain


@dataclass(frozen=True)
class Gain:
    """What promotions from a rung gain: `gain + slope * (score - center)`, and how surely that is known.

    Args:
        center: Mean score before.
        gain: Mean gain.
        slope: Change of the gain with the score before.
        variance: Variance of a gain around the line.
        count: Number of promotions.
        spread: Sum of squared differences of the scores before from their mean.
    """

    center: float
    gain: float
    slope: float
    variance: float
    count: int
    spread: float

    def expected(self, score: float) -> tuple[float, float]:
        """Expected score one rung above, and the variance of what is measured there."""
        apart = score - self.center
        lever = apart * apart / self.spread if self.spread > 0 else 0.0
        return score + self.gain + self.slope * apart, self.variance * (1 + 1 / self.count + lever)


def gain_of(pairs: Collection[tuple[float, float]]) -> Gain | None:
    """Fit the scores of promoted trials before and after; None: they are too few."""
    count = len(pairs)
    if count < FEWEST:
        return None
    with np.errstate(all="ignore"):  # scores may be as large as floating point has them: nothing is foretold then
        before, after = np.array(pairs, dtype=float).T
        gains, apart = after - before, before - before.mean()
        spread = float(apart @ apart) * (1 + 1 / count)  # as if one more promotion had shown no slope
        slope = float(apart @ gains) / spread if spread > 0 else 0.0
        rest = gains - gains.mean() - slope * apart
        usual = float(np.mean(gains**2))
        variance = (float(rest @ rest) + UNSURE**2 * usual) / (count - 1)
        return Gain(float(before.mean()), float(gains.mean()), slope, variance, count, spread)


def chance(score: float, best: float, gains: Sequence[Gain | None]) -> float:
    """The chance that a trial ends above the best.

    Args:
        score: Its score on its rung.
        best: The best score measured on the highest rung; minus infinity: none was.
        gains: What promotions gain from its rung, and from each above it but the highest.

    Returns:
        A probability; 1 where too little is known.
    """
    mean, variance, freedom = score, 0.0, math.inf
    for gain in gains:
        if gain is None:
            return 1.0
        mean, added = gain.expected(mean)
        variance = variance * max(1 + gain.slope, 0.0) * max(1 + gain.slope, 0.0) + added
        freedom = min(freedom, gain.count - 1)
    if variance <= 0:
        return float(mean > best)
    found = float(student.sf((best - mean) / math.sqrt(variance), freedom))
    return 1.0 if math.isnan(found) else found
