"""Luo et al. 2018, "Neural Architecture Optimization": space, token sequences, sizes and recipes of the NAONets.

Sizes were counted in the networks of the authors' PyTorch program and by the rules of their TensorFlow programs; 144.6
and 2.5 million are printed too. The method has a file of its own.
"""

from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
import torch

from netwright.controller import Search
from netwright.core import building, genes, refs, run_file, seeds
from netwright.core.genes import size
from netwright.core.records import IO
from netwright.core.run_file import Limits
from netwright.plans import counting
from netwright.plans.names import module_of
from netwright.plans.regularization import Regularization
from netwright.spaces.nao import NaoSpace
from netwright.stores.memory import MemoryStore
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, EncoderPredictorDecoder, TokenChoices
from netwright.surrogates.encoder_predictor_decoder import size as controller_size
from netwright.training import settings as step_settings
from netwright.training.epochs import EvenEpochs
from netwright.training.settings import StepSettings
from tests.tiny_data import cifar

RECIPES = Path(__file__).parents[2] / "recipes"
CIFAR = IO(3, 32, 32, 10)
CIFAR_100 = IO(3, 32, 32, 100)
IMAGENET = IO(3, 224, 224, 1000)
LARGE, SMALL = NaoSpace(operations="large"), NaoSpace(operations="small")
TRIPLES = NaoSpace(operations="large", genes_per_branch=3)

NAONET_TOKENS = (
    "1 9 16 2 11 17 3 9 19 2 9 16 1 9 14 2 9 16 1 9 19 5 9 16 2 7 14 1 9 16 "
    "1 9 16 2 11 15 1 9 14 1 11 16 2 9 20 1 12 15 1 11 16 3 9 14 2 12 16 1 9 16"
)
NAONET_B_TOKENS = "1 8 1 9 1 8 3 9 2 10 1 9 5 7 2 10 3 8 1 10 2 8 2 7 3 8 3 11 2 7 3 10 4 8 3 9 1 9 1 9"


def _entry(name, repeats, channels, **options):
    """Space, at a scale, and genotype of a NAONet."""
    entry = refs.locate("zoo", name)
    return replace(entry.space, repeats=repeats, channels=channels, **options), entry.genotype


@pytest.mark.parametrize(
    ("name", "repeats", "channels", "io", "params", "with_head", "multiply_adds"),
    [
        ("naonet_a", 6, 36, CIFAR, 11_470_150, 11_946_576, 1_673_814_240),
        ("naonet_a", 6, 64, CIFAR, 36_186_058, 36_719_828, 5_285_944_832),
        ("naonet_a", 6, 128, CIFAR, 144_576_394, 145_241_236, 21_133_147_136),
        ("naonet_a", 3, 32, CIFAR, 4_922_602, 5_390_836, 718_835_456),
        ("naonet_a", 3, 20, CIFAR, 1_928_950, 2_372_608, 281_418_080),
        ("naonet_a", 6, 36, CIFAR_100, 11_509_120, 12_054_756, None),
        ("naonet_a", 6, 128, CIFAR_100, 144_714_724, 145_448_776, None),
        ("naonet", 6, 36, CIFAR, 11_523_214, 11_981_208, None),
        ("naonet", 6, 64, CIFAR, 36_353_866, 36_854_868, None),
        ("naonet", 6, 128, CIFAR, 145_247_882, 145_847_188, None),
        ("naonet", 3, 32, CIFAR, 4_964_522, 5_416_372, None),
        ("naonet_b", 6, 36, CIFAR, 2_921_302, 3_379_296, 462_002_400),
        ("naonet_b", 6, 20, CIFAR, 984_870, 1_418_288, 160_657_760),
        ("naonet_ws", 5, 36, CIFAR, 2_466_252, 2_942_668, None),
        ("naonet_v2", 6, 36, CIFAR, 4_387_654, 4_864_080, 684_238_464),
        ("naonet_a", 4, 42, IMAGENET, 11_353_831, 12_603_855, 1_243_996_992),
        ("naonet_v2", 4, 52, IMAGENET, 7_026_850, 8_297_354, 782_069_184),
    ],
)
def test_sizes(name, repeats, channels, io, params, with_head, multiply_adds):
    """Check 14."""
    skeleton = "imagenet" if io is IMAGENET else "cifar"
    space, genotype = _entry(name, repeats, channels, skeleton=skeleton, auxiliary=True)
    counts = space.count(genotype, io)
    assert counts.params == params
    assert multiply_adds is None or counts.multiply_adds == multiply_adds
    assert counting.count(space.plan(genotype, io), auxiliary=True).params == with_head


