"""Folders of cells are a function of the label, and no two labels have one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.comparison import plan, runs
from netwright.core.refs import Reference

NAMES = st.sampled_from(["a", "aging", "a_b", "lr", "_1", "mine:Own", "my.own:A", "True1"])
VALUES = st.one_of(
    *(st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.text("ab-_.5(',)", max_size=4)),
    st.lists(st.integers(0, 3), max_size=3),
)
OPTIONS = st.dictionaries(st.sampled_from(["a", "b_c", "lr", "_1"]), VALUES, max_size=3)
LABELS = st.builds(lambda name, options: plan.label(Reference(name, options)), NAMES, OPTIONS)


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
    assert runs.folder_name(label) == name


def test_others_have_a_digest():
    pairs = [("mine(path='a/b')", "mine(path='a-b')"), ("x(a=1e+16)", "x(a=1e-16)"), (_long("1"), _long("2"))]
    for one, other in pairs:
        assert runs.folder_name(one) != runs.folder_name(other)
    assert len(runs.folder_name(_long("1"))) <= runs.LONGEST + 9
    assert "/" not in runs.folder_name("mine(path='a/b')")


def _long(value):
    return "reinforce(" + ",".join(f"option_{n}=0.5" for n in range(9)) + f",x={value})"


@given(LABELS, LABELS, st.integers(0, 12), st.integers(0, 12))
def test_no_two_cells_have_one_folder(one, other, first, second):
    names = [f"{runs.folder_name(label)}-{seed}" for label, seed in ((one, first), (other, second))]
    assert (names[0] == names[1]) == ((one, first) == (other, second))
