"""The source text and the torch module of a plan are one network."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from netwright.core import seeds
from netwright.core.errors import ExportError
from netwright.core.records import IO
from netwright.plans import network, source
from netwright.plans.ops.images import Conv
from netwright.plans.ops.pointwise import Relu
from netwright.plans.plan import AUXILIARY, PlanWriter, deployed
from netwright.spaces.flat import flat_space
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import HnagSpace
from netwright.spaces.residual import ResidualSpace
from netwright.spaces.rnag import RnagSpace
from netwright.zoo.hierarchical import plugin as published

TINY = IO(2, 5, 4, 3)
IMPORTS = {"torch.": "import torch", "F.": "import torch.nn.functional as F", "nn.": "from torch import Tensor, nn"}


def _namespace(text):
    names = {"torch": torch, "F": F, "nn": nn, "Tensor": Tensor}
    exec(compile(text, "model", "exec"), names)
    return names


def _check(plan, text=None):
    """Weights of the same places, bitwise same outputs with statistics that are not neutral; and clean source."""
    text = text or source.classes(plan)
    ours = network.build(plan, seeds.rng_for(0, seeds.BUILD)).eval()
    _shake(ours)
    theirs = _namespace(text)["Model"]().eval()
    weights = ours.state_dict()
    assert list(theirs.state_dict()) == list(weights)
    theirs.load_state_dict(weights)
    images = torch.randn(3, *plan[0].shape, generator=torch.Generator().manual_seed(1))
    for layout in (torch.contiguous_format, torch.channels_last):
        inputs = images.contiguous(memory_format=layout)
        with torch.inference_mode():
            expected, got = ours.to(memory_format=layout)(inputs), theirs.to(memory_format=layout)(inputs)
        assert expected.std() > 0
        assert torch.equal(expected, got)


def _shake(module):
    generator = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.uniform_(0.5, 1.5, generator=generator)  # few dead ReLUs


def _ruff(text, tmp_path):
    path = tmp_path / "model.py"
    imports = [line for use, line in IMPORTS.items() if use in text]
    path.write_text("\n".join(imports) + "\n\n\n" + text)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--no-cache", "--line-length", "120"]
    subprocess.run([*ruff, "check", *rules, "--select", "E,F,W", path], check=True)
    subprocess.run([*ruff, "format", *rules, "--check", path], check=True)


@given(
    st.integers(0, 2**32),
    st.sampled_from(["skip", "build"]),
    st.sampled_from(["cifar", "imagenet"]),
    st.integers(1, 2),
    st.sampled_from([((2, 1), (3, 3)), ((1,), (5,)), ((2, 2, 1), (3, 3, 3))]),
    st.integers(1, 4),
)
@settings(max_examples=30)
def test_source_and_module_are_the_same_network(seed, unread, skeleton, repeats, levels, channels):
    space = HierarchicalSpace(*levels, channels, repeats, skeleton, diversification=50, unread=unread)
    _check(space.plan(space.sample(seeds.rng_for(seed, seeds.ASK)), TINY))


@pytest.mark.parametrize("seed", range(3))
def test_the_text_is_clean_and_formatted(seed, tmp_path):
    """Eleven nodes make concatenations that need several lines."""
    space = flat_space(nodes=11, channels=2)
    dense = tuple(2 for _ in space.genes) if seed == 0 else space.sample(seeds.rng_for(seed, seeds.ASK))
    text = source.classes(space.plan(dense, TINY))
    assert seed or "torch.cat(\n" in text
    _ruff(text, tmp_path)
    _check(space.plan(dense, TINY), text)


@pytest.mark.parametrize("searched", ["wiring", "operations", "stages"])
def test_hierarchical_random_networks_have_the_same_source(searched, tmp_path):
    space = HnagSpace((3, 5), n_mid=(1, 2), n_bottom=(3, 5), searched=searched, limit=30_000)
    for seed in range(4):
        space = replace(space, seed=seed, bias=seed > 0)
        plan = space.plan(space.sample(seeds.rng_for(seed, seeds.ASK)), TINY)
        text = source.classes(plan)
        _check(plan, text)
    assert "class WeightedSum(nn.Module):" in text or searched == "operations"
    _ruff(text, tmp_path)


@pytest.mark.parametrize("regime", ["small", "regular"])
def test_flat_random_networks_have_the_same_source(regime, tmp_path):
    space = RnagSpace((5, 12), regime=regime, channels=2)
    plan = space.plan(space.sample(seeds.rng_for(0, seeds.ASK)), IO(2, 41, 45, 3))
    text = source.classes(plan)
    _check(plan, text)
    _ruff(text, tmp_path)


def test_the_published_cell_is_one_short_file(tmp_path):
    plan = published.space.plan(published.genotype, published.io)
    text = source.classes(plan)
    with torch.device("meta"):
        model = _namespace(text)["Model"]()
    assert sum(p.numel() for p in model.parameters()) == 542_138
    assert "542,138 parameters" in text
    assert [line for line in text.splitlines() if line.startswith("class")] == [
        f"class {name}(nn.Module):" for name in ("Stem", "Cell", "After", "Model")
    ]
    assert len(text.splitlines()) < 450  # 591 layers
    _ruff(text, tmp_path)


def test_long_lines_are_wrapped(tmp_path):
    writer = PlanWriter(IO(1111, 1111, 1111, 3))
    with writer.scope("a_scope_with_a_long_name_that_says_what_it_holds"):
        branches = [writer.avg_pool(writer.conv(0, 1111, 3, 2, groups=1111), 3) for _ in range(24)]
        total = writer.add([writer.relu(branch) for branch in branches])
    writer.linear(writer.mean(total), 3)
    text = source.classes(writer.plan())
    assert "add1 = (\n            relu1\n            + relu2\n" in text
    _ruff(text, tmp_path)


def test_residual_blocks_share_classes_by_structure(tmp_path):
    plan = ResidualSpace().plan((4, 2), TINY)
    text = source.classes(plan)
    assert "self.group1_block1 = GroupBlock(channels=4)" in text
    assert "self.group3_block1 = Group2Block1(channels=8)" in text
    _ruff(text, tmp_path)
    _check(plan, text)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": (3, 1)},
        {"kernel": (3, 5)},
        {"kernel": 3, "dilation": 2},
        {"kernel": 3, "bias": True},
        {"kernel": 3, "padded": False},
        {"kernel": 3, "stride": (1, 2)},
    ],
)
def test_convolutions_that_differ_in_more_than_numbers_share_no_class(options, tmp_path):
    """But strides are numbers."""
    writer = PlanWriter(IO(2, 9, 8, 3))
    x = 0
    for cell, window in enumerate(({"kernel": 3}, options, options)):
        with writer.scope(f"cell{cell}"):
            x = writer.relu(writer.norm(writer.conv(x, 4, **window)))
    writer.linear(writer.mean(x), 3)
    text = source.classes(writer.plan())
    assert text.count("class Cell") == (1 if "stride" in options else 2)
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_poolings_that_see_zeros_and_classifiers_without_bias(kernel, stride, tmp_path):
    writer = PlanWriter(IO(2, 9, 8, 3))
    x = writer.norm(writer.conv(0, 3))
    for cell, zeros in enumerate((True, False, True)):
        with writer.scope(f"cell{cell}"):
            pools = [pool(x, kernel, stride, zeros=zeros) for pool in (writer.max_pool, writer.avg_pool)]
            x = writer.norm(writer.conv(writer.add(pools), 3))
    writer.linear(writer.mean(x), 3, bias=False)
    text = source.classes(writer.plan())
    assert "nn.Linear(3, 3, bias=False)" in text
    assert text.count("class Cell") == 2
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


def test_what_acts_in_training_only_is_left_out(tmp_path):
    writer = PlanWriter(TINY)
    with writer.scope("cell"):
        x = writer.conv(0, 3)
        x = writer.add((x, writer.drop_path(writer.min_pool(x, 2), 1.0)))
    with writer.scope(AUXILIARY):
        writer.linear(writer.mean(x), 3)
    writer.linear(writer.dropout(writer.mean(x)), 3)
    text = source.classes(writer.plan())
    assert not any(word in text for word in ("drop", "uxiliary"))
    _ruff(text, tmp_path)
    _check(deployed(writer.plan()), text)


def _conv(writer, x, channels, kernel=3, stride=1):
    return writer.relu(writer.norm(writer.conv(x, channels, kernel, stride)))


def test_a_plan_written_out():
    writer = PlanWriter(IO(1, 4, 4, 2))
    with writer.scope("stem"):
        x = _conv(writer, 0, 2, stride=2)
    with writer.scope("cell1"):
        with writer.scope("1to2"):
            pooled = writer.avg_pool(writer.max_pool(x, 3), 3)
        with writer.scope("2to3"):
            other = writer.min_pool(x, 3)
        x = writer.concat((x, pooled, other))
    writer.linear(writer.mean(x), 2)
    expected = '''class Stem(nn.Module):
    """stem: (B, 1, 4, 4) to (B, 2, 2, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        conv1 = self.conv1(x)  # (B, 2, 2, 2)
        norm1 = self.norm1(conv1)  # (B, 2, 2, 2)
        relu1 = F.relu(norm1)  # (B, 2, 2, 2)
        return relu1


class Cell1(nn.Module):
    """cell1: (B, 2, 2, 2) to (B, 6, 2, 2)."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        # 1to2
        max_pool1 = F.max_pool2d(x, 3, stride=1, padding=1)  # (B, 2, 2, 2)
        at_1to2 = F.avg_pool2d(max_pool1, 3, stride=1, padding=1, count_include_pad=False)  # (B, 2, 2, 2)
        at_2to3 = -F.max_pool2d(-x, 3, stride=1, padding=1)  # (B, 2, 2, 2)
        concat1 = torch.cat((x, at_1to2, at_2to3), 1)  # (B, 6, 2, 2)
        return concat1


class Model(nn.Module):
    """Normalized images (B, 1, 4, 4) to logits (B, 2); 36 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        self.cell1 = Cell1()
        self.linear1 = nn.Linear(6, 2)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)  # (B, 2, 2, 2)
        cell1 = self.cell1(stem)  # (B, 6, 2, 2)
        mean1 = cell1.mean((2, 3))  # (B, 6)
        linear1 = self.linear1(mean1)  # (B, 2)
        return linear1