@pytest.mark.parametrize("name", ["naonet_a", "naonet_b", "naonet_ws"])
def test_the_module_has_the_counted_size(name):
    space, genotype = _entry(name, None, None, auxiliary=True)
    net = space.build(genotype, CIFAR, seeds.rng_for(0, seeds.BUILD))
    plan = space.plan(genotype, CIFAR)
    assert sum(each.numel() for each in net.parameters()) == counting.count(plan, auxiliary=True).params
    logits, (head,) = net.with_auxiliary(torch.zeros(2, 3, 32, 32))
    (logits.sum() + head.sum()).backward()
    assert logits.shape == head.shape == (2, 10)
    assert all(each.grad is not None for each in net.parameters())


@pytest.mark.parametrize(
    ("name", "normal", "reduction"),
    [
        ("naonet_a", (3, 5, 6), (3, 4, 5, 6)),
        ("naonet", (3, 5, 6), (3, 4, 5, 6)),
        ("naonet_b", (3, 5, 6), (4, 5, 6)),
        ("naonet_ws", (3, 4, 5, 6), (3, 4, 5, 6)),
        ("naonet_v2", (3, 4, 5, 6), (3, 4, 5, 6)),
    ],
)
def test_loose_ends(name, normal, reduction):
    """Check 5."""
    entry = refs.locate("zoo", name)
    assert tuple(cell.outputs for cell in entry.space.cells(entry.genotype)) == (normal, reduction)


def test_order_and_resolution_of_cells():
    """Checks 14 and 15: 20 cells, reductions at 6 and 13, 32, 16 and 8 pixels; 432 features, a classifier of 4,330."""
    space, genotype = _entry("naonet_a", 6, 36)
    plan = space.plan(genotype, CIFAR)
    sides = {layer.scope: layer.shape.height for layer in plan if layer.scope.startswith("cell")}
    assert list(sides.values()) == [32] * 6 + [16] * 7 + [8] * 7
    stem = [layer.shape.channels for layer in plan if layer.scope == "stem"]
    assert set(stem) == {108}
    mean, _, linear = plan[-3:]
    assert (mean.shape.features, linear.op.name, linear.op.params(mean.shape)) == (432, "linear", 4330)


def test_only_branches_from_a_cells_inputs_are_strided():
    """Check 17. The pooling of state 5 is that of state 3, computed once."""
    space, genotype = _entry("naonet_a", 1, 4)
    plan = space.plan(genotype, CIFAR)
    strided = {state: [] for state in range(2, 7)}
    for layer in plan:
        is_branch = layer.inner_scopes and layer.inner_scopes[0].startswith("state")
        if is_branch and getattr(layer.op, "stride", 1) not in (1, (1, 1)):
            assert layer.scope in ("cell2", "cell4"), "reductions"
            strided[int(layer.inner_scopes[0][-1])].append(layer.op.name)
    once = {2: ["conv", "avg_pool"], 3: ["conv", "avg_pool"], 4: ["conv", "conv", "max_pool"], 5: []}
    assert strided == {state: ops * 2 for state, ops in (once | {6: ["max_pool", "conv"]}).items()}


def test_drop_paths():
    """Check 16: none at the beginning, 1 - (l + 1) / (3 N + 2) (1 - keep) at the end."""
    space, genotype = _entry("naonet_a", 6, 4)
    depths = [layer.op.depth for layer in space.plan(genotype, CIFAR) if layer.op.name == "drop_path"]
    assert depths == [cell / 20 for cell in range(1, 21) for _ in range(10)]
    keep = Regularization(0.7).keep
    assert [keep(depth, 0.0) for depth in depths] == [1.0] * 200
    assert keep(4 / 20, 1.0) == pytest.approx(1 - 4 / 20 * 0.3)


@pytest.mark.parametrize(
    ("space", "length", "words"),
    [(SMALL, 40, 12), (TRIPLES, 60, 21), (replace(TRIPLES, operations="small"), 60, 21), (LARGE, 40, 18)],
)
def test_lengths_and_vocabularies(space, length, words):
    """Check 1; token 0 starts a sequence."""
    assert len(space.genes) == length
    assert 1 + sum(count for _, count in genes.vocabulary(space.genes).values()) == words


@pytest.mark.parametrize(
    ("name", "space", "tokens"), [("naonet", TRIPLES, NAONET_TOKENS), ("naonet_b", SMALL, NAONET_B_TOKENS)]
)
def test_the_published_sequences(name, space, tokens):
    """Check 2."""
    entry = refs.locate("zoo", name)
    rows = [[(*first, *second) for first, second in cell.combinations] for cell in entry.space.cells(entry.genotype)]
    genotype = space.encode(*rows)
    assert " ".join(map(str, genes.to_tokens(space.genes, genotype))) == tokens
    assert genes.from_tokens(space.genes, [int(token) for token in tokens.split()]) == genotype


