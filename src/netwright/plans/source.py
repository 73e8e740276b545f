"""Source code of a plan's network: plain torch modules that need nothing of netwright.

Each outermost scope of the plan becomes a class, and scopes that differ in channels and strides only share one. Layers
outside any scope belong to the class `Model`, which puts everything together. Weights have the names that they have in
`plans.network`, and both compute the same. Layers that nobody reads are built, for their weights, but not run. What
acts in training only is left out: the auxiliary head, drop paths, dropout.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from netwright.core.errors import ExportError
from netwright.plans import counting
from netwright.plans.plan import Layer, Plan, deployed

WIDTH = 120  # of a line
INDENT = " " * 8  # within a method
# names that a module with the classes has already
RESERVED = frozenset({"Model", "Tensor", "F", "Path", "WeightedSum", "Gate"})
WITH_WEIGHTS = frozenset({"conv", "norm", "linear", "weighted_sum", "gate"})
MERGES = {
    "weighted_sum": '''class WeightedSum(nn.Module):
    """Sum of inputs of equal shape, each times the logistic of a learned number."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        weights = torch.sigmoid(self.weight)
        total = inputs[0] * weights[0]
        for n, x in enumerate(inputs[1:], start=1):
            total = torch.addcmul(total, x, weights[n])
        return total''',
    "gate": '''class Gate(nn.Module):
    """An input times the sum of a mask, scaled to [0, 1] within each image, and the logistic of a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        low, high = mask.amin((1, 2, 3), keepdim=True), mask.amax((1, 2, 3), keepdim=True)
        return x * (torch.sigmoid(self.weight) + (mask - low) / (high - low).clamp(min=1e-12))''',
}


@dataclass(frozen=True)
class _Part:
    """The layers of one outermost scope: their positions, what they read from outside, what is read outside."""

    scope: str
    positions: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class _Class:
    """A class for parts of one structure: numbers that differ between them are arguments of its constructor."""

    name: str
    parts: Sequence[_Part]
    modules: Sequence[str]  # lines of the constructor
    arguments: Mapping[str, tuple[int, ...]]  # name -> value for each part


@dataclass
class _Numbers:
    """Writes numbers that may differ between the parts of a class.

    A number is written as itself where all parts agree, else as a multiple or a part of an argument; `used` are those
    arguments.
    """

    channels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    used: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def of_channels(self, values: tuple[int, ...]) -> str:
        if len(set(values)) == 1:
            return str(values[0])
        for name, bases in self.channels.items():
            factor, divisor = values[0] // bases[0], bases[0] // values[0]
            if all(value == factor * base for value, base in zip(values, bases, strict=True)):
                self.used[name] = bases
                return name if factor == 1 else f"{factor} * {name}"
            if all(value * divisor == base for value, base in zip(values, bases, strict=True)):
                self.used[name] = bases
                return f"{name} // {divisor}"
        raise _Unlike

    def of_stride(self, values: tuple[int, ...]) -> str:
        if len(set(values)) == 1:
            return str(values[0])
        if self.used.setdefault("stride", values) != values:
            raise _Unlike
        return "stride"


class _Unlike(Exception):
    """Parts of one structure whose numbers are neither multiples nor parts of each other."""


def classes(plan: Plan) -> str:
    """Source text of the network: classes ending with `Model`, whose names `torch`, `nn`, `F`, `Tensor` are torch's.

    The text is as ruff formats it. Shapes in comments are those for the image size of the plan.

    Raises:
        ExportError: An outermost scope is no Python identifier, or was left and opened again.
    """
    plan = deployed(plan)
    live = _live(plan)
    parts = _parts(plan, live)
    made = list(_classes(plan, parts))
    texts = [_class_text(plan, each, live) for each in made]
    merges = [text for op, text in MERGES.items() if any(layer.op == op for layer in plan)]
    return "\n\n\n".join([*merges, *texts, _model_text(plan, parts, made, live)]) + "\n"


def _live(plan: Plan) -> set[int]:
    """Positions that the output depends on."""
    live = {len(plan) - 1}
    for position in range(len(plan) - 1, 0, -1):
        if position in live:
            live.update(plan[position].inputs)
    return live


def _parts(plan: Plan, live: set[int]) -> list[_Part]:
    """The outermost scopes in order; each is one run of layers."""
    found: list[_Part] = []
    for scope, run in groupby(range(1, len(plan)), key=lambda position: plan[position].scope):
        if not scope:
            continue
        if not scope.isidentifier() or keyword.iskeyword(scope) or scope in {part.scope for part in found}:
            raise ExportError(f"no class can be made of the scope {scope!r}: it needs a name like cell1, used once")
        positions = tuple(run)
        inside = set(positions)
        read = [source for p in positions if p in live for source in plan[p].inputs if source not in inside]
        leaving = {s for p in live - inside for s in plan[p].inputs if s in inside} | ({len(plan) - 1} & inside)
        found.append(_Part(scope, positions, tuple(dict.fromkeys(read)), tuple(sorted(leaving))))
    return found


def _classes(plan: Plan, parts: Sequence[_Part]) -> Iterator[_Class]:
    """One class for each structure, in order of its first part."""
    groups: dict[object, list[_Part]] = {}
    for part in parts:
        groups.setdefault(_structure(plan, part), []).append(part)
    taken = set(RESERVED)
    for alike in groups.values():
        for members in _shared(plan, alike):
            lines, arguments = _modules(plan, members)
            scope = members[0].scope
            short = scope if len(members) == 1 else re.sub(r"\d+", "", scope)
            name = _camel_case(short) if _camel_case(short) not in taken else _camel_case(scope)
            while name in taken or not name:
                name += "_"
            taken.add(name)
            yield _Class(name, members, lines, arguments)


def _shared(plan: Plan, alike: Sequence[_Part]) -> list[list[_Part]]:
    """Parts of one structure by class: each goes with the first before it that it can share one with."""
    found: list[list[_Part]] = []
    for part in alike:
        for members in found:
            try:
                _modules(plan, [*members, part])
            except _Unlike:
                continue
            members.append(part)
            break
        else:
            found.append([part])
    return found


def _structure(plan: Plan, part: _Part) -> object:
    """Equal for parts that differ in channels and in strides of convolutions only."""
    places = {position: place for place, position in enumerate((*part.inputs, *part.positions))}
    rows = []
    for layer in (plan[position] for position in part.positions):
        stride = 0 if layer.op == "conv" else layer.stride
        inputs = tuple(places.get(source, -1) for source in layer.inputs)
        options = (layer.window, stride, layer.dilation, layer.bias, layer.padded, layer.zeros, layer.without_bias)
        rows.append((layer.short_name, layer.inner_scopes, options, inputs))
    return len(part.inputs), tuple(rows), tuple(places[output] for output in part.outputs)


def _modules(plan: Plan, parts: Sequence[_Part]) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """Lines that build the modules of parts of one structure, and the arguments they need. Raises _Unlike."""
    ends = {"in_channels": [part.inputs[:1] for part in parts], "out_channels": [part.outputs[-1:] for part in parts]}
    numbers = _Numbers({name: tuple(plan[p].channels for [p] in at) for name, at in ends.items() if all(at)})
    lines = []
    for row in zip(*(part.positions for part in parts), strict=True):
        layers = [plan[position] for position in row]
        if layers[0].op in WITH_WEIGHTS:
            entering = tuple(plan[layer.inputs[0]].channels for layer in layers)
            lines += _statement(f"self.{layers[0].short_name}", _module(layers, entering, numbers))
    return lines, {name: numbers.used[name] for name in (*ends, "stride") if name in numbers.used}


def _module(layers: Sequence[Layer], entering: tuple[int, ...], numbers: _Numbers) -> str:
    """The module of a layer, given as it is in each part, and the channels that enter it there."""
    leaving = numbers.of_channels(tuple(layer.channels for layer in layers))
    if layers[0].op == "norm":
        return f"nn.BatchNorm2d({leaving})"
    if layers[0].op == "linear":
        return f"nn.Linear({numbers.of_channels(entering)}, {leaving}{', bias=False' * layers[0].without_bias})"
    if layers[0].op == "weighted_sum":
        return f"WeightedSum({len(layers[0].inputs)})"
    if layers[0].op == "gate":
        return "Gate()"
    first = layers[0]
    stride = _pair([numbers.of_stride(tuple(layer.strides[side] for layer in layers)) for side in (0, 1)])
    padding = _pair([str(first.dilation * (side // 2) if first.padded else 0) for side in first.window])
    words = [numbers.of_channels(entering), leaving, _pair([str(side) for side in first.window])]
    words += [f"stride={stride}"] * (stride != "1") + [f"padding={padding}"] * (padding != "0")
    words += [f"dilation={first.dilation}"] * (first.dilation > 1)
    if any(layer.groups > 1 for layer in layers):
        words.append(f"groups={numbers.of_channels(tuple(layer.groups for layer in layers))}")
    return f"nn.Conv2d({', '.join([*words, *['bias=False'] * (not first.bias)])})"


def _pair(sides: Sequence[str]) -> str:
    """Height and width as torch takes them: one number where they are equal."""
    return sides[0] if sides[0] == sides[1] else f"({sides[0]}, {sides[1]})"


def _class_text(plan: Plan, made: _Class, live: set[int]) -> str:
    first = made.parts[0]
    names = {source: f"x{n}" for n, source in enumerate(first.inputs, start=1)}
    names = dict.fromkeys(first.inputs, "x") if len(names) == 1 else names
    names |= {position: plan[position].short_name for position in first.positions}
    returned = ", ".join(names[output] for output in first.outputs)
    kind = "Tensor" if len(first.outputs) == 1 else "tuple[Tensor, ...]"
    about = ", ".join(part.scope for part in made.parts)
    about = about if len(made.parts) == 1 else f"Shared by {about}; shapes are those in {first.scope}"
    ends = [", ".join(_shape(plan, position) for position in at) for at in (first.inputs, first.outputs)]
    entering = "".join(f", {names[source]}: Tensor" for source in first.inputs)
    lines = [f"class {made.name}(nn.Module):", *_docstring(f"{about}: {' to '.join(ends)}."), ""]
    lines += [f"    def __init__(self{''.join(f', {name}: int' for name in made.arguments)}) -> None:"]
    lines += [f"{INDENT}super().__init__()", *made.modules]
    if not first.outputs:
        return "\n".join(lines)
    lines += ["", f"    def forward(self{entering}) -> {kind}:"]
    where: tuple[str, ...] = ()
    for position in first.positions:
        if position not in live:
            continue
        if plan[position].inner_scopes != where:
            where = plan[position].inner_scopes
            lines.append(f"{INDENT}# {' / '.join(where)}" if where else "")
        lines += _run(plan, position, names)
    return "\n".join([*lines, f"{INDENT}return {returned}"])


def _model_text(plan: Plan, parts: Sequence[_Part], made: Sequence[_Class], live: set[int]) -> str:
    part_at = {part.positions[0]: part for part in parts}
    class_of = {part.scope: (each, n) for each in made for n, part in enumerate(each.parts)}
    names = {0: "images"}
    built, run = [], []
    for position, layer in enumerate(plan[1:], start=1):
        if position in part_at:
            part = part_at[position]
            its, n = class_of[part.scope]
            arguments = ", ".join(f"{name}={values[n]}" for name, values in its.arguments.items())
            built.append(f"{INDENT}self.{part.scope} = {its.name}({arguments})")
            names |= _names_outside(plan, part)
            if part.outputs:
                targets = [names[output] for output in part.outputs]
                call = f"self.{part.scope}({', '.join(names[source] for source in part.inputs)})"
                run += _statement(", ".join(targets), call, f"  # {_shape(plan, part.outputs[-1])}")
        elif not layer.scope:
            names[position] = layer.short_name
            if layer.op in WITH_WEIGHTS:
                module = _module([layer], (plan[layer.inputs[0]].channels,), _Numbers())
                built += _statement(f"self.{layer.short_name}", module)
            if position in live:
                run += _run(plan, position, names)
    counts, end = counting.count(plan), len(plan) - 1
    about = f"Normalized images {_shape(plan, 0)} to logits {_shape(plan, end)}; {counts.params:,} parameters."
    lines = ["class Model(nn.Module):", *_docstring(about), "", "    def __init__(self) -> None:"]
    lines += [f"{INDENT}super().__init__()", *built, "", "    def forward(self, images: Tensor) -> Tensor:"]
    return "\n".join([*lines, *run, f"{INDENT}return {names[end]}"])


def _names_outside(plan: Plan, part: _Part) -> dict[int, str]:
    """What a part's outputs are called in `Model`: one is called as its scope."""
    if len(part.outputs) == 1:
        return {part.outputs[0]: part.scope}
    return {output: f"{part.scope}_{plan[output].short_name}" for output in part.outputs}


