"""The topology space of NATS-Bench, which is NAS-Bench-201: 15,625 cells on CIFAR-10, CIFAR-100, ImageNet16-120.

Reads a CSV with the columns `arch`, `cifar10_val_acc_12ep`, `cifar10_test_acc_200ep` and so on, means over the
benchmark's seeds; or what `netwright import` made of an official release, which has the single measurements and the
cost of each too: a look-up picks one of them by its seed, as the authors' own studies do.

Accuracies are percentages. The signal is the validation accuracy after 12 epochs, the final measure the test accuracy
after 200, as in Dong et al. 2021.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from netwright.core.records import IO
from netwright.core.table import Table
from netwright.spaces.nats import NatsTopology
from netwright.tables.csv import csv

Dataset = Literal["cifar10", "cifar100", "ImageNet16-120"]
INPUTS: Final = MappingProxyType(
    {"cifar10": IO(3, 32, 32, 10), "cifar100": IO(3, 32, 32, 100), "ImageNet16-120": IO(3, 16, 16, 120)}
)


def nats_tss(path: str, dataset: Dataset = "cifar10", epochs: Literal[12, 200] = 12) -> Table:
    """Read the table of one data set.

    Args:
        path: Path of the CSV, or of the Parquet file that `netwright import` wrote.
        dataset: Data set on which the cells were trained.
        epochs: Number of epochs of the trainings that a search sees. 200: for strategies with budgets, which may give
            12 as well; in a file without validation accuracies after 200 epochs, a search sees test accuracies, and
            where costs are not known, an evaluation costs its epochs.

    Raises:
        BadReference: No such file, or a file without the data set.
    """
    name, space = f"nats_tss {dataset}", NatsTopology()
    if epochs == 12:
        return read(name, space, path, dataset, 12, 200)
    return _with_budgets(read(f"{name}, 200 epochs", space, path, dataset, 12, 200), dataset)


def _with_budgets(table: Table, dataset: str) -> Table:
    """The table with the signal after 200 epochs, and the budgets 12 and 200."""
    columns, remarks = dict(table.columns), list(table.remarks)
    early, late = f"{dataset}_val_acc_12ep", f"{dataset}_val_acc_200ep"
    if late not in columns:
        late = f"{dataset}_test_acc_200ep"
        remarks.append(
            f"a search sees {late}, as the file has no validation accuracy after 200 epochs: good to compare "
            "strategies, no ground for claims about the networks that they find"
        )
    costs = {budget: f"{dataset}_seconds_{budget}ep" for budget in (12, 200)}
    if not columns.keys() >= set(costs.values()):
        remarks.append("the file has no costs: an evaluation costs as many seconds as it has epochs")
        costs = {budget: f"{budget} epochs" for budget in (12, 200)}
        columns |= {column: np.full(len(table), float(budget)) for budget, column in costs.items()}
    return replace(
        table,
        columns=columns,
        signal=late,
        seconds=costs[200],
        budgets={12: early, 200: late},
        budget_seconds=costs,
        remarks=tuple(remarks),
    )


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
        io=INPUTS.get(dataset),
    )


def _by_epochs(table: Table, start: str) -> Mapping[int, str]:
    """Columns such as cifar10_val_acc_12ep, by epochs."""
    found = {column: re.fullmatch(rf"{re.escape(start)}_(\d+)ep", column) for column in table.columns}
    return {int(match[1]): column for column, match in sorted(found.items(), key=lambda pair: len(pair[0])) if match}


plugin = nats_tss
