"""Imports go downwards only, and plug-in folders never import each other (docs/architecture.md)."""

import ast
from pathlib import Path

import netwright

ROOT = Path(netwright.__file__).parent
PLUGINS = ("spaces", "strategies", "tasks", "tables", "evaluators", "stores", "executors")
LEVELS = {
    0: ("core",),
    1: ("layers",),
    2: ("search", "worker", "training", "data", "tabular", "surrogates", "run_folder", "trainings"),
    3: PLUGINS,
    4: ("comparison", "report", "zoo", "testing", "display"),
    5: ("export", "session", "full_training", "run", "table_import"),
    6: ("cli",),
}
LEVEL_OF = {part: level for level, parts in LEVELS.items() for part in parts}
# a table may import the space whose genotypes it keys
ALLOWED = {("tables", "spaces")}
# plotting and table files are optional or slow to import: each belongs to the folders that need it
HEAVY = {
    "matplotlib": ("report",),
    "sklearn": ("tasks", "surrogates"),
    "pyarrow": ("data", "tasks", "tables", "table_import"),
}


def _imports(path):
    """(module, whether inside a function or a TYPE_CHECKING block) of every import in a file."""
    tree = ast.parse(path.read_text())
    late = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.If) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "netwright" else []
            for name in names or [node.module or ""]:
                yield name, id(node) in late
        elif isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in late) for alias in node.names)


def _part(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def test_imports_go_down():
    for path in ROOT.rglob("*.py"):
        part = _part(path)
        if part == "__init__":
            continue
        assert part in LEVEL_OF, f"{path.relative_to(ROOT)} stands in no level: say in tests/test_imports.py which"
        for module, _ in _imports(path):
            if not module.startswith("netwright."):
                continue
            other = module.split(".")[1]
            if other in (part, "__version__"):
                continue
            place = f"{path.relative_to(ROOT)} imports {module}"
            assert LEVEL_OF[other] <= LEVEL_OF[part], f"{place}: upwards"
            assert (part, other) in ALLOWED or not (part in PLUGINS and other in PLUGINS), f"{place}: plug-ins"


def test_heavy_libraries_stay_where_they_belong():
    for path in ROOT.rglob("*.py"):
        for module, is_late in _imports(path):
            top = module.split(".")[0]
            assert _part(path) in HEAVY.get(top, (_part(path),)), f"{path.relative_to(ROOT)} imports {module}"
            if top == "torch" and _part(path) == "core":
                assert is_late, f"{path.relative_to(ROOT)}: core needs no torch at run time"


def test_only_the_command_line_imports_inside_functions():
    for path in ROOT.rglob("*.py"):
        if _part(path) == "cli":
            continue
        tree = ast.parse(path.read_text())
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            found = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not found, f"{path.relative_to(ROOT)}:{found[0].lineno} imports inside a function"


def test_nothing_is_unpickled():
    """But by one module, which `netwright import --trust` runs as a process of its own and nothing imports."""
    for path in ROOT.rglob("*.py"):
        for module, _ in _imports(path):
            assert not module.startswith("netwright.table_import"), path
        if path == ROOT / "table_import.py":
            continue
        for module, _ in _imports(path):
            assert module.split(".")[0] not in ("pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"), path
        assert "weights_only=False" not in path.read_text(), path
