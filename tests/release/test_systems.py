import sys
from pathlib import Path

import pytest

from tests import conftest, systems

ROOT = Path(__file__).parents[2]


class Shown:
    """What a terminal would show."""

    def __init__(self):
        self.lines = []
        self.stats = {}

    def write_line(self, line):
        self.lines.append(line)


@pytest.mark.parametrize("system", systems.LEFT_OUT)
def test_what_is_left_out_is_there_once_and_has_a_reason(system):
    for place, why in systems.left_out(system).items():
        assert (ROOT / place).exists(), place
        assert why
        assert not any(parent.as_posix() in systems.left_out(system) for parent in Path(place).parents), place


def test_a_system_leaves_out_its_own_alone(monkeypatch):
    place = ROOT / "tests" / "runs"
    assert conftest.pytest_ignore_collect(place) is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert conftest.pytest_ignore_collect(place) is True
    assert conftest.pytest_ignore_collect(ROOT / "tests" / "core") is None
    shown = Shown()
    conftest.pytest_terminal_summary(shown)
    assert any("tests/runs: a run locks its folder" in line for line in shown.lines)
