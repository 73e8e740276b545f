"""Source code of a plan's network: plain torch modules that need nothing of netwright.

Each outermost scope of the plan becomes a class; scopes that differ only in channels and strides share one. Layers
outside any scope belong to the class `Model`, which puts everything together. The code computes the same as the network
of `plans.network`. Layers that no other reads are built, for their weights, but not run. What acts in training only is
left out: the auxiliary head, drop paths, dropout.

A layer is an attribute of its class, under the name that it has in the network (`Layer.attribute`): both have the same
weights: those of `cell1.state3.a.sep_3x3.conv1` are those of `self.state3_a_sep_3x3_conv1` in `self.cell1`.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from textwrap import dedent

from netwright.core.errors import ExportError
from netwright.core.shapes import NAMES, Shape, Tokens, Weights, dimensions
from netwright.plans import counting, statements
from netwright.plans.names import identifier
from netwright.plans.numerals import ListedNumerals, SharedNumerals, Unlike
from netwright.plans.plan import Layer, Plan, deployed
from netwright.plans.statements import INDENT

# names that a module with these classes uses already
RESERVED = frozenset({"Model", "Tensor", "F", "Path"})


@dataclass(frozen=True)
class _Part:
    """The layers of one outermost scope: their positions, the layers outside that they read, those read outside."""

    scope: str
    positions: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class _Class:
    """A class for parts of one structure; numbers that differ between the parts are arguments of its constructor."""

    name: str
    parts: Sequence[_Part]
    modules: Sequence[str]  # lines of the constructor
    arguments: Mapping[str, tuple[int, ...]]  # name -> value for each part


def classes(plan: Plan) -> str:
    """Source text of the network: classes, the last of them `Model`; in it `torch`, `nn`, `F`, `Tensor` are torch's.

    The text is as ruff formats it. Shapes in comments are those for the input size of the plan.

    Raises:
        ExportError: An outermost scope is no Python identifier, or was left and opened again.
    """
    plan = deployed(plan)
    live = _live(plan)
    parts = _parts(plan, live)
    made = list(_classes(plan, parts, set(_taken_along(plan))))
    texts = [_class_text(plan, each, live) for each in made]
    return "\n\n\n".join([*_taken_along(plan).values(), *texts, _model_text(plan, parts, made, live)]) + "\n"


def _live(plan: Plan) -> set[int]:
    """Positions that the output depends on."""
    live = {len(plan) - 1}
    for position in range(len(plan) - 1, 0, -1):
        if position in live:
            live.update(plan[position].inputs)
    return live


def _parts(plan: Plan, live: set[int]) -> list[_Part]:
    """The outermost scopes in order; the layers of each follow one another."""
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
        attributes = Counter(plan[p].attribute for p in positions if plan[p].op.has_weights)
        if twice := [name for name, times in attributes.items() if times > 1]:
            raise ExportError(f"two layers of {scope} are both {twice[0]} in source code; name one of them otherwise")
        found.append(_Part(scope, positions, tuple(dict.fromkeys(read)), tuple(sorted(leaving))))
    return found


def _taken_along(plan: Plan) -> dict[str, str]:
    """By name, the text of each class and function that the operations use. Raises ExportError."""
    found: dict[str, str] = {}
    origins: dict[str, str] = {}
    for reference in dict.fromkeys(each for layer in plan for each in layer.op.defined):
        module, _, name = reference.partition(":")
        if origins.setdefault(name, reference) != reference:
            raise ExportError(f"{origins[name]} and {reference} have one name in the source code; rename one")
        try:
            found[name] = dedent(inspect.getsource(getattr(importlib.import_module(module), name))).rstrip()
        except (ImportError, AttributeError, OSError, TypeError) as error:
            raise ExportError(f"{reference} has no source code to export: {error}; define it in a file") from None
    return found


def _classes(plan: Plan, parts: Sequence[_Part], names: set[str]) -> Iterator[_Class]:
    """One class for each structure, in order of first parts, with names other than `names`."""
    groups: dict[object, list[_Part]] = {}
    for part in parts:
        groups.setdefault(_structure(plan, part), []).append(part)
    taken = RESERVED | names | set(dir(builtins))
    for alike in groups.values():
        for members in _shared(plan, alike):
            lines, arguments = _modules(plan, members)
            scope = members[0].scope
            short = scope if len(members) == 1 else re.sub(r"\d+", "", scope)
            name = _camel_case(short) if _camel_case(short) not in taken else _camel_case(scope)
            while name in taken or not name:
                name += "_"
            taken |= {name}
            yield _Class(name, members, lines, arguments)


def _shared(plan: Plan, alike: Sequence[_Part]) -> list[list[_Part]]:
    """Parts of one structure by class: each part joins the first class that it can share."""
    found: list[list[_Part]] = []
    for part in alike:
        for members in found:
            try:
                _by_ends(plan, [*members, part])
            except Unlike:
                continue
            members.append(part)
            break
        else:
            found.append([part])
    return found


def _structure(plan: Plan, part: _Part) -> object:
    """A key that is equal for parts that differ only in channels and in strides of modules."""
    places = {position: place for place, position in enumerate((*part.inputs, *part.positions))}
    rows = []
    for layer in (plan[position] for position in part.positions):
        inputs = tuple(places.get(source, -1) for source in layer.inputs)
        text = _constructor(plan, layer)[0] if layer.op.has_weights else layer.op.expression(*["x"] * len(inputs))
        rows.append((layer.short_name, layer.inner_scopes, text, inputs))
    return len(part.inputs), tuple(rows), tuple(places[output] for output in part.outputs)


def _constructor(plan: Plan, layer: Layer) -> tuple[str, ListedNumerals]:
    """The text that makes a layer's module, with "#" for numbers that may differ; and these numbers."""
    listed = ListedNumerals()
    return layer.op.constructor(listed, *[plan[source].shape for source in layer.inputs]), listed