def _run(plan: Plan, position: int, names: Mapping[int, str]) -> list[str]:
    """The lines that compute a layer: one, unless it is too long."""
    layer, inputs = plan[position], [names[source] for source in plan[position].inputs]
    target, comment = names[position], f"  # {_shape(plan, position)}"
    if layer.op == "concat":
        return _joined(target, inputs, comment)
    if layer.op in ("add", "average"):
        return _summed(target, inputs, comment, is_mean=layer.op == "average")
    call = {
        "relu": f"F.relu({inputs[0]})",
        "max_pool": _pooling(layer, "F.max_pool2d", inputs[0]),
        "min_pool": f"-{_pooling(layer, 'F.max_pool2d', f'-{inputs[0]}')}",
        "avg_pool": _pooling(layer, "F.avg_pool2d", inputs[0]),
        "halve": f"F.avg_pool2d({inputs[0]}, 2, ceil_mode=True)",
        "odd_pixels": "F.pad({0}[:, :, 1::2, 1::2], (0, {0}.shape[3] % 2, 0, {0}.shape[2] % 2))".format(inputs[0]),
        "zero": f"{inputs[0]} * 0.0",
        "mean": f"{inputs[0]}.mean((2, 3))",
    }.get(layer.op, f"self.{layer.short_name}({', '.join(inputs)})")
    if (
        layer.padded and not layer.zeros and layer.kernel == 2 and layer.stride == 1
    ):  # of a pooling, that had one window too many
        return _statement(target, call) + _statement(target, f"{target}[:, :, 1:, 1:]", comment)
    return _statement(target, call, comment)


