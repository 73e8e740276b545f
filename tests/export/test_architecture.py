"""The file that a plan is kept in: everything that a layer may be survives it, and nothing else does."""

import json
import sys
from dataclasses import is_dataclass
from typing import get_type_hints

import pytest
import safetensors.torch
import torch

from netwright.core import refs, seeds
from netwright.core.errors import ExportError
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.export import architecture, load, rows
from netwright.plans.plan import AUXILIARY, deployed
from netwright.spaces.nasnet import NasnetSpace

OPERATIONS = ("identity", "conv 1x7 7x1", "min pool 2x2", "dil sep 3x3")


def _written(tmp_path, space, genotype, io):
    plan = deployed(space.plan(genotype, io))
    (tmp_path / architecture.FILE).write_text(architecture.to_json(Reference("nasnet"), space, genotype, io, plan))
    return plan


@pytest.mark.parametrize("name", ["amoebanet_a", "amoebanet_b", "amoebanet_c", "amoebanet_d", "nasnet_a"])
@pytest.mark.parametrize(("skeleton", "io"), [("cifar", IO(3, 16, 16, 10)), ("imagenet", IO(3, 37, 40, 7))])
def test_published_plans_survive(name, skeleton, io, tmp_path):
    entry = refs.locate("zoo", name)
    space = refs.revise("space", entry.space, {"skeleton": skeleton, "repeats": 1, "channels": 7})
    plan = _written(tmp_path, space, entry.genotype, io)
    assert architecture.read_plan(tmp_path) == plan


@pytest.mark.parametrize("name", ["naonet", "naonet_a", "naonet_b", "naonet_ws", "naonet_v2"])
def test_published_plans_of_nao_survive(name, tmp_path):
    entry = refs.locate("zoo", name)
    space = refs.revise("space", entry.space, {"repeats": 1, "channels": 8})
    plan = _written(tmp_path, space, entry.genotype, IO(3, 15, 16, 10))
    assert architecture.read_plan(tmp_path) == plan


def _plan_of_everything(tmp_path):
    space = NasnetSpace(operations=OPERATIONS, combinations=2, channels=4, repeats=1)
    rows = (("conv 1x7 7x1", 0, "min pool 2x2", 0), ("dil sep 3x3", 1, "identity", 2))
    return _written(tmp_path, space, space.encode(rows, rows), IO(3, 9, 8, 4))


def _change(tmp_path, op, option, value):
    """The first operation of a name that has a window, with one option changed."""
    path = tmp_path / architecture.FILE
    facts = json.loads(path.read_text())
    row = next(row for row in facts["plan"] if row[1] == op and row[-1].get("kernel") not in (None, [1, 1]))
    row[-1][option] = value
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("op", "option", "value"),
    [
        ("conv", "kernel", [-1, 3]),
        ("conv", "kernel", [3, 2]),
        ("conv", "kernel", [3, 1e9]),
        ("conv", "kernel", [3, 10**9]),
        ("conv", "kernel", [3, 257]),
        ("conv", "kernel", [3, 3, 3]),
        ("conv", "kernel", 3),
        ("conv", "stride", [0, 1]),
        ("conv", "stride", [True, 1]),
        ("conv", "dilation", 0),
        ("conv", "dilation", 2**20 + 1),
        ("conv", "channels", 0),
        ("conv", "channels", 2**20 + 1),
        ("conv", "channels", None),
        ("conv", "groups", 5),
        ("conv", "groups", -1),
        ("conv", "bias", 1),
        ("conv", "padded", False),
        ("conv", "depth", 0.5),
        ("min_pool", "kernel", 4),
        ("min_pool", "kernel", 257),
        ("min_pool", "stride", 0),
        ("min_pool", "kernel", [2, 3]),
        ("min_pool", "zeros", True),
    ],
)
def test_hostile_options_are_refused(op, option, value, tmp_path):
    _plan_of_everything(tmp_path)
    assert architecture.read_plan(tmp_path)
    _change(tmp_path, op, option, value)
    with pytest.raises(ExportError, match="is no layer plan at layer") as refused:
        architecture.read_plan(tmp_path)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    "row",
    [
        ["cell1.drop", "drop_path", [0], ["image", 3, 9, 8], {"depth": 0.5}],
        ["cell1.conv", "conv", [0], ["image", 4, 9, 8]],
        ["cell1.relu", "relu", [0], ["image", 3, 9, 8], []],
        ["cell1.relu", "relu", [0], ["vector", 3]],
        ["cell1.relu", "relu", [0], ["image", 3, 9, True]],
        ["cell1.linear", "linear", [0], ["vector", 4], {"outputs": 4}],
        ["cell1.gate", "gate", [0], ["image", 3, 9, 8]],
        ["cell1.gate", "gate", [0, 0, 0], ["image", 3, 9, 8]],
        ["cell1.add", "add", [0], ["image", 3, 9, 8]],
        ["", "relu", [0], ["image", 3, 9, 8]],
        ["a..b", "relu", [0], ["image", 3, 9, 8]],
        ["a.b/../c", "relu", [0], ["image", 3, 9, 8]],
        ["cell1.again", "input", [], ["image", 3, 9, 8], {"given": ["image", 3, 9, 8]}],
        ["cell1.op", "os:system", [0], ["image", 3, 9, 8]],
        ["cell1.op", "netwright.plans.operation:Operation", [0], ["image", 3, 9, 8]],
        ["cell1.op", "netwright.plans.ops.images:os", [0], ["image", 3, 9, 8]],
        ["cell1.op", "netwright:load", [0], ["image", 3, 9, 8]],  # found by a function of the module
        ["forward", "relu", [0], ["image", 3, 9, 8]],
        ["training.norm", "norm", [0], ["image", 3, 9, 8]],
        ["cell1.__class__", "norm", [0], ["image", 3, 9, 8]],
        ["cell1.class.norm", "norm", [0], ["image", 3, 9, 8]],
        [f"cell1{'.a' * 21}", "norm", [0], ["image", 3, 9, 8]],
        ["auxiliary.norm", "norm", [0], ["image", 3, 9, 8]],
    ],
)
def test_hostile_rows_are_refused(row, tmp_path):
    _plan_of_everything(tmp_path)
    path = tmp_path / architecture.FILE
    facts = json.loads(path.read_text())
    facts["plan"].insert(1, row)
    path.write_text(json.dumps(facts))
    with pytest.raises(ExportError, match="is no layer plan at layer 1:") as refused:
        architecture.read_plan(tmp_path)
    assert str(refused.value).count("\n") == 0


