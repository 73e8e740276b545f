"""What netwright imports, where it is missing on a machine without a network."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
# what netwright imports, and what that imports: distributions by module
MODULES = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "networkx": "networkx",
    "matplotlib": "matplotlib",
    "psutil": "psutil",
    "pyarrow": "pyarrow",
    "rich": "rich",
    "typer": "typer",
    "filelock": "filelock",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "tomli_w": "tomli-w",
    "platformdirs": "platformdirs",
    "safetensors": "safetensors",
    "sortedcontainers": "sortedcontainers",
    "threadpoolctl": "threadpoolctl",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic-core",
    "typing_extensions": "typing-extensions",
    "typing_inspection": "typing-inspection",
    "annotated_types": "annotated-types",
}


def missing(modules: Mapping[str, str] = MODULES) -> dict[str, str]:
    """Modules that cannot be imported, with their distributions."""
    return {name: package for name, package in modules.items() if importlib.util.find_spec(name) is None}


def unpack(packages: Sequence[str], wheels: Path, target: Path) -> None:
    """Unpack wheels that fit this Python into a folder; nothing is installed, and no network is asked."""
    words = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    place = ("--find-links", str(wheels), "--target", str(target))
    done = subprocess.run((sys.executable, *words, *place, *packages), capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise SystemExit(f"{wheels} has not all of {', '.join(packages)} for this Python: {lines[-1] if lines else ''}")


def environment(site: Path) -> dict[str, str]:
    """Variables of the jobs: the modules of this checkout first, then those that were unpacked."""
    paths = (str(ROOT / "src"), str(ROOT), str(site), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
