"""The notebooks in `examples/`: their output is there and of no particular machine, and they can be executed."""

import ast
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.verified import VERIFIED

EXAMPLES = Path(__file__).parents[1] / "examples"
BOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SHORTER = {"MINUTES = 10 ": "MINUTES = 1 "}  # what a reader waits for and a test does not


def _cells(path):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def _python(source):
    """The Python of a cell, without what only notebooks understand: magics and commands, of one line or more."""
    return re.sub(r"^[%!](?:.*\\\n)*.*$", "", source, flags=re.MULTILINE)


def test_there_are_three():
    assert {path.stem for path in BOOKS} == {"own_images", "compare_strategies", "space_and_strategy"}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_they_were_executed_in_order_without_a_fault(path):
    cells = _cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output["output_type"] for cell in cells for output in cell["outputs"]]
    assert kinds and "error" not in kinds
    for cell in cells:
        ast.parse(_python("".join(cell["source"])))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_they_name_no_place_of_the_machine_that_executed_them(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"/(?:tmp|home|root|work|Users)/", text)


@VERIFIED
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_they_execute(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # !netwright
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        for many, few in SHORTER.items():
            cell.source = cell.source.replace(many, few)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    assert (tmp_path / "runs").is_dir()
