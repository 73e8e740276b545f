"""What `netwright show --supernet` says: how many weights all networks of a space share, and one of them uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import typer

from netwright.cli.architecture import Architecture
from netwright.core import refs, run_file
from netwright.core.records import IO


def tell(found: Architecture, shape: IO, given: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the counts.

    Args:
        found: An architecture of the space.
        shape: What goes into the networks, and what comes out.
        given: Options of the space on the command line.
        as_json: Whether to print JSON.

    Raises:
        BadReference: The networks of the space share no weights.
    """
    import numpy as np

    from netwright.plans import counting
    from netwright.training import supernet

    space, published = found.space, _published(found, given)
    if published:
        space = refs.revise("space", space, published)
    sharing = supernet.shared_by(space)
    tensors = supernet.shapes(sharing, shape)
    params = sum(map(prod, tensors.values()))
    genotype = space.sample(np.random.default_rng(found.seed)) if published else found.genotype
    of_path = counting.count(sharing.shared_plan(genotype, shape), auxiliary=True).params
    if as_json:
        facts = {
            "params": params,
            "tensors": len(tensors),
            "genes": list(genotype),
            "params_of_network": of_path,
            **({"space": published} if published else {}),
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"{params:,} parameters in {len(tensors):,} tensors that the networks of the space share", nl=False)
    typer.echo(f" on {run_file.write_io(shape).partition(':')[0]}, {shape.outputs} outputs")
    typer.echo(f"{of_path:,} of them make the network of genes {json.dumps(list(genotype))}")
    for name, value in published.items():
        typer.echo(f"space.{name} is {value}, as published for shared weights; --space.{name} takes another")


def _published(found: Architecture, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that the published supernet of a space has, and that nobody gave: only of a space by its name alone."""
    usual = getattr(found.space, "of_supernet", {})
    if not usual or found.run is not None or found.seed is None:
        return {}
    known = {*given, *refs.parse(found.target).options}
    return {name: value for name, value in usual.items() if name not in known}
