"""Labels of strategies, and the program that each is of."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.comparison import command_line, strategy_refs
from netwright.core import refs
from netwright.core.refs import Reference
from tests.comparison.tables import small


@given(
    st.dictionaries(
        st.sampled_from(["population", "sample", "x"]),
        st.one_of(
            st.integers(-(2**63), 2**63 - 1),
            st.text(st.characters(codec="ascii"), max_size=5),
            st.booleans(),
            st.lists(st.integers(0, 9)),
        ),
    )
)
def test_a_label_is_a_reference_that_is_read_as_the_same(options):
    reference = Reference("aging", options)
    assert command_line.read_strategies(f"random,{strategy_refs.label(reference)}")[1] == reference
    assert refs.parse(str(reference)) == reference, "the processes read it so"


def test_labels_are_as_typed():
    assert strategy_refs.label(refs.parse("aging(population=10,sample=3)")) == "aging(population=10,sample=3)"
    assert strategy_refs.label(refs.parse("aging( sample = 3 )")) == "aging(sample=3)"
    assert strategy_refs.label(refs.parse("aging(sample=3,population=10)")) == "aging(population=10,sample=3)"
    assert strategy_refs.label(refs.parse("mylab.wild:Wild(a='b')")) == "mylab.wild:Wild(a='b')"


def test_labels_are_enough_to_make_a_strategy_in_another_process():
    for text in ("aging(population=4,sample=2)", "listed(genotypes=[[0,1,2]])"):
        assert strategy_refs.label(refs.parse(text)).replace(" ", "") == text


def test_the_source_of_a_foreign_strategy_is_its_file():
    digests = [strategy_refs.source_of(refs.parse(name)) for name in ("random", "random(x=1)", f"{small.STRANGE}:Slow")]
    assert len(set(digests)) == 2 and digests[0] == digests[1] != ""
    assert strategy_refs.source_of(refs.parse(f"{small.STRANGE}:Raising")) == digests[2]


@pytest.mark.parametrize("changed", ["strategies/predictor.py", "surrogates/features.py"])
def test_the_source_of_a_strategy_of_the_package_is_all_that_strategies_are_made_of(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(strategy_refs, "PACKAGE", Path(shutil.copytree(strategy_refs.PACKAGE, tmp_path / "netwright")))
    foreign = refs.parse(f"{small.STRANGE}:Slow")
    before, other = strategy_refs.source_of(refs.parse("auto")), strategy_refs.source_of(foreign)
    assert strategy_refs.source_of(refs.parse("auto")) == before
    with (tmp_path / "netwright" / changed).open("a") as file:
        file.write("# another line\n")
    assert strategy_refs.source_of(refs.parse("auto")) != before
    assert strategy_refs.source_of(foreign) == other


def test_the_version_of_the_package_counts(monkeypatch):
    before = strategy_refs.source_of(refs.parse("random"))
    monkeypatch.setattr(strategy_refs, "__version__", "99")
    assert strategy_refs.source_of(refs.parse("random")) != before
