import errno
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image

from netwright.core import building, liveness, refs, run_file, seeds
from netwright.core.errors import ExportError, InvalidGenotype, MissingCapability
from netwright.core.records import IO, Proposal, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.export import programs, standalone
from netwright.export import write as write_module
from netwright.export.load import load
from netwright.export.media.images import Images
from netwright.export.medium import Checked
from netwright.export.write import TrainedModel, write
from netwright.plans import source
from netwright.stores.memory import MemoryStore
from netwright.training import loop
from netwright.worker import WorkerContext
from tests import believed
from tests.verified import VERIFIED

FILES = {
    "README.md",
    "architecture.json",
    "cell.png",
    "cell.svg",
    "decode.py",
    "metrics.json",
    "model.py",
    "predict.py",
    "preprocessing.json",
    "program.pt2",
    "run.toml",
    "weights.safetensors",
}
# runs the rest of the command line, a script, where netwright cannot be imported
ALONE = "import runpy, sys; sys.modules['netwright'] = None; sys.argv = sys.argv[1:]; sys.path.insert(0, '.'); "
ALONE += "runpy.run_path(sys.argv[0], run_name='__main__')"


def _run_alone(folder, *words, check=True):
    command = [sys.executable, "-I", "-B", "-c", ALONE, *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=check)


def _refused(out, model, match, say=lambda _: None):
    """`write` raises, and leaves what was there, and nothing else."""
    before = sorted(path.name for path in out.parent.iterdir())
    with pytest.raises(ExportError, match=match) as raised:
        write(out, model, say=say)
    assert sorted(path.name for path in out.parent.iterdir()) == before
    assert "\n" not in str(raised.value)


def test_all_files_are_there_and_nothing_else(exported):
    assert {path.name for path in exported.folder.iterdir()} == FILES
    assert [path.name for path in exported.folder.parent.iterdir() if "new" in path.name] == []


def test_the_check_is_said_with_its_numbers(exported):
    correct = round(exported.model.metrics["test_accuracy"] * 360)
    assert exported.said[-2] == (
        f"source and program classify 360 test images as training did, {correct} of them correctly"
    )
    found = json.loads((exported.folder / "metrics.json").read_text())
    assert found["test_images"] == 360
    assert found["test_correct"] == correct
    assert found["test_accuracy"] == exported.model.metrics["test_accuracy"]


def test_the_drawn_network_tells_digits_apart(exported):
    """Else the comparison of predictions would prove little."""
    images, _ = next(refs.load("task", exported.model.run.task).batches("test", 500, None))
    with torch.inference_mode():
        assert len(exported.network.eval()(images).argmax(1).unique()) > 2


def test_facts_are_those_of_space_task_and_run(exported):
    model, folder = exported.model, exported.folder
    space, task = refs.load("space", model.run.space), refs.load("task", model.run.task)
    facts = json.loads((folder / "architecture.json").read_text())
    counts = space.count(model.genotype, task.io)
    assert (facts["params"], facts["multiply_adds"]) == (counts.params, counts.multiply_adds)
    assert tuple(facts["genotype"]) == model.genotype
    assert facts["key"] == space.key(model.genotype)
    assert [gene["name"] for gene in facts["genes"]] == [gene.name for gene in space.genes]
    assert facts["genes"][0]["option"] == space.genes[0].options[model.genotype[0]]
    assert facts["space"] == {"ref": "hierarchical", **model.run.space.options}
    form = json.loads((folder / "preprocessing.json").read_text())
    assert form["classes"] == list(task.preprocessing().classes)
    assert form["mean"] == list(task.preprocessing().mean)
    assert run_file.from_toml((folder / "run.toml").read_text()) == model.run


def test_source_files_are_clean(exported):
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--no-cache", "--line-length", "120"]
    files = sorted(exported.folder.glob("*.py"))
    assert len(files) == 3
    subprocess.run([*ruff, "check", *rules, "--select", "E,F,W,I", *files], cwd=exported.folder, check=True)
    subprocess.run([*ruff, "format", *rules, "--check", *files], cwd=exported.folder, check=True)


def test_odd_names_and_many_classes_give_clean_source(exported, tmp_path):
    space, task = refs.load("space", exported.model.run.space), refs.load("task", exported.model.run.task)
    classes = (
        'a "quoted"',
        "it's",
        "both \"'",
        "back\\slash",
        "new\nline",
        "größe",
        "\u202eleft",
        '"""',
        *map(str, range(90)),
    )
    form = replace(task.preprocessing(), classes=classes, channels=3, mean=(1 / 3,) * 3, sd=(0.1,) * 3)
    plan = space.plan(exported.model.genotype, IO(3, task.io.height, task.io.width, len(classes)))
    text = standalone.model_py(
        plan, Images(task, form), 'evil """ name \\ \n\u202e and much too long to stand in one line of the file'
    )
    assert classes == programs.run_source(text, "model").CLASSES
    path = tmp_path / "model.py"
    path.write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--isolated", "--no-cache", "--line-length", "120", path], check=True)
    subprocess.run([*ruff, "format", "--isolated", "--no-cache", "--line-length", "120", "--check", path], check=True)


