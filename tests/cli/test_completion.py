"""What a shell is told to complete."""

import pytest

from tests.cli.test_bad_input import run


@pytest.fixture
def completed(capsys, monkeypatch):
    def complete(line):
        words = line.split(" ")
        monkeypatch.setenv("_NETWRIGHT_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        return run(capsys)[1].split()

    monkeypatch.setattr("sys.argv", ["netwright"])
    return complete


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("netwright sea", ["search"]),
        ("netwright search --spa", ["--space"]),
        ("netwright search --space hier", ["hierarchical"]),
        ("netwright search --strategy=tour", ["tournament"]),
        ("netwright list st", ["strategies", "stores"]),
        ("netwright list spaces hi", ["hierarchical"]),
        ("netwright list zoo naonet-", ["naonet-a", "naonet-b", "naonet-v2", "naonet-ws"]),
        ("netwright search --space hierarchical --space.ch", ["--space.channels"]),
        ("netwright search --space.channels 4 --space hnag --space.p_t", ["--space.p_top"]),
        ("netwright search --space.channels --space hnag --space.p_t", ["--space.p_top"]),
        ("netwright show zoo:naonet-a --space.fl", ["--space.flavor"]),
        ("netwright show zoo:naonet-a --strategy.", []),
        ("netwright search --space nothing --space.", ["--space.help"]),
    ],
)
def test_completed(completed, line, words):
    assert sorted(completed(line)) == sorted(words)


def test_a_shell_gets_its_script(capsys, monkeypatch):
    monkeypatch.setenv("_NETWRIGHT_COMPLETE", "source_zsh")
    monkeypatch.setattr("sys.argv", ["netwright"])
    assert "compdef" in run(capsys)[1]
