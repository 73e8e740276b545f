"""What is said of a table, and how its content is told from another's."""

from dataclasses import replace

import numpy as np
import pytest

from netwright.comparison.tables import problems
from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.refs import Reference
from netwright.core.table import Table
from netwright.testing.toys import ToySpace
from tests.comparison.tables import small

SPACE = ToySpace(length=1, options=4)
TABLE = Table(
    "toy",
    SPACE,
    {(0,): 0, (1,): 1, (2,): 2},
    {"v": np.array([5.0, 9.0, 9.0]), "t": np.array([50.0, 20.0, 60.0]), "s": np.array([7.0, 8.0, 9.0])},
    "v",
    "t",
    "s",
)


def test_a_table_is_described(tmp_path):
    reference = Reference(
        "csv", {"path": str(small.write(tmp_path / "my.csv")), "genes": ["a", "b", "c"], "signal": "-val"}
    )
    found = problems.describe(problems.read(reference), reference)
    assert (found.name, found.table, found.dataset, found.networks) == ("my", "my", "", 60)
    assert (found.signal, found.final, found.sign, found.final_sign) == ("val", "val", -1, -1)
    assert found.best == -46.0
    assert found.remarks == ()


def test_data_sets_of_a_table(tmp_path):
    (tmp_path / "t.csv").write_text(
        "arch,cifar10_val_acc_12ep,cifar10_test_acc_200ep\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,10,11\n"
    )
    for options in ({}, {"dataset": "cifar10"}):
        reference = Reference("nats_tss", {"path": str(tmp_path / "t.csv"), **options})
        found = problems.describe(problems.read(reference), reference)
        assert (found.name, found.table, found.dataset) == ("nats_tss cifar10", "nats_tss", "cifar10")


def test_it_is_said_when_the_best_by_signal_is_not_the_best():
    assert problems.difference_of_bests(TABLE) == "the 2 best networks by v have t 20 and 60; the best of all has 60"
    several = replace(TABLE, rows={(n,): n for n in range(6)})
    for finals, text in (
        ([20, 60, 20, 60], "the 4 best networks by v have t 20 and 60"),
        ([20, 30, 40, 60], "the 4 best networks by v have t between 20 and 60"),
    ):
        columns = {"v": np.array([1.0, 2.0, *[9.0] * 4]), "t": np.array([50.0, 70.0, *finals])}
        assert problems.difference_of_bests(replace(several, columns=columns, seconds=None)).startswith(text)
    turned = replace(several, columns={**columns, "t": -columns["t"]}, final="-t", seconds=None)
    assert "have t between -60 and -20; the best of all has -70" in problems.difference_of_bests(turned)
    one = replace(TABLE, signal="s", final="-t")
    assert problems.difference_of_bests(one) == "the best network by s has t 60; the best of all has 20"
    assert problems.difference_of_bests(replace(TABLE, signal="s")) == ""
    missing = replace(TABLE, columns={**TABLE.columns, "t": np.array([50.0, np.nan, 60.0])})
    assert problems.difference_of_bests(missing) == ""


def test_what_is_no_table_is_refused():
    with pytest.raises(BadReference, match="does not say that it returns a table; annotate it"):
        problems.read(refs.parse(f"{small.STRANGE}:not_a_table(path='x')"))
