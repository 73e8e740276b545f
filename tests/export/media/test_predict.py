import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from netwright.cli.main import main
from netwright.core import memory, refs
from netwright.core.errors import ExportError
from netwright.export import architecture
from netwright.export.media import predict as predicting
from netwright.export.media.images import Images
from netwright.export.media.predict import PREPROCESSING, Prediction, predict
from netwright.plans import counting


@pytest.fixture
def images(tmp_path):
    """Files of many kinds, some of them no images."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    (folder / "b").mkdir(parents=True)
    color = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(color).save(folder / "a.jpg", exif=turned)
    Image.fromarray(color).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(color).convert("LA").save(folder / "b" / "clear.PNG")
    Image.fromarray(rng.integers(0, 2**16, (9, 9), dtype=np.uint16)).save(folder / "b" / "deep.png")
    frames = [Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(2)]
    frames[0].save(folder / "frames.gif", save_all=True, append_images=frames[1:])
    whole = (folder / "a.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_test_images_get_the_classes_that_training_saw(exported, tmp_path):
    task = refs.load("task", exported.model.run.task)
    batch, _ = next(task.batches("test", 5, None))
    with torch.inference_mode():
        probabilities, classes = exported.network.eval()(batch).softmax(1).max(1)
    paths = [tmp_path / f"{n}.png" for n in range(5)]
    for path, image in zip(paths, task.pixels("test", range(5)), strict=True):
        Image.fromarray(image[:, :, 0]).save(path)
    found = list(predict(exported.folder, paths, batch=2))
    assert [each.path for each in found] == paths
    assert [each.name for each in found] == [str(int(c)) for c in classes]
    assert [each.probability for each in found] == pytest.approx(probabilities.tolist(), abs=1e-5)


def test_folders_are_walked_and_faults_told_in_order(exported, images):
    paths = [images / "notes.txt", images, images / "none.png", images.parent / "b"]
    (images.parent / "b").mkdir()
    for batch in (1, 3, 64):
        found = list(predict(exported.folder, paths, batch=batch))
        names = ["a.jpg", "b/clear.PNG", "b/deep.png", "cmyk.jpg", "empty.png", "frames.gif", "truncated.jpg"]
        assert [each.path for each in found] == [paths[0], *(images / name for name in names), *paths[2:]]
        faults = {each.path.name: each.fault for each in found if each.fault}
        assert faults.pop("b") == "holds no images"
        assert faults.keys() == {"notes.txt", "empty.png", "truncated.jpg", "none.png"}
        for each in found:
            assert bool(each.name) != bool(each.fault)
            assert (0.1 <= each.probability <= 1.0) == (not each.fault)


def test_the_stand_alone_program_says_the_same(exported, images):
    found = list(predict(exported.folder, [images]))
    command = [sys.executable, "-B", "predict.py", *(str(each.path) for each in found)]
    done = subprocess.run(command, cwd=exported.folder, capture_output=True, text=True, check=False)
    lines = [f"{each.path}\t{each.name}\t{each.probability:.4f}" for each in found if not each.fault]
    assert done.stdout.splitlines() == lines
    assert done.stderr.splitlines() == [f"{each.path}: {each.fault}" for each in found if each.fault]
    assert done.returncode == 1


def test_the_reader_that_is_shipped_needs_nothing_of_netwright(exported):
    assert "netwright" not in (exported.folder / "decode.py").read_text()


def test_images_of_16_bits_are_read_by_the_range_of_the_training_images(exported, images, tmp_path):
    """The program of the folder, netwright's own command and what the folder says are one."""
    form = replace(refs.load("task", exported.model.run.task).preprocessing(), span=(100.0, 4095.0))
    folder = shutil.copytree(exported.folder, tmp_path / "folder")
    medium = Images(None, form)
    (folder / PREPROCESSING).write_text(medium.files()[PREPROCESSING])
    [line] = [line for line in medium.constants() if line.startswith("SPAN = ")]
    source = (folder / "model.py").read_text()
    assert (
        line == "SPAN = (100.0, 4095.0)  # black and white in images of 16 or 32 bits; None: 0 and white by their type"
    )
    (folder / "model.py").write_text(source.replace(line.replace("(100.0, 4095.0)", "None"), line))
    values = np.random.default_rng(1).integers(0, 5000, (8, 8)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    [found] = predict(folder, [tmp_path / "deep.png"])
    assert found != next(predict(exported.folder, [tmp_path / "deep.png"]))
    command = [sys.executable, "-B", "predict.py", str(tmp_path / "deep.png")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == f"{found.path}\t{found.name}\t{found.probability:.4f}\n"


HOSTILE = {
    "other size": {"height": 9},
    "other classes": {"classes": ["a"]},
    "classes of another type": {"classes": list(range(10))},
    "unknown fit": {"fit": "rm -rf"},
    "sd of zero": {"sd": [0.0]},
    "mean that is no number": {"mean": [float("nan")]},
    "too few means": {"mean": []},
    "a span that is none": {"span": [5.0, 5.0]},
    "a span of no numbers": {"span": [0.0, float("inf")]},
    "text for a size": {"width": "wide"},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_damaged_preprocessing_is_refused_before_any_image(exported, tmp_path, change):
    for name in ("architecture.json", "weights.safetensors", "preprocessing.json"):
        shutil.copy(exported.folder / name, tmp_path / name)
    path = tmp_path / "preprocessing.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ExportError, match=r"preprocessing\.json"):
        predict(tmp_path, [])
    path.unlink()
    with pytest.raises(ExportError, match=r"preprocessing\.json cannot be read: No such file"):
        predict(tmp_path, [])


def test_a_prediction_without_fault_is_the_default():
    assert Prediction("a", "b", 0.5).fault == ""


def test_images_are_taken_in_as_many_as_memory_holds(exported, tmp_path, monkeypatch):
    for n in range(20):
        Image.new("L", (8, 8), n).save(tmp_path / f"{n:02d}.png")
    size = counting.inference_bytes(architecture.read_plan(exported.folder)) + 16 * 64
    whole = list(predict(exported.folder, [tmp_path]))
    taken = []
    classify = predicting._classify
    monkeypatch.setattr(predicting, "_classify", lambda *given: taken.append(len(given[2])) or classify(*given))
    monkeypatch.setattr(memory, "share", lambda: 3 * size)
    found = predict(exported.folder, [tmp_path])
    first = next(found)
    assert taken == [3], "the others are not read yet"
    rest = [first, *found]
    assert taken == [3] * 6 + [2]
    assert [each.path for each in rest] == [each.path for each in whole]
    assert [each.probability for each in rest] == pytest.approx([each.probability for each in whole], abs=1e-5)
    monkeypatch.setattr(memory, "share", lambda: size - 1)
    with pytest.raises(ExportError, match=r"the network takes about .* for one image of 8x8, and a batch may take"):
        predict(exported.folder, [tmp_path])


def test_an_answer_that_is_no_number_is_a_fault(exported, tmp_path):
    for name in ("architecture.json", "weights.safetensors", "preprocessing.json"):
        shutil.copy(exported.folder / name, tmp_path / name)
    tensors = safetensors.torch.load_file(tmp_path / "weights.safetensors")
    tensors["linear1.bias"][3] = float("nan")
    safetensors.torch.save_file(tensors, tmp_path / "weights.safetensors")
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    [found] = predict(tmp_path, [tmp_path / "a.png"])
    assert found.fault == "the network gives no finite numbers for it"


def test_a_folder_that_cannot_be_read_is_named(exported, tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    listed, scandir = predicting._listed, os.scandir

    def shut(path):
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(predicting, "_listed", lambda path: shut(path) and listed(path))
    monkeypatch.setattr(os, "scandir", shut)
    for given in ([tmp_path], [tmp_path / "a.png", tmp_path / "shut"]):
        assert [each.fault for each in predict(exported.folder, given)] == ["", "permission denied"]
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(list(predict(exported.folder, [tmp_path]))) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing is given for the network of"),
        (["a.png", "--prompt", "the"], "--prompt is for language models, and"),
        (["a.png", "--seed", "3"], "--seed is for language models, and"),
    ],
)
def test_options_of_texts_are_refused_for_images(exported, capsys, words, sentence):
    with pytest.raises(SystemExit) as left:
        main(["predict", str(exported.folder), *words])
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("netwright: ") and sentence in err and err.count("\n") == 1
