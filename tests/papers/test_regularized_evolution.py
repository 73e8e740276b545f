"""Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search": space, sizes and mutation.

Sizes were recomputed from the rules of the code that AmoebaNets were published with, and by a second construction apart
from this package; printed ones stand beside them. The toy problem has a file of its own, and so have the evolutions.
"""

from collections import Counter, deque
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path

import pytest
from scipy import stats

from netwright.core import refs, run_file, seeds
from netwright.core.genes import size
from netwright.core.records import IO, Result, Trial
from netwright.plans import counting
from netwright.spaces.nasnet import NasnetSpace
from netwright.strategies.aging import AgingEvolution

RECIPES = Path(__file__).parents[2] / "recipes"
SPACE = NasnetSpace()
CIFAR = IO(3, 32, 32, 10)


def _images(side):
    return IO(3, side, side, 1000)


def _of(letter, repeats, channels, io=CIFAR, **options):
    """Space and genotype of an AmoebaNet."""
    entry = refs.locate("zoo", f"amoebanet-{letter.lower()}")
    skeleton = "cifar" if io == CIFAR else "imagenet"
    return replace(entry.space, repeats=repeats, channels=channels, skeleton=skeleton, **options), entry.genotype


@pytest.mark.parametrize(
    ("letter", "repeats", "channels", "io", "params", "billions"),
    [
        ("A", 6, 32, CIFAR, 2_567_754, "0.408"),
        ("A", 6, 36, CIFAR, 3_218_266, "0.510"),
        ("B", 6, 36, CIFAR, 2_839_186, "0.455"),
        ("B", 6, 80, CIFAR, 13_716_250, "2.195"),
        ("B", 6, 128, CIFAR, 34_874_506, "5.580"),
        ("C", 6, 32, CIFAR, 3_169_898, "0.487"),
        ("C", 6, 36, CIFAR, 3_979_126, "0.610"),
        ("D", 6, 36, CIFAR, 2_378_350, "0.381"),
        ("A", 3, 24, CIFAR, 843_322, "0.139"),
        ("B", 3, 24, CIFAR, 677_938, "0.117"),
        ("C", 3, 24, CIFAR, 1_043_554, "0.164"),
        ("D", 3, 24, CIFAR, 557_842, "0.097"),
        ("A", 6, 190, _images(331), 86_718_797, "23.13"),
        ("A", 6, 204, _images(331), 99_625_282, "26.62"),
        ("A", 6, 448, _images(299), 468_151_184, "103.89"),
        ("A", 6, 448, _images(331), 468_151_184, "126.5"),
        ("A", 4, 50, _images(224), 5_086_930, "0.5547"),
        ("B", 3, 62, _images(224), 5_258_700, "0.555"),
        ("B", 6, 190, _images(331), 79_008_676, "20.93"),
        ("B", 6, 196, _images(331), 83_960_973, "22.27"),
        ("B", 6, 512, _images(480), 557_277_864, "298.8"),
        ("C", 6, 228, _images(331), 155_272_667, "41.13"),
        ("C", 4, 44, _images(224), 5_056_969, "0.535"),
        ("C", 4, 50, _images(224), 6_353_815, "0.677"),
        ("D", 6, 256, _images(224), 121_911_016, "14.19"),
        ("D", 2, 256, _images(224), 46_095_080, "5.72"),
    ],
)
def test_sizes(letter, repeats, channels, io, params, billions):
    """Check 1. Printed among others: 2.6, 3.2, 2.8, 13.7, 34.9 M; 86.7 M and 23.1 B; 469 M and 104 B; 5.1 M and 555 M.

    The stride of 1x7-7x1 is (1, s), then (s, 1): all of it in the first would give A (4, 50) 552.6 M.
    """
    space, genotype = _of(letter, repeats, channels, io)
    counts = space.count(genotype, io)
    assert counts.params == params
    digits = len(billions.partition(".")[2])
    assert f"{counts.multiply_adds / 1e9:.{digits}f}" == billions


@pytest.mark.parametrize(
    ("letter", "channels", "io", "millions"),
    [
        ("A", 190, _images(331), "75.07"),
        ("B", 190, _images(331), "70.34"),
        ("C", 228, _images(331), "123.17"),
        ("A", 36, CIFAR, "2.825"),
        ("B", 128, CIFAR, "31.28"),
    ],
)
def test_sizes_with_the_unused_states_concatenated(letter, channels, io, millions):
    """Check 2: the published lists are data."""
    space, genotype = _of(letter, 6, channels, io, concatenated=None)
    digits = len(millions.partition(".")[2])
    assert f"{space.count(genotype, io).params / 1e6:.{digits}f}" == millions


@pytest.mark.parametrize(
    ("letter", "channels", "io", "scale", "millions"),
    [("A", 36, CIFAR, 1.0, "4.84"), ("A", 448, _images(331), 0.4, "469.2")],
)
def test_sizes_with_the_auxiliary_head(letter, channels, io, scale, millions):
    space, genotype = _of(letter, 6, channels, io, auxiliary=True, auxiliary_scale=scale)
    params = counting.count(space.plan(genotype, io), auxiliary=True).params
    assert f"{params / 1e6:.{len(millions.partition('.')[2])}f}" == millions


