import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.cells import nasnet
from netwright.cells.nasnet import Cell, Outline
from netwright.cells.nasnet_ops import SP2
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.plans import counting
from netwright.plans.plan import AUXILIARY, deployed

SIMPLE = Cell(((("sep 3x3", 0), ("max pool 3x3", 1)),), (2,))
CIFAR = IO(3, 32, 32, 10)


@st.composite
def cells(draw, combinations=3):
    """Any operations and states, and any list of states concatenated, so that states and whole cells may be dead."""
    pairs = tuple(
        tuple((draw(st.sampled_from(SP2)), draw(st.integers(0, state - 1))) for _ in range(2))
        for state in range(2, combinations + 2)
    )
    outputs = draw(st.none() | st.sets(st.integers(0, combinations + 1), min_size=1))
    return Cell(pairs, tuple(sorted(outputs)) if outputs else nasnet.unused(pairs))


@st.composite
def outlines(draw):
    return Outline(
        draw(st.sampled_from(["cifar", "imagenet"])),
        draw(st.integers(1, 9)),
        draw(st.integers(1, 3)),
        draw(st.none() | st.integers(1, 5)),
        draw(st.booleans()),
        0.05,
    )


@given(outlines(), cells(), cells(), st.integers(67, 80), st.integers(67, 80))
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_plan(outline, normal, reduction, height, width):
    io = IO(3, height, width, 5)
    plan = nasnet.plan(outline, normal, reduction, io)
    assert nasnet.count(outline, normal, reduction, io) == counting.count(plan)
    assert any(layer.scope == AUXILIARY for layer in plan) == outline.auxiliary


@given(outlines(), cells(), cells())
@settings(max_examples=60, deadline=None)
def test_nothing_is_written_that_the_output_does_not_depend_on(outline, normal, reduction):
    plan = deployed(nasnet.plan(outline, normal, reduction, IO(3, 67, 67, 5)))
    live = {len(plan) - 1}
    for position in range(len(plan) - 1, -1, -1):
        if position in live:
            live.update(plan[position].inputs)
    assert live == set(range(len(plan)))


@pytest.mark.parametrize(
    ("skeleton", "side", "expected"),
    [
        ("cifar", 32, (32, 16, 8)),
        ("imagenet", 331, (165, 83, 42, 21, 11)),
        ("imagenet", 224, (111, 56, 28, 14, 7)),
        ("imagenet", 299, (149, 75, 38, 19, 10)),
    ],
)
def test_resolutions_of_the_papers(skeleton, side, expected):
    outline = Outline(skeleton, 8, 1)
    assert nasnet.sides(outline, side) == expected
    plan = nasnet.plan(outline, SIMPLE, SIMPLE, IO(3, side, side, 10))
    assert tuple(dict.fromkeys(layer.shape.height for layer in plan[1:-4])) == expected


def test_widths_and_order_of_cells():
    """F of 190 as in the published ImageNet model: stem cells of 47 and 95."""
    plan = nasnet.plan(Outline("imagenet", 190, 2), SIMPLE, SIMPLE, IO(3, 64, 64, 10))
    widths = [layer.shape.channels for layer in plan if layer.name.endswith(".direct.conv1")]
    assert widths == [47, 95, 190, 190, 380, 380, 380, 760, 760, 760]
    assert plan[1].shape.channels == 32
    assert nasnet.plan(Outline("cifar", 5, 1), SIMPLE, SIMPLE, CIFAR)[1].shape.channels == 15, "three widths"
    assert nasnet.plan(Outline("cifar", 5, 1, stem=7), SIMPLE, SIMPLE, CIFAR)[1].shape.channels == 7


def _paths(plan, scope):
    """What stands in an inner scope of each cell."""
    return [[layer.op.name for layer in cell] for cell in _by_cell(plan, scope)]


def _by_cell(plan, scope):
    names = dict.fromkeys(layer.scope for layer in plan if layer.scope.startswith("cell"))
    return [[layer for layer in plan if layer.scope == name and layer.inner_scopes[:1] == (scope,)] for name in names]


def test_the_skip_input():
    """Raw in the first cell; unchanged, brought to the width, or, behind a reduction cell, reduced.

    Its ReLU is the one that the cell before has written for its direct input.
    """
    plan = nasnet.plan(Outline("cifar", 8, 2), SIMPLE, SIMPLE, CIFAR)
    fitted, reduced = ["conv", "norm"], ["odd_pixels", "conv", "conv", "concat", "norm"]
    assert _paths(plan, "skip") == [[], fitted, fitted, reduced, [], fitted, reduced, []]


def test_only_the_cells_inputs_are_strided():
    cell = Cell(((("conv 1x1", 0), ("conv 1x1", 1)), (("conv 1x1", 2), ("conv 1x1", 0))), (3,))
    plan = nasnet.plan(Outline("cifar", 8, 1), cell, cell, CIFAR)
    reduction = [layer.op.stride[0] for layer in plan if layer.scope == "cell2" and layer.op.name == "conv"]
    normal = [layer.op.stride[0] for layer in plan if layer.scope == "cell3" and layer.op.name == "conv"]
    assert reduction == [1, 1, 2, 2, 1, 2]
    assert normal == [1, 1, 2, 1, 1, 1, 1], "but for its skip input"


