"""Ru, Esperanca, Carlucci 2020, "Neural Architecture Generator Optimization": spaces, graphs, shapes, parameter rule.

Parameter counts are those of the released code (layers, biases, learned numbers), measured there for generators whose
graphs depend on no random numbers; where that code is wrong, the tests say what is right. RandWire's sizes are from Xie
et al. 2019, table 5 and section 4.
"""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netwright.cells import hnag_network
from netwright.cells.hnag_network import Cell, Drawing, Group
from netwright.cells.random_graphs import inputs_of, is_connected, outputs_of, watts_strogatz
from netwright.cli.main import main
from netwright.core import seeds
from netwright.core.genes import Integer
from netwright.core.records import IO
from netwright.plans import counting, network
from netwright.spaces.hnag import HnagSpace
from netwright.spaces.rnag import RnagSpace
from tests.verified import IS_VERIFIED

DRAWN = 2000 if IS_VERIFIED else 60
TRAINED = 200 if IS_VERIFIED else 5

CIFAR, SPORT = IO(3, 32, 32, 10), IO(3, 224, 224, 102)
SPACE = HnagSpace()
RANDWIRE = (32, 4, 0.75)  # nodes, degree and rewiring probability that the paper found best
D1 = (3, 2, 0.5, 1, 0.5, 3, 2, 0.5)
D2 = (3, 2, 0.5, 3, 1.0, 3, 2, 0.5)
D3 = (5, 4, 0.5, 1, 0.5, 5, 4, 0.5)
D4 = (10, 4, 0, 1, 0.5, 10, 4, 0)
D5 = (3, 2, 0, 1, 0.5, 32, 4, 0)
TABLE = [
    pytest.param(D1, 477, 91, 4_532_623, (77_532, 3_972_521, 469_760, 12_810), id="D1"),
    pytest.param(D2, 1611, 49, 4_172_953, (23_226, 3_882_197, 254_720, 12_810), id="D2"),
    pytest.param(D3, 1080, 60, 4_284_560, (34_380, 3_926_330, 311_040, 12_810), id="D3"),
    pytest.param(D4, 5670, 26, 4_022_336, (6_942, 3_865_624, 136_960, 12_810), id="D4"),
    pytest.param(D5, 5958, 25, 3_893_140, (6_450, 3_742_040, 131_840, 12_810), id="D5"),
]


def sampled(space, n):
    return space.sample(seeds.rng_for(n, seeds.ASK))


def graphs_of(drawing):
    yield drawing.graph
    for cell in drawing.cells:
        yield cell.graph
        yield from (group.graph for group in cell.groups)


def parts(plan):
    """Parameters of stem, body, head and linear layer."""
    with torch.device("meta"):
        built = network.Network(plan)
    found = dict.fromkeys(("stem", "body", "head", "linear"), 0)
    for name, parameter in built.named_parameters():
        scope = name.partition(".")[0]
        part = "linear" if scope.startswith("linear") else scope if scope in found else "body"
        found[part] += parameter.numel()
    return tuple(found.values())


def check_connected(graph):
    edges = [(source, node) for node, reads in enumerate(graph) for source in reads]
    inputs, outputs = inputs_of(graph), outputs_of(graph)
    assert is_connected(len(graph), edges)
    assert all(source < node for source, node in edges)
    assert 0 in inputs and len(graph) - 1 in outputs
    assert len(graph) == 1 or not set(inputs) & set(outputs)


