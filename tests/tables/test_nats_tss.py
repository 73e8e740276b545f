"""The published table; what is known of it, and what it takes to read."""

import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.refs import Reference
from netwright.spaces.nats import NatsTopology
from netwright.tables.nats_tss import nats_tss

DATA = Path(os.environ.get("NETWRIGHT_DATA", "")) / "nats-tss" / "nats_tss.csv"
needs_data = pytest.mark.skipif(not DATA.is_file(), reason="NETWRIGHT_DATA has no nats-tss/nats_tss.csv")
HEAD = "arch,cifar10_val_acc_12ep,cifar10_test_acc_12ep,cifar10_test_acc_200ep\n"
ROWS = """|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,10,10,10
|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|,40,41,42
"""


@needs_data
@pytest.mark.parametrize(
    ("dataset", "signal", "its_test", "ties", "test"),
    [("cifar10", 84.892, 94.3733, 1, 94.3733), ("cifar100", 61.32, 72.28, 2, 73.5133)],
)
def test_the_best_cells(dataset, signal, its_test, ties, test):
    table = nats_tss(str(DATA), dataset)
    assert len(table) == 15_625
    assert table.remarks == ()
    signals, finals = table.scores("signal"), table.scores("final")
    assert signals.max() == signal
    assert (signals == signal).sum() == ties
    assert finals.max() == test
    best = next(genotype for genotype, row in table.rows.items() if row == signals.argmax())
    found = table.lookup(best)
    assert (found["signal"], found["seconds"]) == (signal, 0.0)
    if ties == 1:
        assert found["final"] == its_test
    assert its_test in finals[signals == signal]


@needs_data
def test_cells_of_one_key_did_equally_well():
    """Keys join what is one network: the published accuracies, of different seeds, agree as far as noise allows."""
    table = nats_tss(str(DATA))
    groups = defaultdict(list)
    for genotype, row in table.rows.items():
        groups[table.space.key(genotype)].append(table.scores("final")[row])
    spreads = [max(found) - min(found) for found in groups.values() if len(found) > 1]
    assert len(spreads) > 1000
    assert statistics.median(spreads) < 0.5
    assert np.std(table.scores("final")) > 10


def test_a_small_table_as_a_reference(tmp_path):
    (tmp_path / "t.csv").write_text(HEAD + ROWS)
    table = refs.load("table", refs.parse(f"nats_tss(path='{tmp_path / 't.csv'}', dataset=cifar10)"))
    assert table.name == "nats_tss cifar10"
    assert table.lookup((0, 0, 0, 1, 0, 0)) == {"signal": 40.0, "final": 42.0, "seconds": 0.0}
    assert not table.budgets
    assert table.remarks == ("2 of the 15,625 networks of the space have a row",)


def test_budgets_of_a_file_without_costs_and_late_validation(tmp_path):
    """What a search sees after 200 epochs is then the test accuracy, and an evaluation costs its epochs."""
    (tmp_path / "t.csv").write_text(HEAD + ROWS)
    table = nats_tss(str(tmp_path / "t.csv"), epochs=200)
    cell = (0, 0, 0, 1, 0, 0)
    assert table.name == "nats_tss cifar10, 200 epochs"
    assert table.lookup(cell) == table.lookup(cell, 200) == {"signal": 42.0, "final": 42.0, "seconds": 200.0}
    assert table.lookup(cell, 12) == {"signal": 40.0, "final": 42.0, "seconds": 12.0}
    assert [remark.partition(":")[0] for remark in table.remarks[1:]] == [
        "a search sees cifar10_test_acc_200ep, as the file has no validation accuracy after 200 epochs",
        "the file has no costs",
    ]


def test_budgets_of_a_file_that_has_all(tmp_path):
    head = HEAD.strip() + ",cifar10_val_acc_200ep,cifar10_seconds_12ep,cifar10_seconds_200ep\n"
    lines = ROWS.splitlines()
    (tmp_path / "t.csv").write_text(head + "".join(f"{line},41.5,3,50\n" for line in lines))
    table = nats_tss(str(tmp_path / "t.csv"), epochs=200)
    cell = (0, 0, 0, 1, 0, 0)
    assert table.lookup(cell) == {"signal": 41.5, "final": 42.0, "seconds": 50.0}
    assert table.lookup(cell, 12) == {"signal": 40.0, "final": 42.0, "seconds": 3.0}
    assert len(table.remarks) == 1


def test_a_data_set_that_is_not_there(tmp_path):
    (tmp_path / "t.csv").write_text(HEAD + ROWS)
    with pytest.raises(BadReference, match="has no column 'cifar100_val_acc_12ep'; its columns: arch, cifar10_val"):
        nats_tss(str(tmp_path / "t.csv"), "cifar100")
    with pytest.raises(BadReference, match=r"table\.dataset is 'mnist'"):
        refs.load("table", Reference("nats_tss", {"path": str(tmp_path / "t.csv"), "dataset": "mnist"}))


def test_queries_take_little_memory_and_no_torch(tmp_path):
    """A table as large as the imported release: 15,625 rows, 3 seeds, 2 budgets, 3 data sets."""
    rng, space, count = np.random.default_rng(0), NatsTopology(), 15_625
    genotypes = np.stack(np.unravel_index(np.arange(count), (5,) * 6), 1).tolist()
    columns = {"arch": [space.text(tuple(genotype)) for genotype in genotypes]}
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        for measure in ("train_acc", "val_acc", "test_acc", "seconds"):
            for epochs in (12, 200):
                name = f"{dataset}_{measure}_{epochs}ep"
                columns |= {each: rng.random(count) for each in (name, *(f"{name}_seed{n}" for n in (777, 888, 999)))}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    program = (
        "import sys; from netwright.tables.nats_tss import nats_tss; from netwright.evaluators.lookup import Lookup\n"
        f"t = nats_tss({str(tmp_path / 't.parquet')!r}, 'ImageNet16-120'); Lookup(t)\n"
        "for n, g in enumerate(t.rows): t.lookup(g, 200, n); t.space.key(g)\n"
        "assert 'torch' not in sys.modules\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200_000, "kB"
