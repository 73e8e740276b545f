"""Which genes a score depends on: the variance of a random forest, split among genes and pairs of genes.

Functional analysis of variance after Hutter, Hoos, Leyton-Brown 2014, "An Efficient Approach for Assessing
Hyperparameter Importance". Every gene is a finite set of levels, so that a leaf of a tree is a set of levels for each
gene, and the effects of a forest follow from its leaves exactly. Departures: effects are those of a whole forest, not
of its single trees, which fit noise; there is a forest for each of several resamples of the trials, and how they differ
says how sure a share is; only what is left when all single effects are taken off is averaged over random points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 12
TREES = 16  # for each resample
LEAF = 2  # measurements in a leaf, at least
FEATURES = 0.8  # share of the columns among which a split is chosen
POINTS = 4000  # random points


@dataclass(frozen=True)
class Axis:
    """The levels of one gene.

    Args:
        masses: Share of the space that each level has, shape (levels,); they add up to 1.
        is_ordered: Whether levels that are beside each other are alike.
    """

    masses: np.ndarray
    is_ordered: bool


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the variance over the space, a row for each of R resamples.

    Args:
        genes: Share of each gene by itself, shape (R, genes).
        pairs: Share of what two genes do beyond their single effects, shape (R, pairs).
        paired: The genes of each pair, shape (pairs, 2), int64.
        groups: Share of all that the genes of a group do among themselves, shape (R, groups).
        explained: Share of the variance of measurements that forests which had not seen them predict; below 0: they
            predict worse than the mean does.
    """

    genes: np.ndarray
    pairs: np.ndarray
    paired: np.ndarray
    groups: np.ndarray
    explained: float


def decompose(
    axes: Sequence[Axis],
    levels: np.ndarray,
    scores: np.ndarray,
    networks: np.ndarray,
    rng: np.random.Generator,
    most_paired: int = 15,
    groups: Sequence[Sequence[int]] = (),
) -> VarianceShares:
    """Split the variance of the scores over the space.

    Args:
        axes: The genes.
        levels: Level of each gene in each measurement, shape (n, genes), int64.
        scores: What was measured, shape (n,); not all equal.
        networks: A number for each measurement, shape (n,), int64; those of one network are equal, and drawn together.
        rng: Draws resamples, forests and points.
        most_paired: Number of genes, the strongest, whose pairs are looked at.
        groups: Positions of the genes of each group.

    Returns:
        Shares from 0 to 1; those of genes and pairs and what is missing to 1, which is due to more genes together.
    """
    grid = _Grid(axes)
    columns = grid.columns(levels)
    points = grid.draw(POINTS, rng)
    others = [grid.draw_but(points, group, rng) for group in groups]
    forests, predicted, seen = [], np.zeros(len(scores)), np.zeros(len(scores))
    for weights in _resamples(networks, rng):
        kept = weights > 0
        forest = _fit(columns[kept], scores[kept], weights[kept], rng)
        if not kept.all():
            predicted[~kept] += forest.predict(columns[~kept])
            seen[~kept] += 1
        forests.append(_Effects.of(forest, grid))
    strongest = np.argsort(-np.mean([each.singles() for each in forests], 0), kind="stable")[:most_paired]
    paired = np.array([(a, b) for k, a in enumerate(sorted(strongest)) for b in sorted(strongest)[k + 1 :]], np.int64)
    paired = paired.reshape(-1, 2)
    rows = [each.shares(paired, points, others, groups) for each in forests]
    is_seen = seen > 0
    residual = scores[is_seen] - predicted[is_seen] / seen[is_seen]
    spread = float(np.sum((scores[is_seen] - scores[is_seen].mean()) ** 2)) if is_seen.any() else 0.0
    explained = 1 - float(np.sum(residual**2)) / spread if spread else 0.0
    genes, pairs, grouped = (np.array(part) for part in zip(*rows, strict=True))
    return VarianceShares(genes, pairs, paired, grouped, explained)