def _modules(plan: Plan, parts: Sequence[_Part]) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """Lines that build the modules of parts of one structure, and the arguments they need. Raises Unlike."""
    with suppress(Unlike):
        return _written(plan, parts, _least_width(plan, parts))
    return _by_ends(plan, parts)


def _by_ends(plan: Plan, parts: Sequence[_Part]) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """The same, with the channels that enter the parts as an argument, or those that enter and those that leave."""
    entering, leaving = ([part.inputs[:1] for part in parts], [part.outputs[-1:] for part in parts])
    ends = {"in_channels": entering, "out_channels": leaving}
    widths = {name: tuple(plan[p].shape[0] for [p] in found) for name, found in ends.items() if all(found)}
    with suppress(Unlike):
        return _written(plan, parts, {"channels": widths["in_channels"]} if "in_channels" in widths else {})
    return _written(plan, parts, widths)


def _least_width(plan: Plan, parts: Sequence[_Part]) -> dict[str, tuple[int, ...]]:
    """The argument "channels": of the numbers of channels that differ between the parts, the smallest."""
    found = []
    for row in zip(*(part.positions for part in parts), strict=True):
        if plan[row[0]].op.has_weights:
            listed = [_constructor(plan, plan[position])[1] for position in row]
            found += [tuple(each.found[place] for each in listed) for place in listed[0].widths]
    differing = [values for values in found if len(set(values)) > 1]
    return {"channels": min(differing)} if differing else {}


def _written(
    plan: Plan, parts: Sequence[_Part], widths: Mapping[str, tuple[int, ...]]
) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """What `_modules` gives, with these arguments for numbers of channels. Raises Unlike where they do not suffice."""
    used: dict[str, tuple[int, ...]] = {}
    lines = []
    for row in zip(*(part.positions for part in parts), strict=True):
        if plan[row[0]].op.has_weights:
            lines += _module(plan, [plan[position] for position in row], widths, used)
    return lines, {name: used[name] for name in (*widths, "stride") if name in used}


def _module(
    plan: Plan, layers: Sequence[Layer], ends: Mapping[str, tuple[int, ...]], used: dict[str, tuple[int, ...]]
) -> list[str]:
    """The statement that makes the module of a layer, given as it is in each part. Raises Unlike."""
    numerals = SharedNumerals([_constructor(plan, layer)[1].found for layer in layers], ends, used)
    first = layers[0]
    text = first.op.constructor(numerals, *[plan[source].shape for source in first.inputs])
    return statements.assigned(f"self.{first.attribute}", text)


def _class_text(plan: Plan, made: _Class, live: set[int]) -> str:
    first = made.parts[0]
    names = {source: f"x{n}" for n, source in enumerate(first.inputs, start=1)}
    names = dict.fromkeys(first.inputs, "x") if len(names) == 1 else names
    names |= _names_inside(plan, [p for p in first.positions if p in live], first.outputs, set(names.values()))
    returned = ", ".join(names[output] for output in first.outputs)
    kind = "Tensor" if len(first.outputs) == 1 else "tuple[Tensor, ...]"
    about = ", ".join(part.scope for part in made.parts)
    about = about if len(made.parts) == 1 else f"Shared by {about}; shapes are those in {first.scope}"
    ends = [", ".join(_shape(plan[position].shape) for position in at) for at in (first.inputs, first.outputs)]
    entering = "".join(f", {names[source]}: Tensor" for source in first.inputs)
    lines = [f"class {made.name}(nn.Module):", *statements.docstring(f"{about}: {' to '.join(ends)}."), ""]
    lines += [f"    def __init__(self{''.join(f', {name}: int' for name in made.arguments)}) -> None:"]
    lines += [f"{INDENT}super().__init__()", *made.modules]
    if not first.outputs:
        return "\n".join(lines)
    lines += ["", f"    def forward(self{entering}) -> {kind}:"]
    living = [position for position in first.positions if position in live]
    is_in_scope = False  # whether the last line belongs to the scope named in a comment
    for scope, run in groupby(living, key=lambda position: plan[position].inner_scopes):
        positions = list(run)
        prefixes = [identifier(scope[:depth]) for depth in range(1, len(scope) + 1)]
        is_named = len(positions) == 1 and names[positions[0]] in prefixes  # one line, which says where
        if scope and not is_named:
            lines.append(f"{INDENT}# {' / '.join(scope)}")
        elif is_in_scope and not scope:
            lines.append("")
        is_in_scope = bool(scope) and not is_named
        for position in positions:
            lines += _run(plan, position, names)
    return "\n".join([*lines, f"{INDENT}return {returned}"])