def test_nothing_of_this_machine_is_in_the_model(exported):
    """Folders of the library and of the draft, which traces of programs would hold."""
    for name in ("model.py", "program.pt2", "architecture.json", "weights.safetensors"):
        data = (exported.folder / name).read_bytes()
        assert str(exported.folder.parent).encode() not in data
        assert b"site-packages" not in data


def test_weights_of_every_type_are_read(exported, tmp_path):
    tensors = {
        "a.weight": torch.randn(3, 2, generator=torch.Generator().manual_seed(0)),
        "b": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "c": torch.tensor([[1.5], [-2.0]], dtype=torch.bfloat16),
        "d": torch.tensor(2**40),
    }
    safetensors.torch.save_file(tensors, tmp_path / "w.safetensors", metadata={"by": "a test"})
    model = programs.run_source((exported.folder / "model.py").read_text(), str(exported.folder / "model"))
    found = model.read_weights(tmp_path / "w.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_a_verdict_stands_first_in_the_card(exported):
    """What came of a contest comes before all else that a card says, on one line."""
    model = replace(exported.model, verdict="searched network 78.4 % against\n75.1 % of the plain residual network")
    parts = write_module._parts(model)
    checked = Checked(360, 0.5, 0)
    write_module._write_papers(exported.folder.parent, model, parts, checked, False, (), "")
    lines = (exported.folder.parent / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines[2] == "**Searched network 78.4 % against 75.1 % of the plain residual network.**"
    assert "**" not in (exported.folder / "README.md").read_text(encoding="utf-8").splitlines()[2]
    facts = json.loads((exported.folder.parent / "metrics.json").read_text(encoding="utf-8"))
    assert facts["verdict"] == model.verdict


def test_the_card_runs_as_it_stands(exported, monkeypatch):
    """Its first program without netwright, its second with."""
    blocks = re.findall(r"```python\n(.*?)```", (exported.folder / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    script = exported.folder.parent / "use.py"
    script.write_text(blocks[0])
    assert _run_alone(exported.folder, script).stdout.strip() in map(str, range(10))
    monkeypatch.chdir(exported.folder)
    exec(compile(blocks[1], "README.md", "exec"), {"__name__": "__main__"})


def test_images_are_classified_without_netwright(exported, tmp_path):
    task = refs.load("task", exported.model.run.task)
    pixels = task.pixels("test", range(3))
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image[:, :, 0]).save(path)
    (tmp_path / "broken.png").write_bytes(b"no image")
    done = _run_alone(exported.folder, "predict.py", *paths, tmp_path / "broken.png", check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    images, _ = next(task.batches("test", 3, None))
    with torch.inference_mode():
        probabilities, classes = exported.network.eval()(images).softmax(1).max(1)
    assert [line[0] for line in lines] == [str(path) for path in paths]
    assert [line[1] for line in lines] == [str(int(c)) for c in classes]
    assert [float(line[2]) for line in lines] == pytest.approx(probabilities.tolist(), abs=2e-4)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{tmp_path / 'broken.png'}: not an image"


@VERIFIED
def test_a_wrong_accuracy_is_refused(exported, with_accuracy, tmp_path):
    """One image less, and an earlier export stays as it is."""
    out = tmp_path / "out"
    shutil.copytree(exported.folder, out)
    (out / "mine.txt").write_text("still here")
    accuracy = exported.model.metrics["test_accuracy"]
    _refused(out, with_accuracy(accuracy - 1 / 360), "weights and metrics are not of one training")
    assert (out / "mine.txt").exists()


def test_what_a_killed_export_left_goes_and_what_one_under_way_writes_stays(exported, tmp_path):
    killed = subprocess.Popen(["true"])
    killed.wait()
    mark = liveness.place_mark()
    for pid in (killed.pid, os.getppid()):
        (tmp_path / f".out.{pid}-1-{mark}.new").mkdir()
        (tmp_path / f".out.{pid}-1-{mark}.new" / "model.py").touch()

    def stop(_said):
        raise ExportError("stopped")

    with pytest.raises(ExportError, match="stopped"):
        write(tmp_path / "out", exported.model, say=stop)
    assert [path.name for path in tmp_path.iterdir()] == [f".out.{os.getppid()}-1-{mark}.new"]


def test_an_earlier_export_is_replaced_also_behind_a_link(exported, traced, tmp_path):
    out, link = tmp_path / "out", tmp_path / "link"
    shutil.copytree(exported.folder, out)
    link.symlink_to("out")
    (out / "mine.txt").write_text("gone")
    (out / "model.py").write_text("old")
    with believed.exports():
        assert write(link, exported.model, say=lambda _: None) == out
    assert {path.name for path in tmp_path.iterdir()} == {"link", "out"}
    assert link.is_symlink()
    assert {path.name for path in out.iterdir()} == FILES
    for name in sorted(FILES - {"program.pt2"}):
        assert (out / name).read_bytes() == (exported.folder / name).read_bytes(), name


@VERIFIED
def test_a_tampered_weight_is_refused(exported, tmp_path):
    """Network and source agree, the recorded accuracy does not."""
    tensors = safetensors.torch.load_file(exported.model.weights)
    tensors["stem.norm1.bias"] += 3
    safetensors.torch.save_file(tensors, tmp_path / "w.safetensors")
    model = replace(exported.model, weights=tmp_path / "w.safetensors")
    _refused(tmp_path / "out", model, "test images correctly, but training recorded")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param(
            lambda text: text.replace("F.relu(", "F.leaky_relu("),
            "model.py does not compute what was trained",
            marks=VERIFIED,
            id="network",
        ),
        pytest.param(
            lambda text: text.replace("MEAN = (0.", "MEAN = (0.0"),
            "model.py does not compute what was trained",
            id="preprocessing",
        ),
        pytest.param(
            lambda text: text.replace("import json\n", "import json\nimport netwright\n"),
            "No module|halted|netwright",
            id="dependence",
        ),
    ],
)
def test_source_that_differs_is_refused(exported, tmp_path, monkeypatch, request, change, match):
    if "network" not in request.node.callspec.id:
        request.getfixturevalue("traced")  # its program is none of a network that differs
    original = standalone.model_py
    assert change(original(*_of(exported))) != original(*_of(exported))
    monkeypatch.setattr(standalone, "model_py", lambda *given: change(original(*given)))
    _refused(tmp_path / "out", exported.model, match)


def _of(exported):
    space, task = refs.load("space", exported.model.run.space), refs.load("task", exported.model.run.task)
    return space.plan(exported.model.genotype, task.io), Images(task, task.preprocessing()), "a name"


@pytest.mark.parametrize("change", ["F.relu(", "def load("], ids=["network", "load"])
def test_source_that_does_not_run_is_refused(exported, tmp_path, monkeypatch, change):
    original = standalone.model_py
    broken = change.replace("(", "(undefined, ") if "." in change else "def loaded("
    monkeypatch.setattr(standalone, "model_py", lambda *given: original(*given).replace(change, broken))
    _refused(tmp_path / "out", exported.model, "the source code of the network does not run: .*; correct what its oper")


@pytest.mark.parametrize("name", ["Model", "load", "normalize", "CLASSES", "Path", "torch", "len"])
def test_what_an_operation_defines_does_not_take_the_place_of_something_else(exported, monkeypatch, name):
    plan, *rest = _of(exported)
    monkeypatch.setattr(source, "_taken_along", lambda _: {name: f"class {name}:\n    pass"})
    with pytest.raises(ExportError, match=f"{name} means something else in the source code of the network already"):
        standalone.model_py(plan, *rest)


def test_an_operation_that_writes_no_python_is_refused(exported, monkeypatch):
    plan, *rest = _of(exported)
    monkeypatch.setattr(source, "_taken_along", lambda _: {"Mine": "class Mine(:"})
    with pytest.raises(ExportError, match=r"the source code of the network is no Python: .* in 'class Mine\(:'"):
        standalone.model_py(plan, *rest)


def test_a_program_that_differs_is_refused(exported, tmp_path, monkeypatch):
    original = programs.program

    def other(model, io):
        with torch.no_grad():
            model.linear1.weight += 0.01
        return original(model, io)

    monkeypatch.setattr(programs, "program", other)
    _refused(tmp_path / "out", exported.model, r"program\.pt2 gives logits that differ by")


def test_a_folder_of_others_is_refused(exported, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    _refused(out, exported.model, "give another folder with --out", pytest.fail)
    (out / "architecture.json").write_text('{"format": "of a house"}')
    _refused(out, exported.model, "give another folder with --out", pytest.fail)
    _refused(out / "thesis.tex", exported.model, "no export of netwright; give another folder", pytest.fail)
    with pytest.raises(ExportError, match="Not a directory; make room, or give another"):
        write(out / "thesis.tex" / "below", exported.model, say=lambda _: None)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_a_full_disk_leaves_nothing(exported, tmp_path, monkeypatch):
    """Also no empty folder; one that was there stays."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    _refused(tmp_path / "out", exported.model, "out cannot be written: No space left on device; make room")
    (tmp_path / "out").mkdir()
    _refused(tmp_path / "out", exported.model, "No space left on device")


def test_weights_of_another_network_are_refused(exported, tmp_path):
    run = replace(
        exported.model.run, space=Reference("hierarchical", {"motifs": [2, 1], "nodes": [3, 3], "channels": 5})
    )
    _refused(tmp_path / "out", replace(exported.model, run=run), "do not fit the architecture: .* and float")
    _refused(tmp_path / "out", replace(exported.model, weights=tmp_path / "none"), "none cannot be read")


def test_what_cannot_be_exported_is_said_at_once(exported, tmp_path):
    model, out = exported.model, tmp_path / "out"
    run = replace(model.run, space=Reference("netwright.testing.toys:ToySpace"))
    with pytest.raises(MissingCapability, match=r"an export needs a space with layer plans"):
        write(out, replace(model, run=run), say=pytest.fail)
    _refused(out, replace(model, metrics={"valid_accuracy": 0.5}), "measured valid_accuracy but no test_accuracy")
    with pytest.raises(InvalidGenotype):
        write(out, replace(model, genotype=(0,) * len(model.genotype)), say=pytest.fail)
    assert not out.exists()


def test_onnx_gives_the_same_predictions(exported, tmp_path):
    said = []
    out = write(tmp_path / "out", exported.model, onnx=True, say=said.append)
    assert said[-2].startswith("source, program and ONNX file classify 360 test images as training did")
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    assert session.get_modelmeta().description.startswith(
        "Images are float32 of shape (B, 1, 8, 8), normalized: pixels"
    )
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for batch in (images, images[:1]):
        [logits] = session.run(["logits"], {"images": batch.numpy()})
        with torch.inference_mode():
            torch.testing.assert_close(torch.from_numpy(logits), load(out)(batch), rtol=1e-4, atol=1e-4)
    assert "model.onnx" in (out / "README.md").read_text()
    assert str(tmp_path).encode() not in (out / "model.onnx").read_bytes()


def test_without_its_libraries_onnx_is_refused_at_once(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "netwright.export.onnx_program", raising=False)
    with pytest.raises(MissingCapability, match=r'pip install "netwright\[onnx\]"'):
        write(tmp_path / "out", exported.model, onnx=True, say=pytest.fail)
    assert not any(tmp_path.iterdir())


@VERIFIED
def test_a_network_of_a_generator_is_exported_with_the_seed_that_draws_it(tmp_path):
    """Merges of one number, of several, and means are in it."""
    genotype, seed = (5, 4, 0.5, 2, 0.5, 4, 2, 0.5), 11
    options = {"limit": 20_000}
    run = RunFile(space=Reference("hnag", options), evaluator=Reference("training", {"epochs": 1, "split": "test"}))
    space, task = refs.load("space", Reference("hnag", {**options, "seed": seed})), refs.load("task", run.task)
    net = space.build(genotype, task.io, seeds.rng_for(4, seeds.BUILD)).to(memory_format=torch.channels_last)
    for inputs, _ in task.batches("train", 500, None):
        net.train()(inputs)
    metrics = {f"test_{name}": v for name, v in loop.measure(net, task, "test", torch.channels_last).items()}
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    model = TrainedModel("trial 1", run, genotype, path, metrics, seed, "netwright train runs/x")
    out = write(tmp_path / "out", model, say=lambda _: None)
    facts = json.loads((out / "architecture.json").read_text())
    assert facts["space"] == {"ref": "hnag", "limit": 20_000, "seed": seed}
    assert facts["params"] == space.count(genotype, task.io).params
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(load(out)(images), net.eval().to(memory_format=torch.contiguous_format)(images))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_what_a_gpu_trained_is_exported_and_checked_on_the_cpu(exported, tmp_path, precision):
    """The accuracy that the GPU measured is that of the exported files."""
    options = {"steps": 40, "split": "test", "save": True, "device": "cuda", "precision": precision, "lr": 0.05}
    run = replace(exported.model.run, evaluator=Reference("training", options))
    trial = Trial(1, Proposal(exported.model.genotype), "key", 7, "running")
    context = WorkerContext(MemoryStore(), tmp_path / "trials", 1)
    result = building.build_evaluator(run).evaluate(trial, context)
    assert not result.failure, result.message
    weights = context.folder / "weights.safetensors"
    model = replace(exported.model, run=run, weights=weights, metrics=dict(result.metrics))
    assert write(tmp_path / "out", model, say=lambda _text: None).is_dir()
