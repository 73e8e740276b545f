"""Batches by local penalization: around what is being evaluated, other networks are worth less.

Gonzalez et al. 2016, "Batch Bayesian Optimization via Local Penalization", arXiv:1505.08052, in the form of Alvi et al.
2019, "Asynchronous Batch Bayesian Optimisation with Improved Local Penalisation", arXiv:1901.10452: a function that
rises by L at most per unit of distance cannot reach the best value M nearer to a point than (M - f) / L.
"""

from __future__ import annotations

import numpy as np


def penalty(
    x: np.ndarray,
    at: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    best: np.ndarray,
    steepest: np.ndarray,
) -> np.ndarray:
    """By how much the acquisition of N candidates is multiplied: min(1, L |x - at| / (|mean - M| + deviation)).

    Args:
        x: Candidates, shape (N, D).
        at: What is being evaluated, shape (P, D); the penalties of all of it are multiplied.
        mean: Of each objective there, shape (P, M).
        deviation: Of the same, shape (P, M).
        best: The best value of each objective so far, shape (M,).
        steepest: Lipschitz constant of each objective, shape (M,).

    Returns:
        Shape (N, M), in [0, 1]; 0 where a candidate is what is being evaluated.
    """
    distance = np.sqrt(np.maximum(((x[:, None] - at[None]) ** 2).sum(2), 0.0))
    radius = np.maximum(np.abs(mean - best) + deviation, 1e-9) / np.maximum(steepest, 1e-9)
    found: np.ndarray = np.minimum(1.0, distance[:, :, None] / radius[None]).prod(1)
    return found
