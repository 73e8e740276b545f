"""The search of the program that NAGO was released with: successive halving, filled by a Gaussian process.

Ru et al. 2020, "Neural Architecture Generator Optimization", arXiv:2004.01395, released within the framework Vega. The
paper's search is `bohb`; Vega's goes by that name, but is another. With budgets of 30, 60 and 120 epochs and eta = 2,
an iteration has three brackets, of 4, 2 and 1, of 2 and 1, and of 1 trial: 11 trials of 7 networks. The first bracket
has random networks. Each of a later one's is the best of `samples` random ones by expected improvement, under a process
(`surrogates.plain_process`) of what earlier brackets have measured at the budget on which the bracket starts.

Departures from the program:

* Nobody waits: where a bracket waits for its trials, the next one begins, and knows less. With one worker brackets come
  one after another, as there.
* The process is made anew for each bracket. There, what was learned from is kept and entered again, so that its data
  repeat, and those of all budgets are in one model.
* Of several networks of a bracket none is the same, or was measured before; improvements are not rounded.
* A failed trial counts as the worst that was seen, and promotions go on from checkpoints (`evaluator.horizon`).
* Of more than `SEEN` trials at a budget the process sees the latest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.genes import to_vector
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype
from netwright.core.single import check_single
from netwright.strategies.brackets import ladder, single_sizes
from netwright.strategies.hyperband import BracketRung, BracketSearch, Finished, Hyperband
from netwright.strategies.novelty import first_new
from netwright.surrogates import improvement
from netwright.surrogates.plain_process import PlainProcess

SEEN = 500  # the program's own 50 iterations have 200 at the least budget
FEWEST = 2  # scores that a model can be made of


@dataclass
class ExpectedImprovement:
    """Chooses by a Gaussian process of what earlier brackets have measured at the budget on which a bracket starts.

    Args:
        space: Search space.
        rungs: Number of rungs.
        samples: Number of random networks that are chosen from.
    """

    space: SearchSpace
    rungs: int
    samples: int
    _measured: list[list[tuple[int, Finished]]] = field(init=False, repr=False)  # by rung, with their brackets
    # a memo, made anew when needed: the model by bracket, and number of trials on its first rung
    _model: tuple[tuple[int, int], PlainProcess | None] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self._measured = [[] for _ in range(self.rungs)]

    def choose(self, place: BracketRung, known: Set[str], taken: Set[str], rng: np.random.Generator) -> Genotype | None:
        """The sample of the highest expected improvement over the best of them that is a new network; None: none is."""
        model = self._process(place)
        if model is None:
            return None
        drawn = list(dict.fromkeys(self.space.sample(rng) for _ in range(self.samples)))
        mean, deviation = model.predict(self._vectors(drawn))
        gains = improvement.log_improvement(mean, deviation, float(mean.max()))
        ranked = (drawn[position] for position in np.argsort(-gains, kind="stable").tolist())
        return first_new(self.space, ranked, known, taken)

    def learn(self, place: BracketRung, finished: Finished) -> None:
        """Keep the trial by its rung."""
        self._measured[place.rung].append((place.bracket, finished))

    def _process(self, place: BracketRung) -> PlainProcess | None:
        """The model of what earlier brackets have measured on that rung; None: too little."""
        measured = self._measured[place.rung]
        memo = (place.bracket, len(measured))
        if self._model is None or self._model[0] != memo:
            self._model = (memo, self._learned([trial for number, trial in measured if number < place.bracket][-SEEN:]))
        return self._model[1]

    def _learned(self, trials: Sequence[Finished]) -> PlainProcess | None:
        scores = [-trial.loss for trial in trials if trial.loss < math.inf]
        if len(scores) < FEWEST:
            return None
        targets = np.array([-trial.loss if trial.loss < math.inf else min(scores) for trial in trials])
        return PlainProcess.of(self._vectors([trial.genotype for trial in trials]), targets)

    def _vectors(self, genotypes: Sequence[Genotype]) -> np.ndarray:
        return np.array([to_vector(self.space.genes, genotype) for genotype in genotypes])


def vega_bohb(
    space: SearchSpace,
    objectives: tuple[str, ...] | None = None,
    min_budget: int = 1,
    max_budget: int = 9,
    eta: int = 3,
    budgets: tuple[int, ...] = (),
    samples: int = 1000,
) -> BracketSearch:
    """Successive halving with a Gaussian process, as released with NAGO.

    Args:
        space: Search space, which samples and names networks; the model is one of its genes, choices as numbers.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        min_budget: Least budget of the lowest rung, in the evaluator's unit: epochs or steps.
        max_budget: Budget of the highest rung.
        eta: One trial in `eta` is promoted, to `eta` times the budget.
        budgets: Budgets of all rungs, where they are no powers of `eta` apart, as 12 and 200 epochs; empty: as above.
        samples: Number of random networks that the model chooses from.
    """
    check_single("vega_bohb", objectives)
    if samples < 1:
        raise BadReference(f"strategy.samples is {samples}; it must be at least 1")
    rungs = ladder(min_budget, max_budget, eta, budgets)
    model = ExpectedImprovement(space, len(rungs), samples)
    return BracketSearch(space, Hyperband(rungs, partial(single_sizes, eta=eta)), model)


plugin = vega_bohb