def test_01_genes():
    assert len(SPACE.genes) == 8
    assert sum(isinstance(gene, Integer) for gene in SPACE.genes) == 5
    assert len(HnagSpace(searched="stages").genes) == 14
    assert len(HnagSpace(searched="operations").genes) == 15
    assert len(RnagSpace().genes) == 9
    assert [(gene.low, gene.high) for gene in SPACE.genes] == [
        *((3, 10), (2, 5), (0.1, 0.9)),
        *((1, 10), (0.1, 0.9)),
        *((3, 10), (2, 5), (0.1, 0.9)),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_03_degrees_of_2_and_3_are_one_model(seed):
    for n in (5, 8, 10):
        drawn = [SPACE.seeded(seed).draw((n, k, 0.5, 1, 0.5, 3, 2, 0.5)).graph for k in (2, 3, 4, 5)]
        assert drawn[0] == drawn[1] and drawn[2] == drawn[3]
        assert [sum(map(len, graph)) for graph in drawn] == [n, n, 2 * n, 2 * n]


def test_04_operations_and_graphs_are_as_many_as_the_genes_say():
    for n in range(20):
        genotype = sampled(SPACE, n)
        drawing = SPACE.draw(genotype)
        n_top, _, _, n_mid, _, n_bottom, *_ = genotype
        operations = sum(layer.op.name == "norm" for layer in SPACE.plan(genotype, CIFAR)) - 3  # those of stem and head
        assert operations == n_top * n_mid * n_bottom
        assert sum(1 for _ in graphs_of(drawing)) == 1 + n_top + n_top * n_mid


def test_05_a_cell_of_one_group_whatever_the_probability():
    assert {SPACE.count((*D1[:4], p, *D1[5:]), CIFAR).params for p in (0, 0.1, 0.9, 1)} == {4_532_623}


@pytest.mark.parametrize("space", [SPACE, HnagSpace(searched="operations"), HnagSpace(searched="stages")])
def test_06_to_08_and_10_every_genotype_draws_connected_acyclic_graphs(space):
    for n in range(DRAWN):
        genotype = sampled(space, n)
        space.check(genotype)
        for graph in graphs_of(space.seeded(n).draw(genotype)):
            check_connected(graph)


def test_06_to_08_and_10_so_does_every_flat_one():
    space = RnagSpace()
    for n in range(DRAWN):
        genotype = sampled(space, n)
        space.check(genotype)
        for graph in space.seeded(n).draw(genotype):
            check_connected(graph)


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(HnagSpace(n_mid=(1, 3), n_bottom=(3, 5), limit=60_000), id="hnag"),
        pytest.param(HnagSpace(n_mid=(1, 2), n_bottom=(3, 4), limit=200_000, searched="operations"), id="operations"),
        pytest.param(RnagSpace(n=(10, 20), limit=20_000), id="rnag"),
    ],
)
def test_09_every_parameter_has_a_gradient_and_one_step_is_made(space):
    """In the released code one network in ten had parameters without, or crashed: outputs were chosen by position."""
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for n in range(TRAINED):
        own = space.seeded(n)
        net = own.build(sampled(own, n), IO(3, 16, 16, 10), seeds.rng_for(n, seeds.BUILD))
        F.cross_entropy(net(images), torch.arange(4)).backward()
        exempt = {id(layer.bias) for layer in net.modules() if isinstance(layer, nn.Conv2d)}
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            assert id(parameter) in exempt or parameter.grad.any(), name
        torch.optim.SGD(net.parameters(), 0.1).step()
        assert torch.isfinite(net(images)).all()


def test_10_2_outputs_are_chosen_by_node():
    """Of cells 0 -> 1, 0 -> 3, 2 -> 3, cell 1 is an output and cell 2, after it, an input."""
    group = Group(((),), ("sum",), ("conv 3x3",))
    cells = tuple(Cell(((),), ("sum",), (group,), stage, 1, 1) for stage in (0, 0, 0, 0))
    plan = hnag_network.plan(Drawing(((), (0,), (), (0, 2)), ("sum",) * 4, cells, 1), 2, CIFAR, True)
    [average] = [layer for layer in plan if layer.op.name == "average"]
    assert [plan[source].scope for source in average.inputs] == ["cell2", "cell4"]
    first = {layer.scope: plan[layer.inputs[0]].scope for layer in reversed(plan) if layer.op.name == "relu"}
    assert first["cell1"] == "stem" and first["cell2"] == "cell1"


@pytest.mark.parametrize(
    ("nodes", "shares", "expected"),
    [
        (3, (0.33,) * 3, (0, 1, 2)),
        (4, (0.33,) * 3, (0, 0, 1, 2)),
        (5, (0.33,) * 3, (0, 0, 1, 1, 2)),
        (6, (0.33,) * 3, (0, 0, 1, 1, 2, 2)),
        (7, (0.33,) * 3, (0, 0, 0, 1, 1, 2, 2)),
        (8, (0.33,) * 3, (0, 0, 0, 1, 1, 1, 2, 2)),
        (9, (0.33,) * 3, (0, 0, 0, 1, 1, 1, 2, 2, 2)),
        (10, (0.33,) * 3, (0, 0, 0, 0, 1, 1, 1, 2, 2, 2)),
        (20, (0.2, 0.2, 0.6), (0,) * 4 + (1,) * 4 + (2,) * 12),
        (10, (0.5, 0.2, 0.3), (0,) * 5 + (1,) * 2 + (2,) * 3),
        (5, (1.0,) * 3, (0,) * 5),
        (3, (1.0,) * 3, (0, 1, 2)),
    ],
)
def test_11_stages(nodes, shares, expected):
    assert hnag_network.stages(nodes, shares) == expected


