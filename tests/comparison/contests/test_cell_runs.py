"""Folders of cells are a function of the label, and no two labels have one."""

import itertools

import pytest

from netwright.comparison import strategy_refs
from netwright.comparison.contests import cell_runs
from netwright.core.refs import Reference

NAMES = ("a", "aging", "mine:Own", "my.own:A")
VALUES = (1e16, 1e-16, 0.5, 5, -5, True, "True", "5", "-5", (5,), None, "a/b", "a-b", "x" * 90, "x" * 91)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("random", "random"),
        ("aging(population=20,sample=5)", "aging-population-20-sample-5"),
        ("reinforce(batch=10,lr=1e-05)", "reinforce-batch-10-lr-1e-05"),
        ("mylab.wild:Wild(bold=True)", "mylab.wild-Wild-bold-True"),
    ],
)
def test_short_labels_are_readable(label, name):
    assert cell_runs.folder_name(label) == name


def test_others_have_a_digest():
    pairs = [("mine(path='a/b')", "mine(path='a-b')"), ("x(a=1e+16)", "x(a=1e-16)"), (_long("1"), _long("2"))]
    for one, other in pairs:
        assert cell_runs.folder_name(one) != cell_runs.folder_name(other)
    assert len(cell_runs.folder_name(_long("1"))) <= cell_runs.LONGEST + 9
    assert "/" not in cell_runs.folder_name("mine(path='a/b')")


def _long(value):
    return "reinforce(" + ",".join(f"option_{n}=0.5" for n in range(9)) + f",x={value})"


def test_no_two_cells_have_one_folder():
    options = [{}] + [{"a": value} for value in VALUES] + [{"_1": value} for value in VALUES]
    options += [{"a": one, "_1": other} for one, other in itertools.product(VALUES, VALUES)]
    labels = [strategy_refs.label(Reference(name, given)) for name, given in itertools.product(NAMES, options)]
    names = [f"{cell_runs.folder_name(label)}-{seed}" for label, seed in itertools.product(labels, range(12))]
    assert len(set(names)) == len(names) == 4 * 256 * 12
