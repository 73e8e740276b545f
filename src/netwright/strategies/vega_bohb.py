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
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.genes import to_vector
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies.brackets import ladder, single_sizes
from netwright.strategies.hyperband import BracketRung, Finished, Hyperband
from netwright.strategies.novelty import first_new, new_sample
from netwright.surrogates import improvement
from netwright.surrogates.plain_process import PlainProcess

SEEN = 500  # the program's own 50 iterations have 200 at the least budget
FEWEST = 2  # scores that a model can be made of


@dataclass
class VegaBohb:
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

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    min_budget: int = 1
    max_budget: int = 9
    eta: int = 3
    budgets: tuple[int, ...] = ()
    samples: int = 1000
    _hyperband: Hyperband = field(init=False, repr=False)
    _measured: list[list[tuple[int, Finished]]] = field(init=False, repr=False)  # by rung, with their brackets
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    # a memo, made anew when needed: the model by bracket, and number of trials on its first rung
    _model: tuple[tuple[int, int], PlainProcess | None] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_single("vega_bohb", self.objectives)
        if self.samples < 1:
            raise BadReference(f"strategy.samples is {self.samples}; it must be at least 1")
        budgets = ladder(self.min_budget, self.max_budget, self.eta, self.budgets)
        self._hyperband = Hyperband(budgets, partial(single_sizes, eta=self.eta))
        self._measured = [[] for _ in budgets]

    @property
    def largest_budget(self) -> int:
        """Budget of the highest rung."""
        return self._hyperband.budgets[-1]

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """What the oldest bracket that does not wait needs; None: no network is new, and none may be promoted."""
        taken = {trial.key for trial in pending}
        return self._hyperband.needed(pending, lambda place: self._fresh(place, taken, rng))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Enter the trial into its bracket and the model's data. Raises NetwrightError: no such rung or bracket."""
        place, finished = self._hyperband.enter(trial)
        self._known.add(trial.key)
        self._measured[place.rung].append((place.bracket, finished))

    def _fresh(self, place: BracketRung, taken: set[str], rng: np.random.Generator) -> Proposal | None:
        """A trial on a bracket's first rung: the model's choice, or a sample; None: no network is new."""
        model = self._process(place)
        genotype = None if model is None else self._best_new(model, taken, rng)
        notes = {"bracket": place.bracket, "rung": place.rung, "modeled": int(genotype is not None)}
        if genotype is None:
            genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype, budget=self._hyperband.budgets[place.rung], notes=notes)

    def _best_new(self, model: PlainProcess, taken: set[str], rng: np.random.Generator) -> Genotype | None:
        """The sample of the highest expected improvement over the best of them that is a new network; None: none is."""
        drawn = list(dict.fromkeys(self.space.sample(rng) for _ in range(self.samples)))
        mean, deviation = model.predict(self._vectors(drawn))
        gains = improvement.log_improvement(mean, deviation, float(mean.max()))
        ranked = (drawn[position] for position in np.argsort(-gains, kind="stable").tolist())
        return first_new(self.space, ranked, self._known, taken)

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


plugin = VegaBohb