@pytest.mark.parametrize(("io", "pixels"), [(CIFAR, (32, 16, 8)), (SPORT, (56, 28, 14))])
def test_12_resolutions_and_13_widths(io, pixels):
    plan = SPACE.plan(D3, io)
    ends = {layer.scope: (layer.shape.height, layer.shape.channels) for layer in plan if layer.scope.startswith("cell")}
    m = SPACE.width(D3, io)
    expected = [(pixels[stage], 2**stage * m) for stage in (0, 0, 1, 1, 2)]
    assert [ends[f"cell{n}"] for n in range(1, 6)] == expected
    for layer in plan:
        is_operation = layer.op.name == "conv" and layer.op.kernel == (3, 3) and layer.scope.startswith("cell")
        if is_operation and plan[layer.inputs[0]].shape.channels != layer.shape.channels:
            assert "node1" in layer.inner_scopes  # the only input of these groups


def test_12_a_cell_that_reads_the_stem_has_the_resolution_of_its_stage():
    group = Group(((),), ("sum",), ("conv 3x3",))
    cells = tuple(Cell(((),), ("sum",), (group,), stage, 1, 2**stage) for stage in (0, 1, 2))
    plan = hnag_network.plan(Drawing(((), (), ()), ("sum",) * 3, cells, 1), 2, CIFAR, True)
    assert {layer.scope: layer.shape.height for layer in plan if layer.scope.startswith("cell")} == {
        "cell1": 32,
        "cell2": 16,
        "cell3": 8,
    }


def test_12_a_batch_of_logits():
    net = HnagSpace(limit=20_000).build(D1, IO(3, 56, 56, 7), seeds.rng_for(0, seeds.BUILD))
    assert net(torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))).shape == (3, 7)


def test_14_no_number_is_learned_where_a_node_has_one_input():
    for layer in SPACE.plan(sampled(SPACE, 1), CIFAR):
        assert layer.op.name != "weighted_sum" or len(layer.inputs) > 1 or not layer.inner_scopes
    net = HnagSpace(limit=50_000).build(D3, CIFAR, seeds.rng_for(0, seeds.BUILD))
    numbers = [value for name, value in net.named_parameters() if "weighted_sum" in name]
    # in each of 5 groups 2, 3 and 4; between cells 2, then 1 beside two convolutions, 2 beside two
    assert sum(value.numel() for value in numbers) == 5 * (2 + 3 + 4) + 2 + 1 + 2
    assert torch.sigmoid(torch.cat(numbers)).sub(0.7310586).abs().max() < 1e-6


def test_15_outputs_are_averaged():
    chain = Group(((), (0,), (0,)), ("sum",) * 3, ("conv 3x3",) * 3)
    cell = Cell(((),), ("sum",), (chain,), 0, 1, 1)
    plan = hnag_network.plan(Drawing(((),), ("sum",), (cell,), 1), 4, CIFAR, True)
    [average] = [layer for layer in plan if layer.op.name == "average"]
    assert len(average.inputs) == 2


@pytest.mark.parametrize("limit", [400_000, 4_000_000, 6_000_000])
def test_16_the_parameter_rule(limit):
    for n in range(30):
        space = HnagSpace(limit=limit, seed=n)
        genotype = sampled(space, n)
        base, m = hnag_network.base(space.draw(genotype)), space.width(genotype, CIFAR)
        assert m == math.floor(math.sqrt(limit / base))
        assert m**2 * base <= limit < (m + 1) ** 2 * base


@pytest.mark.parametrize(("genotype", "base", "m", "params", "pieces"), TABLE)
def test_17_and_18_exact_counts(genotype, base, m, params, pieces):
    assert hnag_network.base(SPACE.draw(genotype)) == base
    assert SPACE.width(genotype, CIFAR) == m
    assert SPACE.count(genotype, CIFAR).params == params
    assert parts(SPACE.plan(genotype, CIFAR)) == pieces


@pytest.mark.parametrize(("genotype", "base", "m", "params", "pieces"), TABLE)
def test_17_the_command_shows_them(genotype, base, m, params, pieces, capsys):
    with pytest.raises(SystemExit):
        main(["show", "--space", "hnag", "--genes", json.dumps(genotype), "--json"])
    assert json.loads(capsys.readouterr().out)["params"] == params


def test_17_large_images(capsys):
    arguments = ["--genes", json.dumps(D1), "--io", "3x224x224:102", "--space.limit", "6e6", "--json"]
    with pytest.raises(SystemExit):
        main(["show", "--space", "hnag", *arguments])
    assert json.loads(capsys.readouterr().out)["params"] == 6_731_339
    space = HnagSpace(limit=6_000_000)
    assert space.width(D1, SPORT) == 112
    assert parts(space.plan(D1, SPORT)) == (7_534, 6_015_863, 577_280, 130_662)


