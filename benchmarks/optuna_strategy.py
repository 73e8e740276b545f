"""Optuna's TPE and NSGA-II as strategies, so that comparisons play them on the same tables and seeds as ours.

    netwright bench --strategies 'predictor,benchmarks.optuna_strategy:TPE' ...
    netwright bench --objectives signal,-params --strategies 'mobo,benchmarks.optuna_strategy:NSGA2' ...

One worker at a time, and no resuming: Optuna keeps its random numbers within the sampler, so that asking changes it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna

from netwright.core.genes import Choice, Integer
from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial

TOP = 2**32  # seeds of numpy's older generator


@dataclass
class TPE:
    """Optuna's TPE with its default settings, categories where the gene is a choice.

    Args:
        space: Its genes are the parameters.
        objectives: What is searched by; scores are to be maximized, whatever they say.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    _study: Any = field(default=None, init=False, repr=False)
    _asked: dict[int, Any] = field(default_factory=dict, init=False, repr=False)  # Optuna's trials by number of asking

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:
        """What Optuna suggests."""
        if self._study is None:
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            directions = ["maximize"] * len(self.objectives or ("first",))
            self._study = optuna.create_study(directions=directions, sampler=self._sampler(int(rng.integers(TOP))))
        if pending:
            raise ValueError("Optuna is compared with one worker; give workers = 1")
        trial = self._study.ask()
        self._asked[len(self._asked) + 1] = trial
        return Proposal(tuple(self._suggest(trial, position) for position in range(len(self.space.genes))))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Pass the scores, or the failure, on."""
        asked = self._asked.get(trial.id)
        if asked is None:
            raise ValueError("Optuna cannot go on with a search that another process began")
        if trial.scores is None:
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(asked, list(trial.scores))

    def _sampler(self, seed: int) -> Any:
        return optuna.samplers.TPESampler(seed=seed)

    def _suggest(self, trial: Any, position: int) -> int | float:
        gene = self.space.genes[position]
        if isinstance(gene, Choice):
            return int(trial.suggest_categorical(gene.name, range(len(gene.options))))
        if isinstance(gene, Integer):
            return int(trial.suggest_int(gene.name, gene.low, gene.high))
        return float(trial.suggest_float(gene.name, gene.low, gene.high))


@dataclass
class NSGA2(TPE):
    """Optuna's NSGA-II with its default settings."""

    def _sampler(self, seed: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.NSGAIISampler(seed=seed)


plugin = TPE