def _model_text(plan: Plan, parts: Sequence[_Part], made: Sequence[_Class], live: set[int]) -> str:
    part_at = {part.positions[0]: part for part in parts}
    class_of = {part.scope: (each, n) for each in made for n, part in enumerate(each.parts)}
    kind = NAMES[type(plan[0].shape)]
    names = {0: kind}
    used = {*_meaningful(plan), kind}
    built, run = [], []
    for position, layer in enumerate(plan[1:], start=1):
        if position in part_at:
            part = part_at[position]
            its, n = class_of[part.scope]
            arguments = ", ".join(f"{name}={values[n]}" for name, values in its.arguments.items())
            built.append(f"{INDENT}self.{part.scope} = {its.name}({arguments})")
            names |= {output: _free(name, used) for output, name in _names_outside(plan, part).items()}
            if part.outputs:
                targets = [names[output] for output in part.outputs]
                call = f"self.{part.scope}({', '.join(names[source] for source in part.inputs)})"
                run += statements.assigned(", ".join(targets), call, _shape(plan[part.outputs[-1]].shape))
        elif not layer.scope:
            names[position] = _free(layer.attribute, used)
            if layer.op.has_weights:
                built += _module(plan, [layer], {}, {})
            if position in live:
                run += _run(plan, position, names)
    counts, end = counting.count(plan), len(plan) - 1
    ends = [_shape(plan[position].shape) for position in (0, end)]
    entering = kind.capitalize() if isinstance(plan[0].shape, Tokens) else f"Normalized {kind}"
    about = f"{entering} {ends[0]} to logits {ends[1]}; {counts.params:,} parameters."
    lines = ["class Model(nn.Module):", *statements.docstring(about), "", "    def __init__(self) -> None:"]
    lines += [f"{INDENT}super().__init__()", *built, "", f"    def forward(self, {kind}: Tensor) -> Tensor:"]
    return "\n".join([*lines, *run, f"{INDENT}return {names[end]}"])


def _names_outside(plan: Plan, part: _Part) -> dict[int, str]:
    """What a part's outputs are called in `Model`; the last layer, or a single output, is called as its scope."""
    names = {output: f"{part.scope}_{plan[output].attribute}" for output in part.outputs}
    whole = part.outputs[-1:] if len(part.outputs) == 1 else part.positions[-1:]
    return names | {output: part.scope for output in whole if output in names}


def _names_inside(plan: Plan, positions: Sequence[int], outputs: Sequence[int], taken: set[str]) -> dict[int, str]:
    """What layers are called as variables of a class.

    A layer that only its neighbors in the same inner scope read has its short name, `conv1`; the last layer of a scope
    is called as the outermost scope that it is the last of; any other layer is called by its whole place.
    """
    scopes = {position: plan[position].inner_scopes for position in positions}
    runs = [list(run) for _, run in groupby(positions, key=scopes.__getitem__)]
    run_of = {position: n for n, run in enumerate(runs) for position in run}
    last = {scope[:depth]: position for position, scope in scopes.items() for depth in range(1, len(scope) + 1)}
    read_elsewhere = set(outputs)
    for position in positions:
        read_elsewhere |= {s for s in plan[position].inputs if s in run_of and run_of[s] != run_of[position]}
    found: dict[int, str] = {}
    used = {*_meaningful(plan), *taken}
    for position in sorted(positions, key=lambda position: position not in read_elsewhere):
        layer, scope = plan[position], scopes[position]
        short = identifier((layer.short_name,))
        if position not in read_elsewhere and short not in used:
            found[position] = short
            continue
        depths = [depth for depth in range(1, len(scope) + 1) if last[scope[:depth]] == position]
        name = identifier(scope[: depths[0]]) if depths else layer.attribute
        found[position] = _free(name, used)
    return found


def _meaningful(plan: Plan) -> set[str]:
    """Names that no variable may have."""
    defined = {reference.partition(":")[2] for layer in plan for reference in layer.op.defined}
    return {"self", "torch", "nn", "F", *keyword.kwlist, *defined}


def _free(name: str, used: set[str]) -> str:
    """The name, with underscores behind it if it is in use; from now on it is."""
    while name in used:
        name += "_"
    used.add(name)
    return name


def _run(plan: Plan, position: int, names: Mapping[int, str]) -> list[str]:
    """The lines that compute a layer: one, unless it is too long."""
    layer, inputs = plan[position], [names[source] for source in plan[position].inputs]
    made = f"self.{layer.attribute}({', '.join(inputs)})" if layer.op.has_weights else layer.op.expression(*inputs)
    return statements.assigned(names[position], made, _shape(layer.shape))


def _shape(shape: Shape) -> str:
    """The shape of a batch, or of weights, as comments write it."""
    batch = () if isinstance(shape, Weights) else ("B",)
    return f"({', '.join(map(str, (*batch, *dimensions(shape))))})"


def _camel_case(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
