"""The size space of NATS-Bench: 32,768 networks of five widths on CIFAR-10, CIFAR-100, ImageNet16-120.

Reads what `netwright import` made of the official release, or a CSV of the same columns (see nats_tss.py). The signal
is the validation accuracy after 12 epochs, the final measure the test accuracy after 90, in percent (Dong et al. 2021).
"""

from __future__ import annotations

from netwright.core.table import Table
from netwright.spaces.nats_size import NatsSize
from netwright.tables.nats_tss import Dataset, read


def nats_sss(path: str, dataset: Dataset = "cifar10") -> Table:
    """Read the table of one data set.

    Args:
        path: Path of the Parquet file that `netwright import` wrote.
        dataset: Data set on which the networks were trained.

    Raises:
        BadReference: No such file, or a file without the data set.
    """
    return read(f"nats_sss {dataset}", NatsSize(), path, dataset, 12, 90)


plugin = nats_sss