def test_an_input_that_is_concatenated_is_brought_to_the_others_shape():
    """As state 0 of AmoebaNet-C's reduction cell."""
    cell = Cell(((("max pool 3x3", 0), ("max pool 3x3", 1)),), (0, 1, 2))
    plan = nasnet.plan(Outline("cifar", 8, 1), cell, cell, CIFAR)
    first, reduction, third, *_ = _by_cell(plan, "output")
    assert [layer.op.name for layer in first] == ["conv", "norm", "concat"], "the raw skip input of the first cell"
    assert [layer.op.name for layer in reduction].count("odd_pixels") == 2
    assert [layer.op.name for layer in third] == ["concat"]
    assert [each[-1].shape.channels for each in (first, reduction, third)] == [24, 48, 48]


def test_branches_are_dropped_but_for_identities():
    cell = Cell(((("identity", 0), ("max pool 3x3", 1)),), (2,))
    plan = nasnet.plan(Outline("imagenet", 8, 1), cell, cell, IO(3, 64, 64, 10))
    depths = [layer.op.depth for layer in plan if layer.op.name == "drop_path"]
    assert depths == [number / 7 for number in range(1, 8)]
    assert plan[-2].op.name == "dropout"


def test_the_auxiliary_head_by_hand():
    """On 16 x 16 pixels of the second stack: pooled to 4 x 4, then a window of all of them."""
    plan = nasnet.plan(Outline("cifar", 8, 2, auxiliary=True), SIMPLE, SIMPLE, CIFAR)
    head = [layer for layer in plan if layer.scope == AUXILIARY]
    assert [layer.op.name for layer in head] == [
        *("relu", "avg_pool", "conv", "norm", "relu"),
        *("conv", "norm", "relu", "mean", "linear"),
    ]
    assert plan[head[0].inputs[0]].name.startswith("cell5."), "the last before the last reduction, cell 6"
    assert [(layer.shape.channels, layer.shape.height) for layer in head if layer.op.name == "conv"] == [
        (128, 4),
        (768, 1),
    ]
    assert head[5].op.kernel == (4, 4)
    assert plan[-1].scope == "", "the last layer is the classifier"
    with_head = counting.count(plan, auxiliary=True).params - counting.count(plan).params
    assert with_head == 16 * 128 + 256 + 128 * 16 * 768 + 1536 + 7690


@pytest.mark.parametrize(
    ("outline", "io", "says"),
    [
        (
            Outline("cifar", 8, 1),
            IO(3, 2, 9, 10),
            "images of 2 x 9 pixels are too small for the skeleton 'cifar', whose 2 reductions need at least 3 x 3; "
            "give larger images or another space.skeleton",
        ),
        (
            Outline("imagenet", 8, 1),
            IO(3, 32, 18, 10),
            "images of 32 x 18 pixels are too small for the skeleton 'imagenet', whose 4 reductions need at least "
            "19 x 19; give larger images or another space.skeleton",
        ),
        (
            Outline("cifar", 8, 1, auxiliary=True),
            IO(3, 8, 8, 10),
            "the auxiliary head pools 5 x 5 pixels and does not fit on images of 8 x 8; give at least 9 x 9, or "
            "space.auxiliary = false",
        ),
    ],
)
def test_images_that_are_too_small_are_refused(outline, io, says):
    for function in (nasnet.plan, nasnet.count):
        with pytest.raises(BadReference) as refused:
            function(outline, SIMPLE, SIMPLE, io)
        assert str(refused.value) == says


@pytest.mark.parametrize(("skeleton", "side"), [("cifar", 3), ("imagenet", 19)])
def test_the_least_images_are_those_of_the_message(skeleton, side):
    io = IO(3, side, side, 4)
    assert nasnet.sides(Outline(skeleton, 4, 1), side)[-2:] == (2, 1)
    nasnet.plan(Outline(skeleton, 4, 1), SIMPLE, SIMPLE, io)
    least = {"cifar": 9, "imagenet": 67}[skeleton]
    nasnet.plan(Outline(skeleton, 4, 1, auxiliary=True), SIMPLE, SIMPLE, IO(3, least, least, 4))
    with pytest.raises(BadReference, match=f"give at least {least} x {least}"):
        nasnet.plan(Outline(skeleton, 4, 1, auxiliary=True), SIMPLE, SIMPLE, IO(3, least - 1, least, 4))


def test_cells_that_all_others_pass_over_are_left_out():
    """With only the skip input read, every second cell is dead."""
    cell = Cell(((("sep 3x3", 1), ("identity", 1)), (("sep 3x3", 0), ("sep 3x3", 0))), (2,))
    plan = nasnet.plan(Outline("cifar", 8, 1), cell, cell, CIFAR)
    assert [*dict.fromkeys(layer.scope for layer in plan if layer.scope)] == ["stem", "cell1", "cell3", "cell5"]
