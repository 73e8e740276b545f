import json
import shutil

import pytest
import safetensors.torch
import torch

import netwright
from netwright.core.errors import ExportError
from netwright.export import architecture, programs
from netwright.export.load import load


@pytest.fixture
def folder(exported, tmp_path):
    """A copy with the files that are read."""
    for name in ("architecture.json", "weights.safetensors"):
        shutil.copy(exported.folder / name, tmp_path / name)
    return tmp_path


def _change(folder, change):
    path = folder / "architecture.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def _refused(folder, match):
    with pytest.raises(ExportError, match=match) as raised:
        load(folder)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_it_is_the_network_that_was_exported(exported, folder):
    ours, source = load(folder), programs.run_source((exported.folder / "model.py").read_text(), "model")
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = exported.network.eval().to(memory_format=torch.contiguous_format)(images)
        assert torch.equal(ours(images), expected)
        assert torch.equal(source.load(exported.folder)(images), expected)
    assert not ours.training
    assert netwright.load is load


def test_it_can_be_trained_on(folder):
    network = load(str(folder)).train()
    network(torch.zeros(2, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_no_code_of_the_folder_is_run(folder):
    for name in ("model.py", "decode.py", "predict.py", "torch.py", "__init__.py"):
        (folder / name).write_text("raise SystemExit('ran')")
    load(folder)


def test_weights_in_half_precision_are_read(folder):
    tensors = safetensors.torch.load_file(folder / "weights.safetensors")
    halves = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    safetensors.torch.save_file(halves, folder / "weights.safetensors")
    assert load(folder)(torch.zeros(1, 1, 8, 8)).dtype == torch.float32


def test_a_changed_weight_is_noticed_by_the_library_and_without_it(exported, folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    _refused(folder, "damaged: they differ from the digest that stands in the file")
    source = programs.run_source((exported.folder / "model.py").read_text(), "model")
    with pytest.raises(ValueError, match=r"weights\.safetensors is damaged: it differs from the digest"):
        source.load(folder)


@pytest.mark.parametrize("change", ["long", "overlap", "outside", "negative", "shape"])
def test_a_hostile_header_is_refused(folder, change):
    """A length beyond the file, weights that share bytes or lie elsewhere, shapes that need more than there is."""
    path = folder / "weights.safetensors"
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    del header["__metadata__"]
    first, second = sorted(header, key=lambda name: header[name]["data_offsets"])[:2]
    size = len(data) - end
    changed = {
        "overlap": {"data_offsets": [0, *header[second]["data_offsets"][1:]]},
        "outside": {"data_offsets": [size, 2 * size]},
        "negative": {"data_offsets": [-4, 0]},
        "shape": {"shape": [2**62, 2**62]},
    }
    header[first] = {**header[first], **changed.get(change, {})}
    text = json.dumps(header).encode()
    length = 2**63 if change == "long" else len(text)
    path.write_bytes(length.to_bytes(8, "little") + text + data[end:])
    _refused(folder, "weights.*are damaged")


@pytest.mark.parametrize("name", ["architecture.json", "weights.safetensors"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(200)),  # how a pickle begins
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.write_bytes(b"null"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["missing", "empty", "truncated", "pickle", "deep", "null", "folder"],
)
def test_a_damaged_file_is_named(folder, name, damage):
    damage(folder / name)
    _refused(folder, name)


def test_a_huge_file_is_not_read(folder):
    with (folder / "architecture.json").open("r+b") as file:
        file.truncate(2**33)  # a hole: takes no space
    _refused(folder, r"architecture\.json is damaged")


def _layer(position, column, value):
    def change(facts):
        facts["plan"][position][facts["plan_columns"].index(column)] = value

    return change


def _option(name, value, position=1):
    return lambda facts: facts["plan"][position][-1].update({name: value})


HOSTILE = {
    "no plan": lambda facts: facts.pop("plan"),
    "plan of another type": lambda facts: facts.update(plan={"0": 1}),
    "empty plan": lambda facts: facts.update(plan=[]),
    "row of another type": lambda facts: facts["plan"].__setitem__(3, "conv"),
    "short row": lambda facts: facts["plan"][3].pop(),
    "unknown operation": _layer(3, "op", "system"),
    "unhashable operation": _layer(3, "op", ["conv"]),
    "second image": _layer(3, "op", "input"),
    "name that leads elsewhere": _layer(1, "name", "../../etc/passwd.conv_1"),
    "name of a method": _layer(1, "name", "forward.conv_1"),
    "name of another type": _layer(1, "name", 7),
    "name twice": lambda facts: facts["plan"][2].__setitem__(0, facts["plan"][1][0]),
    "later input": _layer(1, "inputs", [5]),
    "negative input": _layer(3, "inputs", [-1]),
    "input of another type": _layer(1, "inputs", [True]),
    "no inputs": _layer(1, "inputs", []),
    "many inputs": _layer(1, "inputs", [0, 0]),
    "no channels": _option("channels", 0),
    "fraction of a channel": _option("channels", 1.5),
    "truth for a number": _option("channels", True),
    "too many channels": _option("channels", 10**30),
    "other channels": _option("channels", 1000),
    "other size": _layer(1, "shape", ["image", 4, 7, 8]),
    "shape of another kind": _layer(1, "shape", ["sequence", 4, 8]),
    "shape of another type": _layer(1, "shape", 4),
    "even kernel": _option("kernel", [2, 2]),
    "huge kernel": _option("kernel", [2**20 - 1, 2**20 - 1]),
    "groups that do not divide": _option("groups", 3),
    "no number": _option("channels", float("nan")),
    "unknown option": _option("depth", 1),
    "no options": lambda facts: facts["plan"][1].pop(),
    "logits that are images": lambda facts: facts["plan"].__delitem__(slice(-2, None)),
    "linear of images": lambda facts: facts["plan"].__delitem__(-2),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_plan_is_refused(folder, change):
    _change(folder, change)
    _refused(folder, "architecture.json|weights.safetensors")


def test_sizes_take_no_memory_before_they_are_known_to_fit(folder):
    """A million channels squared would be 4 TB."""

    def change(facts):
        shape = ["image", 2**20, 8, 8]
        wide = [["conv", "conv", [0], shape, {"channels": 2**20}], ["more", "conv", [1], shape, {"channels": 2**20}]]
        facts["plan"] = [facts["plan"][0], *wide, ["mean", "mean", [2], ["vector", 2**20]]]

    _change(folder, change)
    _refused(folder, "do not fit the architecture")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.pop("linear1.bias"), r"linear1\.bias is missing there and float \(10,\) in the network"),
        (lambda t: t.update(more=torch.zeros(1)), r"more is float \(1,\) there and missing"),
        (lambda t: t.update({"linear1.bias": torch.zeros(11)}), r"float \(11,\) there and float \(10,\)"),
        (lambda t: t.update({"linear1.bias": torch.zeros(10).long()}), r"int \(10,\) there and float \(10,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, change, match):
    tensors = safetensors.torch.load_file(folder / "weights.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "weights.safetensors")
    _refused(folder, match)


def test_a_plan_survives_its_file(exported):
    facts = json.loads((exported.folder / "architecture.json").read_text())
    plan = architecture.read_plan(exported.folder)
    assert [facts["plan"][n][:2] for n in range(len(plan))] == [[layer.name, layer.op.name] for layer in plan]
    assert architecture.is_export(exported.folder)
    assert not architecture.is_export(exported.folder.parent)
