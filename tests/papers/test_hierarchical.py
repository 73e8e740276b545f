"""Liu et al. 2018, "Hierarchical Representations for Efficient Architecture Search": published and derived numbers.

Parameter counts are of convolutions without bias, batch normalization with scale and shift, and one linear layer with
bias. Numbers under 1 to 6 were computed twice, independently of this package; the 15.7 M of check 1 is published.
"""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from netwright.cells.motif_graphs import write_motif
from netwright.controller import Search
from netwright.core import building, run_file, seeds
from netwright.core.records import IO, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.plans import counting, network
from netwright.plans.plan import PlanWriter
from netwright.spaces.flat import flat_space
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.memory import MemoryStore
from netwright.strategies.tournament import Tournament, tournament_size, winning_rank
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask
from netwright.zoo.hierarchical import MOTIFS
from netwright.zoo.hierarchical import plugin as published
from tests.verified import IS_VERIFIED

RECIPES = Path(__file__).parents[2] / "recipes"
CIFAR, IMAGENET = IO(3, 32, 32, 10), IO(3, 299, 299, 1000)
SPACE, FLAT = HierarchicalSpace(), flat_space()
EVOLVED = published.genotype


@pytest.mark.parametrize(
    ("channels", "repeats", "params", "weights"),
    [(16, 1, 542_138, 531_696), (64, 2, 15_727_306, 15_644_352), (128, 2, 61_896_074, 61_730_176)],
)
def test_01_parameters_of_the_evolved_cell(channels, repeats, params, weights):
    space = replace(SPACE, channels=channels, repeats=repeats)
    assert space.count(EVOLVED, CIFAR).params == params
    with torch.device("meta"):
        built = network.Network(space.plan(EVOLVED, CIFAR))
    assert sum(p.numel() for p in built.parameters()) == params
    assert sum(p.numel() for p in built.parameters() if p.dim() > 1) == weights


def test_01_parameters_on_imagenet():
    assert replace(SPACE, skeleton="imagenet").count(EVOLVED, IMAGENET).params == 62_832_520
    scaled = replace(SPACE, skeleton="imagenet", channels=64, repeats=2)
    assert scaled.count(EVOLVED, IMAGENET).params == 62_832_520


@pytest.mark.parametrize(
    ("width", "params", "outputs"),
    [(16, 29_856, 64), (64, 377_472, 256), (128, 1_443_072, 512), (256, 5_638_656, 1024)],
)
def test_02_the_cell_alone(width, params, outputs):
    writer = PlanWriter(IO(width, 8, 8, 10))
    end = write_motif(writer, SPACE.cell(EVOLVED), writer.image, width)
    assert (counting.count(writer.plan()).params, writer.channels(end)) == (params, outputs)


# motif 1 to 6, input of 16, 32, 48 channels, C = 16
MOTIF_PARAMS = [
    (2240, 3584, 4928),
    (2704, 4512, 6320),
    (2528, 3760, 4992),
    (1920, 3232, 4544),
    (2496, 3952, 5408),
    (1664, 3008, 4352),
]


@pytest.mark.parametrize("number", range(1, 7))
def test_03_motifs_alone(number):
    for channels, params in zip((16, 32, 48), MOTIF_PARAMS[number - 1], strict=True):
        writer = PlanWriter(IO(channels, 8, 8, 10))
        # a cell whose only edge is the motif
        space = HierarchicalSpace(nodes=(4, 2))
        cell = space.cell((*(v for motif in MOTIFS for v in motif), number))
        end = write_motif(writer, cell, writer.image, 16)
        assert counting.count(writer.plan()).params == params
        assert writer.channels(end) == 16


@pytest.mark.parametrize(
    ("number", "widths"), [(n, (1, 1, 2, 3) if n in (2, 5) else (1, 1, 2, 4)) for n in range(1, 7)]
)
def test_04_node_widths_in_the_evolved_motifs(number, widths):
    flat = flat_space(nodes=4)
    for node, width in enumerate(widths[1:], start=2):
        writer = PlanWriter(IO(16, 8, 8, 10))
        # the motif's first `node` nodes alone: its last node then is node `node`
        edges = [value for (_, target), value in zip(_edges(4), MOTIFS[number - 1], strict=True) if target <= node]
        cell = replace(flat, nodes=(node,), unread="build").cell(tuple(edges))
        assert writer.channels(write_motif(writer, cell, writer.image, 16)) == 16 * width


