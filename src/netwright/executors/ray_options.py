"""What a user says of a Ray cluster, read: where it is, and what else of it each actor takes."""

from __future__ import annotations

import math
from typing import Final

from netwright.core.errors import WorkerError

OWN: Final = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_mb"}  # what has an option of its own


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    return host.startswith("127.") or host == "::1"


def fault_of_address(address: str) -> str:
    """Why an address cannot be one of a cluster; "" where it can."""
    if address in ("", "auto"):
        return ""
    host, _, port = address.rpartition(":")
    if "://" in address:
        return "that is Ray's protocol for clients; start this on a node of the cluster, and give its HOST:PORT"
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        return "give HOST:PORT, as `ray start` printed it, or auto"
    if host in ("127.0.0.1", "localhost", "[::1]"):
        return (
            "Ray does not find itself there; give the address that `ray start` printed, or start it with "
            "--node-ip-address=127.0.0.2"
        )
    return ""


def numbers(resources: str) -> dict[str, float]:
    """Resources by name. Raises WorkerError for a text that is none."""
    found: dict[str, float] = {}
    for pair in filter(None, (each.strip() for each in resources.split(","))):
        name, has_number, text = (each.strip() for each in pair.partition("="))
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (name and has_number and 0 < number < math.inf) or name in found:
            raise WorkerError(f"executor.resources is {resources!r}; give NAME=NUMBER, with commas between several")
        if name in OWN:
            raise WorkerError(f"executor.resources names {name}; give executor.{OWN[name]} instead")
        found[name] = number
    return found
