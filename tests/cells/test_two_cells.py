import pytest

from netwright.cells import two_cells
from netwright.cells.nasnet import Cell
from netwright.core import seeds
from netwright.core.errors import InvalidGenotype

ROWS = (("a", 0, "b", 1), ("b", 2, "a", 0))


def test_rows_become_states_and_places_of_operations():
    assert two_cells.values(ROWS, ROWS[:1], ("b", "a")) == [0, 1, 1, 0, 2, 0, 0, 1, 0, 1, 1, 0]


def test_an_operation_that_is_not_there_is_named():
    with pytest.raises(InvalidGenotype, match="state 3 of the reduction cell has the operation 'c'; there are a, b"):
        two_cells.values(ROWS, (ROWS[0], ("a", 0, "c", 1)), ("a", "b"))


@pytest.mark.parametrize("genes_per_pair", [2, 4, 6])
def test_one_pair_of_each_cell_is_swapped(genes_per_pair):
    genotype = tuple(range(6 * genes_per_pair))
    half, places = genes_per_pair // 2, set()
    for n in range(30):
        swapped = two_cells.swap_branches(genotype, genes_per_pair, seeds.rng_for(0, seeds.ASK, n))
        moved = [place for place, (one, other) in enumerate(zip(genotype, swapped, strict=True)) if one != other]
        firsts = moved[0], moved[genes_per_pair]
        assert moved == [first + place for first in firsts for place in range(genes_per_pair)]
        assert firsts[0] < len(genotype) // 2 <= firsts[1]
        for first in firsts:
            pair = genotype[first : first + genes_per_pair]
            assert swapped[first : first + genes_per_pair] == pair[half:] + pair[:half]
        places |= set(firsts)
    assert len(places) == 6, "any pair of a cell"


def test_equal_cells_have_equal_texts():
    one = Cell(((("a", 0), ("b", 1)), (("a", 1), ("a", 1)), (("c", 2), ("b", 3))), (4,))
    other = Cell(((("a", 1), ("a", 1)), (("b", 1), ("a", 0)), (("b", 2), ("c", 3))), (4,))
    unlike = Cell(((("a", 0), ("b", 0)), (("a", 1), ("a", 1)), (("c", 2), ("b", 3))), (4,))
    assert two_cells.cell_text(one) == two_cells.cell_text(other) != two_cells.cell_text(unlike)


def test_drawings():
    cell = Cell(((("a", 0), ("b", 1)), (("c", 0), ("c", 0))), (2,))  # nobody reads state 3
    drawn = two_cells.cell_graph("normal", cell, ("direct", "skip"))
    assert drawn.nodes == ("0 direct: one cell before", "1 skip: two cells before", "2", "output")
    assert drawn.edges == ((0, 2, "a"), (1, 2, "b"), (2, 3, "concat"))
    stacks = two_cells.stacks_graph("conv 3x3", (1, 2), 4, 6, drawn, drawn)
    assert stacks.nodes[:4] == ("image", "stem", "width 1", "width 2")
    assert stacks.nodes[4:] == ("6 x width 4", "width 8", "6 x width 8", "width 16", "6 x width 16", "logits")