def _pooling(layer: Layer, function: str, x: str) -> str:
    """The call of a pooling, which `plans.network` does the same way."""
    if layer.zeros and layer.padded and (layer.op == "max_pool" or layer.kernel == 2):
        borders = "(0, 1, 0, 1)" if layer.kernel == 2 else f"({', '.join([str(layer.kernel // 2)] * 4)})"
        return f"{function}(F.pad({x}, {borders}), {layer.kernel}, stride={layer.stride})"
    window = f"{x}, {layer.kernel}, stride={layer.stride}"
    if not layer.padded:
        return f"{function}({window})"
    more = ", count_include_pad=False" if layer.op == "avg_pool" and not layer.zeros else ""
    if layer.kernel == 2 and layer.stride > 1:
        return f"{function}({window}, ceil_mode=True{more})"
    return f"{function}({window}, padding={layer.kernel // 2}{more})"


def _joined(target: str, inputs: Sequence[str], comment: str) -> list[str]:
    """Concatenation, one input a line where they are too many for one."""
    line = f"{INDENT}{target} = torch.cat(({', '.join(inputs)}), 1){comment}"
    if len(line) <= WIDTH:
        return [line]
    lines = [f"{target} = torch.cat(", "    (", *(f"        {name}," for name in inputs)]
    lines += ["    ),", "    1,", f"){comment}"]
    return [f"{INDENT}{line}" for line in lines]


