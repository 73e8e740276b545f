"""How much each gene, and each pair of genes, decides of the first objective over the whole space, by a run's trials.

A random forest learns the scores from the genes, and its variance over the space, every genotype equally likely, is
split (`surrogates/variance_shares.py`). A share of a gene is what one would know of the score by knowing that gene
alone; a share of a pair, what the two say together beyond that. What the search looked at more closely does not count
for more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.core import genes as gene_values
from netwright.core.genes import Choice, Gene, Integer
from netwright.core.objectives import Objective
from netwright.core.records import Genotype
from netwright.data.text import counted
from netwright.report import curves
from netwright.report.history import History
from netwright.surrogates import variance_shares
from netwright.surrogates.variance_shares import Axis

MOST_TRIALS = 2000  # that are learned from; where there are more, evenly spread over the search
MOST_BARS = 15  # genes and groups that are shown one by one
MOST_PAIRS = 5  # that are shown
FEWEST = 20  # different genotypes, below which nothing is said
LEAST_EXPLAINED = 0.1  # of the variance of trials that a forest had not seen, below which nothing is said
CELLS = 32  # parts that a range is cut into
INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Share:
    """A share of the variance, 0 to 1: the mean over resamples of the trials, and where 9 of 10 of these lie."""

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """The importance of genes for the first objective.

    Args:
        metric: What was measured.
        trials: Number of trials that were learned from.
        genotypes: Number of different networks among them; of generators, of different generators.
        failed: Number of trials at that budget that failed, and are left out.
        budget: Their budget, the one that trials are judged at; 0: none.
        noise: Share of the variance of the scores that there is among trials of one genotype; None: none was repeated.
        explained: Share of the variance of trials that the forest had not seen which it explains; NaN: not known.
        genes: All genes, the strongest first.
        pairs: The strongest pairs, first to last.
        further: All that more genes, or other pairs, do together.
        groups: Genes of one meaning, the strongest group first: all that they do among themselves; empty where there
            are few genes.
        rest: The sum of the genes beyond those that are shown one by one; None: all are shown.
        note: Why nothing can be said; "": something can.
    """

    metric: str
    trials: int
    genotypes: int
    failed: int
    budget: int = 0
    noise: float | None = None
    explained: float = math.nan
    genes: tuple[Share, ...] = ()
    pairs: tuple[Share, ...] = ()
    further: Share | None = None
    groups: tuple[Share, ...] = ()
    rest: Share | None = None
    note: str = ""

    def sentences(self) -> list[str]:
        """What was learned from, and how far it can be believed; each ends with a period."""
        at = f" at budget {self.budget:,}" if self.budget else ""
        left_out = f"; {counted(self.failed, 'failed trial')} left out" if self.failed else ""
        said = [
            f"Learned from {counted(self.trials, 'trial')} of {self.genotypes:,} different genotypes{at}{left_out}."
        ]
        if self.noise is not None:
            said.append(f"Trials of one genotype differ among themselves: {self.noise:.0%} of the variance is that.")
        if self.note:
            return [*said, self.note]
        return [*said, f"Of trials that it had not seen, the forest explains {self.explained:.0%} of the variance."]

    def facts(self) -> dict[str, Any]:
        """The importance as JSON; numbers that are not known are null."""

        def row(share: Share | None) -> dict[str, Any] | None:
            return None if share is None else {name: getattr(share, name) for name in Share.__dataclass_fields__}

        return {
            **{name: getattr(self, name) for name in ("metric", "trials", "genotypes", "failed", "budget", "noise")},
            "explained": None if math.isnan(self.explained) else self.explained,
            **{name: [row(share) for share in getattr(self, name)] for name in ("genes", "pairs", "groups")},
            "further": row(self.further),
            "note": self.note,
        }


def of_history(history: History, genes: Sequence[Gene], objective: Objective, rng: np.random.Generator) -> Importance:
    """The importance of each gene.

    Args:
        history: The finished trials; those count that have a score at the judged budget and were measured.
        genes: The genes of the space. A genotype that is shorter has none of the others, which is a level of its own.
        objective: The first objective.
        rng: Draws the forests.
    """
    is_judged = history.is_judged
    known = np.flatnonzero(is_judged & ~np.isnan(history.scores) & ~history.is_reused)
    places = curves.spread(known, MOST_TRIALS)
    scores, networks = history.scores[places], history.keys[places]
    budgets = history.budgets[places]
    found = Importance(
        objective.label,
        len(places),
        len(np.unique(networks)),
        int(np.count_nonzero(is_judged & (history.reasons >= 0))),
        int(budgets[0]) if len(budgets) else 0,
        _noise(scores, networks),
    )
    if found.genotypes < FEWEST:
        return _silent(found, f"these are too few to say which genes matter; it takes {FEWEST} different ones")
    if np.ptp(scores) == 0:
        return _silent(found, f"all of them have the same {objective.label}, so that no gene matters")
    levels, axes = _levels(genes, [trial.proposal.genotype for trial in history.trials(places)])
    named = _meanings([gene.name for gene in genes]) if len(genes) > MOST_BARS else {}
    shares = variance_shares.decompose(axes, levels, scores, networks, rng, MOST_BARS, list(named.values()))
    if shares.explained < LEAST_EXPLAINED:
        why = f"of trials that it had not seen, the forest explains {max(0.0, shares.explained):.0%} of the variance"
        return _silent(found, f"which genes matter cannot be said: {why}; it takes more trials, or less noise")
    order = np.argsort(-shares.genes.mean(0), kind="stable")
    strongest = np.argsort(-shares.pairs.mean(0), kind="stable")[:MOST_PAIRS]
    pairs = [(" × ".join(genes[gene].name for gene in shares.paired[k]), shares.pairs[:, k]) for k in strongest]
    further = np.maximum(0.0, 1 - shares.genes.sum(1) - shares.pairs[:, strongest].sum(1))
    others = order[MOST_BARS:]
    values = {name: getattr(found, name) for name in Importance.__dataclass_fields__}
    return Importance(
        **values
        | {
            "explained": shares.explained,
            "genes": tuple(_share(genes[gene].name, shares.genes[:, gene]) for gene in order),
            "pairs": tuple(_share(name, each) for name, each in pairs),
            "further": _share("all that more genes do together", further),
            "groups": tuple(
                sorted((_share(name, shares.groups[:, k]) for k, name in enumerate(named)), key=lambda s: -s.share)
            ),
            "rest": _share(f"the other {counted(len(others), 'gene')}", shares.genes[:, others].sum(1))
            if len(others)
            else None,
        }
    )


def _silent(found: Importance, why: str) -> Importance:
    values = {name: getattr(found, name) for name in Importance.__dataclass_fields__}
    return Importance(**values | {"note": f"{why[0].upper()}{why[1:]}."})


def _share(name: str, resampled: np.ndarray) -> Share:
    low, high = np.quantile(resampled, INTERVAL)
    return Share(name, float(resampled.mean()), float(low), float(high))


def _noise(scores: np.ndarray, networks: np.ndarray) -> float | None:
    """Share of the variance that is among trials of one network; None: none has two."""
    _, which, counts = np.unique(networks, return_inverse=True, return_counts=True)
    free = int((counts - 1).sum())
    spread = float(np.var(scores, ddof=1)) if len(scores) > 1 else 0.0
    if not free or not spread:
        return None
    means = np.bincount(which, scores) / counts
    return min(1.0, float(np.sum((scores - means[which]) ** 2)) / free / spread)


def _levels(genes: Sequence[Gene], genotypes: Sequence[Genotype]) -> tuple[np.ndarray, list[Axis]]:
    """Level of each gene in each genotype, shape (n, genes), int64, and the genes as axes.

    Every value of a gene is a level, or one of CELLS parts of its range. Where genotypes lack a gene, that is a further
    level, as likely as it is among them.
    """
    columns, axes = [], []
    for place, gene in enumerate(genes):
        count = gene_values.size(gene) if isinstance(gene, Choice | Integer) else CELLS
        count = count if isinstance(gene, Choice) else min(count, CELLS)
        column = np.array([_level(gene, g[place], count) if place < len(g) else count for g in genotypes], np.int64)
        absent = float(np.mean(column == count))
        masses = np.full(count, (1 - absent) / count)
        axes.append(Axis(np.append(masses, absent) if absent else masses, not isinstance(gene, Choice)))
        columns.append(column)
    return np.stack(columns, 1), axes


def _level(gene: Gene, value: float, count: int) -> int:
    if isinstance(gene, Choice):
        return int(value)
    unit = float(gene_values.to_vector([gene], (value,))[0])
    return min(max(math.floor(unit * count), 0), count - 1)


def _meanings(names: Sequence[str]) -> dict[str, list[int]]:
    """Positions of genes whose names are the same but for numbers: "normal 2a is" and "normal 5b is" are "normal is".

    Empty where that leaves one group, or none.
    """
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        words = (re.sub(r"\d+", "", word).strip("_-./>") for word in name.split() if not word[0].isdigit())
        found.setdefault(" ".join(word for word in words if word) or "others", []).append(place)
    return found if 1 < len(found) < len(names) else {}