def test_05_trivial_genotypes():
    assert SPACE.count(SPACE.trivial(), CIFAR).params == 31_498
    assert replace(SPACE, channels=64, repeats=2).count(SPACE.trivial(), CIFAR).params == 902_474
    assert FLAT.count(FLAT.trivial(), CIFAR).params == 9_098


def test_06_all_identity_flat_cell_doubles_at_every_node():
    writer = PlanWriter(IO(3, 8, 8, 10))
    end = write_motif(writer, FLAT.cell((6,) * 55), writer.image, 3)
    assert writer.channels(end) == 512 * 3


def test_07_sizes_of_the_spaces():
    sizes = {len(gene.options) for gene in (*SPACE.genes, *FLAT.genes)}
    assert (len(SPACE.genes), len(FLAT.genes), sizes) == (46, 55, {7})
    assert math.prod(len(g.options) for g in SPACE.genes) == 749048330965186233494494102694564493649
    assert math.prod(len(g.options) for g in FLAT.genes) == 30226801971775055948247051683954096612865741943


def test_08_mutation_targets():
    """In the evolved cell no mutation can cut off the output, so none is drawn again."""
    draws, targeted, levels = 60_000, Counter(), Counter()
    streams = seeds.Streams(8)
    changed_by_target = Counter()
    for n in range(draws):
        mutant = SPACE.mutate(EVOLVED, streams.rng(seeds.ASK, n))
        changed = [i for i, (old, new) in enumerate(zip(EVOLVED, mutant, strict=True)) if old != new]
        assert len(changed) <= 1
        changed_by_target.update(changed)
        levels.update("cell" if i >= 36 else "motifs" for i in changed)
        targeted["none"] += not changed
    assert _is_near(targeted["none"], draws, 1 / 7)
    assert _is_near(levels["cell"], draws, 1 / 2 * 6 / 7)
    cell = {edge: 36 + i for i, edge in enumerate(_edges(5))}
    motif_3 = {edge: 12 + i for i, edge in enumerate(_edges(4))}
    for position, chance in (
        (cell[1, 2], 1 / 8),
        (cell[4, 5], 1 / 32),
        (motif_3[1, 2], 1 / 36),
        (motif_3[3, 4], 1 / 108),
    ):
        assert _is_near(changed_by_target[position], draws, chance * 6 / 7)
    full = (1,) * 55
    hits = Counter()
    for n in range(draws):
        mutant = FLAT.mutate(full, streams.rng(seeds.TELL, n))
        hits.update(i for i in range(55) if mutant[i] != full[i])
    assert _is_near(hits[0], draws, 1 / 10 * 6 / 7)
    assert _is_near(hits[54], draws, 1 / 100 * 6 / 7)


def test_09_a_thousand_mutations_are_uniform():
    streams = seeds.Streams(9)
    genotypes = np.array([SPACE.sample(streams.rng(seeds.ASK, n)) for n in range(3000)])
    # a cell whose output is cut off is drawn again, which favors edges into the output a little: motif genes are exact
    for gene in range(36):
        counts = np.bincount(genotypes[:, gene], minlength=7)
        assert stats.chisquare(counts).pvalue > 1e-4
    assert _is_near((genotypes[:, :36] == 0).sum(), genotypes[:, :36].size, 1 / 7)


