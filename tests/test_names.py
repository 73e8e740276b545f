"""One name for one thing: classes of one name mean the same, and no two modules are taken for each other."""

import ast
import re
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import netwright

ROOT = Path(netwright.__file__).parent
# names that several classes have, and why
TWICE = {
    "Cell": "the part of a network that its paper calls so, as that paper describes it",
    "Outline": "how cells are stacked, by the rules of each paper",
    "_Place": "a cell and where it stands, by the rules of each paper",
    "Conv": "an operation, and the torch module that it names",
    "Linear": "an operation, and the torch module that it names",
    "Gate": "an operation, and the torch module that it names",
    "WeightedSum": "an operation, and the torch module that it names",
}
# folders whose files are named by papers and data sets, and an example
NAMED_BY_OTHERS = {
    "spaces": "rnag and hnag",
    "tables": "nats_tss and nats_sss",
    "tasks": "cifar10 and cifar100",
    "zoo": "amoebanet_a and amoebanet_b",
}


def test_classes_of_one_name_mean_the_same():
    places = defaultdict(list)
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    several = {name: found for name, found in places.items() if len(found) > 1}
    unlisted = {name: sorted(found) for name, found in several.items() if name not in TWICE}
    assert not unlisted, f"give these names of their own, or say in TWICE what is the same: {unlisted}"
    assert several.keys() == TWICE.keys(), "an exception that nobody needs any more"


def test_no_two_modules_of_a_package_are_taken_for_each_other():
    alike = defaultdict(list)
    for folder in {path.parent for path in ROOT.rglob("*.py")}:
        names = sorted(
            {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        )
        alike[str(folder.relative_to(ROOT))] = [pair for pair in combinations(names, 2) if _are_alike(*pair)]
    found = {folder: pairs for folder, pairs in alike.items() if pairs}
    unlisted = {folder: pairs for folder, pairs in found.items() if folder not in NAMED_BY_OTHERS}
    assert not unlisted, f"a newcomer takes one for the other: {unlisted}"
    assert found.keys() == NAMED_BY_OTHERS.keys(), "an exception that nobody needs any more"


def test_what_is_alike():
    assert _are_alike("training", "trainings") and _are_alike("training", "trained") and _are_alike("rung", "rungs")
    assert _are_alike("nats_tss", "nats_sss") and _are_alike("stage", "stage2") and _are_alike("loop", "loops")
    assert not _are_alike("page", "player") and not _are_alike("training", "retraining")


def _are_alike(one, other):
    """They differ by one letter, by a number, or by their endings."""
    return _stem(one) == _stem(other) or _differ_by_one_letter(one, other)


def _stem(name):
    return re.sub(r"(ings?|ers?|ed|e?s|e|_?\d+)$", "", name)


def _differ_by_one_letter(one, other):
    short, long = sorted((one, other), key=len)
    if len(short) == len(long):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1
    return any(long[:place] + long[place + 1 :] == short for place in range(len(long)))
