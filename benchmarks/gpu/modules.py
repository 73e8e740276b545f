"""What netwright imports, where it is missing on a machine without a network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tomllib
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


def name_checkout(target: Path) -> None:
    """Say in a folder of modules which version this checkout is, as netwright asks, where it is not installed."""
    try:
        importlib.metadata.version("netwright")
    except importlib.metadata.PackageNotFoundError:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        place = target / f"netwright-{project['version']}.dist-info"
        place.mkdir(parents=True)
        about = f"Metadata-Version: 2.1\nName: netwright\nVersion: {project['version']}\n"
        (place / "METADATA").write_text(about, encoding="utf-8")


def environment(site: Path) -> dict[str, str]:
    """Variables of the jobs: the modules of this checkout first, then those that were unpacked."""
    paths = (str(ROOT / "src"), str(ROOT), str(site), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
