"""What the README's comparison with others counts."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def others(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import others

    yield others
    for name in ("others", "results"):
        sys.modules.pop(name, None)


def test_lines_of_code_are_those_without_comments_and_documentation(others):
    text = '''"""Of a module,

in several lines.
"""

import os  # counted


def f():
    """Not counted."""
    # not counted
    return """counted
    twice"""
'''
    assert others.lines_of_code(text) == 4


def test_the_readme_says_what_is_counted(others):
    readme = (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8")
    [row] = others.lines()
    assert f"{row.median:.0f} lines [m]" in readme
