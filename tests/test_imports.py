"""Imports go downwards only, and plug-in folders never import each other (docs/architecture.md)."""

import ast
from functools import cache
from pathlib import Path

import netwright

ROOT = Path(netwright.__file__).parent
PLUGINS = ("spaces", "strategies", "tasks", "tables", "evaluators", "stores", "executors", "observers")
# a package imports those of levels below its own
LEVELS = (
    ("core",),
    ("plans",),
    ("controller", "worker", "cells", "training", "data", "surrogates"),
    PLUGINS,
    ("report", "export", "zoo", "testing"),
    ("runs", "hub"),
    ("comparison",),
    ("comparison/tables", "comparison/contests"),
    ("cli",),
    ("__main__",),
)
LEVEL_OF = {package: level for level, packages in enumerate(LEVELS) for package in packages}
# a package that imports another one of its level, and why
BESIDE = {
    ("tables", "spaces"): "a table is keyed by the genotypes of a space",
    ("executors", "stores"): "executors of other hosts serve the table to them",
    ("export", "report"): "the model card shows the architecture as the report draws it",
}
# plug-ins of one folder that import another one of it, and what they share; all else that two need lies in a file that
# is none: of cells/, of surrogates/, or beside them without a `plugin`
SIBLINGS = {
    ("spaces/flat", "spaces/hierarchical"): "the hierarchical space with one level",
    ("spaces/nats_size", "spaces/nats"): "the other half of one benchmark: its cells are of the same layers",
    ("strategies/auto", "strategies/predictor"): "a name that stands for it",
    ("strategies/bayes", "strategies/local_search"): "neighbors are those that local search climbs by",
    ("strategies/mobo", "strategies/local_search"): "neighbors are those that local search climbs by",
    ("strategies/nago_mobo", "strategies/local_search"): "neighbors are those that local search climbs by",
    ("strategies/predictor", "strategies/local_search"): "neighbors are those that local search climbs by",
    ("tables/nats_tss", "tables/csv"): "a release is a CSV file with known columns",
    ("tables/nats_sss", "tables/nats_tss"): "the same release, of the other half of the benchmark",
}
# plotting and table files are optional or slow to import: each belongs to the folders that need it
HEAVY = {
    "matplotlib": ("report", "comparison"),
    "sklearn": ("surrogates",),  # a forest; its digits are read from its file
    "pyarrow": ("data", "tasks", "tables"),
}
OPTIONAL = {"IPython", "pandas", "polars"}  # used where they are installed, so imported inside functions
LATE = {"sklearn"}  # takes most of a second, and only `report --importance` needs it


