"""What a word on the command line is taken for."""

from pathlib import Path

import numpy as np
import pytest

from netwright.core.errors import BadReference, BadRunFile
from netwright.core.refs import Reference
from netwright.runs.timed.recognized import is_path, named, recognized
from tests.tiny_data import cifar, photos


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def npz(path):
    np.savez(path, images=np.zeros((4, 8, 8), np.uint8), labels=np.arange(4) % 2)


def test_a_folder_of_images(tmp_path):
    photos(tmp_path / "photos")
    found = recognized("photos/")
    assert found.task == Reference("image_folder", {"path": "photos"}) and found.name == "photos"
    assert found.sentence == "photos/: images in folders, one folder per class (the task image_folder)"


def test_a_folder_of_splits_of_images(tmp_path):
    photos(tmp_path / "data" / "train")
    assert recognized("data").task.name == "image_folder"


def test_an_array_file(tmp_path):
    npz(tmp_path / "a.npz")
    found = recognized(str(tmp_path / "a.npz"))
    assert found.task == Reference("arrays", {"path": str(tmp_path / "a.npz")}) and found.name == "a"


@pytest.mark.parametrize(("classes", "task"), [(10, "cifar10"), (100, "cifar100")])
def test_a_folder_of_parquet_files(tmp_path, classes, task):
    cifar(tmp_path / "c", train=100, test=100, classes=classes)
    assert recognized("c").task == Reference(task, {"path": "c"})


@pytest.mark.parametrize("word", ["digits", "digits(train_limit=100)", "cifar10(path='x')", "os:getcwd"])
def test_a_task_by_name(word):
    if word.startswith("os:"):  # no task, and nothing is called
        with pytest.raises(BadReference, match=r"is a function|not a class|not a task"):
            recognized(word)
        return
    found = recognized(word)
    assert found.task is not None and word.startswith(found.task.name) and found.name == found.task.name


@pytest.mark.parametrize("word", ["a.toml", "no/such/b.TOML"])
def test_a_run_file_there_or_not(word):
    assert recognized(word).task is None


def test_a_name_that_is_both():
    photos(Path("digits"))
    with pytest.raises(BadReference, match=r"is both a task and what lies here .* './digits' .* --task digits"):
        recognized("digits")
    assert recognized("./digits").task.name == "image_folder"


def _empty(here):
    (here / "x").mkdir()


def _of_text(here):
    (here / "x" / "a").mkdir(parents=True)
    (here / "x" / "a.csv").write_text("1,2")


def _a_file(here):
    (here / "x").write_bytes(b"PK")


def _near(here):
    (here / "xy").mkdir()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_empty, "'x' is a folder that is empty"),
        (_of_text, "'x' is a folder that holds no images, but files of the kind .csv"),
        (_a_file, "'x' is a file of no known kind"),
        (_near, "'x' is neither there nor the name of a task"),
    ],
)
def test_what_nothing_begins_with_is_refused_with_what_does(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(BadRunFile) as refused:
        recognized("x")
    message = str(refused.value)
    assert message.startswith(said) and "give a folder of one folder of images for each class" in message


def test_a_slip_is_pointed_out(tmp_path):
    photos(tmp_path / "photos")
    with pytest.raises(BadRunFile, match="did you mean 'photos'"):
        recognized("phots")
    with pytest.raises(BadRunFile, match="did you mean 'digits'"):
        recognized("digist")


def test_where_a_task_is_asked_for_a_path_of_data_will_do(tmp_path):
    photos(tmp_path / "photos")
    for word in ("photos", "./photos", str(tmp_path / "photos")):
        assert named(word).name == "image_folder" and is_path(word)
    for word in ("digits", "image_folder(path='photos')", "my.lab:Task(path='a/b')", "recipe.toml"):
        assert not is_path(word)
    assert named("image_folder(path='photos')") == Reference("image_folder", {"path": "photos"})
    (tmp_path / "digits").mkdir()
    assert named("digits") == Reference("digits"), "what lies there is asked for by ./digits"
    with pytest.raises(BadRunFile, match="is neither there nor the name of a task"):
        named("./phots")


def test_the_folder_of_a_run_goes_on_by_another_word(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "trials.sqlite").write_bytes(b"")
    with pytest.raises(BadRunFile, match="is the folder of a run, which goes on by `netwright search --out run`"):
        recognized("run")