def test_09_drawing_all_mutations_at_once_is_making_them_one_by_one():
    """With few mutations the two would differ if the shortcut were wrong."""
    space, streams = HierarchicalSpace(diversification=3), seeds.Streams(10)

    def one_by_one(rng):
        while True:
            genotype = np.array(space.trivial())
            for _ in range(3):
                level, edges, start = (3, _edges(5), 36) if rng.random() < 0.5 else (2, _edges(4), 6 * rng.integers(6))
                target = rng.integers(2, 6 if level == 3 else 5)
                source = rng.integers(1, target)
                genotype[start + edges.index((source, target))] = rng.integers(7)
            if space.cell(tuple(genotype.tolist())) is not None:
                return tuple(genotype.tolist())

    ours = Counter(_changes(space, space.sample(streams.rng(seeds.ASK, n))) for n in range(4000))
    theirs = Counter(_changes(space, one_by_one(streams.rng(seeds.TELL, n))) for n in range(4000))
    table = np.array([[ours[k] + 1, theirs[k] + 1] for k in sorted(ours | theirs)])
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_10_sizes_of_random_genotypes():
    """As specified, nodes whose output is read by nobody are counted here; by default they are left out."""
    count = 4000 if IS_VERIFIED else 1200
    space, streams = replace(SPACE, unread="build"), seeds.Streams(11)
    sizes = [space.count(space.sample(streams.rng(seeds.ASK, n)), CIFAR).params for n in range(count)]
    assert np.median(sizes) == pytest.approx(290_000, rel=0.03)
    assert np.mean(sizes) == pytest.approx(286_000, rel=0.03)
    assert np.percentile(sizes, [5, 95]) == pytest.approx([130_000, 425_000], rel=0.06)
    assert max(sizes) < 600_000
    flat = replace(FLAT, unread="build")
    sizes = [flat.count(flat.sample(streams.rng(seeds.TELL, n)), CIFAR).params for n in range(count // 3)]
    assert np.median(sizes) == pytest.approx(1_170_000, rel=0.05)
    assert np.mean(sizes) == pytest.approx(1_210_000, rel=0.05)
    assert np.percentile(sizes, [5, 95]) == pytest.approx([580_000, 2_020_000], rel=0.08)


def test_10_sizes_of_random_genotypes_as_the_recipes_count_them():
    """Without what nobody reads; in the space of the recipe. Smaller than as specified, by 7 % in the median."""
    count, streams = 4000 if IS_VERIFIED else 400, seeds.Streams(11)
    space = building.load_space(run_file.from_tables(run_file.read(RECIPES / "hierarchical-cifar10.toml")).space)
    drawn = [space.sample(streams.rng(seeds.ASK, n)) for n in range(count)]
    sizes = [space.count(genotype, CIFAR).params for genotype in drawn]
    assert np.median(sizes) == pytest.approx(271_000, rel=0.03)
    literal = replace(space, unread="build")
    larger = [literal.count(each, CIFAR).params - size for each, size in zip(drawn[:100], sizes, strict=False)]
    assert min(larger) >= 0 and sum(more > 0 for more in larger) > 30


def test_10_share_of_invalid_genotypes():
    rng = seeds.rng_for(12, seeds.ASK)
    count = 40_000 if IS_VERIFIED else 16_000
    genotypes = rng.integers(0, 7, (count, 46)).tolist()
    invalid = sum(SPACE.cell(tuple(genotype)) is None for genotype in genotypes)
    assert invalid / count == pytest.approx(0.0025, abs=0.0008)


@pytest.mark.parametrize("side", [24, 32])
def test_11_the_small_model_takes_both_image_sizes(side):
    built = SPACE.build(EVOLVED, CIFAR, seeds.rng_for(0, seeds.BUILD)).eval()
    assert built(torch.zeros(2, 3, side, side)).shape == (2, 10)


def test_12_tournament_sizes():
    assert (tournament_size(200, 0.05), tournament_size(7000, 0.05), tournament_size(3, 0.05)) == (10, 350, 1)


def test_12_the_winner_is_the_fittest_of_a_random_subset():
    """The rank drawn directly has the distribution of the best of an explicit subset."""
    streams, draws = seeds.Streams(13), 20_000
    population, size = 40, 6
    ours = [winning_rank(population, size, 1.0, streams.rng(seeds.ASK, n)) for n in range(draws)]
    chances = [
        math.comb(population - 1 - rank, size - 1) / math.comb(population, size)
        for rank in range(population - size + 1)
    ]
    assert _fits(ours, chances)
    assert winning_rank(5, 5, 1.0, streams.rng(seeds.ASK, 0)) == 0
    assert {winning_rank(3, 1, 1.0, streams.rng(seeds.ASK, n)) for n in range(50)} == {0, 1, 2}


def test_12_with_probability_the_next_best_wins_in_turn():
    streams, draws, p = seeds.Streams(14), 20_000, 0.6
    size = 4  # the whole population: rank is place
    ours = [winning_rank(size, size, p, streams.rng(seeds.ASK, n)) for n in range(draws)]
    assert _fits(ours, [p, p * (1 - p), p * (1 - p) ** 2, (1 - p) ** 3])
    inner = [winning_rank(10, 3, p, streams.rng(seeds.TELL, n)) for n in range(draws)]
    chances = [0.0] * 10
    for place, chance in enumerate((p, p * (1 - p), (1 - p) ** 2)):
        for rank in range(10):
            chances[rank] += chance * math.comb(rank, place) * math.comb(9 - rank, 2 - place) / math.comb(10, 3)
    assert _fits(inner, chances)


def test_12_nothing_is_removed():
    strategy = Tournament(ToySpace(), initial=20)
    for n in range(1, 301):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ())
        assert bool(proposal.parents) == (n > 20)
        trial = Trial(n, proposal, str(n), n, "done", Result({"valid_accuracy": 0.5}), (n % 7 / 7,), n)
        strategy.tell(trial, seeds.rng_for(0, seeds.TELL, n))
        assert len(strategy._ranking) == n


def test_13_examples_seen_by_one_fitness():
    run = run_file.from_tables(run_file.read(RECIPES / "hierarchical-cifar10.toml"))
    options = run.evaluator.options
    assert options["repeats"] * options["steps"] * options["batch"] == 5_120_000
    assert (run.limits.trials, run.executor.options["workers"], run.strategy.options["initial"]) == (7000, 200, 200)


def test_14_workers_divide_the_time():
    """7,000 evaluations of an hour by 200 workers: 35 hours, in each of which evolution goes on."""
    strategy = Tournament(ToySpace(), initial=200)
    finished, hours = {}, 0
    while len(finished) < 7000:
        pending = []
        for n in range(len(finished) + 1, len(finished) + 201):
            proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), tuple(pending))
            assert proposal is not None, "no barrier: a free worker always gets work once anything has finished"
            assert len(proposal.parents) == (n > 200), "children, once the start population is there"
            assert all(parent in finished for parent in proposal.parents), "of what is known by then"
            pending.append(Trial(n, proposal, str(n), n, "running"))
        for trial in pending:
            score = sum(trial.proposal.genotype)
            done = replace(trial, status="done", scores=(score,), finish=trial.id)
            strategy.tell(done, seeds.rng_for(0, seeds.TELL, trial.id))
            finished[trial.id] = score
        hours += 1
    assert hours == 35
    assert np.mean([finished[n] for n in range(6801, 7001)]) > max(finished[n] for n in range(1, 201))


