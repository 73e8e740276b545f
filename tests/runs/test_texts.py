"""Texts by the commands: recognized, refused in one sentence, and not gone on with once they have changed."""

import pytest

from netwright.cli.main import main
from netwright.core.errors import BadRunFile
from netwright.core.refs import Reference
from netwright.runs.timed.recognized import recognized

WORDS = "the cat sat . the dog ran on , and on . a cat is no dog , is it ?\n\n"
SETTINGS = ["--space", "rnn(width=4,nodes=2)", "--strategy", "random", "--executor", "inline", "--evaluator.batch", 4]
SETTINGS += ["--trials", 1, "--evaluator.steps", 2]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "my.txt"
    path.write_text(WORDS * 40)
    return path


def outcome(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return left.value.code or 0, out, err


def refused(capsys, *words):
    code, _, err = outcome(capsys, *words)
    assert code == 2 and err.startswith("netwright: ") and err.count("\n") == 1, err
    return err


def test_text_files_and_folders_of_them_are_recognized(text):
    for path in (text, text.parent):
        found = recognized(str(path))
        assert found.task == Reference("text", {"path": str(path)})
        assert found.sentence.endswith("(the task text)")


def test_three_files_of_words_are_what_they_are_called(tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"ptb.{split}.txt").write_text(WORDS)
        assert recognized(str(tmp_path)).task.name == ("penn_treebank" if split == "test" else "text")


def test_a_folder_of_no_text_is_refused(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(BadRunFile, match=r"is a folder that holds no images, but files of the kind .md"):
        recognized(str(tmp_path))


def test_a_search_goes_on_but_not_with_another_text(text, tmp_path, capsys):
    run = tmp_path / "run"
    code, out, _ = outcome(capsys, "search", text, *SETTINGS, "--out", run)
    assert code == 0 and "valid_perplexity" in out and "the frequencies of words alone give" in out
    text.write_text(WORDS * 41)
    said = refused(capsys, "search", "--out", run, "--trials", 2)
    assert "the tokens or splits of the task have changed since this run began" in said


def test_hours_with_a_text_are_said_to_be_those_of_the_search_alone(text, tmp_path, capsys):
    without_trials = [word for word in SETTINGS if word != "--trials"]
    without_trials.remove(1)
    code, out, _ = outcome(capsys, "search", text, *without_trials, "--hours", 1e-4, "--out", tmp_path / "run")
    assert code in (0, 1) and out.startswith("the hours are those of the search alone; `netwright train`"), out


@pytest.mark.parametrize("limit", [[], ["--trials", 2], ["--hours", 0.1]])
def test_a_space_for_images_is_refused_with_one_that_fits(text, tmp_path, capsys, limit):
    said = refused(capsys, "search", text, *limit, "--out", tmp_path / "run")
    assert "tokens of a vocabulary of 15 go in; give a task of images, or a space for tokens, such as" in said
    assert said.endswith("--space rnn\n")


def test_a_space_for_text_is_refused_for_images(tmp_path, capsys):
    said = refused(capsys, "search", "digits", "--space", "rnn", "--trials", 1, "--out", tmp_path / "run")
    assert "builds networks for tokens, but images of 1 x 8 x 8 go in; give a task of tokens" in said


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"caf\xe9 au lait", "is no text in UTF-8: byte 3 is 0xe9; save it in UTF-8"),
        (b"", "is empty; give a text"),
        (b"one two one two", "has no words to validate on; give a longer text"),
        (b"one two " * 15, "the valid part has 3 words, too few for 10 rows; give a longer text or"),
    ],
)
def test_what_is_no_text_is_refused_before_anything_is_written(text, tmp_path, capsys, data, sentence):
    text.write_bytes(data)
    assert sentence in refused(capsys, "search", text, *SETTINGS, "--out", tmp_path / "run")
    assert not (tmp_path / "run" / "trials.sqlite").exists()
