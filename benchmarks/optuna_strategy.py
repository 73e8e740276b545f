"""Optuna's TPE as a strategy, so that `netwright bench` compares it with ours on the same tables and seeds.

    netwright bench --strategies 'predictor,benchmarks.optuna_strategy:TPE' ...

One worker at a time, and no resuming: Optuna keeps its random numbers within the sampler, so that asking changes it.
"""

from __future__ import annotations

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
    """Optuna's default sampler with its default settings, categories where the gene is a choice.

    Args:
        space: Its genes are the parameters.
    """

    space: SearchSpace
    _study: Any = field(default=None, init=False, repr=False)
    _asked: dict[int, Any] = field(default_factory=dict, init=False, repr=False)  # Optuna's trials by number of asking

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:
        """What Optuna suggests."""
        if self._study is None:
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            sampler = optuna.samplers.TPESampler(seed=int(rng.integers(TOP)))
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        if pending:
            raise ValueError("Optuna's TPE is compared with one worker; give workers = 1")
        trial = self._study.ask()
        self._asked[len(self._asked) + 1] = trial
        return Proposal(tuple(self._suggest(trial, position) for position in range(len(self.space.genes))))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Pass the score, or the failure, on."""
        asked = self._asked.get(trial.id)
        if asked is None:
            raise ValueError("Optuna's TPE cannot go on with a search that another process began")
        if trial.scores is None:
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(asked, trial.scores[0])

    def _suggest(self, trial: Any, position: int) -> int | float:
        gene = self.space.genes[position]
        if isinstance(gene, Choice):
            return int(trial.suggest_categorical(gene.name, range(len(gene.options))))
        if isinstance(gene, Integer):
            return int(trial.suggest_int(gene.name, gene.low, gene.high))
        return float(trial.suggest_float(gene.name, gene.low, gene.high))


plugin = TPE
