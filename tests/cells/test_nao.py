import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netwright.cells import nao, nasnet
from netwright.cells.nao import Outline
from netwright.cells.nao_ops import SETS
from netwright.cells.nasnet import Cell
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.plans import counting
from netwright.plans.plan import AUXILIARY, deployed

CIFAR = IO(3, 32, 32, 10)
FLAVORS = ("pytorch", "tensorflow", "tensorflow-ws")
SIMPLE = Cell(((("conv 1x1", 0), ("conv 1x1", 1)),), (2,))


@st.composite
def cells(draw, kind, nodes=3):
    pairs = tuple(
        tuple((draw(st.sampled_from(SETS[kind])), draw(st.integers(0, state - 1))) for _ in range(2))
        for state in range(2, nodes + 2)
    )
    return Cell(pairs, nasnet.unused(pairs))


@st.composite
def networks(draw):
    outline = Outline(
        draw(st.sampled_from(["cifar", "imagenet"])),
        draw(st.integers(1, 9)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from(list(SETS))),
        draw(st.sampled_from(FLAVORS)),
        draw(st.booleans()),
    )
    return outline, draw(cells(outline.operations)), draw(cells(outline.operations))


SAME = ("identity", 0)
PASSING = Cell(((SAME, SAME),) * 3, (1, 2, 3, 4))


@given(networks(), st.integers(129, 140), st.integers(129, 140))
@example((Outline("cifar", 1, 1, "large", "tensorflow", True), PASSING, PASSING), 129, 129)  # its head reads the end
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_plan(built, height, width):
    plan = nao.plan(*built, IO(3, height, width, 5))
    assert nao.count(*built, IO(3, height, width, 5)) == counting.count(plan)
    assert any(layer.scope == AUXILIARY for layer in plan) == built[0].auxiliary


@given(networks())
@settings(max_examples=60, deadline=None)
def test_nothing_is_written_that_the_output_does_not_depend_on(built):
    plan = deployed(nao.plan(*built, IO(3, 129, 129, 5)))
    live = {len(plan) - 1}
    for position in range(len(plan) - 1, -1, -1):
        if position in live:
            live.update(plan[position].inputs)
    assert live == set(range(len(plan)))


@pytest.mark.parametrize("repeats", [1, 3, 6])
def test_order_width_and_resolution_of_cells(repeats):
    """3 N + 2 cells, of which those at N and 2 N + 1, counted from 0, are reductions; 32, 16 and 8 pixels."""
    plan = nao.plan(Outline("cifar", 20, repeats), SIMPLE, SIMPLE, CIFAR)
    ends = {layer.scope: (layer.shape.channels, layer.shape.height) for layer in plan if layer.scope.startswith("cell")}
    assert list(ends) == [f"cell{number + 1}" for number in range(3 * repeats + 2)]
    first, second = repeats, 2 * repeats + 1
    expected = [(20, 32)] * first + [(40, 16)] * (second - first) + [(80, 8)] * (3 * repeats + 2 - second)
    assert list(ends.values()) == expected
    assert [layer.shape.channels for layer in plan if layer.scope == "stem"] == [60, 60]


def test_the_imagenet_stem():
    """224 pixels: the first cell reads 56 and 28, the stacks are of 28, 14 and 7."""
    plan = nao.plan(Outline("imagenet", 42, 1), SIMPLE, SIMPLE, IO(3, 224, 224, 1000))
    stem = [(layer.op.name, layer.shape.channels, layer.shape.height) for layer in plan if layer.scope == "stem"]
    assert stem == [
        *(("conv", 21, 112), ("norm", 21, 112), ("relu", 21, 112), ("conv", 42, 56), ("norm", 42, 56)),
        *(("relu", 42, 56), ("conv", 42, 28), ("norm", 42, 28)),
    ]
    assert _paths(plan, "skip")[0] == ["odd_pixels", "conv", "conv", "concat", "norm"], "the ReLU is the stem's"
    assert list(dict.fromkeys(layer.shape.height for layer in plan if layer.scope.startswith("cell")))[-3:] == [
        28,
        14,
        7,
    ]


def _paths(plan, scope):
    """What stands in an inner scope of each cell."""
    names = dict.fromkeys(layer.scope for layer in plan if layer.scope.startswith("cell"))
    return [
        [layer.op.name for layer in plan if layer.scope == name and layer.inner_scopes[:1] == (scope,)]
        for name in names
    ]


@pytest.mark.parametrize(
    ("flavor", "skip", "direct"),
    [
        ("pytorch", [1, 1, 2, 1, 2], [1, 1, 0, 1, 0]),
        ("tensorflow", [0, 1, 2, 1, 2], [1, 1, 1, 1, 1]),
        ("tensorflow-ws", [1, 1, 2, 1, 2], [2, 2, 1, 2, 1]),
    ],
)
def test_the_inputs_of_cells(flavor, skip, direct):
    """Convolutions on them. With N = 1, cells 2 and 4 are reductions; behind one, the skip input is halved by two."""
    plan = nao.plan(Outline("cifar", 8, 1, flavor=flavor), SIMPLE, SIMPLE, CIFAR)
    assert [path.count("conv") for path in _paths(plan, "skip")] == skip
    assert [path.count("conv") for path in _paths(plan, "direct")] == direct


