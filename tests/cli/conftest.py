import io
import subprocess
from contextlib import redirect_stderr
from types import SimpleNamespace

import pytest

from netwright.cli import import_table


@pytest.fixture
def unpickled_here(monkeypatch):
    """`netwright import` unpickles in this process: one of its own takes a second to start."""
    monkeypatch.setattr(import_table, "subprocess", SimpleNamespace(run=_here, PIPE=subprocess.PIPE))


def _here(words, **_):
    from netwright.tables import official  # late: torch

    said = io.StringIO()
    with redirect_stderr(said):
        code = official.main(words[3:])
    return subprocess.CompletedProcess(words, code, stderr=said.getvalue())