def test_an_operation_whose_module_is_not_imported_is_not_imported_for_a_file(tmp_path):
    _plan_of_everything(tmp_path)
    path = tmp_path / architecture.FILE
    facts = json.loads(path.read_text())
    facts["plan"][1][1] = "this:Poem"
    path.write_text(json.dumps(facts))
    with pytest.raises(ExportError, match=r"has the operation this:Poem, .* import this first, if you trust it"):
        architecture.read_plan(tmp_path)
    assert "this" not in sys.modules


def test_an_export_of_the_first_format_is_to_be_made_again(tmp_path):
    _plan_of_everything(tmp_path)
    path = tmp_path / architecture.FILE
    path.write_text(path.read_text().replace("netwright export 2", "netwright export 1"))
    with pytest.raises(ExportError, match="is no netwright export 2, which this version reads; export the network aga"):
        architecture.read_plan(tmp_path)
    assert not architecture.is_export(tmp_path)


def test_the_packages_own_operations_are_found():
    own = rows.own()
    assert {"input", "conv", "norm", "relu", "mean", "linear", "concat", "gate", "drop_path"} <= own.keys()
    assert all(kind.name == name and is_dataclass(kind) for name, kind in own.items())


def test_weights_of_the_auxiliary_head_are_left_behind(tmp_path):
    """A network is exported as it is deployed: the plan and the function of `forward`, not what helped in training."""
    space = NasnetSpace(combinations=1, channels=4, repeats=1, auxiliary=True, auxiliary_scale=0.1)
    genotype, io = (0, 1, 1, 5) * 2, IO(3, 12, 12, 4)
    trained = space.build(genotype, io, seeds.rng_for(0, seeds.BUILD)).eval()
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(trained.state_dict(), path)
    exported = load.with_weights(_written(tmp_path, space, genotype, io), path)
    scopes = {name.partition(".")[0] for name in trained.state_dict()}
    assert scopes - set(dict(exported.named_children())) == {AUXILIARY}
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(exported(images), trained(images))


def test_what_is_left_at_its_default_is_not_written(tmp_path):
    _plan_of_everything(tmp_path)
    facts = json.loads((tmp_path / architecture.FILE).read_text())
    options = {row[1]: row[4] if len(row) > 4 else {} for row in facts["plan"] if row[1] in ("relu", "norm", "linear")}
    assert options == {"relu": {}, "norm": {}, "linear": {"outputs": 4}}
    assert ["channels"] in [list(row[4]) for row in facts["plan"] if row[1] == "conv"]


INPUT = ["input", "input", [], ["vector", 4], {"given": ["vector", 4]}]


def _read(tmp_path, table):
    (tmp_path / architecture.FILE).write_text(json.dumps({"format": architecture.FORMAT, "plan": table}))
    return architecture.read_plan(tmp_path)


def test_a_layer_does_not_take_the_place_of_a_scope(tmp_path):
    inner, outer = (
        ["a.inner", "linear", [0], ["vector", 4], {"outputs": 4}],
        ["a", "linear", [0], ["vector", 4], {"outputs": 4}],
    )
    for pair in ((inner, outer), (outer, inner), (inner, inner)):
        with pytest.raises(ExportError, match=r"is no layer plan at layer 2: (there is a|the layer)"):
            _read(tmp_path, [INPUT, *pair])


def test_a_plan_has_a_limit_of_layers_both_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(architecture, "MAX_LAYERS", 100)
    table = [INPUT, *([f"relu{n}", "relu", [n], ["vector", 4]] for n in range(100))]
    plan = _read(tmp_path, table[:100])
    assert len(plan) == 100
    with pytest.raises(ExportError, match="has 101 layers, and a plan at most 100; give another"):
        _read(tmp_path, table)
    space = NasnetSpace(operations=OPERATIONS, combinations=2, channels=4, repeats=1)
    with pytest.raises(ExportError, match="the network has 101 layers, and an export at most 100; take a smaller"):
        architecture.to_json(Reference("nasnet"), space, (), IO(3, 9, 8, 4), (*plan, plan[-1]))


def test_types_of_options_are_found_once_for_a_class(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(rows, "get_type_hints", lambda kind: asked.append(kind) or get_type_hints(kind))
    rows._options.cache_clear()
    _read(tmp_path, [INPUT, *([f"relu{n}", "relu", [n], ["vector", 4]] for n in range(100))])
    assert len(asked) == 2
    rows._options.cache_clear()
