"""What the documents say can be done can be done: Python runs, commands run or at least parse, links lead somewhere."""

import re
import shlex
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from netwright.cli.main import main
from netwright.core import refs
from tests import believed, tiny_data

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


# what a reader waits for and a test does not
FEWER = {
    "trials=30": "trials=1, executor='inline'",
    "epochs=5": "epochs=1",
    "epochs=60": "epochs=1",
    "path='photos'": "path='photos',size=8",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_runs(page, tmp_path, monkeypatch):
    """The blocks of a page are one program; a folder `photos` is there."""
    blocks = _blocks(page, "python")
    if blocks:
        tiny_data.photos(tmp_path / "photos")
        monkeypatch.chdir(tmp_path)
    names = {"__name__": "docs"}
    for block in blocks:
        for many, few in FEWER.items():
            block = block.replace(many, few)
        with believed.exports():
            exec(compile(block, str(page), "exec"), names)


def test_a_search_on_own_data_takes_five_lines_of_python(capsys):
    [block, *_] = _blocks(ROOT / "README.md", "python")
    assert "image_folder" in block
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 5


@cache  # of a command that a page names many times
def _help(command):
    said = StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit):
        main([command, "--help"])
    return said.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_are_known(page, capsys, tmp_path, monkeypatch):
    """Those about the zoo and the lists are run; of the others the options are looked up."""
    monkeypatch.chdir(tmp_path)
    commands = [line for block in _blocks(page, "sh") for line in block.splitlines() if line.startswith("netwright ")]
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        if words[0] == "list" or words[:2] == ["show", "zoo:hierarchical"]:
            with pytest.raises(SystemExit) as left:
                main(words)
            assert not left.value.code, command
            continue
        for word in words:
            assert not re.fullmatch(r"--\w+", word) or word in _help(words[0]), f"{command}: {word} is no option"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_recipes_and_plug_ins_are_listed():
    """Every plug-in has its line in the documents, every make target its place."""
    for kind, page in (("space", "spaces"), ("strategy", "strategies"), ("task", "tasks")):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        for name in refs.available(kind):
            assert f"`{name}`" in text, f"docs/{page}.md has no line for {name}"


def test_every_fault_is_made_by_a_test_that_is_there():
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| F")]
    assert [line.split("|")[1].strip() for line in rows] == [f"F{number}" for number in range(1, 23)]
    for line in rows:
        named = re.findall(r"`(tests/\S+)::(\w+)`", line)
        assert named, line
        for path, name in named:
            assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {name}"
