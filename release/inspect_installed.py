"""Run by the Python of an environment: what is installed there and whether netwright imports, as one line of JSON."""

import importlib
import json
import pkgutil
from importlib import metadata

import netwright

# not imported: it runs the command
MODULES = [each.name for each in pkgutil.walk_packages(netwright.__path__, "netwright.") if "__main__" not in each.name]


def imports():
    """Counts what imports, and what needs a package that is not there, by its name; any other fault is raised."""
    missing = {}
    for module in MODULES:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "netwright").split(".")[0] == "netwright":
                raise
            missing.setdefault(error.name, []).append(module)
    return {"modules": len(MODULES), "missing": missing}


def licenses():
    """Expression, classifiers and text of every package that is installed."""
    found = {}
    for each in metadata.distributions():
        said = each.metadata
        classifiers = [one.split(" :: ")[-1] for one in said.get_all("Classifier", []) if one.startswith("License ::")]
        found[each.name] = [said.get("License-Expression") or "", classifiers, said.get("License") or ""]
    return found


if __name__ == "__main__":
    print(json.dumps({"place": netwright.__path__[0], **imports(), "licenses": licenses()}))