'''
    assert source.classes(writer.plan()) == expected


def test_scopes_may_read_several_others_and_their_inner_layers(tmp_path):
    """Pooling of one input by two cells is one layer, in the first of them."""
    writer = PlanWriter(TINY)
    with writer.scope("stem"):
        x = _conv(writer, 0, 3)
    with writer.scope("cell1"):
        pooled = writer.max_pool(x, 3)
        first = writer.add((_conv(writer, pooled, 3), x, pooled))
    with writer.scope("cell2"):
        second = writer.concat((_conv(writer, first, 2), writer.max_pool(x, 3), x))
    between = writer.relu(second)
    with writer.scope("cell3"):
        third = writer.concat((writer.avg_pool(between, 3, 2), writer.max_pool(first, 5, 2)))
    writer.linear(writer.relu(writer.mean(third)), 3)
    text = source.classes(writer.plan())
    assert "cell1_max_pool1, cell1 = self.cell1(stem)" in text
    assert "self.cell2(cell1, cell1_max_pool1, stem)" in text
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


def test_scopes_whose_numbers_are_no_multiples_get_classes_of_their_own(tmp_path):
    writer = PlanWriter(TINY)
    x = 0
    for number, (inner, outer) in enumerate(((3, 4), (5, 7), (2, 9)), start=1):
        with writer.scope(f"cell{number}"):
            x = _conv(writer, _conv(writer, x, inner), outer)
    for number, size in enumerate((2, 3)):
        with writer.scope(f"model{number}" if number else "model"):  # `Model` is taken
            x = writer.max_pool(x, 3, stride=size)
    writer.linear(writer.mean(x), 3)
    text = source.classes(writer.plan())
    assert [line[6:].partition("(")[0] for line in text.splitlines() if line.startswith("class")] == [
        "Cell1",
        "Cell2",
        "Cell3",
        "Model_",
        "Model1",
        "Model",
    ]
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


def test_layers_that_nobody_reads_are_built_and_not_run(tmp_path):
    writer = PlanWriter(TINY)
    with writer.scope("cell1"):
        x = _conv(writer, 0, 2)
        _conv(writer, x, 7)
    with writer.scope("unread"):
        _conv(writer, x, 5)
    writer.norm(x)
    writer.linear(writer.mean(x), 3)
    text = source.classes(writer.plan())
    assert "nn.Conv2d(2, 7, 3, padding=1, bias=False)" in text
    assert "self.unread(" not in text
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


@pytest.mark.parametrize("names", [("1to2",), ("class",), ("cell", "stem", "cell")])
def test_scopes_that_can_be_no_classes_are_named(names):
    """Most of them cannot be written; a plan may come from elsewhere."""
    writer = PlanWriter(TINY)
    for _ in names:
        writer.conv(0, 2)
    first, *convs = writer.plan()
    layers = [conv._replace(name=f"{name}.{conv.name}") for conv, name in zip(convs, names, strict=True)]
    with pytest.raises(ExportError, match=f"no class can be made of the scope '{names[-1]}'"):
        source.classes((first, *layers))


def test_weights_are_called_by_their_places(tmp_path):
    """Dots within the outermost scope become underscores; what is no identifier gets a word before it."""
    writer = PlanWriter(TINY)
    with writer.scope("cell1"):
        for side in ("a", "b"):
            with writer.scope("1to2"), writer.scope(side):
                x = writer.conv(0, 3)
    writer.linear(writer.mean(x), 3)
    names = set(network.Network(writer.plan()).state_dict())
    convs = {f"cell1.at_1to2_{side}_conv1.weight" for side in ("a", "b")}
    assert names == {*convs, "linear1.weight", "linear1.bias"}
    text = source.classes(writer.plan())
    assert "self.at_1to2_b_conv1 = nn.Conv2d(2, 3, 1, bias=False)" in text
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


def test_two_layers_of_one_attribute_are_named():
    writer = PlanWriter(TINY)
    with writer.scope("cell1"):
        with writer.scope("a"):
            writer.conv(0, 3)
        writer.write(Conv(3), 0, name="b")
    *others, last = writer.plan()
    with pytest.raises(ExportError, match="two layers of cell1 are both a_conv1 in source code"):
        source.classes((*others, last._replace(name="cell1.a_conv1")))


def test_variables_keep_apart_what_is_read_in_several_scopes(tmp_path):
    """Both scopes have a `relu1`, one read in the other; one scope is called as a layer is, one as an input."""
    writer = PlanWriter(TINY)
    with writer.scope("cell1"):
        with writer.scope("a"):
            first = writer.relu(0)
            left = writer.conv(first, 2)
        with writer.scope("x"):
            inner = writer.relu(left)
            right = writer.add((writer.conv(inner, 2), writer.conv(first, 2)))
        with writer.scope("relu1"):
            last = writer.norm(writer.add((left, right, writer.relu(right))))
    writer.linear(writer.mean(last), 3)
    text = source.classes(writer.plan())
    _ruff(text, tmp_path)
    _check(writer.plan(), text)


def test_variables_of_the_model_keep_apart_too(tmp_path):
    """A scope is called as what goes in, layers as modules or as an output of a scope; one begins with a digit."""
    writer = PlanWriter(TINY)
    with writer.scope("images"):
        x = writer.conv(0, 2)
    with writer.scope("a"):
        first = writer.write(Conv(2), x, name="x")
        second = writer.write(Conv(2), x, name="1y")
        both = writer.concat((writer.write(Relu(), first, name="2"), second))
    third = writer.write(Conv(2), first, name="a_at_1y")
    fourth = writer.write(Conv(2), second, name="torch")
    last = writer.concat((third, second, writer.write(Conv(2), fourth, name="self"), both, 0))
    writer.linear(writer.relu(writer.mean(last)), 3)
    text = source.classes(writer.plan())
    _ruff(text, tmp_path)
    _check(writer.plan(), text)
