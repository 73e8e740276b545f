"""Two networks share the names of their weights exactly where they are alike.

What is alike is worked out from the genotypes alone: a second, plain account of each space lists, in the order in which
networks are written, every weight by its place, the operation there and which of its weights it is. Names are compared
and never read.
"""

from collections import Counter
from contextlib import nullcontext
from functools import partial
from itertools import pairwise

import pytest

from netwright.core import refs, seeds
from netwright.core.records import IO
from netwright.plans import network
from netwright.plans.names import TAKEN
from netwright.plans.ops.images import Conv
from netwright.plans.plan import PlanWriter
from netwright.spaces.flat import flat_space
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.nao import NaoSpace
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.nats import NatsTopology

TINY = IO(3, 8, 8, 5)
MUTATIONS = 200


def named(space, genotype):
    """The name and the shape of each weight that stands for its layer, in order."""
    found = []
    plan = space.plan(genotype, TINY)
    for layer in plan:
        if not layer.op.has_weights:
            continue
        entering = plan[layer.inputs[0]].shape[0]
        if layer.op.name == "conv":
            shape = (layer.op.channels, entering // layer.op.groups, *layer.op.kernel)
        else:
            shape = (layer.op.outputs, entering) if layer.op.name == "linear" else (entering,)
        found.append((layer.name, shape))
    return found


def walk(space, seed):
    """Parents and children, now and then from a new start."""
    genotype = None
    for n in range(MUTATIONS):
        if n % 20 == 0:
            genotype = space.sample(seeds.rng_for(seed, seeds.ASK, n))
        child = space.mutate(genotype, seeds.rng_for(seed, seeds.TELL, n))
        yield genotype, child
        genotype = child


# accounts: lists of (place, shape), where a place holds the operation and the number of the weight in it


def conv(place, part, *shape):
    return [((*place, f"conv {part}"), shape), ((*place, f"norm {part}"), (shape[0],))]


def separable(place, part, entering, leaving, kernel=3):
    depthwise = [((*place, f"depthwise {part}"), (entering, 1, kernel, kernel))]
    return [*depthwise, *conv(place, part, leaving, entering, 1, 1)]


def reduced(place, entering, leaving):
    """Half the channels of the odd pixels, then of the even ones."""
    odd = (*place, "odd"), (leaving - leaving // 2, entering, 1, 1)
    even = (*place, "even"), (leaving // 2, entering, 1, 1)
    return [odd, even, ((*place, "norm of both"), (leaving,))]


PRIMITIVES = (None, "conv", "depthwise", "separable", "max", "avg", "identity")


def graph(values, below, nodes):
    """Living edges by destination, then source; None without a path."""
    pairs = [(source, target) for target in range(1, nodes) for source in range(target)]
    edges = [(s, t, below[v]) for (s, t), v in zip(pairs, values, strict=True) if below[v] is not None]
    ahead, behind = {0}, {nodes - 1}
    for _ in range(nodes):
        ahead |= {t for s, t, _ in edges if s in ahead}
        behind |= {s for s, t, _ in edges if t in behind}
    kept = [(s, t, op) for s, t, op in edges if s in ahead and t in behind]
    return kept if nodes - 1 in ahead else None


def of_graph(edges, last, place, entering, width):
    found, widths = [], Counter({0: entering})
    for source, target, operation in edges:
        here, given = (*place, source, target), widths[source]
        if not isinstance(operation, str):
            inner, given = of_graph(operation, operation[-1][1], here, given, width)
            found += inner + conv((*here, "closing"), 1, width, given, 1, 1)
            given = width
        elif operation == "conv":
            found += conv((*here, operation), 1, width, given, 1, 1)
            given = width
        elif operation == "depthwise":
            found += conv((*here, operation), 1, given, 1, 3, 3)
        elif operation == "separable":
            found += separable((*here, operation), 1, given, width)
            given = width
        widths[target] += given
    return found, widths[last]


def hierarchical(space, genotype):
    below, start = PRIMITIVES, 0
    for motifs, nodes in zip(space.motifs, space.nodes, strict=True):
        size = nodes * (nodes - 1) // 2
        spans = [genotype[start + n * size : start + (n + 1) * size] for n in range(motifs)]
        below, start = (None, *(graph(values, below, nodes) for values in spans)), start + motifs * size
    widths = [space.channels * 2**group for group in range(3)]
    found = conv(("stem",), 1, widths[0], 3, 3, 3)
    for number, (width, following) in enumerate(pairwise([*widths, widths[-1]])):
        inner, given = of_graph(below[1], space.nodes[-1] - 1, (number,), width, width)
        found += inner + separable(("after", number), 1, given, following)
    return [*found, (("linear",), (5, widths[-1]))]


def cells(space, genotype, count):
    """A normal and a reduction cell: for each new state the operation and the state read, twice; states not read."""
    values = [(space.names[operation], state) for state, operation in zip(genotype[::2], genotype[1::2], strict=True)]
    pairs = list(zip(values[::2], values[1::2], strict=True))
    for half in (pairs[:count], pairs[count:]):
        read = {state for pair in half for _, state in pair}
        yield half, [state for state in range(count + 2) if state not in read]


def stacked(space, genotype, count, of_cell):
    """Normal, reduction, normal, reduction, normal; `of_cell` says what a cell's inputs and branches hold."""
    normal, reduction = cells(space, genotype, count)
    width, channels = space.channels, [3 * space.channels] * 2  # the last two outputs, the very last one at the end
    found = conv(("stem",), 1, 3 * width, 3, 3, 3)
    for number in range(5):
        is_reduction, is_behind = number % 2 == 1, number % 2 == 0 and number > 0
        width *= 1 + is_reduction
        pairs, outputs = reduction if is_reduction else normal
        inputs, widths = of_cell.inputs(number, channels, width, is_behind)
        found += inputs
        for state, pair in enumerate(pairs, start=2):
            widths[state] = width
            for side, (operation, read) in enumerate(pair):
                strides = is_reduction and read < 2
                found += of_cell.branch((number, state, side, operation), operation, widths[read], width, strides)
        for state in outputs:
            place = (number, "output", state)
            if is_reduction and state < 2:
                found += reduced(place, widths[state], width)
            elif widths[state] != width:
                found += conv(place, 1, width, widths[state], 1, 1)
        channels = [channels[1], width * len(outputs)]
    return [*found, (("linear",), (5, channels[1]))]


def kernel_of(operation):
    return int(operation.split()[-1][0])


class NasnetCell:
    @staticmethod
    def inputs(number, channels, width, is_behind):
        skip, direct = channels
        found = conv((number, "direct"), 1, width, direct, 1, 1)
        if number == 0:
            return found, {0: width, 1: direct}
        if is_behind:
            found += reduced((number, "skip"), skip, width)
        elif skip != width:
            found += conv((number, "skip"), 1, width, skip, 1, 1)
        return found, {0: width, 1: width}

    @staticmethod
    def branch(place, operation, entering, width, strides):
        if "sep" in operation:
            kernel = kernel_of(operation)
            return separable(place, 1, entering, width, kernel) + separable(place, 2, width, width, kernel)
        if operation == "conv 1x7 7x1":
            inner = width // 4
            first = conv(place, 1, inner, entering, 1, 1) + conv(place, 2, inner, inner, 1, 7)
            return first + conv(place, 3, inner, inner, 7, 1) + conv(place, 4, width, inner, 1, 1)
        changes = entering != width or (operation == "identity" and strides)
        return conv(place, 1, width, entering, 1, 1) if changes else []


class NaoCell:
    @staticmethod
    def inputs(number, channels, width, is_behind):
        skip, direct = channels
        found = []
        if is_behind:
            found += reduced((number, "skip"), skip, width)
        elif skip != width:
            found += conv((number, "skip"), 1, width, skip, 1, 1)
        if direct != width:
            found += conv((number, "direct"), 1, width, direct, 1, 1)
        return found, {0: width, 1: width}

    @staticmethod
    def branch(place, operation, entering, width, strides):
        assert entering == width
        if operation in ("conv 1x1", "conv 3x3"):
            return conv(place, 1, width, width, *[kernel_of(operation)] * 2)
        if "pool" in operation or (operation == "identity" and not strides):
            return []
        if operation == "identity":
            return reduced(place, width, width)
        kernel = int(operation[-3])  # conv 1x7 7x1
        return conv(place, 1, width, width, 1, kernel) + conv(place, 2, width, width, kernel, 1)


SPACES = {
    "hierarchical": (HierarchicalSpace((3, 1), (4, 5), 2, 1, diversification=60), hierarchical),
    "three levels": (HierarchicalSpace((3, 2, 1), (3, 3, 4), 2, 1, diversification=60), hierarchical),
    "flat": (flat_space(7, 2, 1, diversification=60), hierarchical),
    "nasnet": (NasnetSpace(4, channels=8, repeats=1), partial(stacked, count=4, of_cell=NasnetCell)),
    "nao": (NaoSpace(4, channels=6, repeats=1), partial(stacked, count=4, of_cell=NaoCell)),
}


@pytest.mark.parametrize("name", SPACES)
def test_weights_share_their_names_exactly_where_networks_are_alike(name):
    space, account = SPACES[name]
    shared = unlike = 0
    for parent, child in walk(space, 0):
        accounts = [account(space, genotype) for genotype in (parent, child)]
        weights = [named(space, genotype) for genotype in (parent, child)]
        for listed, found in zip(accounts, weights, strict=True):
            assert [shape for _, shape in listed] == [shape for _, shape in found], "the account is another network's"
            assert len(dict(found)) == len(found) == len(dict(listed))
        names = [dict(zip(listed, found, strict=True)) for listed, found in zip(accounts, weights, strict=True)]
        alike = names[0].keys() & names[1].keys()
        assert all(names[0][each] == names[1][each] for each in alike)
        assert {names[0][each] for each in alike} == set(weights[0]) & set(weights[1]), "and no others"
        shared += len(alike)
        unlike += len(names[1]) - len(alike)
    assert shared > unlike > 0


def cells_of_nats(space, genotype):
    """Names and shapes of the weights of each edge: those that are gone once its convolution is another one."""
    weights = set(named(space, genotype))
    found = {}
    for edge, operation in enumerate(genotype):
        if operation in (2, 3):
            other = (*genotype[:edge], 5 - operation, *genotype[edge + 1 :])
            found[edge, operation] = weights - set(named(space, other))
    return weights, found


def test_weights_of_nats_are_called_by_their_edges():
    """And not by the numbers that keys are made of, which depend on all other edges."""
    space = NatsTopology(4, 2)
    shared = 0
    for parent, child in walk(space, 0):
        weights, edges = zip(*(cells_of_nats(space, genotype) for genotype in (parent, child)), strict=True)
        for genotype, all_weights, by_edge in zip((parent, child), weights, edges, strict=True):
            living = {edge: found for edge, found in by_edge.items() if found}
            assert all(len(found) == 2 * 6 for found in living.values()), "a convolution and a normalization per cell"
            assert len(set().union(*living.values())) == 12 * len(living), "every edge has its own"
            assert len(living) == alive(genotype)
            assert len(all_weights) == 12 * len(living) + 2 + 2 * 5 + 2, "stem, reductions, the last norm and linear"
        alike = {each for each in edges[0].keys() & edges[1].keys() if edges[0][each] and edges[1][each]}
        assert all(edges[0][each] == edges[1][each] for each in alike)
        common = weights[0] & weights[1]
        assert len(common) == 12 * len(alike) + 14, "and no others"
        shared += len(alike)
    assert shared > MUTATIONS


def alive(genotype):
    """How many convolutions the output of a cell depends on."""
    edges = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    zero = [False]
    for target in (1, 2, 3):
        into = [(genotype[n], source) for n, (source, end) in enumerate(edges) if end == target]
        zero.append(all(op == 0 or (op in (1, 4) and zero[source]) for op, source in into))
    needed, found = {3}, 0
    for n, (source, target) in reversed(list(enumerate(edges))):
        if target in needed and genotype[n] and not (genotype[n] in (1, 4) and zero[source]):
            needed.add(source)
            found += genotype[n] in (2, 3)
    return found


def test_a_name_is_given_once():
    writer = PlanWriter(TINY)
    with writer.scope("cell1"):
        x = writer.conv(0, 4)
        with pytest.raises(ValueError, match=r"there is a layer cell1\.conv1 already; give one of the two"):
            writer.write(writer.plan()[x].op, 0, name="conv1")
    writer.conv(0, 4)
    assert writer.plan()[-1].name == "conv1"


def test_an_outermost_layer_with_weights_and_a_scope_do_not_share_a_name():
    """One of the two modules would take the other's place."""
    writer = PlanWriter(TINY)
    with writer.scope("a", "b"):
        x = writer.write(Conv(3), 0, name="inner")
    with pytest.raises(ValueError, match=r"there is a scope a, so that no layer with"):
        writer.write(Conv(3), x, name="a")
    writer.write(Conv(3), x, name="c")
    with writer.scope("c", "b"), pytest.raises(ValueError, match=r"the layer c has weights, so that"):
        writer.conv(x, 3)
    with writer.scope("relu1"):
        writer.conv(x, 3)
    writer.relu(x)  # a function is no module
    assert len(network.Network(writer.plan()).state_dict()) == 3


def test_no_two_layers_have_their_weights_under_one_name():
    writer = PlanWriter(TINY)
    with writer.scope("cell1"):
        with writer.scope("a"):
            writer.conv(0, 3)
        writer.relu(0)
        writer.write(Conv(3), 0, name="a")
        with pytest.raises(ValueError, match=r"the weights of cell1.a_conv1 would have the name of another layer's"):
            writer.write(Conv(3), 0, name="a_conv1")
    plan = writer.plan()
    assert set(network.Network(plan).state_dict()) == {"cell1.a_conv1.weight", "cell1.a.weight"}
    with pytest.raises(ValueError, match=r"the weights of cell1.a_conv1 would have the name of another layer's"):
        network.Network((*plan[:-1], plan[-1]._replace(name="cell1.a_conv1")))


@pytest.mark.parametrize(
    ("scopes", "name"),
    [
        ((), "forward"),
        ((), "class"),
        ((), "é"),
        ((), "a b"),
        ((), "a."),
        ((), ".a"),
        ((), "x" * 101),
        (("training",), "x"),
        (("None",), "x"),
        (("cell", "__class__"), "x"),
        (("cell", ""), "x"),
        (("cell", "x'y"), "x"),
        (("cell", "a"), "regularize"),
        (("cell", "register"), "buffer"),
        (("cell",) * 21, "x"),
    ],
)
def test_a_name_that_has_a_meaning_already_is_no_name_of_a_layer(scopes, name):
    writer = PlanWriter(TINY)
    with writer.scope(*scopes) if scopes else nullcontext(), pytest.raises(ValueError, match=r"name|scopes"):
        writer.write(Conv(3), 0, name=name)
    assert len(writer.plan()) == 1


def test_whatever_modules_have_is_taken():
    assert {name for name in dir(network.Network(PlanWriter(TINY).plan())) if name[0] != "_"} <= TAKEN


@pytest.mark.parametrize(
    "space", ["flat", "hierarchical", "hnag", "macro", "nao", "nasnet", "nats", "nats_size", "residual", "rnag"]
)
def test_the_names_of_all_spaces_can_be_written(space):
    made = refs.load("space", refs.parse(space))
    assert made.plan(made.sample(seeds.rng_for(0, seeds.ASK)), IO(3, 16, 16, 5))
