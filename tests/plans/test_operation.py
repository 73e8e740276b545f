"""Operations of somebody else's, on vectors: written, counted, built, trained, exported and read back like the own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core import seeds
from netwright.core.errors import ExportError
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.shapes import Classes, Image, Numbers, Sequence, Vector
from netwright.export import architecture, rows
from netwright.plans import counting, network, source
from netwright.plans.kept import kept_bytes
from netwright.plans.operation import Operation
from netwright.plans.plan import PlanWriter, deployed
from netwright.plans.regularization import Regularization


class Scaling(nn.Module):
    """Each feature times a learned number."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((features,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


@dataclass(frozen=True, slots=True)
class Scale(Operation):
    name: ClassVar[str] = "scale"
    has_weights: ClassVar[bool] = True
    defined: ClassVar[tuple[str, ...]] = (f"{__name__}:Scaling",)

    def shape(self, x):
        if not isinstance(x, Vector):
            raise ValueError("scale takes a vector")
        return x

    def params(self, x):
        return x.features

    def module(self, x):
        return Scaling(x.features)

    def constructor(self, numerals, x):
        return f"Scaling({numerals.channels(x.features)})"


@dataclass(frozen=True, slots=True)
class Power(Operation):
    exponent: int
    sign: float = 1.0

    name: ClassVar[str] = "power"

    def shape(self, x):
        return x

    def module(self, x):
        return lambda x: self.sign * x**self.exponent

    def expression(self, *inputs):
        return f"{self.sign} * {inputs[0]}**{self.exponent}"


@dataclass(frozen=True, slots=True)
class Noise(Operation):
    name: ClassVar[str] = "noise"
    drops: ClassVar[str] = "samples"
    setting: ClassVar[str] = "dropout"

    def shape(self, x):
        return x

    def keep(self, regularization, progress):
        return 0.5