def _summed(target: str, inputs: Sequence[str], comment: str, is_mean: bool) -> list[str]:
    """A sum or mean, one input a line where they are too many for one."""
    sum_, after = " + ".join(inputs), f" / {len(inputs)}" * is_mean
    line = f"{INDENT}{target} = {f'({sum_})' if is_mean else sum_}{after}{comment}"
    if len(line) <= WIDTH:
        return [line]
    terms = [f"    {'+ ' * bool(n)}{name}" for n, name in enumerate(inputs)]
    return [f"{INDENT}{row}" for row in (f"{target} = (", *terms, f"){after}{comment}")]


def _statement(target: str, call: str, comment: str = "") -> list[str]:
    """An assignment of a call without calls in it: one line, or as many as ruff makes of it."""
    line = f"{INDENT}{target} = {call}{comment}"
    if len(line) <= WIDTH:
        return [line]
    function, _, arguments = call.removesuffix(")").partition("(")
    inner = (
        [arguments]
        if len(arguments) + len(INDENT) + 4 <= WIDTH
        else [f"{a}," for a in re.split(r", (?![^(]*\))", arguments)]
    )
    return [f"{INDENT}{target} = {function}(", *(f"{INDENT}    {each}" for each in inner), f"{INDENT}){comment}"]


def _shape(plan: Plan, position: int) -> str:
    layer = plan[position]
    size = "" if _is_flat(plan, position) else f", {layer.height}, {layer.width}"
    return f"(B, {layer.channels}{size})"


def _is_flat(plan: Plan, position: int) -> bool:
    """Whether the layer is `mean` or `linear`, or follows one with nothing but functions of single numbers between."""
    while plan[position].op not in ("mean", "linear"):
        if not plan[position].inputs or plan[position].height * plan[position].width > 1:
            return False
        position = plan[position].inputs[0]
    return True


def _docstring(text: str) -> list[str]:
    """A docstring of a class, wrapped."""
    if len(text) <= WIDTH - 10:
        return [f'    """{text}"""']
    rows = [""]
    for word in text.split():
        if len(rows[-1]) + len(word) > WIDTH - 10:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return [f'    """{rows[0]}', *(f"    {row}" for row in rows[1:]), '    """']


def _camel_case(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