@cache  # of hundreds of files, for most of these tests
def _imports(path):
    """(module, whether inside a function or a TYPE_CHECKING block) of every import in a file."""
    tree, found = ast.parse(path.read_text()), []
    late = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.If) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            is_own = module.split(".")[0] == "netwright"  # what is imported from a package may be a module
            names = [f"{module}.{alias.name}" for alias in node.names] if is_own else [module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [(name, id(node) in late) for name in names]
    return found


def _part(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def _package(parts):
    """The package of a module, by the names that lead to it: the outermost one, but for the halves of comparison."""
    nested = "/".join(parts[:2])
    return nested if nested in LEVEL_OF else parts[0]


def _packages():
    """Which packages each package imports, and where: {(package, imported): "file imports module"}."""
    found = {}
    for path in ROOT.rglob("*.py"):
        package = _package(path.relative_to(ROOT).with_suffix("").parts)
        if package == "__init__":  # of netwright itself: what it shows is imported when it is asked for
            continue
        assert package in LEVEL_OF, f"{path.relative_to(ROOT)} stands in no level: say in tests/test_imports.py which"
        for module, _ in _imports(path):
            other = _package(module.split(".")[1:]) if module.startswith("netwright.") else package
            if other not in (package, "__version__"):
                found[package, other] = f"{path.relative_to(ROOT)} imports {module}"
    return found


def test_imports_go_down():
    beside = set()
    for (package, other), place in _packages().items():
        if LEVEL_OF[other] == LEVEL_OF[package]:
            beside.add((package, other))
        assert LEVEL_OF[other] < LEVEL_OF[package] or (package, other) in BESIDE, f"{place}: not downwards"
    assert beside == BESIDE.keys(), "an exception that nobody needs any more"


def test_no_packages_import_each_other():
    """Not by way of others either."""
    pairs = _packages()
    reached = {package: {other for one, other in pairs if one == package} for package in LEVEL_OF}
    for _ in LEVEL_OF:
        reached = {package: found.union(*(reached[other] for other in found)) for package, found in reached.items()}
    in_circles = {package for package, found in reached.items() if package in found}
    assert not in_circles, f"these import each other: {', '.join(sorted(in_circles))}"


def test_plugins_import_no_other_plugin_of_their_folder():
    plugins = {
        f"{folder}/{path.stem}": path
        for folder in PLUGINS
        for path in (ROOT / folder).glob("*.py")
        if "\nplugin = " in path.read_text()
    }
    assert len(plugins) > 30
    found = set()
    for name, path in plugins.items():
        for module, _ in _imports(path):
            other = "/".join(module.split(".")[1:3])
            if module.startswith("netwright.") and other in plugins and other.split("/")[0] == name.split("/")[0]:
                found.add((name, other))
    assert found <= SIBLINGS.keys(), "move what both need to a file that is no plug-in"
    assert found == SIBLINGS.keys(), "an exception that nobody needs any more"


def test_heavy_libraries_stay_where_they_belong():
    for path in ROOT.rglob("*.py"):
        for module, is_late in _imports(path):
            top = module.split(".")[0]
            assert _part(path) in HEAVY.get(top, (_part(path),)), f"{path.relative_to(ROOT)} imports {module}"
            if top == "torch" and _part(path) == "core":
                assert is_late, f"{path.relative_to(ROOT)}: core needs no torch at run time"


def _imported(node):
    """The outermost packages that an import names."""
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return {name.partition(".")[0] for name in names}


def test_only_the_command_line_and_what_is_optional_is_imported_inside_functions():
    for path in ROOT.rglob("*.py"):
        if _part(path) == "cli":
            continue
        tree = ast.parse(path.read_text())
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            imports = (n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom))
            found = [node for node in imports if _imported(node) - OPTIONAL - LATE]
            assert not found, f"{path.relative_to(ROOT)}:{found[0].lineno} imports inside a function"


def test_nothing_is_unpickled():
    """But by one module, which `netwright import --trust` runs as a process of its own and nothing imports."""
    for path in ROOT.rglob("*.py"):
        for module, _ in _imports(path):
            assert not module.startswith("netwright.tables.official"), path
        if path == ROOT / "tables" / "official.py":
            continue
        for module, _ in _imports(path):
            assert module.split(".")[0] not in ("pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"), path
        assert "weights_only=False" not in path.read_text(), path


# where text or a name becomes a program, and which; anything else would let stored content do so
RUNS_TEXT = {
    "core/refs.py": "import_module, ast",
    "core/members.py": "import_module",
    "core/extras.py": "import_module",
    "export/programs.py": "exec, compile",
    "export/standalone.py": "ast",
    "export/fresh.py": "module_from_spec",
    "export/rows.py": "import_module",
    "export/write.py": "import_module",
    "plans/source.py": "import_module",
    "plans/sharing.py": "import_module",
    "data/hub.py": "import_module",
    "spaces/nats.py": "import_module",
    "spaces/own.py": "import_module",
    "spaces/nats_size.py": "import_module",
    "plans/ops/merges.py": "import_module",
    "plans/ops/images.py": "import_module",
    "plans/ops/pointwise.py": "import_module",
    "plans/ops/sequences.py": "import_module",
    "plans/ops/vectors.py": "import_module",
    "__init__.py": "import_module",
    "testing/faults/warm.py": "import_module",  # of the command, which stands above it
}


def _running(path):
    """What a file uses that makes programs of text or of names."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in ("eval", "exec", "compile", "__import__"):
                yield called.id
            if isinstance(called, ast.Attribute):
                if called.attr in ("import_module", "module_from_spec", "run_path", "run_module", "popen"):
                    yield called.attr
                if called.attr == "system" and getattr(called.value, "id", "") == "os":
                    yield "os.system"
                if getattr(called.value, "id", "") == "ast" and called.attr in ("parse", "literal_eval"):
                    yield "ast"
            for keyword in node.keywords:
                is_true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                if keyword.arg in ("shell", "allow_pickle") and is_true:
                    yield keyword.arg


def test_no_text_becomes_a_program_but_where_it_is_said():
    found = {}
    for path in ROOT.rglob("*.py"):
        if words := dict.fromkeys(_running(path)):
            found[str(path.relative_to(ROOT))] = set(words)
    said = {name: set(words.split(", ")) for name, words in RUNS_TEXT.items()}
    assert found == said


def test_toml_is_read_in_one_place():
    for path in ROOT.rglob("*.py"):
        if path != ROOT / "core" / "reading.py":
            assert "tomllib" not in path.read_text(), f"{path.relative_to(ROOT)}: read TOML by core.reading"
