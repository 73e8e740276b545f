"""The file that a plan is kept in: everything that a layer may be survives it, and nothing else does."""

import json

import pytest
import safetensors.torch
import torch

from netwright.core import refs, seeds
from netwright.core.errors import ExportError
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.export import architecture, load
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


def _change(tmp_path, op, column, value):
    path = tmp_path / architecture.FILE
    facts = json.loads(path.read_text())
    position = facts["plan_columns"].index(column)
    defaults = [0, 0, 1, False, True, 0.0]
    row = next(row for row in facts["plan"] if row[0] == op and row[6] > 1)
    row += defaults[len(row) - 9 : position - 9]
    row[position : position + 1] = [value]
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("op", "column", "value"),
    [
        ("conv", "kernel_width", -1),
        ("conv", "kernel_width", 2),
        ("conv", "kernel_width", 1e9),
        ("conv", "dilation", 0),
        ("conv", "bias", 1),
        ("conv", "padded", False),
        ("min_pool", "kernel_width", 3),
        ("min_pool", "kernel", 4),
        ("conv", "depth", 0.5),
        ("conv", "depth", True),
    ],
)
def test_hostile_columns_are_refused(op, column, value, tmp_path):
    _plan_of_everything(tmp_path)
    assert architecture.read_plan(tmp_path)
    _change(tmp_path, op, column, value)
    with pytest.raises(ExportError, match="is no layer plan at layer"):
        architecture.read_plan(tmp_path)


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
    lengths = {row[0]: len(row) for row in facts["plan"] if row[0] in ("relu", "norm", "linear")}
    assert lengths == {"relu": 9, "norm": 9, "linear": 9}
    assert {len(row) for row in facts["plan"] if row[0] == "conv"} == {9, 10, 12}
