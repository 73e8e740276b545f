"""`make release-check`: whether what would be published installs and works. One line a check; exit code 1 if one fails.

The command needs the environment that the Makefile makes, and pip that reaches its packages. It writes `dist/` and a
folder of environments, which it removes. torch is large: but for the Python that runs this, it is installed only where
pip has a wheel of it beside the registry (`--torch any` gets it from anywhere), and in every environment it has the
locked version.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.metadata import Metadata

from release import facts
from release.environments import QUIET, Environment, Failed, made, python_of, said

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
TABLE = "depth,width,val,test\n" + "".join(
    f"{depth},{width},0.{depth}{width},0.{depth}{width + 1}\n" for depth in (1, 2, 3, 4) for width in (10, 20, 30, 40)
)
DIGIT = "from PIL import Image; Image.linear_gradient('L').resize((8, 8)).save('digit.png')"
ON_A_TABLE = (
    "--version",
    "list spaces",
    "bench --table table.csv --genes depth,width --signal val --final test "
    "--trials 4 --seeds 2 --strategies random,aging --out bench",
)
WITH_TORCH = (
    *ON_A_TABLE,
    "search --task digits --space hierarchical --space.channels 4 --trials 2 --workers 2 --evaluator.steps 4 --out run",
    "status run",
    "train run --epochs 1",
    "report run",
    "export run --out exported",
    "predict exported digit.png",
)


class LeftOut(Exception):
    """A check could not be made here; the message says why."""


@dataclass(frozen=True)
class Given:
    """What the checks are about: texts of the repository, the folder to work in, and what was asked for."""

    scratch: Path
    pythons: tuple[Path, ...]
    any_torch: bool

    def text(self, name: str) -> str:
        """A file of the repository."""
        return (ROOT / name).read_text(encoding="utf-8")

    @property
    def torch(self) -> str:
        """torch at the locked version, as pip is told."""
        return f"torch=={facts.pinned(self.text('requirements.lock'))['torch']}"

    def archive(self, pattern: str) -> Path:
        """The one of `dist/` of a pattern."""
        found = sorted((ROOT / "dist").glob(pattern))
        if len(found) != 1:
            raise Failed(f"dist/ holds {len(found)} archives '{pattern}' instead of one")
        return found[0]

    def place(self, name: str) -> Path:
        """A new folder to work in, with a table and nothing else."""
        folder = self.scratch / name
        folder.mkdir()
        (folder / "table.csv").write_text(TABLE)
        return folder

    def python(self, release: str) -> Path:
        """An interpreter of that release. Raises LeftOut when there is none."""
        found = python_of(release, self.pythons)
        if found is None:
            raise LeftOut(f"no Python {release} here; name one by --python")
        return found


def texts(given: Given) -> str:
    """Versions agree, the changelog says something, guide and license are there."""
    pyproject = given.text("pyproject.toml")
    if wrong := facts.disagreement(pyproject, given.text("src/netwright/__init__.py"), given.text("CITATION.cff")):
        raise Failed(wrong)
    own, points = facts.changes(given.text("CHANGELOG.md"), facts.version(pyproject))
    for name, words in (("CONTRIBUTING.md", "make test"), ("LICENSE", "Apache License")):
        if words not in given.text(name):
            raise Failed(f"{name} does not say '{words}'")
    return f"version {facts.version(pyproject)} everywhere; {points} points under '{own}' in the changelog"


def citation(given: Given) -> str:
    """CITATION.cff keeps to its schema."""
    checker = made(Path(sys.executable), given.scratch / "citation-env")
    checker.install("--no-deps", "-r", ROOT / "requirements-release.lock")
    said([checker.script("cffconvert"), "--validate", "-i", ROOT / "CITATION.cff"], given.scratch)
    return "valid Citation File Format"


def archives(given: Given) -> str:
    """The wheel and the source archive hold what git does, and one is made from the other."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    said([sys.executable, "-m", "hatchling", "build"], ROOT)
    wheel, source = given.archive("*.whl"), given.archive("*.tar.gz")
    tracked = said(["git", "ls-files"], ROOT).splitlines()
    with tarfile.open(source) as opened:
        opened.extractall(given.scratch / "source", filter="data")
    [unpacked] = (given.scratch / "source").iterdir()
    held = [path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()]
    if wrong := facts.difference(held, [*tracked, "PKG-INFO"]):
        raise Failed(f"{source.name}: {wrong}")
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(opened.read(about), validate=True)
    package = [name.removeprefix("src/") for name in tracked if name.startswith("src/")]
    if wrong := facts.difference((name for name in names if ".dist-info/" not in name), package):
        raise Failed(f"{wheel.name}: {wrong}")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        raise Failed(f"{wheel.name} holds no LICENSE")
    said([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", given.scratch / "again"], unpacked)
    if (given.scratch / "again" / wheel.name).read_bytes() != wheel.read_bytes():
        raise Failed(f"the wheel made from {source.name} is not, byte for byte, {wheel.name}")
    sizes = (f"{each.name} {each.stat().st_size / 1e6:.1f} MB" for each in (wheel, source))
    return (
        f"{', '.join(sizes)}; {len(package)} modules and {len(held)} files as in git, metadata "
        f"{metadata.metadata_version} valid, and the wheel made from the source archive is the same"
    )


def locked(given: Given) -> str:
    """The wheel with the locked versions, on the Python that runs this, and the licenses of all that it brought."""
    place = given.place("locked")
    here = made(Path(sys.executable), given.scratch / "locked-env")
    here.install("--only-binary", ":all:", "-c", ROOT / "requirements.lock", given.archive("*.whl"))
    found = _used(given, here, place)
    licenses = {
        name: facts.License(expression, tuple(classifiers), text)
        for name, (expression, classifiers, text) in here.inspected(place)["licenses"].items()
        if name not in ("pip", "setuptools")  # the environment's own
    }
    if wrong := facts.others(licenses):
        raise Failed(
            "licenses to look at: " + ", ".join(f"{name} says '{said}'" for name, said in sorted(wrong.items()))
        )
    return f"{found}; {len(licenses)} licenses, all permissive: {_counted(each.name for each in licenses.values())}"


def lowest(given: Given) -> str:
    """The source archive with the lowest versions that pyproject.toml allows, torch apart."""
    here = made(given.python(PYTHONS[0]), given.scratch / "lowest-env")
    if not _has_torch(given, here, PYTHONS[0]):
        raise LeftOut(f"{given.torch} for Python {PYTHONS[0]} is not at hand; --torch any downloads it")
    exact = [
        f"{name}=={bound}" for name, bound in facts.bounds(given.text("pyproject.toml")).items() if name != "torch"
    ]
    here.install("--only-binary", ":all:", *exact, given.torch)
    here.install(given.archive("*.tar.gz"))
    found = _used(given, here, given.place("lowest"))
    return f"{found}; {len(exact)} dependencies at their lower bounds, {given.torch} as locked"


def other(given: Given, release: str) -> str:
    """The wheel on another release of Python: everything where torch is to be had, else all that needs none."""
    here = made(given.python(release), given.scratch / f"{release}-env")
    place = given.place(release)
    wheel, lock = given.archive("*.whl"), ROOT / "requirements.lock"
    if _has_torch(given, here, release):
        here.install("--only-binary", ":all:", "-c", lock, wheel)
        return _used(given, here, place)
    rest = [name for name in facts.bounds(given.text("pyproject.toml")) if name != "torch"]
    here.install("--no-deps", wheel)
    here.install("--only-binary", ":all:", "-c", lock, *rest)
    compiled = here.folder / "lib" / f"python{release}" / "site-packages" / "netwright"
    said([here.script("python"), "-W", "error", "-m", "compileall", "-q", "-f", compiled], place)
    inspected = here.inspected(place)
    _refuse_missing(inspected, {"torch", *facts.optional(given.text("pyproject.toml"))})
    for words in ON_A_TABLE:
        here.netwright(words, place)
    raise LeftOut(
        f"nothing was trained, as {given.torch} for Python {release} is not at hand (--torch any gets it). Without: "
        f"{inspected['modules']} modules compile without a warning, {_importing(inspected)} import, "
        f"{len(ON_A_TABLE)} commands run, a search over a table among them"
    )


def _used(given: Given, here: Environment, place: Path) -> str:
    """Runs a search, trains, exports and predicts with what is installed; says so."""
    here.pip("check")
    inspected = here.inspected(place)
    _refuse_missing(inspected, facts.optional(given.text("pyproject.toml")))
    if not Path(inspected["place"]).is_relative_to(here.folder):
        raise Failed(f"netwright was imported from {inspected['place']}, not from the environment")
    said([here.script("python"), "-c", DIGIT], place)
    for words in WITH_TORCH:
        here.netwright(words, place)
    for name in ("run/report/report.html", "exported/model.py", "bench/index.html"):
        if not (place / name).is_file():
            raise Failed(f"the commands ended with 0 but left no {name}")
    needed = f" (the others need {', '.join(sorted(inspected['missing']))})" if inspected["missing"] else ""
    return (
        f"{_importing(inspected)} of {inspected['modules']} modules import{needed}; {len(WITH_TORCH)} commands run, "
        "from a search to a prediction"
    )


def _refuse_missing(inspected: dict[str, Any], expected: set[str]) -> None:
    """Raises Failed where modules of netwright need a package that is not installed, but for these."""
    unknown = {name: modules[0] for name, modules in inspected["missing"].items() if name.split(".")[0] not in expected}
    if unknown:
        raise Failed(f"neither a dependency nor of an extra, but imported: {unknown}")


def _importing(inspected: dict[str, Any]) -> int:
    return int(inspected["modules"]) - sum(map(len, inspected["missing"].values()))


def _has_torch(given: Given, here: Environment, release: str) -> bool:
    """Whether torch is installed there: on the Python that runs this, where it is asked for, or where it is at hand."""
    return release == RUNNING or given.any_torch or _at_hand(here, given.torch)


def _at_hand(here: Environment, requirement: str) -> bool:
    """Whether pip finds it without asking a registry."""
    try:
        here.pip("install", *QUIET, "--dry-run", "--no-index", "--no-deps", requirement)
    except Failed:
        return False
    return True


def _counted(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(
        f"{names.count(name)} {name}" for name in sorted(set(names), key=lambda each: (-names.count(each), each))
    )


def checked(name: str, check: Callable[[], str]) -> str:
    """Makes one check and prints a line about it. Returns "ok", "left out" or "FAILED"."""
    start = time.perf_counter()
    try:
        state, line = "ok", check()
    except LeftOut as reason:
        state, line = "left out", str(reason)
    except (Failed, ValueError, OSError) as error:
        state, line = "FAILED", str(error)
    print(f"{state:8} {name}, {time.perf_counter() - start:.0f} s: {line}", flush=True)
    return state


def main() -> None:
    """Makes all checks, whatever fails; exit code 1 if one did."""
    parser = argparse.ArgumentParser(prog="make release-check", description=__doc__)
    parser.add_argument(
        "--python", action="append", type=Path, default=[], help="another interpreter; may be given again"
    )
    parser.add_argument(
        "--torch", choices=("at-hand", "any"), default="at-hand", help="any: download it for every Python"
    )
    parser.add_argument("--keep", action="store_true", help="leave the environments where they are, and say where")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="netwright-release-"))
    given = Given(scratch, tuple(options.python), options.torch == "any")
    checks: list[tuple[str, Callable[[], str]]] = [
        ("texts", lambda: texts(given)),
        ("CITATION.cff", lambda: citation(given)),
        ("archives", lambda: archives(given)),
        (f"wheel, locked versions, Python {RUNNING}", lambda: locked(given)),
        (f"source archive, lowest versions, Python {PYTHONS[0]}", lambda: lowest(given)),
        *((f"wheel, Python {one}", lambda one=one: other(given, one)) for one in PYTHONS if one != RUNNING),
    ]
    try:
        states = [checked(name, check) for name, check in checks]
    finally:
        if options.keep:
            print(f"environments: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    failed = states.count("FAILED")
    print(
        f"{states.count('ok')} checks held, {states.count('left out')} were left out at least in part, {failed} failed"
    )
    print("not checked here: torch older than the locked one, other systems than this one, GPUs, the extras")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
