"""Official releases: what memory does not hold is refused before it is held."""

import bz2
import pickle

import pytest
import torch

from netwright.core import memory
from netwright.core.errors import NetwrightError
from netwright.tables import official


def test_a_release_that_unpacks_to_more_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "most", lambda: 1_000_000)
    with bz2.open(tmp_path / "zeros.pickle.pbz2", "wb") as file:
        pickle.dump({"meta_archs": [bytes(100_000) for _ in range(30)]}, file)
    torch.save({"meta_archs": torch.zeros(1_000_000)}, tmp_path / "zeros.pth")
    for kind, name in (("nats", "zeros.pickle.pbz2"), ("nasbench201", "zeros.pth")):
        with pytest.raises(
            NetwrightError, match=rf"{name} holds more than the 1\.0 MB of memory that this process may"
        ):
            official.convert(kind, tmp_path / name, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