@pytest.mark.parametrize("space", [SMALL, TRIPLES])
def test_sequences_of_random_architectures(space):
    """Checks 2 and 3: there and back 10,000 times; inputs of node n are tokens 1 to n + 2, all others follow them."""
    streams, group = seeds.Streams(0), space.genes_per_branch
    for n in range(10_000 if space is SMALL else 2_000):
        genotype = space.sample(streams.rng(seeds.ASK, n))
        tokens = genes.to_tokens(space.genes, genotype)
        assert genes.from_tokens(space.genes, tokens) == genotype
        for position, token in enumerate(tokens):
            node = position // group % 10 // 2
            assert 1 <= token <= node + 2 if position % group == 0 else token >= 7


@pytest.mark.parametrize("space", [SMALL, TRIPLES, LARGE])
def test_exchanged_branches(space):
    """Check 4: an involution that keeps validity, size and loose ends."""
    streams = seeds.Streams(1)
    for n in range(50):
        genotype = space.sample(streams.rng(seeds.ASK, n))
        twin = space.equivalents(genotype, streams.rng(seeds.TELL, n))
        space.check(twin)
        assert space.equivalents(twin, streams.rng(seeds.TELL, n)) == genotype
        assert space.count(twin, CIFAR) == space.count(genotype, CIFAR)
        assert [cell.outputs for cell in space.cells(twin)] == [cell.outputs for cell in space.cells(genotype)]


def test_exchanged_branches_are_the_same_function():
    """Weights go with their branches."""
    space, genotype = _entry("naonet_b", 1, 4)
    twin = space.equivalents(genotype, seeds.rng_for(0, seeds.TELL, 1))
    assert twin != genotype
    ours = space.build(genotype, CIFAR, seeds.rng_for(0, seeds.BUILD)).eval()
    theirs = space.build(twin, CIFAR, seeds.rng_for(1, seeds.BUILD)).eval()
    weights, plans = ours.state_dict(), [space.plan(each, CIFAR) for each in (genotype, twin)]
    branches = [_by_branch(space, each, plan) for each, plan in zip((genotype, twin), plans, strict=True)]
    moved = {}
    for place, layers in branches[1].items():
        for layer, source in zip(layers, branches[0][place], strict=True):
            for name, value in weights.items():
                if name.startswith(f"{'.'.join(filter(None, module_of(source.name)))}."):
                    moved[f"{'.'.join(filter(None, module_of(layer.name)))}.{name.rpartition('.')[2]}"] = value
    theirs.load_state_dict(moved)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs(images))


def _by_branch(space, genotype, plan):
    """Layers with weights by what they are of: a branch is named by what it reads and does."""
    found = {}
    normal, reduction = space.cells(genotype)
    for layer in plan:
        if not layer.op.has_weights:
            continue
        where = key = layer.inner_scopes
        if where and where[0].startswith("state"):
            cell = reduction if layer.scope in ("cell2", "cell4") else normal
            key = (where[0], *cell.combinations[int(where[0][-1]) - 2]["ab".index(where[1])])
        found.setdefault((layer.scope, key), []).append(layer)
    return found


@pytest.mark.parametrize(
    ("space", "one"), [(SMALL, 5_062_500_000_000), (LARGE, 13_445_960_913_158_400)], ids=["small", "large"]
)
def test_size_of_the_space(space, one):
    """Check 6."""
    sizes = [size(gene) for gene in space.genes]
    assert prod(sizes[:20]) == prod(sizes[20:]) == one


def _recipe(name):
    """The run file, and what its evaluator does in a step."""
    run = run_file.from_tables(run_file.read(RECIPES / f"{name}.toml"))
    options = run.evaluator.options
    known = refs.options_of(StepSettings)
    return run, StepSettings(**{option: value for option, value in options.items() if option in known})


