"""architecture.json: what the network of an exported folder is, down to its layer plan.

Whoever reads it may have it from a stranger: every value is checked before a network is made of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, get_args

from netwright import __version__
from netwright.core import shapes
from netwright.core.errors import ExportError
from netwright.core.genes import Choice, Gene
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Genotype
from netwright.core.refs import Reference
from netwright.plans import counting
from netwright.plans.plan import Layer, Op, Plan

FILE = "architecture.json"
FORMAT = "netwright export 1"
MAX_BYTES = 2**24  # a plan of 1,000 layers has 80 kB
MAX_NUMBER = 2**20  # channels, pixels, strides
COLUMNS = 9  # of a layer that are always written
OPTIONS = {"kernel_width": 0, "stride_width": 0, "dilation": 1}  # further columns, and their least values
SWITCHES = frozenset({"bias", "padded", "zeros", "without_bias"})
NAME = re.compile(rf"(\w+\.)*({'|'.join(get_args(Op))})_\d+", re.ASCII)

Shape = tuple[int, ...]  # (C, H, W), or (C,) after a global mean


def to_json(reference: Reference, space: SearchSpace, genotype: Genotype, io: IO, plan: Plan) -> str:
    """The file's text."""
    counts = counting.count(plan)
    facts = {
        "format": FORMAT,
        "netwright": __version__,
        "space": {"ref": reference.name, **reference.options},
        "key": space.key(genotype),
        "genotype": genotype,
        "io": shapes.to_text(io),
        "params": counts.params,
        "multiply_adds": counts.multiply_adds,
        "plan_columns": [field.name for field in fields(Layer)],
    }
    tables: dict[str, list[Any]] = {
        "genes": [_gene(gene, value) for gene, value in zip(space.genes, genotype, strict=True)],
        "plan": [_row(layer) for layer in plan],
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
    for name, rows in tables.items():
        listed = ",\n  ".join(json.dumps(row) for row in rows)
        lines.append(f" {json.dumps(name)}: [\n  {listed}\n ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def is_export(folder: Path) -> bool:
    """Whether the folder was written by an export."""
    try:
        return _facts(folder / FILE)["format"] == FORMAT
    except ExportError:
        return False


def read_plan(folder: Path) -> Plan:
    """The layer plan of an exported folder. Raises ExportError for a file that is missing, damaged or no plan."""
    path = folder / FILE
    rows = _facts(path).get("plan")
    if not isinstance(rows, list) or not rows:
        raise ExportError(f"{path} holds no layer plan; export the network again")
    layers: list[Layer] = []
    shapes: list[Shape] = []
    for position, row in enumerate(rows):
        try:
            layer = _layer(row, position)
            shape = _shape(layer, [shapes[source] for source in layer.inputs])
            if (*shape, 1, 1)[:3] != (layer.channels, layer.height, layer.width):
                raise ValueError(f"its shape would be {shape}")
        except ValueError as error:
            raise ExportError(
                f"{path} is no layer plan at layer {position}: {error}; export the network again"
            ) from None
        layers.append(layer)
        shapes.append(shape)
    if len({layer.name for layer in layers}) < len(layers) or len(shapes[-1]) != 1:
        raise ExportError(f"{path} is no layer plan: two layers have one name, or the last gives no logits")
    return tuple(layers)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of an exported folder. Raises ExportError for a file that is missing or damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        facts = json.loads(data) if len(data) <= MAX_BYTES else None
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}; give the folder of an exported network") from None
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise ExportError(f"{path} is damaged: it is no JSON of a network; export the network again")
    return facts


def _facts(path: Path) -> dict[str, Any]:
    facts = read_json(path)
    if facts.get("format") != FORMAT:
        raise ExportError(f"{path} was not written by this version's export; export the network again")
    return facts


def _gene(gene: Gene, value: float) -> dict[str, Any]:
    option = {"option": gene.options[int(value)]} if isinstance(gene, Choice) else {}
    return {"name": gene.name, "value": value, **option}


def _row(layer: Layer) -> list[Any]:
    """The columns of a layer; the last, which most layers leave as they are by default, only up to one that differs."""
    row, defaults = list(astuple(layer)), [field.default for field in fields(Layer)]
    while len(row) > COLUMNS and row[-1] == defaults[len(row) - 1]:
        row.pop()
    return row


def _layer(row: Any, position: int) -> Layer:
    """The layer of a row whose types, names and bounds are right. Raises ValueError."""
    if not isinstance(row, list) or not COLUMNS <= len(row) <= len(fields(Layer)):
        raise ValueError(f"a layer is a list of {COLUMNS} to {len(fields(Layer))}")
    op, name, inputs, *numbers = row[:COLUMNS]
    rest = dict(zip([field.name for field in fields(Layer)][COLUMNS:], row[COLUMNS:], strict=False))
    if op not in get_args(Op) or not isinstance(name, str) or not (name == op == "input" or NAME.fullmatch(name)):
        raise ValueError("unknown operation or name")
    if not isinstance(inputs, list) or any(type(i) is not int or not 0 <= i < position for i in inputs):
        raise ValueError("its inputs are no earlier layers")
    if any(type(number) is not int or not 1 <= number <= MAX_NUMBER for number in numbers):
        raise ValueError(f"its sizes are no whole numbers from 1 to {MAX_NUMBER:,}")
    for option, value in rest.items():
        is_number = option in OPTIONS and type(value) is int and OPTIONS[option] <= value <= MAX_NUMBER
        if not (is_number or (option in SWITCHES and type(value) is bool)):
            raise ValueError(f"its {option} is {str(value)[:20]}")
    if (op == "input") != (position == 0) or (op == "input") == bool(inputs):
        raise ValueError("the first layer, and no other, is the image")
    return Layer(op, name, tuple(inputs), *numbers, **rest)


def _shape(layer: Layer, inputs: Sequence[Shape]) -> Shape:
    """The shape of the layer's output. Raises ValueError where it cannot be computed from such inputs."""
    if layer.op == "input":
        return (layer.channels, layer.height, layer.width)
    first = inputs[0]
    if layer.op in ("concat", "add", "weighted_sum", "average", "gate"):
        if (len(inputs) < 2 and layer.op != "weighted_sum") or (layer.op == "gate" and len(inputs) > 2):
            raise ValueError(f"{layer.op} has {len(inputs)} inputs")
        if any(shape[layer.op == "concat" :] != first[layer.op == "concat" :] for shape in inputs):
            raise ValueError(f"{layer.op} has inputs of different shapes")
        return first if layer.op != "concat" else (sum(shape[0] for shape in inputs), *first[1:])
    if len(inputs) > 1:
        raise ValueError(f"{layer.op} has more than one input")
    if layer.op == "relu":
        return first
    if (layer.op == "linear") != (len(first) == 1):
        raise ValueError(f"{layer.op} stands {'before' if layer.op == 'linear' else 'after'} the global mean")
    if layer.op == "linear":
        return (layer.channels,)
    if layer.op == "mean":
        return first[:1]
    if layer.op == "norm":
        return first
    if layer.op in ("halve", "odd_pixels"):
        return (first[0], *(-(-side // 2) for side in first[1:]))
    if layer.op == "zero":
        return first
    return _windowed(layer, first)


def _windowed(layer: Layer, entering: Shape) -> Shape:
    """The shape of a convolution's or a pooling's output. Raises ValueError."""
    if layer.op in ("drop_path", "dropout"):
        raise ValueError(f"{layer.op} has no place in a network that is not trained")
    is_conv = layer.op == "conv"
    if not is_conv and (layer.kernel_width or layer.stride_width or layer.dilation > 1):
        raise ValueError(f"{layer.op} has a window that only a convolution may have")
    is_even_fine = not layer.padded or (layer.kernel == 2 and not is_conv)
    for side in layer.window:
        if side > 255 or (side % 2 == 0 and not is_even_fine):
            raise ValueError(f"its kernel is {side}, no odd number up to 255")
    if is_conv and (entering[0] % layer.groups or layer.channels % layer.groups):
        raise ValueError(f"its {layer.groups} groups do not divide its channels")
    sizes = []
    for side, kernel, stride in zip(entering[1:], layer.window, layer.strides, strict=True):
        reach = layer.dilation * (kernel - 1) + 1
        if not layer.padded and reach > side:
            raise ValueError(f"its window of {reach} pixels does not fit in {side}")
        sizes.append(-(-side // stride) if layer.padded else (side - reach) // stride + 1)
    return (layer.channels if is_conv else entering[0], *sizes)
