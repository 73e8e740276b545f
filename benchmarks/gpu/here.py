"""What this machine and this version of netwright have, as one JSON object on standard output.

    python benchmarks/gpu/here.py

Run as a process of its own: what asks about the card must not hold memory of it afterwards.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
from dataclasses import fields
from typing import Any


def found() -> dict[str, Any]:
    """Names and numbers; "card" is "" where torch sees none."""
    import torch

    from netwright.evaluators.training import Training
    from netwright.executors.processes import Processes
    from netwright.zoo.hierarchical import plugin as published

    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "card": "",
        "evaluator": sorted(field.name for field in fields(Training)),
        "executor": sorted(field.name for field in fields(Processes) if field.init),
        "cell": published.genotype,
        "profile": importlib.util.find_spec("netwright.cli.profile") is not None,
        "pytest": importlib.util.find_spec("pytest") is not None,
    }
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        facts |= {
            "card": about.name,
            "cards": torch.cuda.device_count(),
            "capability": f"{about.major}.{about.minor}",
            "memory_gb": round(about.total_memory / 1e9, 1),
            "driver": driver(),
        }
    return facts


def driver() -> str:
    """Version of the driver; "" where the tool that tells is not there."""
    words = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


if __name__ == "__main__":
    print(json.dumps(found()))