class _Grid:
    """The columns that trees see, and the levels that lie behind each of them.

    An ordered gene, or one of two levels, is one column with the number of its level; any other has a column of 0 and 1
    for each level.
    """

    def __init__(self, axes: Sequence[Axis]):
        self.axes = axes
        self.sizes = np.array([len(axis.masses) for axis in axes])
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.masses = np.concatenate([axis.masses for axis in axes])
        self.owner = np.repeat(np.arange(len(axes)), self.sizes)
        self.is_whole = np.array([axis.is_ordered or len(axis.masses) <= 2 for axis in axes])
        self.column_gene = np.concatenate(
            [[gene] * (1 if self.is_whole[gene] else self.sizes[gene]) for gene in range(len(axes))]
        ).astype(np.int64)
        first = np.searchsorted(self.column_gene, np.arange(len(axes)))
        self.column_level = np.arange(len(self.column_gene)) - first[self.column_gene]

    def columns(self, levels: np.ndarray) -> np.ndarray:
        """What trees see of some points, shape (n, columns), float32."""
        own = levels[:, self.column_gene]
        return np.where(self.is_whole[self.column_gene], own, own == self.column_level).astype(np.float32)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Random points of the space, shape (count, genes), int64."""
        drawn = [rng.choice(len(axis.masses), count, p=axis.masses) for axis in self.axes]
        return np.stack(drawn, 1)

    def draw_but(self, points: np.ndarray, kept: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """The points with all genes drawn anew but some; shape of `points`."""
        drawn = self.draw(len(points), rng)
        drawn[:, list(kept)] = points[:, list(kept)]
        return drawn

    def left(self, column: int, threshold: float) -> tuple[int, int, np.ndarray]:
        """The levels of the gene of a column: their first and last plus one, and which of them go left at a split."""
        gene = self.column_gene[column]
        start, size = int(self.starts[gene]), int(self.sizes[gene])
        level = np.arange(size)
        values = level if self.is_whole[gene] else level == self.column_level[column]
        return start, start + size, values <= threshold


@dataclass
class _Leaves:
    """The leaves of a tree.

    Args:
        admits: Which levels of all genes each leaf admits, shape (leaves, levels), bool.
        shares: What share of each gene that is, shape (leaves, genes).
        weights: The value of each leaf times its share of the space, shape (leaves,).
    """

    admits: np.ndarray
    shares: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(tree: Any, grid: _Grid) -> _Leaves:
        admits = np.ones((tree.node_count, len(grid.masses)), bool)
        for node in range(tree.node_count):  # a node stands before its children
            low, high = tree.children_left[node], tree.children_right[node]
            if low == high:
                continue
            start, stop, is_left = grid.left(tree.feature[node], tree.threshold[node])
            admits[low] = admits[high] = admits[node]
            admits[low, start:stop] &= is_left
            admits[high, start:stop] &= ~is_left
        is_leaf = tree.children_left == tree.children_right
        admits = admits[is_leaf]
        shares = np.add.reduceat(admits * grid.masses, grid.starts, axis=1)
        return _Leaves(admits, shares, tree.value[is_leaf, 0, 0] * shares.prod(1))


class _Effects:
    """A forest as the sum of its effects."""

    def __init__(self, forest: Any, grid: _Grid, trees: Sequence[_Leaves]):
        self.forest, self.grid, self.trees = forest, grid, trees
        self.mean = float(np.mean([leaves.weights.sum() for leaves in trees]))
        single = [((t.weights[:, None] / t.shares)[:, grid.owner] * t.admits).sum(0) for t in trees]
        self.single = np.mean(single, 0) - self.mean  # effect of each level of each gene

    @staticmethod
    def of(forest: Any, grid: _Grid) -> _Effects:
        return _Effects(forest, grid, [_Leaves.of(each.tree_, grid) for each in forest.estimators_])

    def singles(self) -> np.ndarray:
        """The variance of the effect of each gene by itself, shape (genes,)."""
        return np.add.reduceat(self.grid.masses * self.single**2, self.grid.starts)

    def shares(
        self, paired: np.ndarray, points: np.ndarray, others: Sequence[np.ndarray], groups: Sequence[Sequence[int]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shares of genes, pairs and groups in the variance of the forest."""
        singles, rest = self.singles(), self._rest(points)
        whole = float(singles.sum() + np.mean(rest**2)) or 1.0
        pairs = np.array([self._pair(a, b) for a, b in paired.tolist()])
        grouped = [
            singles[list(group)].sum() + max(0.0, float(np.mean(rest * self._rest(other))))
            for group, other in zip(groups, others, strict=True)
        ]
        return singles / whole, pairs / whole, np.array(grouped) / whole

    def _rest(self, points: np.ndarray) -> np.ndarray:
        """What the forest says of points beyond its mean and single effects, shape (n,)."""
        additive = self.single[points + self.grid.starts].sum(1)
        return np.asarray(self.forest.predict(self.grid.columns(points))) - self.mean - additive

    def _pair(self, a: int, b: int) -> float:
        """The variance of what two genes do beyond their single effects."""
        (first, masses_a), (second, masses_b) = self._levels(a), self._levels(b)
        both = np.mean(
            [
                (t.admits[:, first] * (t.weights / (t.shares[:, a] * t.shares[:, b]))[:, None]).T @ t.admits[:, second]
                for t in self.trees
            ],
            0,
        )
        beyond = both - self.mean - self.single[first][:, None] - self.single[second]
        return float(masses_a @ beyond**2 @ masses_b)

    def _levels(self, gene: int) -> tuple[slice, np.ndarray]:
        start = int(self.grid.starts[gene])
        span = slice(start, start + int(self.grid.sizes[gene]))
        return span, self.grid.masses[span]


def _resamples(networks: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each measurement counts in each resample, shape (n,): networks are drawn with replacement."""
    _, which = np.unique(networks, return_inverse=True)
    count = int(which.max()) + 1
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        yield times[which].astype(np.float64)


def _fit(columns: np.ndarray, scores: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Any:
    from sklearn.ensemble import RandomForestRegressor  # here, as few processes need it and it takes half a second

    forest = RandomForestRegressor(
        TREES, min_samples_leaf=LEAF, max_features=FEATURES, bootstrap=False, random_state=int(rng.integers(2**31))
    )
    return forest.fit(columns, scores, sample_weight=weights)