def test_17_the_release_with_its_wrong_shares():
    space = HnagSpace(shares=(1.0, 1.0, 1.0))
    assert space.width(D3, CIFAR) == 133
    assert space.count(D3, CIFAR).params == 4_340_534
    assert parts(space.plan(D3, CIFAR)) == (163_590, 3_990_054, 174_080, 12_810)


def test_17_default_a_with_the_graphs_that_the_release_drew():
    """Its base of 1,593 tells the graphs: in the second cell, two of three groups read the cell's input."""
    ring = ((), (0,), (0, 1))
    group = Group(ring, ("sum",) * 3, ("conv 3x3",) * 3)
    chain, two_inputs = ((), (0,), (1,)), ((), (), (0, 1))
    shapes = ((chain, 0, 1, 1), (two_inputs, 1, 1, 2), (chain, 2, 2, 4))
    cells = tuple(Cell(graph, ("sum",) * 3, (group,) * 3, *shape) for graph, *shape in shapes)
    drawing = Drawing(ring, ("sum",) * 3, cells, 1)
    assert hnag_network.base(drawing) == 1593
    plan = hnag_network.plan(drawing, 50, CIFAR, True)
    assert counting.count(plan) == hnag_network.count(drawing, 50, CIFAR, True)
    assert parts(plan) == (24_150, 3_997_071, 259_840, 12_810)
    adapters = [
        layer for layer in plan if layer.op.name == "conv" and layer.op.kernel == (1, 1) and layer.scope == "cell3"
    ]
    assert [(plan[layer.inputs[0]].shape.channels, layer.shape.channels) for layer in adapters] == [(50, 100)]


def test_19_more_classes():
    hundred = SPACE.count(D1, IO(*CIFAR.image, 100)).params
    assert hundred == 4_647_913
    assert hundred - SPACE.count(D1, CIFAR).params == 115_290


def test_20_twice_the_limit():
    assert HnagSpace(limit=8_000_000).width(D1, CIFAR) == 129


@pytest.mark.parametrize("genotype", [D1, D2, D3, D4, D5])
@pytest.mark.parametrize("io", [CIFAR, SPORT])
def test_21_the_strict_rule_bounds_the_real_total(genotype, io):
    space = HnagSpace(rule="strict")
    drawing, m = space.draw(genotype), space.width(genotype, io)
    assert space.count(genotype, io).params <= 4_000_000
    assert hnag_network.count(drawing, m + 1, io, True).params > 4_000_000


def test_22_the_width_does_not_depend_on_the_data():
    for n in range(5):
        genotype = sampled(SPACE, n)
        assert SPACE.width(genotype, CIFAR) == SPACE.width(genotype, SPORT)


def test_23_a_seed_and_a_genotype_are_a_network_in_any_process_and_order():
    genotype = (6, 2, 0.5, 6, 0.4, 5, 2, 0.5)
    drawing = SPACE.seeded(7).draw(genotype)
    assert drawing.cells[2].graph == ((), (0,), (0, 1), (0,), (0,), (0, 3))  # ever since it was first drawn
    SPACE.seeded(8).draw(genotype)
    assert SPACE.seeded(7).draw(genotype) == drawing
    assert len({SPACE.seeded(seed).draw(genotype) for seed in range(10)}) == 10
    complete = {SPACE.seeded(seed).draw(D1) for seed in range(10)}
    assert len(complete) == 1


def test_24_cells_differ():
    cells = SPACE.draw((5, 2, 0.5, 5, 0.5, 5, 2, 0.5)).cells
    assert len({cell.graph for cell in cells}) > 1
    assert len({group.graph for cell in cells for group in cell.groups}) > 5


def test_the_special_case_of_a_chain_needs_a_ring_edge():
    """Section 2.4: without rewiring, node 0 feeds the last one too."""
    assert watts_strogatz(20, 2, 0.0, None)[19] == (0, 18)


@pytest.mark.parametrize(
    ("options", "params", "multiply_adds"),
    [
        ({"channels": 78}, 5.6e6, 583e6),
        ({"channels": 109, "regime": "regular"}, 31.9e6, 4.0e9),
        ({"channels": 154, "regime": "regular"}, 61.5e6, 7.9e9),
    ],
)
def test_randwire_sizes(options, params, multiply_adds):
    """Published: averages over the networks of five seeds."""
    found = [RnagSpace(seed=seed, **options).count(RANDWIRE * 3, IO(3, 224, 224, 1000)) for seed in range(5)]
    assert sum(counts.params for counts in found) / 5 == pytest.approx(params, rel=0.03)
    assert sum(counts.multiply_adds for counts in found) / 5 == pytest.approx(multiply_adds, rel=0.03)


def test_rnag_d_has_96_nodes():
    assert sum(map(len, RnagSpace().draw(RANDWIRE * 3))) == 96
