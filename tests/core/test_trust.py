import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import run_file, trust
from netwright.core.errors import BadReference
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.trust import Trust

TOYS = "netwright.testing.toys"
WRAPS = st.sampled_from(
    [
        lambda inner: [inner],
        lambda inner: {"table": inner},
        lambda inner: f"csv(path='x.csv', space={inner!r})" if isinstance(inner, str) else (1, inner),
        lambda inner: {"ref": inner, "b": 2},
    ]
)
NAMES = st.from_regex(r"[a-z_]{1,5}(\.[a-z]{1,4}){0,2}:[A-Za-z_]{1,6}", fullmatch=True)


@given(NAMES, st.lists(WRAPS, max_size=3), st.sampled_from([*run_file.PARTS, "final"]))
def test_a_name_is_found_wherever_it_stands(name, wraps, part):
    value = name
    for wrap in wraps:
        value = wrap(value)
    parts = {part: Reference("x", {"y": value})}
    with pytest.raises(BadReference, match=r"is neither netwright's nor an installed plug-in.*add --trust"):
        Trust().check(parts, "the run file")
    Trust(is_full=True).check(parts, "the run file")
    trust.of_typed({"y": value}).check(parts, "the run file")


@pytest.mark.parametrize(
    "value",
    [
        *("hierarchical", f"{TOYS}:ToySpace", f"x(space='{TOYS}:ToySpace')", "/data/a:b", "cuda:0", "http://a/b:c"),
        *("vector=16:numbers=1", "a b:c", ":c", "a:", "a:b:c", "x(", 3, None, 0.5),
    ],
)
def test_other_text_and_the_package_need_no_trust(value):
    Trust().check({"space": Reference("x", {"y": value})}, "the run file")


def test_what_lies_beside_a_plug_in_of_the_package_is_not_of_the_package():
    for name in ("netwright_evil:X", "netwrights.spaces:X", "os:system"):
        with pytest.raises(BadReference):
            Trust().check({"space": Reference(name)}, "it")


def test_an_installed_plug_in_needs_no_trust_and_one_in_the_current_folder_does(tmp_path, monkeypatch):
    for place, module in (("site", "mylab.wild"), ("here", "evil")):
        info = tmp_path / place / f"{module}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {module}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[netwright.plugins]\nany = {module}\n")
        monkeypatch.syspath_prepend(tmp_path / place)
    monkeypatch.setattr(trust.site, "getsitepackages", lambda: [str(tmp_path / "site")])
    trust._installed.cache_clear()
    try:
        Trust().check({"space": Reference("mylab.wild.deep:X"), "task": Reference("mylab.wild:Y")}, "it")
        for name in ("evil:X", "mylab:X", "mylab.wilder:X"):
            with pytest.raises(BadReference):
                Trust().check({"space": Reference(name)}, "it")
    finally:
        trust._installed.cache_clear()


def test_all_of_a_run_file_that_can_name_a_plug_in_is_looked_at():
    for name in (*run_file.PARTS, "final"):
        run = RunFile(**{name: {"x": "evil:X"} if name == "final" else Reference("evil:X")})
        with pytest.raises(BadReference, match=f"for its {name}"):
            Trust().check(run_file.references(run), "it")
