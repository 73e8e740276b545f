"""The topology space of NATS-Bench, which is NAS-Bench-201: 15,625 cells on CIFAR-10, CIFAR-100, ImageNet16-120.

Reads a CSV with the columns `arch`, `cifar10_val_acc_12ep`, `cifar10_test_acc_200ep` and so on, means over the
benchmark's seeds; or what `netwright import` made of an official release, which has the single measurements too, of
which a look-up picks one by its seed, as the authors' own studies do, and the cost of each.

Accuracies are percentages. The signal is the validation accuracy after 12 epochs, the final measure the test accuracy
after 200, as in Dong et al. 2021.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from netwright.spaces.nats import NatsTopology
from netwright.tables.csv import csv
from netwright.tabular import Table

Dataset = Literal["cifar10", "cifar100", "ImageNet16-120"]


def nats_tss(path: str, dataset: Dataset = "cifar10") -> Table:
    """Read the table of one data set.

    Args:
        path: Of the CSV, or of the Parquet file that `netwright import` wrote.
        dataset: On which the cells were trained.

    Raises:
        BadReference: No such file, or a file without the data set.
    """
    return read(f"nats_tss {dataset}", NatsTopology(), path, dataset, 12, 200)


def read(name: str, space: Any, path: str, dataset: str, search_epochs: int, final_epochs: int) -> Table:
    """The table of one data set of a space, with budgets, costs and single measurements where the file has them."""
    signal, final = f"{dataset}_val_acc_{search_epochs}ep", f"{dataset}_test_acc_{final_epochs}ep"
    table = csv(path, text="arch", space=space, signal=signal, final=final, name=name)
    budgets = _by_epochs(table, f"{dataset}_val_acc")
    costs = _by_epochs(table, f"{dataset}_seconds")
    single = {
        column: found
        for column in (*budgets.values(), *costs.values())
        if (found := tuple(sorted(each for each in table.columns if each.startswith(f"{column}_seed"))))
    }
    budgets = budgets if len(budgets) > 1 else {}
    return replace(
        table,
        seconds=costs.get(search_epochs),
        budgets=budgets,
        budget_seconds={epochs: column for epochs, column in costs.items() if epochs in budgets},
        repeats=single,
    )


def _by_epochs(table: Table, start: str) -> Mapping[int, str]:
    """Columns such as cifar10_val_acc_12ep, by epochs."""
    found = {column: re.fullmatch(rf"{re.escape(start)}_(\d+)ep", column) for column in table.columns}
    return {int(match[1]): column for column, match in sorted(found.items(), key=lambda pair: len(pair[0])) if match}


plugin = nats_tss
