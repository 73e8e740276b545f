import tomllib
from pathlib import Path

import pytest

from release import facts
from release.facts import License

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("license", "name"),
    [
        (License("Apache-2.0 OR BSD-2-Clause"), "Apache-2.0 OR BSD-2-Clause"),
        (License("Apache-2.0 WITH LLVM-exception AND MIT"), "Apache-2.0 WITH LLVM-exception AND MIT"),
        (License("GPL-3.0-only OR MIT"), "GPL-3.0-only OR MIT"),
        (License("", ("MIT License",), "a text of many lines\n" * 20), "MIT"),
        (License("", (), "Apache 2.0"), "Apache-2.0"),
    ],
)
def test_licenses_that_allow_any_use(license, name):
    assert license.name == name
    assert license.is_permissive()


@pytest.mark.parametrize(
    "license",
    [
        License("GPL-3.0-only"),
        License("MIT AND LGPL-2.1-or-later"),
        License("", ("MIT License", "GNU Affero General Public License v3")),
        License("", (), "Free for research"),
        License(),
    ],
)
def test_other_licenses_are_named(license):
    assert facts.others({"x": license, "y": License("MIT")}).keys() == {"x"}


def test_every_dependency_has_a_lower_bound_that_the_lock_keeps_to():
    locked = facts.pinned(LOCK)
    for name, bound in facts.bounds(PYPROJECT).items():
        version = locked[facts.normal(name)]
        assert [int(part) for part in version.split(".")] >= [int(part) for part in bound.split(".")], name


@pytest.mark.parametrize("line", ["numpy", "numpy<3", "numpy>=1.26,<3", "numpy==2.0"])
def test_a_dependency_without_a_plain_lower_bound_is_refused(line):
    with pytest.raises(ValueError, match="lower bound"):
        facts.bounds(f'[project]\ndependencies = ["{line}"]')


def test_packages_of_extras_are_known_by_what_is_imported():
    text = '[project.optional-dependencies]\na = ["huggingface-hub>=1", "onnx[x]>=1"]\nb = ["mlflow>=2; os_name"]\n'
    assert facts.optional(text) == {"huggingface_hub", "onnx", "mlflow"}


def test_the_versions_of_this_repository_agree():
    package = (ROOT / "src/netwright/__init__.py").read_text(encoding="utf-8")
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert not facts.disagreement(PYPROJECT, package, cited)
    assert "CITATION.cff says '9.9'" in facts.disagreement(PYPROJECT, package, "cff-version: 1.2.0\nversion: 9.9\n")


def test_the_section_of_the_release_or_else_what_is_unreleased():
    assert facts.changes("# C\n\n## Unreleased\n\n- a\n- b\n\n## 0.1.0 (2026-01-01)\n\n- c\n", "0.1.0") == (
        "0.1.0 (2026-01-01)",
        1,
    )
    assert facts.changes("# C\n\n## Unreleased\n\n- a\n- b\n", "0.1.0") == ("Unreleased", 2)
    with pytest.raises(ValueError, match="nothing under '0"):
        facts.changes("# C\n\n## Unreleased\n\n## 0.1.0\n\n- c\n", "0.2")


def test_names_that_differ_are_said():
    assert facts.difference(["a", "b"], ["b", "a"]) == ""
    assert facts.difference(["a", "secret"], ["a", "b"]) == "missing: b; not in git: secret"
    assert facts.difference(map(str, range(8)), []).endswith("4 and 3 more")


def test_locks_that_are_installed_together_name_one_version_of_each_package():
    """`make bench` and `make verify` install them into one environment; the tools of a release have their own."""
    first: dict[str, str] = {}
    for lock in sorted(ROOT.glob("requirements*.lock")):
        if lock.name != "requirements-release.lock":
            for name, version in facts.pinned(lock.read_text(encoding="utf-8")).items():
                assert first.setdefault(name, version) == version, f"{lock.name}: {name}"


def test_what_verify_installs_has_every_extra_that_tests_would_be_left_out_without():
    extras = tomllib.loads(PYPROJECT)["project"]["optional-dependencies"]
    locks = ("requirements-notebooks.lock", "requirements-watching.lock", "requirements.lock")
    pinned = {name for lock in locks for name in facts.pinned((ROOT / lock).read_text(encoding="utf-8"))}
    [verify] = [line for line in (ROOT / "Makefile").read_text().splitlines() if "requirements-watching" in line]
    assert all(lock in verify for lock in locks[:2])
    for extra in ("hub", "mlflow", "notebooks", "onnx", "optuna", "tensorboard", "wandb"):
        for requirement in extras[extra]:
            assert facts.normal(requirement.partition(">")[0]) in pinned, f"{extra}: {requirement}"
    assert {"pandas", "polars"} <= pinned