class Drawing(nn.Module):
    """Modules and parameters that draw their own weights."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(features))
        self.window = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.window((x + self.shift)[:, None])[:, 0]


@dataclass(frozen=True, slots=True)
class Draw(Scale):
    name: ClassVar[str] = "draw"
    defined: ClassVar[tuple[str, ...]] = (f"{__name__}:Drawing",)

    def module(self, x):
        return Drawing(x.features)


VECTORS = IO(Vector(6), Numbers(2))


def _plan():
    writer = PlanWriter(VECTORS)
    x = writer.image
    for cell, width in enumerate((8, 4)):
        with writer.scope(f"cell{cell}"):
            x = writer.relu(writer.linear(x, width))
            x = writer.add((writer.write(Scale(), x), writer.write(Power(2, -0.5), x)))
    writer.linear(writer.write(Noise(), x), 2)
    return writer.plan()


class Space:
    genes = ()

    def key(self, genotype):
        return "k"


def _round(plan, tmp_path):
    text = architecture.to_json(Reference("mine"), Space(), (), VECTORS, plan)
    (tmp_path / architecture.FILE).write_text(text)
    return architecture.read_plan(tmp_path)


def test_it_is_counted_and_its_memory_estimated():
    plan = _plan()
    counts = counting.count(plan)
    assert (counts.params, counts.multiply_adds) == (6 * 8 + 8 + 8 + 8 * 4 + 4 + 4 + 4 * 2 + 2, 48 + 32 + 8)
    assert counts.memory_per_sample == kept_bytes(network.build(plan, np.random.default_rng(0)), torch.randn(2, 6))
    assert counting.training_bytes(plan, 2, 0) == 3 * 2 * counts.memory_per_sample // 2


def test_equal_functions_are_one_layer_and_what_has_weights_or_is_drawn_is_not():
    writer = PlanWriter(VECTORS)
    assert writer.write(Power(2), 0) == writer.write(Power(2), 0) != writer.write(Power(3), 0)
    assert writer.write(Scale(), 0) != writer.write(Scale(), 0)
    assert writer.write(Noise(), 0) != writer.write(Noise(), 0)


def test_it_trains_and_its_output_is_not_overwritten():
    """A function that needs its own output on the way back would break under a ReLU in place."""

    @dataclass(frozen=True, slots=True)
    class Squash(Power):
        name: ClassVar[str] = "squash"

        def module(self, x):
            return torch.sigmoid

    writer = PlanWriter(VECTORS)
    writer.linear(writer.relu(writer.write(Squash(1), writer.linear(0, 3))), 2)
    net = network.build(writer.plan(), seeds.rng_for(0, seeds.BUILD)).train()
    net(torch.ones(3, 6)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_weights_that_it_draws_itself_come_from_the_seed_alone():
    def weights(seed, op):
        writer = PlanWriter(VECTORS)
        writer.linear(writer.write(op, 0), 2)
        return network.build(writer.plan(), seeds.rng_for(seed, seeds.BUILD)).state_dict()

    before = torch.random.get_rng_state()
    first, other = weights(0, Draw()), weights(1, Draw())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    again = weights(0, Draw())
    for name, value in first.items():
        assert torch.equal(again[name], value), name
    assert not any(torch.equal(other[f"draw1.{name}"], first[f"draw1.{name}"]) for name in ("shift", "window.weight"))
    assert torch.equal(weights(0, Scale())["linear1.weight"], first["linear1.weight"]), "others draw what they did"
    drawn = first["linear1.weight"].flatten()[:6] * 6**0.5
    assert not torch.allclose(drawn, first["draw1.shift"]), "not the same numbers twice"


def test_what_it_drops_is_dropped():
    net = network.build(_plan(), seeds.rng_for(0, seeds.BUILD)).train()
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    net.regularize(net.draws(Regularization(), 0.0, torch.Generator().manual_seed(0), slice(0, 64), 64))
    bias = net.get_submodule([name for name, _ in net.named_children()][-1]).bias
    dropped = (net(inputs) == bias).all(1)
    assert 16 < dropped.sum() < 48


def test_it_is_exported_and_read_back(tmp_path):
    plan = _plan()
    ours = network.build(plan, seeds.rng_for(0, seeds.BUILD)).eval()
    text = source.classes(plan)
    assert "class Scaling(nn.Module):" in text and "**2" in text
    assert text.count("class Cell(nn.Module):") == 1, "both cells share a class"
    assert "def forward(self, vectors: Tensor) -> Tensor:" in text
    names = {"torch": torch, "F": F, "nn": nn, "Tensor": Tensor}
    exec(compile(text, "model", "exec"), names)
    theirs = names["Model"]().eval()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(ours(inputs), theirs(inputs))
    assert _round(deployed(plan), tmp_path) == deployed(plan)


def test_a_file_cannot_choose_what_is_no_option_or_no_module(tmp_path):
    plan = deployed(_plan())
    _round(plan, tmp_path)
    path = tmp_path / architecture.FILE
    fine = path.read_text()
    for before, after in (
        ('"exponent": 2', '"exponent": "2"'),
        ('"exponent": 2', '"exponent": 2, "name": "x"'),
        ('"sign": -0.5', '"sign": NaN'),
        (":Power", ":Tensor"),
        (":Power", ":Missing"),
    ):
        assert before in fine
        path.write_text(fine.replace(before, after))
        with pytest.raises(ExportError, match="is no layer plan at layer"):
            architecture.read_plan(tmp_path)
    path.write_text(fine.replace(f"{__name__}:Power", "a.stranger:Power"))
    with pytest.raises(ExportError, match=r"import a\.stranger first, if you trust it"):
        architecture.read_plan(tmp_path)


def test_an_operation_that_has_no_place_in_a_module_is_not_exported(tmp_path):
    @dataclass(frozen=True, slots=True)
    class Local(Power):
        defined: ClassVar[tuple[str, ...]] = ("nowhere:Text",)

    writer = PlanWriter(VECTORS)
    writer.linear(writer.write(Local(1), 0), 2)
    with pytest.raises(ExportError, match="Local cannot be exported; make it a frozen dataclass"):
        _round(writer.plan(), tmp_path)
    with pytest.raises(ExportError, match="nowhere:Text has no source code to export"):
        source.classes(writer.plan())


def test_inputs_that_cannot_be_taken_are_refused():
    writer = PlanWriter(IO(3, 8, 8, 10))
    vector = writer.mean(0)
    for write, says in (
        (lambda: writer.linear(0, 3), "linear takes a vector, not images of 3 x 8 x 8"),
        (lambda: writer.conv(vector, 3), "conv takes an image, not vectors of 3"),
        (lambda: writer.conv(0, 4, groups=2), "conv from 3 to 4 channels cannot have 2 groups"),
        (lambda: writer.max_pool(0, 4), "a padded pooling has an odd side, or one of 2; got 4"),
        (lambda: writer.add((0, vector)), "add takes inputs of one shape, not images of 3 x 8 x 8 and vectors of 3"),
        (lambda: writer.concat((0, writer.halve(0))), "concat takes inputs that differ in channels only"),
        (lambda: writer.write(Scale(), 0), "scale takes a vector"),
        (lambda: writer.write(Scale(), vector, vector), "scale has 2 inputs and takes 1"),
        (lambda: writer.write(Power(2)), "power has 0 inputs and takes 1"),
    ):
        with pytest.raises(ValueError, match=says):
            write()


def test_a_shape_may_be_an_option():
    for shape in (Image(3, 8, 9), Vector(4), Sequence(2, 7)):
        layer = PlanWriter(IO(shape, Classes(2))).plan()[0]
        assert rows.to_layer(json.loads(json.dumps(rows.of_layer(layer))), []) == layer


def _alone(op):
    """What goes in, and a layer of the operation."""
    writer = PlanWriter(VECTORS)
    writer.write(op, 0)
    return writer.plan()


@dataclass(frozen=True, slots=True)
class Options(Power):
    exponent: int = 1
    mode: Literal["a", "b", 3] = "a"
    size: int | None = None
    kind: Image | Vector | None = None
    shares: tuple[float, ...] = ()
    pair: tuple[int, str] | Literal[False] = False
    anything: Any = None
    numbers: tuple[int, ...] = ()

    name: ClassVar[str] = "options"


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "b"},
        {"mode": 3},
        {"size": 4},
        {"kind": Image(3, 8, 9), "shares": (0.5, 2.0)},
        {"kind": Vector(2)},
        {"pair": (1, "x")},
        {"sign": -1},
        {"numbers": (1, 2)},
    ],
)
def test_an_option_may_be_of_many_kinds(given):
    inputs, layer = _alone(Options(**given))
    found = rows.to_layer(json.loads(json.dumps(rows.of_layer(layer))), [inputs])
    assert found == layer
    assert [type(getattr(found.op, name)) for name in given] == [type(value) for value in given.values()]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("mode", "c"),
        ("mode", True),
        ("size", 2.5),
        ("size", 2**21),
        ("kind", (3, 8, 9)),
        ("kind", Sequence(2, 7)),
        ("shares", (0.5, "x")),
        ("shares", (float("inf"),)),
        ("pair", (1, "x", 2)),
        ("pair", 1.5),
        ("anything", 1),
        ("numbers", (0.5,)),
        ("exponent", 2.0),
        ("sign", float("nan")),
    ],
)
def test_an_option_that_could_not_be_read_back_is_not_written(option, value):
    _, layer = _alone(Options(**{"exponent": 2, option: value}))
    with pytest.raises(
        ExportError, match=f"the operation options cannot be exported with {option} = .*, which no file"
    ):
        rows.of_layer(layer)


def test_neither_is_an_option_whose_type_cannot_be_known(tmp_path):
    @dataclass(frozen=True, slots=True)
    class Unknown(Power):
        cached: ClassVar["Nowhere"] = None  # noqa: F821
        name: ClassVar[str] = "unknown"

    Unknown.__qualname__ = "Unknown"
    inputs, layer = _alone(Unknown(2))
    says = "an annotation of Unknown cannot be read: name 'Nowhere' is not defined; import what it names"
    with pytest.raises(ExportError, match=f"the layer unknown1 cannot be exported: {says}"):
        rows.of_layer(layer)
    module = ModuleType("unknowns")
    module.Unknown = Unknown
    row = ["unknown1", "unknowns:Unknown", [0], ["vector", 6], {"exponent": 2}]
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "unknowns", module)
        with pytest.raises(ValueError, match=says):
            rows.to_layer(row, [inputs])


def test_code_of_a_module_is_not_run_to_find_an_operation(monkeypatch):
    asked = []
    module = ModuleType("lazy")
    module.__getattr__ = asked.append
    monkeypatch.setitem(sys.modules, "lazy", module)
    with pytest.raises(ValueError, match="unknown operation 'lazy:Scale'"):
        rows.to_layer(["x", "lazy:Scale", [0], ["vector", 6]], [PlanWriter(VECTORS).plan()[0]])
    assert not asked


def test_counting_needs_no_torch():
    script = """
import sys
from netwright.core.records import IO
from netwright.plans import counting
from netwright.plans.plan import PlanWriter
writer = PlanWriter(IO(3, 8, 8, 10))
x = writer.relu(writer.norm(writer.conv(0, 4, 3)))
writer.linear(writer.dropout(writer.mean(writer.gate(x, writer.weighted_sum([x, writer.max_pool(x, 3)])))), 10)
assert counting.count(writer.plan()).params and counting.training_bytes(writer.plan(), 8)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