def test_15_evolution_beats_its_start_population():
    store = MemoryStore()
    evaluator = ToyEvaluator(ToySpace(length=46, options=7), ToyTask())
    strategy = Tournament(evaluator.space, initial=200)
    Search(evaluator.space, strategy, store, Inline(evaluator), limits=Limits(trials=600), seed=1).run()
    fitness = [trial.result.metrics["valid_accuracy"] for trial in store.finished()]
    assert np.mean(fitness[500:]) > max(fitness[:200])
    assert np.mean(fitness[250:300]) > np.mean(fitness[:200]) + 3 * np.std(fitness[:200]) / math.sqrt(50)


def _edges(nodes):
    """(source, destination), nodes counted from 1 as in the paper, in the order of the genes."""
    return [(source, target) for target in range(2, nodes + 1) for source in range(1, target)]


def _is_near(hits, draws, chance):
    """Within four standard deviations of a binomial."""
    return abs(hits - draws * chance) < 4 * math.sqrt(draws * chance * (1 - chance))


def _fits(ranks, chances):
    observed = np.bincount(ranks, minlength=len(chances))
    expected = np.array(chances) * len(ranks)
    big = expected >= 5
    observed = np.append(observed[big], observed[~big].sum())
    expected = np.append(expected[big], expected[~big].sum())
    if expected[-1] == 0:
        assert observed[-1] == 0
        observed, expected = observed[:-1], expected[:-1]
    return stats.chisquare(observed, expected).pvalue > 1e-4


def _changes(space, genotype):
    """How many genes of the cell and of the motifs differ from the trivial genotype, and how many are none."""
    differs = [a != b for a, b in zip(genotype, space.trivial(), strict=True)]
    return sum(differs[:36]), sum(differs[36:]), genotype[36] != 1