@pytest.mark.parametrize(
    ("name", "channels", "lr", "weight_decay", "drop_path_keep", "dropout"),
    [
        ("naonet-cifar10-36", 36, 0.025, 3e-4, 0.8, 0.4),
        ("naonet-cifar10-64", 64, 0.025, 3e-4, 0.8, 0.4),
        ("naonet-cifar10-128", 128, 0.025, 5e-4, 0.7, 0.4),
        ("naonet-cifar100", 128, 0.024, 5e-4, 0.6, 0.2),
    ],
)
def test_final_trainings(name, channels, lr, weight_decay, drop_path_keep, dropout):
    """Section 7.1: 600 epochs, batch 128, SGD with momentum 0.9, a cosine, clip 5, auxiliary 0.4, cutout 16."""
    run, used = _recipe(name)
    assert (run.space.options["channels"], run.space.options["repeats"]) == (channels, 6)
    assert run.task.options["cutout"] == 16
    assert run.evaluator.options["epochs"] == 600
    assert (used.lr, used.weight_decay, used.drop_path_keep, used.dropout) == (
        lr,
        weight_decay,
        drop_path_keep,
        dropout,
    )
    common = (used.batch, used.optimizer, used.momentum, used.schedule, used.clip, used.auxiliary)
    assert common == (128, "sgd", 0.9, "cosine", 5.0, 0.4)
    assert used.drop_path_version == "v3"


def test_imagenet():
    """Section 7.2."""
    run, used = _recipe("naonet-imagenet")
    assert run.space.options == {"skeleton": "imagenet", "channels": 42, "repeats": 4, "auxiliary": True}
    assert (used.lr, used.factor, used.every, used.weight_decay, used.label_smoothing) == (0.1, 0.97, 1.0, 3e-5, 0.1)
    assert (used.clip, used.auxiliary, used.regularization) == (5.0, 0.4, None)
    assert (run.evaluator.options["epochs"], run.task.options["size"]) == (250, 224)


def test_the_search_on_cifar():
    """Section 5.2: TensorFlow's program, N = 3, F = 32, 25 epochs; 0.024 on a cosine of 100 epochs ends at 0.0207."""
    run, used = _recipe("nao-cifar10")
    assert dict(run.strategy.options) == {"program": "tf"}, "a program is not mixed"
    assert (run.limits.trials, run.evaluator.options["epochs"]) == (1200, 25)
    assert (run.space.options["channels"], run.space.options["repeats"]) == (32, 3)
    assert run.space.options["genes_per_branch"] == 3
    workers = run.executor.options["workers"]
    assert run.limits.trials - (600 + workers) - 300 == 280, "what is left of the second round's 300, as is said there"
    assert (used.batch, used.weight_decay, used.clip, used.auxiliary) == (128, 5e-4, 5.0, 0.4)
    assert (used.drop_path_keep, used.dropout) == (0.7, 0.0)
    steps = -(-45_000 // 128)
    even = EvenEpochs(steps)
    for epoch, factor in ((0, 1.0), (12.5, 0.9619397662556434), (24, 0.8644843137107059)):
        assert step_settings.rate_factor(used, round(epoch * steps), 25 * steps, even) == pytest.approx(
            factor, rel=1e-3
        )
    assert used.lr * 0.8644843 == pytest.approx(0.0207, rel=0.01)


@pytest.mark.parametrize(("name", "params"), [("nao-cifar10", 208_535), ("nao-digits", 279_533)])
def test_a_search_by_the_recipe_has_its_programs_controller(name, params):
    """Section 3.4."""
    run, _ = _recipe(name)
    space = building.load_space(run.space)
    strategy = refs.load("strategy", run.strategy, space=space, objectives=None)
    flavor = FLAVORS[run.strategy.options["program"]]
    assert strategy._program.flavor == run.strategy.options["program"]
    tokens = TokenChoices.of(space.genes, flavor.group)
    assert controller_size(EncoderPredictorDecoder(tokens, flavor, torch.Generator().manual_seed(0))) == params


@pytest.mark.parametrize("name", ["nao-cifar10", "nao-digits"])
def test_a_tiny_search_by_the_recipe(tmp_path, name):
    """Two channels, a step each, two rounds: every setting of the recipe is taken, to the end of the search."""
    changes = {
        "space": {"channels": 2, "repeats": 1},
        "strategy": {"seeds": 3, "new": 1, "top": 2, "epochs": 1},
        "evaluator": {"epochs": 1},
        "task": {"train_limit": 20},
    }
    tables = run_file.read(RECIPES / f"{name}.toml") | {"executor": {"ref": "inline"}}
    if name == "nao-cifar10":
        cifar(tmp_path / "data", 40, 20)
        changes["task"] = {"path": str(tmp_path / "data"), "valid": 20}
    parts = building.build(run_file.from_tables(run_file.merged(tables, changes)))
    list(parts.task.prepare())
    store, limits = MemoryStore(), Limits(trials=5)
    search = Search(parts.space, parts.strategy, store, parts.executor, limits=limits, folder=tmp_path / "run")
    assert search.run() == "trials"
    trials = store.finished()
    assert [trial.proposal.notes.get("round") for trial in trials] == [None] * 3 + [1.0, 2.0]
    assert all(trial.status == "done" for trial in trials)
