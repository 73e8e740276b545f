import pytest

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.vocabulary import END, UNKNOWN
from netwright.tasks.text import text
from netwright.testing.tasks import check_task

NOVEL = text()


def test_the_novel_keeps_every_contract():
    check_task(NOVEL)
    assert [NOVEL.tokens(split) for split in ("train", "valid", "test")] == [28_133, 3_516, 3_517]
    assert len(NOVEL.vocabulary) == 1_308 and {END, UNKNOWN} <= set(NOVEL.vocabulary.tokens)


def test_characters():
    task = text(unit="characters", lower=False)
    tokens = task.vocabulary.tokens
    assert "A" in tokens and "\n" in tokens
    assert "".join(tokens[n] for n in task.corpus.parts["train"][:27]) == "CHAPTER I. Down the Rabbit-"


def test_a_folder_is_read_in_order_of_names(tmp_path):
    (tmp_path / "b.txt").write_text("three four five six seven eight nine ten")
    (tmp_path / "a.TXT").write_text("one two")
    task = text(str(tmp_path), least=1, valid=0.2, test=0.2)
    words = [task.vocabulary.tokens[n] for n in task.corpus.parts["train"]]
    assert words == ["one", "two", END, "three", "four", "five", "six"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"valid": 0.6, "test": 0.5}, "task.valid and task.test are 0.6 and 0.5; their sum must be below 1"),
        ({"test": 0}, "^task.test is 0; it must be a share of the examples, between 0 and 1$"),
        ({"least": 0}, "^task.least is 0; it must be at least 1$"),
        ({"most": 1}, "^task.most is 1; it must be at least 2$"),
        ({"unknown": "refused"}, "is not in the vocabulary; lower task.least or raise task.most"),
    ],
)
def test_bad_options_are_refused(options, sentence):
    with pytest.raises(BadReference, match=sentence):
        list(text(**options).prepare())


def test_a_folder_without_text_is_refused(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(BadReference, match=r"has no file ending in .txt; give a text file, or a folder of such$"):
        text(str(tmp_path))


def test_it_recognizes_texts_and_nothing_else(tmp_path):
    recognizes = refs.locate("task", "text").recognizes
    (tmp_path / "my.txt").write_text("hello")
    assert recognizes(tmp_path / "my.txt") == {"path": str(tmp_path / "my.txt")}
    assert recognizes(tmp_path) == {"path": str(tmp_path)}
    (tmp_path / "cats").mkdir()
    assert recognizes(tmp_path) is None, "a list of names beside folders of images is no text"
    (tmp_path / "empty").mkdir()
    assert recognizes(tmp_path / "empty") is None and recognizes(tmp_path / "none.txt") is None