@pytest.mark.parametrize(
    ("letter", "channels", "features"),
    [("A", 190, 3040), ("A", 448, 7168), ("B", 190, 3040), ("C", 228, 4560), ("D", 256, 4096)],
)
def test_width_before_the_classifier(letter, channels, features):
    """Check 3."""
    space, genotype = _of(letter, 6, channels, _images(224))
    *_, mean, dropout, linear = space.plan(genotype, _images(224))
    assert (mean.shape.features, dropout.op.name, linear.op.name) == (features, "dropout", "linear")


def test_size_of_the_space():
    """Check 4, and that of one cell."""
    sizes = [size(gene) for gene in SPACE.genes]
    assert prod(sizes) == 309_834_464_941_077_422_470_594_560_000
    assert prod(sizes[:20]) == prod(sizes[20:]) == 556_627_761_561_600


def test_random_architectures_are_uniform():
    """Check 5: states over those before, operations over all 8; neighbors independent."""
    drawn = [SPACE.sample(seeds.rng_for(0, seeds.ASK, n)) for n in range(8000)]
    for position, gene in enumerate(SPACE.genes):
        observed = Counter(genotype[position] for genotype in drawn)
        expected = 2 + position % 20 // 4 if gene.kind == "state" else 8
        assert set(observed) == set(range(expected))
        assert stats.chisquare(list(observed.values())).pvalue > 1e-5
        if position:
            both = Counter((genotype[position - 1], genotype[position]) for genotype in drawn)
            pairs = product(range(size(SPACE.genes[position - 1])), range(expected))
            assert stats.chisquare([both[pair] for pair in pairs]).pvalue > 1e-5


def test_mutation():
    """Checks 6 and 7: 5 % copies, then states and operations as often; one field changes, the parent stays."""
    parent, draws = SPACE.sample(seeds.rng_for(1, seeds.ASK)), 40_000
    before, copies, changed = tuple(parent), 0, [Counter() for _ in SPACE.genes]
    for n in range(draws):
        child = SPACE.mutate(parent, seeds.rng_for(2, seeds.ASK, n))
        fields = [position for position in range(40) if child[position] != parent[position]]
        assert len(fields) <= 1
        copies += not fields
        for position in fields:
            changed[position][child[position]] += 1
    assert parent == before
    # an operation is drawn from all 8, so that one in 8 stays
    assert copies / draws == pytest.approx(0.05 + 0.475 / 8, abs=0.006)
    for gene, values in zip(SPACE.genes, changed, strict=True):
        assert len(values) == size(gene) - 1, "every other value"
        assert len(values) == 1 or stats.chisquare(list(values.values())).pvalue > 1e-5
    states, operations = ([values.total() for values in changed[first::2]] for first in (0, 1))
    assert sum(states) / draws == pytest.approx(0.475, abs=0.01)
    for times in (states, operations):  # cell, combination and element uniform
        assert stats.chisquare(times).pvalue > 1e-4


def test_evolution_on_the_space():
    """Checks 8 and 9: the population is the last P of the history, whose best is the answer."""
    population, trials = 10, 60
    strategy, streams = AgingEvolution(SPACE, population=population, sample=4), seeds.Streams(3)
    history, last = [], deque(maxlen=population)
    for n in range(1, trials + 1):
        proposal = strategy.ask(streams.rng(seeds.ASK, n), ())
        if n > population:
            assert proposal.parents[0] in [row.id for row in last]
        score = float(streams.rng(seeds.TRAIN, n).random())
        row = Trial(n, proposal, str(n), n, "done", Result({"valid_accuracy": score}), (score,), n)
        strategy.tell(row, streams.rng(seeds.TELL, n))
        history.append(row)
        last.append(row)
        assert [member.trial_id for member in strategy._members] == [each.id for each in last]
    assert len(history) == trials


@pytest.mark.parametrize(
    ("io", "skeleton", "sides"),
    [
        (_images(331), "imagenet", [165, 83, 42, 21, 11]),
        (_images(224), "imagenet", [111, 56, 28, 14, 7]),
        (CIFAR, "cifar", [32, 16, 8]),
    ],
)
def test_reduction_cells_halve_the_resolution(io, skeleton, sides):
    """Check 15."""
    space, genotype = _of("A", 2, 8, io)
    assert space.skeleton == skeleton
    plan = space.plan(genotype, io)
    ends = dict.fromkeys(layer.shape.height for layer in plan if layer.scope and layer.op.name in ("norm", "concat"))
    assert list(ends) == sides


def test_the_search_is_at_the_papers_scale_by_default():
    """N = 3, F = 24."""
    space, genotype = _of("A", None, None)
    assert space.count(genotype, CIFAR).params == 843_322


def test_what_the_search_cost():
    """Check 16: 3,150 GPU-days in a week; 1.125 million examples per model, as another paper's table has it."""
    run = run_file.from_tables(run_file.read(RECIPES / "controlled-cifar10.toml"))
    assert run.executor.options["workers"] * 7 == 3150
    trained_on = 50_000 - run.task.options["valid"]
    assert run.evaluator.options["epochs"] * trained_on == 1_125_000
    assert run.limits.trials == 20_000