def test_only_the_cells_inputs_are_strided():
    cell = Cell(((("conv 1x1", 0), ("conv 1x1", 1)), (("conv 1x1", 2), ("conv 1x1", 0))), (3,))
    plan = nao.plan(Outline("cifar", 8, 1), cell, cell, CIFAR)
    for name, strides in (("cell2", [2, 2, 1, 2]), ("cell3", [1, 1, 1, 1])):
        states = [layer for layer in plan if layer.scope == name and layer.inner_scopes[0].startswith("state")]
        assert [layer.op.stride[0] for layer in states if layer.op.name == "conv"] == strides


def test_inputs_that_nobody_reads_are_brought_to_the_others_shape():
    cell = Cell(((("sep 3x3", 0), ("sep 3x3", 0)),), (1, 2))
    plan = nao.plan(Outline("cifar", 8, 1, "small"), cell, cell, CIFAR)
    normal, reduction, *_ = _paths(plan, "output")
    assert normal == ["concat"]
    assert sorted(reduction) == ["concat", "concat", "conv", "conv", "norm", "odd_pixels"], "without a ReLU"
    raw = nao.plan(Outline("cifar", 8, 1, "small", "tensorflow"), _swapped(cell), cell, CIFAR)
    assert _paths(raw, "output")[0] == ["conv", "norm", "concat"], "the raw stem"


def _swapped(cell):
    return Cell(tuple(tuple((name, 1 - state) for name, state in pair) for pair in cell.combinations), (0, 2))


@pytest.mark.parametrize(("flavor", "dropped"), [("pytorch", 2), ("tensorflow", 1), ("tensorflow-ws", 1)])
def test_which_branches_are_dropped(flavor, dropped):
    """Depths are (index + 1) / cells."""
    cell = Cell(((("identity", 0), ("max pool 3x3", 1)),), (2,))
    plan = nao.plan(Outline("cifar", 8, 1, flavor=flavor), cell, cell, CIFAR)
    depths = [layer.op.depth for layer in plan if layer.op.name == "drop_path"]
    assert depths == [number / 5 for number in range(1, 6) for _ in range(dropped)]


@pytest.mark.parametrize(
    ("flavor", "head"),
    [
        ("pytorch", ["mean", "dropout", "linear"]),
        ("tensorflow", ["relu", "mean", "dropout", "linear"]),
        ("tensorflow-ws", ["mean", "dropout", "linear"]),
    ],
)
def test_the_head(flavor, head):
    plan = nao.plan(Outline("cifar", 8, 1, flavor=flavor), SIMPLE, SIMPLE, CIFAR)
    assert [layer.op.name for layer in plan if not layer.scope][1:] == head
    assert plan[-1].op.bias != (flavor == "tensorflow-ws")


@pytest.mark.parametrize(("flavor", "cell"), [("pytorch", 6), ("tensorflow", 7), ("tensorflow-ws", 7)])
@pytest.mark.parametrize(("skeleton", "side", "stride"), [("cifar", 32, 3), ("imagenet", 224, 2)])
def test_the_auxiliary_head(flavor, cell, skeleton, side, stride):
    """N = 2: it reads the second reduction, or the cell behind it, of which 2 x 2 pixels are left."""
    outline = Outline(skeleton, 8, 2, flavor=flavor, auxiliary=True)
    plan = nao.plan(outline, SIMPLE, SIMPLE, IO(3, side, side, 10))
    head = [layer for layer in plan if layer.scope == AUXILIARY]
    read = next(source for layer in head for source in layer.inputs if plan[source].scope != AUXILIARY)
    assert plan[read].scope == f"cell{cell}"
    pool = next(layer for layer in head if layer.op.name == "avg_pool")
    assert (pool.op.kernel, pool.op.stride, pool.shape.height) == (5, stride, 2)
    assert head[-1].op.bias != (flavor == "tensorflow-ws")


@pytest.mark.parametrize(
    ("skeleton", "least", "with_head"),
    [("cifar", 3, 17), ("imagenet", 17, 129)],
)
def test_images_that_are_too_small_are_refused(skeleton, least, with_head):
    for outline, side in ((Outline(skeleton, 4, 1), least), (Outline(skeleton, 4, 1, auxiliary=True), with_head)):
        for function in (nao.plan, nao.count):
            function(outline, SIMPLE, SIMPLE, IO(3, side, side, 4))
            with pytest.raises(BadReference, match=f"least {side} x {side}"):
                function(outline, SIMPLE, SIMPLE, IO(3, side - 1, side, 4))
