"""architecture.json: what the network of an exported folder is, down to its layer plan.

The file may come from a stranger: every value is checked before a network is made of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from netwright import __version__
from netwright.core.errors import ExportError
from netwright.core.genes import Choice, Gene
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Genotype
from netwright.core.refs import Reference
from netwright.core.shapes import Image
from netwright.export import rows
from netwright.plans import counting
from netwright.plans.names import Names
from netwright.plans.plan import Layer, Plan, is_auxiliary

FILE: Final = "architecture.json"
FORMAT: Final = "netwright export 2"
MAX_BYTES: Final = 2**24  # a plan of 1,000 layers has 80 kB
MAX_LAYERS: Final = 20_000


def to_json(reference: Reference, space: SearchSpace, genotype: Genotype, io: IO, plan: Plan) -> str:
    """The file's text. Raises ExportError for a plan that could not be read back."""
    if len(plan) > MAX_LAYERS:
        raise ExportError(
            f"the network has {len(plan):,} layers, and an export at most {MAX_LAYERS:,}; take a smaller one"
        )
    counts = counting.count(plan)
    facts = {
        "format": FORMAT,
        "netwright": __version__,
        "space": {"ref": reference.name, **reference.options},
        "key": space.key(genotype),
        "genotype": genotype,
        "io": {"input": rows.of_shape(io.input), "output": rows.of_shape(io.output)},
        "params": counts.params,
        "multiply_adds": counts.multiply_adds,
        "plan_columns": rows.COLUMNS,
    }
    tables: dict[str, list[Any]] = {
        "genes": [_gene(gene, value) for gene, value in zip(space.genes, genotype, strict=True)],
        "plan": [rows.of_layer(layer) for layer in plan],
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
    for name, table in tables.items():
        listed = ",\n  ".join(json.dumps(row) for row in table)
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
    table = _facts(path).get("plan")
    if not isinstance(table, list) or not table:
        raise ExportError(f"{path} holds no layer plan; export the network again")
    if len(table) > MAX_LAYERS:
        raise ExportError(f"{path} has {len(table):,} layers, and a plan at most {MAX_LAYERS:,}; give another export")
    layers: list[Layer] = []
    names = Names()
    for position, row in enumerate(table):
        try:
            layer = rows.to_layer(row, layers)
            names.add(layer.name, has_weights=layer.op.has_weights)
            if is_auxiliary(layer):
                raise ValueError(f"{layer.name} has no place in a network that is not trained")
            layers.append(layer)
        except ExportError as error:
            raise ExportError(f"{path} cannot be read: {error}") from None
        except ValueError as error:
            raise ExportError(
                f"{path} is no layer plan at layer {position}: {error}; export the network again"
            ) from None
    if isinstance(layers[-1].shape, Image):
        raise ExportError(f"{path} is no layer plan: the last layer gives no logits; export the network again")
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
        raise ExportError(f"{path} is no {FORMAT}, which this version reads; export the network again")
    return facts


def _gene(gene: Gene, value: float) -> dict[str, Any]:
    option = {"option": gene.options[int(value)]} if isinstance(gene, Choice) else {}
    return {"name": gene.name, "value": value, **option}
