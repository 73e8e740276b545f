"""Penn Treebank and WikiText-2: three files each. The counts of the former are checked where its files are."""

import os
from pathlib import Path

import pytest

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.vocabulary import END
from netwright.tasks import penn_treebank, wikitext2
from netwright.testing.tasks import check_task

PTB = Path(os.environ.get("NETWRIGHT_DATA", "none")) / "ptb"
TASKS = {"penn_treebank": penn_treebank, "wikitext2": wikitext2}


def files(folder, names):
    for number, name in enumerate(names.values(), 4):
        (folder / name).write_text(" the old <unk> sat \n a new N ran on \n" * 10 * number)


@pytest.mark.parametrize("name", TASKS)
def test_three_files_are_a_task(tmp_path, name):
    files(tmp_path, TASKS[name].NAMES)
    task = TASKS[name].plugin(str(tmp_path), steps=5)
    check_task(task)
    assert task.tokens("train") == 11 * 40
    assert task.vocabulary.tokens[0] == END and len(task.vocabulary) == 10
    recognized = refs.locate("task", name).recognizes
    assert recognized(tmp_path) == {"path": str(tmp_path)} and recognized(tmp_path.parent) is None


def test_a_file_that_is_missing_is_named(tmp_path):
    files(tmp_path, penn_treebank.NAMES)
    (tmp_path / "ptb.valid.txt").unlink()
    with pytest.raises(BadReference, match=r"has no file ptb.valid.txt; give the folder of ptb.train.txt, ptb"):
        penn_treebank.plugin(str(tmp_path))
    files(tmp_path, penn_treebank.NAMES)
    with pytest.raises(BadReference, match=r"^task.train_limit is 10; it must be at least 1,000 words$"):
        penn_treebank.plugin(str(tmp_path), train_limit=10)


@pytest.mark.skipif(not PTB.is_dir(), reason="needs the files of Penn Treebank")
def test_penn_treebank_has_the_published_counts():
    task = penn_treebank.plugin(str(PTB))
    assert [task.tokens(split) for split in ("train", "valid", "test")] == [929_589, 73_760, 82_430]
    assert len(task.vocabulary) == 10_000
    assert sum(task.lengths("test", 1, None)) == 82_429
    less = penn_treebank.plugin(str(PTB), train_limit=20_000)
    assert [less.tokens(split) for split in ("train", "valid", "test")] == [20_000, 2_000, 2_000]
